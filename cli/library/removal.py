"""Deletes avatars as the API does: the mark first, then the pictures, which the API's sweeper goes on with."""

from collections.abc import Mapping

from api.deletion import delete_pictures
from cli.library.shelf import opened_shelf
from domain.failures import FailureCode, Refused
from runtime.settings import load_settings


async def look_up(environ: Mapping[str, str], avatar_id: str) -> str:
    """Whose avatar it is, in words; Refused where there is none."""
    async with opened_shelf(load_settings(environ)) as shelf:
        avatar = await shelf.avatars.get(avatar_id)
    if avatar is None:
        raise _no_avatar(avatar_id)
    return f"of the account {avatar.account_id}" if avatar.account_id else "public"


async def remove(environ: Mapping[str, str], avatar_id: str) -> str:
    """Delete an avatar; a sentence about its pictures. Refused where there is none."""
    async with opened_shelf(load_settings(environ)) as shelf:
        if not await shelf.avatars.mark_deleted(avatar_id):
            raise _no_avatar(avatar_id)
        if await delete_pictures(shelf.avatars, shelf.store, avatar_id):
            return "The avatar and its pictures are deleted."
        shown = not await shelf.avatars.doomed(avatar_id)
    if shown:
        return "The avatar is deleted. A session still shows it: the API deletes its pictures after the session's end."
    return "The avatar is deleted. Its pictures could not be reached: the API deletes them later."


def _no_avatar(avatar_id: str) -> Refused:
    return Refused(FailureCode.AVATAR_NOT_FOUND, f"there is no avatar {avatar_id}")
