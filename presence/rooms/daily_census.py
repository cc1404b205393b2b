"""Counting who is in a Daily room. Daily knows no agents: whoever is visible and not this avatar is a person."""

from collections.abc import Mapping
from typing import Any

from presence.rooms.base import AudienceListener, Occupancy, OccupancyListener
from presence.rooms.census import CensusClerk


class Census(CensusClerk):
    """Reports the occupancy at the join and on changes, and with it whether anybody can see the picture."""

    def __init__(self, seen: OccupancyListener, watched: AudienceListener) -> None:

        def told(occupancy: Occupancy) -> None:
            seen(occupancy)
            watched(occupancy.people > 0)

        super().__init__(told)
        self._there: dict[str, Mapping[str, Any]] = {}
        self._me: Mapping[str, Any] = {}

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

    def _occupancy(self) -> Occupancy:
        return Occupancy(people=sum(map(self._is_person, self._there.values())), agents=0)

    def _is_person(self, participant: Mapping[str, Any]) -> bool:
        """Is it neither this avatar nor an older one of the same session, which came with the same token?"""
        info = participant.get("info", {})
        mine = self._me.get("info", {}).get("userId")
        return not info.get("isLocal") and not (mine and info.get("userId") == mine)
