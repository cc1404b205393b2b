"""Telling a LiveKit agent what was heard of its speech; waits for answers in the background, never in the caller."""

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any, Final

from livekit import rtc
from livekit.rtc import ConnectionState

from presence.rooms.livekit_agent import AgentWatch

log = logging.getLogger(__name__)

PLAYBACK_STARTED: Final = "lk.playback_started"
PLAYBACK_FINISHED: Final = "lk.playback_finished"
TRIES: Final = 3
AGAIN_AFTER_S: Final = 0.1
IN_TURN_S: Final = 0.5
"""How long an end of playback waits for the answer to the one before."""
REACHABLE_WITHIN_S: Final = 15.0
"""While the SDK reconnects nobody is reachable; the agent may come back some seconds after ourselves."""
_LOOK_EVERY_S: Final = 0.1

Code = rtc.RpcError.ErrorCode
_MAY_HAVE_ARRIVED: Final = frozenset({Code.RESPONSE_TIMEOUT, Code.APPLICATION_ERROR})
"""The agent has got the call. To say it again could finish its next segment, since it counts."""


class PlaybackReports:
    """Calls the agent, one finish after the other. A report of speech whose agent has left is kept back."""

    def __init__(self, room: rtc.Room, agent: AgentWatch) -> None:
        self._room = room
        self._agent = agent
        self._tasks: set[asyncio.Task[None]] = set()
        self._previous: asyncio.Task[None] | None = None
        self._wants_starts = True

    def started(self, tenure: int) -> None:
        """Say that a segment is heard. Agents that do not care are not told again."""
        if self._wants_starts and tenure == self._agent.tenure:
            self._run(self._tell_start())

    def finished(self, tenure: int, position_s: float, *, interrupted: bool) -> None:
        """Say how much of a segment was heard. Exactly these keys: the agent builds an object of them."""
        payload = {"playback_position": position_s, "interrupted": interrupted, "synchronized_transcript": None}
        self._previous = self._run(self._tell_finish(tenure, json.dumps(payload), self._previous))

    def close(self) -> None:
        """Say nothing more."""
        for task in self._tasks:
            task.cancel()

    def _run(self, telling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(telling)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _tell_start(self) -> None:
        try:
            await self._call(PLAYBACK_STARTED, "")
        except rtc.RpcError as error:
            if error.code == Code.UNSUPPORTED_METHOD:
                self._wants_starts = False
            else:
                log.info("the agent did not take a start of playback: %s", error.message)

    async def _tell_finish(self, tenure: int, payload: str, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait({previous}, timeout=IN_TURN_S)
        for _ in range(TRIES):
            if not await self._reachable(tenure):
                return
            try:
                await self._call(PLAYBACK_FINISHED, payload)
            except rtc.RpcError as error:
                log.warning("the agent did not take an end of playback: %s", error.message)
                if error.code in _MAY_HAVE_ARRIVED:
                    return
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                return

    async def _call(self, method: str, payload: str) -> None:
        answer = await self._room.local_participant.perform_rpc(
            destination_identity=self._agent.identity, method=method, payload=payload
        )
        if answer == "reject":
            log.warning("the agent rejected %s: it expects another avatar", method)

    async def _reachable(self, tenure: int) -> bool:
        """Wait until the agent whose speech it was can be called; False once that will not be any more."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + REACHABLE_WITHIN_S
        while tenure == self._agent.tenure and loop.time() < give_up_at:
            if not self._agent.out_of_sight and self._room.connection_state == ConnectionState.CONN_CONNECTED:
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return False
