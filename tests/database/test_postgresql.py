"""What only a server can do: stop and start again, stand still, be slow, refuse. Every wait has an end."""

import asyncio
import os
import signal
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import make_url, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from database.engine import ANSWER_WITHIN_S, open_engine, reading, writing
from database.engines.postgresql import STATEMENT_WITHIN_S
from database.tables import accounts, avatar_servers, leases, plans, slots
from domain.failures import FailureCode, Refused, Unavailable
from domain.leases import RenewalAnswer, Serving
from support.databases import Database
from support.postgresql_server import PostgreSQLServer

HEARD_WITHIN_S = 0.05
"""In this time the event loop hears that a connection was closed."""
CLOSED_WITHIN_S = 2.0
"""So long SQLAlchemy tries to close a connection in good order."""

on_postgresql = pytest.mark.parametrize("database_maker", ["PostgreSQL"], indirect=True)


async def unavailable(waiting: object) -> tuple[str, float]:
    """What the log would say of an awaitable that is refused as unavailable, and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as refusal:
        await waiting  # type: ignore[misc]
    return str(refusal.value), time.monotonic() - began


@asynccontextmanager
async def stopped(pid: int) -> AsyncIterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def backend(connection: AsyncConnection) -> int:
    """The server's process of a connection."""
    return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())


@on_postgresql
async def test_a_connection_says_who_it_is_and_how_long_it_waits(database: Database) -> None:
    """Name, isolation and time limits hold on each connection, whatever the server's own settings are."""
    names = ("application_name", "transaction_isolation", "statement_timeout", "idle_in_transaction_session_timeout")
    async with writing(database.engine) as connection:
        found = [(await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in names]
    assert found == ["greenroom", "read committed", "4s", "3s"]
    assert STATEMENT_WITHIN_S < ANSWER_WITHIN_S < 5  # a step's own time


@on_postgresql
async def test_a_read_is_no_transaction(database: Database) -> None:
    """Nothing is begun for a read: it holds up no vacuum, no migration and costs one round trip."""
    async with reading(database.engine) as connection:
        await connection.execute(select(plans))
        pid = await backend(connection)
        query = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
        async with database.engine.connect() as other:
            assert (await other.execute(query, {"pid": pid})).scalar_one() == "idle"


@on_postgresql
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
async def test_the_driver_goes_without_saying(database: Database, scheme: str) -> None:
    """An address of plain `postgresql://`, as every other tool takes it, is enough; `sslmode` is understood."""
    address = make_url(database.url).set(drivername=scheme).update_query_dict({"sslmode": "prefer"})
    engine = open_engine(address.render_as_string(hide_password=False))
    async with reading(engine) as connection:
        assert len((await connection.execute(select(plans))).all()) == 6
    await engine.dispose()


@on_postgresql
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_server_that_was_restarted_is_found_without_an_error(
    database: Database, postgresql_server: PostgreSQLServer, how: str
) -> None:
    """Every pooled connection is dead, none is handed out, and nobody hears of it."""
    async with reading(database.engine) as first, reading(database.engine) as second:
        assert await backend(first) != await backend(second)
    getattr(postgresql_server, how)()
    postgresql_server.start()
    await asyncio.sleep(HEARD_WITHIN_S)
    await asyncio.gather(*(database.account() for _ in range(4)))
    assert await database.servers.capacity() == (0, 0)


@on_postgresql
async def test_a_transaction_that_loses_its_server_is_worth_a_repeat(
    database: Database, postgresql_server: PostgreSQLServer
) -> None:
    """The one under way is refused as unavailable, nothing of it is kept, and the next one succeeds."""

    async def interrupted() -> None:
        async with writing(database.engine) as connection:
            await connection.execute(update(plans).values(name="Changed"))
            postgresql_server.kill()
            postgresql_server.start()
            await connection.execute(update(plans).values(name="Changed again"))

    said, took = await unavailable(interrupted())
    assert "database" in said
    assert took < 2
    assert [row["name"] for row in await database.rows(select(plans).where(plans.c.key == "self_hosted"))] == [
        "Self-hosted"
    ]


@on_postgresql
async def test_a_server_that_is_away_is_refused_at_once(
    database: Database, postgresql_server: PostgreSQLServer
) -> None:
    """Reads and writes are unavailable while nobody listens, and work again without a new engine."""
    await database.servers.capacity()
    postgresql_server.stop()
    await asyncio.sleep(HEARD_WITHIN_S)
    try:
        for asked in (database.servers.capacity, database.account):
            said, took = await unavailable(asked())
            assert "no connection" in said
            assert took < 1
    finally:
        postgresql_server.start()
    assert await database.servers.capacity() == (0, 0)


@on_postgresql
async def test_a_server_that_stands_still_is_given_up(database: Database) -> None:
    """Where a connection's process does not answer at all, not even to a cancellation, the wait ends."""

    async def write() -> None:
        async with writing(database.engine, within_s=0.3) as connection:
            await connection.execute(update(plans).values(name="Changed"))

    async with reading(database.engine) as connection:
        pid = await backend(connection)
    async with stopped(pid):
        said, took = await unavailable(write())
        assert "no answer in time" in said
        assert took < 0.3 + CLOSED_WITHIN_S + 0.5
        await write()  # on a connection of its own


@on_postgresql
async def test_a_wait_for_a_lock_ends(database: Database) -> None:
    """Who waits for a row that somebody keeps is refused when the statement's time is up."""
    await database.account()

    async def wait() -> None:
        async with writing(database.engine) as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 100"))
            await connection.execute(select(accounts).with_for_update())

    async with writing(database.engine) as holder:
        await holder.execute(select(accounts).with_for_update())
        said, took = await unavailable(wait())
    assert "statement timeout" in said
    assert 0.09 < took < 1
    await wait()


@on_postgresql
async def test_who_stands_still_in_a_transaction_loses_it(database: Database) -> None:
    """A process that was stopped while it held a row is undone by the server, and who waits goes ahead."""
    account_id, avatar_id = await database.account(), await database.avatar()

    async def stand_still() -> None:
        async with writing(database.engine) as connection:
            await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
            await connection.execute(update(accounts).values(name="Changed"))
            await database.admit(account_id, avatar_id)
            await connection.execute(select(accounts))

    _, took = await unavailable(stand_still())
    assert 0.09 < took < 1
    assert (await database.accounts.concurrency(account_id)).current == 1
    assert [row["name"] for row in await database.rows(select(accounts))] == ["An account"]


@on_postgresql
async def test_a_deadlock_is_worth_a_repeat(database: Database) -> None:
    """Of two transactions that wait for each other one is refused as unavailable, the other goes through."""
    boots = [await database.server(), await database.server()]
    both = asyncio.Barrier(2)

    async def lock(*order: str) -> str:
        async with writing(database.engine) as connection:
            await connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            for boot in order:
                await connection.execute(
                    update(avatar_servers).where(avatar_servers.c.boot_id == boot).values(draining=True)
                )
                if boot == order[0]:
                    await both.wait()
        return "through"

    outcomes = await asyncio.gather(lock(*boots), lock(*reversed(boots)), return_exceptions=True)
    assert outcomes.count("through") == 1
    (refused,) = [one for one in outcomes if isinstance(one, Unavailable)]
    assert "deadlock" in str(refused)


@on_postgresql
async def test_a_claim_waits_for_nobody(database: Database) -> None:
    """A slot that somebody is about to take is passed over; where it is the only one, there is no capacity now."""
    await database.server(slots=2)
    found = await database.admitted(3)
    async with writing(database.engine) as holder:
        await holder.execute(select(slots).where(slots.c.number == 1).with_for_update())
        await database.leases.claim(found[0], 1)
        with pytest.raises(Refused) as refusal:
            await database.leases.claim(found[1], 1)
        assert refusal.value.code == FailureCode.AT_CAPACITY
    await database.leases.claim(found[1], 1)


@on_postgresql
async def test_a_renewal_passes_over_a_lease_that_is_locked(database: Database) -> None:
    """It waits for nobody: the other lease is renewed, and the locked one still holds until it is revoked."""
    boot = await database.server(slots=2)
    locked, other = await database.admitted(2)
    for session_id in (locked, other):
        await database.leases.claim(session_id, 1)
    told = [Serving(session_id=session_id, generation=1, served_ms=700) for session_id in (locked, other)]
    async with writing(database.engine) as holder:
        await holder.execute(select(leases).where(leases.c.session_id == locked).with_for_update())
        began = time.monotonic()
        answer = await database.servers.renew(boot, told)
        assert time.monotonic() - began < 0.5
    assert answer == RenewalAnswer(known=True, held=frozenset({(locked, 1), (other, 1)}))
    assert [(await database.leases.look(one, 1)).renewals for one in (locked, other)] == [0, 1]
    await database.servers.renew(boot, told)
    assert [(await database.leases.look(one, 1)).served_ms for one in (locked, other)] == [700, 700]


@on_postgresql
async def test_a_renewal_that_must_wait_is_given_up_after_half_a_second(database: Database) -> None:
    """Somebody who is about to forget the server holds its row; the next renewal learns what came of it."""
    boot = await database.server()
    async with writing(database.engine) as holder:
        await holder.execute(select(avatar_servers).with_for_update())
        said, took = await unavailable(database.servers.renew(boot, []))
    assert "statement timeout" in said
    assert 0.4 < took < 1
    assert (await database.servers.renew(boot, [])).known


@on_postgresql
async def test_our_own_mistakes_stay_what_they_are(database: Database) -> None:
    """A value that cannot be stored is no absence: a repeat would fail for ever. Other values are not quoted."""
    for value in ("\0", "\ud800", 7):
        with pytest.raises(DBAPIError) as error:
            await database.run(update(plans).values(name=value, key="not-for-logs"))
        assert "not-for-logs" not in str(error.value)


@on_postgresql
async def test_a_row_that_is_not_accepted_is_not_quoted(database: Database) -> None:
    """PostgreSQL tells the whole row in its error's detail: neither the error nor what is logged of it has that."""
    await database.run(text("ALTER TABLE links ADD CONSTRAINT none_at_all CHECK (uses < 0) NOT VALID"))
    account_id = await database.account()
    with pytest.raises(DBAPIError, match="none_at_all") as error:
        await database.links.add(
            "lnk_not-for-logs", account_id, "avat_1", name="a", aspect_ratio="1:1", use_limit=None, expires_at=None
        )
    assert "not-for-logs" not in "".join(traceback.format_exception(error.value))


@on_postgresql
async def test_a_database_that_was_not_migrated_is_unavailable(database: Database) -> None:
    """New code before its migration answers with a retryable code and says why in the log."""
    await database.run(text("DROP TABLE slots"))
    said, _ = await unavailable(database.servers.capacity())
    assert "slots" in said


@on_postgresql
@pytest.mark.parametrize("wrong", ["password", "database"])
async def test_a_wrong_address_is_named_without_the_password(database: Database, wrong: str) -> None:
    """The refusal says what the server said, and nothing that was secret."""
    address = make_url(database.url).set(**{wrong: "not-the-right-one"})  # type: ignore[arg-type]
    engine = open_engine(address.render_as_string(hide_password=False))

    async def read() -> None:
        async with reading(engine):
            pass

    said, _ = await unavailable(read())
    await engine.dispose()
    assert ("authentication failed" if wrong == "password" else "does not exist") in said
    assert str(address.password) not in said
    assert str(address.password) not in repr(engine)
