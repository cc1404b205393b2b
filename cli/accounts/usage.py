"""`greenroom usage`: recomputes the ledger of what was served, and says where the two differ. It mends nothing."""

import json
import sys
from pathlib import Path

import click

from cli.accounts.shared import account_of
from cli.avatars import data_dir_option, environ_of, run
from cli.stores import engine_of

WRONG = 1


@click.group("usage")
def usage_group() -> None:
    """What accounts have used."""


@usage_group.command("check", short_help="Recompute the ledger.")
@click.argument("account", metavar="[ID|NAME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@data_dir_option
def check_command(*, account: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Compute each bill again, of one account or of all: from the leases, the audit trail and the packs of minutes.

    The exit code is 0 where the ledger says the same, 1 where it does not, 2 where it cannot be read.
    """
    from database.usage import UsageReading  # noqa: PLC0415 - the database takes .5 s to import

    environ = environ_of(data_dir)

    async def work() -> tuple[tuple[int, int], list[str]]:
        async with engine_of(environ) as engine:
            usage = UsageReading(engine)
            whose = None if account is None else await account_of(environ, account)
            return await usage.billed(whose), await usage.breaches(whose)

    (bills, minutes), wrong = run(work())
    if as_json:
        click.echo(json.dumps({"whole": not wrong, "bills": bills, "minutes": minutes, "differences": wrong}))
    else:
        click.echo("\n".join([f"{bills} bills, {minutes} minutes: {len(wrong)} differences", *wrong]))
    sys.exit(WRONG if wrong else 0)
