"""Webhooks from the change to the receiver: a real database, Temporal, sessions role and HTTP server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from cli.webhook_admin import NewSecret, add, remove, rotate
from cli.webhook_admin import test as send_test
from contracts.webhook_workflow import DeliverWebhook, delivery_workflow_id
from database.engine import open_engine
from database.migrations import migrate
from database.outbox import Delivery, DeliveryState, Outbox
from domain.webhooks import SUBSCRIBABLE
from runtime.settings import Settings
from support.api_system import settings_in
from support.databases import Database
from support.webhook_receiver import WebhookReceiver, answer, webhook_receiver
from worker.assembly import build_worker
from worker.outbox import OutboxDispatcher
from worker.registry import ROLES
from worker.roles import sessions

KEYS = f"w1:{base64.b64encode(b'w' * 32).decode()}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A database, a receiver, and what tells the one of the other's changes."""

    settings: Settings
    engine: AsyncEngine
    receiver: WebhookReceiver
    client: Client

    @property
    def database(self) -> Database:
        """The stores."""
        return Database(url=self.settings.database_address, engine=self.engine)

    @property
    def outbox(self) -> Outbox:
        """The store of deliveries."""
        return Outbox(self.engine)

    @property
    def environ(self) -> dict[str, str]:
        """What an operator's command reads."""
        names = ("data_dir", "webhook_keys", "webhook_hosts")
        return {f"GREENROOM_{name.upper()}": getattr(self.settings, name) for name in names}

    async def endpoint(self, account_id: str, *events: str) -> NewSecret:
        """A new endpoint at the receiver."""
        return await add(self.environ, self.receiver.url, account_id, events or SUBSCRIBABLE)

    async def session(self, account_id: str) -> str:
        """A session that has started."""
        await self.database.server(slots=1)
        session_id, _ = await self.database.admit(account_id, await self.database.avatar())
        await self.database.leases.claim(session_id, 1)
        await self.database.sessions.start(session_id, 1, 3600, 3600)
        return session_id

    async def reached(self, event_id: str, endpoint_id: str, state: DeliveryState) -> tuple[int, str | None]:
        """Wait until a delivery is in a state; its attempts and the last outcome."""
        async with asyncio.timeout(60):
            while True:
                found = await self.outbox.state(event_id, endpoint_id)
                if found and found[0] == state:
                    return found[1], found[2]
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def role(self, **changes: Any) -> AsyncIterator[None]:
        """The sessions role, as a worker runs it."""
        settings = settings_in(Path(self.settings.data_dir), **(_settings() | changes))
        async with AsyncExitStack() as stack:
            opened = await sessions.open_role(settings, {}, self.client, stack)
            await stack.enter_async_context(build_worker(self.client, ROLES["sessions"], opened))
            assert opened.until_stopped is not None
            beside = asyncio.ensure_future(opened.until_stopped())
            try:
                yield
            finally:
                beside.cancel()
                await asyncio.gather(beside, return_exceptions=True)


def _settings() -> dict[str, Any]:
    return {"webhook_keys": KEYS, "webhook_hosts": "127.0.0.1", "webhook_first_pause_s": 0.1}


@pytest.fixture
async def scene(temporal_deserted: Client, tmp_path: Path) -> AsyncIterator[Scene]:
    """Nothing runs yet."""
    settings = settings_in(tmp_path, **_settings())
    await migrate(settings.database_address)
    engine = open_engine(settings.database_address)
    async with webhook_receiver() as receiver:
        yield Scene(settings=settings, engine=engine, receiver=receiver, client=temporal_deserted)
    await engine.dispose()


def evt(kind: str, session_id: str) -> str:
    """The id of what happened to a session."""
    return f"evt_session_{kind}_{session_id.removeprefix('sess_')}"


async def test_a_session_is_told_from_start_to_end(scene: Scene) -> None:
    """Signed for each endpoint with its own secret; what is secret is in no history."""
    account_id = await scene.database.account()
    first, second = await scene.endpoint(account_id), await scene.endpoint(account_id, "session.ended")
    async with scene.role():
        session_id = await scene.session(account_id)
        await scene.receiver.came(1)
        await scene.database.sessions.end(session_id, "expired")
        received = await scene.receiver.came(3)
        await scene.reached(evt("ended", session_id), second.endpoint_id, DeliveryState.DELIVERED)
    started, *ends = received
    body = started.checked(first.secret)
    assert (body["type"], body["data"]["session_id"]) == ("session.started", session_id)
    assert started.event_id == evt("started", session_id)
    assert {one.event_id for one in ends} == {evt("ended", session_id)}
    assert {json.loads(one.body)["data"]["end_reason"] for one in ends} == {"expired"}
    for secret in (first.secret, second.secret):
        assert sum(_is_signed(one, secret) for one in ends) == 1
    identity = delivery_workflow_id(evt("ended", session_id), second.endpoint_id, 1)
    history = (await scene.client.get_workflow_handle(identity).fetch_history()).to_json()
    for hidden in ("a-secret-in-the-path", second.secret, "whsec", "expired"):
        assert hidden not in history
        assert base64.b64encode(hidden.encode()).decode()[:-4] not in history
    assert "deliver_webhook" in history


def _is_signed(one: Any, secret: str) -> bool:
    try:
        one.checked(secret)
    except Exception:  # noqa: BLE001 - the library's own, for whatever is wrong
        return False
    return True


async def test_a_receiver_that_fails_is_tried_again(scene: Scene) -> None:
    """With the same id and body each time, whatever it answered, until it takes it; then never again."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.started")
    scene.receiver.answers = [answer(500), answer(307, Location=scene.receiver.url), answer(404), b"nonsense\r\n\r\n"]
    async with scene.role():
        session_id = await scene.session(account_id)
        attempts, outcome = await scene.reached(
            evt("started", session_id), endpoint.endpoint_id, DeliveryState.DELIVERED
        )
    assert (attempts, outcome) == (5, "HTTP 204")
    assert len(scene.receiver.received) == 5
    assert len({(one.event_id, one.body) for one in scene.receiver.received}) == 1
    assert all(one.checked(endpoint.secret) for one in scene.receiver.received)


async def test_what_was_given_up_can_be_delivered_again(scene: Scene) -> None:
    """After its time is up it is failed and left; asked for again it comes under the same id, once."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.started")
    scene.receiver.answers = [answer(503)] * 1000
    async with scene.role(webhook_give_up_s=1.0):
        session_id = await scene.session(account_id)
        event_id = evt("started", session_id)
        attempts, outcome = await scene.reached(event_id, endpoint.endpoint_id, DeliveryState.FAILED)
        assert attempts >= 1
        assert outcome in ("WEBHOOK_NOT_DELIVERED", "CREATE_TIMED_OUT")
        before = len(scene.receiver.received)
        scene.receiver.answers = []
        assert await scene.outbox.again(event_id=event_id) == 1
        assert await scene.reached(event_id, endpoint.endpoint_id, DeliveryState.DELIVERED) == (1, "HTTP 204")
    assert {one.event_id for one in scene.receiver.received} == {event_id}
    assert len(scene.receiver.received) == before + 1


async def test_a_private_address_is_refused_at_once(scene: Scene) -> None:
    """Also where it was taken before, since the operator vouches for it no more: nobody is asked, and tries end."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.started")
    async with scene.role(webhook_hosts=""):
        session_id = await scene.session(account_id)
        _, outcome = await scene.reached(evt("started", session_id), endpoint.endpoint_id, DeliveryState.FAILED)
    assert outcome == "WEBHOOK_URL_NOT_ALLOWED"
    assert scene.receiver.received == []


async def test_a_rotation_and_a_removal_reach_what_is_under_way(scene: Scene) -> None:
    """The next attempt is signed with both secrets; after a removal there is none."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.started")
    scene.receiver.answers = [answer(500)] * 1000
    async with scene.role():
        session_id = await scene.session(account_id)
        await scene.receiver.came(1)
        new = await rotate(scene.environ, endpoint.endpoint_id, timedelta(hours=1))
        seen = len(scene.receiver.received) + 1  # one may have been on its way
        last = (await scene.receiver.came(seen + 1))[-1]
        assert last.checked(new.secret) == last.checked(endpoint.secret)
        await remove(scene.environ, endpoint.endpoint_id)
        identity = delivery_workflow_id(evt("started", session_id), endpoint.endpoint_id, 1)
        outcome = await scene.client.get_workflow_handle(identity).result()
    assert outcome["outcome"] == "delivered"
    assert outcome["status"] == 0


class Dying(Outbox):
    """Its process ends after the workflow was started, before the row says so."""

    async def hand_over(self, delivery: Delivery) -> None:
        """End."""
        raise asyncio.CancelledError


async def test_a_death_in_between_tells_nobody_twice(scene: Scene) -> None:
    """A change that was committed without a worker, and a dispatcher that died after its start: one POST each."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.started")

    def command(one: Delivery) -> DeliverWebhook:
        return DeliverWebhook(event_id=one.event_id, endpoint_id=one.endpoint_id, round=one.round, type="x")

    sessions_ = [await scene.session(account_id) for _ in range(2)]
    with pytest.raises(asyncio.CancelledError):
        await OutboxDispatcher(Dying(scene.engine), scene.client, command).dispatch()
    assert len(await scene.outbox.pending()) == 2
    async with scene.role():
        for session_id in sessions_:
            await scene.reached(evt("started", session_id), endpoint.endpoint_id, DeliveryState.DELIVERED)
        assert await scene.outbox.pending() == []
        dispatchers = [OutboxDispatcher(scene.outbox, scene.client, command) for _ in range(3)]
        session_id = await scene.session(account_id)
        await asyncio.gather(*(one.dispatch() for one in dispatchers))
        await scene.reached(evt("started", session_id), endpoint.endpoint_id, DeliveryState.DELIVERED)
    ids = [one.event_id for one in scene.receiver.received]
    assert sorted(ids) == sorted(evt("started", one) for one in [*sessions_, session_id])


async def test_without_keys_webhooks_wait(scene: Scene) -> None:
    """Nothing is sent unsigned; when the keys are there, what has waited is."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.started")
    async with scene.role(webhook_keys=""):
        session_id = await scene.session(account_id)
        async with asyncio.timeout(30):
            while await scene.outbox.pending():  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.05)
    assert scene.receiver.received == []
    async with scene.role():
        await scene.reached(evt("started", session_id), endpoint.endpoint_id, DeliveryState.DELIVERED)
    assert len(scene.receiver.received) == 1


async def test_an_operators_test_says_what_came_of_it(scene: Scene) -> None:
    """Taken or not, by the first attempt; an endpoint takes it whatever it listens to, each time as a new event."""
    account_id = await scene.database.account()
    endpoint = await scene.endpoint(account_id, "session.ended")
    scene.receiver.answers = [answer(401)] * 1000  # the next attempt may come before anybody looks
    async with scene.role():
        within = timedelta(seconds=60)
        assert await send_test(scene.environ, endpoint.endpoint_id, within) == (False, "HTTP 401")
        scene.receiver.answers = []
        assert await send_test(scene.environ, endpoint.endpoint_id, within) == (True, "HTTP 204")
    bodies = [one.checked(endpoint.secret) for one in scene.receiver.received]
    assert {body["type"] for body in bodies} == {"webhook.test"}
    assert len({one.event_id for one in scene.receiver.received}) == 2
