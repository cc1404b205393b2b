"""`greenroom avatars`: an operator's hands in the library of avatars; it asks no running part and needs no key."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.faces import REFUSED, TROUBLED, collect, tell_trouble

if TYPE_CHECKING:
    from cli.library.importing import Imported
    from domain.avatars import Avatar

NEW_ID = re.compile(r"avat_[0-9A-Za-z]{1,64}|PUBLIC/Avatars/[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
"""Ids that an operator may give. None lies below another: their pictures are deleted by folder."""

Command = Callable[..., Any]

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of a `greenroom dev`, whose settings are then used  [default: .greenroom]",
)


@click.group("avatars")
def avatars_group() -> None:
    """Add, list and delete avatars of any account, and public ones.

    The settings say where database and object store are; nothing else of Greenroom needs to run.
    """


@avatars_group.command("import", short_help="Make avatars of picture files.")
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--account", metavar="ID|NAME", help="Whose they are  [default: the only account, if there is one]")
@click.option("--public", is_flag=True, help="They are everybody's.")
@click.option(
    "--id", "avatar_id", metavar="ID", help="The id of one avatar: avat_LETTERS or PUBLIC/Avatars/NAME  [default: new]"
)
@click.option("--trusted", is_flag=True, help="Take the biggest face as it is, whatever the verdict would be.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a picture: path, verdict, avatar_id.")
@data_dir_option
def import_command(
    *,
    pictures: tuple[Path, ...],
    account: str | None,
    public: bool,
    avatar_id: str | None,
    trusted: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Make an avatar of each PICTURE, as an upload would, and store it.

    A PICTURE is a file, or a folder: then every jpg, jpeg, png, gif and webp below it is taken. What an upload would
    refuse is refused, unless it is --trusted; a face there must be.

    An id that is free can be given, also that of a deleted avatar: so a built-in one is replaced. A picture that its
    account has as an avatar already is not stored again.

    The exit code is 0 if every picture is an avatar now, 1 if one was refused, and 2 if something was in the way.
    """
    check_options(account=account, public=public, avatar_id=avatar_id, pictures=len(pictures))
    found, troubles = collect(pictures)
    for trouble in troubles:
        tell_trouble(trouble)
    if avatar_id is not None and len(found) > 1:
        raise click.UsageError("--id names one avatar, and the folder holds several pictures.")
    if not found:
        sys.exit(TROUBLED)
    from cli.library.importing import Import, import_all  # noqa: PLC0415 - what follows takes seconds to import

    what = Import(account=account, public=public, avatar_id=avatar_id, trusted=trusted)
    outcomes = run(import_all(found, what, environ_of(data_dir), show=lambda one: show_imported(one, as_json=as_json)))
    if troubles or None in outcomes:
        sys.exit(TROUBLED)
    sys.exit(0 if all(outcomes) else REFUSED)


def check_options(*, account: str | None, public: bool, avatar_id: str | None, pictures: int) -> None:
    """Raise click's error where options do not go together."""
    if account is not None and public:
        raise click.UsageError("An avatar is an account's (--account) or everybody's (--public), not both.")
    if avatar_id is None:
        return
    if not NEW_ID.fullmatch(avatar_id):
        raise click.UsageError(
            f"{avatar_id!r} cannot be an id: avat_ and letters or digits, or PUBLIC/Avatars/ and a name."
        )
    if avatar_id.startswith("PUBLIC/") and not public:
        raise click.UsageError("An id that begins with PUBLIC/ is for --public avatars.")
    if pictures > 1:
        raise click.UsageError("--id names one avatar: give one picture.")


def show_imported(one: "Imported | str", *, as_json: bool) -> None:
    """Print what became of a picture; on standard error if it could not be looked at."""
    if isinstance(one, str):
        tell_trouble(one)
        return
    checked = one.checked
    if as_json:
        row = {"path": os.fspath(checked.path), "verdict": checked.verdict, "avatar_id": one.avatar_id}
        click.echo(json.dumps({**row, "details": checked.details}))
        return
    click.echo(f"{click.format_filename(checked.path)}: ", nl=False)
    click.secho(one.avatar_id or checked.verdict, fg="green" if one.avatar_id else "red", nl=False)
    click.echo(" (is there already)" if one.known else "".join(f"\n  {line}" for line in checked.lines))


@avatars_group.command("list", short_help="Show the avatars that there are.")
@click.option("--account", metavar="ID|NAME", help="Only this account's own  [default: all, and the public ones]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON an avatar.")
@data_dir_option
def list_command(*, account: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Show the avatars, public ones first, the newest first in either part."""
    found: list[Avatar] = run(listed(environ_of(data_dir), account))
    if as_json:
        for one in found:
            click.echo(json.dumps(row_of(one)))
        return
    from rich.table import Table  # noqa: PLC0415

    from cli.console import print_whole  # noqa: PLC0415

    table = Table(title=f"Avatars: {len(found)}", title_justify="left")
    for heading in ("avatar", "whose", "primary", "portraits", "since"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "avatar")
    for one in found:
        shapes = ", ".join(profile for profile in one.portraits if ":" in profile)
        since = f"{one.created_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(one.avatar_id, one.account_id or "public", str(one.primary), shapes, since)
    print_whole(table)


def row_of(avatar: "Avatar") -> dict[str, object]:
    """An avatar as JSON carries it."""
    return {
        "avatar_id": avatar.avatar_id,
        "account_id": avatar.account_id,
        "tags": avatar.tags,
        "primary": avatar.primary,
        "portraits": sorted(avatar.portraits),
        "created_at": avatar.created_at.isoformat(),
    }


async def listed(environ: Mapping[str, str], account: str | None) -> "list[Avatar]":
    """All avatars, or an account's own."""
    from cli.library.shelf import opened_shelf  # noqa: PLC0415 - the database takes .5 s to import
    from cli.library.whose import account_called  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415

    async with opened_shelf(load_settings(environ)) as shelf:
        owner = None if account is None else await account_called(shelf.accounts, account)
        return await shelf.avatars.every(owner)


@avatars_group.command("prepare", short_help="Have the renderer prepare what it has not prepared yet.")
@data_dir_option
def prepare_command(*, data_dir: Path | None) -> None:
    """Have the renderer of the settings prepare every avatar's portraits, so that no session has to.

    Uploads and imports do so by themselves. This is for avatars that were there before: the built-in ones, and all of
    them after GREENROOM_RENDERER or GREENROOM_VIDEO_SIZE were changed, or a renderer was updated.
    """
    from cli.library.banks import provide_all  # noqa: PLC0415 - as above
    from runtime.settings import load_settings  # noqa: PLC0415

    environ = environ_of(data_dir)

    async def work() -> bool:
        return await provide_all(load_settings(environ), environ, lambda who, what: click.echo(f"{who}: {what}"))

    if not run(work()):
        sys.exit(REFUSED)


@avatars_group.command("delete", short_help="Delete one avatar and its pictures.")
@click.argument("avatar_id", metavar="AVATAR_ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def delete_command(*, avatar_id: str, yes: bool, data_dir: Path | None) -> None:
    """Delete an avatar, whosever it is, and all its pictures.

    Sessions that show it go on unchanged; the pictures go when the last of them has ended. A built-in avatar that was
    deleted is not set up again; `greenroom avatars import --public --id ID` gives its id to another picture.
    """
    from cli.library.removal import look_up, remove  # noqa: PLC0415 - as above

    environ = environ_of(data_dir)
    whose = run(look_up(environ, avatar_id))
    if not yes:
        click.confirm(f"Delete the avatar {avatar_id} ({whose}) and all its pictures?", abort=True)
    click.echo(run(remove(environ, avatar_id)))


def environ_of(data_dir: Path | None) -> dict[str, str]:
    """The environment, with what a `greenroom dev` in the data folder remembers."""
    from runtime.system.remembered import remembered_environ  # noqa: PLC0415

    return remembered_environ(data_dir or Path(os.environ.get("GREENROOM_DATA_DIR", ".greenroom")), os.environ)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Do it; what is in the way is a sentence on standard error and exit code 2."""
    from domain.failures import Refused  # noqa: PLC0415
    from runtime.settings import SettingsError  # noqa: PLC0415

    try:
        return asyncio.run(work)
    except (SettingsError, Refused) as error:
        tell_trouble(str(error))
        sys.exit(TROUBLED)
