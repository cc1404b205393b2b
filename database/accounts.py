"""Accounts, their keys and their plans. Knows hashes of keys, never a key."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Label, bindparam, distinct, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import reading, writing
from database.instants import db_now
from database.statements import insert_if_absent
from database.tables import accounts, api_keys, plans, sessions
from domain.failures import FailureCode, Refused
from domain.plans import Concurrency, Plan


@dataclass(frozen=True, kw_only=True)
class AccountKey:
    """Whose key it is, and whether it still opens anything."""

    account_id: str
    revoked: bool
    requests_per_minute: int | None = None
    """Of the account's plan; None: as the settings say."""


# Made once: every request asks this, and putting a statement together takes longer than running it.
_BY_KEY_HASH = (
    select(api_keys.c.account_id, api_keys.c.revoked_at, plans.c.requests_per_minute)
    .select_from(api_keys.join(accounts).join(plans))
    .where(api_keys.c.key_hash == bindparam("key_hash"))
)


class Accounts:
    """The store of accounts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, account_id: str, name: str, plan_key: str = "self_hosted") -> None:
        """Make an account, unless it is there already. NOT_FOUND for a plan that does not exist."""
        plan = select(plans.c.key).where(plans.c.key == plan_key)
        row = {"account_id": account_id, "name": name, "plan_key": plan_key, "created_at": db_now()}
        async with writing(self._engine) as connection:
            if await connection.scalar(plan) is None:
                raise Refused(FailureCode.NOT_FOUND, "Plan not found")
            await insert_if_absent(connection, accounts, row)

    async def called(self, name: str) -> list[str]:
        """The ids of the accounts of this id or name. An id is found alone, whatever others are called."""
        query = select(accounts.c.account_id, accounts.c.name).order_by(accounts.c.created_at)
        either = or_(accounts.c.account_id == name, accounts.c.name == name)
        async with reading(self._engine) as connection:
            found = [str(row.account_id) for row in await connection.execute(query.where(either))]
        return [name] if name in found else found

    async def first_two(self) -> list[str]:
        """The ids of the oldest accounts, two at most: enough to tell whether there is one alone."""
        query = select(accounts.c.account_id).order_by(accounts.c.created_at).limit(2)
        async with reading(self._engine) as connection:
            return list(await connection.scalars(query))

    async def add_key(self, account_id: str, key_hash: str, name: str) -> None:
        """Let a key, given as its SHA-256 in hexadecimal, open the account; a known key stays as it is."""
        account = select(accounts.c.account_id).where(accounts.c.account_id == account_id)
        row = {"key_hash": key_hash, "account_id": account_id, "name": name, "created_at": db_now()}
        async with writing(self._engine) as connection:
            if await connection.scalar(account) is None:
                raise no_account()
            await insert_if_absent(connection, api_keys, row)

    async def revoke_key(self, key_hash: str) -> None:
        """Let a key open nothing any more; the time of the first revocation stays."""
        standing = (api_keys.c.key_hash == key_hash) & api_keys.c.revoked_at.is_(None)
        async with writing(self._engine) as connection:
            await connection.execute(update(api_keys).where(standing).values(revoked_at=db_now()))

    async def by_key_hash(self, key_hash: str) -> AccountKey | None:
        """The account that a key opens, or opened; None for a key that nobody was given."""
        async with reading(self._engine) as connection:
            row = (await connection.execute(_BY_KEY_HASH, {"key_hash": key_hash})).one_or_none()
        if row is None:
            return None
        revoked = row.revoked_at is not None
        return AccountKey(account_id=row.account_id, revoked=revoked, requests_per_minute=row.requests_per_minute)

    async def plan_of(self, account_id: str) -> Plan:
        """The account's plan. NOT_FOUND without an account."""
        query = select(*plan_columns()).join(accounts).where(accounts.c.account_id == account_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise no_account()
        return Plan(**row)

    async def concurrency(self, account_id: str) -> Concurrency:
        """The places that the account's sessions hold now, and how many there are. NOT_FOUND without an account."""
        query = (
            select(plans.c.max_concurrent_sessions, places_taken(account_id))
            .join(accounts)
            .where(accounts.c.account_id == account_id)
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise no_account()
        return Concurrency(current=row.places_taken, max=row.max_concurrent_sessions)


TIMERS = ("nobody_joined_s", "participants_left_s", "agent_left_s")
"""An account's own stand before its plan's."""


def plan_columns() -> list[ColumnElement[Any]]:
    """What a Plan is made of, of a statement over plans and accounts: the account's own timers stand in its place."""
    timers = [func.coalesce(accounts.c[name], plans.c[name]).label(name) for name in TIMERS]
    return [*(column for column in plans.c if column.name not in TIMERS), *timers]


def places_taken(account_id: str) -> Label[int]:
    """How many places the account's sessions hold that have not ended, as part of a statement; named `places_taken`.

    Sessions of one `duplicate_key` hold one place together: of a session and the one that is to replace it, at most
    one is ever seen.
    """
    live = (sessions.c.account_id == account_id) & sessions.c.ended_at.is_(None)
    held = func.count(distinct(func.coalesce(sessions.c.duplicate_key, sessions.c.session_id)))
    return select(held).select_from(sessions).where(live).scalar_subquery().label("places_taken")


def no_account() -> Refused:
    """The refusal for an account that does not exist."""
    return Refused(FailureCode.NOT_FOUND, "Account not found")
