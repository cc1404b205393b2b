"""`greenroom plans`, `accounts` and `keys`: who may do how much. It prints a key once, and never again."""

import dataclasses
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.avatars import data_dir_option, environ_of, run

if TYPE_CHECKING:
    from database.account_admin import AccountAdmin

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
LIMITS = {
    "name": str,
    "max_concurrent_sessions": int,
    "max_session_seconds": int,
    "included_minutes": int,
    "avatar_allowance": int,
    "requests_per_minute": int,
    "paid": bool,
    "nobody_joined_s": float,
    "participants_left_s": float,
    "agent_left_s": float,
}
"""What `plans set` changes, by the names of its columns."""


@asynccontextmanager
async def opened(environ: Mapping[str, str]) -> "AsyncIterator[AccountAdmin]":
    """The operator's side of the store of accounts."""
    from database.account_admin import AccountAdmin  # noqa: PLC0415 - the database takes .5 s to import
    from database.engine import open_engine  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415

    engine = open_engine(load_settings(environ).database_address)
    try:
        yield AccountAdmin(engine)
    finally:
        await engine.dispose()


async def account_of(environ: Mapping[str, str], name: str) -> str:
    """The id of the account of an id or a name."""
    from cli.library.whose import account_called  # noqa: PLC0415 - as above
    from database.accounts import Accounts  # noqa: PLC0415
    from database.engine import open_engine  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415

    engine = open_engine(load_settings(environ).database_address)
    try:
        return await account_called(Accounts(engine), name)
    finally:
        await engine.dispose()


def show(one: Any, *, as_json: bool) -> None:
    """One line: JSON, or each field that says something."""
    row = {
        name: f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
        for name, value in dataclasses.asdict(one).items()
    }
    if as_json:
        click.echo(json.dumps(row))
        return
    click.echo("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))


@click.group("plans")
def plans_group() -> None:
    """Show and change plans; docs/accounts.md says what a change does to sessions that run."""


@plans_group.command("list", short_help="Show the plans.")
@as_json_option
@data_dir_option
def list_plans(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every plan; a limit that is not shown is none."""

    async def work() -> list[Any]:
        async with opened(environ_of(data_dir)) as admin:
            return list(await admin.plans())

    for plan in run(work()):
        show(plan, as_json=as_json)


def parse_limit(text: str) -> tuple[str, Any]:
    """The column and value of NAME=VALUE; `none` for no limit."""
    name, equals, value = text.partition("=")
    if not equals or name not in LIMITS:
        raise click.UsageError(f"{text!r} is not NAME=VALUE with a NAME of {', '.join(LIMITS)}")
    if value == "none" and name not in ("name", "max_concurrent_sessions", "paid"):
        return name, None
    try:
        kind = LIMITS[name]
        return name, {"yes": True, "no": False}[value] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise click.UsageError(f"{value!r} is no value of {name}") from None


@plans_group.command("set", short_help="Change a plan, or make one.")
@click.argument("key")
@click.argument("limits", metavar="NAME=VALUE...", nargs=-1, required=True)
@data_dir_option
def set_plan(*, key: str, limits: tuple[str, ...], data_dir: Path | None) -> None:
    r"""Change the limits of the plan KEY; a plan that is not there is made.

    \b
    max_concurrent_sessions, max_session_seconds, included_minutes (a period), avatar_allowance (pictures a period),
    requests_per_minute, paid (yes or no: may send pictures), name, and the timers nobody_joined_s,
    participants_left_s and agent_left_s. VALUE `none` means no limit, or as the settings say.
    """
    changes = dict(parse_limit(text) for text in limits)

    async def work() -> None:
        async with opened(environ_of(data_dir)) as admin:
            await admin.set_plan(key, changes)

    run(work())


@click.group("accounts")
def accounts_group() -> None:
    """Make, show and close accounts, put them on plans, and add bought minutes."""


@accounts_group.command("create", short_help="Make an account.")
@click.argument("name")
@click.option("--plan", default="free", show_default=True, help="The plan's key.")
@data_dir_option
def create_account(*, name: str, plan: str, data_dir: Path | None) -> None:
    """Make an account and print its id; `greenroom keys create` makes its first key."""

    async def work() -> str:
        from ulid import ULID  # noqa: PLC0415 - as above

        from database.accounts import Accounts  # noqa: PLC0415
        from database.engine import open_engine  # noqa: PLC0415
        from runtime.settings import load_settings  # noqa: PLC0415

        engine = open_engine(load_settings(environ_of(data_dir)).database_address)
        try:
            account_id = f"acct_{ULID()}"
            await Accounts(engine).create(account_id, name, plan)
            return account_id
        finally:
            await engine.dispose()

    click.echo(run(work()))


@accounts_group.command("list", short_help="Show the accounts.")
@as_json_option
@data_dir_option
def list_accounts(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every account, oldest first."""

    async def work() -> list[Any]:
        async with opened(environ_of(data_dir)) as admin:
            return list(await admin.accounts())

    for account in run(work()):
        show(account, as_json=as_json)


@accounts_group.command("show", short_help="Show one account.")
@click.argument("account", metavar="ID|NAME")
@as_json_option
@data_dir_option
def show_account(*, account: str, as_json: bool, data_dir: Path | None) -> None:
    """Show one account."""

    async def work() -> list[Any]:
        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            return list(await admin.accounts(await account_of(environ, account)))

    for one in run(work()):
        show(one, as_json=as_json)


@accounts_group.command("set-plan", short_help="Put an account on another plan.")
@click.argument("account", metavar="ID|NAME")
@click.argument("plan")
@data_dir_option
def set_account_plan(*, account: str, plan: str, data_dir: Path | None) -> None:
    """Put an account on PLAN; its period begins now. Sessions that run keep what they were admitted with."""

    async def work() -> None:
        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            await admin.put_on_plan(await account_of(environ, account), plan)

    run(work())


@accounts_group.command("add-minutes", short_help="Add minutes that an account has bought.")
@click.argument("account", metavar="ID|NAME")
@click.argument("minutes", type=click.IntRange(min=1))
@click.option("--days", type=float, help="Bonus minutes: for how long they can be used.")
@data_dir_option
def add_minutes(*, account: str, minutes: int, days: float | None, data_dir: Path | None) -> None:
    """Add a pack of MINUTES. They are used when the plan's own are, first in, first out."""

    async def work() -> None:
        from ulid import ULID  # noqa: PLC0415 - as above

        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            await admin.add_minutes(await account_of(environ, account), f"pack_{ULID()}", minutes, days=days)

    run(work())


@accounts_group.command("close", short_help="Close an account and end its sessions.")
@click.argument("account", metavar="ID|NAME")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def close_account(*, account: str, yes: bool, data_dir: Path | None) -> None:
    """Close an account: its keys are revoked, and its sessions end as `account_closed`. It cannot be opened again."""
    if not yes:
        click.confirm(f"Close the account {account} and end its sessions?", abort=True)
    environ = environ_of(data_dir)
    for line in run(close(environ, account)):
        click.echo(line)


async def close(environ: Mapping[str, str], account: str) -> list[str]:
    """Close the account, and end what runs; a line for each session."""
    from cli.draining import hands  # noqa: PLC0415 - as above
    from domain.failures import Refused  # noqa: PLC0415
    from domain.session import EndReason  # noqa: PLC0415

    async with opened(environ) as admin:
        running = await admin.close(await account_of(environ, account))
    told = []
    if running:
        async with hands(environ) as at_hand:
            for session_id in running:
                try:
                    told.append(f"{session_id} ended as {await at_hand.end(session_id, EndReason.ACCOUNT_CLOSED)}")
                except Refused as refusal:
                    told.append(f"{session_id}: {refusal}")
    return told


@click.group("keys")
def keys_group() -> None:
    """Make, show and revoke the keys of accounts."""


@keys_group.command("create", short_help="Make a key and print it, once.")
@click.argument("account", metavar="ID|NAME")
@click.argument("name")
@data_dir_option
def create_key(*, account: str, name: str, data_dir: Path | None) -> None:
    """Make a key called NAME for an account and print it. Only its SHA-256 is kept: it cannot be shown again."""
    key = f"ah_live_{secrets.token_hex(16)}"

    async def work() -> None:
        from api.auth import key_hash  # noqa: PLC0415 - as above

        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            await admin.add_key(await account_of(environ, account), key_hash(key), name)

    run(work())
    click.echo(key)


@keys_group.command("list", short_help="Show an account's keys.")
@click.argument("account", metavar="ID|NAME")
@as_json_option
@data_dir_option
def list_keys(*, account: str, as_json: bool, data_dir: Path | None) -> None:
    """Show the keys of an account by id and name, when they were made, last used, and revoked."""

    async def work() -> list[Any]:
        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            return list(await admin.keys(await account_of(environ, account)))

    for key in run(work()):
        show(key, as_json=as_json)


@keys_group.command("revoke", short_help="Revoke a key.")
@click.argument("account", metavar="ID|NAME")
@click.argument("key", metavar="KEY_ID|NAME")
@data_dir_option
def revoke_key(*, account: str, key: str, data_dir: Path | None) -> None:
    """Let the account's key of this id or name open nothing any more; sessions that run go on."""

    async def work() -> int:
        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            return await admin.revoke(await account_of(environ, account), key)

    if not run(work()):
        raise click.ClickException(f"the account has no key {key} that stands")
