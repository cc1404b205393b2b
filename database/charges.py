"""A session's bill: one row of the ledger, written in the transaction of its end (docs/decisions/0014)."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import db_now
from database.minutes import minutes_in, open_packs, served_ms_of
from database.standing import Standing
from database.tables import charges, minute_packs
from domain.billing import Charge, Pack, charge


async def bill(
    connection: AsyncConnection, session_id: str, standing: Standing, *, attended: bool, reserved: int | None
) -> Charge:
    """Write what a session costs that has just ended; the account is locked, and the session's leases are revoked.

    Revoked leases are not renewed any more: what they show is final. `reserved` are the minutes that it held.
    """
    served_ms = int(await connection.scalar(select(served_ms_of(session_id))) or 0) if attended else 0
    left: int | None = None
    packs: list[Pack] = []
    if standing.plan.included_minutes is not None:
        left = (await minutes_in(connection, standing.account_id, standing.plan, standing.period)).included_left
        packs = await _packs(connection, standing.account_id)
    bill_ = charge(served_ms, included_left=left, packs=packs, reserved=reserved)
    for pack_id, minutes in bill_.packs.items():
        one = update(minute_packs).where(minute_packs.c.pack_id == pack_id)
        await connection.execute(one.values(minutes_left=minute_packs.c.minutes_left - minutes))
    row = {"session_id": session_id, "account_id": standing.account_id, "charged_at": db_now()}
    amounts = {"minutes": bill_.minutes, "included_minutes": bill_.included, "purchased_minutes": bill_.purchased}
    values = {**row, "served_ms": served_ms, **amounts, "packs": dict(bill_.packs)}
    await connection.execute(insert(charges).values(values))
    return bill_


async def _packs(connection: AsyncConnection, account_id: str) -> list[Pack]:
    """What was bought and is left, first in, first out; of packs of one moment the one that expires first."""
    order = (minute_packs.c.bought_at, minute_packs.c.expires_at.is_(None), minute_packs.c.expires_at)
    query = select(minute_packs).where(open_packs(account_id)).order_by(*order, minute_packs.c.pack_id)
    return [Pack(pack_id=row.pack_id, left=row.minutes_left) for row in await connection.execute(query)]
