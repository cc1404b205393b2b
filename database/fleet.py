"""The fleet's state in one statement, for those who watch it. Only reads."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, func, not_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from database.avatar_servers import LIVE_S, takes_sessions
from database.engine import reading
from database.instants import db_now, from_now
from database.tables import avatar_servers, leases, sessions, slots, waiting, webhook_deliveries
from domain.fleet import FleetState
from domain.session import SessionStatus


class Fleet:
    """Looks at the whole fleet."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def look(self) -> FleetState:
        """How many there are of what, at one moment of the database."""
        async with reading(self._engine) as connection:
            row = (await connection.execute(_state())).one()
        return FleetState(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def _state() -> Select[Any]:
    live = avatar_servers.c.renewed_at > from_now(-LIVE_S)
    free, served = slots.c.session_id.is_(None), slots.join(avatar_servers)
    living = sessions.c.ended_at.is_(None)
    counts: dict[str, tuple[Any, ColumnElement[bool]]] = {
        "slots_free": (served, and_(free, takes_sessions())),
        "slots_held": (slots, not_(free)),
        "slots_away": (served, and_(free, not_(takes_sessions()))),
        "servers_live": (avatar_servers, takes_sessions()),
        "servers_draining": (avatar_servers, and_(live, avatar_servers.c.draining)),
        "servers_silent": (avatar_servers, not_(live)),
        "leases_held": (leases, leases.c.revoked_at.is_(None)),
        "sessions_created": (sessions, and_(living, sessions.c.status == SessionStatus.CREATED)),
        "sessions_started": (sessions, and_(living, sessions.c.status == SessionStatus.STARTED)),
        "waiting": (waiting, waiting.c.expires_at > db_now()),
        "webhooks_pending": (webhook_deliveries, webhook_deliveries.c.state == "pending"),
    }
    return select(*(_count(of, where).label(name) for name, (of, where) in counts.items()))


def _count(of: Table, where: ColumnElement[bool]) -> Any:
    return select(func.count()).select_from(of).where(where).scalar_subquery()
