"""`greenroom plans`, `accounts` and `keys` on a real database; and what a closed account's sessions end as."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Executable, select, update
from temporalio.client import Client

from api.auth import key_hash
from api.key_use import KeyUse
from cli.accounts.closing import close
from cli.main import main
from database.account_admin import AccountAdmin
from database.accounts import Accounts
from database.engine import open_engine, reading, writing
from database.migrations import migrate
from database.tables import api_keys, charges
from domain.leases import Serving
from support.api_system import ROOM, ApiSystem, environment, new_picture
from support.databases import Database, sqlite_url


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


def test_an_account_has_timers_of_its_own(url: str) -> None:
    """Each by itself, until it is given back to the plan; what is no time is refused."""
    said(url, "accounts", "create", "Ada")
    said(url, "accounts", "timers", "Ada", "--nobody-joined", "60", "--agent-left", "5")
    said(url, "accounts", "timers", "Ada", "--agent-left", "plan")
    (shown,) = map(json.loads, said(url, "accounts", "list", "--json").splitlines())
    assert (shown["nobody_joined_s"], shown["participants_left_s"], shown["agent_left_s"]) == (60.0, None, None)
    for wrong in (("--agent-left", "0"), ("--agent-left", "soon"), ()):
        said(url, "accounts", "timers", "Ada", *wrong, code=2)


def test_the_ledger_is_recomputed(url: str) -> None:
    """It agrees until somebody touches a bill; then the session is named, for its account and for all."""
    account_id = said(url, "accounts", "create", "Ada", "--plan", "explorer")
    asyncio.run(one_billed(url, account_id))
    fine = json.loads(said(url, "usage", "check", "--json"))
    assert (fine["whole"], fine["bills"], fine["minutes"]) == (True, 1, 2)
    asyncio.run(changed(url, update(charges).values(minutes=3, included_minutes=3)))
    wrong = json.loads(said(url, "usage", "check", "Ada", "--json", code=1))
    assert [line.split()[0] for line in wrong["differences"]] == ["sess_1", "sess_1"]
    said(url, "accounts", "create", "Bob")
    assert said(url, "usage", "check", "Bob") == "0 bills, 0 minutes: 0 differences"
    said(url, "usage", "check", "nobody", code=2)


async def one_billed(url: str, account_id: str) -> None:
    """A session of the account that was served for 90 s and has ended."""
    engine = open_engine(url)
    database = Database(url=url, engine=engine)
    boot = await database.server()
    await database.admit(account_id, await database.avatar(), session_id="sess_1")
    await database.leases.claim("sess_1", 1)
    await database.sessions.start("sess_1", 1, 3600, 3600)
    await database.servers.renew(boot, [Serving(session_id="sess_1", generation=1, served_ms=90_000)])
    await database.sessions.end("sess_1", "ended_by_request", attended=True)
    await engine.dispose()


async def changed(url: str, statement: Executable) -> None:
    """Run a statement behind everybody's back."""
    engine = open_engine(url)
    async with writing(engine) as connection:
        await connection.execute(statement)
    await engine.dispose()


def test_admissions_are_frozen_and_thawed(url: str) -> None:
    """For everybody or an account, with an end or without; a dry run changes nothing."""
    account_id = said(url, "accounts", "create", "Ada")
    said(url, "admissions", "freeze", "--dry-run")
    assert said(url, "admissions", "status") == ""
    said(url, "admissions", "freeze", "--account", "Ada", "--reason", "unpaid", "--for", "30m")
    said(url, "admissions", "freeze", "--until", "2040-01-31T18:00")
    every, one = map(json.loads, said(url, "admissions", "status", "--json").splitlines())
    assert (every["scope"], every["until"]) == ("", "2040-01-31T18:00:00Z")
    assert (one["scope"], one["reason"]) == (account_id, "unpaid")
    said(url, "admissions", "thaw", "--dry-run")
    said(url, "admissions", "thaw")
    assert "not frozen" in said(url, "admissions", "thaw")
    assert "reason=unpaid" in said(url, "admissions", "status")
    for wrong in (("--until", "soon"), ("--until", "2040-01-31", "--for", "1h")):
        said(url, "admissions", "freeze", *wrong, code=2)


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
