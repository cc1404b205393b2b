"""`python -m bench.model`: what a fleet needs, on paper, from what a hold measured and a committed history counts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bench.scale.arithmetic import Asked, Figure, fleet
from bench.scale.ladder import ladder_of
from bench.scale.words import digits

MEASURED = tuple(Path(__file__).parent / "scale" / f"measured_{within}s.json" for within in (3, 15))
"""The latest two of `python -m bench.hold --save FILE`, with `--heartbeat-within` 3 and 15."""


def words(asked: Asked, figures: list[Figure]) -> str:
    """A table of Markdown."""
    title = f"{asked.sessions:,} sessions of {asked.minutes:g} minutes, heartbeats within {asked.heartbeat_within:g} s."
    lines = [f"| {one.name} | {digits(one.value)} {one.unit} | {one.basis} |" for one in figures]
    return "\n".join([title, "", "| what | how much | how it is known |", "| --- | ---: | --- |", *lines])


@click.command("model", context_settings={"max_content_width": 100})
@click.option("--sessions", default=10_000, show_default=True, type=click.IntRange(1), help="At once.")
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0.1), help="How long one lasts.")
@click.option("--heartbeat-within", default=3.0, show_default=True, type=click.FloatRange(2, 60), help="Seconds.")
@click.option("--slots", default=10, show_default=True, type=click.IntRange(1, 1000), help="Of an avatar server.")
@click.option("--shards", default=512, show_default=True, type=click.IntRange(1), help="History shards of Temporal.")
@click.option("--cached", default=1000, show_default=True, type=click.IntRange(1), help="Workflows a worker keeps.")
@click.option(
    "--measured",
    default=MEASURED,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of `bench.hold --save`; twice at least, with different --heartbeat-within.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
def main(*, measured: tuple[Path, ...], as_json: bool, **asked: Any) -> None:
    """Compute what so many sessions at once need. It measures nothing.

    `counted` figures multiply what a committed history shows, `measured` ones what a hold on one machine took, and
    `computed` ones follow from settings. Of Temporal's CPU and store the dev server tells little about a cluster.
    """
    wanted = Asked(**asked)
    holds = [json.loads(one.read_text()) for one in measured]
    if len({one["heartbeat_within"] for one in holds}) == 1:
        raise click.UsageError("what heartbeats cost takes two holds, with different --heartbeat-within")
    figures = fleet(wanted, ladder_of(), holds)
    if as_json:
        click.echo(json.dumps({"asked": asdict(wanted), "figures": {one.name: asdict(one) for one in figures}}))
    else:
        click.echo(words(wanted, figures))


if __name__ == "__main__":
    main()
