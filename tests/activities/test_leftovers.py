"""What is orphaned is found by asking Temporal, and mended; what is looked after is left alone."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from ulid import ULID

from activities import leftovers as leftover_activities
from activities.leftovers import LeftoverActivities
from activities.workflow_status import taken_away
from adapters.livekit_rooms import LiveKitRooms
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.upload_workflow import upload_workflow_id
from database.leftovers import Leftovers
from domain.failures import Unavailable
from runtime.system.ports import free_port
from support.databases import Database

LOOK = steps.LookForLeftovers()
LONG_AGO_S = 60.0
SESSION = "CreateSessionWorkflow"


@pytest.fixture
async def store(tmp_path: Path) -> ObjectStore:
    """An object store in a folder."""
    return ObjectStore(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def mender(database: Database, store: ObjectStore, temporal_deserted: Client) -> LeftoverActivities:
    """The steps under test."""
    return LeftoverActivities(Leftovers(database.engine), database.sessions, store, temporal_deserted)


@asynccontextmanager
async def running(client: Client, name: str, kind: str = "Nobody") -> AsyncIterator[None]:
    """A workflow that runs, and is terminated with the block: nobody works here, so it never ends."""
    handle = await client.start_workflow(kind, id=name, task_queue="nobody")
    try:
        yield
    finally:
        await handle.terminate()


async def a_session(database: Database, *, age_s: float = LONG_AGO_S) -> str:
    """An admitted session of some age."""
    session_id, _ = await database.admit(await database.account(), await database.avatar())
    await database.age(session_id, age_s)
    return session_id


async def test_a_session_whose_workflow_is_paused_is_looked_after(
    database: Database, mender: LeftoverActivities, temporal_deserted: Client
) -> None:
    """An operator who pauses a workflow does not want its session ended; and the others are still looked for."""
    paused, lost = [await a_session(database) for _ in range(2)]
    async with running(temporal_deserted, paused):
        await temporal_deserted.workflow_service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(
                namespace=temporal_deserted.namespace, workflow_id=paused, reason="by an operator", request_id=paused
            )
        )
        found = await ActivityEnvironment().run(mender.end_orphans, LOOK)
    assert found.ended == (lost,)
    assert await reason(database, paused) is None


async def test_a_session_whose_workflow_is_gone_ends_as_terminated(
    database: Database, mender: LeftoverActivities, temporal_deserted: Client
) -> None:
    """Never there or terminated is the same; who runs, has ended or has just begun is not touched."""
    lost, killed, alive = [await a_session(database) for _ in range(3)]
    fresh = await a_session(database, age_s=0)
    done = await a_session(database)
    await database.sessions.end(done, "expired")
    async with running(temporal_deserted, killed):
        pass
    async with running(temporal_deserted, alive):
        found = await ActivityEnvironment().run(mender.end_orphans, LOOK)
    assert (found.looked, found.number, set(found.ended)) == (3, 2, {lost, killed})
    reasons = {name: await reason(database, name) for name in (lost, killed, alive, fresh, done)}
    assert reasons == {lost: "terminated", killed: "terminated", alive: None, fresh: None, done: "expired"}


class Rooms:
    """A LiveKit server that only deletes, or does not answer."""

    def __init__(self, *, answers: bool) -> None:
        self.deleted: list[str] = []
        self._answers = answers

    async def delete(self, name: str) -> None:
        """Take note."""
        if not self._answers:
            raise Unavailable("LiveKit: away")
        self.deleted.append(name)


@pytest.mark.parametrize("answers", [True, False])
async def test_the_room_of_an_orphan_is_deleted(
    database: Database, store: ObjectStore, temporal_deserted: Client, *, answers: bool
) -> None:
    """One that was made for the session; that LiveKit is away keeps no session from its end."""
    session_id, rooms = await a_session(database), Rooms(answers=answers)
    leftovers = Leftovers(database.engine)
    known = cast("LiveKitRooms", rooms)
    mender = LeftoverActivities(leftovers, database.sessions, store, temporal_deserted, known)
    await ActivityEnvironment().run(mender.end_orphans, LOOK)
    assert rooms.deleted == ([f"greenroom-{session_id}"] if answers else [])
    assert await reason(database, session_id) == "terminated"


async def reason(database: Database, session_id: str) -> str | None:
    """Why a session ended."""
    session = await database.sessions.get(session_id)
    assert session is not None
    return session.end_reason


async def test_many_sessions_get_their_turn(database: Database) -> None:
    """Where there are more than one run can ask for, each is asked for as often as the others, first and last too."""
    names = {await a_session(database) for _ in range(6)}
    leftovers = Leftovers(database.engine)
    assert await leftovers.unended(at_most=6) == sorted(names)
    asked: Counter[str] = Counter()
    for _ in range(120):
        found = await leftovers.unended(at_most=2)
        assert (len(found), found) == (2, sorted(set(found)))
        asked.update(found)
    assert all(asked[name] > 15 for name in names), asked  # 40 on the average; fewer than 16 once in a million runs


async def test_one_that_was_terminated_is_found_among_thousands(
    database: Database, mender: LeftoverActivities, temporal_deserted: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, though one run asks for none by itself; a workflow that was reset, or began anew, still runs."""
    monkeypatch.setattr(leftover_activities, "BY_ITSELF", 0)
    killed, alive, again = [await a_session(database) for _ in range(3)]
    for name in (killed, again):
        async with running(temporal_deserted, name, SESSION):
            pass
    async with running(temporal_deserted, alive, SESSION), running(temporal_deserted, again, SESSION):
        async with asyncio.timeout(10):
            while not {killed, again} <= set(await taken_away(temporal_deserted)):  # noqa: ASYNC110 - the list is late
                await asyncio.sleep(0.05)
        found = await ActivityEnvironment().run(mender.end_orphans, LOOK)
    assert (found.looked, found.ended) == (2, (killed,))
    assert [await reason(database, name) for name in (killed, alive, again)] == ["terminated", None, None]


async def test_a_silent_server_is_forgotten(database: Database, mender: LeftoverActivities) -> None:
    """Its slots go with it, and what it held is revoked; a server that renews stays."""
    session_id = await a_session(database)
    silent = await database.server(slots=1)
    await database.leases.claim(session_id, 1)
    living = await database.server(slots=1)
    await database.silence(silent, 70)
    assert (await ActivityEnvironment().run(mender.release_leftovers, LOOK)).number == 1
    assert [server.boot_id for server in await database.servers.listed()] == [living]
    assert not (await database.leases.look(session_id, 1)).held
    assert (await ActivityEnvironment().run(mender.release_leftovers, LOOK)).number == 0


async def test_staged_pictures_go_with_their_workflow(
    mender: LeftoverActivities, store: ObjectStore, temporal_deserted: Client, tmp_path: Path
) -> None:
    """What somebody works on stays, and so does what was staged just now."""
    worked, upload, orphan, fresh = (f"sess_{ULID()}", f"avat_{ULID()}", f"sess_{ULID()}", f"sess_{ULID()}")
    for owner in (worked, upload, orphan, fresh):
        await store.put(f"staging/{owner}/source", b"picture")
    for owner in (worked, upload, orphan):
        before = time.time() - LONG_AGO_S
        os.utime(tmp_path / "objects" / "staging" / owner / "source", (before, before))
    async with running(temporal_deserted, worked), running(temporal_deserted, upload_workflow_id(upload)):
        assert (await ActivityEnvironment().run(mender.discard_leftovers, LOOK)).number == 1
    left = {path.name for path in (tmp_path / "objects" / "staging").iterdir() if any(path.iterdir())}
    assert left == {worked, upload, fresh}


async def test_nothing_ends_while_temporal_does_not_say(database: Database, store: ObjectStore) -> None:
    """That it cannot be asked does not mean that nothing runs."""
    session_id = await a_session(database)
    nobody = await Client.connect(f"127.0.0.1:{free_port(set())}", lazy=True)
    mender = LeftoverActivities(Leftovers(database.engine), database.sessions, store, nobody)
    with pytest.raises(ApplicationError) as failure:
        await ActivityEnvironment().run(mender.end_orphans, LOOK)
    assert failure.value.type == "TEMPORARILY_UNAVAILABLE"
    assert await reason(database, session_id) is None
