"""`greenroom accounts delete` and `receipt`: all that leads back to an account goes, and a proof of that stays."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.avatars import data_dir_option, environ_of, run
from cli.operators.verbs import How, carry_out, verb_options
from domain.failures import FailureCode, Refused

if TYPE_CHECKING:
    from cli.operators.following import Order
    from cli.operators.hands import Hands
    from database.erasing import Erasing
    from runtime.settings import Settings


@click.command("delete", short_help="Delete an account and everything derived from it.")
@click.argument("account", metavar="ID|NAME")
@click.option("--yes", is_flag=True, help="Do not ask.")
@verb_options
def delete_account(*, account: str, yes: bool, **how: Any) -> None:
    """Close the account, end its sessions, and delete everything derived from it, for good.

    Keys, avatars with all their pictures, links, webhooks, minutes, sessions with their trails, leases and control
    lines, staged pictures, and the account. The ledger keeps what was served and billed, and not of whom. A receipt
    says what went; `greenroom accounts receipt` prints it. A workflow does it: it goes on when this command is closed.
    """
    settled = How(**how)
    if not (yes or settled.dry_run):
        click.confirm(f"Delete the account {account} and everything derived from it?", abort=True)
    if done := run(_receipt_of(settled.environ, account)):
        click.echo(json.dumps({"receipt_id": done}) if settled.as_json else f"It was deleted: receipt {done}")
        return

    async def plan(_: "Hands") -> "Order":
        return await _ordered(settled, account)

    outcome = carry_out(settled, plan)
    if outcome is not None and not settled.as_json:
        click.echo(f"Deleted: `greenroom accounts receipt {outcome.receipt_id}` says what.")


async def _ordered(how: How, account: str) -> "Order":
    from ulid import ULID  # noqa: PLC0415 - what follows takes a second to import

    from cli.accounts.shared import account_of  # noqa: PLC0415
    from cli.operators.following import Order  # noqa: PLC0415
    from contracts.erasing import DeleteAccount  # noqa: PLC0415
    from workflows.delete_account import DeleteAccountWorkflow  # noqa: PLC0415

    account_id = await account_of(how.environ, account)
    touches = await _touches(how.environ, account_id) if how.dry_run else {}
    command = DeleteAccount(account_id=account_id, receipt_id=f"rcpt_{ULID()}")
    return Order(run=DeleteAccountWorkflow.run, command=command, account_id=account_id, touches=touches)


async def _touches(environ: Mapping[str, str], account_id: str) -> dict[str, int]:
    """Rows by table, and objects of its avatars."""
    from adapters.object_store import ObjectStore  # noqa: PLC0415 - as above
    from domain.avatars import pictures_of  # noqa: PLC0415

    async with _opened(environ) as (erasing, settings):
        rows = await erasing.touches(account_id)
        avatars = await erasing.avatars_of(account_id, at_most=1_000_000)
        store = ObjectStore(settings.storage_address, **settings.storage_access)
        try:
            objects = sum([len(await store.keys_below(pictures_of(one))) for one in avatars])
        finally:
            await store.aclose()
        return {**rows, "objects": objects}


async def _receipt_of(environ: Mapping[str, str], account: str) -> str:
    """The receipt of an account that is deleted already; empty where none of this id is."""
    async with _opened(environ) as (erasing, _):
        try:
            found = await erasing.found(account)
        except Refused as refusal:
            if refusal.code != FailureCode.NOT_FOUND:
                raise
            return ""
    return found.receipt_id if found.erased_at else ""


@click.command("receipt", short_help="Print the receipt of a deletion.")
@click.argument("receipt", metavar="RECEIPT_ID|ACCOUNT_ID")
@data_dir_option
def show_receipt(*, receipt: str, data_dir: Path | None) -> None:
    """Print what was deleted with an account, as JSON: counts, the SHA-256 of each object's key, and when.

    `sha256` is that of the rest, as JSON with sorted names and without blanks; where GREENROOM_SERVER_KEYS is set,
    `signature` is its HMAC by the newest of them.
    """
    click.echo(json.dumps(run(_proof(environ_of(data_dir), receipt)), indent=1))


async def _proof(environ: Mapping[str, str], name: str) -> dict[str, Any]:
    from adapters.signing import Signer  # noqa: PLC0415 - as above
    from runtime.settings import parse_keys  # noqa: PLC0415

    async with _opened(environ) as (erasing, settings):
        found = await erasing.found(name)
        objects, kept = await erasing.proof(found.receipt_id)
    told: dict[str, Any] = {
        "receipt_id": found.receipt_id,
        "account_sha256": found.account_sha256,
        "begun_at": found.begun_at.isoformat(),
        "erased_at": found.erased_at and found.erased_at.isoformat(),
        "deleted": {**found.counts, "objects": len(objects)},
        "object_key_sha256": objects,
        "kept": {"charges": kept.charges, "minutes": kept.minutes, "served_ms": kept.served_ms},
    }
    whole = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    told["sha256"] = hashlib.sha256(whole).hexdigest()
    if settings.server_keys:
        told["signature"] = Signer(parse_keys(settings.server_keys, "GREENROOM_SERVER_KEYS")).receipt(told["sha256"])
    return told


@asynccontextmanager
async def _opened(environ: Mapping[str, str]) -> "AsyncIterator[tuple[Erasing, Settings]]":
    from database.engine import open_engine  # noqa: PLC0415 - as above
    from database.erasing import Erasing  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415

    settings = load_settings(environ)
    engine = open_engine(settings.database_address)
    try:
        yield Erasing(engine), settings
    finally:
        await engine.dispose()
