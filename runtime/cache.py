"""The per-user cache of tools and model files: whole files or none, one writer at a time; it downloads nothing."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where tools and model files live between clones: `$XDG_CACHE_HOME/greenroom`, else `~/.cache/greenroom`."""
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"  # noqa: PTH117
    return root / "greenroom"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder of the cache against other processes. The kernel lets go when the holder dies, however it dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A scratch folder on the same disk as `folder`, gone afterwards. Hold `locked(folder)` around it.

    What a killed predecessor left is removed first, so that interrupted downloads do not pile up.
    """
    for leftover in folder.glob(".staging-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def publish(made: Path, target: Path, *, executable: bool = False) -> None:
    """Give a finished file its name in one step, so that nobody ever finds half of it."""
    if executable:
        made.chmod(0o755)
    with made.open("rb") as content:
        os.fsync(content.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    made.replace(target)
