"""Pictures as clients send them: how they are told apart, their size, and how they are staged. Never decoded here."""

import base64
import binascii
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from adapters.object_store import ObjectStore, sha256_of
from contracts.portraits import StoredObject
from contracts.session_workflow import NewPicture
from domain.avatars import STAGING
from domain.failures import FailureCode, Refused, Unavailable
from domain.ids import is_avatar_id
from domain.picture_urls import check_url

MAX_IMAGE_BYTES = 10 * 2**20
SHORTEST_BASE64 = 100
"""Characters. Shorter than any picture; shorter texts are taken for mistyped avatar ids."""


def is_url(text: str) -> bool:
    """Does the text look like a web address?"""
    return text[:8].lower().startswith(("http://", "https://"))


@dataclass(frozen=True, kw_only=True)
class SentPicture:
    """A picture as a client sent it: its bytes, or with `host` an address to fetch it from."""

    data: bytes
    host: str = ""

    @property
    def sha256(self) -> str | None:
        """What the picture is known by; None before it was fetched."""
        return None if self.host else sha256_of(self.data)


def picture_in(avatar: str, hosts: Collection[str]) -> SentPicture | None:
    """The picture that an `avatar` field carries; None if it is an avatar's id. Refused where it is neither.

    `hosts` are those that pictures may be fetched from besides public ones.
    """
    if is_avatar_id(avatar):
        return None
    if is_url(avatar):
        return picture_at(avatar, hosts)
    if not avatar.startswith("data:") and len(avatar) < SHORTEST_BASE64:
        raise Refused(FailureCode.AVATAR_NOT_FOUND, "Avatar not found")
    return SentPicture(data=decode_base64(avatar))


def picture_at(url: str, hosts: Collection[str]) -> SentPicture:
    """A picture that is to be fetched; Refused where its address can be seen to be no good."""
    return SentPicture(data=url.encode(), host=check_url(url, hosts).host)


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


async def stage(store: ObjectStore, owner: str, sent: SentPicture) -> NewPicture:
    """Put a picture where the workflow finds it; everything below the prefix goes when the workflow is done."""
    prefix = f"{STAGING}/{owner}"
    key = f"{prefix}/{'address' if sent.host else 'source'}"
    sha256 = await store.put(key, sent.data)
    source = StoredObject(key=key, sha256=sha256, size=len(sent.data))
    return NewPicture(source=source, staging_prefix=prefix, host=sent.host)


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
    return Refused(FailureCode.IMAGE_TOO_LARGE, "the picture is larger than 10 MB", details={"limit": MAX_IMAGE_BYTES})
