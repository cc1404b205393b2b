"""`greenroom setup`: finds or fetches what is not a Python package; it starts nothing and asks nothing."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from runtime.cache import cache_folder
from runtime.external.found import FoundPart, MissingPartError, Tell

HASH_SHOWN = 8


def find_parts(environ: Mapping[str, str], *, tell: Tell) -> list[FoundPart]:
    """Every part that is not a Python package, found or fetched; MissingPartError says what to install."""
    from runtime.external.livekit_server import ensure_livekit_server  # noqa: PLC0415 each only when it is needed
    from runtime.external.temporal_cli import find_temporal  # noqa: PLC0415

    cache = cache_folder(environ)
    return [
        find_temporal(Path(sys.executable).parent),
        ensure_livekit_server(cache, environ, tell=tell),
        _detector(cache, environ, tell),
        _builtin_avatars(cache, tell),
    ]


def _detector(cache: Path, environ: Mapping[str, str], tell: Tell) -> FoundPart:
    from adapters import detector_file  # noqa: PLC0415
    from runtime.external.detector import ensure_detector  # noqa: PLC0415

    path = detector_file.detector_path(cache)
    try:
        fetched = ensure_detector(
            path.parent,
            is_ready=lambda: detector_file.is_detector_ready(cache),
            extract=lambda archive: detector_file.extract_detector(archive, cache),
            environ=environ,
            tell=tell,
        )
    except detector_file.WrongDetectorFile as error:
        raise MissingPartError(f"The face detector is not the expected file: {error}") from error
    return FoundPart(
        name="Face detector",
        path=path,
        version=f"SCRFD-2.5G {detector_file.SOURCE_SHA256[:HASH_SHOWN]}",
        source="package index" if fetched else "cache",
    )


def _builtin_avatars(cache: Path, tell: Tell) -> FoundPart:
    """After the detector, which finds their faces."""
    from cli.library.builtin import NoBuiltinAvatarsError, builtin_folder, make_builtins  # noqa: PLC0415
    from domain.avatars import PIPELINE  # noqa: PLC0415

    try:
        made = make_builtins(cache, tell=tell)
    except (NoBuiltinAvatarsError, OSError) as error:
        raise MissingPartError(f"The built-in avatars cannot be made: {error}") from error
    return FoundPart(
        name="Built-in avatars",
        path=builtin_folder(cache),
        version=f"pipeline {PIPELINE}",
        source="made here" if made else "cache",
    )


def show_parts(parts: list[FoundPart]) -> None:
    """Print a table of the parts."""
    from rich.table import Table  # noqa: PLC0415

    from cli.console import print_whole  # noqa: PLC0415

    table = Table(title="Parts", title_justify="left")
    for heading in ("part", "version", "from", "path"):
        table.add_column(heading, overflow="fold")
    for part in parts:
        table.add_row(part.name, part.version, part.source, _shortened(part.path))
    print_whole(table)


def _shortened(path: Path) -> str:
    for base, sign in ((Path.cwd(), "."), (Path.home(), "~")):
        if path.is_relative_to(base):
            return f"{sign}/{path.relative_to(base)}"
    return str(path)


def find_parts_aloud(environ: Mapping[str, str]) -> list[FoundPart]:
    """As `find_parts`, with progress on standard error; a missing part becomes click's one-sentence error."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    told: set[str] = set()

    def tell_plainly(line: str) -> None:
        # Without a terminal (CI), each kind of progress once: not every package that Go compiles.
        kind = line.partition(":")[0]
        if kind not in told:
            told.add(kind)
            console.print(kind, markup=False, highlight=False)

    try:
        if not console.is_terminal:
            return find_parts(environ, tell=tell_plainly)
        with console.status("looking for the parts") as status:
            return find_parts(environ, tell=lambda line: status.update(line.replace("[", r"\[")))
    except MissingPartError as error:
        raise click.ClickException(str(error)) from error


@click.command("setup")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of a table.")
@click.option("--quiet", is_flag=True, help="Print nothing where everything is there.")
def setup_command(*, as_json: bool, quiet: bool) -> None:
    """Find or fetch the parts that are not Python packages: LiveKit server, Temporal dev server, face detector.

    With the detector it makes the portraits of the built-in avatars.
    """
    parts = find_parts_aloud(os.environ)
    if as_json:
        rows = [{"name": p.name, "version": p.version, "source": p.source, "path": str(p.path)} for p in parts]
        click.echo(json.dumps(rows))
    elif not quiet:
        show_parts(parts)
