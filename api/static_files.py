"""The files of the watch page: read once, compressed once, known by their hashes."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True, kw_only=True)
class StaticFile:
    """One file as it is sent."""

    content: bytes
    compressed: bytes
    kind: str
    etag: str


@cache
def static_file(name: str) -> StaticFile:
    """A file of the folder by its name; KeyError for every other name."""
    path = _names()[name]
    content = path.read_bytes()
    return StaticFile(
        content=content,
        compressed=gzip.compress(content, mtime=0),
        kind=KINDS[path.suffix],
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )


@cache
def _names() -> dict[str, Path]:
    """By a list of what is there, so that no path leads out of the folder."""
    found = (path for path in FOLDER.rglob("*") if path.suffix in KINDS)
    return {path.relative_to(FOLDER).as_posix(): path for path in found}
