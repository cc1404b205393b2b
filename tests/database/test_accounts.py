"""Accounts, keys and plans."""

import pytest
from sqlalchemy import select

from database.accounts import AccountKey
from database.tables import accounts, api_keys
from domain.failures import FailureCode, Refused
from domain.plans import Concurrency, Plan
from support.databases import Database

HASH = "ab" * 32


async def test_a_key_finds_its_account(database: Database) -> None:
    """A key's hash names its account; another hash names nobody."""
    await database.accounts.create("acct_1", "First")
    await database.accounts.add_key("acct_1", HASH, "laptop")
    assert await database.accounts.by_key_hash(HASH) == AccountKey(account_id="acct_1", revoked=False)
    assert await database.accounts.by_key_hash("cd" * 32) is None


async def test_a_revoked_key_is_told_from_an_unknown_one(database: Database) -> None:
    """A revoked key still names its account, as revoked; revoking it again keeps the first time."""
    await database.accounts.create("acct_1", "First")
    await database.accounts.add_key("acct_1", HASH, "laptop")
    await database.accounts.revoke_key(HASH)
    first = await database.rows(select(api_keys.c.revoked_at))
    await database.accounts.revoke_key(HASH)
    assert await database.rows(select(api_keys.c.revoked_at)) == first
    assert await database.accounts.by_key_hash(HASH) == AccountKey(account_id="acct_1", revoked=True)


async def test_a_repeat_changes_nothing(database: Database) -> None:
    """Making the same account or key again leaves the first as it was."""
    for name in ("First", "Second"):
        await database.accounts.create("acct_1", name)
        await database.accounts.add_key("acct_1", HASH, name)
    assert [row["name"] for row in await database.rows(select(accounts))] == ["First"]
    assert [row["name"] for row in await database.rows(select(api_keys))] == ["First"]


async def test_the_plan_of_an_account(database: Database) -> None:
    """An account has the plan that it was made with, self_hosted if nothing is said."""
    await database.accounts.create("acct_1", "First")
    expected = Plan(key="self_hosted", name="Self-hosted", max_session_seconds=None, max_concurrent_sessions=1_000_000)
    assert await database.accounts.plan_of("acct_1") == expected
    limited = await database.accounts.plan_of(await database.account(places=3, seconds=60))
    assert (limited.max_session_seconds, limited.max_concurrent_sessions) == (60, 3)


async def test_concurrency_counts_sessions_that_have_not_ended(database: Database) -> None:
    """An account's places are held by its own sessions until they end, and by nobody else's."""
    account_id, avatar_id = await database.account(places=5), await database.avatar()
    await database.admitted()
    for _ in range(3):
        session_id, _ = await database.admit(account_id, avatar_id)
    await database.sessions.end(session_id, "ended_by_request")
    assert await database.accounts.concurrency(account_id) == Concurrency(current=2, max=5)


async def test_what_is_not_there_is_not_found(database: Database) -> None:
    """An account or plan that does not exist is NOT_FOUND, whoever asks."""
    for refused in (
        database.accounts.plan_of("acct_0"),
        database.accounts.concurrency("acct_0"),
        database.accounts.add_key("acct_0", HASH, "laptop"),
        database.accounts.create("acct_0", "Nobody", "no such plan"),
    ):
        with pytest.raises(Refused) as refusal:
            await refused
        assert refusal.value.code == FailureCode.NOT_FOUND


async def test_an_operator_names_an_account(database: Database) -> None:
    """By its id, else by its name, which several may have; the oldest two tell whether it is the only one."""
    assert await database.accounts.first_two() == []
    for account_id, name in (("acct_1", "Ada"), ("acct_2", "Ada"), ("Ada", "Bob")):
        await database.accounts.create(account_id, name)
    assert await database.accounts.called("acct_1") == ["acct_1"]
    assert await database.accounts.called("Ada") == ["Ada"]
    assert await database.accounts.called("Bob") == ["Ada"]
    assert await database.accounts.called("nobody") == []
    await database.accounts.create("acct_3", "Eve")
    await database.accounts.create("acct_4", "Eve")
    assert set(await database.accounts.called("Eve")) == {"acct_3", "acct_4"}
    assert len(await database.accounts.first_two()) == 2
