"""The renderer that the settings choose, as far as a server must see to it: is it there, does its model fit, its host.

The host of the renderer `lipsync` runs beside the media processes that ask it, and ends with this process.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from domain.environments import child_environment
from presence.renderers.lipsync.address import REFUSED, HostAddress, address_of
from presence.renderers.lipsync.launching import MODULE, last_line, log_file
from presence.renderers.lipsync.locking import alone
from runtime.lifeline import VARIABLE, Lifeline, new_lifeline
from runtime.settings import PREFIX, Settings, SettingsError

log = logging.getLogger(__name__)

GROUP: Final = "greenroom.renderers"
LIPSYNC: Final = "lipsync"
CHECK_WITHIN_S: Final = 120.0
"""To load and try a model; a big one on a slow disk takes its time."""
LOOK_S: Final = 0.5
"""How often is looked whether another server's host on this machine is gone."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
"""Before a host that died is started again; doubled each time, and forgotten once one has lived for longer."""
STOP_WITHIN_S: Final = 2.0


def check_renderer(name: str) -> None:
    """SettingsError where no installed package has the renderer; none is imported."""
    installed = sorted(point.name for point in entry_points(group=GROUP))
    if name not in installed:
        raise SettingsError(f"{PREFIX}RENDERER: there is no renderer {name!r}; installed are: {', '.join(installed)}")


@contextlib.asynccontextmanager
async def renderer_ready(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """What media processes must be told besides; a host is kept meanwhile where the renderer needs one.

    SettingsError where the renderer is not installed, or its model's file is missing or does not fit.
    """
    check_renderer(settings.renderer)
    if settings.renderer != LIPSYNC:
        yield {}
        return
    if not settings.lipsync_model:
        raise SettingsError(
            f"{PREFIX}RENDERER is {LIPSYNC}, which needs a model: set {PREFIX}LIPSYNC_MODEL to its file"
        )
    try:
        address = address_of(Path(settings.lipsync_model), settings.lipsync_device)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}RENDERER is {LIPSYNC}, whose host cannot listen: {error}") from None
    await check_model(address, environ)
    host = LipsyncHost(address, environ)
    keeping = asyncio.create_task(host.keep())
    try:
        yield {
            f"{PREFIX}LIPSYNC_MODEL": str(address.model),
            f"{PREFIX}LIPSYNC_DEVICE": address.device,
            f"{PREFIX}LIPSYNC_FOLDER": str(address.folder),
            f"{PREFIX}LIPSYNC_KEPT": "1",
        }
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await host.aclose()


async def check_model(address: HostAddress, environ: Mapping[str, str]) -> None:
    """Have a process apart load and try the model; SettingsError with its sentence where it does not fit."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, str(address.model), "--check", "--device", address.device),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=child_environment(environ),
    )
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            _, said = await process.communicate()
    except TimeoutError:
        raise SettingsError(f"{PREFIX}LIPSYNC_MODEL: it was not loaded within {CHECK_WITHIN_S:.0f} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    if process.returncode == REFUSED and lines:
        raise SettingsError(f"{PREFIX}LIPSYNC_MODEL: {lines[-1].partition(' ERROR ')[2] or lines[-1]}")
    if process.returncode:
        log.error("%s", "\n".join(lines))
        raise SettingsError(f"{PREFIX}LIPSYNC_MODEL: its host ended with {process.returncode} when it was tried")
    log.info("the lip-sync model %s", lines[-1].partition(" INFO ")[2] if lines else "fits")


class LipsyncHost:
    """The machine's host of one model: this server's, unless another server's runs already."""

    def __init__(self, address: HostAddress, environ: Mapping[str, str]) -> None:
        self._address = address
        self._environ = child_environment(environ)
        self._process: asyncio.subprocess.Process | None = None
        self._lifeline: Lifeline | None = None

    @property
    def pid(self) -> int | None:
        """The process id of this server's host; None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def keep(self) -> None:
        """See to it that there is a host, for ever."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_S
        while True:
            with alone(self._address) as free:
                pass
            if not free:  # another server's on this machine, which serves us as well
                await asyncio.sleep(LOOK_S)
                continue
            began = loop.time()
            self._process = await self._start()
            code = await self._process.wait()
            if code:
                log.error("the lip-sync host ended with %d: %s", code, last_line(self._address.log))
            pause = FIRST_PAUSE_S if loop.time() - began > LONGEST_PAUSE_S else min(pause * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """End this server's host."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._lifeline is not None:
            self._lifeline.cut()
            self._lifeline = None

    async def _start(self) -> asyncio.subprocess.Process:
        if self._lifeline is None:
            self._lifeline = new_lifeline()
        address = self._address
        arguments = (str(address.model), "--folder", str(address.folder), "--device", address.device, "--idle", "0")
        with log_file(address.log) as output:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runtime.lifeline", MODULE, *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environ, VARIABLE: str(self._lifeline.reading)},
                pass_fds=(self._lifeline.reading,),
            )
