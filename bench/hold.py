"""`make hold`: many sessions at once, on avatar servers without avatars, for minutes: what do they cost, is it flat?"""

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench.postgresql import NoPostgreSQLError
from bench.scale.held import Held, held
from bench.scale.holding import Tell, Wanted, hold
from bench.scale.words import markdown


def run(wanted: Wanted, tell: Tell) -> Held:
    """Hold them, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="greenroom-hold-") as folder:
        tell(f"starting the system on {wanted.database}")
        return held(asyncio.run(hold(wanted, Path(folder), tell)))


@click.command("hold", context_settings={"max_content_width": 100})
@click.option("--sessions", default=200, show_default=True, type=click.IntRange(1, 1500), help="How many at once.")
@click.option("--minutes", default=5.0, show_default=True, type=click.FloatRange(0.5, 600), help="How long.")
@click.option(
    "--database", default="postgresql", show_default=True, type=click.Choice(["postgresql", "sqlite"]), help="Which."
)
@click.option("--heartbeat-within", default=3.0, show_default=True, type=float, help="GREENROOM_HEARTBEAT_WITHIN_S.")
@click.option("--json", "as_json", is_flag=True, help="Print the last line only.")
@click.option(
    "--save", type=click.Path(path_type=Path), help="Keep the figures in a file, for `python -m bench.model`."
)
def main(*, as_json: bool, save: Path | None, **wanted: Any) -> None:
    """Hold many sessions at once on one machine, and measure each part of the system.

    Leases, renewals, heartbeats, workflows and requests are real; the avatar servers put nobody into a room. The tables
    are Markdown, for docs/scale.md. The exit code is 1 if the memory of a part surely grows.
    """
    progress = Console(stderr=True)
    with progress.status("holding") as status:

        def tell(what: str) -> None:
            status.update(what)
            if not progress.is_terminal:
                progress.print(what, style="dim")

        try:
            found = run(Wanted(**wanted), tell)
        except NoPostgreSQLError as error:
            raise click.ClickException(f"{error}; --database sqlite needs none") from error
    text = json.dumps(asdict(found))
    if save:
        save.write_text(json.dumps(asdict(found), indent=1) + "\n")
    if not as_json:
        click.echo(markdown(found))
    click.echo(f"HOLD {text}")
    sys.exit(1 if found.growing else 0)


if __name__ == "__main__":
    main()
