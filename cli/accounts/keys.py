"""`greenroom keys`: makes, shows and revokes keys. It prints a key once, and never again."""

import secrets
from pathlib import Path
from typing import Any

import click

from cli.accounts.shared import account_of, as_json_option, opened, show
from cli.avatars import data_dir_option, environ_of, run


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
        from api.auth import key_hash  # noqa: PLC0415 - the database takes .5 s to import

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
