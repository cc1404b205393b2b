"""`greenroom sessions end`: by their ids at once, or by what they have in common, by a workflow."""

import sys
from typing import TYPE_CHECKING, Any

import click

from cli.avatars import run
from cli.operators.verbs import How, carry_out, verb_options
from domain.failures import FailureCode, Refused
from domain.selections import Selection
from domain.session import EndReason

if TYPE_CHECKING:
    from cli.operators.following import Order
    from cli.operators.hands import Hands

SOME_RUN_ON = 2
REASONS = [one.value for one in (EndReason.ENDED_BY_OPERATOR, EndReason.ACCOUNT_CLOSED, EndReason.DRAINED)]
"""As text: of an enumeration click would take the names."""


@click.group("sessions")
def sessions_group() -> None:
    """End sessions by hand."""


@sessions_group.command("end", short_help="End sessions.")
@click.argument("session_ids", metavar="[ID...]", nargs=-1)
@click.option("--account", metavar="ID|NAME", help="Instead of ids: all of an account.")
@click.option("--key", metavar="KEY_ID|NAME", help="All that this key has created; a name needs --account too.")
@click.option("--metadata", metavar="KEY=VALUE", help="All whose metadata has this pair.")
@click.option(
    "--reason",
    type=click.Choice(REASONS),
    default=REASONS[0],
    show_default=True,
    help="What its account reads as `end_reason`.",
)
@verb_options
def end_command(
    *, session_ids: tuple[str, ...], account: str | None, key: str | None, metadata: str | None, reason: str, **how: Any
) -> None:
    """End each session ID, or all that have something in common; the first reason that was recorded stays.

    Several options together choose the sessions that fit them all, of those that are there when it begins. A workflow
    ends them in batches: it goes on when this command is closed, and the same command follows it again.

    The exit code is 0 if all have ended, and 2 if one does not run, or could not be ended.
    """
    by_what = (account, key, metadata)
    if bool(session_ids) == any(by_what):
        raise click.UsageError("say ids, or --account, --key or --metadata")
    settled = How(**how)
    if session_ids:
        sys.exit(0 if run(_end(settled, session_ids, EndReason(reason))) else SOME_RUN_ON)
    pair = _pair(metadata) if metadata else ("", "")

    async def plan(ours: "Hands") -> "Order":
        return await _ordered(ours, settled, by_what, pair, EndReason(reason))

    outcome = carry_out(settled, plan)
    if outcome is not None:
        if not settled.as_json:
            click.echo(f"{outcome.progress.done} sessions ended, {outcome.progress.left} could not be ended.")
        sys.exit(SOME_RUN_ON if outcome.progress.left else 0)


async def _ordered(
    ours: "Hands",
    how: How,
    by_what: tuple[str | None, str | None, str | None],
    pair: tuple[str, str],
    reason: EndReason,
) -> "Order":
    from cli.accounts.shared import account_of, key_of  # noqa: PLC0415 - what follows takes a second to import
    from cli.operators.following import Order  # noqa: PLC0415
    from contracts.operations import EndSessions  # noqa: PLC0415
    from workflows.end_sessions import EndSessionsWorkflow  # noqa: PLC0415

    account, key, _ = by_what
    account_id = await account_of(how.environ, account) if account else ""
    key_id = await key_of(how.environ, key, account_id) if key else ""
    chosen = Selection(account_id=account_id, key_id=key_id, metadata_key=pair[0], metadata_value=pair[1])
    found = await ours.chosen(chosen) if how.dry_run else []
    touches = {"number": len(found), "sessions": found}
    command = EndSessions(selection=chosen, reason=reason)
    return Order(run=EndSessionsWorkflow.run, command=command, account_id=account_id, touches=touches)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is not KEY=VALUE")
    return name, value


async def _end(how: How, session_ids: tuple[str, ...], reason: EndReason) -> bool:
    """End sessions one by one; have all ended?"""
    from cli.operators.hands import hands  # noqa: PLC0415 - as above

    if how.dry_run:
        click.echo(f"would end {', '.join(session_ids)} as {reason}; nothing was changed")
        return True
    complete = True
    async with hands(how.environ) as ours:
        for session_id in session_ids:
            try:
                click.echo(f"{session_id} ended as {await ours.end(session_id, reason)}")
            except Refused as trouble:
                if trouble.code == FailureCode.TEMPORARILY_UNAVAILABLE:
                    raise
                complete = False
                click.echo(f"greenroom: {trouble}", err=True)
    return complete
