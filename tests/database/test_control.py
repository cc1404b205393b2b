"""Control addresses, and the renewal that passes them on."""

from database.control import ControlLines
from domain.leases import ControlSocket, Serving
from support.databases import Database

FIRST, SECOND = "ws://api-1:8080", "ws://api-2:8080"


async def test_a_renewal_tells_where_the_control_socket_is(database: Database) -> None:
    """Each new connection has a higher number, at whichever process it ends; a session without one has none."""
    lines = ControlLines(database.engine)
    boot = await database.server(slots=2)
    controlled, other = await database.admitted(2)
    for session_id in (controlled, other):
        await database.leases.claim(session_id, 1)
    told = [Serving(session_id=one, generation=1, served_ms=5) for one in (controlled, other)]
    assert (await database.servers.renew(boot, told)).controls == {}
    for number, address in enumerate((FIRST, SECOND, SECOND), start=1):
        assert await lines.open(controlled, address)
        answer = await database.servers.renew(boot, told)
        assert answer.controls == {(controlled, 1): ControlSocket(address=address, number=number)}


async def test_an_ended_session_takes_no_control_socket(database: Database) -> None:
    """Nor one that never was; and nothing is noted."""
    lines = ControlLines(database.engine)
    (session_id,) = await database.admitted()
    await database.sessions.end(session_id, "expired")
    assert not await lines.open(session_id, FIRST)
    assert not await lines.open("sess_never", FIRST)
