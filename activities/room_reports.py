"""What the session's workflow is told of its room: that somebody is there or not, and the agent; few words for much."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from contracts.session_workflow import REPORT_ROOM, RoomSeen
from presence.processes.media_process import MediaProcess, MediaState
from presence.processes.protocol import RoomSeen as Room

log = logging.getLogger(__name__)

REPORT_EVERY_S = 2.0
"""At most one signal in this time: changes in between are merged, or a busy room would fill the history."""
TELL_AGAIN_S = 1.0

Facts = tuple[bool, bool | None]
"""What the workflow's timers ask for: is somebody there, and is the agent?"""


class RoomReports:
    """Reports the present state once, and then each change of its facts, until Temporal has taken it.

    How many people there are changes nothing. Who goes and is back before `settle` is over was never away; a report of
    an absence says how long it lasts already.
    """

    def __init__(
        self, workflow: WorkflowHandle[Any, Any], generation: int, process: MediaProcess, settle: timedelta
    ) -> None:
        self._workflow = workflow
        self._generation = generation
        self._process = process
        self._settle_s = settle.total_seconds()
        self._told: Facts | None = None
        self._not_before = 0.0
        self._empty_since: float | None = None
        self._agent_gone_since: float | None = None

    async def run(self) -> None:
        """Report until the process has ended."""
        state = self._process.state
        while state.ended is None:
            self._note(state.room)
            due = self._due(state.room)
            pause = None if due is None else due - _now()
            if state.room is not None and pause is not None and pause <= 0:
                await self._tell(state.room)
                state = self._process.state
            else:
                state = await self._next(state, pause)

    async def _next(self, state: MediaState, within_s: float | None) -> MediaState:
        try:
            async with asyncio.timeout(within_s):
                return await self._process.next_state(state.version)
        except TimeoutError:
            return state

    def _note(self, room: Room | None) -> None:
        """Since when people and agent are gone."""
        if room is not None:
            self._empty_since = None if room.people else self._empty_since or _now()
            self._agent_gone_since = None if room.agent_there is not False else self._agent_gone_since or _now()

    def _due(self, room: Room | None) -> float | None:
        """When the room's state is to be told; None where nothing has changed."""
        if room is None or _facts(room) == self._told:
            return None
        if self._told is None:
            return self._not_before
        someone, agent = self._told
        came = (room.people > 0 and not someone) or (room.agent_there is True and not agent)
        gone = (self._empty_since if someone else None, self._agent_gone_since if agent else None)
        settled = min((since for since in gone if since is not None), default=_now()) + self._settle_s
        return self._not_before if came else max(self._not_before, settled)

    async def _tell(self, room: Room) -> None:
        try:
            await self._workflow.signal(REPORT_ROOM, self._report(room))
        except RPCError as error:
            log.warning("a room could not be reported: %s", error.status.name)
            self._not_before = _now() + TELL_AGAIN_S
        else:
            self._told = _facts(room)
            self._not_before = _now() + REPORT_EVERY_S

    def _report(self, room: Room) -> RoomSeen:
        return RoomSeen(
            generation=self._generation,
            sequence=room.sequence,
            people=room.people,
            agents=room.agents,
            agent_there=room.agent_there,
            empty_ms=_ms_since(self._empty_since),
            agent_gone_ms=_ms_since(self._agent_gone_since),
        )


def _facts(room: Room) -> Facts:
    return room.people > 0, room.agent_there


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms_since(moment: float | None) -> int:
    return 0 if moment is None else round((_now() - moment) * 1000)
