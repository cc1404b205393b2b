"""`greenroom render`: a clip of a portrait that speaks, made offline; it needs no server and stores nothing else."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from domain.avatars import AspectRatio

if TYPE_CHECKING:
    from cli.rendering import Rendered

REFUSED, TROUBLED = 1, 2
"""Exit codes: the portrait was refused; a file could not be read or written."""


@click.command("render", short_help="Make a clip of a portrait that speaks.")
@click.option(
    "--portrait",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A picture of a face.",
)
@click.option(
    "--speech",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What it says: a WAV of any rate and channels, or another sound file.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The clip, an MP4 file."
)
@click.option(
    "--ratio",
    type=click.Choice([ratio.value for ratio in AspectRatio]),
    help="The clip's shape; without it, the portrait's.",
)
@click.option("--seed", default=1, show_default=True, help="Decides about sway and blinks.")
@click.option("--fps", default=25, show_default=True, type=click.IntRange(5, 60), help="Pictures a second.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one line of JSON.")
def render_command(
    *, portrait: Path, speech: Path, output: Path, ratio: str | None, seed: int, fps: int, as_json: bool
) -> None:
    """Let PORTRAIT speak what a sound file says, as the built-in renderer does it in a session, and write a clip.

    The portrait goes through the face pipeline first, as an upload does. The clip ends half a second after the sound.
    The exit code is 1 if the portrait was refused, and 2 if a file could not be read or written.
    """
    from cli.face_checker import refusal  # noqa: PLC0415 - what follows takes seconds to import
    from domain.failures import Refused  # noqa: PLC0415

    try:
        from cli.clip import ClipError, read_speech  # noqa: PLC0415
        from cli.rendering import cut_portrait, render  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        trouble("clips are encoded by the package av, which is not installed here: pip install av")
    if output.exists() and (output.samefile(portrait) or output.samefile(speech)):
        trouble(f"{output}: the clip would replace what it is made from")
    try:
        sound = read_speech(speech)
        made = render(asyncio.run(cut_portrait(portrait, ratio)), sound, output, seed=seed, fps=fps)
    except Refused as refused:
        click.echo(f"greenroom: {click.format_filename(portrait)}: {refusal(portrait, refused).sentences}", err=True)
        sys.exit(REFUSED)
    except (ClipError, OSError) as error:
        trouble(str(error))
    tell(made, as_json=as_json)


def trouble(sentence: str) -> NoReturn:
    """Say what is wrong on standard error and end."""
    click.echo(f"greenroom: {click.format_filename(sentence)}", err=True)
    sys.exit(TROUBLED)


def tell(made: "Rendered", *, as_json: bool) -> None:
    """Print what was made."""
    if as_json:
        click.echo(json.dumps(asdict(made)))
        return
    click.echo(
        f"{click.format_filename(made.clip)}: {made.seconds:.1f} s, {made.width}x{made.height} at {made.fps} a second, "
        f"{made.frame_ms:.1f} ms a frame; quality {made.quality:.2f}"
    )
