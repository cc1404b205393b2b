"""Pages of the documentation as a reader types them, on the real system: every call is made, every answer compared."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.docs_commands import Block, block_with, blocks
from support.page_shell import PageShell, differences, shown_json
from support.real_system import RealSystem, new_room

BIN = Path(sys.prefix) / "bin"
PUBLIC = "avat_01KMZJ4WE5QCD9G3EK21QW8NJK"


@pytest.fixture
async def shell(real_system: RealSystem, tmp_path: Path) -> AsyncIterator[PageShell]:
    """A reader's terminal in a checkout; afterwards no session is left."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    livekit = real_system.livekit
    places = {
        "http://127.0.0.1:8080": real_system.running.api_url,
        "KEY=...": f"KEY={real_system.running.api_key}",
        "ws://127.0.0.1:7880": livekit.url,
        "API_KEY=greenroom": f"API_KEY={livekit.api_key}",
        "API_SECRET=...": f"API_SECRET={livekit.api_secret}",
        "python3.11": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "'my-room'": f"'{new_room()}'",
    }
    temporal = {"TEMPORAL_ADDRESS": real_system.running.temporal_address}
    environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), **temporal}
    shell = await PageShell.open(tmp_path, environ, places)
    yield shell
    await shell.aclose()
    for one in (await real_system.call("GET", "/v1/sessions?status=started")).json()["sessions"]:
        await real_system.end(one["session_id"])
    await real_system.wait_released()


def answers_shown(page: str) -> list[tuple[Block, Block | None]]:
    """Each block that is typed, and the block behind it, if that follows at once: what is said to come of it."""
    found = blocks(page)
    pairs = [*zip(found, [*found[1:], None], strict=True)]
    return [
        (one, after if after and after.line == one.line + one.text.count("\n") + 2 else None)
        for one, after in pairs
        if one.language == "sh"
    ]


async def test_the_page_on_the_api(real_system: RealSystem, shell: PageShell) -> None:
    """From top to bottom, the calls of api.md are answered as it says, with the names and headers that it shows."""
    told: list[tuple[str, str]] = []
    for typed, shown in answers_shown("api.md"):
        said = await shell.typed(typed.text)
        values = shown_json(shown.text) if shown and shown.language == "json" else []
        refused = any("error" in value for value in values)
        assert all((status >= 400) == refused for status in said.statuses), (typed.name, said)
        if shown and not values:
            assert headers(shown.text.splitlines()) <= headers(said.lines), typed.name
        for value, answer in zip(values, said.answers, strict=bool(values)):
            whole = answer["session"] if "room" in value else answer
            part = {name: whole[name] for name in value} if "room" in value else whole
            shell.note(value, part)
            told += [(typed.name, one) for one in differences(value, part)]
        if (
            "base64,%s" in typed.text
        ):  # it took the room over from the session before, of which the page goes on telling
            shell.places["sess_01M824TB7QV7YF4K9TFTBPVTBK"] = said.answers[0]["session"]["session_id"]
        if '"platform": "proxy"' in typed.text:
            await real_system.end(said.answers[0]["session"]["session_id"])
    session_id = shell.places["sess_01M824TB7QV7YF4K9TFTBPVTBK"]
    for path, shown in ((f"sessions/{session_id}/timeline", '{"session_id": "sess_01M8DB'), ("usage", '{"usage"')):
        answer = (await real_system.call("GET", f"/v1/{path}")).json()
        told += [(path, one) for value in shown_json(block_with("api.md", shown)) for one in differences(value, answer)]
    assert told == []


def headers(lines: list[str]) -> set[str]:
    """The names of headers, and the status line."""
    return {line.partition(": ")[0].lower() for line in lines}


async def test_the_list_of_workflows(real_system: RealSystem, shell: PageShell) -> None:
    """The first of architecture.md's filters finds a session that has ended, in Temporal's own command line."""
    name = new_room()
    made = await real_system.create(PUBLIC, real_system.room(room=name))
    session_id = made.json()["session"]["session_id"]
    await real_system.end(session_id)
    block = block_with("architecture.md", "temporal workflow list")
    async with asyncio.timeout(20):  # the list follows a moment later
        while not any(session_id in line for line in (await shell.typed(block)).lines):
            pass


async def test_a_client_is_generated(real_system: RealSystem, shell: PageShell, tmp_path: Path) -> None:
    """The command of clients.md makes a client of the running service, with which its example lists the avatars."""
    await shell.typed(f"{block_with('clients.md', 'openapi-python-client').strip()} >generator.log 2>&1")
    [example] = [block.text for block in blocks("clients.md") if block.text.startswith("from greenroom_client")]
    example = example.replace("http://127.0.0.1:8080", real_system.running.api_url)
    (tmp_path / "example.py").write_text(f"KEY = {real_system.running.api_key!r}\n{example}")

    said = await shell.typed("python example.py")
    assert PUBLIC in said.lines, (tmp_path / "generator.log").read_text()
