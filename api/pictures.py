"""Pictures as clients send them: how they are told apart, their size, and how they are staged. Never decoded here."""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from adapters.object_store import ObjectStore
from contracts.portraits import StoredObject
from contracts.session_workflow import NewPicture
from domain.failures import FailureCode, Refused, Unavailable
from domain.ids import is_avatar_id

MAX_IMAGE_BYTES = 10 * 2**20
SHORTEST_BASE64 = 100
"""Characters. Shorter than any picture; shorter texts are taken for mistyped avatar ids."""

STAGING = "staging"


def is_url(text: str) -> bool:
    """Does the text look like a web address?"""
    return text[:8].lower().startswith(("http://", "https://"))


def picture_in(avatar: str) -> bytes | None:
    """The picture that an `avatar` field carries; None if it is an avatar's id. Refused where it is neither."""
    if is_avatar_id(avatar):
        return None
    if is_url(avatar):
        raise Refused(FailureCode.URL_INPUT_DISABLED, "pictures by address are not enabled here")
    if not avatar.startswith("data:") and len(avatar) < SHORTEST_BASE64:
        raise Refused(FailureCode.AVATAR_NOT_FOUND, "Avatar not found")
    return decode_base64(avatar)


def decode_base64(text: str) -> bytes:
    """The bytes of base64 or of a data URI; its size is checked before anything is decoded."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise Refused(FailureCode.INVALID_IMAGE_INPUT, "the data URI is not base64")
    if len(text) > MAX_IMAGE_BYTES * 4 // 3 + 4:
        raise _too_large()
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(FailureCode.INVALID_IMAGE_INPUT, "the picture is not valid base64") from None
    return check_size(data)


def check_size(data: bytes) -> bytes:
    """The same bytes, if they are not none and not too many."""
    if not data:
        raise Refused(FailureCode.INVALID_IMAGE_INPUT, "the picture is empty")
    if len(data) > MAX_IMAGE_BYTES:
        raise _too_large()
    return data


async def stage(store: ObjectStore, owner: str, data: bytes) -> NewPicture:
    """Put a picture where the workflow finds it; everything below the prefix goes when the workflow is done."""
    prefix = f"{STAGING}/{owner}"
    key = f"{prefix}/source"
    sha256 = await store.put(key, data)
    return NewPicture(source=StoredObject(key=key, sha256=sha256, size=len(data)), staging_prefix=prefix)


@asynccontextmanager
async def discarded_if_unavailable(store: ObjectStore, picture: NewPicture | None) -> AsyncIterator[None]:
    """Delete what was staged if Temporal does not take the request: then no workflow will do it."""
    try:
        yield
    except Unavailable:
        if picture is not None:
            with suppress(Unavailable):  # the sweeper finds it
                await store.delete_below(picture.staging_prefix)
        raise


def _too_large() -> Refused:
    return Refused(
        FailureCode.IMAGE_TOO_LARGE, "the picture is larger than 10 MB", details={"max_bytes": MAX_IMAGE_BYTES}
    )
