"""What takes a part's service away without killing it; the database has its own (`support.fault_database`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def storage_away(folder: Path) -> Iterator[None]:
    """A plain file stands where the object store was: it can be neither read nor written, not even by root."""
    away = folder.with_name("objects-away")
    folder.rename(away)
    folder.write_bytes(b"")
    try:
        yield
    finally:
        folder.unlink()
        away.rename(folder)
