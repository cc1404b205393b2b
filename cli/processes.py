"""The commands that are processes of the system: the API, a worker, and the migration that goes before them."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import click

ROLES = ("sessions", "faces", "avatar")


@contextmanager
def explained() -> Iterator[None]:
    """Turn a wrong setting into a sentence and exit code 2, and what does not answer into one and exit code 1."""
    from domain.failures import Unavailable  # noqa: PLC0415
    from runtime.settings import SettingsError  # noqa: PLC0415

    try:
        yield
    except (SettingsError, Unavailable) as error:
        click.echo(f"greenroom: {error}", err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)


@click.command("api")
def api_command() -> None:
    """Serve the HTTP API until it is stopped."""
    # Half a second that other commands do not need.
    from api.app import create_app  # noqa: PLC0415
    from api.serving import api_server  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415
    from runtime.watching import watched  # noqa: PLC0415

    with explained(), ExitStack() as stack:
        settings = load_settings(os.environ)
        stack.enter_context(watched("api", settings, os.environ))
        app = create_app(settings, os.environ)
        server, sockets = api_server(app, settings)
        server.run(sockets=sockets)


@click.command("worker")
@click.argument("role", type=click.Choice(ROLES))
def worker_command(role: str) -> None:
    """Do the work of one ROLE until stopped.

    sessions: workflows, database and storage steps. faces: pictures and faces. avatar: one avatar server, whose
    media processes join rooms.
    """
    from worker.__main__ import main  # noqa: PLC0415

    main(role)


@click.command("migrate")
def migrate_command() -> None:
    """Make or change the database's tables for this version. Safe to repeat.

    It adds the built-in avatars that were never there before. With GREENROOM_FIRST_API_KEY it also makes the account
    `local`, which that key opens.
    """
    from cli.library.banks import provide_all  # noqa: PLC0415
    from cli.library.builtin import provide_builtins  # noqa: PLC0415
    from cli.local_account import prepare_local_account  # noqa: PLC0415
    from database.migrations import migrate  # noqa: PLC0415
    from domain.failures import Unavailable  # noqa: PLC0415
    from runtime.cache import cache_folder  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415

    with explained():
        settings = load_settings(os.environ)
        asyncio.run(migrate(settings.database_address))
        click.echo("The database is up to date.")
        if settings.first_api_key:
            asyncio.run(prepare_local_account(settings, settings.first_api_key))
            click.echo("The account `local` is there, and GREENROOM_FIRST_API_KEY opens it.")
        if said := asyncio.run(provide_builtins(settings, cache_folder(os.environ))):
            click.echo(said)
            with suppress(Unavailable):  # their sessions prepare them, too
                asyncio.run(provide_all(settings, os.environ, lambda _, __: None))
