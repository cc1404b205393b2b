"""`greenroom servers` and `greenroom sessions`: lists, drains and ends on a real database and Temporal."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner
from temporalio.client import Client

from cli.operators.hands import Drain, Hands
from cli.operators.servers import servers_group
from database.avatar_servers import AvatarServers
from domain.failures import FailureCode, Refused
from domain.session import EndReason
from runtime.temporal_client import connect
from support.api_system import ApiSystem, environment
from support.fake_avatar_server import FakeAvatarServer


@dataclass(kw_only=True)
class Scene:
    """An API with two avatar servers, an operator's hands on it, and what they said."""

    api: ApiSystem
    hands: Hands
    other: FakeAvatarServer
    said: list[str] = field(default_factory=list)


@pytest.fixture
async def scene(api_system: ApiSystem, temporal_apart: Client) -> AsyncIterator[Scene]:
    """A second server comes with eight slots, so that it gets the sessions, and goes afterwards."""
    servers = AvatarServers(api_system.engine)
    other = FakeAvatarServer(servers, slots=8)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(other.run(temporal_apart))
        client = await connect(environment(temporal_apart))
        yield Scene(api=api_system, hands=Hands(servers, client), other=other)


async def test_a_drained_server_hands_its_sessions_on(scene: Scene) -> None:
    """They are on the other server, still started, and the drained one gets no new ones; then they end by hand."""
    session_id = await scene.api.session()
    assert (session_id, 1) in scene.other.serving
    assert await scene.hands.drain(scene.other.boot_id, Drain(wait=True), scene.said.append) == 0
    assert scene.said == [f"{session_id} is on fake-1"]
    assert (session_id, 2) in scene.api.server.serving
    assert await scene.api.reason(session_id) is None
    later = await scene.api.session()
    assert (later, 1) in scene.api.server.serving
    assert await scene.hands.end(session_id, EndReason.ENDED_BY_OPERATOR) == EndReason.ENDED_BY_OPERATOR
    assert await scene.api.reason(session_id) == EndReason.ENDED_BY_OPERATOR
    await scene.hands.end(later, EndReason.ACCOUNT_CLOSED)
    with pytest.raises(Refused) as refused:
        await scene.hands.end("sess_nobody", EndReason.ENDED_BY_OPERATOR)
    assert refused.value.code == FailureCode.NOT_FOUND


async def test_what_nobody_takes_stays_or_ends_as_the_operator_says(scene: Scene) -> None:
    """Without another slot a session stays on the server; with --end it ends as drained."""
    session_id = await scene.api.session()
    servers = AvatarServers(scene.api.engine)
    assert await scene.hands.drain(scene.other.boot_id, Drain(move=False), scene.said.append) == 1
    assert scene.said == []
    await servers.drain(scene.api.server.boot_id)
    try:
        assert await scene.hands.drain(scene.other.boot_id, Drain(), scene.said.append) == 1
        assert scene.said == [f"{session_id}: no other server has a free slot"]
        assert await scene.api.reason(session_id) is None
        assert await scene.hands.drain(scene.other.boot_id, Drain(end=True), scene.said.append) == 0
        assert await scene.api.reason(session_id) == EndReason.DRAINED
    finally:
        await servers.drain(scene.api.server.boot_id, draining=False)


async def test_servers_are_listed_and_found_by_name(scene: Scene) -> None:
    """A name that several bear is not enough, and one that nobody bears is said so."""
    environ = {"GREENROOM_DATA_DIR": str(scene.api.settings.data_dir)}
    # The command has an event loop of its own.
    said = await asyncio.to_thread(CliRunner().invoke, servers_group, ["list", "--json"], env=environ)
    found = {row["boot_id"]: row for row in map(json.loads, said.stdout.splitlines())}
    assert found[scene.other.boot_id]["slots"] == 8
    for name, code in (("fake-1", FailureCode.INVALID_REQUEST), ("nobody", FailureCode.NOT_FOUND)):
        with pytest.raises(Refused) as refused:
            await scene.hands.find(name)
        assert refused.value.code == code
    assert (await scene.hands.find(scene.other.boot_id)).boot_id == scene.other.boot_id
