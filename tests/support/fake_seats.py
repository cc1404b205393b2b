"""Seats of an avatar server without processes: what is joined is recorded, and a test plays the media process."""

import asyncio
from dataclasses import dataclass, field

from domain.failures import Refused
from presence.processes.media_process import Ended, MediaState
from presence.processes.protocol import Join, Published, RoomSeen


class FakeProcess:
    """A media process whose room is told by the test."""

    def __init__(self) -> None:
        self.served_ms = 0
        self.speaking = False
        self.alive = True
        self.state = MediaState()
        self._changed = asyncio.Event()

    def sees(self, people: int, agents: int = 0, *, agent_there: bool | None = None) -> None:
        """Let the room have so many in it."""
        sequence = self.state.room.sequence + 1 if self.state.room else 1
        room = RoomSeen(sequence=sequence, people=people, agents=agents, agent_there=agent_there)
        self._change(MediaState(version=self.state.version + 1, room=room))

    def ends(self, reason: str, exit_code: int = 0) -> None:
        """Let the process be gone."""
        ended = Ended(reason=reason, served_ms=self.served_ms, exit_code=exit_code)
        self._change(MediaState(version=self.state.version + 1, room=self.state.room, ended=ended))

    async def next_state(self, after: int) -> MediaState:
        """The first state beyond a version."""
        while self.state.version <= after:
            await self._changed.wait()
        return self.state

    async def wait_ended(self) -> Ended:
        """How it ended."""
        while self.state.ended is None:
            await self._changed.wait()
        return self.state.ended

    def _change(self, state: MediaState) -> None:
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(kw_only=True)
class FakeSeats:
    """Who sits where. `refusal` is what a join meets."""

    processes: dict[tuple[str, int], FakeProcess] = field(default_factory=dict)
    joins: list[Join] = field(default_factory=list)
    dismissed: list[tuple[str, int, str]] = field(default_factory=list)
    refusal: Refused | None = None

    def get(self, session_id: str, generation: int) -> FakeProcess | None:
        """The process in a seat."""
        return self.processes.get((session_id, generation))

    async def sit(self, join: Join) -> Published:
        """Publish at once, or refuse."""
        self.joins.append(join)
        if self.refusal:
            raise self.refusal
        self.processes[join.session_id, join.generation] = FakeProcess()
        return Published(
            participant_identity="avatar",
            participant_sid="PA_1",
            room_name="room",
            video_track_sid="TR_1",
            width=join.width,
            height=join.height,
            publish_ms=120,
        )

    async def dismiss(self, session_id: str, generation: int, reason: str) -> int:
        """Leave."""
        self.dismissed.append((session_id, generation, reason))
        process = self.processes.pop((session_id, generation), None)
        return process.served_ms if process else 0
