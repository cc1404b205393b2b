"""Deletes avatars: the mark first, then the pictures, then the row. What a crash leaves is left to the sweeper."""

import logging
from datetime import timedelta

from adapters.object_store import ObjectStore
from database.avatars import Avatars
from domain.avatars import pictures_of
from domain.failures import FailureCode, Refused, Unavailable
from domain.ids import is_avatar_id

log = logging.getLogger(__name__)

MARKED_FOR = timedelta(hours=1)
"""For so long a deleted avatar's pictures are deleted again at each sweep: an upload may have been storing more."""


async def delete_avatar(avatars: Avatars, store: ObjectStore, avatar_id: str, account_id: str) -> None:
    """Delete an account's own avatar; AVATAR_NOT_FOUND for every other.

    Its pictures go at once, or after the last session that shows it. From the mark on it is deleted: trouble with
    the pictures is no longer the client's.
    """
    if not is_avatar_id(avatar_id) or not await avatars.mark_deleted(avatar_id, account_id):
        # Whether another account has it is nobody's business.
        raise Refused(FailureCode.AVATAR_NOT_FOUND, "Avatar not found")
    await delete_pictures(avatars, store, avatar_id)


async def delete_pictures(avatars: Avatars, store: ObjectStore, avatar_id: str) -> bool:
    """Delete a deleted avatar's pictures unless a session shows it; did they go? The sweeper has what is left."""
    try:
        for unseen in await avatars.doomed(avatar_id):
            await store.delete_below(pictures_of(unseen))
            return True
    except Unavailable as error:
        log.warning("the pictures of %s are left to the sweeper: %s", avatar_id, error)
    except Exception:
        # A store's library may raise what we have not met.
        log.exception("the pictures of %s are left to the sweeper", avatar_id)
    return False


async def sweep_deleted(avatars: Avatars, store: ObjectStore) -> int:
    """Delete the pictures of deleted avatars that no session shows any more, and in the end their rows; how many."""
    doomed = await avatars.doomed()
    for avatar_id in doomed:
        if not await avatars.doomed(avatar_id):
            continue  # an operator has given its id to another one meanwhile
        await store.delete_below(pictures_of(avatar_id))
        await avatars.drop(avatar_id, deleted_for=MARKED_FOR)
    return len(doomed)
