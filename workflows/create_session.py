"""A session from request to end: a ladder of named steps, then one loop of timers, then the end."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import search_attributes, steps
    from contracts.made_avatar import MadeAvatar
    from contracts.portraits import AvatarRef
    from contracts.session_workflow import (
        REPORT_ROOM,
        CreateSessionInput,
        EndSession,
        ExtendSession,
        MoveAway,
        MovedAway,
        NewPicture,
        RoomSeen,
        SessionEnded,
        SessionExtended,
        SessionOutcome,
        SessionStarted,
    )
    from domain.failures import FailureCode
    from domain.plans import shorter
    from domain.session import Due, EndReason, Life, LifeTimers, RoomOccupancy, SessionStatus
from workflows.capacity import FIRST_GENERATION, lease_in_turn
from workflows.deadline import Deadline
from workflows.extension import extend
from workflows.failover import follows, join_order, move
from workflows.managed_room import ManagedRoom
from workflows.minutes import Meter
from workflows.outcomes import refused
from workflows.portrait_steps import discard_staged, finish_avatar, forget_avatar, make_avatar
from workflows.presence_watch import PresenceWatch
from workflows.relocation import relocate
from workflows.step_options import failure, perform
from workflows.undisturbed import undisturbed

In = TypeVar("In")
Out = TypeVar("Out")

FAILOVER = "failover-1"
"""Sessions that began before this was there end as server_lost."""
LONGEST_PAUSE = timedelta(seconds=30)
"""Between attempts to record an end."""


@workflow.defn
class CreateSessionWorkflow:
    """Creates a session, keeps it until it ends, and undoes what it did if it cannot."""

    @workflow.init
    def __init__(self, command: CreateSessionInput) -> None:
        self._command = command
        self._deadline = Deadline(command.create_within, command.wait_up_to)
        self._started: SessionStarted | None = None
        self._refusal: ApplicationError | None = None
        self._occupancy = RoomOccupancy()
        self._end_wanted: EndReason | None = None
        self._ended: SessionEnded | None = None
        self._life: Life | None = None
        self._older_may_run = False
        self._unwanted_boot = ""
        self._leaving: asyncio.Task[bool] | None = None
        self._extensions = 0
        self._last_report = (0, 0)
        self._server = ""
        self._shown: AvatarRef | None = None
        self._made: MadeAvatar | None = None
        self._room = ManagedRoom(command)
        self._meter = Meter(command.session_id, None)

    @workflow.run
    async def run(self, command: CreateSessionInput) -> SessionOutcome:
        """Start or refuse, live, end. A refusal completes the workflow: a failed one means a fault of ours."""
        workflow.set_current_details(self._details(SessionStatus.CREATED))
        try:
            lease, self._life = await self._start()
        except ApplicationError as error:
            await undisturbed(self._undo(error))
            await workflow.wait_condition(workflow.all_handlers_finished)
            return SessionOutcome(outcome="refused", reason=error.type or FailureCode.INTERNAL_ERROR)
        except asyncio.CancelledError:
            await undisturbed(self._undo(failure(FailureCode.CREATE_CANCELLED, "the create was cancelled")))
            raise
        finishing = (
            asyncio.create_task(self._finish(self._made, command.picture)) if self._made and command.picture else None
        )
        self._presence = PresenceWatch(
            command.session_id, lease, FIRST_GENERATION, self._life.timers.settle, command.heartbeat_within
        )
        reason = await self._live()
        ended = await undisturbed(self._end(reason))
        await undisturbed(self._presence.leave())
        await undisturbed(self._room.delete())
        if finishing:
            await undisturbed(finishing)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return SessionOutcome(outcome="ended", reason=ended.reason, started=self._started)

    # --- the ladder --------------------------------------------------------------------------------------------

    async def _start(self) -> tuple[steps.LeaseServerResult, Life]:
        """Climb from the request to a published avatar; the update answers when the start is recorded."""
        command = self._command
        expiry = await self._do(
            steps.calculate_expiry,
            steps.CalculateExpiryInput(account_id=command.account_id),
            "calculate the plan's expiry",
        )
        admitted = await self._admit(expiry)
        self._meter = Meter(command.session_id, admitted.covered_s)
        avatar = self._shown = await self._avatar()
        timers = LifeTimers(
            nobody_joined=_seconds(expiry.nobody_joined_s, command.nobody_joined_after),
            participants_left=_seconds(expiry.participants_left_s, command.participants_left_after),
            agent_left=_seconds(expiry.agent_left_s, command.agent_left_after),
        )
        self._room.begin(self._remaining(), timers)
        with self._deadline.in_line():
            lease = await lease_in_turn(command, partial(self._do, steps.lease_server), self._is_ending)
        self._server = lease.server
        await self._room.made()
        await self._do(*join_order(command, avatar, lease, FIRST_GENERATION), queue=lease.queue)
        recorded = await self._do(
            steps.record_started,
            steps.RecordStartedInput(
                session_id=command.session_id,
                generation=FIRST_GENERATION,
                plan_seconds=shorter(expiry.plan_seconds, command.expires_in),
                enforced_seconds=min(expiry.enforced_seconds, command.expires_in or expiry.enforced_seconds),
            ),
            f"record started on {lease.server}",
        )
        self._started = SessionStarted(
            session_id=command.session_id,
            avatar_id=avatar.avatar_id,
            started_at=recorded.started_at,
            expires_at=recorded.expires_at,
            concurrency=admitted.concurrency,
            max_concurrency=admitted.max_concurrency,
            managed_room=command.room.managed_name,
            minutes_left=admitted.minutes_left,
        )
        return lease, Life(started_at=recorded.started_at, enforced_end=recorded.enforced_end, timers=timers)

    async def _avatar(self) -> AvatarRef:
        """The avatar to show: the stored one, or a new one made of the picture that came with the request."""
        command = self._command
        if command.picture is None:
            wanted = steps.ResolveAvatarInput(
                account_id=command.account_id, avatar_id=command.avatar_id, aspect_ratio=command.aspect_ratio
            )
            return await self._do(steps.resolve_avatar, wanted, f"look up {command.avatar_id}")
        self._made = await make_avatar(
            command.picture,
            avatar_id=command.avatar_id,
            account_id=command.account_id,
            remaining=self._remaining,
            wanted=command.aspect_ratio,
        )
        avatar = self._made.avatar
        if avatar.avatar_id != command.avatar_id:
            known = steps.RecordAvatarInput(session_id=command.session_id, avatar_id=avatar.avatar_id)
            await self._do(steps.record_avatar, known, f"the picture is known: show {avatar.avatar_id}")
        return avatar

    async def _finish(self, made: MadeAvatar, picture: NewPicture) -> None:
        """Make what the create did not wait for; another server that takes the session over then finds it."""
        self._shown = await finish_avatar(made, picture)

    async def _admit(self, expiry: steps.CalculateExpiryResult) -> steps.AdmitSessionResult:
        command = self._command
        asked = steps.AdmitSessionInput(
            session_id=command.session_id,
            account_id=command.account_id,
            avatar_id=command.avatar_id,
            aspect_ratio=command.aspect_ratio,
            metadata=command.metadata,
            duplicate_key=command.duplicate_key,
            key_id=command.key_id,
            remaining_seconds=self._deadline.longest().total_seconds(),
            picture=command.picture is not None,
        )
        return await self._do(steps.admit_session, asked, f"admit on plan {expiry.plan}")

    async def _do(self, step: steps.Step[In, Out], value: In, summary: str, *, queue: str | None = None) -> Out:
        """Perform a step of the create, within what is left of its time."""
        return await perform(step, value, summary=summary, queue=queue, within=self._remaining())

    def _remaining(self) -> timedelta:
        """What is left for the create; a create that was ended meanwhile goes no further."""
        if self._end_wanted is not None:
            raise failure(FailureCode.CREATE_CANCELLED, "the session was ended while it was being created")
        return self._deadline.remaining()

    async def _undo(self, refusal: ApplicationError) -> None:
        """Leave nothing of a create that failed; then let the waiting client know."""
        code = refusal.type or FailureCode.INTERNAL_ERROR
        await self._record_end(code)
        if self._command.picture:
            await forget_avatar(self._command.avatar_id)
            await discard_staged(self._command.picture)
        self._refusal = refusal
        self._tell("refused", code, refused(refusal))
        await self._room.delete()

    # --- the life ----------------------------------------------------------------------------------------------

    async def _live(self) -> str:
        """Stay until a request, a timer, the room or the loss of every server ends the session; the reason."""
        self._tell(SessionStatus.STARTED)
        self._meter.begin(self._runs, lambda: self._occupancy.someone_was_there, self._want_end)
        try:
            while self._end_wanted is None:
                if self._presence.over and (reason := await self._presence.why_over(self._is_ending)):
                    if not follows(reason, older_may_run=self._older_may_run) or not workflow.patched(FAILOVER):
                        return self._occupancy.explain(reason)
                    self._older_may_run = self._presence.may_still_run
                    if why_not := await self._change_server(self._failing_over(EndReason(reason))):
                        return why_not
                    continue
                if self._is_unwanted():
                    why_not = await self._change_server(self._relocating())
                    self._unwanted_boot = ""
                    if why_not:
                        return why_not
                    continue
                await self._wait_for_change(lambda: self._presence.over or self._is_unwanted())
        except asyncio.CancelledError:
            return EndReason.TERMINATED
        return self._end_wanted

    def _runs(self) -> Life:
        assert self._life is not None  # noqa: S101 - a session that runs has a life
        return self._life

    def _want_end(self, reason: EndReason) -> None:
        self._end_wanted = self._end_wanted or reason

    def _is_ending(self) -> bool:
        return self._end_wanted is not None

    def _is_unwanted(self) -> bool:
        return self._presence.lease.boot_id == self._unwanted_boot

    def _next_due(self) -> Due:
        return self._runs().next_due(self._occupancy)

    async def _wait_for_change(self, changed: Callable[[], bool]) -> None:
        """One timer: the next thing that would end the session if nothing happened."""
        due = self._next_due()
        try:
            await workflow.wait_condition(
                lambda: self._is_ending() or changed() or self._next_due() != due,
                timeout=max(due.at - workflow.now(), timedelta(0)),
                timeout_summary=f"{due.reason} at {due.at:%F %T} UTC",
            )
        except TimeoutError:
            self._end_wanted = self._end_wanted or due.reason

    def _failing_over(self, cause: EndReason) -> Coroutine[Any, Any, PresenceWatch | EndReason]:
        assert self._shown is not None  # noqa: S101 - a session that runs shows an avatar
        before = self._presence
        unsure = before.may_still_run
        return move(self._command, self._shown, before.generation, before.settle, cause, older_may_run=unsure)

    async def _relocating(self) -> PresenceWatch | EndReason | None:
        """Leave the server that is to be stopped, if another has a slot; where none has, the wish is over."""
        assert self._shown is not None  # noqa: S101 - a session that runs shows an avatar
        before = self._presence
        moved = await relocate(self._command, self._shown, before, before.settle)
        if isinstance(moved, PresenceWatch):
            self._leaving = asyncio.create_task(before.leave())
        return moved

    async def _change_server(self, changing: Coroutine[Any, Any, PresenceWatch | EndReason | None]) -> str | None:
        """Change the server, while requests and timers may end the session; the end reason if that failed."""
        task = asyncio.create_task(changing)
        while not task.done() and not self._is_ending():
            await self._wait_for_change(task.done)
        if not task.done():
            task.cancel()
            await workflow.wait([task])
            return None
        moved = task.result()
        if isinstance(moved, PresenceWatch):
            self._presence, self._server = moved, moved.server
            self._tell(SessionStatus.STARTED)
            return None
        return moved

    # --- the end -----------------------------------------------------------------------------------------------

    async def _end(self, reason: str) -> SessionEnded:
        self._meter.stop()
        await self._record_end(reason)
        assert self._ended is not None  # noqa: S101 - _record_end does not return before it is set
        self._tell(SessionStatus.ENDED, self._ended.reason)
        return self._ended

    async def _record_end(self, reason: str) -> None:
        """Commit the end, however long the database is away: the place and the slot hang on it (design rule 14)."""
        pause = timedelta(seconds=1)
        while True:
            try:
                recorded = await perform(
                    steps.record_ended,
                    steps.RecordEndedInput(
                        session_id=self._command.session_id,
                        reason=reason,
                        attended=self._occupancy.someone_was_there,
                    ),
                    summary=f"record the end: {reason}",
                )
            except ApplicationError as error:
                workflow.logger.warning("the end could not be recorded yet: %s", error)
                await workflow.sleep(pause, summary="the end could not be recorded; try again")
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self._ended = SessionEnded(
                session_id=self._command.session_id,
                reason=recorded.reason,
                ended_at=recorded.ended_at or workflow.now(),
            )
            return

    # --- what others ask and tell ----------------------------------------------------------------------------------

    @workflow.update
    async def await_started(self) -> SessionStarted:
        """Answer when the session runs, or raise its refusal."""
        await workflow.wait_condition(lambda: self._started is not None or self._refusal is not None)
        if self._started is None:
            assert self._refusal is not None  # noqa: S101 - the condition above
            raise self._refusal
        return self._started

    @workflow.update
    async def end(self, command: EndSession) -> SessionEnded:
        """End the session; answers when the end is recorded. The first reason stays, whoever asks again."""
        self._end_wanted = self._end_wanted or command.reason
        await workflow.wait_condition(lambda: self._ended is not None)
        assert self._ended is not None  # noqa: S101 - the condition above
        return self._ended

    @workflow.update
    async def extend(self, wanted: ExtendSession) -> SessionExtended:
        """Let the session end later, within its plan; answers when that is recorded, or raises the refusal."""
        await workflow.wait_condition(lambda: bool(self._life or self._refusal))
        if self._life is None or self._is_ending() or self._ended:
            raise failure(FailureCode.SESSION_ENDED, "the session has ended")
        self._extensions += 1
        self._life, extended = await extend(self._command.session_id, self._extensions, self._life, wanted)
        return extended

    @workflow.update
    async def move_away(self, wanted: MoveAway) -> MovedAway:
        """Leave an avatar server that is to be stopped; answers where the session is then, moved or not."""
        await workflow.wait_condition(lambda: bool(self._life or self._refusal))
        if self._life is None:
            raise failure(FailureCode.SESSION_ENDED, "the session has ended")
        if self._presence.lease.boot_id == wanted.boot_id and self._ended is None:
            self._unwanted_boot = wanted.boot_id
            await workflow.wait_condition(lambda: not self._unwanted_boot or self._ended is not None)
        lease = self._presence.lease
        return MovedAway(boot_id=lease.boot_id, server=lease.server)

    @workflow.signal(name=REPORT_ROOM)
    def report_room(self, seen: RoomSeen) -> None:
        """Take what the avatar's process sees; reports that were overtaken by a newer one are ignored."""
        if (seen.generation, seen.sequence) <= self._last_report:
            return
        self._last_report = (seen.generation, seen.sequence)
        self._occupancy = self._occupancy.seen(
            seen.people,
            workflow.now(),
            agent_there=seen.agent_there,
            empty_for=timedelta(milliseconds=seen.empty_ms),
            agent_gone_for=timedelta(milliseconds=seen.agent_gone_ms),
        )

    def _tell(self, state: str, reason: str = "", why: str = "") -> None:
        """Show operators where the session stands: search attributes, and a line of details in the UI."""
        pairs = [search_attributes.SESSION_STATE.value_set(state)]
        if state == SessionStatus.STARTED:
            pairs.append(search_attributes.AVATAR_SERVER.value_set(self._server))
        if reason:
            pairs.append(search_attributes.END_REASON.value_set(reason))
        workflow.upsert_search_attributes(pairs)
        workflow.set_current_details(self._details(state, reason, why))

    def _details(self, state: str, reason: str = "", why: str = "") -> str:
        command = self._command
        lines = [
            f"**{state}**{f': {reason}' if reason else ''}",
            *([why] if why else []),
            f"- avatar `{command.avatar_id}`{' (new)' if command.picture else ''} at {command.aspect_ratio}",
            f"- room `{command.room.url}` ({command.room.platform})",
        ]
        if self._server:
            lines.append(f"- avatar server `{self._server}`")
        if self._started:
            until = f"until {self._started.expires_at:%F %T} UTC" if self._started.expires_at else "no plan limit"
            lines.append(f"- since {self._started.started_at:%F %T} UTC, {until}")
        return "\n".join(lines)


def _seconds(of_the_plan: float | None, otherwise: timedelta) -> timedelta:
    """A timer: the plan's or account's own, else the settings'."""
    return otherwise if of_the_plan is None else timedelta(seconds=of_the_plan)
