"""The commands on PostgreSQL, by nothing but a setting; whatever goes wrong, no password is said."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url
from ulid import ULID

from api.app import create_app
from api.auth import key_hash
from cli.doctor import examine
from cli.main import main
from database.engine import open_engine
from database.migrations import is_current
from support.api_system import KEY, ROOM, serving, settings_in
from support.databases import Database, DatabaseMaker

ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:9"
"""Nothing listens on the discard port."""
SECRET = "pa55-that-nobody-may-read"

pytestmark = pytest.mark.parametrize("database_maker", ["PostgreSQL"], indirect=True)


@pytest.fixture
def wrong_url(database_url: str) -> str:
    """The database's address with another password."""
    return make_url(database_url).set(password=SECRET).render_as_string(hide_password=False)


@pytest.fixture
async def http(database: Database, tmp_path: Path) -> AsyncIterator[Any]:
    """A client of an API on the database; Temporal is away."""
    await database.accounts.create("acct_1", "tester")
    await database.accounts.add_key("acct_1", key_hash(KEY), "first")
    settings = settings_in(tmp_path, database_url=database.url)
    async with serving(create_app(settings, {"TEMPORAL_ADDRESS": NOBODY})) as client:
        yield client


async def test_a_migration_is_a_command(empty_url: str) -> None:
    """`greenroom migrate` makes the tables, as often as it is run; the plain form of the address is enough."""
    plain = make_url(empty_url).set(drivername="postgresql").render_as_string(hide_password=False)
    environ = {**os.environ, "GREENROOM_DATABASE_URL": plain}
    command = [sys.executable, "-m", "cli.main", "migrate"]
    for _ in range(2):
        done = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said, wrong = await done.communicate()
        assert (done.returncode, wrong) == (0, b"")
        first, second = said.decode().splitlines()
        assert first == "The database is up to date."
        # Nobody has said where pictures lie: none may be put into this folder.
        assert second.startswith("The built-in avatars were left out: say by GREENROOM_STORAGE_URL")
    engine = open_engine(empty_url)
    assert await is_current(engine)
    await engine.dispose()


async def test_the_api_is_ready_on_it(http: Any, database: Database) -> None:
    """Its database is ok, keys are known, sessions are read."""
    assert (await http.get("/readyz")).json()["parts"]["database"] == "ok"
    session_id = await database.started()
    headers = {"x-api-key": KEY}
    assert (await http.get("/v1/avatars", headers=headers)).status_code == 200
    assert (await http.get(f"/v1/sessions/{session_id}", headers=headers)).status_code == 404  # of another account
    assert (await http.get("/v1/avatars", headers={"x-api-key": "wrong"})).status_code == 401


async def test_ids_that_it_cannot_store_are_not_found(http: Any) -> None:
    """PostgreSQL has no NUL in its texts; nobody hears of that."""
    headers = {"x-api-key": KEY}
    for avatar in ("avat_\0", "PUBLIC/\0", f"avat_{ULID()}\0"):
        answer = await http.post("/v1/sessions", headers=headers, json={"avatar": avatar, "room": ROOM})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    for method, path in (("GET", "/v1/sessions/sess_%00"), ("POST", "/v1/sessions/sess_%00/end")):
        answer = await http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")


async def test_the_doctor_finds_it_well(database_url: str, tmp_path: Path) -> None:
    """It says which database it looked at."""
    assert await looked_at(database_url, tmp_path) == (True, "postgresql is up to date")


async def test_the_doctor_says_what_the_server_said(wrong_url: str, tmp_path: Path) -> None:
    """The reason, the variable, and not the password."""
    ok, said = await looked_at(wrong_url, tmp_path)
    assert not ok
    assert "password authentication failed" in said
    assert "GREENROOM_DATABASE_URL" in said
    assert SECRET not in said


async def test_an_api_that_is_let_in_nowhere_says_so_without_the_password(
    wrong_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It starts, is not ready, and answers 503; the log has the server's reason and no secret."""
    caplog.set_level(logging.DEBUG)
    settings = settings_in(tmp_path, database_url=wrong_url)
    async with serving(create_app(settings, {"TEMPORAL_ADDRESS": NOBODY})) as client:
        ready = await client.get("/readyz")
        answer = await client.get("/v1/avatars", headers={"x-api-key": KEY})
    assert (ready.status_code, ready.json()["parts"]["database"]) == (503, "away")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "password authentication failed" in caplog.text
    assert SECRET not in caplog.text + ready.text + answer.text + repr(settings)


def test_a_migration_that_cannot_connect_is_one_sentence(wrong_url: str) -> None:
    """Exit code 1, and the reason."""
    code, said = migration(wrong_url)
    assert code == 1
    assert said.count("\n") == 1
    assert "password authentication failed" in said
    assert SECRET not in said


@pytest.mark.parametrize("wrong", ["postgresql://u:{}@x@h:5432/d", "postgresql://u:{}/x:y@h/d", "mysql://u:{}@h/d"])
def test_an_address_that_cannot_be_read_is_not_quoted(database_maker: DatabaseMaker, wrong: str) -> None:
    """Exit code 2, and the variable's name."""
    code, said = migration(wrong.format(SECRET))
    assert code == 2
    assert said.startswith("greenroom: GREENROOM_DATABASE_URL is wrong: ")
    assert SECRET not in said


async def looked_at(url: str, folder: Path) -> tuple[bool, str]:
    """What the doctor finds of the database."""
    environ = {"GREENROOM_DATABASE_URL": url, "GREENROOM_DATA_DIR": str(folder), "TEMPORAL_ADDRESS": NOBODY}
    (finding,) = [one for one in await examine({**environ, "GREENROOM_PORT": "9"}) if one.part == "database"]
    return finding.ok, finding.text


def migration(url: str) -> tuple[int, str]:
    """The exit code of `greenroom migrate`, and everything that it printed."""
    result = CliRunner().invoke(main, ["migrate"], env={"GREENROOM_DATABASE_URL": url})
    return result.exit_code, result.output
