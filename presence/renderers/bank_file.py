"""What a renderer has prepared as one file: its folder's files, and of what they were made; it prepares nothing."""

import io
import zipfile
from pathlib import Path
from typing import Final

import msgspec

from presence.renderers.base import Renderer

ABOUT: Final = "greenroom.json"
LARGEST: Final = 256 * 2**20
"""Bytes of all files of a bank."""
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
"""Every file's time, so that the same bank is the same bytes."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Of what a bank was made, and by whom: one of anything else is refused."""

    renderer: str
    version: str
    portrait_sha256: str
    """Of the portrait's file."""
    width: int
    """Of the video."""
    height: int


def bank_version(renderer: Renderer) -> str | None:
    """The renderer's `bank_version` as text, "1" where it has none; None where nothing is to be stored of it."""
    version = getattr(renderer, "bank_version", "1")
    return None if version is None else str(version)


def pack(folder: Path, about: About) -> bytes:
    """The files below a folder as one. ValueError where they are too large."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if sum(path.stat().st_size for path in files) > LARGEST:
        raise ValueError(f"the bank is larger than {LARGEST} bytes")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(ABOUT, _LONG_AGO), msgspec.json.encode(about))
        for path in files:
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix(), _LONG_AGO), path.read_bytes())
    return packed.getvalue()


def unpack(file: Path, about: About, folder: Path) -> None:
    """Write a bank's files into a folder. OSError, or ValueError where it is damaged or made of something else."""
    try:
        with zipfile.ZipFile(file) as archive:
            found = msgspec.json.decode(archive.read(ABOUT), type=About)
            if found != about:
                raise ValueError(f"it is of {_differing(found, about)}")
            if sum(info.file_size for info in archive.infolist()) > LARGEST + 2**20:
                raise ValueError(f"it is larger than {LARGEST} bytes")
            archive.extractall(folder)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError, msgspec.MsgspecError) as error:
        raise ValueError(f"it is damaged: {type(error).__name__}") from error


def _differing(found: About, wanted: About) -> str:
    pairs = ((name, getattr(found, name), getattr(wanted, name)) for name in About.__struct_fields__)
    return ", ".join(f"{name} {one}, not {other}" for name, one, other in pairs if one != other)
