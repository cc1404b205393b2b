"""What the commands on accounts share: the store, an account by its name, and a row as a line. It changes nothing."""

import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.stores import engine_of

if TYPE_CHECKING:
    from database.account_admin import AccountAdmin

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")


@asynccontextmanager
async def opened(environ: Mapping[str, str]) -> "AsyncIterator[AccountAdmin]":
    """The operator's side of the store of accounts."""
    from database.account_admin import AccountAdmin  # noqa: PLC0415 - the database takes .5 s to import

    async with engine_of(environ) as engine:
        yield AccountAdmin(engine)


async def account_of(environ: Mapping[str, str], name: str) -> str:
    """The id of the account of an id or a name."""
    from cli.library.whose import account_called  # noqa: PLC0415 - the database takes .5 s to import
    from database.accounts import Accounts  # noqa: PLC0415

    async with engine_of(environ) as engine:
        return await account_called(Accounts(engine), name)


async def key_of(environ: Mapping[str, str], key: str, account_id: str) -> str:
    """The id of the key of an id or a name, of an account or, by its id alone, of any; NOT_FOUND without it."""
    async with opened(environ) as admin:
        return await admin.key_called(key, account_id)


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
