"""The outbox: what is told is written with the change, once, and what became of it is kept."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from ulid import ULID

from database.audit import SessionStep, audit
from database.engine import writing
from database.instants import db_now
from database.outbox import Delivery, DeliveryState, Outbox
from database.reservations import Reservations
from database.tables import charges, minute_packs, webhook_deliveries, webhook_endpoints, webhook_events
from database.webhook_endpoints import WebhookEndpoints
from domain.failures import FailureCode, Refused
from domain.leases import Serving
from domain.webhooks import SUBSCRIBABLE
from support.databases import Database, an_avatar


@pytest.fixture
def outbox(database: Database) -> Outbox:
    """What is tested here."""
    return Outbox(database.engine)


@pytest.fixture
def endpoints(database: Database) -> WebhookEndpoints:
    """The store of endpoints."""
    return WebhookEndpoints(database.engine)


async def endpoint(endpoints: WebhookEndpoints, account_id: str, events: Any = SUBSCRIBABLE) -> str:
    """A new endpoint; its id."""
    name = f"whep_{ULID()}"
    await endpoints.add(
        endpoint_id=name, account_id=account_id, url="https://a.example/", events=events, sealed_secret="sealed-1"
    )
    return name


async def started(database: Database, account_id: str, avatar_id: str = "") -> str:
    """A session that has started, with an avatar that there was before; its id."""
    await database.server(slots=1)
    session_id, _ = await database.admit(account_id, avatar_id or await database.avatar())
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, 3600, 3600)
    return session_id


async def events(database: Database) -> list[dict[str, Any]]:
    """The rows of the outbox, oldest first."""
    query = select(webhook_events).order_by(webhook_events.c.at, webhook_events.c.event_id)
    return [dict(row) for row in await database.rows(query)]


async def test_each_change_is_told_once(database: Database, outbox: Outbox, endpoints: WebhookEndpoints) -> None:
    """Start, first frame and end, whoever repeats them; each as the session stood then, the end with its usage."""
    account_id = await database.account()
    mine = await endpoint(endpoints, account_id)
    session_id = await started(database, account_id)
    for _ in range(2):
        await database.sessions.start(session_id, 1, 3600, 3600)
        await Reservations(database.engine).attend(session_id)
    for reason in ("expired", "ended_by_request"):
        await database.sessions.end(session_id, reason)
    told = {row["type"]: row for row in await events(database)}
    ulid = session_id.removeprefix("sess_")
    assert {name: row["event_id"] for name, row in told.items()} == {
        "session.started": f"evt_session_started_{ulid}",
        "session.first_frame": f"evt_session_first_frame_{ulid}",
        "session.ended": f"evt_session_ended_{ulid}",
    }
    data = {name: row["data"] for name, row in told.items()}
    assert {name: one["status"] for name, one in data.items()} == {
        "session.started": "started",
        "session.first_frame": "started",
        "session.ended": "ended",
    }
    ended = data["session.ended"]
    assert (ended["end_reason"], ended["metadata"]) == ("expired", {"who": "tester"})
    bill = {"minutes": 0, "included_minutes": 0, "purchased_minutes": 0}
    assert ended["usage"] == {"duration": ended["usage"]["duration"], "served_seconds": 0, **bill}
    assert data["session.started"]["ended_at"] is None
    assert [(one.endpoint_id, one.round) for one in await outbox.pending()] == [(mine, 1)] * 3


async def test_the_end_tells_what_the_ledger_says(database: Database, endpoints: WebhookEndpoints) -> None:
    """Seconds that were served over all generations, and the minutes that they cost: those of the charge."""
    account_id = await database.account(included_minutes=1)
    await database.run(
        insert(minute_packs).values(
            pack_id="pack_1", account_id=account_id, minutes=9, minutes_left=9, bought_at=db_now(), expires_at=None
        )
    )
    await endpoint(endpoints, account_id, ["session.ended"])
    session_id = await started(database, account_id)
    await Reservations(database.engine).attend(session_id)
    for generation, served_ms in ((1, 61_500), (2, 30_000)):
        boot = (await database.leases.claim(session_id, generation)).boot_id
        served = Serving(session_id=session_id, generation=generation, served_ms=served_ms)
        await database.servers.renew(boot, [served])
        await database.server(slots=1)
    await database.sessions.end(session_id, "server_lost")
    (row,) = await events(database)
    (charge,) = await database.rows(select(charges))
    usage = row["data"]["usage"]
    assert (row["data"]["end_reason"], usage["served_seconds"], charge["served_ms"]) == ("server_lost", 91, 91_500)
    assert [usage[name] for name in ("minutes", "included_minutes", "purchased_minutes")] == [2, 1, 1]
    assert {
        name: charge[name] for name in ("minutes", "included_minutes", "purchased_minutes")
    }.items() <= usage.items()


async def test_a_change_that_is_rolled_back_is_not_told(database: Database, endpoints: WebhookEndpoints) -> None:
    """The row and the change are one transaction."""
    account_id = await database.account()
    await endpoint(endpoints, account_id)
    session_id = await started(database, account_id)
    before = await events(database)
    async with writing(database.engine) as connection:
        await audit(connection, session_id, SessionStep.ATTENDED)
        await connection.rollback()
    assert await events(database) == before


async def test_who_does_not_listen_is_told_nothing(
    database: Database, outbox: Outbox, endpoints: WebhookEndpoints
) -> None:
    """Another account, another event, an endpoint that was removed; and a create that failed is no session."""
    account_id = await database.account()
    session_id = await started(database, account_id)  # nobody listens
    only_ends = await endpoint(endpoints, account_id, ["session.ended"])
    gone = await endpoint(endpoints, account_id)
    await endpoint(endpoints, await database.account())
    await endpoints.remove(gone)
    failed, _ = await database.admit(account_id, await database.avatar())
    await database.sessions.end(failed, "AT_CAPACITY")
    await Reservations(database.engine).attend(session_id)
    await database.sessions.end(session_id, "expired")
    assert [row["type"] for row in await events(database)] == ["session.ended"]
    assert [one.endpoint_id for one in await outbox.pending()] == [only_ends]


async def test_a_new_avatar_is_told_once(database: Database, endpoints: WebhookEndpoints) -> None:
    """A repeat, a twin and a public avatar are not."""
    account_id = await database.account()
    await endpoint(endpoints, account_id)
    sha = sha256(account_id.encode()).hexdigest()
    for avatar_id, owner in (("avat_1", account_id), ("avat_1", account_id), ("avat_2", account_id), ("avat_3", None)):
        await database.avatars.register(an_avatar(avatar_id, owner), sha)
    (row,) = await events(database)
    assert (row["event_id"], row["data"]) == ("evt_avatar_created_1", {"avatar_id": "avat_1", "aspect_ratio": "4:3"})


async def create_with_picture(database: Database, account_id: str) -> tuple[str, str]:
    """A session that is being created with a picture, whose avatar is registered: their ids."""
    avatar_id = f"avat_{ULID()}"
    await database.server(slots=1)
    session_id, _ = await database.admission(account_id, avatar_id, picture=True)
    await database.avatars.register(an_avatar(avatar_id, account_id), sha256(avatar_id.encode()).hexdigest())
    return session_id, avatar_id


async def test_an_avatar_of_a_create_is_told_with_its_start(database: Database, endpoints: WebhookEndpoints) -> None:
    """One whose create fails is never told; a later session with an older avatar tells of none."""
    account_id = await database.account()
    await endpoint(endpoints, account_id, ["avatar.created"])
    failing, undone = await create_with_picture(database, account_id)
    await database.sessions.end(failing, "AT_CAPACITY")
    assert await database.avatars.forget(undone)
    session_id, avatar_id = await create_with_picture(database, account_id)
    assert await events(database) == []
    for _ in range(2):
        await database.leases.claim(session_id, 1)
        await database.sessions.start(session_id, 1, 3600, 3600)
    (row,) = await events(database)
    assert row["data"] == {"avatar_id": avatar_id, "aspect_ratio": "4:3"}
    await database.run(delete(webhook_deliveries))
    await database.run(delete(webhook_events))
    await started(database, account_id, avatar_id)
    assert await events(database) == []


async def test_an_avatar_that_outlives_its_create_is_told(database: Database, endpoints: WebhookEndpoints) -> None:
    """Its create has failed, and others were given it: it stands, and is told once."""
    account_id = await database.account()
    await endpoint(endpoints, account_id, ["avatar.created"])
    session_id, avatar_id = await create_with_picture(database, account_id)
    assert await database.avatars.recognise(account_id, sha256(avatar_id.encode()).hexdigest()) == avatar_id
    await database.sessions.end(session_id, "AT_CAPACITY")
    for _ in range(2):
        assert not await database.avatars.forget(avatar_id)
    (row,) = await events(database)
    assert row["data"]["avatar_id"] == avatar_id


async def one_pending(database: Database, outbox: Outbox, endpoints: WebhookEndpoints) -> Delivery:
    """A delivery that nobody has begun."""
    account_id = await database.account()
    await endpoint(endpoints, account_id, ["session.started"])
    await started(database, account_id)
    (delivery,) = await outbox.pending()
    return delivery


async def test_a_delivery_goes_its_way(database: Database, outbox: Outbox, endpoints: WebhookEndpoints) -> None:
    """Pending until it is handed over; its attempts count; what is delivered stays so, and is not pending again."""
    delivery = await one_pending(database, outbox, endpoints)
    await outbox.hand_over(delivery)
    assert await outbox.pending() == []
    await outbox.attempted(delivery, "HTTP 500", delivered=False)
    assert await outbox.state(delivery.event_id, delivery.endpoint_id) == (DeliveryState.HANDED, 1, "HTTP 500")
    await outbox.attempted(delivery, "HTTP 200", delivered=True)
    await outbox.give_up(delivery, "WEBHOOK_NOT_DELIVERED")
    await outbox.hand_over(delivery)
    assert await outbox.state(delivery.event_id, delivery.endpoint_id) == (DeliveryState.DELIVERED, 2, "HTTP 200")
    message = await outbox.message(delivery)
    assert message is not None
    assert message.is_delivered


async def test_a_workflow_may_be_quicker_than_its_mark(
    database: Database, outbox: Outbox, endpoints: WebhookEndpoints
) -> None:
    """Delivered before it was marked as handed over: the mark changes nothing."""
    delivery = await one_pending(database, outbox, endpoints)
    await outbox.attempted(delivery, "HTTP 200", delivered=True)
    await outbox.hand_over(delivery)
    state = await outbox.state(delivery.event_id, delivery.endpoint_id)
    assert state is not None
    assert state[0] == DeliveryState.DELIVERED


async def test_what_is_over_can_be_delivered_again(
    database: Database, outbox: Outbox, endpoints: WebhookEndpoints
) -> None:
    """As a new round under the same id, by id, by time, for one endpoint; what is under way is left alone."""
    delivery = await one_pending(database, outbox, endpoints)
    assert await outbox.again(event_id=delivery.event_id) == 0
    await outbox.hand_over(delivery)
    assert await outbox.again(event_id=delivery.event_id) == 0
    await outbox.give_up(delivery, "WEBHOOK_NOT_DELIVERED")
    assert await outbox.again(event_id=delivery.event_id, endpoint_id="whep_other") == 0
    assert await outbox.again(event_id=delivery.event_id, endpoint_id=delivery.endpoint_id) == 1
    (second,) = await outbox.pending()
    assert (second.event_id, second.round) == (delivery.event_id, 2)
    # What the first round's workflow still says is about a round that is over.
    await outbox.attempted(delivery, "HTTP 500", delivered=False)
    assert await outbox.message(delivery) is None
    assert await outbox.state(delivery.event_id, delivery.endpoint_id) == (DeliveryState.PENDING, 0, None)
    await outbox.attempted(second, "HTTP 204", delivered=True)
    assert await outbox.again(since=timedelta(hours=1)) == 1
    (third,) = await outbox.pending()
    await outbox.attempted(third, "HTTP 204", delivered=True)
    past = update(webhook_events).values(at=(await events(database))[0]["at"] - timedelta(hours=2))
    await database.run(past)
    assert await outbox.again(since=timedelta(hours=1)) == 0


async def test_two_secrets_sign_during_a_rotation(
    database: Database, outbox: Outbox, endpoints: WebhookEndpoints
) -> None:
    """The new one first; when its time is over, the old one is not used any more; a removed endpoint has none."""
    delivery = await one_pending(database, outbox, endpoints)

    async def secrets() -> tuple[str, ...] | None:
        message = await outbox.message(delivery)
        return message.sealed_secrets if message else None

    assert await secrets() == ("sealed-1",)
    await endpoints.rotate(delivery.endpoint_id, "sealed-2", timedelta(hours=1))
    assert await secrets() == ("sealed-2", "sealed-1")
    await endpoints.rotate(delivery.endpoint_id, "sealed-3", timedelta(0))
    assert await secrets() == ("sealed-3",)
    await endpoints.remove(delivery.endpoint_id)
    assert await secrets() is None
    assert [dict(row) for row in await database.rows(select(webhook_endpoints.c.sealed_secret))] == [
        {"sealed_secret": ""}
    ]
    for call in (
        endpoints.rotate(delivery.endpoint_id, "sealed-4", timedelta(0)),
        endpoints.remove(delivery.endpoint_id),
        endpoints.get(delivery.endpoint_id),
        endpoints.add(endpoint_id="whep_1", account_id="acct_no", url="u", events=[], sealed_secret="s"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert refusal.value.code == FailureCode.NOT_FOUND
    assert await endpoints.every() == []


async def test_old_events_are_forgotten_when_they_are_over(
    database: Database, outbox: Outbox, endpoints: WebhookEndpoints
) -> None:
    """What is still under way stays however old it is; what is young stays too."""
    first = await one_pending(database, outbox, endpoints)
    assert await outbox.forget(timedelta(days=30)) == 0
    past = update(webhook_events).values(at=(await events(database))[0]["at"] - timedelta(days=31))
    await database.run(past)
    assert await outbox.forget(timedelta(days=30)) == 0
    await outbox.attempted(first, "HTTP 204", delivered=True)
    second = await one_pending(database, outbox, endpoints)
    await outbox.attempted(second, "HTTP 204", delivered=True)
    assert await outbox.forget(timedelta(days=30)) == 1
    assert [row["event_id"] for row in await events(database)] == [second.event_id]
    assert await outbox.state(first.event_id, first.endpoint_id) is None
