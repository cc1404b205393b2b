"""Operators' verbs over many sessions: each step may be done again, and does nothing twice."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.beats import beating
from activities.failures import translated
from contracts import steps
from contracts.operations import (
    EndSelectedInput,
    FindSessionsInput,
    FindSessionsResult,
    MoveSessionsInput,
    ServedSession,
    SessionsDealtWith,
    TakeOutInput,
    TakeOutResult,
)
from contracts.session_workflow import END, MOVE_AWAY, EndSession, MoveAway, MovedAway, SessionEnded, workflow_id
from database.operations import OperatorReading
from database.sessions import Sessions
from domain.failures import Refused
from domain.session import EndReason

END_WITHIN_S = 10.0
MOVE_WITHIN_S = 120.0
"""A minute of speech, and a failover."""

Out = TypeVar("Out")
Dealt = tuple[bool, str]
"""Whether it came to something, and a sentence."""


class OperationActivities:
    """Asks the workflows of sessions, and the database where a session has none any more."""

    def __init__(self, reading: OperatorReading, sessions: Sessions, client: Client) -> None:
        self._reading = reading
        self._sessions = sessions
        self._client = client

    @steps.take_out.implementation
    async def take_out(self, value: TakeOutInput) -> TakeOutResult:
        """Give servers nothing new, and say what they serve."""
        with translated():
            await self._reading.take_out(value.boots, value.version)
            served = await self._reading.served(value.boots, value.version, after=value.after, at_most=value.at_most)
        found = tuple(ServedSession(session_id=session_id, boot_id=boot) for session_id, boot in served.sessions)
        return TakeOutResult(servers=served.servers, sessions=found, number=served.number)

    @steps.move_sessions.implementation
    async def move_sessions(self, value: MoveSessionsInput) -> SessionsDealtWith:
        """Let sessions leave their servers; one that has left already says where it is."""
        async with beating():
            return await _all(self._clear(one, move=value.move, end=value.end) for one in value.sessions)

    @steps.find_sessions.implementation
    async def find_sessions(self, value: FindSessionsInput) -> FindSessionsResult:
        """Sessions that have not ended, by what they have in common."""
        with translated():
            found = await self._reading.find(value.selection, value.since, after=value.after, at_most=value.at_most)
        return FindSessionsResult(session_ids=tuple(found.session_ids), last=found.last)

    @steps.end_selected.implementation
    async def end_selected(self, value: EndSelectedInput) -> SessionsDealtWith:
        """End sessions; one that has ended says how."""
        async with beating():
            return await _all(self._end(session_id, value.reason) for session_id in value.session_ids)

    async def _clear(self, one: ServedSession, *, move: bool, end: bool) -> Dealt:
        if move:
            asked = self._client.get_workflow_handle(workflow_id(one.session_id)).execute_update(
                MOVE_AWAY, MoveAway(boot_id=one.boot_id), result_type=MovedAway
            )
            try:
                moved = await _answer(asked, MOVE_WITHIN_S)
            except (RPCError, WorkflowUpdateFailedError, TimeoutError) as error:
                return False, f"{one.session_id}: {_why(error)}"
            if moved.boot_id != one.boot_id:
                return True, f"{one.session_id} is on {moved.server}"
            if not end:
                return False, f"{one.session_id}: no other server has a free slot"
        return await self._end(one.session_id, EndReason.DRAINED)

    async def _end(self, session_id: str, reason: EndReason) -> Dealt:
        asked = self._client.get_workflow_handle(workflow_id(session_id)).execute_update(
            END, EndSession(reason=reason), result_type=SessionEnded
        )
        try:
            try:
                ended = await _answer(asked, END_WITHIN_S)
            except WorkflowUpdateFailedError:
                return await self._end_row(session_id, reason)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return await self._end_row(session_id, reason)
        except (RPCError, Refused, TimeoutError) as error:
            return False, f"{session_id}: {_why(error)}"
        return True, f"{session_id} ended as {ended.reason}"

    async def _end_row(self, session_id: str, reason: EndReason) -> Dealt:
        """End a session whose workflow has closed: it has ended already, or lost its workflow."""
        ended = await self._sessions.end(session_id, reason)
        return True, f"{session_id} ended as {ended.reason}" if ended else f"{session_id} was never admitted"


async def _all(work: Iterable[Awaitable[Dealt]]) -> SessionsDealtWith:
    dealt = await asyncio.gather(*work)
    done = sum(came for came, _ in dealt)
    return SessionsDealtWith(done=done, troubles=len(dealt) - done, lines=tuple(line for _, line in dealt))


async def _answer(asked: Awaitable[Out], within_s: float) -> Out:
    """The answer, or TimeoutError. In a task of its own: a time limit around the SDK's calls never fires."""
    task = asyncio.ensure_future(asked)
    try:
        await asyncio.wait([task], timeout=within_s)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def _why(error: Exception) -> str:
    if isinstance(error, RPCError):
        return f"Temporal: {error.status.name}"
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)
