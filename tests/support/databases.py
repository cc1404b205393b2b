"""Databases made by the migrations, one a test; another kind is one more maker. Time is moved by moving rows."""

import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import Executable, RowMapping, make_url, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from ulid import ULID

from database.accounts import Accounts
from database.admission import Admission
from database.avatar_servers import AvatarServers
from database.avatars import Avatars
from database.creates import Creates
from database.engine import open_engine, reading, writing
from database.instants import from_now
from database.leases import Leases
from database.links import Links
from database.migrations import migrate
from database.sessions import Sessions
from database.statements import insert_if_absent
from database.tables import avatar_servers, plans, sessions
from domain.avatars import AspectRatio, Avatar, Portrait
from domain.plans import Concurrency
from support.postgresql_server import PostgreSQLServer, postgresql_server

__all__ = ["Database", "DatabaseMaker", "PostgreSQLMaker", "an_avatar", "postgresql_server", "sqlite_url"]


class DatabaseMaker(Protocol):
    """A kind of database: makes a fresh, migrated one for each test."""

    async def fresh(self, folder: Path) -> str:
        """The address of a database with every table and nothing of another test in it."""
        ...

    async def empty(self, folder: Path) -> str:
        """The address of a database without a table."""
        ...

    async def drop(self, url: str) -> None:
        """Delete a database; nobody uses it any more."""
        ...

    async def aclose(self) -> None:
        """Leave nothing behind."""
        ...


class SQLiteMaker:
    """Copies of one migrated file."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"

    async def fresh(self, folder: Path) -> str:
        """A copy of the template in `folder`."""
        if not self._template.exists():
            await migrate(sqlite_url(self._template))
        file = folder / "greenroom.db"
        shutil.copyfile(self._template, file)
        return sqlite_url(file)

    async def empty(self, folder: Path) -> str:
        """A file that is not there yet."""
        return sqlite_url(folder / "empty.db")

    async def drop(self, url: str) -> None:
        """It lies in the test's own folder."""

    async def aclose(self) -> None:
        """Nothing runs."""


class PostgreSQLMaker:
    """Copies of one migrated database on one server: 20 ms each."""

    def __init__(self, server: PostgreSQLServer) -> None:
        self._server = server
        self._admin = create_async_engine(server.url("postgres"), isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        self._template = ""

    async def fresh(self, folder: Path) -> str:
        """A copy of the template; `folder` stays empty."""
        del folder
        if not self._template:
            name = await self._create()
            await migrate(self._server.url(name))
            self._template = name
        return self._server.url(await self._create(f"TEMPLATE {self._template}"))

    async def empty(self, folder: Path) -> str:
        """A new one; `folder` stays empty."""
        del folder
        return self._server.url(await self._create())

    async def drop(self, url: str) -> None:
        """Delete it, whoever is still about to leave it."""
        await self._run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    async def aclose(self) -> None:
        """The template goes too: the server may be used by others."""
        if self._template:
            await self.drop(self._server.url(self._template))
        await self._admin.dispose()

    async def _create(self, how: str = "") -> str:
        name = f"test_{ULID()}".lower()
        await self._run(f"CREATE DATABASE {name} {how}")
        return name

    async def _run(self, statement: str) -> None:
        async with self._admin.connect() as connection:
            await connection.execute(text(statement))


KINDS = ("SQLite", "PostgreSQL")
"""The kinds that every test of the database room runs on."""


def sqlite_url(file: Path) -> str:
    """The address of a SQLite file."""
    return f"sqlite+aiosqlite:///{file}"


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database with its stores, and with short ways to set a scene. Every id is new unless it is given."""

    url: str
    engine: AsyncEngine

    @property
    def links(self) -> Links:
        """The store of links."""
        return Links(self.engine)

    @property
    def accounts(self) -> Accounts:
        """The store of accounts."""
        return Accounts(self.engine)

    @property
    def avatars(self) -> Avatars:
        """The store of avatars."""
        return Avatars(self.engine)

    @property
    def sessions(self) -> Sessions:
        """The store of sessions."""
        return Sessions(self.engine)

    @property
    def creates(self) -> Creates:
        """The store of creates."""
        return Creates(self.engine)

    @property
    def leases(self) -> Leases:
        """The store of leases."""
        return Leases(self.engine)

    @property
    def servers(self) -> AvatarServers:
        """The store of avatar servers."""
        return AvatarServers(self.engine)

    async def account(self, *, places: int = 1_000_000, seconds: int | None = None, **limits: Any) -> str:
        """A new account under a plan with so many places, such a session length and other columns; its id."""
        key = "-".join(["plan", str(places), str(seconds), *(f"{name}={value}" for name, value in limits.items())])
        plan = {"key": key, "name": key, "max_session_seconds": seconds, "max_concurrent_sessions": places, **limits}
        async with writing(self.engine) as connection:
            await insert_if_absent(connection, plans, plan)
        account_id = f"acct_{ULID()}"
        await self.accounts.create(account_id, "An account", key)
        return account_id

    async def avatar(self, account_id: str | None = None, avatar_id: str | None = None) -> str:
        """A new avatar, public without an account; its id."""
        avatar = an_avatar(avatar_id or f"avat_{ULID()}", account_id)
        await self.avatars.register(avatar, sha256(avatar.avatar_id.encode()).hexdigest())
        return avatar.avatar_id

    async def server(self, *, slots: int = 2, boot_id: str | None = None, **labels: str) -> str:
        """A new avatar server with free slots, and labels; its boot id."""
        boot = boot_id or f"boot-{ULID()}"
        await self.servers.register(boot, f"name of {boot}", f"avatar-{boot}", slots, labels=labels)
        return boot

    async def admit(
        self,
        account_id: str,
        avatar_id: str,
        *,
        session_id: str | None = None,
        within: float = 30,
        duplicate_key: str = "",
    ) -> tuple[str, Concurrency]:
        """Admit a session; its id and the account's concurrency."""
        session_id, admission = await self.admission(
            account_id, avatar_id, session_id=session_id, within=within, duplicate_key=duplicate_key
        )
        return session_id, admission.concurrency

    async def admission(
        self,
        account_id: str,
        avatar_id: str,
        *,
        session_id: str | None = None,
        within: float = 30,
        picture: bool = False,
        duplicate_key: str = "",
    ) -> tuple[str, Admission]:
        """Admit a session; its id and the whole answer."""
        session_id = session_id or f"sess_{ULID()}"
        answer = await self.sessions.admit(
            session_id=session_id,
            account_id=account_id,
            avatar_id=avatar_id,
            aspect_ratio=AspectRatio.LANDSCAPE,
            metadata={"who": "tester"},
            remaining_seconds=within,
            picture=picture,
            duplicate_key=duplicate_key,
        )
        return session_id, answer

    async def admitted(self, count: int = 1) -> list[str]:
        """New sessions in state `created`, of one account."""
        account_id, avatar_id = await self.account(), await self.avatar()
        return [(await self.admit(account_id, avatar_id))[0] for _ in range(count)]

    async def started(self) -> str:
        """A new session in state `started`, on a server of its own, generation 1."""
        await self.server(slots=1)
        (session_id,) = await self.admitted()
        await self.leases.claim(session_id, 1)
        await self.sessions.start(session_id, 1, 3600, 3600)
        return session_id

    async def silence(self, boot_id: str, seconds: float) -> None:
        """Let a server's last renewal be so long ago; a negative time keeps it live for so long."""
        at = from_now(-seconds)
        await self.run(update(avatar_servers).where(avatar_servers.c.boot_id == boot_id).values(renewed_at=at))

    async def age(self, session_id: str, seconds: float) -> None:
        """Let a session have been admitted so long ago."""
        at = from_now(-seconds)
        await self.run(update(sessions).where(sessions.c.session_id == session_id).values(created_at=at))

    async def pass_deadline(self, session_id: str) -> None:
        """Let a session's time to start be over."""
        past = datetime(2020, 1, 1, tzinfo=UTC)
        await self.run(update(sessions).where(sessions.c.session_id == session_id).values(deadline_at=past))

    async def run(self, statement: Executable) -> None:
        """Run one statement that writes."""
        async with writing(self.engine) as connection:
            await connection.execute(statement)

    async def rows(self, query: Executable) -> Sequence[RowMapping]:
        """The rows of a query."""
        async with reading(self.engine) as connection:
            return (await connection.execute(query)).mappings().all()


def an_avatar(avatar_id: str, account_id: str | None = None, **changes: Any) -> Avatar:
    """An avatar with a landscape portrait and a preview."""
    keypoints = ((1.5, 2.0), (3.0, 2.0), (2.0, 3.0), (1.75, 4.0), (2.75, 4.0))
    landscape = Portrait(
        key=f"{avatar_id}/4x3.jpg", sha256="1" * 64, size=10, width=1280, height=960, keypoints=keypoints
    )
    preview = Portrait(key=f"{avatar_id}/preview.jpg", sha256="2" * 64, size=5, width=500, height=500)
    values: dict[str, Any] = {
        "avatar_id": avatar_id,
        "account_id": account_id,
        "primary": AspectRatio.LANDSCAPE,
        "portraits": {"4:3": landscape, "preview": preview},
        "created_at": datetime(2020, 1, 1, tzinfo=UTC),
    }
    return Avatar(**(values | changes))


@pytest.fixture(scope="session", params=KINDS)
async def database_maker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DatabaseMaker]:
    """The kind of database that the test runs on."""
    maker: DatabaseMaker
    if request.param == "SQLite":
        maker = SQLiteMaker(tmp_path_factory.mktemp("databases"))
    else:
        maker = PostgreSQLMaker(request.getfixturevalue("postgresql_server"))
    yield maker
    await maker.aclose()


@pytest.fixture
async def database_url(database_maker: DatabaseMaker, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a fresh database."""
    url = await database_maker.fresh(tmp_path)
    yield url
    await database_maker.drop(url)


@pytest.fixture
async def empty_url(database_maker: DatabaseMaker, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a database that nobody has migrated."""
    url = await database_maker.empty(tmp_path)
    yield url
    await database_maker.drop(url)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine of the test's database; it is disposed of before the database goes."""
    engine = open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def database(database_url: str, engine: AsyncEngine) -> Database:
    """The test's database with its stores."""
    return Database(url=database_url, engine=engine)
