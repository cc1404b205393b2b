"""The room of a session that brought none: made for it before the avatar joins, and deleted when it is over."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.session_workflow import CreateSessionInput
    from domain.session import LifeTimers
from workflows.step_options import perform

LONGER = timedelta(seconds=60)
"""LiveKit closes rooms that stand empty by itself. Later than we do, so that the session's end has our reason."""


class ManagedRoom:
    """Makes and deletes the room by steps; does nothing where the room is the customer's own."""

    def __init__(self, command: CreateSessionInput) -> None:
        self._command = command
        self._making: asyncio.Task[steps.Done] | None = None

    def begin(self, within: timedelta, timers: LifeTimers) -> None:
        """Let the room be made while other steps are done."""
        command = self._command
        if not command.room.managed_name:
            return
        wanted = steps.MakeRoomInput(
            name=command.room.managed_name,
            empty_seconds=_seconds(command.create_within + timers.nobody_joined + LONGER),
            departure_seconds=_seconds(timers.participants_left + LONGER),
        )
        self._making = asyncio.create_task(perform(steps.make_room, wanted, summary="make a room", within=within))

    async def made(self) -> None:
        """Wait until the room is there; the step's failure where it could not be made."""
        if self._making is not None:
            await self._making

    async def delete(self) -> None:
        """Delete the room, which sends away who is left in it; also one that is perhaps still being made."""
        if self._making is None:
            return
        self._making.cancel()
        await workflow.wait([self._making])
        wanted = steps.DeleteRoomInput(name=self._command.room.managed_name)
        try:
            await perform(steps.delete_room, wanted, summary="delete the room")
        except ApplicationError as error:
            workflow.logger.warning("the room could not be deleted; LiveKit closes it when it is empty: %s", error)


def _seconds(time: timedelta) -> int:
    return round(time.total_seconds())
