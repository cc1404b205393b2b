"""`greenroom secrets`: ids of the server's keys, what depends on each, and what a change of keys needs; never a key."""

import asyncio
import base64
import json
import secrets
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.avatars import data_dir_option, environ_of
from cli.processes import explained

T = TypeVar("T")


@click.group("secrets")
def secrets_group() -> None:
    """Change the server's keys without a pause, as docs/keys.md says.

    The settings are those of all processes together: keys that are not given are unknown here.
    """


@secrets_group.command("new", short_help="Print a fresh key.")
@click.argument("key_id", metavar="ID")
def new_command(*, key_id: str) -> None:
    """Print a fresh key with an ID of its own, as GREENROOM_SERVER_KEYS and its like take it."""
    if not key_id.isalnum():
        raise click.UsageError("An ID is letters and digits.")
    click.echo(f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}")


@secrets_group.command("list", short_help="Show the keys' ids and what depends on them.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each key.")
@data_dir_option
def list_command(*, as_json: bool, data_dir: Path | None) -> None:
    """Show the ids of all keys, the newest of a set first, and what depends on each."""
    from rich.table import Table  # noqa: PLC0415

    from cli.console import print_whole  # noqa: PLC0415
    from cli.secret_uses import key_uses, sentence  # noqa: PLC0415 - the libraries of every part

    found = run(key_uses(environ_of(data_dir)))
    if as_json:
        for one in found:
            row = asdict(one) | {"may_go": one.may_go, "after": one.after.total_seconds()}
            click.echo(json.dumps(row | {"until": one.until and one.until.isoformat()}))
        return
    table = Table(title=f"Keys: {len(found)}", title_justify="left")
    for heading in ("set", "key", "what of it"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(one.kind, one.key_id, sentence(one))
    print_whole(table)


@secrets_group.command("check", short_help="May this key be removed?")
@click.argument("kind", type=click.Choice(["server", "sealing", "webhook", "payload"]), required=False)
@click.argument("key_id", metavar="[ID]", required=False)
@data_dir_option
def check_command(*, kind: str | None, key_id: str | None, data_dir: Path | None) -> None:
    """Say whether everything that is stored can be read with these keys, and whether the key ID of a set may go.

    The exit code is 1 where a key is missing, or where something still depends on the one that was asked for.
    """
    from cli.secret_uses import key_uses, sentence  # noqa: PLC0415 - as above

    if (kind is None) != (key_id is None):
        raise click.UsageError("Say a set and a key's ID, or neither.")
    found = run(key_uses(environ_of(data_dir)))
    wrong = [one for one in found if one.is_missing]
    asked = [one for one in found if (one.kind, one.key_id) == (kind, key_id)]
    if key_id is not None and not asked:
        raise click.UsageError(f"There is no {kind} key {key_id}.")
    for one in [*wrong, *(one for one in asked if one not in wrong)]:
        click.echo(f"{one.kind} {one.key_id} {sentence(one)}")
    if not wrong and not asked:
        click.echo("Everything that is stored can be read with these keys.")
    sys.exit(1 if wrong or not all(one.may_go for one in asked) else 0)


@secrets_group.command("rotate", short_help="Seal webhooks' secrets with the newest key.")
@data_dir_option
def rotate_command(*, data_dir: Path | None) -> None:
    """Seal every webhook's secret with the newest of GREENROOM_WEBHOOK_KEYS: they do not expire by themselves."""
    from cli.secret_uses import reseal  # noqa: PLC0415 - as above

    click.echo(f"{run(reseal(environ_of(data_dir)))} sealed anew.")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result; what stands in the way ends the command with a sentence."""
    from cli.doctor import FaultError  # noqa: PLC0415

    with explained():
        try:
            return asyncio.run(work)
        except FaultError as fault:
            raise click.ClickException(str(fault)) from None
