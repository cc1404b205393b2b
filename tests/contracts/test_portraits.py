"""References to pictures: an avatar knows its own, and nothing of them can be changed on the way."""

import pytest

from contracts.portraits import AvatarRef, StoredObject, StoredPortrait
from domain.avatars import AspectRatio


def portrait(profile: str) -> StoredPortrait:
    """A stored picture."""
    stored = StoredObject(key=f"avatars/a/{profile}", sha256="0" * 64, size=1)
    return StoredPortrait(profile=profile, object=stored, width=4, height=3, keypoints=())


AVATAR = AvatarRef(
    avatar_id="avat_1", primary=AspectRatio.SQUARE, portraits=(portrait("1:1"), portrait("4:3"), portrait("preview"))
)


@pytest.mark.parametrize("profile", [AspectRatio.LANDSCAPE, "4:3", "preview"])
def test_a_portrait_is_found_by_its_profile(profile: str) -> None:
    """By a ratio as the domain names it or as the wire does, and the preview too."""
    assert AVATAR.portrait(profile) == portrait(profile)


def test_a_profile_that_an_avatar_has_not_is_missing() -> None:
    """No other shape is shown in its place."""
    with pytest.raises(KeyError, match="3:4"):
        AVATAR.portrait(AspectRatio.PORTRAIT)


def test_a_reference_cannot_be_changed() -> None:
    """A workflow that changed its inputs would replay differently."""
    with pytest.raises(AttributeError):
        AVATAR.portraits[0].object.key = "another"  # type: ignore[misc]
