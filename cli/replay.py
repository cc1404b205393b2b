"""`greenroom replay`: would what ran last go on with this code? It runs no step and changes nothing."""

import dataclasses
import json
import sys
from pathlib import Path

import click

from cli.avatars import data_dir_option, environ_of, run


@click.command("replay")
@click.option("--last", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many, newest first.")
@click.option("--workflow-type", "types", multiple=True, metavar="NAME", help="Only these, as in the Temporal UI.")
@click.option("--running", is_flag=True, help="Only what runs now.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Replay the histories (*.json) of a folder instead, as `temporal workflow show --output json` writes them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a history, and nothing else.")
@data_dir_option
def replay_command(
    *, last: int, types: tuple[str, ...], running: bool, folder: Path | None, as_json: bool, data_dir: Path | None
) -> None:
    """Replay the last workflows of the namespace against the workflows of this code, with its converter and sandbox.

    For each it says `ok`, or the first command that differs from the history. A difference means: sessions that run on
    that code cannot go on on this one, so both need workers until the older has drained.

    The exit code is 0 if all replay, 1 if one does not, and 2 if there was nothing to replay, or something in the way.
    """
    from cli.replaying import Replayed, replay_folder, replay_last  # noqa: PLC0415 - a second to import

    found: list[Replayed] = []

    def tell(one: Replayed, of: int) -> None:
        found.append(one)
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(one)))
        else:
            click.echo(
                f"{len(found):>{len(str(of))}}/{of}  {one.workflow_id}  {one.workflow_type}  {one.breach or 'ok'}"
            )

    environ = environ_of(data_dir)
    work = replay_folder(environ, folder, tell) if folder else replay_last(environ, last, types, tell, running=running)
    run(work)
    broken = sum(1 for one in found if one.breach)
    if not found:
        click.echo("greenroom: there was nothing to replay", err=True)
    elif not as_json:
        click.echo(f"{len(found) - broken} of {len(found)} replay on this code.")
    sys.exit(2 if not found else int(bool(broken)))
