"""Where the LiveKit server comes from: PATH, the cache, Go, or the official release; never an unchecked download."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from runtime.cache import locked, publish, staging
from runtime.external.commands import CommandFailedError, run_told, version_of
from runtime.external.found import FoundPart, MissingPartError, Tell

VERSION = "1.13.5"
BINARY = "livekit-server"
MODULE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
RELEASES = f"https://github.com/livekit/livekit/releases/download/v{VERSION}"
GO_AT_LEAST = (1, 26)
GO_BUILD_WITHIN_S = 1200.0
INSTALL = (
    f"No LiveKit server can be had: install livekit-server {VERSION} so that it is on PATH, or Go 1.26 or later so that"
    " it can be built."
)


def cached_server(cache: Path) -> Path:
    """Where the pinned version lies in the cache once it is there."""
    return cache / BINARY / f"v{VERSION}" / BINARY


def find_livekit_server(cache: Path, environ: Mapping[str, str]) -> FoundPart | None:
    """The server on PATH, else in the cache; None if neither runs."""
    on_path = shutil.which(BINARY, path=environ.get("PATH", os.defpath))
    for path, source in ((Path(on_path) if on_path else None, "PATH"), (cached_server(cache), "cache")):
        if path and path.is_file() and (version := _version(path)):
            return FoundPart(name="LiveKit server", path=path, version=version, source=source)
    return None


def ensure_livekit_server(
    cache: Path, environ: Mapping[str, str], *, tell: Tell, releases: str = RELEASES
) -> FoundPart:
    """Find the server or get it; MissingPartError says what to install when nothing worked."""
    if found := find_livekit_server(cache, environ):
        return found
    target = cached_server(cache)
    with locked(target.parent):
        if found := find_livekit_server(cache, environ):  # another set-up was quicker
            return found
        with staging(target.parent) as scratch:
            made, source = _make(scratch, environ, tell, releases)
            version = _version(made)
            if version is None:
                raise MissingPartError(f"{INSTALL} What was fetched does not run on this machine.")
            publish(made, target, executable=True)
    return FoundPart(name="LiveKit server", path=target, version=version, source=source)


def _make(scratch: Path, environ: Mapping[str, str], tell: Tell, releases: str) -> tuple[Path, str]:
    """Build it with Go, else fetch the release; the reasons of both failures stand in the error."""
    tried = []
    try:
        if go := usable_go(environ):
            return _build(go, scratch, environ, tell), "built with Go"
        tried.append("Go 1.26 or later is not on PATH")
    except CommandFailedError as error:
        tried.append(f"building failed: {error}")
    from runtime.external.release import ReleaseError, archive_name, fetch_from_release  # noqa: PLC0415 httpx is slow

    archive = archive_name("livekit", VERSION)
    try:
        if archive:
            made = fetch_from_release(releases, archive, BINARY, scratch, tell=tell)
            made.chmod(0o755)
            return made, "release archive"
        tried.append("the project publishes no archive for this platform")
    except ReleaseError as error:
        tried.append(f"the release cannot be used: {error}")
    raise MissingPartError(f"{INSTALL} ({'; '.join(tried)})")


def usable_go(environ: Mapping[str, str]) -> Path | None:
    """A Go that is new enough to build the pinned version."""
    go = shutil.which("go", path=environ.get("PATH", os.defpath))
    if go is None:
        return None
    text = _go_version(Path(go), environ)
    found = re.search(r"go(\d+)\.(\d+)", text)
    return Path(go) if found and (int(found[1]), int(found[2])) >= GO_AT_LEAST else None


def _go_version(go: Path, environ: Mapping[str, str]) -> str:
    lines: list[str] = []
    try:
        # GOTOOLCHAIN=local: ask for what is installed, do not fetch another one.
        run_told([str(go), "version"], tell=lines.append, within_s=10, environ={**environ, "GOTOOLCHAIN": "local"})
    except (CommandFailedError, OSError):
        return ""
    return " ".join(lines)


def _build(go: Path, scratch: Path, environ: Mapping[str, str], tell: Tell) -> Path:
    tell(f"building LiveKit server {VERSION} with Go, once per machine (about 2 minutes)")
    made = scratch / "bin"
    build_environ = {**environ, "GOBIN": str(made), "GOFLAGS": "", "GO111MODULE": "on"}
    run_told(
        [str(go), "install", "-v", MODULE],
        tell=lambda line: tell(f"building LiveKit server: {line}"),
        within_s=GO_BUILD_WITHIN_S,
        environ=build_environ,
        folder=scratch,
    )
    return made / "server"


def _version(binary: Path) -> str | None:
    text = version_of(binary)
    found = re.search(r"version v?(\S+)", text or "")
    return found[1] if found else None
