"""`greenroom accounts`: makes, shows and changes accounts; closing one has a module of its own."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.accounts.closing import close_account
from cli.accounts.shared import account_of, as_json_option, opened, show
from cli.avatars import data_dir_option, environ_of, run
from cli.operators.deleting import delete_account, show_receipt
from cli.options import LabelsType
from cli.stores import engine_of

if TYPE_CHECKING:
    from database.account_admin import AccountAdmin

AS_PLAN = "plan"


class Timer(click.ParamType["float | str"]):
    """Seconds, or `plan`."""

    name = "SECONDS|plan"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The seconds, or the word; click's error for anything else."""
        if value == AS_PLAN:
            return AS_PLAN
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= LONGEST_S:
            self.fail(f"{value!r} is neither seconds, {LONGEST_S} at most, nor `plan`.", param, ctx)
        return seconds


LONGEST_S = 86_400
"""A session that lasts longer has met its hard cap."""


@click.group("accounts")
def accounts_group() -> None:
    """Make, show and close accounts, put them on plans, and add bought minutes."""


@accounts_group.command("create", short_help="Make an account.")
@click.argument("name")
@click.option("--plan", default="free", show_default=True, help="The plan's key.")
@data_dir_option
def create_account(*, name: str, plan: str, data_dir: Path | None) -> None:
    """Make an account and print its id; `greenroom keys create` makes its first key."""

    async def work() -> str:
        from ulid import ULID  # noqa: PLC0415 - the database takes .5 s to import

        from database.accounts import Accounts  # noqa: PLC0415

        async with engine_of(environ_of(data_dir)) as engine:
            account_id = f"acct_{ULID()}"
            await Accounts(engine).create(account_id, name, plan)
            return account_id

    click.echo(run(work()))


@accounts_group.command("list", short_help="Show the accounts.")
@as_json_option
@data_dir_option
def list_accounts(*, as_json: bool, data_dir: Path | None) -> None:
    """Show every account, oldest first."""

    async def work() -> list[Any]:
        async with opened(environ_of(data_dir)) as admin:
            return list(await admin.accounts())

    for account in run(work()):
        show(account, as_json=as_json)


@accounts_group.command("show", short_help="Show one account.")
@click.argument("account", metavar="ID|NAME")
@as_json_option
@data_dir_option
def show_account(*, account: str, as_json: bool, data_dir: Path | None) -> None:
    """Show one account."""

    async def work() -> list[Any]:
        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            return list(await admin.accounts(await account_of(environ, account)))

    for one in run(work()):
        show(one, as_json=as_json)


@accounts_group.command("set-plan", short_help="Put an account on another plan.")
@click.argument("account", metavar="ID|NAME")
@click.argument("plan")
@data_dir_option
def set_account_plan(*, account: str, plan: str, data_dir: Path | None) -> None:
    """Put an account on PLAN; its period begins now. Sessions that run keep what they were admitted with."""
    _change(data_dir, account, lambda admin, account_id: admin.put_on_plan(account_id, plan))


@accounts_group.command("add-minutes", short_help="Add minutes that an account has bought.")
@click.argument("account", metavar="ID|NAME")
@click.argument("minutes", type=click.IntRange(min=1))
@click.option("--days", type=float, help="Bonus minutes: for how long they can be used.")
@data_dir_option
def add_minutes(*, account: str, minutes: int, days: float | None, data_dir: Path | None) -> None:
    """Add a pack of MINUTES. They are used when the plan's own are, first in, first out."""
    from ulid import ULID  # noqa: PLC0415 - only this command needs one

    _change(
        data_dir, account, lambda admin, account_id: admin.add_minutes(account_id, f"pack_{ULID()}", minutes, days=days)
    )


@accounts_group.command("timers", short_help="Give an account timers of its own.")
@click.argument("account", metavar="ID|NAME")
@click.option("--nobody-joined", type=Timer(), help="Seconds after which a session ends that nobody has joined.")
@click.option("--participants-left", type=Timer(), help="Seconds after the last participant has left.")
@click.option("--agent-left", type=Timer(), help="Seconds after the avatar's agent has left.")
@data_dir_option
def set_timers(
    *,
    account: str,
    nobody_joined: "float | str | None",
    participants_left: "float | str | None",
    agent_left: "float | str | None",
    data_dir: Path | None,
) -> None:
    """Change timers of an account's sessions; `plan` gives one back to its plan. Sessions that run keep theirs."""
    given = {"nobody_joined_s": nobody_joined, "participants_left_s": participants_left, "agent_left_s": agent_left}
    changes = {name: value if isinstance(value, float) else None for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say which: --nobody-joined, --participants-left, --agent-left")

    _change(data_dir, account, lambda admin, account_id: admin.set_timers(account_id, changes))


@accounts_group.command("require", short_help="Let an account's sessions run on certain servers only.")
@click.argument("account", metavar="ID|NAME")
@click.argument("labels", type=LabelsType())
@data_dir_option
def require(*, account: str, labels: dict[str, str], data_dir: Path | None) -> None:
    """Require LABELS (region=eu,...) of the servers of an account's sessions, besides its plan's; `none` for none.

    Sessions that run keep what they were admitted with, through every failover.
    """
    _change(data_dir, account, lambda admin, account_id: admin.require(account_id, labels))


accounts_group.add_command(close_account)
accounts_group.add_command(delete_account)
accounts_group.add_command(show_receipt)


def _change(data_dir: Path | None, account: str, change: "Callable[[AccountAdmin, str], Awaitable[object]]") -> None:
    """Do something to the account of an id or a name."""

    async def work() -> None:
        environ = environ_of(data_dir)
        async with opened(environ) as admin:
            await change(admin, await account_of(environ, account))

    run(work())
