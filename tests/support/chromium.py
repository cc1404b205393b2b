"""Debian's Chromium through its DevTools protocol: one page of a browser without a window, and what it asked for."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from support.real_parts import missing

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--mute-audio",
    "--remote-debugging-port=0",
)
START_WITHIN_S = 40.0


def find_chromium() -> str:
    """The browser; skips the test where there is none, unless CI=true."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("no chromium on PATH")
    return found


class Page:
    """One page. `requests` are the addresses that it asked for, `complaints` what it had to say on its console."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def open(self, url: str) -> None:
        """Go to an address, and note every request from now on."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.command(f"{domain}.enable")
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give the browser a command; its result."""
        number = len(self._answers) + 1
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(30):
            answer = await self._answers[number]
        assert "error" not in answer, answer
        return dict(answer["result"])

    async def js(self, expression: str) -> Any:
        """The value of an expression, awaited."""
        given = await self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in given, given["exceptionDetails"]
        return given["result"].get("value")

    async def until(self, expression: str, *, within_s: float = 30.0) -> Any:
        """Wait until an expression is true; its value."""
        async with asyncio.timeout(within_s):
            while not (value := await self.js(expression)):  # noqa: ASYNC110 - a page tells nobody
                await asyncio.sleep(0.05)
        return value

    async def press(self, key: str, *, text: str = "") -> None:
        """Press a key."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27}
        for kind in ("keyDown", "keyUp"):
            await self.command(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=codes[key],
            )

    async def write(self, text: str) -> None:
        """Type into what has the focus."""
        await self.command("Input.insertText", text=text)

    async def resize(self, width: int, height: int) -> None:
        """Another screen; below 500 pixels it is a phone's."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    async def dark(self, *, on: bool) -> None:
        """The reader's taste."""
        taste = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        await self.command("Emulation.setEmulatedMedia", features=taste)

    async def screenshot(self, path: Path) -> None:
        """What is to be seen."""
        shot = await self.command("Page.captureScreenshot")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def aclose(self) -> None:
        """Stop listening."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers[told["id"]].set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            elif told["method"] == "Network.webSocketCreated":
                self.requests.append(told["params"]["url"])
            elif told["method"] == "Log.entryAdded":
                self.complaints.append(told["params"]["entry"]["text"])
            elif told["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(told["params"]["exceptionDetails"]))


@asynccontextmanager
async def chromium_page() -> AsyncIterator[Page]:
    """A browser with one empty page; its process is gone afterwards."""
    program = find_chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as http:
                address = await _page_of(http, Path(profile) / "DevToolsActivePort")
                async with http.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    yield page
                    await page.aclose()
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)


async def _page_of(http: aiohttp.ClientSession, port_file: Path) -> str:
    """The address of the page's protocol, once the browser has one."""
    async with asyncio.timeout(START_WITHIN_S):
        while True:
            with suppress(OSError, IndexError, ValueError, aiohttp.ClientError):
                port = int((await asyncio.to_thread(port_file.read_text)).splitlines()[0])
                async with http.get(f"http://127.0.0.1:{port}/json") as answer:
                    pages = [one for one in await answer.json() if one["type"] == "page"]
                return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.1)
