"""`greenroom doctor`: looks at each part of a running system and says in a sentence what is wrong; it mends nothing."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click

WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one part."""

    part: str
    ok: bool
    text: str
    """What is there, or what is wrong and what helps."""


class FaultError(Exception):
    """A part is not as it should be; the message says what helps."""


Look = Callable[[], Awaitable[str]]


async def examine(environ: Mapping[str, str]) -> list[Finding]:
    """A finding for each part. Settings come first: without them there is nothing to look at."""
    from cli.doctor_looks import looks  # noqa: PLC0415 - the libraries of every part
    from runtime.settings import SettingsError, load_settings  # noqa: PLC0415

    try:
        settings = load_settings(environ)
    except SettingsError as error:
        return [Finding(part="settings", ok=False, text=str(error))]
    found = [Finding(part="settings", ok=True, text=f"data in {settings.data_path}")]
    return found + [await examined(part, look) for part, look in looks(settings, environ).items()]


async def examined(part: str, look: Look) -> Finding:
    """Look at one part, for five seconds at most."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return Finding(part=part, ok=True, text=await look())
    except TimeoutError:
        return Finding(part=part, ok=False, text=f"no answer within {WITHIN_S:.0f} s")
    except FaultError as fault:
        return Finding(part=part, ok=False, text=str(fault))
    except Exception as error:  # noqa: BLE001 - a look that breaks is a finding too
        return Finding(part=part, ok=False, text=f"could not be looked at: {type(error).__name__}: {error}")


def show(findings: list[Finding]) -> None:
    """Print a table of the findings."""
    from rich.table import Table  # noqa: PLC0415

    from cli.console import print_whole  # noqa: PLC0415

    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row("[green]✓[/]" if finding.ok else "[red]✗[/]", finding.part, finding.text)
    print_whole(table)


@click.command("doctor")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of a `greenroom dev`  [default: .greenroom]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON with every finding.")
def doctor_command(*, data_dir: Path | None, as_json: bool) -> None:
    """Look at every part of the system and say what is wrong, and what helps.

    Reads the settings of `greenroom dev` from its data folder where there is one, else the environment. The exit code
    is 1 if anything is wrong.
    """
    from runtime.system.remembered import remembered_environ  # noqa: PLC0415

    folder = data_dir or Path(os.environ.get("GREENROOM_DATA_DIR", ".greenroom"))
    findings = asyncio.run(examine(remembered_environ(folder, os.environ)))
    if as_json:
        click.echo(json.dumps({"ok": all(f.ok for f in findings), "findings": [asdict(f) for f in findings]}))
    else:
        show(findings)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)
