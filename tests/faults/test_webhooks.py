"""A worker is killed while it tells a customer's server: the same event comes again, under the same id."""

import json
from collections.abc import AsyncIterator, Callable

import pytest

from cli.webhook_admin import add, remove
from runtime.system.remembered import remembered_environ
from support.eventually import eventually
from support.fault_bench import Bench
from support.real_system import RealSystem
from support.steadiness import three_tries
from support.webhook_receiver import WebhookReceiver, webhook_receiver

Begin = Callable[[str, str], Bench]


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A customer's server."""
    async with webhook_receiver() as one:
        yield one


@three_tries
async def test_a_worker_killed_while_it_tells(
    real_system: RealSystem, astronaut: str, begin: Begin, receiver: WebhookReceiver
) -> None:
    """The receiver has the request and has not answered: kill -9. The next worker sends it again, and the rest too."""
    bench = begin("sessions worker", "telling a webhook")
    environ = remembered_environ(real_system.folder, {})
    endpoint = await add(environ, receiver.url, "local", ["session.started", "session.first_frame", "session.ended"])
    receiver.silent = True
    async with bench.live(astronaut) as live:
        ulid = live.session_id.removeprefix("sess_")
        (held,) = (await receiver.came(1))[:1]
        assert held.event_id == f"evt_session_started_{ulid}"
        receiver.silent = False
        bench.case.fault_now()
        real_system.running.kill("sessions")
        await eventually(lambda: [one.event_id for one in receiver.received].count(held.event_id) == 2, within_s=30)
        told_s = bench.case.since_fault()
        await bench.untouched(live)
        await bench.end_at_last(live.session_id)
        last = f"evt_session_ended_{ulid}"
    query = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = ? AND state = 'delivered'"
    await eventually(lambda: bench.rows(query, endpoint.endpoint_id) == [(3,)], within_s=30)
    bodies: dict[str, set[bytes]] = {}
    for one in receiver.received:
        assert one.checked(endpoint.secret)
        bodies.setdefault(one.event_id, set()).add(one.body)
    (end,) = {one.body for one in receiver.received if one.event_id == last}
    usage = json.loads(end)["data"]["usage"]
    ledger = "SELECT served_ms / 1000, minutes, included_minutes, purchased_minutes FROM charges WHERE session_id = ?"
    told = ("served_seconds", "minutes", "included_minutes", "purchased_minutes")
    assert bench.rows(ledger, live.session_id) == [tuple(usage[name] for name in told)]
    # A person looks on: what they saw first is told too.
    assert set(bodies) == {held.event_id, f"evt_session_first_frame_{ulid}", last}
    assert {len(same) for same in bodies.values()} == {1}
    bench.case.steady(f"told again after {told_s:.1f} s, same id and body; the end tells the bill")
    await remove(environ, endpoint.endpoint_id)
    await bench.whole()
