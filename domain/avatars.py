"""Avatars: the shapes they are stored in, and who may use them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.failures import FailureCode, Refused


class AspectRatio(StrEnum):
    """The shapes a session's video can have."""

    LANDSCAPE = "4:3"
    PORTRAIT = "3:4"
    SQUARE = "1:1"


_UNFIT = re.compile(r"[^A-Za-z0-9._-]")

PIPELINE = "1"
"""Grows when the same picture would become other portraits: then it is not recognised but made anew."""

DEFAULT_ASPECT_RATIO = AspectRatio.LANDSCAPE
PREVIEW = "preview"
IMAGE = "image"
"""The primary portrait no wider than clients are shown; only where the primary portrait itself is wider."""


def parse_aspect_ratio(text: str) -> AspectRatio:
    """The ratio a client asked for; `auto` is the default ratio. Anything else is refused."""
    if text == "auto":
        return DEFAULT_ASPECT_RATIO
    try:
        return AspectRatio(text)
    except ValueError:
        raise Refused(
            FailureCode.INVALID_ASPECT_RATIO,
            "aspect_ratio is not one of 4:3, 3:4, 1:1, auto",
            details={"allowed": [*AspectRatio, "auto"]},
        ) from None


def orientation_of(width: int, height: int) -> AspectRatio:
    """The profile that fits a source picture of `width` x `height` pixels."""
    if width >= 1.15 * height:
        return AspectRatio.LANDSCAPE
    return AspectRatio.PORTRAIT if height >= 1.15 * width else AspectRatio.SQUARE


@dataclass(frozen=True, kw_only=True)
class Bank:
    """What a renderer has prepared of one portrait for videos of one size: where it lies, as one file."""

    renderer: str
    version: str
    """The renderer's own; one of another version is of no use to it."""
    width: int
    height: int
    key: str
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """One stored picture of an avatar: where it is, what it must hash to, and where its face lies."""

    key: str
    """Object key in the store."""
    sha256: str
    size: int
    """Bytes."""
    width: int
    height: int
    keypoints: tuple[tuple[float, float], ...] = ()
    """Left eye, right eye, nose, left and right corner of the mouth, in image order and pixels of this picture."""
    banks: tuple[Bank, ...] = ()
    """At most one for each renderer and size."""


@dataclass(frozen=True, kw_only=True)
class Avatar:
    """A face that sessions can show."""

    avatar_id: str
    account_id: str | None
    """The account that uploaded it; None makes it public."""
    primary: AspectRatio
    portraits: Mapping[str, Portrait]
    """By aspect ratio, and one `preview`."""
    created_at: datetime

    @property
    def image(self) -> Portrait:
        """The picture that clients are shown in full."""
        return self.portraits.get(IMAGE) or self.portraits[self.primary]

    @property
    def tags(self) -> list[str]:
        """The contract's tags."""
        return ["user_exclusive", f"user_{self.account_id}"] if self.account_id else ["public"]


STAGING = "staging"
"""Below which key lies, by session or avatar, what a create or an upload is working on."""


def pictures_of(avatar_id: str) -> str:
    """Below which key of the object store an avatar's pictures lie."""
    return f"avatars/{avatar_id}"


def portrait_key(avatar_id: str, profile: str) -> str:
    """The object key of one of an avatar's pictures; a colon is no good in file names."""
    return f"{pictures_of(avatar_id)}/{picture_name(profile)}"


def picture_name(profile: str) -> str:
    """The file name of a profile's picture."""
    return f"{profile.replace(':', 'x')}.jpg"


def bank_key(avatar_id: str, profile: str, bank: str) -> str:
    """The object key of what a renderer has prepared of a profile's portrait; `bank` tells banks apart."""
    return f"{pictures_of(avatar_id)}/bank-{profile.replace(':', 'x')}-{_UNFIT.sub('_', bank)}.zip"


def with_bank(banks: tuple[Bank, ...], new: Bank) -> tuple[Bank, ...]:
    """The banks of a portrait with a new one, which replaces that of the same renderer and size."""
    kept = (one for one in banks if (one.renderer, one.width, one.height) != (new.renderer, new.width, new.height))
    return (*kept, new)


def shown_size(width: int, height: int, longer_side: int = 0) -> tuple[int, int]:
    """The video's size for a portrait of `width` x `height`: the same shape, both sides even; 0 leaves it as it is."""
    if not longer_side or longer_side == max(width, height):
        return width, height
    scale = longer_side / max(width, height)
    return max(round(width * scale / 2) * 2, 2), max(round(height * scale / 2) * 2, 2)


def original_key(avatar_id: str) -> str:
    """The object key of the picture that an avatar was made of."""
    return f"{pictures_of(avatar_id)}/original"


def check_access(avatar: Avatar | None, account_id: str) -> Avatar:
    """The avatar, if this account may use it; else AVATAR_NOT_FOUND or AVATAR_ACCESS_DENIED."""
    if avatar is None:
        raise Refused(FailureCode.AVATAR_NOT_FOUND, "Avatar not found")
    if avatar.account_id not in (None, account_id):
        raise Refused(FailureCode.AVATAR_ACCESS_DENIED, "Access denied to this avatar")
    return avatar
