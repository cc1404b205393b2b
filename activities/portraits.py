"""References to pictures and banks, on the wire and in the domain."""

from contracts.portraits import AvatarRef, StoredBank, StoredObject, StoredPortrait
from domain.avatars import Avatar, Bank, Portrait


def to_domain(portrait: StoredPortrait) -> Portrait:
    """The portrait as the domain knows it."""
    return Portrait(
        key=portrait.object.key,
        sha256=portrait.object.sha256,
        size=portrait.object.size,
        width=portrait.width,
        height=portrait.height,
        keypoints=portrait.keypoints,
        banks=tuple(bank_to_domain(bank) for bank in portrait.banks),
    )


def bank_to_domain(bank: StoredBank) -> Bank:
    """The bank as the domain knows it."""
    return Bank(
        renderer=bank.renderer,
        version=bank.version,
        width=bank.width,
        height=bank.height,
        key=bank.object.key,
        sha256=bank.object.sha256,
        size=bank.object.size,
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
            banks=tuple(_stored(bank) for bank in portrait.banks),
        )
        for profile, portrait in avatar.portraits.items()
    )
    return AvatarRef(avatar_id=avatar.avatar_id, primary=avatar.primary, portraits=tuple(portraits))


def _stored(bank: Bank) -> StoredBank:
    return StoredBank(
        renderer=bank.renderer,
        version=bank.version,
        width=bank.width,
        height=bank.height,
        object=StoredObject(key=bank.key, sha256=bank.sha256, size=bank.size),
    )
