"""`greenroom servers`: shows avatar servers, and empties those that are to be stopped."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.avatars import data_dir_option, environ_of, run
from cli.operators.verbs import How, carry_out, verb_options
from cli.options import SESSIONS_LEFT

if TYPE_CHECKING:
    from cli.operators.following import Order
    from cli.operators.hands import Hands
    from database.avatar_servers import AvatarServer


@click.group("servers")
def servers_group() -> None:
    """Show avatar servers, and empty those that are to be stopped."""


@servers_group.command("list", short_help="Show the avatar servers.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a server.")
@data_dir_option
def list_command(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every avatar server that is remembered: slots, software, whether it lives, and whether it takes sessions."""
    from cli.operators.hands import listed  # noqa: PLC0415 - what follows takes a second to import

    found: list[AvatarServer] = run(listed(environ_of(data_dir)))
    for one in found:
        click.echo(json.dumps(_row(one)) if as_json else _line(one))


def _row(one: "AvatarServer") -> dict[str, Any]:
    row = dataclasses.asdict(one)
    return {**row, **{name: f"{row[name]:%Y-%m-%dT%H:%M:%SZ}" for name in ("registered_at", "renewed_at")}}


def _line(one: "AvatarServer") -> str:
    state = ("draining" if one.draining else "takes sessions") if one.live else "silent"
    version = f"version {one.version}" if one.version else "version unknown"
    labels = ",".join(f"{name}={value}" for name, value in sorted((one.labels or {}).items()))
    return "  ".join(
        [one.boot_id, one.name, f"{one.taken}/{one.slots} slots", state, version, *([labels] if labels else [])]
    )


@servers_group.command("drain", short_help="Empty an avatar server, or all of a version.")
@click.argument("server", metavar="[ID]", required=False)
@click.option("--version", help="Instead: all servers that run this version, as `servers list` shows it.")
@click.option("--wait", is_flag=True, help="Until no session is left.")
@click.option("--move/--no-move", default=True, help="Move sessions to other servers, or wait them out.")
@click.option("--end", is_flag=True, help="End what no other server takes, as `drained`.")
@verb_options
def drain_command(*, server: str | None, version: str | None, wait: bool, move: bool, end: bool, **how: Any) -> None:
    """Give the avatar server ID (a boot id, or a name) no new sessions, and move those that it has.

    A session moves between two utterances, or after a minute of speech; its picture is away for about a second. One
    that no other server takes stays until its end. A server without sessions can be stopped, and nobody sees it. A
    workflow does it: it goes on when this command is closed, and the same command follows it again.

    The exit code is 0 if the servers are empty, and 3 if sessions are left on them.
    """
    if (server is None) == (version is None):
        raise click.UsageError("say one server, or --version")

    async def plan(ours: "Hands") -> "Order":
        from cli.operators.following import Order  # noqa: PLC0415 - as above
        from cli.operators.hands import Drain  # noqa: PLC0415
        from workflows.drain_servers import DrainServersWorkflow  # noqa: PLC0415

        found = await ours.of_version(version) if version else [await ours.find(server or "")]
        boots = [one.boot_id for one in found]
        wanted = Drain(move=move, end=end, wait=wait)
        command = wanted.of(version=version) if version else wanted.of(boots, name=found[0].name)
        touches = {"servers": boots, "sessions": await ours.served(boots)}
        return Order(run=DrainServersWorkflow.run, command=command, touches=touches)

    settled = How(**how)
    outcome = carry_out(settled, plan)
    if outcome is None:
        return
    left = outcome.progress.left
    if not settled.as_json:
        click.echo(f"{left} sessions are left." if left else "Empty: it can be stopped.")
    sys.exit(SESSIONS_LEFT if left else 0)
