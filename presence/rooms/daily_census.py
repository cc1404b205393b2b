"""Counting who is in a Daily room. Daily knows no agents: whoever is visible and not this avatar is a person."""

import asyncio
from collections.abc import Mapping
from typing import Any

from presence.rooms.base import AudienceListener, Occupancy, OccupancyListener

SETTLE_S = 5.0
"""After an interruption others may come back one by one; a count before that might find nobody."""


class Census:
    """Reports the occupancy at the join and on changes, and with it whether anybody can see the picture."""

    def __init__(self, seen: OccupancyListener, watched: AudienceListener) -> None:
        self._seen = seen
        self._watched = watched
        self._there: dict[str, Mapping[str, Any]] = {}
        self._last: Occupancy | None = None
        self._me: Mapping[str, Any] = {}
        self._open = False
        self._settling: asyncio.TimerHandle | None = None

    def enter(self, participants: Mapping[str, Mapping[str, Any]]) -> None:
        """Take note of who was there at the join; `local` is the avatar."""
        self._me = participants.get("local", {})
        for name, participant in participants.items():
            if name != "local":
                self._there[participant["id"]] = participant

    def present(self, participant: Mapping[str, Any]) -> None:
        """Somebody is there."""
        self._there[participant["id"]] = participant
        self._count()

    def absent(self, participant: Mapping[str, Any]) -> None:
        """Somebody is gone, or hides."""
        self._there.pop(participant["id"], None)
        self._count()

    def open(self) -> None:
        """Start to report, with the present occupancy first."""
        self._open = True
        self._count()

    def close(self) -> None:
        """Report nothing until the room is opened again."""
        self._open = False
        if self._settling is not None:
            self._settling.cancel()

    def settle(self) -> None:
        """Report again in a while."""
        self.close()
        self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self.open)

    def _count(self) -> None:
        if not self._open:
            return
        occupancy = Occupancy(people=sum(map(self._is_person, self._there.values())), agents=0)
        if occupancy != self._last:
            self._last = occupancy
            self._seen(occupancy)
            self._watched(occupancy.people > 0)

    def _is_person(self, participant: Mapping[str, Any]) -> bool:
        """Is it neither this avatar nor an older one of the same session, which came with the same token?"""
        info = participant.get("info", {})
        mine = self._me.get("info", {}).get("userId")
        return not info.get("isLocal") and not (mine and info.get("userId") == mine)
