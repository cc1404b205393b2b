"""`greenroom accounts close`: nothing opens the account any more, and what runs ends. Its rows stay."""

from collections.abc import Mapping
from pathlib import Path

import click

from cli.accounts.shared import account_of, opened
from cli.avatars import data_dir_option, environ_of, run


@click.command("close", short_help="Close an account and end its sessions.")
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
    from cli.operators.hands import hands  # noqa: PLC0415 - the database takes .5 s to import
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
