"""An avatar server's renewal (design rule 8): on PostgreSQL one statement that waits for nobody, on SQLite several."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, and_, case, or_, select, text, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import POSTGRESQL_NOW, db_now
from database.tables import avatar_servers, control_lines, leases, slots
from domain.leases import ControlSocket, RenewalAnswer, Serving, Stop

STATEMENT_WITHIN_MS = 500
"""On PostgreSQL. What is left undone is done by the next renewal, 250 ms later."""

Pair = tuple[str, int]

_ONE_STATEMENT = text(
    f"""
    WITH told AS (
        SELECT * FROM unnest(CAST(:sessions AS text[]), CAST(:generations AS integer[]), CAST(:served AS bigint[]))
        AS told (session_id, generation, served_ms)
    ), server AS (
        UPDATE avatar_servers SET renewed_at = {POSTGRESQL_NOW}, renewals = renewals + 1 WHERE boot_id = :boot_id
        RETURNING boot_id
    ), mine AS (
        SELECT session_id, generation FROM leases JOIN server USING (boot_id) WHERE revoked_at IS NULL
        FOR UPDATE OF leases SKIP LOCKED
    ), renewed AS (
        UPDATE leases SET renewed_at = {POSTGRESQL_NOW}, renewals = leases.renewals + 1,
            served_ms = GREATEST(leases.served_ms, told.served_ms)
        FROM mine LEFT JOIN told USING (session_id, generation)
        WHERE leases.session_id = mine.session_id AND leases.generation = mine.generation
    ), taken AS (
        SELECT number, session_id, generation, revoked_at IS NULL AS holds, stop_reason,
            stop_at - {POSTGRESQL_NOW} AS stop_in_ms
        FROM slots JOIN server USING (boot_id) JOIN leases USING (session_id, generation)
    ), freed AS (
        UPDATE slots SET session_id = NULL, generation = NULL
        FROM taken LEFT JOIN told USING (session_id, generation)
        WHERE NOT taken.holds AND told.session_id IS NULL AND slots.boot_id = :boot_id
            AND slots.number = taken.number
            AND slots.session_id = taken.session_id AND slots.generation = taken.generation
    )
    SELECT taken.session_id, taken.generation, taken.stop_in_ms, taken.stop_reason, address, control_lines.number
    FROM server LEFT JOIN taken ON taken.holds LEFT JOIN control_lines USING (session_id)
    """  # noqa: S608 - put together from a constant
)
"""No row: the server is not known. What holds is read from the slots, not from what was renewed: a lease that another
transaction has locked at this moment is passed over, and holds until that one commits."""


async def renew_by_one_statement(
    connection: AsyncConnection, boot_id: str, serving: Sequence[Serving]
) -> RenewalAnswer:
    """Renew on PostgreSQL. The server's row comes first, so that nobody can forget the server meanwhile."""
    await connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_WITHIN_MS}"))
    told = {
        "sessions": [one.session_id for one in serving],
        "generations": [one.generation for one in serving],
        "served": [one.served_ms for one in serving],
    }
    rows = (await connection.execute(_ONE_STATEMENT, {"boot_id": boot_id, **told})).all()
    return _answer([row for row in rows if row.session_id is not None], known=bool(rows))


async def renew_step_by_step(connection: AsyncConnection, boot_id: str, serving: Sequence[Serving]) -> RenewalAnswer:
    """Renew on SQLite, where the transaction is alone."""
    if not await _renew_server(connection, boot_id):
        return _answer([], known=False)
    await _renew_leases(connection, boot_id, serving)
    taken = await _slots_taken(connection, boot_id)
    answer = _answer([row for row in taken if row.revoked_at is None], known=True)
    gone = {(row.session_id, row.generation) for row in taken} - answer.held
    if gone := gone - {(one.session_id, one.generation) for one in serving}:
        await _free(connection, boot_id, gone)
    return answer


def _answer(holding: Sequence[Row[Any]], *, known: bool) -> RenewalAnswer:
    """The answer of the rows that still hold."""
    return RenewalAnswer(
        known=known,
        held=frozenset((row.session_id, row.generation) for row in holding),
        stops={
            (row.session_id, row.generation): Stop(in_s=row.stop_in_ms / 1000, reason=row.stop_reason)
            for row in holding
            if row.stop_in_ms is not None
        },
        controls={
            (row.session_id, row.generation): ControlSocket(address=row.address, number=row.number)
            for row in holding
            if row.address is not None
        },
    )


async def _renew_server(connection: AsyncConnection, boot_id: str) -> bool:
    change = {"renewed_at": db_now(), "renewals": avatar_servers.c.renewals + 1}
    statement = update(avatar_servers).where(avatar_servers.c.boot_id == boot_id).values(change)
    return (await connection.execute(statement)).rowcount > 0


async def _renew_leases(connection: AsyncConnection, boot_id: str, serving: Sequence[Serving]) -> None:
    held = and_(leases.c.boot_id == boot_id, leases.c.revoked_at.is_(None))
    change = {"renewed_at": db_now(), "renewals": leases.c.renewals + 1}
    if serving:
        change["served_ms"] = case(*[_served(one) for one in serving], else_=leases.c.served_ms)
    await connection.execute(update(leases).where(held).values(change))


def _served(one: Serving) -> tuple[ColumnElement[bool], int]:
    """The branch that raises one lease's milliseconds; it never lowers them."""
    same = and_(leases.c.session_id == one.session_id, leases.c.generation == one.generation)
    return and_(same, leases.c.served_ms < one.served_ms), one.served_ms


async def _slots_taken(connection: AsyncConnection, boot_id: str) -> Sequence[Row[Any]]:
    """The sessions in this server's slots, whether each still holds, when it ends by itself, and its control socket."""
    same = and_(leases.c.session_id == slots.c.session_id, leases.c.generation == slots.c.generation)
    stop_in_ms = type_coerce(leases.c.stop_at, BigInteger) - type_coerce(db_now(), BigInteger)
    columns = (slots.c.session_id, slots.c.generation, leases.c.revoked_at, leases.c.stop_reason)
    control = (control_lines.c.address, control_lines.c.number)
    query = (
        select(*columns, stop_in_ms.label("stop_in_ms"), *control)
        .join(leases, same)
        .outerjoin(control_lines, control_lines.c.session_id == slots.c.session_id)
        .where(slots.c.boot_id == boot_id)
    )
    return (await connection.execute(query)).all()


async def _free(connection: AsyncConnection, boot_id: str, gone: set[Pair]) -> None:
    pairs = or_(*[and_(slots.c.session_id == session, slots.c.generation == number) for session, number in gone])
    change = {"session_id": None, "generation": None}
    await connection.execute(update(slots).where(slots.c.boot_id == boot_id, pairs).values(change))
