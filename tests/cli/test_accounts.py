"""`greenroom plans`, `accounts` and `keys` on a real database; and what a closed account's sessions end as."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select
from temporalio.client import Client

from api.auth import key_hash
from api.key_use import KeyUse
from cli.accounts import close
from cli.main import main
from database.account_admin import AccountAdmin
from database.accounts import Accounts
from database.engine import open_engine, reading
from database.migrations import migrate
from database.tables import api_keys
from support.api_system import ROOM, ApiSystem, environment, new_picture
from support.databases import sqlite_url


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database of its own."""
    address = sqlite_url(tmp_path / "greenroom.db")
    asyncio.run(migrate(address))
    return address


def said(url: str, *words: str, code: int = 0) -> str:
    """What a command prints."""
    result: Result = CliRunner().invoke(main, list(words), env={"GREENROOM_DATABASE_URL": url})
    assert result.exit_code == code, result.output
    return result.output.strip()


def test_a_plan_is_changed_and_shown(url: str) -> None:
    """By the names of its limits; a value or name that is none changes nothing."""
    said(url, "plans", "set", "free", "included_minutes=30", "max_session_seconds=none", "paid=yes", "agent_left_s=5")
    said(url, "plans", "set", "team", "max_concurrent_sessions=7")
    found = {row["key"]: row for row in map(json.loads, said(url, "plans", "list", "--json").splitlines())}
    free = found["free"]
    assert (free["included_minutes"], free["max_session_seconds"], free["paid"]) == (30, None, True)
    assert (free["agent_left_s"], found["team"]["max_concurrent_sessions"]) == (5.0, 7)
    for wrong in ("minutes=3", "included_minutes=x", "paid=none", "included_minutes"):
        said(url, "plans", "set", "free", wrong, code=2)
    assert "key=free" in said(url, "plans", "list")


def test_an_account_its_keys_and_its_minutes(url: str) -> None:
    """A key is printed once and found by its hash; it is listed without being shown, and revoked by name."""
    account_id = said(url, "accounts", "create", "Ada", "--plan", "explorer")
    key = said(url, "keys", "create", "Ada", "laptop")
    assert key.startswith("ah_live_")
    said(url, "keys", "create", account_id, "server")
    said(url, "accounts", "add-minutes", "Ada", "120", "--days", "30")
    said(url, "accounts", "set-plan", "Ada", "growth")
    (shown,) = said(url, "accounts", "show", "Ada", "--json").splitlines()
    assert json.loads(shown)["plan_key"] == "growth"
    assert len(said(url, "accounts", "list").splitlines()) == 1
    listed = said(url, "keys", "list", "Ada", "--json")
    assert key not in listed
    first, second = map(json.loads, listed.splitlines())
    assert (first["key_id"], first["name"], first["revoked_at"]) == (key_hash(key)[:12], "laptop", None)
    said(url, "keys", "revoke", "Ada", "laptop")
    said(url, "keys", "revoke", "Ada", "laptop", code=1)
    said(url, "keys", "revoke", "Ada", second["key_id"])
    assert all(json.loads(row)["revoked_at"] for row in said(url, "keys", "list", "Ada", "--json").splitlines())


def test_a_closed_account_has_no_keys_and_gets_none(url: str) -> None:
    """Nothing of it opens anything any more."""
    said(url, "accounts", "create", "Ada")
    said(url, "keys", "create", "Ada", "laptop")
    said(url, "accounts", "close", "Ada", "--yes")
    assert json.loads(said(url, "keys", "list", "Ada", "--json"))["revoked_at"]
    for words in (("keys", "create", "Ada", "again"), ("accounts", "add-minutes", "Ada", "5")):
        said(url, *words, code=2)
    said(url, "accounts", "close", "nobody", "--yes", code=2)


async def test_the_last_use_of_a_key_is_written_once_a_minute(tmp_path: Path) -> None:
    """By nobody who waits for it; a second use within the minute writes nothing."""
    address = sqlite_url(tmp_path / "greenroom.db")
    await migrate(address)
    engine = open_engine(address)
    await Accounts(engine).create("acct_1", "Ada")
    await Accounts(engine).add_key("acct_1", "ab" * 32, "laptop")
    use = KeyUse(AccountAdmin(engine))

    async def last() -> object:
        async with reading(engine) as connection:
            return await connection.scalar(select(api_keys.c.last_used_at))

    await use.write()
    assert await last() is None
    use.note("ab" * 32)
    await use.write()
    first = await last()
    assert first is not None
    use.note("ab" * 32)
    await use.write()
    assert await last() == first
    await engine.dispose()


async def test_a_revoked_key_and_a_closed_account(api_system: ApiSystem, temporal_apart: Client) -> None:
    """With the key revoked requests are 401 and the session goes on; with the account closed it ends, and is billed."""
    await api_system.a_slot_is_free()
    key = await api_system.account("explorer")
    body = {"avatar": new_picture(), "room": ROOM}
    status, answer = await api_system.request("POST", "/v1/sessions", key=key, json=body)
    assert status == 201, answer
    session_id = answer["session"]["session_id"]
    admin, accounts = AccountAdmin(api_system.engine), Accounts(api_system.engine)
    found = await accounts.by_key_hash(key_hash(key))
    assert found is not None
    await admin.add_key(found.account_id, key_hash(f"{key}-2"), "second")
    assert await admin.revoke(found.account_id, "first") == 1
    path = f"/v1/sessions/{session_id}"
    assert await api_system.request("GET", path, key=key) == (401, {"error": "API key is deactivated"})
    status, answer = await api_system.request("GET", path, key=f"{key}-2")
    assert (status, answer["session"]["status"]) == (200, "started")
    environ = environment(temporal_apart) | {"GREENROOM_DATABASE_URL": api_system.settings.database_address}
    assert await close(environ, found.account_id) == [f"{session_id} ended as account_closed"]
    assert (await api_system.request("GET", path, key=f"{key}-2"))[0] == 401
    assert (await accounts.concurrency(found.account_id)).current == 0
