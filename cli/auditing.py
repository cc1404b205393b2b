"""What `greenroom audit` looks at: rows, workflows, objects and rooms, each by its own service. It changes nothing."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rich.table import Table as RichTable
from sqlalchemy import BigInteger, Select, Table, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.livekit_rooms import LiveKitAccess, LiveKitRooms
from adapters.object_store import ObjectStore
from cli.console import print_whole
from database.engine import open_engine, reading
from database.instants import Instant, db_now, from_now
from database.migrations import is_current
from database.tables import avatar_servers, avatars, leases, session_events, sessions, slots
from database.usage import UsageReading
from domain.avatars import STAGING
from domain.failures import Unavailable
from domain.ids import is_avatar_id, is_session_id
from domain.invariants import MEANINGS, Breach, Facts, found
from domain.rooms import AVATAR_IDENTITY
from runtime.settings import Settings, load_settings
from runtime.temporal_client import connect
from runtime.workflow_lists import OPEN, listed

BETWEEN_LOOKS_S = 2.0
DAY_S = 86_400
STORED_FOR = timedelta(minutes=5)
"""Pictures that lie for so long belong to an avatar, or to nobody."""
NEW_MS = 10_000
"""A workflow that began just now may not be listed yet."""
RUNNING = f"{OPEN} AND WorkflowType IN ('CreateSessionWorkflow', 'UploadFaceWorkflow')"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was looked at and what does not hold."""

    looked: Mapping[str, int]
    """How much of everything there was; rooms are left out where no LiveKit server is set."""
    breaches: list[Breach] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Does everything hold?"""
        return not self.breaches


async def audited(environ: Mapping[str, str], *, days: float) -> Audit:
    """Two looks; what both find is a breach. Refused or SettingsError where something cannot be looked at."""
    settings = load_settings(environ)
    async with AsyncExitStack() as stack:
        looker = await Looker.opened(settings, environ, stack)
        first = await looker.look(days)
        before = set(found(first))
        if not before:
            return Audit(looked=_sizes(first, looker))
        await asyncio.sleep(BETWEEN_LOOKS_S)
        second = await looker.look(days)
        return Audit(looked=_sizes(second, looker), breaches=[one for one in found(second) if one in before])


@dataclass(frozen=True, kw_only=True)
class Looker:
    """The connections of an audit."""

    engine: AsyncEngine
    store: ObjectStore
    temporal: Client
    rooms: LiveKitRooms | None

    @staticmethod
    async def opened(settings: Settings, environ: Mapping[str, str], stack: AsyncExitStack) -> "Looker":
        """Connect to everything; Unavailable where something does not answer or is of another version."""
        engine = open_engine(settings.database_address)
        stack.push_async_callback(engine.dispose)
        if not await is_current(engine):
            raise Unavailable("the database's tables are not those of this version; run `greenroom migrate`")
        store = ObjectStore(settings.storage_address, **settings.storage_access)
        stack.push_async_callback(store.aclose)
        rooms = None
        if settings.livekit_url and settings.livekit_api_key:
            rooms = LiveKitRooms(LiveKitAccess(**settings.livekit_access))
            stack.push_async_callback(rooms.aclose)
        try:
            temporal = await connect(environ)
        except RuntimeError as error:
            raise Unavailable("Temporal does not answer") from error
        return Looker(engine=engine, store=store, temporal=temporal, rooms=rooms)

    async def look(self, days: float) -> Facts:
        """What is there now, of the sessions of so many days and those that run.

        Workflows are listed before and after: who is in either list runs.
        """
        avatars_there = await self.rooms.counted(AVATAR_IDENTITY) if self.rooms else {}
        before = await self._workflows()
        async with reading(self.engine) as connection:
            rows = await _rows(connection, days)
            known = frozenset(await connection.scalars(select(avatars.c.avatar_id)))
        running = before | await self._workflows()
        now_ms = rows["now"][0]["now"]
        new = {row["session_id"] for row in rows["sessions"] if now_ms - row["created_at"] < NEW_MS}
        live = frozenset(name for name in running if is_session_id(name))
        return Facts(
            now_ms=now_ms,
            sessions=rows["sessions"],
            events=rows["events"],
            servers=rows["servers"],
            slots=rows["slots"],
            leases=rows["leases"],
            running=live | new,
            avatars=avatars_there,
            staged=await self._staged(running),
            pictured=await self._pictured(),
            known_avatars=known | {name.removeprefix("upload-") for name in running},
            bills=tuple(await UsageReading(self.engine).breaches()),
        )

    async def _workflows(self) -> frozenset[str]:
        try:
            return frozenset([one.workflow_id async for one in listed(self.temporal, RUNNING)])
        except RPCError as error:
            raise Unavailable(f"Temporal does not list workflows: {error.status.name}") from error

    async def _staged(self, running: frozenset[str]) -> tuple[str, ...]:
        """Owners of staged pictures that nobody works on, an upload's by its avatar."""
        old = await self.store.prefixes_older_than(STAGING, STORED_FOR)
        owners = (prefix.rpartition("/")[2] for prefix in old)
        return tuple(owner for owner in owners if owner not in running and f"upload-{owner}" not in running)

    async def _pictured(self) -> tuple[str, ...]:
        old = await self.store.prefixes_older_than("avatars", STORED_FOR)
        return tuple(name for name in (prefix.rpartition("/")[2] for prefix in old) if is_avatar_id(name))


_TABLES = {"sessions": sessions, "events": session_events, "servers": avatar_servers, "slots": slots, "leases": leases}


async def _rows(connection: AsyncConnection, days: float) -> dict[str, list[dict[str, Any]]]:
    """The rows that the rules ask for; moments as milliseconds."""
    young = sessions.c.created_at > from_now(-days * DAY_S)
    recent = select(sessions.c.session_id).where(or_(sessions.c.ended_at.is_(None), young))
    read = {}
    for name, table in _TABLES.items():
        query = _plain(table)
        if table in (sessions, session_events, leases):
            query = query.where(table.c.session_id.in_(recent))
        read[name] = [dict(row) for row in (await connection.execute(query)).mappings()]
    now = await connection.execute(select(type_coerce(db_now(), BigInteger).label("now")))
    return {**read, "now": [dict(row) for row in now.mappings()]}


def _plain(table: Table) -> Select[Any]:
    is_moment = [isinstance(column.type, Instant) for column in table.c]
    columns = zip(table.c, is_moment, strict=True)
    return select(*(type_coerce(c, BigInteger).label(c.name) if moment else c for c, moment in columns))


def _sizes(facts: Facts, looker: Looker) -> dict[str, int]:
    sizes = {"sessions": len(facts.sessions), "leases": len(facts.leases), "workflows": len(facts.running)}
    sizes |= {"servers": len(facts.servers), "avatars": len(facts.known_avatars)}
    return sizes | ({"rooms": len(facts.avatars)} if looker.rooms else {})


def show(audit: Audit) -> None:
    """Print a row for each invariant."""
    table = RichTable(title=", ".join(f"{number} {name}" for name, number in audit.looked.items()), show_header=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, meaning in MEANINGS.items():
        broken = [breach.sentence for breach in audit.breaches if breach.invariant == name]
        table.add_row("[red]✗[/]" if broken else "[green]✓[/]", name, "\n".join([meaning, *broken]))
    print_whole(table)
