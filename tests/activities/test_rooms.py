"""Joining a room and staying in it: real leases, seals and pictures; the media process is played by the test."""

import asyncio
import dataclasses
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import room_reports, rooms
from activities.rooms import RoomActivities, VideoSettings
from adapters.object_cache import ObjectCache
from adapters.object_store import ObjectStore
from adapters.sealing import Sealer
from contracts import steps
from contracts.portraits import StoredBank, StoredObject, StoredPortrait
from contracts.session_workflow import REPORT_ROOM, ROOM_TOKEN_FIELD, RoomAddress, RoomSeen
from domain.failures import FailureCode, Refused
from presence.processes.protocol import DIED, LEFT
from presence.processes.seats import Seats
from support.databases import Database
from support.eventually import eventually
from support.fake_seats import FakeProcess, FakeSeats

SETTLE = timedelta(seconds=0.3)
TOKEN = "eyJ.the-customers-room-token"
SEALER = Sealer({"s1": b"s" * 32})
KEYPOINTS = ((1.0, 2.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0), (3.0, 4.0))


@dataclass(kw_only=True)
class FakeClient:
    """A Temporal client that records signals; `troubles` are what the next ones meet."""

    signals: list[tuple[str, str, RoomSeen]] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)

    def get_workflow_handle(self, workflow_id: str) -> "FakeClient":
        """A handle of the session's workflow."""
        self.workflow_id = workflow_id
        return self

    async def signal(self, name: str, seen: RoomSeen) -> None:
        """Take a signal, or fail."""
        if self.troubles:
            raise self.troubles.pop(0)
        self.signals.append((self.workflow_id, name, seen))


@dataclass(kw_only=True)
class Scene:
    """An avatar server with one session that holds its lease."""

    session_id: str
    database: Database
    store: ObjectStore
    seats: FakeSeats
    client: FakeClient
    activities: RoomActivities
    portrait: StoredPortrait
    cache: Path

    @property
    def process(self) -> FakeProcess:
        """The session's media process."""
        return self.seats.processes[self.session_id, 1]

    def join(self, **changes: Any) -> steps.JoinRoomInput:
        """The order to join."""
        sealed = SEALER.seal(TOKEN, session_id=self.session_id, field=ROOM_TOKEN_FIELD)
        room = RoomAddress(platform="livekit", url="ws://room.example", sealed_token=sealed, display_name="Sara")
        usual = {"session_id": self.session_id, "generation": 1, "room": room, "portrait": self.portrait}
        return steps.JoinRoomInput(**{**usual, **changes})

    def stay(self) -> steps.StayInRoomInput:
        """The order to stay."""
        return steps.StayInRoomInput(session_id=self.session_id, generation=1, settle=SETTLE)


@pytest.fixture
async def scene(database: Database, tmp_path: Path) -> Scene:
    """The session is leased; nobody has joined yet."""
    await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    store = ObjectStore(f"file://{tmp_path / 'objects'}")
    stored = StoredObject(key="avatars/a/4x3.jpg", sha256=await store.put("avatars/a/4x3.jpg", b"jpeg"), size=4)
    seats, client = FakeSeats(), FakeClient()
    activities = RoomActivities(
        client=cast("Client", client),
        leases=database.leases,
        sealer=SEALER,
        pictures=ObjectCache(store, tmp_path / "cache"),
        seats=cast("Seats", seats),
        video=VideoSettings(fps=30, codec="H264", bitrate=1_000_000, frame_marker=True),
    )
    portrait = StoredPortrait(profile="4:3", object=stored, width=1280, height=960, keypoints=KEYPOINTS)
    return Scene(
        session_id=session_id,
        database=database,
        store=store,
        seats=seats,
        client=client,
        activities=activities,
        portrait=portrait,
        cache=tmp_path / "cache",
    )


async def refusal(call: Any) -> ApplicationError:
    """How a step is refused."""
    with pytest.raises(ApplicationError) as caught:
        await call
    return caught.value


@pytest.fixture(autouse=True)
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports and heartbeats come without pauses."""
    monkeypatch.setattr(rooms, "BEAT_S", 0.02)
    for name in ("REPORT_EVERY_S", "TELL_AGAIN_S"):
        monkeypatch.setattr(room_reports, name, 0.02)


@asynccontextmanager
async def staying(scene: Scene) -> AsyncIterator[tuple[ActivityEnvironment, "asyncio.Task[Any]"]]:
    """A session that was joined, with the long step at work."""
    await scene.activities.join_room(scene.join())
    environment = ActivityEnvironment()
    task = asyncio.create_task(environment.run(scene.activities.stay_in_room, scene.stay()))
    await asyncio.sleep(0.05)
    try:
        yield environment, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- joining ---------------------------------------------------------------------------------------------------


async def test_the_token_is_opened_only_for_the_media_process(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """The order carries it, with the portrait as a checked file; neither the answer nor the log does."""
    with caplog.at_level(logging.DEBUG):
        result = await scene.activities.join_room(scene.join())
    (order,) = scene.seats.joins
    assert order.token == TOKEN
    assert (order.url, order.platform, order.generation) == ("ws://room.example", "livekit", 1)
    assert order.display_name == "Sara"
    assert (order.fps, order.codec, order.bitrate, order.frame_marker) == (30, "H264", 1_000_000, True)
    assert (order.width, order.height, order.keypoints) == (1280, 960, KEYPOINTS)
    assert await asyncio.to_thread(Path(order.portrait_path).read_bytes) == b"jpeg"
    assert order.portrait_sha256 == scene.portrait.object.sha256
    assert (result.participant_identity, result.width, result.publish_ms) == ("avatar", 1280, 120)
    assert TOKEN not in f"{result} {order!r} {caplog.text}"


def banked(scene: Scene, stored: StoredObject, **changes: Any) -> StoredPortrait:
    """The scene's portrait with a bank."""
    usual = {"renderer": "still", "version": "1", "width": 1280, "height": 960, "object": stored}
    return scene.portrait.with_bank(StoredBank(**{**usual, **changes}))


async def test_the_order_carries_the_stored_bank(scene: Scene) -> None:
    """The one of this server's renderer and size, as a checked file."""
    key = "avatars/a/bank.zip"
    stored = StoredObject(key=key, sha256=await scene.store.put(key, b"bank"), size=4)
    portrait = banked(scene, stored)
    for other in ({"renderer": "warp"}, {"width": 640, "height": 480}):
        portrait = portrait.with_bank(banked(scene, StoredObject(key="x", sha256="0" * 64, size=1), **other).banks[0])
    await scene.activities.join_room(scene.join(portrait=portrait))
    (order,) = scene.seats.joins
    assert await asyncio.to_thread(Path(order.bank_path).read_bytes) == b"bank"


@pytest.mark.parametrize("how", ["missing", "damaged", "another renderer", "slow"])
async def test_a_join_does_without_a_bank_that_cannot_be_had(
    scene: Scene, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it held up: the media process prepares the portrait itself."""
    key = "avatars/a/bank.zip"
    sha256 = await scene.store.put(key, b"bank")
    if how == "missing":
        await scene.store.delete_below(key)
    if how == "slow":
        held, get = asyncio.Event(), scene.store.get

        async def slowly(asked: str, expected: str | None = None) -> bytes:
            if asked == key:
                await held.wait()
            return await get(asked, expected)

        monkeypatch.setattr(scene.store, "get", slowly)
        monkeypatch.setattr(rooms, "BANK_WITHIN_S", 0.05)
    stored = StoredObject(key=key, sha256="0" * 64 if how == "damaged" else sha256, size=4)
    portrait = banked(scene, stored, renderer="mine" if how == "another renderer" else "still")
    await scene.activities.join_room(scene.join(portrait=portrait))
    assert scene.seats.joins[0].bank_path == ""
    if how == "slow":
        held.set()
        cached = scene.cache / sha256
        await eventually(cached.exists)  # the next join has it


async def test_the_video_has_the_size_that_the_settings_say(scene: Scene) -> None:
    """The portrait's shape stays."""
    video = VideoSettings(fps=25, codec="VP8", bitrate=1, frame_marker=False, size=640, simulcast=True, idle_fps=5)
    scene.activities._video = video
    await scene.activities.join_room(scene.join())
    (order,) = scene.seats.joins
    assert (order.width, order.height, order.simulcast, order.idle_fps) == (640, 480, True, 5)


@pytest.mark.parametrize("wrong", ["key", "session", "text"])
async def test_a_token_that_cannot_be_opened_shows_nothing(
    scene: Scene, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a fault of ours, said without the token and without what was sealed; nobody joins."""
    sealed = {
        "key": Sealer({"s1": b"x" * 32}).seal(TOKEN, session_id=scene.session_id, field=ROOM_TOKEN_FIELD),
        "session": SEALER.seal(TOKEN, session_id="sess_other", field=ROOM_TOKEN_FIELD),
        "text": TOKEN,
    }[wrong]
    room = RoomAddress(platform="livekit", url="ws://room.example", sealed_token=sealed)
    with caplog.at_level(logging.DEBUG):
        error = await refusal(scene.activities.join_room(scene.join(room=room)))
    assert error.type == FailureCode.INTERNAL_ERROR
    assert error.__cause__ is None
    assert scene.seats.joins == []
    for secret in (TOKEN, sealed):
        assert secret not in f"{error} {error.details} {caplog.text}"


@pytest.mark.parametrize("how", ["ended", "overtaken", "never"])
async def test_without_its_lease_nobody_joins(scene: Scene, how: str) -> None:
    """Fencing: a join that comes late meets the row, not the room (design rule 8)."""
    wanted = scene.join()
    if how == "ended":
        await scene.database.sessions.end(scene.session_id, "ended_by_request")
    elif how == "overtaken":
        await scene.database.leases.claim(scene.session_id, 2)
    else:
        wanted = scene.join(generation=3)
    error = await refusal(scene.activities.join_room(wanted))
    assert (error.type, error.non_retryable) == (FailureCode.LEASE_REVOKED, True)
    assert scene.seats.joins == []


async def test_what_the_room_says_is_the_answer(scene: Scene) -> None:
    """A refused token is final, in the process's own words."""
    scene.seats.refusal = Refused(FailureCode.ROOM_TOKEN_REFUSED, "The room refused the token")
    error = await refusal(scene.activities.join_room(scene.join()))
    assert (error.type, error.message) == (FailureCode.ROOM_TOKEN_REFUSED, "The room refused the token")
    assert error.non_retryable


async def test_a_portrait_that_is_gone_is_trouble_of_ours(scene: Scene) -> None:
    """The room is not entered without a picture to show."""
    await scene.store.delete_below("avatars")
    error = await refusal(scene.activities.join_room(scene.join()))
    assert error.type == FailureCode.TEMPORARILY_UNAVAILABLE
    assert scene.seats.joins == []


# --- staying ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("removed", "removed"),
        ("room_deleted", "room_deleted"),
        ("identity_taken", "identity_taken"),
        ("room_unreachable", "room_unreachable"),
        ("room_encrypted", "room_encrypted"),
        ("terminated", "server_lost"),
        (DIED, "server_lost"),
        (LEFT, "server_lost"),
        ("something new", "server_lost"),
    ],
)
async def test_the_rooms_reason_is_passed_on_and_a_death_is_a_lost_server(scene: Scene, said: str, reason: str) -> None:
    """With the time served; a process that went without the room's doing is lost to its session."""
    async with staying(scene) as (_, task):
        scene.process.served_ms = 4200
        scene.process.ends(said)
        result = await asyncio.wait_for(task, 5)
    assert (result.reason, result.served_ms) == (reason, 4200)


async def test_a_requested_cancellation_dismisses_the_avatar(scene: Scene) -> None:
    """The room is told why, and the answer says how long it was served."""
    async with staying(scene) as (environment, task):
        scene.process.served_ms = 900
        await scene.database.sessions.end(scene.session_id, "ended_by_request")
        environment.cancel(ActivityCancellationDetails(cancel_requested=True))
        result = await asyncio.wait_for(task, 5)
    assert (result.reason, result.served_ms) == ("left", 900)
    assert scene.seats.dismissed == [(scene.session_id, 1, "ended_by_request")]


@pytest.mark.parametrize(
    "details",
    [
        # While the lease is held this is no leave: an operator has reset the workflow, and the new run attaches again.
        ActivityCancellationDetails(cancel_requested=True),
        ActivityCancellationDetails(not_found=True),
        ActivityCancellationDetails(timed_out=True),
        ActivityCancellationDetails(worker_shutdown=True),
        ActivityCancellationDetails(paused=True),
        ActivityCancellationDetails(),
    ],
    ids=["reset", "not-found", "timed-out", "worker-shutdown", "paused", "no-reason"],
)
async def test_any_other_cancellation_leaves_the_avatar_where_it_is(
    scene: Scene, details: ActivityCancellationDetails
) -> None:
    """After an outage of Temporal the workflow attaches again: the picture was never touched (design rule 10)."""
    async with staying(scene) as (environment, task):
        environment.cancel(details)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
    assert scene.seats.dismissed == []
    assert scene.process.state.ended is None
    again = asyncio.create_task(ActivityEnvironment().run(scene.activities.stay_in_room, scene.stay()))
    await asyncio.sleep(0.05)
    scene.process.ends("room_deleted")
    assert (await asyncio.wait_for(again, 5)).reason == "room_deleted"


async def test_a_process_that_died_while_nobody_watched_is_found_dead(scene: Scene) -> None:
    """Whoever attaches later still learns how it ended."""
    await scene.activities.join_room(scene.join())
    scene.process.ends("removed")
    result = await ActivityEnvironment().run(scene.activities.stay_in_room, scene.stay())
    assert result.reason == "removed"


async def test_a_session_that_this_server_does_not_serve_is_lost(scene: Scene) -> None:
    """A step that reaches a server without its seat is answered at once."""
    error = await refusal(ActivityEnvironment().run(scene.activities.stay_in_room, scene.stay()))
    assert (error.type, error.non_retryable) == (FailureCode.SERVER_LOST, True)


async def test_a_server_that_stops_says_so_at_once(scene: Scene) -> None:
    """Its avatars go with it: the workflow need not wait for a heartbeat that never comes."""
    async with staying(scene) as (environment, task):
        environment.worker_shutdown()
        error = await refusal(asyncio.wait_for(task, 5))
    assert (error.type, error.non_retryable) == (FailureCode.SERVER_LOST, True)
    assert scene.seats.dismissed == []


async def test_heartbeats_carry_the_time_served(scene: Scene) -> None:
    """Operators read it, and cancellations come back with it."""
    beats: list[int] = []
    await scene.activities.join_room(scene.join())
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    task = asyncio.create_task(environment.run(scene.activities.stay_in_room, scene.stay()))
    await eventually(lambda: len(beats) > 1)
    scene.process.served_ms = 7000
    await eventually(lambda: beats[-1] == 7000)
    scene.process.ends("removed")
    await task


async def test_heartbeats_come_three_times_as_often_as_they_have_to(scene: Scene) -> None:
    """Where the session allows more time between them, Temporal gets fewer."""
    beats: list[float] = []
    await scene.activities.join_room(scene.join())
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, heartbeat_timeout=timedelta(seconds=0.6))
    environment.on_heartbeat = lambda *_: beats.append(time.monotonic())
    task = asyncio.create_task(environment.run(scene.activities.stay_in_room, scene.stay()))
    await eventually(lambda: len(beats) > 2)
    scene.process.ends("removed")
    await task
    assert all(later - earlier >= 0.19 for earlier, later in itertools.pairwise(beats))


# --- telling who is there --------------------------------------------------------------------------------------


async def test_who_is_in_the_room_is_told_on_each_attachment_and_change(scene: Scene) -> None:
    """To the session's own workflow, with generation and sequence; changes in between are merged."""
    await scene.activities.join_room(scene.join())
    scene.process.sees(0, agents=1)
    async with staying_again(scene):
        await eventually(lambda: len(scene.client.signals) == 1)
        for people in (1, 2, 3):
            scene.process.sees(people, agents=1)
        await eventually(lambda: len(scene.client.signals) == 2)
    assert scene.client.signals[-1][2].people > 0
    async with staying_again(scene):
        before = len(scene.client.signals)
        await eventually(lambda: len(scene.client.signals) == before + 1)
    assert {(workflow, name) for workflow, name, _ in scene.client.signals} == {(scene.session_id, REPORT_ROOM)}
    last = scene.client.signals[-1][2]
    assert (last.generation, last.sequence, last.people, last.agents) == (1, 4, 3, 1)


async def test_what_temporal_did_not_take_is_told_again_as_it_is_then(scene: Scene) -> None:
    """While Temporal is away nothing is queued up: the present state is what counts afterwards."""
    await scene.activities.join_room(scene.join())
    scene.client.troubles = [RPCError("away", RPCStatusCode.UNAVAILABLE, b"")] * 3
    scene.process.sees(1)
    async with staying_again(scene):
        await eventually(lambda: len(scene.client.troubles) < 3)
        scene.process.sees(0)
        await eventually(lambda: bool(scene.client.signals))
        await asyncio.sleep(0.1)
    assert [seen.people for _, _, seen in scene.client.signals] == [0]


async def test_a_busy_room_does_not_fill_the_history(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come and go within the pause, there is one signal for it."""
    monkeypatch.setattr(room_reports, "REPORT_EVERY_S", 0.3)
    await scene.activities.join_room(scene.join())
    scene.process.sees(0)
    async with staying_again(scene):
        await eventually(lambda: len(scene.client.signals) == 1)
        for people in range(1, 50):
            scene.process.sees(people)
            await asyncio.sleep(0)
        await eventually(lambda: len(scene.client.signals) == 2)
        for people in range(1, 50):
            scene.process.sees(people)
            await asyncio.sleep(0)
        await asyncio.sleep(0.4)
    assert [seen.people > 0 for _, _, seen in scene.client.signals] == [False, True]


async def test_who_is_back_at_once_was_never_away(scene: Scene) -> None:
    """Who reloads the page and an agent that reconnects are not reported; who stays away is, with since when."""
    await scene.activities.join_room(scene.join())
    scene.process.sees(1, agents=1, agent_there=True)
    async with staying_again(scene):
        await eventually(lambda: len(scene.client.signals) == 1)
        for _ in range(5):
            scene.process.sees(0, agent_there=False)
            await asyncio.sleep(0.03)
            scene.process.sees(1, agents=1, agent_there=True)
            await asyncio.sleep(0.03)
        assert len(scene.client.signals) == 1
        scene.process.sees(1, agent_there=False)
        await eventually(lambda: len(scene.client.signals) == 2)
        scene.process.sees(1, agents=1, agent_there=True)
        await eventually(lambda: len(scene.client.signals) == 3)
    reported = [seen for _, _, seen in scene.client.signals]
    assert [seen.agent_there for seen in reported] == [True, False, True]
    assert reported[1].agent_gone_ms >= SETTLE.total_seconds() * 1000 - 5
    assert reported[1].empty_ms == 0


async def test_an_hour_of_coming_and_going_stays_short(scene: Scene) -> None:
    """Of 400 visits to a room that is never empty for long, the workflow hears once."""
    await scene.activities.join_room(scene.join())
    scene.process.sees(1)
    async with staying_again(scene):
        await eventually(lambda: len(scene.client.signals) == 1)
        for number in range(400):
            scene.process.sees(number % 3)
            await asyncio.sleep(0.001)
        scene.process.sees(1)
        await asyncio.sleep(2 * SETTLE.total_seconds())
    assert len(scene.client.signals) == 1


@asynccontextmanager
async def staying_again(scene: Scene) -> AsyncIterator[None]:
    """The long step, attached to a session that was joined before, and detached afterwards."""
    task = asyncio.create_task(ActivityEnvironment().run(scene.activities.stay_in_room, scene.stay()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_server_that_cannot_renew_says_so(scene: Scene) -> None:
    """The long step ends by a code that makes the workflow look at the lease; the avatar stays where it is."""
    scene.activities._silent_s = lambda: 31.0
    await scene.activities.join_room(scene.join())
    refused = await refusal(ActivityEnvironment().run(scene.activities.stay_in_room, scene.stay()))
    assert refused.type == FailureCode.TEMPORARILY_UNAVAILABLE
    assert scene.seats.dismissed == []


async def test_quiet_is_waited_for_and_not_for_ever(scene: Scene) -> None:
    """An avatar that speaks is waited for within a bound; one that is silent, or gone, is quiet."""
    await scene.activities.join_room(scene.join())
    scene.process.speaking = True
    wanted = steps.AwaitQuietInput(session_id=scene.session_id, generation=1, within=timedelta(seconds=0.2))
    environment = ActivityEnvironment()
    assert not (await environment.run(scene.activities.await_quiet, wanted)).quiet
    scene.process.speaking = False
    assert (await environment.run(scene.activities.await_quiet, wanted)).quiet
    gone = msgspec.structs.replace(wanted, generation=2)
    assert (await environment.run(scene.activities.await_quiet, gone)).quiet
