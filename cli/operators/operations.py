"""`greenroom operations`: the operators' verbs that run, or ran; follows one again, or stops it."""

import json
from pathlib import Path

import click

from cli.avatars import data_dir_option, environ_of, run


@click.group("operations")
def operations_group() -> None:
    """What drains, ends and deletions are doing. Each is a workflow, and goes on without the command that began it."""


@operations_group.command("list", short_help="Show them.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
@data_dir_option
def list_command(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every operation that Temporal remembers, the newest first."""
    from cli.operators.following import listed  # noqa: PLC0415 - what follows takes a second to import
    from cli.operators.hands import connected  # noqa: PLC0415

    async def work() -> list[tuple[str, str, str]]:
        return await listed(await connected(environ_of(data_dir)))

    for name, state, since in run(work()):
        row = {"workflow_id": name, "state": state, "since": since}
        click.echo(json.dumps(row) if as_json else f"{since}  {state}  {name}")


@operations_group.command("follow", short_help="Follow one again.")
@click.argument("workflow_id")
@data_dir_option
def follow_command(*, workflow_id: str, data_dir: Path | None) -> None:
    """Say what it has said lately and what it says, until it is over."""
    from cli.operators.following import followed  # noqa: PLC0415 - as above
    from cli.operators.hands import connected  # noqa: PLC0415

    async def work() -> str:
        outcome = await followed(await connected(environ_of(data_dir)), workflow_id, click.echo)
        return f"{outcome.title}: {outcome.progress.done} done, {outcome.progress.left} left"

    click.echo(run(work()))


@operations_group.command("stop", short_help="Stop one.")
@click.argument("workflow_id")
@data_dir_option
def stop_command(*, workflow_id: str, data_dir: Path | None) -> None:
    """Let it go no further; what it has done stays done. Servers that it drains go on draining."""
    from cli.operators.following import stopped  # noqa: PLC0415 - as above
    from cli.operators.hands import connected  # noqa: PLC0415

    async def work() -> None:
        await stopped(await connected(environ_of(data_dir)), workflow_id)

    run(work())
