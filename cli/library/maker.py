"""From a picture's file to an avatar's portraits, by the pipeline of uploads; it stores nothing."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.face_alignment import AlignedPicture, PortraitMaker, align_with_image
from adapters.image_decoding import ImageDecoder
from adapters.image_pixels import load_rgb
from adapters.image_reading import DecodedImage
from cli.library.ready import ReadyAvatar, ReadyPortrait
from domain.avatars import PREVIEW, AspectRatio, orientation_of


@dataclass(frozen=True, kw_only=True)
class AvatarMaker:
    """The decoder and the face pipeline."""

    decoder: ImageDecoder
    portraits: PortraitMaker

    async def make(self, data: bytes, *, trusted: bool = False) -> ReadyAvatar:
        """Every portrait of the picture's one usable face; Refused where there is none.

        A trusted picture is not judged: its biggest face is taken as it is. NO_FACE where it has none.
        """
        decoded = await self.decoder.decode(data)
        primary, pictures = await asyncio.to_thread(self._cut, decoded, trusted)
        return ReadyAvatar(
            source_sha256=hashlib.sha256(data).hexdigest(),
            primary=primary,
            portraits={profile: _ready(picture) for profile, picture in pictures.items()},
        )

    def _cut(self, decoded: DecodedImage, trusted: bool) -> tuple[AspectRatio, Mapping[str, AlignedPicture]]:
        rgb = load_rgb(decoded.jpeg)
        scale = max(rgb.shape[:2]) / max(decoded.source_width, decoded.source_height)
        if not trusted:
            made = self.portraits.make(rgb, scale, wanted=tuple(AspectRatio))
            return made.primary, made.pictures
        seen = self.portraits.observe(rgb, scale)
        primary = orientation_of(rgb.shape[1], rgb.shape[0])
        return primary, align_with_image(rgb, seen.keypoints, primary, {*AspectRatio, PREVIEW})


def _ready(picture: AlignedPicture) -> ReadyPortrait:
    return ReadyPortrait(
        jpeg=picture.jpeg, width=picture.width, height=picture.height, keypoints=tuple(picture.keypoints)
    )
