"""References to pictures. Payloads carry these, never pixels."""

import msgspec

from domain.avatars import IMAGE, AspectRatio


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object in the store."""

    key: str
    sha256: str
    """Hexadecimal; whoever reads the object checks it."""
    size: int
    """Bytes."""


class StoredBank(msgspec.Struct, frozen=True, kw_only=True):
    """What a renderer has prepared of a portrait for videos of one size."""

    renderer: str
    version: str
    width: int
    height: int
    object: StoredObject


class StoredPortrait(msgspec.Struct, frozen=True, kw_only=True):
    """An aligned picture of an avatar."""

    profile: str
    """An aspect ratio, or `preview`."""
    object: StoredObject
    width: int
    height: int
    keypoints: tuple[tuple[float, float], ...]
    """Left eye, right eye, nose, mouth corners left and right, in image order and pixels of this picture."""
    banks: tuple[StoredBank, ...] = ()

    def with_bank(self, bank: StoredBank) -> "StoredPortrait":
        """The portrait with one bank more."""
        return msgspec.structs.replace(self, banks=(*self.banks, bank))


class FaceMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the face that was found; shown to operators, and to clients whose picture is refused."""

    faces: int
    score: float
    share: float
    """The longer side of the face's box over the longer side of the picture."""
    unit: float
    """The face unit in pixels of the original picture."""
    roll: float
    """Degrees."""
    yaw: float
    pitch: float
    blur: float
    """Re-blur ratio of Crete; higher is blurrier."""


class AvatarRef(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar as a session needs it."""

    avatar_id: str
    primary: AspectRatio
    portraits: tuple[StoredPortrait, ...]

    def with_portraits(self, portraits: tuple[StoredPortrait, ...]) -> "AvatarRef":
        """The avatar with these portraits instead."""
        return msgspec.structs.replace(self, portraits=portraits)

    @property
    def image(self) -> StoredPortrait:
        """The picture that clients are shown in full."""
        shown = (one for one in self.portraits if one.profile == IMAGE)
        return next(shown, None) or self.portrait(self.primary)

    def portrait(self, profile: str) -> StoredPortrait:
        """The portrait of a profile; KeyError if the avatar has none."""
        for portrait in self.portraits:
            if portrait.profile == profile:
                return portrait
        raise KeyError(profile)
