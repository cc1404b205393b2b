"""What an operator does with plans, accounts, keys and minutes. Knows hashes of keys, never a key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.accounts import no_account
from database.engine import reading, writing
from database.instants import db_now, from_now
from database.statements import insert_if_absent
from database.tables import accounts, api_keys, minute_packs, plans, sessions
from domain.failures import FailureCode, Refused
from domain.plans import Plan

KEY_ID = 12
"""So many letters of a key's hash name it."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account, for operators."""

    account_id: str
    name: str
    plan_key: str
    created_at: datetime
    plan_since: datetime | None
    closed_at: datetime | None
    nobody_joined_s: float | None
    """This and the two that follow are timers of its own; None: as its plan says."""
    participants_left_s: float | None
    agent_left_s: float | None
    requires: Mapping[str, str] | None
    """Labels that servers of its sessions must have, besides its plan's."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key, for operators: it cannot be shown again."""

    key_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class AccountAdmin:
    """An operator's side of the store of accounts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def plans(self) -> list[Plan]:
        """Every plan, by the places that it has."""
        query = select(plans).order_by(plans.c.max_concurrent_sessions, plans.c.key)
        async with reading(self._engine) as connection:
            return [Plan(**row) for row in (await connection.execute(query)).mappings()]

    async def set_plan(self, key: str, changes: Mapping[str, Any]) -> None:
        """Change a plan's columns; a plan that is not there is made, without limits but for one place."""
        fresh = {"key": key, "name": key, "max_concurrent_sessions": 1}
        async with writing(self._engine) as connection:
            await insert_if_absent(connection, plans, fresh)
            if changes:
                await connection.execute(update(plans).where(plans.c.key == key).values(**changes))

    async def accounts(self, account_id: str | None = None) -> list[Account]:
        """Every account, oldest first, or one."""
        names = [accounts.c[name] for name in Account.__dataclass_fields__]
        query = select(*names).order_by(accounts.c.created_at)
        if account_id is not None:
            query = query.where(accounts.c.account_id == account_id)
        async with reading(self._engine) as connection:
            return [Account(**row) for row in (await connection.execute(query)).mappings()]

    async def put_on_plan(self, account_id: str, plan_key: str) -> None:
        """Give an account another plan; its period begins now. NOT_FOUND for a plan that does not exist."""
        plan = select(plans.c.key).where(plans.c.key == plan_key)
        async with writing(self._engine) as connection:
            if await connection.scalar(plan) is None:
                raise Refused(FailureCode.NOT_FOUND, f"there is no plan {plan_key}")
            await _change(connection, account_id, {"plan_key": plan_key, "plan_since": db_now()})

    async def require(self, account_id: str, labels: Mapping[str, str]) -> None:
        """Let servers of an account's sessions have these labels, besides its plan's; empty: none of its own."""
        async with writing(self._engine) as connection:
            await _change(connection, account_id, {"requires": dict(labels) or None})

    async def set_timers(self, account_id: str, changes: Mapping[str, float | None]) -> None:
        """Change an account's own timers, by their columns; None: as its plan says."""
        async with writing(self._engine) as connection:
            await _change(connection, account_id, changes)

    async def close(self, account_id: str) -> list[str]:
        """Close an account: its keys are revoked, nothing is admitted any more. Its sessions that have not ended."""
        live = select(sessions.c.session_id).where(sessions.c.account_id == account_id, sessions.c.ended_at.is_(None))
        standing = and_(api_keys.c.account_id == account_id, api_keys.c.revoked_at.is_(None))
        async with writing(self._engine) as connection:
            # Locked before its sessions are read: an admission under way has committed or will see the mark.
            await connection.execute(select(accounts).where(accounts.c.account_id == account_id).with_for_update())
            await _change(connection, account_id, {"closed_at": db_now()})
            await connection.execute(update(api_keys).where(standing).values(revoked_at=db_now()))
            return list(await connection.scalars(live))

    async def add_minutes(self, account_id: str, pack_id: str, minutes: int, *, days: float | None = None) -> None:
        """Add minutes that were bought; `days`: for how long they can be used. A pack of this id is added once."""
        expires = None if days is None else from_now(days * 86_400)
        row = {"pack_id": pack_id, "account_id": account_id, "minutes": minutes, "minutes_left": minutes}
        async with writing(self._engine) as connection:
            await _open(connection, account_id)
            await connection.execute(insert(minute_packs).values(**row, bought_at=db_now(), expires_at=expires))

    async def add_key(self, account_id: str, key_hash: str, name: str) -> None:
        """Let a new key open an account; ACCOUNT_CLOSED where it was closed."""
        row = {"key_hash": key_hash, "account_id": account_id, "name": name, "created_at": db_now()}
        async with writing(self._engine) as connection:
            await _open(connection, account_id)
            await connection.execute(insert(api_keys).values(row))

    async def keys(self, account_id: str) -> list[Key]:
        """An account's keys, oldest first."""
        query = select(api_keys).where(api_keys.c.account_id == account_id).order_by(api_keys.c.created_at)
        async with reading(self._engine) as connection:
            return [
                Key(
                    key_id=row.key_hash[:KEY_ID],
                    name=row.name,
                    created_at=row.created_at,
                    last_used_at=row.last_used_at,
                    revoked_at=row.revoked_at,
                )
                for row in await connection.execute(query)
            ]

    async def key_called(self, key: str, account_id: str = "") -> str:
        """The id of the one key of this id, or name, of an account or of any; NOT_FOUND where it is not one."""
        query = select(api_keys.c.key_hash).where(_called(key))
        if account_id:
            query = query.where(api_keys.c.account_id == account_id)
        async with reading(self._engine) as connection:
            found = list(await connection.scalars(query.limit(2)))
        if len(found) != 1:
            trouble = "several keys are" if found else "no key is"
            raise Refused(FailureCode.NOT_FOUND, f"{trouble} called {key}")
        return str(found[0])[:KEY_ID]

    async def revoke(self, account_id: str, key: str) -> int:
        """Revoke the account's keys of this id or name; how many stood."""
        standing = and_(api_keys.c.account_id == account_id, api_keys.c.revoked_at.is_(None), _called(key))
        async with writing(self._engine) as connection:
            change = update(api_keys).where(standing).values(revoked_at=db_now()).returning(api_keys.c.key_hash)
            return len((await connection.execute(change)).all())

    async def used(self, key_hashes: Sequence[str]) -> None:
        """Note that keys were used now."""
        async with writing(self._engine) as connection:
            change = update(api_keys).where(api_keys.c.key_hash.in_(key_hashes)).values(last_used_at=db_now())
            await connection.execute(change)


def _called(key: str) -> ColumnElement[bool]:
    """The keys of this name, or of this id or more of the hash."""
    named = api_keys.c.name == key
    return or_(named, api_keys.c.key_hash.startswith(key, autoescape=True)) if len(key) >= KEY_ID else named


async def _change(connection: AsyncConnection, account_id: str, values: Mapping[str, Any]) -> None:
    one = update(accounts).where(accounts.c.account_id == account_id)
    if not (await connection.execute(one.values(**values))).rowcount:
        raise no_account()


async def _open(connection: AsyncConnection, account_id: str) -> None:
    query = select(accounts.c.closed_at).where(accounts.c.account_id == account_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise no_account()
    if row.closed_at is not None:
        raise Refused(FailureCode.ACCOUNT_CLOSED, "The account is closed")
