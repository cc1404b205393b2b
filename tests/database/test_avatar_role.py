"""The role that docs/operations.md gives to avatar servers can do their work on their own rows, and nothing else."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import ProgrammingError

from database.avatar_servers import AvatarServers
from database.control import ControlLines
from database.engine import open_engine
from database.leases import Leases
from database.tables import METADATA, avatar_servers, control_lines, leases, slots
from domain.leases import ControlSocket, RenewalAnswer, Serving
from support.avatar_roles import NAMES, SECRET, documented
from support.databases import Database

pytestmark = pytest.mark.parametrize("database_maker", ["PostgreSQL"], indirect=True)


@pytest.fixture
async def servers(database: Database) -> AsyncIterator[dict[str, Database]]:
    """Two avatar servers' ways into the database. Roles belong to the whole server, so they are taken away again."""
    address = make_url(database.url)
    for statement in documented(str(address.database)):
        await database.run(text(statement))
    urls = {role: address.set(username=role, password=SECRET) for role in NAMES}
    found = {role: url.render_as_string(hide_password=False) for role, url in urls.items()}
    yield (opened := {role: Database(url=url, engine=open_engine(url)) for role, url in found.items()})
    for one in opened.values():
        await one.engine.dispose()
    await database.run(text("DROP OWNED BY greenroom_avatar"))
    for role in (*NAMES, "greenroom_avatar"):
        await database.run(text(f'DROP ROLE "{role}"'))


async def registered(store: AvatarServers, role: str, *, slots: int = 1) -> str:
    """A boot of a role's own name; its id."""
    await store.register(f"boot-of-{role}", role, f"queue-of-{role}", slots)
    return f"boot-of-{role}"


async def test_an_avatar_server_can_do_its_work(database: Database, servers: dict[str, Database]) -> None:
    """It registers, renews, looks at its leases, frees its slots, and takes itself off the list."""
    own = servers["avatar-1"]
    for _ in range(2):
        boot = await registered(own.servers, "avatar-1")
    (first, second) = await database.admitted(2)
    await database.leases.claim(first, 1)
    told = Serving(session_id=first, generation=1, served_ms=900)
    assert await own.servers.renew(boot, [told]) == RenewalAnswer(known=True, held=frozenset({(first, 1)}))
    assert (await own.leases.look(first, 1)).served_ms == 900
    await database.sessions.end(first, "ended_by_request")
    assert await own.servers.renew(boot, []) == RenewalAnswer(known=True, held=frozenset())
    assert await database.servers.capacity() == (1, 1)
    await database.leases.claim(second, 1)
    await own.servers.drain(boot)
    await own.servers.deregister(boot)
    assert not (await database.leases.look(second, 1)).held
    assert await database.rows(select(slots)) == []


async def test_it_sees_nothing_of_customers(database: Database, servers: dict[str, Database]) -> None:
    """Every other table is closed, to reading and to writing."""
    await registered(servers["avatar-1"].servers, "avatar-1")
    open_to_it = {avatar_servers.name, slots.name, leases.name}
    statements = ["DELETE FROM control_lines"]  # which it may read
    for table in {*METADATA.tables} - open_to_it - {"control_lines"} | {"alembic_version"}:
        statements += [f"SELECT 1 FROM {table}", f"DELETE FROM {table}"]  # noqa: S608 - our own names
    for statement in statements:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await servers["avatar-1"].run(text(statement))
    (session_id,) = await database.admitted()
    with pytest.raises(ProgrammingError, match="permission denied"):
        await servers["avatar-1"].sessions.end(session_id, "stolen")
    with pytest.raises(ProgrammingError, match="permission denied"):
        await servers["avatar-1"].leases.claim(session_id, 1)


async def test_it_reads_the_control_sockets_of_its_own_sessions(
    database: Database, servers: dict[str, Database]
) -> None:
    """A renewal tells it where they are; of other servers' sessions it sees none."""
    own, other = servers["avatar-1"], servers["avatar-2"]
    boot = await registered(own.servers, "avatar-1")
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    assert await ControlLines(database.engine).open(session_id, "ws://api-1:8080")
    answer = await own.servers.renew(boot, [])
    assert answer.controls == {(session_id, 1): ControlSocket(address="ws://api-1:8080", number=1)}
    assert await other.rows(select(control_lines)) == []


async def test_it_sees_nothing_of_another_server(database: Database, servers: dict[str, Database]) -> None:
    """It finds no rows but its own, can renew, free and forget no others, and registers under no other name."""
    own, other = servers["avatar-1"], servers["avatar-2"]
    boot = await registered(other.servers, "avatar-2")
    await registered(own.servers, "avatar-1", slots=0)
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    told = [Serving(session_id=session_id, generation=1, served_ms=10**6)]
    assert not (await own.servers.renew(boot, told)).known
    await own.servers.deregister(boot)
    assert not (await Leases(own.engine).look(session_id, 1)).held
    assert await own.rows(select(slots)) == []
    for statement in ("UPDATE leases SET revoked_at = 1", "UPDATE slots SET session_id = NULL, generation = NULL"):
        await own.run(text(statement))
    await database.silence(boot, 100)
    await registered(own.servers, "avatar-1")
    assert (await other.servers.renew(boot, [])).held == {(session_id, 1)}
    with pytest.raises(ProgrammingError, match="row-level security"):
        await own.servers.register("boot-3", "avatar-2", "queue", 1)
    with pytest.raises(ProgrammingError, match="permission denied"):
        await own.run(text("UPDATE avatar_servers SET name = 'avatar-2'"))


async def test_a_lease_that_was_revoked_stays_so(database: Database, servers: dict[str, Database]) -> None:
    """A server cannot take back what was taken from it."""
    own = servers["avatar-1"]
    await registered(own.servers, "avatar-1", slots=2)
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    await database.leases.claim(session_id, 2)
    await own.run(text("UPDATE leases SET revoked_at = NULL"))
    assert [(await database.leases.look(session_id, number)).held for number in (1, 2)] == [False, True]
