"""What a workflow knows of an avatar that it has made. It stands here for the reason that `step_options.py` gives."""

import msgspec

from contracts.portraits import AvatarRef, StoredObject
from contracts.steps import AlignFaceResult
from domain.portraits import FRAMINGS


class FoundFace(msgspec.Struct, frozen=True, kw_only=True):
    """The one usable face of a picture."""

    picture: StoredObject
    """Decoded and staged."""
    aligned: AlignFaceResult


class MadeAvatar(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar that can be shown, and what is left to do about it."""

    avatar: AvatarRef
    face: FoundFace | None = None
    """What missing portraits are cut from; None where the picture was known: then somebody else sees to them."""
    needless: str = ""
    """The id under which pictures were stored in vain, since a twin was quicker."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The profiles that nobody has waited for."""
        made = {portrait.profile for portrait in self.avatar.portraits}
        return tuple(profile for profile in FRAMINGS if profile not in made)
