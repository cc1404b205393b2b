"""Which keys of the server rows still depend on, by the ids that stand in them; knows no key."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, not_, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import reading, writing
from database.instants import db_now
from database.tables import creates, sessions, webhook_endpoints

Reseal = Callable[[str, str], str]
"""Endpoint id and sealed secret -> the secret sealed anew."""


@dataclass(frozen=True, kw_only=True)
class Depending:
    """How many rows depend on a key."""

    number: int
    last: datetime | None
    """The latest of their moments, whatever those are; None where there is no row."""


class KeyUses:
    """The ids of keys in sessions, creates and webhooks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def bodies(self, key_id: str) -> Depending:
        """Kept creates whose bodies are known by this key, and until when the last is kept."""
        mine = and_(_of(creates.c.body_mac, key_id), creates.c.expires_at > db_now())
        query = select(func.count(), func.max(creates.c.expires_at)).where(mine)
        async with reading(self._engine) as connection:
            number, last = (await connection.execute(query)).one()
        return Depending(number=number, last=last)

    async def foreign_bodies(self, key_ids: frozenset[str]) -> int:
        """How many kept creates are known by none of these keys."""
        foreign = and_(_of_none(creates.c.body_mac, key_ids), creates.c.expires_at > db_now())
        async with reading(self._engine) as connection:
            return (await connection.execute(select(func.count()).select_from(creates).where(foreign))).scalar_one()

    async def sessions(self, others: frozenset[str]) -> Depending:
        """Sessions that have not ended, whose token may be of another key than these; when the last was created.

        Which key signed a token is not stored: it is the one by which the create's body is known, made in the same
        answer. A session without a create that is remembered may be of any.
        """
        maybe = or_(creates.c.body_mac.is_(None), _of_none(creates.c.body_mac, others))
        query = (
            select(func.count(), func.max(sessions.c.created_at))
            .select_from(sessions.outerjoin(creates, creates.c.session_id == sessions.c.session_id))
            .where(sessions.c.ended_at.is_(None), maybe)
        )
        async with reading(self._engine) as connection:
            number, last = (await connection.execute(query)).one()
        return Depending(number=number, last=last)

    async def webhooks(self) -> Counter[str]:
        """How many secrets of webhooks are sealed with which key; one that has stopped to sign does not count."""
        table = webhook_endpoints
        signs_too = and_(table.c.sealed_previous.is_not(None), table.c.previous_until > db_now())
        query = select(table.c.sealed_secret, table.c.sealed_previous, signs_too.label("two"))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.where(table.c.removed_at.is_(None)))).all()
        sealed = [row.sealed_secret for row in rows] + [row.sealed_previous for row in rows if row.two]
        return Counter(one.partition(".")[0] for one in sealed)

    async def reseal_webhooks(self, reseal: Reseal, newest: str) -> int:
        """Seal every secret of webhooks with the newest key; how many were not. A secret changed meanwhile stays."""
        table = webhook_endpoints
        number = 0
        for column in (table.c.sealed_secret, table.c.sealed_previous):
            older = and_(column.is_not(None), column != "", not_(_of(column, newest)), table.c.removed_at.is_(None))
            async with writing(self._engine) as connection:
                rows = (await connection.execute(select(table.c.endpoint_id, column).where(older))).all()
                for endpoint_id, sealed in rows:
                    mine = and_(table.c.endpoint_id == endpoint_id, column == sealed)
                    anew = {column: reseal(endpoint_id, sealed)}
                    number += (await connection.execute(update(table).where(mine).values(anew))).rowcount
        return number


def _of_none(column: ColumnElement[str], key_ids: frozenset[str]) -> ColumnElement[bool]:
    """Was the text made with another key than these?"""
    return and_(true(), *(not_(_of(column, key_id)) for key_id in sorted(key_ids)))


def _of(column: ColumnElement[str], key_id: str) -> ColumnElement[bool]:
    """Was the text made with this key? Its id stands in front."""
    return column.startswith(f"{key_id}.", autoescape=True)
