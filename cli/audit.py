"""`greenroom audit`: whether what must always hold does hold, of a running system; it changes nothing."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from cli.avatars import data_dir_option, environ_of, run

BROKEN = 1


@click.command("audit")
@click.option(
    "--days",
    type=click.FloatRange(0),
    default=7,
    show_default=True,
    help="How old the sessions are that are looked at.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON with every breach.")
@data_dir_option
def audit_command(*, days: float, as_json: bool, data_dir: Path | None) -> None:
    """Look whether slots, leases, bills, workflows, ends and pictures fit together.

    Reads database, object store and Temporal, and the operator's LiveKit server where one is set. A breach counts if it
    is seen twice, two seconds apart. The exit code is 0 where everything holds, 1 where something does not, 2 where
    it cannot be looked at.
    """
    from cli.auditing import audited  # noqa: PLC0415 - the libraries of every part

    audit = run(audited(environ_of(data_dir), days=days))
    if as_json:
        breaches = [asdict(breach) for breach in audit.breaches]
        click.echo(json.dumps({"whole": audit.whole, "looked": audit.looked, "breaches": breaches}))
    else:
        from cli.auditing import show  # noqa: PLC0415

        show(audit)
    sys.exit(0 if audit.whole else BROKEN)
