"""The operator's own LiveKit server: making and deleting rooms, and tokens for them; enters none."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from livekit import api

from domain.failures import FailureCode, Refused, Unavailable
from domain.rooms import FOR_CLIENT, ON_BEHALF

ANSWER_WITHIN_S = 5.0
MOST_PARTICIPANTS = 4
"""The client, and hidden observers of the operator's. Agents, of which the avatar is one, are not counted."""
LONGEST = timedelta(hours=25)
"""Of a token: a session's hard cap, and what a create may take."""


@dataclass(frozen=True, kw_only=True, repr=False)
class LiveKitAccess:
    """Where the server is, and the key that opens it."""

    url: str
    api_key: str
    api_secret: str


class LiveKitTokens:
    """Tokens for one room each. They are made when they are needed, and stored nowhere."""

    def __init__(self, access: LiveKitAccess) -> None:
        self._access = access

    def avatar(self, room: str, identity: str, *, client: str) -> str:
        """A token for an avatar that takes the speech of the participant `client`."""
        token = self._token(room, identity, LONGEST).with_kind("agent")
        return token.with_attributes({ON_BEHALF: client, FOR_CLIENT: client}).to_jwt()

    def participant(self, room: str, identity: str, life: timedelta = LONGEST) -> str:
        """A token for somebody who watches and may speak."""
        return self._token(room, identity, min(life, LONGEST)).to_jwt()

    def _token(self, room: str, identity: str, life: timedelta) -> api.AccessToken:
        grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True, can_publish_data=True)
        token = api.AccessToken(self._access.api_key, self._access.api_secret).with_ttl(life)
        return token.with_identity(identity).with_name(identity).with_grants(grants)


class LiveKitRooms:
    """Makes and deletes rooms. Both may be repeated: a room that is there stays, one that is gone is no error."""

    def __init__(self, access: LiveKitAccess) -> None:
        self._access = access
        self._opened: api.LiveKitAPI | None = None

    async def make(self, name: str, *, empty: timedelta, departure: timedelta) -> None:
        """Make a room that closes by itself when it has been empty for so long; Unavailable if nobody answers."""
        wanted = api.CreateRoomRequest(
            name=name,
            empty_timeout=_seconds(empty),
            departure_timeout=_seconds(departure),
            max_participants=MOST_PARTICIPANTS,
        )
        async with _answering():
            await self._api().room.create_room(wanted)

    async def delete(self, name: str) -> None:
        """Delete a room and send away who is in it; Unavailable if nobody answers."""
        async with _answering(but=("not_found",)):
            await self._api().room.delete_room(api.DeleteRoomRequest(room=name))

    async def check(self) -> None:
        """Return if the server answers and takes the key; Refused or Unavailable else."""
        async with _answering():
            await self._api().room.list_rooms(api.ListRoomsRequest(names=["greenroom-check"]))

    async def counted(self, identity: str) -> dict[str, int]:
        """How many participants have an identity, by room, where there is any; Unavailable if nobody answers."""
        async with _answering():
            rooms = (await self._api().room.list_rooms(api.ListRoomsRequest())).rooms
        numbers = {room.name: await self._count(room.name, identity) for room in rooms}
        return {name: number for name, number in numbers.items() if number}

    async def _count(self, room: str, identity: str) -> int:
        async with _answering(but=("not_found",)):
            there = await self._api().room.list_participants(api.ListParticipantsRequest(room=room))
            return sum(one.identity == identity for one in there.participants)
        return 0

    async def aclose(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.aclose()

    def _api(self) -> api.LiveKitAPI:
        # Only here: it wants a running event loop.
        if self._opened is None:
            access = self._access
            self._opened = api.LiveKitAPI(
                access.url.replace("ws", "http", 1),
                access.api_key,
                access.api_secret,
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
                failover=False,  # Temporal tries again
            )
        return self._opened


@asynccontextmanager
async def _answering(*, but: Sequence[str] = ()) -> AsyncIterator[None]:
    """LiveKit's errors as refusals; codes in `but` are none."""
    try:
        yield
    except api.TwirpError as error:
        if error.code in but:
            return
        if error.status in (401, 403):
            raise Refused(
                FailureCode.INTERNAL_ERROR, "LiveKit does not take the key that rooms are made with"
            ) from None
        raise Unavailable(f"LiveKit: {error.code}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f"LiveKit: {_told(error)}") from error


def _told(error: Any) -> str:
    return f"{type(error).__name__}: {error}"


def _seconds(time: timedelta) -> int:
    return round(time.total_seconds())
