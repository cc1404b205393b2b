"""`greenroom deploy`: the versions of the sessions workers, and who takes new sessions; it starts and stops none."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.avatars import data_dir_option, environ_of, run
from cli.options import SESSIONS_LEFT

if TYPE_CHECKING:
    from runtime.deployments import Version


@click.group("deploy")
def deploy_group() -> None:
    """Show the versions of the sessions workers, and say which one takes new sessions.

    A session stays on the version that it began on. docs/upgrades.md shows an upgrade from end to end.
    """


@deploy_group.command("status", short_help="Show the versions.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a version.")
@data_dir_option
def status_command(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every version that Temporal knows, the newest first.

    A version is inactive (never took sessions), current, ramping, draining (was current; what began on it goes on), or
    drained (Temporal says that some minutes late). SESSIONS is what runs on it, uploads among them; WORKERS have asked
    for work in the last 75 s. The version that this checkout or image would run is marked.

    The exit code is 0, and 1 if new sessions wait, or running ones, because no worker of their version is left.
    """
    from cli.deploying import opened, stranded  # noqa: PLC0415 - what follows takes a second to import

    async def status() -> tuple[list["Version"], str]:
        async with opened(environ_of(data_dir)) as deploying:
            return await deploying.deployment.versions(), deploying.mine

    versions, mine = run(status())
    for one in versions:
        if as_json:
            row = dataclasses.asdict(one)
            click.echo(json.dumps({**row, "since": f"{one.since:%Y-%m-%dT%H:%M:%SZ}", "mine": one.build_id == mine}))
        else:
            click.echo(line_of(one, mine))
    troubles = stranded(versions)
    for trouble in troubles:
        click.echo(f"greenroom: {trouble}", err=True)
    sys.exit(1 if troubles else 0)


def line_of(one: "Version", mine: str) -> str:
    """A version as a line for people."""
    share = f" {one.percent:g} %" if one.percent else ""
    here = "  (this code)" if one.build_id == mine else ""
    return f"{one.build_id}  {one.state}{share}  {one.sessions} sessions  {one.workers} workers{here}"


@deploy_group.command("promote", short_help="Give a version all new sessions.")
@click.argument("build", metavar="BUILD")
@data_dir_option
def promote_command(*, build: str, data_dir: Path | None) -> None:
    """Make BUILD the current version: every new session begins on it, and running ones stay where they are.

    The same command with the version before is the way back. A version without a worker is refused.

    The exit code is 0 if it is current now, and 2 if it cannot be.
    """
    from cli.deploying import opened  # noqa: PLC0415

    async def promote() -> None:
        async with opened(environ_of(data_dir)) as deploying:
            await deploying.promote(build)

    run(promote())
    click.echo(f"{build} takes all new sessions.")


@deploy_group.command("ramp", short_help="Give a version a part of the new sessions.")
@click.argument("build", metavar="BUILD")
@click.argument("percent", metavar="PERCENT", type=click.FloatRange(0, 100))
@data_dir_option
def ramp_command(*, build: str, percent: float, data_dir: Path | None) -> None:
    """Let PERCENT of the new sessions begin on BUILD, and the others on the current version; 0 ends the ramp.

    The exit code is 0 if it is so now, and 2 if it cannot be.
    """
    from cli.deploying import opened  # noqa: PLC0415

    async def ramp() -> None:
        async with opened(environ_of(data_dir)) as deploying:
            await deploying.ramp(build, percent)

    run(ramp())
    click.echo(f"{build} takes {percent:g} % of the new sessions.")


@deploy_group.command("drain", short_help="See a version out.")
@click.argument("build", metavar="BUILD")
@click.option("--wait", is_flag=True, help="Wait until nothing runs on it.")
@data_dir_option
def drain_command(*, build: str, wait: bool, data_dir: Path | None) -> None:
    """Say whether workers of BUILD are still needed; with --wait, wait until they are not.

    A version that takes new sessions is refused: promote another one first.

    The exit code is 0 if nothing runs on it, so that its workers can be stopped, and 3 if sessions are left on it.
    """
    from cli.deploying import opened  # noqa: PLC0415

    async def drain() -> int:
        async with opened(environ_of(data_dir)) as deploying:
            return await deploying.drain(build, wait=wait, tell=click.echo)

    left: int = run(drain())
    click.echo(f"{left} sessions are left on it." if left else "Nothing runs on it: its workers can be stopped.")
    sys.exit(SESSIONS_LEFT if left else 0)
