"""The public avatars that every installation begins with; it fetches no picture: packages bring them."""

import asyncio
import hashlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from adapters.detector_file import detector_path, is_detector_ready, pictures_folder
from cli.library.ready import TABLE, ReadyAvatar, read_ready, write_ready
from domain.avatars import PIPELINE
from domain.failures import Refused, Unavailable
from runtime.cache import locked, staging
from runtime.external.found import Tell
from runtime.settings import Settings

ASTRONAUT, NEWTON, GAUSS = "astronaut.png", "newton.png", "gauss.png"

BUILTIN: Mapping[str, str] = MappingProxyType(
    {
        "avat_01KMZJ4WE5QCD9G3EK21QW8NJK": ASTRONAUT,  # what LiveKit's plugin sends by default
        "avat_01KMZHXFPBVCXA5ATK85HCP8G1": NEWTON,  # what Pipecat's service sends by default
        "avat_01KJBCSKRWWKM9Q1ADP0QNX57D": GAUSS,  # in the example of LiveKit's plugin
        "avat_01KMDFWB9SW1QX4TVP0RT1RFYQ": ASTRONAUT,  # in older documents of Pipecat's service
    }
)
"""Pictures by the ids that public clients send without being told to."""


class NoBuiltinAvatarsError(Exception):
    """The portraits cannot be had on this machine; the message is the reason."""


def astronaut() -> Path:
    """scikit-image's portrait of Eileen Collins, a NASA photograph in the public domain."""
    spec = importlib.util.find_spec("skimage")  # its import would take a second
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("scikit-image is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / ASTRONAUT


def builtin_pictures(cache: Path) -> dict[str, bytes]:
    """The files by name. Raises OSError where one is missing: set-up brings those that lie in the cache."""
    paths = {ASTRONAUT: astronaut(), **{name: pictures_folder(cache) / name for name in (NEWTON, GAUSS)}}
    return {name: path.read_bytes() for name, path in paths.items()}


def builtin_folder(cache: Path) -> Path:
    """Where the ready portraits lie in the cache, a folder for each picture and pipeline."""
    return cache / "avatars"


def folder_of(cache: Path, picture: bytes) -> Path:
    """Where the portraits of one picture lie. The folder appears whole or not at all."""
    return builtin_folder(cache) / f"{PIPELINE}-{hashlib.sha256(picture).hexdigest()[:16]}"


def make_builtins(cache: Path, *, tell: Tell = lambda _: None) -> bool:
    """Make the portraits in the cache that are not there yet; False if none were missing.

    NoBuiltinAvatarsError where they cannot be made, OSError where they cannot be written.
    """
    try:
        pictures = builtin_pictures(cache)
    except OSError as error:
        raise NoBuiltinAvatarsError(f"a picture is missing ({error}); `greenroom setup` brings it") from error
    folders = {name: folder_of(cache, picture) for name, picture in pictures.items()}
    if all((folder / TABLE).is_file() for folder in folders.values()):
        return False
    with locked(builtin_folder(cache)):
        missing = {name: pictures[name] for name, folder in folders.items() if not (folder / TABLE).is_file()}
        if not missing:  # another set-up was quicker
            return False
        tell("making the built-in avatars")
        for name, ready in asyncio.run(portraits_of(missing, cache)).items():
            with staging(builtin_folder(cache)) as scratch:
                made = scratch / "portraits"
                made.mkdir()
                write_ready(ready, made)
                made.replace(folders[name])
    return True


async def portraits_of(pictures: Mapping[str, bytes], cache: Path) -> dict[str, ReadyAvatar]:
    """The portraits of some pictures, made here and now; NoBuiltinAvatarsError without a detector."""
    if not is_detector_ready(cache):
        raise NoBuiltinAvatarsError("there is no face detector; `greenroom setup` fetches it")
    # The libraries of pictures and faces take seconds to import.
    from adapters.face_alignment import PortraitMaker  # noqa: PLC0415
    from adapters.face_detection import DetectorUnavailable, FaceDetector  # noqa: PLC0415
    from adapters.image_decoding import ImageDecoder  # noqa: PLC0415
    from cli.library.maker import AvatarMaker  # noqa: PLC0415

    try:
        threads = os.cpu_count() or 1
        detector = await asyncio.to_thread(FaceDetector, detector_path(cache), device="cpu", threads=threads)
    except DetectorUnavailable as error:
        raise NoBuiltinAvatarsError(str(error)) from error
    decoder = ImageDecoder()
    try:
        maker = AvatarMaker(decoder=decoder, portraits=PortraitMaker(detector))
        return {name: await maker.make(picture, trusted=True) for name, picture in pictures.items()}
    except Refused as refused:
        raise NoBuiltinAvatarsError(str(refused)) from refused
    finally:
        await decoder.aclose()


async def provide_builtins(settings: Settings, cache: Path) -> str:
    """Add the built-in avatars that this installation never had; a sentence on what was done, empty if nothing.

    The database must be of this version. What stands in the way is no error: the installation works without them.
    """
    # The database's library takes .5 s to import.
    from cli.library.shelf import opened_shelf  # noqa: PLC0415

    try:
        async with opened_shelf(settings) as shelf:
            # An operator may have deleted one, or given its id to another picture: both stays so.
            missing = BUILTIN.keys() - await shelf.avatars.known(BUILTIN)
            if not missing:
                return ""
            if not is_storage_named(settings):
                return (
                    "The built-in avatars were left out: say by GREENROOM_STORAGE_URL or GREENROOM_DATA_DIR where "
                    "pictures lie."
                )
            ready = await ready_builtins(cache)
            for avatar_id in sorted(missing):
                await shelf.add(avatar_id, None, ready[BUILTIN[avatar_id]])
    except (NoBuiltinAvatarsError, Unavailable) as reason:
        return f"The built-in avatars were left out: {reason}."
    return f"Built-in avatars were added: {len(missing)}."


def is_storage_named(settings: Settings) -> bool:
    """Do the settings say where pictures lie? A host that only has the database's address would put them anywhere."""
    return bool(settings.storage_url or not settings.database_url or settings.data_dir != Settings().data_dir)


async def ready_builtins(cache: Path) -> dict[str, ReadyAvatar]:
    """The portraits by picture: from the cache, else made now and kept there if that can be written."""
    try:
        await asyncio.to_thread(make_builtins, cache)
        pictures = await asyncio.to_thread(builtin_pictures, cache)
        return {name: read_ready(folder_of(cache, picture)) for name, picture in pictures.items()}
    except (OSError, ValueError):
        # A read-only file system, or a cache that somebody has tidied up.
        pictures = await asyncio.to_thread(builtin_pictures, cache)
        return await portraits_of(pictures, cache)
