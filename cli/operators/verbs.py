"""What operators' verbs have in common on the command line: dry runs, following, leaving, and how it ended."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.avatars import data_dir_option, environ_of, run

if TYPE_CHECKING:
    from cli.operators.following import Order
    from cli.operators.hands import Hands
    from contracts.operations import OperationOutcome

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class How:
    """How a verb is carried out."""

    dry_run: bool
    detach: bool
    as_json: bool
    data_dir: Path | None

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, with what a `greenroom dev` remembers."""
        return environ_of(self.data_dir)


def verb_options(command: Decorated) -> Decorated:
    """The options of every verb; they arrive as the fields of How."""
    options = (
        click.option("--dry-run", is_flag=True, help="Say what would be touched, and change nothing."),
        click.option("--detach", is_flag=True, help="Begin, and do not wait; `greenroom operations follow` does."),
        click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end."),
        data_dir_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def carry_out(how: How, plan: "Callable[[Hands], Awaitable[Order]]") -> "OperationOutcome | None":
    """Begin the workflow of an order, or find it, and follow it to its end; None if it was only begun or told."""

    async def work() -> "OperationOutcome | None":
        from cli.operators.following import begun, followed  # noqa: PLC0415 - what follows takes a second to import
        from cli.operators.hands import hands  # noqa: PLC0415

        async with hands(how.environ) as ours:
            order = await plan(ours)
            if how.dry_run:
                _say_what(order, as_json=how.as_json)
                return None
            name = await begun(ours.client, order)
            click.echo(f"workflow {name}", err=how.as_json)
            if how.detach:
                return None
            try:
                return await followed(ours.client, name, lambda line: click.echo(line, err=how.as_json))
            except asyncio.CancelledError:
                click.echo(f"It goes on; `greenroom operations follow {name}` follows it again.", err=True)
                raise

    outcome: OperationOutcome | None = run(work())
    if outcome is not None and how.as_json:
        row = {"title": outcome.title, "done": outcome.progress.done, "left": outcome.progress.left}
        row |= {"troubles": outcome.progress.troubles}
        click.echo(json.dumps(row | ({"receipt_id": outcome.receipt_id} if outcome.receipt_id else {})))
    return outcome


def _say_what(order: "Order", *, as_json: bool) -> None:
    if as_json:
        row = {"dry_run": True, "title": order.command.title, "workflow_id": order.command.workflow_id}
        click.echo(json.dumps({**row, **order.touches}))
        return
    click.echo(f"would {order.command.title}; nothing was changed")
    for name, value in order.touches.items():
        what = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"  {name}: {what}")
