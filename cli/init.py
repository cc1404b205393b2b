"""`greenroom init`: prepares a cluster, a database and a bucket for this version; what is there already it leaves."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from cli.avatars import data_dir_option, environ_of
from cli.init_plan import Outcome, carry_out
from cli.options import Length
from cli.processes import explained


async def prepared(
    environ: Mapping[str, str], retention: timedelta | None, *, dry_run: bool, tell: Callable[[str], None]
) -> list[Outcome]:
    """Bring every part about, or see what that would take; SettingsError."""
    # The libraries of every part.
    from cli.init_stores import store_parts  # noqa: PLC0415
    from cli.init_temporal import temporal_parts  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415

    parts = [*store_parts(load_settings(environ), environ), *temporal_parts(environ, retention)]
    return await carry_out(parts, dry_run=dry_run, tell=tell)


def show(outcomes: list[Outcome], *, dry_run: bool) -> None:
    """Print a line for each part."""
    done = "would change" if dry_run else "is now as it should be"
    for one in outcomes:
        mark = "\u2713" if one.ok else "\u2717"
        click.echo(f"{mark} {one.part}: {one.text or (done if one.changes else 'nothing to do')}")


@click.command("init")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option(
    "--retention",
    type=Length(),
    help="How long Temporal keeps closed sessions  [default: 72h for a new namespace, else as it is]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@data_dir_option
def init_command(*, dry_run: bool, retention: timedelta | None, as_json: bool, data_dir: Path | None) -> None:
    """Prepare everything that the processes of this version need; safe to repeat.

    The bucket; the database's tables, and what `greenroom migrate` adds to them; in Temporal the namespace, the search
    attributes and the Schedule of the reconciler. What is as it should be is left alone; whoever was interrupted runs
    it again. The exit code is 1 if something stands in the way.
    """

    def say(line: str) -> None:
        click.echo(f"{'would ' if dry_run else ''}{line}", err=as_json)

    with explained():
        outcomes = asyncio.run(prepared(environ_of(data_dir), retention, dry_run=dry_run, tell=say))
    ok = all(outcome.ok for outcome in outcomes)
    if as_json:
        parts = [asdict(outcome) for outcome in outcomes]
        click.echo(json.dumps({"ok": ok, "dry_run": dry_run, "parts": parts}))
    else:
        show(outcomes, dry_run=dry_run)
    sys.exit(0 if ok else 1)
