"""`greenroom webhooks`: whom accounts have told of what happens; the running sessions worker does the telling."""

import sys
from datetime import timedelta
from pathlib import Path

import click

from cli.avatars import data_dir_option, environ_of, run
from cli.options import Length


@click.group("webhooks")
def webhooks_group() -> None:
    """Tell customers' servers of avatars and sessions, as docs/webhooks.md says.

    The settings say where the database is, and GREENROOM_WEBHOOK_KEYS seals the secrets. What is told is sent by the
    sessions worker.
    """


@webhooks_group.command("add", short_help="Tell a URL of an account's events.")
@click.argument("url", metavar="URL")
@click.option("--account", metavar="ID|NAME", help="Whose events  [default: the only account, if there is one]")
@click.option("--events", default="", metavar="LIST", help="Events, separated by commas  [default: all]")
@data_dir_option
def add_command(*, url: str, account: str | None, events: str, data_dir: Path | None) -> None:
    """Tell URL from now on, and print the secret that its signatures are checked with. It is shown this once."""
    from cli.webhook_admin import add  # noqa: PLC0415 - the database takes .5 s to import
    from domain.webhooks import parse_events  # noqa: PLC0415

    try:
        wanted = parse_events(events)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    made = run(add(environ_of(data_dir), url, account, wanted))
    click.echo(f"{made.endpoint_id}\n{made.secret}")


@webhooks_group.command("list", short_help="Show whom is told what.")
@click.option("--account", metavar="ID|NAME", help="Only this account's  [default: all]")
@data_dir_option
def list_command(*, account: str | None, data_dir: Path | None) -> None:
    """Show the endpoints, the oldest first; never a secret."""
    from rich.table import Table  # noqa: PLC0415

    from cli.console import print_whole  # noqa: PLC0415
    from cli.webhook_admin import listed  # noqa: PLC0415 - as above

    found = run(listed(environ_of(data_dir), account))
    table = Table(title=f"Webhook endpoints: {len(found)}", title_justify="left")
    for heading in ("endpoint", "account", "URL", "events", "since"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "endpoint")
    for one in found:
        since = f"{one.created_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(one.endpoint_id, one.account_id, one.url, ", ".join(one.events), since)
    print_whole(table)


@webhooks_group.command("rotate", short_help="Give an endpoint a new secret.")
@click.argument("endpoint_id", metavar="ENDPOINT")
@click.option("--both-for", type=Length(), default="24h", show_default=True, help="How long the old one signs too.")
@data_dir_option
def rotate_command(*, endpoint_id: str, both_for: timedelta, data_dir: Path | None) -> None:
    """Print a new secret, which signs from now on. For a while the one before signs too, so that nothing is refused."""
    from cli.webhook_admin import rotate  # noqa: PLC0415 - as above

    click.echo(run(rotate(environ_of(data_dir), endpoint_id, both_for)).secret)


@webhooks_group.command("remove", short_help="Tell an endpoint nothing more.")
@click.argument("endpoint_id", metavar="ENDPOINT")
@data_dir_option
def remove_command(*, endpoint_id: str, data_dir: Path | None) -> None:
    """Tell an endpoint nothing more, not even what is on its way."""
    from cli.webhook_admin import remove  # noqa: PLC0415 - as above

    run(remove(environ_of(data_dir), endpoint_id))
    click.echo(f"{endpoint_id} is told nothing more.")


@webhooks_group.command("test", short_help="Send an endpoint a test.")
@click.argument("endpoint_id", metavar="ENDPOINT")
@click.option("--within", type=Length(), default="20s", show_default=True, help="How long to wait.")
@data_dir_option
def test_command(*, endpoint_id: str, within: timedelta, data_dir: Path | None) -> None:
    """Have the running system send a `webhook.test`, and say what came of its first attempt; exit code 1: not taken."""
    from cli.webhook_admin import test  # noqa: PLC0415 - as above

    taken, outcome = run(test(environ_of(data_dir), endpoint_id, within))
    click.echo(outcome)
    sys.exit(0 if taken else 1)


@webhooks_group.command("redeliver", short_help="Send events again.")
@click.argument("event_id", metavar="[EVENT]", required=False)
@click.option("--since", type=Length(), help="Every event of the last so long.")
@click.option("--endpoint", "endpoint_id", metavar="ENDPOINT", help="Only to this one.")
@data_dir_option
def redeliver_command(
    *, event_id: str | None, since: timedelta | None, endpoint_id: str | None, data_dir: Path | None
) -> None:
    """Send an EVENT again, under its id, to each endpoint that it was for, or every event --since so long ago."""
    if (event_id is None) == (since is None):
        raise click.UsageError("Say which event, or --since when.")
    from cli.webhook_admin import redeliver  # noqa: PLC0415 - as above

    number = run(redeliver(environ_of(data_dir), event_id, since, endpoint_id))
    click.echo(f"{number} on their way again." if number != 1 else "1 on its way again.")
