"""`greenroom dev`: the whole system on one machine until Ctrl-C; it is no way to run it for others."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import click
from rich.table import Table

from cli.console import print_whole
from cli.library.builtin import provide_builtins
from cli.local_account import prepare_local_account
from cli.setup_command import find_parts_aloud
from runtime.cache import cache_folder
from runtime.external.found import MissingPartError
from runtime.settings import Settings, SettingsError
from runtime.supervision.part import PartFailedError
from runtime.system.memory import DataFolderBusyError
from runtime.system.ports import PortBusyError
from runtime.system.running import RunningSystem, SystemOptions, running_system

PORTS = {
    "api": "The API.",
    "temporal": "Temporal's gRPC service.",
    "temporal-ui": "Temporal's pages.",
    "livekit": "LiveKit's signalling.",
    "livekit-udp": "LiveKit's media.",
    "livekit-tcp": "LiveKit's media over TCP, which it opens on every interface  [default: none]",
}
IN_THE_WAY = (DataFolderBusyError, MissingPartError, PartFailedError, PortBusyError, SettingsError)


def announce(part: str, text: str) -> None:
    """Print what happened to a part, on standard error."""
    click.echo(f"{part:>8} | {text}", err=True)


def system_options(
    environ: Mapping[str, str], *, data_dir: Path | None, free_ports: bool, asked: Mapping[str, int | None]
) -> SystemOptions:
    """The options of a system with its local account. `asked`: ports by name, None where any will do."""
    ports = {name: port for name, port in asked.items() if port}
    if "api" not in ports and environ.get("GREENROOM_PORT", "").isdigit():
        ports["api"] = int(environ["GREENROOM_PORT"])

    async def prepare(settings: Settings, api_key: str) -> None:
        await prepare_local_account(settings, api_key)
        if said := await provide_builtins(settings, cache_folder(environ)):
            announce("avatars", said)

    return SystemOptions(
        data_dir=data_dir or Path(environ.get("GREENROOM_DATA_DIR") or Settings().data_dir),
        environ=environ,
        prepare=prepare,
        announce=announce,
        ports=ports,
        free_ports=free_ports,
    )


def show_system(system: RunningSystem) -> None:
    """Print where everything is."""
    table = Table(title="Greenroom is ready (Ctrl-C stops it)", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in addresses(system).items():
        table.add_row(name, value)
    print_whole(table)
    sys.stdout.flush()


def addresses(system: RunningSystem) -> dict[str, str]:
    """What a newcomer needs, by name."""
    return {
        "API": system.api_url,
        "API documents": f"{system.api_url}/schema/openapi.json",
        "x-api-key": system.api_key,
        "Temporal UI": system.temporal_ui_url,
        "Temporal": system.temporal_address,
        "LiveKit": system.livekit_url,
        "LiveKit key": system.livekit_api_key,
        "LiveKit secret": system.livekit_api_secret,
        "Data": str(system.data_dir),
        "Logs": str(system.data_dir / "logs"),
    }


def run_until_stopped(serve: Callable[[], Awaitable[None]]) -> None:
    """Run something until it ends, or SIGINT, SIGTERM or SIGHUP cancels it; what is in its way is click's error.

    A second signal ends this process at once; the life line then ends all the others.
    """
    try:
        asyncio.run(_cancelled_by_signals(serve))
    except IN_THE_WAY as error:
        raise click.ClickException(str(error)) from error


async def _cancelled_by_signals(serve: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(serve())
    signals: list[int] = []

    def stop(number: int) -> None:
        if signals:
            os._exit(128 + number)
        signals.append(number)
        click.echo("stopping (once more to stop at once)", err=True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not signals:
            raise


def port_options(command: click.Command) -> click.Command:
    """Give a command one option for each port of the system."""
    for name, text in PORTS.items():
        command.params.append(
            click.Option([f"--{name}-port"], type=click.IntRange(1, 65535), metavar="PORT", help=text)
        )
    return command


@port_options
@click.command("dev")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of all that it keeps  [default: .greenroom]")
@click.option(
    "--ports",
    type=click.Choice(["usual", "free"]),
    default="usual",
    show_default=True,
    help="On a folder's first run: the usual numbers (a busy one is replaced), or free ones.",
)
def dev_command(*, data_dir: Path | None, ports: str, **asked: int | None) -> None:
    """Run the whole system on this machine: Temporal, LiveKit, API and workers, under one supervisor."""
    find_parts_aloud(os.environ)
    named = {name.removesuffix("_port"): port for name, port in asked.items()}
    options = system_options(os.environ, data_dir=data_dir, free_ports=ports == "free", asked=named)

    async def serve() -> None:
        async with running_system(options) as system:
            show_system(system)
            await asyncio.Event().wait()

    run_until_stopped(serve)
