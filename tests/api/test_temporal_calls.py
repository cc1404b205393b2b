"""Calls to Temporal end when they should, and what nobody waits for any more is cancelled."""

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from api import temporal_calls
from api.sessions_gateway import SessionsGateway
from api.temporal_calls import Canceller, TooLong, bounded, refusal_of
from api.uploads_gateway import UploadsGateway
from contracts import steps
from contracts.session_workflow import EndSession, NewPicture
from contracts.upload_workflow import UploadFaceInput
from domain.failures import FailureCode, Refused, Unavailable
from domain.session import EndReason
from runtime.temporal_client import connect
from support.eventually import eventually
from support.session_commands import command, create, new_session_id
from support.stand_in_steps import StandInSteps, stored

NOBODY = "127.0.0.1:9"
"""Nothing listens on the discard port."""


def rpc_error(status: RPCStatusCode) -> RPCError:
    """What the SDK raises for a gRPC status."""
    return RPCError(status.name, status, b"")


async def fail(error: BaseException) -> None:
    """A call that fails."""
    raise error


# --- bounds ----------------------------------------------------------------------------------------------------


async def test_a_call_that_takes_too_long_is_given_up() -> None:
    """It is cancelled; what the SDK makes of that cancellation is not waited for, nor warned about."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    cancelled = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise WorkflowUpdateRPCTimeoutOrCancelledError from None

    with pytest.raises(TooLong):
        await bounded(stubborn(), 0.05)
    await asyncio.wait_for(cancelled.wait(), 5)
    await asyncio.sleep(0)
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert not [context for context in complaints if "stubborn" in repr(context.get("future"))]


async def test_a_caller_that_goes_away_takes_its_call_along() -> None:
    """Nothing goes on waiting for a client that has left."""
    cancelled = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    caller = asyncio.create_task(bounded(endless(), 60))
    await asyncio.sleep(0.05)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(cancelled.wait(), 5)


AWAY = [
    rpc_error(RPCStatusCode.UNAVAILABLE),
    rpc_error(RPCStatusCode.DEADLINE_EXCEEDED),
    rpc_error(RPCStatusCode.CANCELLED),
    WorkflowUpdateRPCTimeoutOrCancelledError(),
    RuntimeError("Failed client connect"),
]


@pytest.mark.parametrize("error", AWAY, ids=[f"{type(error).__name__}-{error}" for error in AWAY])
async def test_temporals_absence_is_one_failure(error: Exception) -> None:
    """However the SDK words it, a client is answered 503."""
    with pytest.raises(Unavailable):
        await bounded(fail(error), 5)


async def test_other_failures_stay_what_they_are() -> None:
    """A workflow that is not there is an answer, not an absence."""
    with pytest.raises(RPCError):
        await bounded(fail(rpc_error(RPCStatusCode.NOT_FOUND)), 5)


async def test_a_server_that_is_not_there_is_unavailable_in_time() -> None:
    """A lazy client's first call, on a port where nobody listens."""
    client = await connect({"TEMPORAL_ADDRESS": NOBODY}, lazy=True)
    with pytest.raises((Unavailable, TooLong)):
        await bounded(client.get_workflow_handle("sess_1").describe(), 3)


# --- refusals --------------------------------------------------------------------------------------------------


def test_a_workflows_refusal_keeps_code_words_and_measures() -> None:
    """What the step said reaches the client as it was."""
    refusal = refusal_of(ApplicationError("No face", {"faces": 0}, type="NO_FACE"))
    assert (refusal.code, refusal.message, refusal.details) == (FailureCode.NO_FACE, "No face", {"faces": 0})
    assert refusal_of(ApplicationError("No face", "a text", type="NO_FACE")).details is None


@pytest.mark.parametrize("kind", [None, "", "SomethingElse", "ValueError"])
def test_an_unknown_failure_is_ours_and_says_nothing(kind: str | None) -> None:
    """An exception's text may quote anything: it goes into our log only."""
    refusal = refusal_of(ApplicationError("a secret", type=kind))
    assert refusal.code == FailureCode.INTERNAL_ERROR
    assert "secret" not in refusal.message
    assert refusal.details is None


def test_a_cancelled_workflow_is_a_cancelled_create() -> None:
    """Which a client may try again."""
    assert refusal_of(CancelledError("cancelled")).code == FailureCode.CREATE_CANCELLED
    assert refusal_of(None).code == FailureCode.CREATE_CANCELLED


# --- cancellations ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def canceller_of(client: object) -> AsyncIterator[Canceller]:
    """A canceller that is closed."""
    canceller = Canceller(cast("Client", client))
    try:
        yield canceller
    finally:
        await canceller.aclose()


async def test_a_running_workflow_is_cancelled(temporal: Client, stand_ins: StandInSteps) -> None:
    """Its own story goes on from there: the session ends as terminated."""
    session_id = new_session_id()
    stand_ins.script(session_id)
    _, running = await create(temporal, command(session_id))
    async with canceller_of(temporal) as canceller:
        canceller.cancel(session_id)
        outcome = await asyncio.wait_for(running.result(), 15)
    assert outcome.reason == EndReason.TERMINATED


async def test_a_workflow_that_starts_late_is_cancelled_too(temporal: Client, stand_ins: StandInSteps) -> None:
    """A create that Temporal did not take in time may still arrive: nobody waits for it any more (design rule 2)."""
    session_id = new_session_id()

    async def slow(_: steps.JoinRoomInput) -> steps.JoinRoomResult:
        await asyncio.sleep(30)
        raise AssertionError

    script = stand_ins.script(session_id, handlers={"join_room": slow})
    async with canceller_of(temporal) as canceller:
        canceller.cancel(session_id)
        await asyncio.sleep(0.4)
        creating = asyncio.create_task(create(temporal, command(session_id)))
        await eventually(lambda: "record_ended" in script.names)
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(temporal.get_workflow_handle(session_id).result(), 15)
    with pytest.raises(WorkflowUpdateFailedError):
        await creating
    assert "record_started" not in script.names


@dataclass(kw_only=True)
class FakeTemporal:
    """A client whose server accepts everything and then answers as it is told."""

    answers: list[Exception] = field(default_factory=list)
    """What cancellations are answered, one after the other; then they succeed."""
    lost: Exception | None = None
    """What the wait for a result ends with; None waits for ever."""
    cancelled: list[str] = field(default_factory=list)
    tries: int = 0
    under_way: int = 0
    started: int = 0
    most: int = 0
    """How many starts were under way at once."""
    accepts: asyncio.Event | None = None
    """Starts are accepted from then on; None: at once."""

    def get_workflow_handle(self, workflow_id: str) -> "FakeHandle":
        """A handle."""
        return FakeHandle(self, workflow_id)

    async def start_update_with_start_workflow(self, *_: object, **__: object) -> "FakeHandle":
        """Accept a create or an upload."""
        self.started += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.accepts is not None:
                await self.accepts.wait()
        finally:
            self.under_way -= 1
        return FakeHandle(self, "")


class FakeHandle:
    """A handle of a workflow or of an update."""

    def __init__(self, temporal: FakeTemporal, workflow_id: str) -> None:
        self._temporal = temporal
        self._workflow_id = workflow_id

    async def cancel(self) -> None:
        """Take the cancellation, or fail."""
        self._temporal.tries += 1
        if self._temporal.answers:
            raise self._temporal.answers.pop(0)
        self._temporal.cancelled.append(self._workflow_id)

    async def result(self) -> None:
        """Wait for a result that never comes."""
        if self._temporal.lost:
            raise self._temporal.lost
        await asyncio.sleep(60)


async def test_a_cancellation_is_repeated_until_temporal_has_taken_it() -> None:
    """Absent, or not knowing the workflow yet: either may pass."""
    away, unknown = rpc_error(RPCStatusCode.UNAVAILABLE), rpc_error(RPCStatusCode.NOT_FOUND)
    temporal = FakeTemporal(answers=[away, unknown])
    async with canceller_of(temporal) as canceller:
        canceller.cancel("sess_1")
        await eventually(lambda: temporal.cancelled == ["sess_1"])
    assert temporal.tries == 3


async def test_closing_gives_up_at_once() -> None:
    """A process that stops does not wait ten minutes for a cancellation."""
    temporal = FakeTemporal(answers=[rpc_error(RPCStatusCode.UNAVAILABLE)] * 1000)
    async with asyncio.timeout(5), canceller_of(temporal) as canceller:
        canceller.cancel("sess_1")
        await eventually(lambda: temporal.tries > 0)
    assert temporal.cancelled == []


# --- creates and uploads whose answer is given up --------------------------------------------------------------

PICTURE = NewPicture(source=stored("staging/1/source"), staging_prefix="staging/1")
UPLOAD = UploadFaceInput(
    account_id="acct_1", avatar_id="avat_1", picture=PICTURE, finish_within=timedelta(seconds=0.05)
)


def creating(temporal: FakeTemporal, canceller: Canceller) -> Coroutine[Any, Any, Any]:
    """A create that has no time."""
    gateway = SessionsGateway(cast("Client", temporal), canceller, 5)
    return gateway.create(command("sess_1", create_within=timedelta(seconds=0.05)))


def uploading(temporal: FakeTemporal, canceller: Canceller) -> Coroutine[Any, Any, Any]:
    """An upload that has no time."""
    return UploadsGateway(cast("Client", temporal), canceller, 5).upload(UPLOAD)


@pytest.mark.parametrize(("call", "workflow"), [(creating, "sess_1"), (uploading, "upload-avat_1")])
@pytest.mark.parametrize(
    ("lost", "code"),
    [
        (None, FailureCode.CREATE_TIMED_OUT),
        (rpc_error(RPCStatusCode.UNAVAILABLE), FailureCode.TEMPORARILY_UNAVAILABLE),
        (WorkflowUpdateRPCTimeoutOrCancelledError(), FailureCode.TEMPORARILY_UNAVAILABLE),
    ],
    ids=["too-long", "away", "no-answer"],
)
async def test_whenever_the_answer_is_given_up_the_workflow_is_cancelled(
    call: Any, workflow: str, lost: Exception | None, code: FailureCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was told 503 tries again: what it left behind must not take a second place."""
    monkeypatch.setattr(temporal_calls, "GRACE_S", 0.05)
    temporal = FakeTemporal(lost=lost)
    async with canceller_of(temporal) as canceller:
        with pytest.raises(Refused) as caught:
            await call(temporal, canceller)
        assert caught.value.code == code
        await eventually(lambda: temporal.cancelled == [workflow])


async def test_creates_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a few starts are under way at once; all the others come to it, and their own time goes on."""
    monkeypatch.setattr(temporal_calls, "AT_ONCE", 3)
    monkeypatch.setattr(temporal_calls, "GRACE_S", 0.05)
    temporal = FakeTemporal(accepts=asyncio.Event(), lost=rpc_error(RPCStatusCode.UNAVAILABLE))
    async with canceller_of(temporal) as canceller:
        gateway = SessionsGateway(cast("Client", temporal), canceller, 5)
        creates = [gateway.create(command(f"sess_{n}", create_within=timedelta(seconds=20))) for n in range(10)]
        all_of_them = asyncio.gather(*creates, return_exceptions=True)
        await eventually(lambda: temporal.under_way == 3)
        temporal.accepts.set()  # type: ignore[union-attr]
        assert all(isinstance(one, Unavailable) for one in await all_of_them)
        await eventually(lambda: len(temporal.cancelled) == 10)
    assert temporal.most == 3


async def test_a_create_whose_turn_does_not_come_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of its own time it waits; then nothing was begun, and nothing is cancelled. A lost one frees its turn."""
    monkeypatch.setattr(temporal_calls, "AT_ONCE", 1)
    temporal = FakeTemporal(accepts=asyncio.Event())
    async with canceller_of(temporal) as canceller:
        gateway = SessionsGateway(cast("Client", temporal), canceller, 0.3)
        first = asyncio.create_task(gateway.create(command("sess_1", create_within=timedelta(seconds=20))))
        await eventually(lambda: temporal.under_way == 1)
        with pytest.raises(Unavailable, match="at once"):
            await gateway.create(command("sess_2", create_within=timedelta(seconds=0.1)))
        with pytest.raises(Unavailable, match="in time"):
            await first
        await eventually(lambda: temporal.cancelled == ["sess_1"])
        with pytest.raises(Unavailable, match="in time"):
            await gateway.create(command("sess_3", create_within=timedelta(seconds=20)))
    assert temporal.most == 1


async def test_who_waits_while_temporal_is_away_is_told_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many creates at once are all answered within the time of one; the next is tried again."""
    monkeypatch.setattr(temporal_calls, "AT_ONCE", 2)
    temporal = FakeTemporal(accepts=asyncio.Event())
    async with canceller_of(temporal) as canceller:
        gateway = SessionsGateway(cast("Client", temporal), canceller, 1.0)
        wanted = [command(f"sess_{number}", create_within=timedelta(seconds=30)) for number in range(20)]
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(gateway.create(one) for one in wanted), return_exceptions=True)
        assert asyncio.get_running_loop().time() - began < 10  # one after the other it would be as many seconds
        assert all(isinstance(answer, Unavailable) for answer in answers)
        assert temporal.started == 2
        with pytest.raises(Unavailable):
            await gateway.create(wanted[0])
        assert temporal.started == 3


async def test_an_end_of_a_session_whose_workflow_is_gone_is_no_failure(temporal: Client) -> None:
    """The row in the database knows the end; the gateway says that there is nobody to ask."""
    async with canceller_of(temporal) as canceller:
        assert await SessionsGateway(temporal, canceller, 5).end(new_session_id(), EndSession()) is None
