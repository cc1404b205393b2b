"""References to pictures, on the wire and in the domain."""

from contracts.portraits import AvatarRef, StoredObject, StoredPortrait
from domain.avatars import Avatar, Portrait


def to_domain(portrait: StoredPortrait) -> Portrait:
    """The portrait as the domain knows it."""
    return Portrait(
        key=portrait.object.key,
        sha256=portrait.object.sha256,
        size=portrait.object.size,
        width=portrait.width,
        height=portrait.height,
        keypoints=portrait.keypoints,
    )


def avatar_ref(avatar: Avatar) -> AvatarRef:
    """The avatar as a workflow passes it on."""
    portraits = (
        StoredPortrait(
            profile=profile,
            object=StoredObject(key=portrait.key, sha256=portrait.sha256, size=portrait.size),
            width=portrait.width,
            height=portrait.height,
            keypoints=portrait.keypoints,
        )
        for profile, portrait in avatar.portraits.items()
    )
    return AvatarRef(avatar_id=avatar.avatar_id, primary=avatar.primary, portraits=tuple(portraits))
