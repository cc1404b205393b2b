"""`greenroom servers` and `greenroom sessions`: an operator's hands on avatar servers and on sessions that run."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.avatars import data_dir_option, environ_of, run
from domain.session import EndReason

if TYPE_CHECKING:
    from database.avatar_servers import AvatarServer

STILL_THERE = 3
"""Exit code of a drain that left sessions behind."""


@click.group("servers")
def servers_group() -> None:
    """Show avatar servers, and empty one that is to be stopped."""


@servers_group.command("list", short_help="Show the avatar servers.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a server.")
@data_dir_option
def list_command(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every avatar server that is remembered: its slots, whether it lives, and whether it takes sessions."""
    from cli.draining import listed  # noqa: PLC0415 - what follows takes a second to import

    found: list[AvatarServer] = run(listed(environ_of(data_dir)))
    for one in found:
        if as_json:
            row = dataclasses.asdict(one)
            times = {name: f"{row[name]:%Y-%m-%dT%H:%M:%SZ}" for name in ("registered_at", "renewed_at")}
            click.echo(json.dumps({**row, **times}))
            continue
        state = "draining" if one.draining else "takes sessions"
        click.echo(f"{one.boot_id}  {one.name}  {one.taken}/{one.slots} slots  {state if one.live else 'silent'}")


@servers_group.command("drain", short_help="Empty an avatar server.")
@click.argument("server", metavar="ID")
@click.option("--wait", is_flag=True, help="Wait until the server is empty.")
@click.option("--move/--no-move", default=True, help="Move its sessions to other servers, or wait them out.")
@click.option("--end", is_flag=True, help="End what no other server takes, as `drained`.")
@data_dir_option
def drain_command(*, server: str, wait: bool, move: bool, end: bool, data_dir: Path | None) -> None:
    """Give the avatar server ID (a boot id, or a name) no new sessions, and move those that it has.

    A session moves between two utterances, or after a minute of speech; its picture is away for about a second. One
    that no other server takes stays until its end. A server without sessions can be stopped, and nobody sees it.

    The exit code is 0 if the server is empty, and 3 if sessions are left on it.
    """
    from cli.draining import Drain, hands  # noqa: PLC0415

    async def drain() -> int:
        async with hands(environ_of(data_dir)) as ours:
            boot = (await ours.find(server)).boot_id
            return await ours.drain(boot, Drain(move=move, end=end, wait=wait), click.echo)

    left: int = run(drain())
    click.echo(f"{left} sessions are left on it." if left else "It is empty, and can be stopped.")
    sys.exit(STILL_THERE if left else 0)


@click.group("sessions")
def sessions_group() -> None:
    """End sessions by hand."""


@sessions_group.command("end", short_help="End sessions.")
@click.argument("session_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--reason",
    type=click.Choice([EndReason.ENDED_BY_OPERATOR, EndReason.ACCOUNT_CLOSED, EndReason.DRAINED]),
    default=EndReason.ENDED_BY_OPERATOR,
    show_default=True,
    help="What its account reads as `end_reason`.",
)
@data_dir_option
def end_command(*, session_ids: tuple[str, ...], reason: str, data_dir: Path | None) -> None:
    """End each session ID; the first reason that was recorded for it stays.

    The exit code is 0 if all have ended, and 2 if one does not run.
    """
    from cli.draining import hands  # noqa: PLC0415
    from domain.failures import Refused  # noqa: PLC0415

    async def end() -> bool:
        complete = True
        async with hands(environ_of(data_dir)) as ours:
            for session_id in session_ids:
                try:
                    click.echo(f"{session_id} ended as {await ours.end(session_id, EndReason(reason))}")
                except Refused as trouble:
                    complete = False
                    click.echo(f"greenroom: {trouble}", err=True)
        return complete

    sys.exit(0 if run(end()) else 2)
