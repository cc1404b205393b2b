"""The session's workflow on a real dev server, with stand-ins for its steps."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError

from contracts import queues, steps
from contracts.portraits import AvatarRef
from contracts.session_workflow import (
    EndSession,
    ExtendSession,
    MoveAway,
    MovedAway,
    RoomAddress,
    RoomSeen,
    SessionOutcome,
)
from domain.failures import FailureCode
from domain.session import EndReason
from support.eventually import eventually
from support.session_commands import Running, command, create, new_session_id, start_operation
from support.stand_in_steps import BOOT, Script, StandInSteps, joined
from workflows.create_session import CreateSessionWorkflow

PICTURE = ["decode_image", "align_face", "store_avatar", "register_avatar"]
ADMISSION = ["calculate_expiry", "admit_session"]
START = ["lease_server", "join_room", "record_started"]


@pytest.fixture
def session_id() -> str:
    """A fresh session."""
    return new_session_id()


@pytest.fixture
def script(stand_ins: StandInSteps, session_id: str) -> Script:
    """How the session's steps behave."""
    return stand_ins.script(session_id)


async def outcome_of(running: Running) -> SessionOutcome:
    """The outcome, awaited within a bound."""
    async with asyncio.timeout(15):
        return await running.result()


async def refusal(client: Client, session_id: str, **changes: object) -> ApplicationError:
    """The refusal of a create that must fail."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await create(client, command(session_id, **changes))
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


async def test_a_create_by_id_climbs_the_ladder_and_ends_on_request(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Each step is done once and in order; the end is recorded before the avatar is told to leave."""
    started, running = await create(temporal, command(session_id))
    assert started.session_id == session_id
    assert (started.concurrency, started.max_concurrency) == (1, 5)
    # The answer goes out before the step that holds the picture is under way.
    await eventually(lambda: "stay_in_room" in script.names)
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    outcome = await outcome_of(running)
    assert (outcome.outcome, outcome.reason) == ("ended", "ended_by_request")
    assert script.names == [*ADMISSION, "resolve_avatar", *START, "stay_in_room", "record_ended"]
    assert script.left


async def test_a_create_with_a_picture_is_admitted_before_any_work(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Admission comes before the picture's steps, and what was staged is deleted once the session has started."""
    _, running = await create(temporal, command(session_id, with_picture=True))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await outcome_of(running)
    assert script.names[:9] == [*ADMISSION, *PICTURE, *START]
    assert [asked.picture for asked in script.asked(steps.admit_session)] == [True]
    assert "record_avatar" not in script.names
    assert script.names.count("discard_staged") == 1
    assert "forget_avatar" not in script.names


async def test_a_portrait_that_is_still_being_made_is_waited_for(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The step is tried again within the same second, without a timer of the server's."""

    async def resolve(value: steps.ResolveAvatarInput) -> AvatarRef:
        assert value.aspect_ratio == "4:3"
        if script.names.count("resolve_avatar") < 3:
            raise ApplicationError("still being made", type=FailureCode.TEMPORARILY_UNAVAILABLE)
        return await StandInSteps()._resolve_avatar(script, value)

    script.handlers["resolve_avatar"] = resolve
    _, running = await create(temporal, command(session_id))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert script.names.count("resolve_avatar") == 3


async def test_a_portrait_that_does_not_come_is_a_refusal_to_try_again(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The client is told so within two seconds, and what was reserved is given back."""

    async def resolve(_: steps.ResolveAvatarInput) -> AvatarRef:
        raise ApplicationError("still being made", type=FailureCode.TEMPORARILY_UNAVAILABLE)

    script.handlers["resolve_avatar"] = resolve
    cause = await refusal(temporal, session_id)
    assert (cause.type, cause.message) == (FailureCode.TEMPORARILY_UNAVAILABLE, "still being made")
    assert script.names.count("resolve_avatar") == 5
    assert script.names[-2:] == ["resolve_avatar", "record_ended"]


async def test_a_refused_admission_is_an_answer_before_any_work(
    temporal: Client, session_id: str, script: Script
) -> None:
    """A plan without pictures refuses by its code; of the staged picture nothing was read, and it is deleted."""
    script.refusals["admit_session"] = FailureCode.PLAN_REQUIRED
    cause = await refusal(temporal, session_id, with_picture=True)
    assert cause.type == FailureCode.PLAN_REQUIRED
    assert script.names == [*ADMISSION, "record_ended", "forget_avatar", "discard_staged"]


@pytest.mark.parametrize("how", ["known_as", "twin"])
async def test_a_known_picture_is_written_into_the_session(
    temporal: Client, stand_ins: StandInSteps, session_id: str, how: str
) -> None:
    """A session that was admitted for a new avatar says which one it shows instead, before a server is leased."""
    script = stand_ins.script(session_id, **{how: "avat_before"})
    started, running = await create(temporal, command(session_id, picture_host="pictures.example"))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert started.avatar_id == "avat_before"
    shown = steps.RecordAvatarInput(session_id=session_id, avatar_id="avat_before")
    assert script.asked(steps.record_avatar) == [shown]
    assert script.names.index("record_avatar") == script.names.index("lease_server") - 1


async def test_a_refused_face_answers_with_code_and_measures_and_leaves_nothing(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The verdict reaches the client as it was made; avatar and staged objects are undone; the workflow completes."""
    script.refusals["align_face"] = FailureCode.NO_FACE
    cause = await refusal(temporal, session_id, with_picture=True)
    assert cause.type == FailureCode.NO_FACE
    assert cause.details == ({"measured": 1}, "align_face")  # and where it came up
    outcome = await outcome_of(temporal.get_workflow_handle_for(CreateSessionWorkflow.run, session_id))
    assert (outcome.outcome, outcome.reason) == ("refused", "NO_FACE")
    assert script.names[4:] == ["record_ended", "forget_avatar", "discard_staged"]


@pytest.mark.parametrize("failing", [*ADMISSION, *PICTURE, *START])
async def test_a_failure_at_any_step_is_undone(temporal: Client, session_id: str, script: Script, failing: str) -> None:
    """Whatever step fails, the end is recorded, the avatar forgotten, and nothing else comes after the failure."""
    script.refusals[failing] = FailureCode.AT_CAPACITY
    assert (await refusal(temporal, session_id, with_picture=True)).type == FailureCode.AT_CAPACITY
    done = script.names[: script.names.index(failing) + 1]
    assert script.names == [*done, "record_ended", "forget_avatar", "discard_staged"]


async def test_a_repeated_create_gets_the_same_answer(temporal: Client, session_id: str, script: Script) -> None:
    """The same session id meets the same workflow while it lives and after it has closed."""
    first, running = await create(temporal, command(session_id))
    again, _ = await create(temporal, command(session_id))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await outcome_of(running)
    assert again == first
    assert script.names.count("lease_server") == 1


async def test_the_plan_ends_the_session(temporal: Client, session_id: str, script: Script) -> None:
    """When the plan's time is up the session ends as expired."""
    script.plan_seconds = script.enforced_seconds = 0.6
    started, running = await create(temporal, command(session_id))
    assert started.expires_at == started.started_at + timedelta(seconds=0.6)
    assert (await outcome_of(running)).reason == EndReason.EXPIRED
    assert script.left


async def test_a_session_that_nobody_joins_ends(temporal: Client, session_id: str, script: Script) -> None:
    """An agent alone does not count as somebody."""
    wanted = command(session_id, nobody_joined_after=timedelta(seconds=0.6))
    _, running = await create(temporal, wanted)
    alone = RoomSeen(generation=1, sequence=1, people=0, agents=1)
    await running.signal(CreateSessionWorkflow.report_room, alone)
    assert (await outcome_of(running)).reason == EndReason.NOBODY_JOINED


async def test_a_session_ends_a_grace_after_the_last_one_left(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Who comes back within the grace keeps the session; reports that were overtaken change nothing."""
    wanted = command(session_id, participants_left_after=timedelta(seconds=0.8))
    _, running = await create(temporal, wanted)
    for sequence, people in ((1, 1), (2, 0), (3, 1), (2, 0)):
        seen = RoomSeen(generation=1, sequence=sequence, people=people, agents=0)
        await running.signal(CreateSessionWorkflow.report_room, seen)
    await asyncio.sleep(1.2)
    assert "record_ended" not in script.names
    await running.signal(CreateSessionWorkflow.report_room, RoomSeen(generation=1, sequence=4, people=0, agents=1))
    assert (await outcome_of(running)).reason == EndReason.PARTICIPANTS_LEFT


async def test_a_session_ends_a_grace_after_its_agent_left(temporal: Client, session_id: str, script: Script) -> None:
    """An agent that returns inside the grace ends nothing; one that stays away does, with people still there."""
    _, running = await create(temporal, command(session_id, agent_left_after=timedelta(seconds=0.8)))
    for sequence, there in enumerate((True, False, True), start=1):
        seen = RoomSeen(generation=1, sequence=sequence, people=1, agents=1, agent_there=there)
        await running.signal(CreateSessionWorkflow.report_room, seen)
    await asyncio.sleep(1.2)
    assert "record_ended" not in script.names
    seen = RoomSeen(generation=1, sequence=4, people=1, agents=1, agent_there=False, agent_gone_ms=300)
    await running.signal(CreateSessionWorkflow.report_room, seen)
    assert (await outcome_of(running)).reason == EndReason.AGENT_LEFT


async def test_the_rooms_own_reason_ends_the_session(temporal: Client, session_id: str, script: Script) -> None:
    """An avatar that is removed from its room ends the session as removed."""
    _, running = await create(temporal, command(session_id))
    script.leave.set()
    assert (await outcome_of(running)).reason == EndReason.REMOVED


async def test_an_alarm_without_a_lost_server_attaches_again(temporal: Client, session_id: str, script: Script) -> None:
    """A presence step that times out while the lease is still renewed is started again, and the session goes on."""
    original = script.handlers

    async def silent(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        original.pop("stay_in_room")
        await asyncio.sleep(30)
        raise AssertionError

    script.handlers["stay_in_room"] = silent
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    assert script.names.count("look_at_lease") == 2
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert (await outcome_of(running)).reason == EndReason.ENDED_BY_REQUEST


@pytest.mark.parametrize("silent_s", [(0.0, 0.0), (3.3, 3.6), (3.3, 0.0, 0.0), (3.6,)])
async def test_a_silence_that_the_worker_knows_of_counts(
    temporal: Client, session_id: str, script: Script, silent_s: tuple[float, ...]
) -> None:
    """Lost after 1.5 s between two looks; sooner where it is known to be silent; at once after three and a half.

    Where nobody knows any more, the second look having been made by another worker, the 1.5 s are waited for.
    """
    known = iter(silent_s)

    async def silent(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        script.handlers.pop("stay_in_room")
        await asyncio.sleep(30)
        raise AssertionError

    async def look(_: steps.LookAtLeaseInput) -> steps.LookAtLeaseResult:
        return steps.LookAtLeaseResult(held=True, renewals=7, still=timedelta(seconds=next(known)))

    script.handlers |= {"stay_in_room": silent, "look_at_lease": look}
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    assert script.names.count("record_moved") == 1
    assert script.names.count("look_at_lease") == len(silent_s)
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await outcome_of(running)


def lose_server(script: Script) -> None:
    """Let the first server say that it does not serve the session any more."""

    async def gone(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        del script.handlers["stay_in_room"]
        raise ApplicationError("gone", type=FailureCode.SERVER_LOST, non_retryable=True)

    script.handlers["stay_in_room"] = gone


def once_only(script: Script, name: str, code: FailureCode) -> None:
    """Let a step succeed once, and be refused ever after."""

    async def lease(_: steps.LeaseServerInput) -> steps.LeaseServerResult:
        script.refusals[name] = code
        return steps.LeaseServerResult(boot_id=BOOT, server="stand-in-1", queue=queues.avatar_queue(BOOT))

    async def join(value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        script.refusals[name] = code
        return joined(value)

    script.handlers[name] = lease if name == "lease_server" else join


MOVE = ["lease_server", "join_room", "record_moved", "stay_in_room"]


async def test_a_lost_server_is_followed_by_another(temporal: Client, session_id: str, script: Script) -> None:
    """The next generation joins the same room with the same token and picture, and the session goes on."""
    lose_server(script)
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    first, second = script.asked(steps.join_room)
    assert (first.generation, second.generation) == (1, 2)
    assert (first.room, first.portrait) == (second.room, second.portrait)
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    await outcome_of(running)
    assert script.names[-6:] == ["stay_in_room", *MOVE, "record_ended"]
    assert script.asked(steps.record_moved)[0].cause == EndReason.SERVER_LOST


async def test_a_server_that_fails_in_the_join_is_left_for_a_further_one(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Each lease that was had takes a number of its own; a try that found no slot takes none."""
    lose_server(script)
    tries: list[int] = []

    async def lease(value: steps.LeaseServerInput) -> steps.LeaseServerResult:
        tries.append(value.generation)
        if len(tries) == 2:
            raise ApplicationError("no slot", type=FailureCode.AT_CAPACITY, non_retryable=True)
        return steps.LeaseServerResult(boot_id=BOOT, server="stand-in-1", queue=queues.avatar_queue(BOOT))

    async def join(value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        if value.generation == 2:
            raise ApplicationError("died", type=FailureCode.SERVER_LOST, non_retryable=True)
        return joined(value)

    script.handlers |= {"lease_server": lease, "join_room": join}
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    assert tries == [1, 2, 2, 3]
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await outcome_of(running)


async def test_a_session_that_no_server_takes_is_lost(temporal: Client, session_id: str, script: Script) -> None:
    """After its time without a server it ends as server_lost."""
    lose_server(script)
    once_only(script, "lease_server", FailureCode.AT_CAPACITY)
    _, running = await create(temporal, command(session_id, failover_within=timedelta(seconds=1)))
    assert (await outcome_of(running)).reason == EndReason.SERVER_LOST


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (FailureCode.ROOM_TOKEN_REFUSED, EndReason.TOKEN_EXPIRED),
        (FailureCode.ROOM_UNREACHABLE, EndReason.ROOM_UNREACHABLE),
        (FailureCode.ROOM_ENCRYPTED, EndReason.ROOM_ENCRYPTED),
    ],
)
async def test_a_room_that_takes_no_second_avatar_ends_the_session(
    temporal: Client, session_id: str, script: Script, code: FailureCode, reason: EndReason
) -> None:
    """A token that was good and is refused has expired; a room that is gone is unreachable. No other server helps."""
    lose_server(script)
    once_only(script, "join_room", code)
    _, running = await create(temporal, command(session_id))
    assert (await outcome_of(running)).reason == reason
    assert script.names.count("join_room") == 2


async def test_an_identity_that_an_older_generation_took_is_taken_back_once(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The server that was given up wakes up and enters the room: the newer generation goes in again. Not twice."""
    stays = iter(["silent", EndReason.IDENTITY_TAKEN, EndReason.IDENTITY_TAKEN])

    async def stay(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        if (what := next(stays)) == "silent":
            await asyncio.sleep(60)
        return steps.StayInRoomResult(reason=what, served_ms=0)

    script.handlers["stay_in_room"] = stay
    script.server_alive = False
    _, running = await create(temporal, command(session_id))
    assert (await outcome_of(running)).reason == EndReason.IDENTITY_TAKEN
    causes = [moved.cause for moved in script.asked(steps.record_moved)]
    assert causes == [EndReason.SERVER_LOST, EndReason.IDENTITY_TAKEN]
    assert [joined.generation for joined in script.asked(steps.join_room)] == [1, 2, 3]


async def test_an_identity_that_somebody_else_took_ends_the_session(
    temporal: Client, session_id: str, script: Script
) -> None:
    """No older generation can be running: whoever came in has the room now."""
    script.leave_reason = EndReason.IDENTITY_TAKEN
    _, running = await create(temporal, command(session_id))
    script.leave.set()
    assert (await outcome_of(running)).reason == EndReason.IDENTITY_TAKEN
    assert script.names.count("join_room") == 1


async def test_a_server_that_cannot_renew_is_looked_at_before_it_is_given_up(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The database may have been away for everybody: a counter that moves means to attach again."""

    async def unsure(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        del script.handlers["stay_in_room"]
        raise ApplicationError("no renewal", type=FailureCode.TEMPORARILY_UNAVAILABLE, non_retryable=True)

    script.handlers["stay_in_room"] = unsure
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    assert script.names.count("join_room") == 1
    await running.execute_update(CreateSessionWorkflow.end, EndSession())


async def test_a_session_moves_away_from_a_server_that_is_to_be_stopped(
    temporal: Client, session_id: str, script: Script
) -> None:
    """It waits for a pause, leases elsewhere, joins, and then the old avatar is told to leave; asked twice it stays."""
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    script.boot_id = "another"
    moved = await running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id=BOOT))
    assert moved == MovedAway(boot_id="another", server="stand-in-1")
    await eventually(lambda: script.left and script.names.count("stay_in_room") == 2)
    assert script.names[-5:] == ["await_quiet", *MOVE]
    assert script.asked(steps.record_moved)[0].cause == EndReason.DRAINED
    assert await running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id=BOOT)) == moved
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    await outcome_of(running)


@pytest.mark.parametrize("platform", ["livekit", "daily"])
async def test_who_moves_away_leaves_first_where_nobody_is_evicted(
    temporal: Client, session_id: str, script: Script, platform: str
) -> None:
    """In a room of LiveKit the newer avatar puts the older one out, with no gap; in one of Daily there would be two."""
    left: list[bool] = []

    async def join(value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        left.append(script.left)
        return joined(value)

    script.handlers["join_room"] = join
    room = RoomAddress(platform=platform, url="https://greenroom.daily.co/stage", sealed_token="k1.c2VhbGVk")
    _, running = await create(temporal, command(session_id, room=room))
    await eventually(lambda: "stay_in_room" in script.names)
    script.boot_id = "another"
    moved = await running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id=BOOT))
    assert moved == MovedAway(boot_id="another", server="stand-in-1")
    assert left == [False, platform == "daily"]
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await outcome_of(running)


@pytest.mark.parametrize("wanted", [{}, {"heartbeat_within": timedelta(seconds=12)}])
async def test_the_create_says_how_long_a_server_may_be_silent(
    temporal: Client, session_id: str, script: Script, wanted: dict[str, timedelta]
) -> None:
    """Three seconds, unless the API's settings say more: sessions that run keep theirs."""
    seen: list[timedelta | None] = []

    async def stay(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        seen.append(activity.info().heartbeat_timeout)
        return steps.StayInRoomResult(reason=EndReason.REMOVED, served_ms=0)

    script.handlers["stay_in_room"] = stay
    _, running = await create(temporal, command(session_id, **wanted))
    await outcome_of(running)
    assert seen == [wanted.get("heartbeat_within", timedelta(seconds=3))]


async def test_an_end_does_not_wait_for_an_avatar_that_will_not_leave(
    temporal: Client, session_id: str, script: Script
) -> None:
    """It leaves a room of Daily before the next one comes, but whoever ends the session meanwhile is answered."""
    over = asyncio.Event()

    async def stay(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        while not over.is_set():
            activity.heartbeat()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        return steps.StayInRoomResult(reason="left", served_ms=0)

    script.handlers["stay_in_room"] = stay
    room = RoomAddress(platform="daily", url="https://greenroom.daily.co/stage", sealed_token="k1.c2VhbGVk")
    _, running = await create(temporal, command(session_id, room=room))
    await eventually(lambda: "stay_in_room" in script.names)
    moving = asyncio.create_task(running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id=BOOT)))
    await eventually(lambda: script.names.count("lease_server") == 2)
    try:
        async with asyncio.timeout(10):
            ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    finally:
        over.set()
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    assert script.names.count("join_room") == 1
    await moving
    await outcome_of(running)


async def test_a_session_that_no_other_server_takes_stays_where_it_is(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Nothing has changed for it; the operator may end it as drained."""
    once_only(script, "lease_server", FailureCode.AT_CAPACITY)
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    stayed = await running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id=BOOT))
    assert stayed.boot_id == BOOT
    assert script.names.count("join_room") == 1
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession(reason=EndReason.DRAINED))
    assert ended.reason == EndReason.DRAINED


async def test_an_extension_moves_the_expiry(temporal: Client, session_id: str, script: Script) -> None:
    """The timer fires at the later moment, and the client is told it; each extension has a number of its own."""
    script.plan_seconds = script.enforced_seconds = 2
    started, running = await create(temporal, command(session_id))
    for _ in range(2):
        extended = await running.execute_update(CreateSessionWorkflow.extend, ExtendSession(seconds=1))
    assert extended.expires_at is not None
    assert started.expires_at is not None
    assert extended.expires_at > started.expires_at
    assert (await outcome_of(running)).reason == EndReason.EXPIRED
    assert [one.number for one in script.asked(steps.record_extended)] == [1, 2]


async def test_an_extension_beyond_the_plan_is_refused(temporal: Client, session_id: str, script: Script) -> None:
    """The client gets the step's code and details, and the session goes on as it was."""
    script.refusals["record_extended"] = FailureCode.EXTENSION_LIMIT_REACHED
    _, running = await create(temporal, command(session_id))
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await running.execute_update(CreateSessionWorkflow.extend, ExtendSession(seconds=1))
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == FailureCode.EXTENSION_LIMIT_REACHED
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST


async def test_a_session_may_be_shorter_than_its_plan(temporal: Client, session_id: str, script: Script) -> None:
    """The shorter limit is recorded and enforced."""
    _, running = await create(temporal, command(session_id, expires_in=1.0))
    assert (await outcome_of(running)).reason == EndReason.EXPIRED
    recorded = script.asked(steps.record_started)[0]
    assert (recorded.plan_seconds, recorded.enforced_seconds) == (1.0, 1.0)


async def test_an_end_during_a_failover_does_not_wait_for_it(temporal: Client, session_id: str, script: Script) -> None:
    """Whoever ends a session without a server is answered at once."""
    lose_server(script)
    once_only(script, "lease_server", FailureCode.AT_CAPACITY)
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("lease_server") >= 2)
    async with asyncio.timeout(3):
        ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    await outcome_of(running)


async def test_the_first_end_wins(temporal: Client, session_id: str, script: Script) -> None:
    """Two ends at once are one end with one reason."""
    _, running = await create(temporal, command(session_id))
    ends = await asyncio.gather(
        running.execute_update(CreateSessionWorkflow.end, EndSession()),
        running.execute_update(CreateSessionWorkflow.end, EndSession(reason=EndReason.TERMINATED)),
    )
    assert ends[0] == ends[1]
    await outcome_of(running)
    assert script.names.count("record_ended") == 1


async def test_an_end_that_races_the_expiry_is_one_end(temporal: Client, session_id: str, script: Script) -> None:
    """Whichever comes first is recorded, once, and both sides are told the same."""
    script.plan_seconds = script.enforced_seconds = 0.5
    _, running = await create(temporal, command(session_id))
    await asyncio.sleep(0.45)
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason in (EndReason.EXPIRED, EndReason.ENDED_BY_REQUEST)
    assert (await outcome_of(running)).reason == ended.reason
    assert script.names.count("record_ended") == 1


async def test_an_end_against_a_lost_server_is_answered_at_once(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The end does not wait for the avatar server to say anything: it is recorded, and the workflow closes later."""

    async def silent(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        await asyncio.sleep(30)
        raise AssertionError

    script.handlers["stay_in_room"] = silent
    script.server_alive = False
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    async with asyncio.timeout(2):
        ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    assert (await outcome_of(running)).reason == EndReason.ENDED_BY_REQUEST


async def test_a_create_that_is_cancelled_is_undone(temporal: Client, session_id: str, script: Script) -> None:
    """A cancellation in the middle of the join records the end and forgets the avatar before the workflow closes."""
    joining = asyncio.Event()

    async def slow(_: steps.JoinRoomInput) -> steps.JoinRoomResult:
        joining.set()
        await asyncio.sleep(30)
        raise AssertionError

    script.handlers["join_room"] = slow
    creating = asyncio.create_task(create(temporal, command(session_id, with_picture=True)))
    async with asyncio.timeout(10):
        await joining.wait()
    handle = temporal.get_workflow_handle(session_id)
    await handle.cancel()
    with pytest.raises(WorkflowUpdateFailedError):
        await creating
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert script.names[-3:] == ["record_ended", "forget_avatar", "discard_staged"]
    assert script.asked(steps.record_ended)[0].reason == FailureCode.CREATE_CANCELLED


async def test_a_running_session_that_is_cancelled_ends_in_order(
    temporal: Client, session_id: str, script: Script
) -> None:
    """An operator's cancellation ends the session as terminated: recorded, and the avatar gone."""
    _, running = await create(temporal, command(session_id))
    await running.cancel()
    outcome = await outcome_of(running)
    assert outcome.reason == EndReason.TERMINATED
    assert script.left


async def test_a_create_whose_time_is_up_goes_no_further(temporal: Client, session_id: str, script: Script) -> None:
    """The deadline is checked before each step: the create fails by its code, and is undone."""

    async def slow(_: steps.CalculateExpiryInput) -> steps.CalculateExpiryResult:
        await asyncio.sleep(0.5)
        return steps.CalculateExpiryResult(plan="p", plan_seconds=None, enforced_seconds=10)

    script.handlers["calculate_expiry"] = slow
    cause = await refusal(temporal, session_id, create_within=timedelta(seconds=0.4))
    assert cause.type == FailureCode.CREATE_TIMED_OUT
    assert set(script.names) == {"calculate_expiry", "record_ended"}
    assert script.names[-1] == "record_ended"


@pytest.mark.parametrize("late", ["admit_session", *PICTURE, *START])
async def test_a_deadline_that_passes_in_a_step_is_undone(
    temporal: Client, session_id: str, script: Script, late: str
) -> None:
    """Whatever step outlasts the create's time, no step of the create follows it and everything is undone."""

    async def slow(_: object) -> steps.Done:
        await asyncio.sleep(30)
        raise AssertionError

    script.handlers[late] = slow
    cause = await refusal(temporal, session_id, with_picture=True, create_within=timedelta(seconds=1))
    assert cause.type == FailureCode.CREATE_TIMED_OUT
    assert script.names[-3:] == ["record_ended", "forget_avatar", "discard_staged"]
    assert script.names[-4] == late


async def test_an_end_during_the_create_stops_it(temporal: Client, session_id: str, script: Script) -> None:
    """A session that is ended while it is being created never starts."""
    asked, told = asyncio.Event(), asyncio.Event()

    async def slow(value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        asked.set()
        await asyncio.wait_for(told.wait(), 10)
        return await StandInSteps()._join_room(script, value)

    script.handlers["join_room"] = slow
    start = start_operation(command(session_id))
    creating = asyncio.create_task(
        temporal.execute_update_with_start_workflow(
            CreateSessionWorkflow.await_started, start_workflow_operation=start, id="create"
        )
    )
    await asyncio.wait_for(asked.wait(), 10)
    running = temporal.get_workflow_handle_for(CreateSessionWorkflow.run, session_id)
    update = await running.start_update(
        CreateSessionWorkflow.end, EndSession(), wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    told.set()
    ended = await update.result()
    assert ended.reason == FailureCode.CREATE_CANCELLED
    with pytest.raises(WorkflowUpdateFailedError):
        await creating
    assert "record_started" not in script.names


async def test_an_end_is_recorded_however_long_the_database_is_away(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Attempts to record the end go on; the update answers once one succeeds."""
    failures = iter([True] * 4)

    async def flaky(value: steps.RecordEndedInput) -> steps.RecordEndedResult:
        if next(failures, False):
            raise ApplicationError("away", type=FailureCode.TEMPORARILY_UNAVAILABLE)
        return await StandInSteps()._record_ended(script, value)

    script.handlers["record_ended"] = flaky
    _, running = await create(temporal, command(session_id))
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST
    assert script.names.count("record_ended") == 5
