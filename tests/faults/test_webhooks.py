"""A worker is killed while it tells a customer's server: the same event comes again, under the same id."""

from collections.abc import AsyncIterator, Callable

import pytest

from cli.webhook_admin import add, remove
from runtime.system.remembered import remembered_environ
from support.eventually import eventually
from support.fault_bench import Bench
from support.real_system import RealSystem
from support.webhook_receiver import WebhookReceiver, webhook_receiver

Begin = Callable[[str, str], Bench]


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A customer's server."""
    async with webhook_receiver() as one:
        yield one


async def test_a_worker_killed_while_it_tells(
    real_system: RealSystem, astronaut: str, begin: Begin, receiver: WebhookReceiver
) -> None:
    """The receiver has the request and has not answered: kill -9. The next worker sends it again, and the rest too."""
    bench = begin("sessions worker", "telling a webhook")
    environ = remembered_environ(real_system.folder, {})
    endpoint = await add(environ, receiver.url, "local", ["session.started", "session.ended"])
    receiver.silent = True
    async with bench.live(astronaut) as live:
        await receiver.came(1)
        receiver.silent = False
        bench.case.fault_now()
        real_system.running.kill("sessions")
        await receiver.came(2)
        told_s = bench.case.since_fault()
        assert told_s < 30
        await bench.untouched(live)
        await bench.end_at_last(live.session_id)
        await receiver.came(3)
    ulid = live.session_id.removeprefix("sess_")
    first, second, *ends = receiver.received
    assert (first.event_id, first.body) == (second.event_id, second.body)
    assert first.event_id == f"evt_session_started_{ulid}"
    assert {one.event_id for one in ends} == {f"evt_session_ended_{ulid}"}
    assert all(one.checked(endpoint.secret) for one in receiver.received)
    query = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = ? AND state = 'delivered'"
    await eventually(lambda: bench.rows(query, endpoint.endpoint_id) == [(2,)])
    bench.case.steady(f"told again after {told_s:.1f} s, same id and body")
    await remove(environ, endpoint.endpoint_id)
    await bench.whole()
