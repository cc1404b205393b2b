"""`make bench`: measures each row beside its floor, draws the table, and ends with a line for scripts."""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench.report import Row, line, table
from bench.site import running_site
from cli.console import print_whole

GROUPS = (
    "faces",
    "renders",
    "creates",
    "rooms",
    "uploads",
    "reads",
    "media",
    "speech",
    "failover",
    "admission",
    "ends",
)
ROUNDS = {
    "faces": 30,
    "renders": 20,
    "creates": 20,
    "rooms": 12,
    "uploads": 20,
    "reads": 20,
    "media": 6,
    "speech": 8,
    "failover": 5,
    "admission": 3,
    "ends": 20,
}
ALONE = ("faces", "renders")
"""Groups that need no running system."""

ON_BOTH = ("creates", "admission")
"""Groups that are measured on PostgreSQL as well."""

Measure = Callable[[Any, int, Callable[[str], None]], Coroutine[Any, Any, list[Row]]]


async def measure(groups: tuple[str, ...], rounds: int | None, tell: Callable[[str], None]) -> list[Row]:
    """Every row of the groups."""
    rows: list[Row] = []
    if "faces" in groups:
        from bench.faces import measure_faces  # noqa: PLC0415 - only who measures it waits for its libraries

        rows += await measure_faces(rounds or ROUNDS["faces"], tell)
    if "renders" in groups:
        from bench.renders import measure_renders  # noqa: PLC0415

        rows += await measure_renders(rounds or ROUNDS["renders"], tell)
    others = [group for group in GROUPS if group in groups and group not in ALONE]
    if not others:
        return rows
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
        tell("starting the system")
        async with running_site(Path(folder)) as site:
            for group in others:
                rows += await _measures()[group](site, rounds or ROUNDS[group], tell)
    if twice := [group for group in others if group in ON_BOTH]:
        from bench.on_postgresql import measure_on_postgresql  # noqa: PLC0415

        rows += await measure_on_postgresql({group: rounds or ROUNDS[group] for group in twice}, rows, tell)
    return rows


def _measures() -> dict[str, Measure]:
    from bench.admission import measure_admission, measure_ends  # noqa: PLC0415
    from bench.creates import measure_creates  # noqa: PLC0415
    from bench.failovers import measure_failovers  # noqa: PLC0415
    from bench.managed import measure_managed  # noqa: PLC0415
    from bench.media import measure_media  # noqa: PLC0415
    from bench.reads import measure_reads  # noqa: PLC0415
    from bench.speech import measure_speech  # noqa: PLC0415
    from bench.uploads import measure_uploads  # noqa: PLC0415

    return {
        "admission": measure_admission,
        "creates": measure_creates,
        "ends": measure_ends,
        "failover": measure_failovers,
        "rooms": measure_managed,
        "uploads": measure_uploads,
        "reads": measure_reads,
        "media": measure_media,
        "speech": measure_speech,
    }


@click.command("bench", context_settings={"max_content_width": 100})
@click.option("--only", "groups", multiple=True, type=click.Choice(GROUPS), help="A group of rows; may be repeated.")
@click.option("--rounds", type=click.IntRange(2, 1000), help="Rounds of each row  [default: 6 to 30, by group]")
@click.option("--json", "as_json", is_flag=True, help="Print the last line only.")
def main(*, groups: tuple[str, ...], rounds: int | None, as_json: bool) -> None:
    """Measure what Greenroom costs, each figure beside its floor in the same run.

    Medians and 95th percentiles of all rounds. A floor is the least that the same machine needs for the same thing.
    Creates and admission are measured again on PostgreSQL, where one can run, beside the figures on SQLite.
    The whole run takes about nine minutes on two cores; leave the machine alone meanwhile.
    """
    # The SDK's own notes about the bench's viewers would tear the progress line.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    progress = Console(stderr=True)
    with progress.status("measuring") as status:

        def tell(what: str) -> None:
            status.update(what)
            if not progress.is_terminal:
                progress.print(what, style="dim")

        rows = asyncio.run(measure(groups or GROUPS, rounds, tell))
    if not as_json:
        print_whole(table(rows))
        for row in rows:
            if row.note:
                click.echo(f"{row.name}: {row.note}")
    click.echo(line(rows))


if __name__ == "__main__":
    main()
