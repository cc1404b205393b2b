"""`greenroom plans`: what accounts may do; docs/accounts.md says what a change does to sessions that run."""

from pathlib import Path
from typing import Any

import click

from cli.accounts.shared import as_json_option, opened, show
from cli.avatars import data_dir_option, environ_of, run
from cli.options import LabelsType

LIMITS = {
    "name": str,
    "max_concurrent_sessions": int,
    "max_session_seconds": int,
    "included_minutes": int,
    "avatar_allowance": int,
    "requests_per_minute": int,
    "paid": bool,
    "nobody_joined_s": float,
    "participants_left_s": float,
    "agent_left_s": float,
}
"""What `plans set` changes, by the names of its columns."""


@click.group("plans")
def plans_group() -> None:
    """Show and change plans; docs/accounts.md says what a change does to sessions that run."""


@plans_group.command("list", short_help="Show the plans.")
@as_json_option
@data_dir_option
def list_plans(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every plan; a limit that is not shown is none."""

    async def work() -> list[Any]:
        async with opened(environ_of(data_dir)) as admin:
            return list(await admin.plans())

    for plan in run(work()):
        show(plan, as_json=as_json)


def parse_limit(text: str) -> tuple[str, Any]:
    """The column and value of NAME=VALUE; `none` for no limit."""
    name, equals, value = text.partition("=")
    if not equals or name not in LIMITS:
        raise click.UsageError(f"{text!r} is not NAME=VALUE with a NAME of {', '.join(LIMITS)}")
    if value == "none" and name not in ("name", "max_concurrent_sessions", "paid"):
        return name, None
    try:
        kind = LIMITS[name]
        return name, {"yes": True, "no": False}[value] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise click.UsageError(f"{value!r} is no value of {name}") from None


@plans_group.command("set", short_help="Change a plan, or make one.")
@click.argument("key")
@click.argument("limits", metavar="NAME=VALUE...", nargs=-1)
@click.option("--requires", type=LabelsType(), help="Labels that servers must have, region=eu,...; `none`: none.")
@data_dir_option
def set_plan(*, key: str, limits: tuple[str, ...], requires: dict[str, str] | None, data_dir: Path | None) -> None:
    r"""Change the limits of the plan KEY; a plan that is not there is made.

    \b
    max_concurrent_sessions, max_session_seconds, included_minutes (a period), avatar_allowance (pictures a period),
    requests_per_minute, paid (yes or no: may send pictures), name, and the timers nobody_joined_s,
    participants_left_s and agent_left_s. VALUE `none` means no limit, or as the settings say.
    """
    changes = dict(parse_limit(text) for text in limits)
    if requires is not None:
        changes["requires"] = requires or None
    if not changes:
        raise click.UsageError("say what to change: NAME=VALUE or --requires")

    async def work() -> None:
        async with opened(environ_of(data_dir)) as admin:
            await admin.set_plan(key, changes)

    run(work())
