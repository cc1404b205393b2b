"""One picture file through the face pipeline, as an upload goes through it; it saves nothing itself."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.face_alignment import PortraitMaker
from adapters.image_decoding import ImageDecoder
from adapters.image_pixels import load_rgb
from adapters.image_reading import MAX_BYTES, DecodedImage
from cli.face_pictures import PictureSaver
from domain.failures import SUGGESTIONS, FailureCode, Refused
from domain.portraits import judge, tell_measures

OK = "OK"

UNITS = {"unit": " px", "roll": " degrees"}
IN_SENTENCES = {"failed", "measured", "limit"}
UNTOLD = {"boxes", "allowed"}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A picture's verdict."""

    path: Path
    verdict: str
    """OK, or the code of the refusal."""
    details: Mapping[str, object]
    """What was measured, as the API tells it."""
    sentences: str = ""
    """What is wrong and what helps; empty if nothing is."""

    @property
    def is_ok(self) -> bool:
        """Can the picture become an avatar?"""
        return self.verdict == OK

    @property
    def lines(self) -> list[str]:
        """For people: the sentences, and what was measured but for the boxes and what the sentences say."""
        hidden = UNTOLD | (IN_SENTENCES if "failed" in self.details else set())
        told = (tell(name, value) for name, value in self.details.items() if name not in hidden)
        return [line for line in (self.sentences, ", ".join(told)) if line]


@dataclass(frozen=True, kw_only=True)
class FaceChecker:
    """The decoder and the face pipeline that pictures are checked with."""

    maker: PortraitMaker
    decoder: ImageDecoder
    saver: PictureSaver

    async def check(self, path: Path) -> Checked | str:
        """The verdict of one file, its pictures saved; a sentence if it cannot be read or decoded for now."""
        try:
            decoded = await self.decoder.decode(await asyncio.to_thread(read, path))
        except OSError as error:
            return f"{path}: {error.strerror}"
        except Refused as refused:
            if refused.code is FailureCode.TEMPORARILY_UNAVAILABLE:
                return f"{path}: {refused.message}"
            return refusal(path, refused)
        return await asyncio.to_thread(self._look, path, decoded)

    def _look(self, path: Path, decoded: DecodedImage) -> Checked:
        rgb = load_rgb(decoded.jpeg)
        scale = max(rgb.shape[:2]) / max(decoded.source_width, decoded.source_height)
        seen = None
        try:
            seen = self.maker.observe(rgb, scale)
            measures = judge(seen, self.maker.thresholds)
        except Refused as refused:
            checked = refusal(path, refused)
        else:
            checked = Checked(path=path, verdict=OK, details=tell_measures(seen, measures))
            self.saver.save_aligned(path, rgb, seen.keypoints)
        self.saver.save_marked(path, rgb, seen, caption=caption(checked))
        return checked


def read(path: Path) -> bytes:
    """A file's bytes; Refused without reading it where it is larger than any picture may be."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        details = {"bytes": size, "limit": MAX_BYTES}
        raise Refused(FailureCode.IMAGE_TOO_LARGE, "The picture is too large", details=details)
    return path.read_bytes()


def refusal(path: Path, refused: Refused) -> Checked:
    """A refusal as a verdict, with the rule that was broken and what a person can do about it."""
    details = refused.details or {}
    rule = broken_rule(details)
    sentences = f"{refused.message}{f' ({rule})' if rule else ''}. {SUGGESTIONS[refused.code]}"
    return Checked(path=path, verdict=refused.code, details=details, sentences=sentences)


def broken_rule(details: Mapping[str, object]) -> str:
    """Which limit was missed and by how much; empty where no face was measured."""
    return "{failed} {measured}, limit {limit}".format_map(details) if "failed" in details else ""


def caption(checked: Checked) -> str:
    """The verdict in a few words, for the marked copy."""
    return ": ".join(part for part in (checked.verdict, broken_rule(checked.details)) if part)


def tell(name: str, value: object) -> str:
    """A measure with its unit."""
    return f"{name} {value}{UNITS.get(name, '')}"
