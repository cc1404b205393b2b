"""`greenroom admissions`: lets nobody new in, for a while or until it is thawed. What runs is not touched."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.accounts.shared import account_of, as_json_option, show
from cli.avatars import data_dir_option, environ_of, run
from cli.options import Length
from cli.stores import engine_of

if TYPE_CHECKING:
    from database.freezes import Freeze, Freezes

account_option = click.option("--account", metavar="ID|NAME", help="Only this account's  [default: everybody's]")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")


class Moment(click.ParamType[datetime]):
    """A moment as ISO 8601; without an offset it is UTC."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, or click's error."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment: write 2030-01-31T18:00Z.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@asynccontextmanager
async def opened(environ: Mapping[str, str]) -> "AsyncIterator[Freezes]":
    """The store of freezes."""
    from database.freezes import Freezes  # noqa: PLC0415 - the database takes .5 s to import

    async with engine_of(environ) as engine:
        yield Freezes(engine)


async def scope_of(environ: Mapping[str, str], account: str | None) -> str:
    """What a freeze is of: an account's id, or empty for everybody."""
    return "" if account is None else await account_of(environ, account)


@click.group("admissions")
def admissions_group() -> None:
    """Let nobody new in, and let them in again. Sessions that run, and their ends, are not touched."""


@admissions_group.command("freeze", short_help="Answer new creates with 503.")
@account_option
@click.option("--reason", default="", metavar="TEXT", help="Told to clients, in the answer's message.")
@click.option("--until", type=Moment(), help="When it thaws by itself, as 2030-01-31T18:00Z.")
@click.option("--for", "lasting", type=Length(), help="Instead: for how long, as 30m.")
@dry_run_option
@as_json_option
@data_dir_option
def freeze_command(
    *,
    account: str | None,
    reason: str,
    until: datetime | None,
    lasting: timedelta | None,
    dry_run: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Answer every new create with 503 ADMISSIONS_FROZEN and `Retry-After`, until it is thawed.

    When the command returns, no create is admitted any more: those that were under way have been by then. A freeze that
    is there already is replaced.
    """
    if until is not None and lasting is not None:
        raise click.UsageError("say --until or --for, not both")
    environ = environ_of(data_dir)
    seconds = None if lasting is None else lasting.total_seconds()

    async def work() -> "Freeze | str":
        scope = await scope_of(environ, account)
        if dry_run:
            return scope
        async with opened(environ) as freezes:
            return await freezes.freeze(scope, reason, until=until, seconds=seconds)

    stands = run(work())
    if isinstance(stands, str):
        tell({"dry_run": True, "scope": stands}, f"would freeze {_whose(stands)}; nothing was changed", as_json=as_json)
    else:
        show(stands, as_json=as_json)


@admissions_group.command("thaw", short_help="Take new creates again.")
@account_option
@dry_run_option
@as_json_option
@data_dir_option
def thaw_command(*, account: str | None, dry_run: bool, as_json: bool, data_dir: Path | None) -> None:
    """Take new creates again. One account's freeze and everybody's are thawed each by itself."""
    environ = environ_of(data_dir)

    async def work() -> tuple[str, bool]:
        scope = await scope_of(environ, account)
        async with opened(environ) as freezes:
            frozen = any(one.scope == scope for one in await freezes.listed())
            return scope, frozen if dry_run else await freezes.thaw(scope)

    scope, frozen = run(work())
    done = ("would be thawed" if dry_run else "thawed") if frozen else "not frozen"
    tell({"dry_run": dry_run, "scope": scope, "was_frozen": frozen}, f"{_whose(scope)}: {done}", as_json=as_json)


@admissions_group.command("status", short_help="Show what is frozen.")
@as_json_option
@data_dir_option
def status_command(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every freeze that counts now, everybody's first; nothing where none does."""
    environ = environ_of(data_dir)

    async def work() -> list[Any]:
        async with opened(environ) as freezes:
            return list(await freezes.listed())

    for one in run(work()):
        show(one, as_json=as_json)


def tell(row: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """One line: a row as JSON, or a sentence."""
    click.echo(json.dumps(row) if as_json else sentence)


def _whose(scope: str) -> str:
    return f"admissions of {scope}" if scope else "everybody's admissions"
