"""`greenroom faces`: what the face pipeline says of pictures on this machine; it stores nothing and asks no server."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cli.face_checker import Checked, FaceChecker

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp"})
"""What counts as a picture in a folder. A file that is named outright may be called anything."""

AT_ONCE = 3
"""Pictures under way at once: while one is looked at, the next are decoded."""

MANY = 10
"""From so many pictures on, progress is told."""

REFUSED, TROUBLED = 1, 2
"""Exit codes: a picture was refused; a picture could not be looked at."""


@click.group("faces")
def faces_group() -> None:
    """Look at pictures as the faces worker does."""


@faces_group.command("check", short_help="Can these pictures become avatars?")
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a picture: path, verdict, details.")
@click.option(
    "--save-aligned",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the portraits of every accepted picture to DIR, as NAME-4x3.jpg, -3x4, -1x1 and -preview.",
)
@click.option(
    "--save-marked",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a copy of every picture with boxes, keypoints and verdict drawn into it to DIR, as NAME-marked.jpg.",
)
def check_command(
    *, pictures: tuple[Path, ...], as_json: bool, save_aligned: Path | None, save_marked: Path | None
) -> None:
    """Say of each PICTURE whether it can become an avatar, and if not, why not and what helps.

    A PICTURE is a file, or a folder: then every jpg, jpeg, png, gif and webp below it is looked at. Detector, device,
    limits and classifier are those of GREENROOM_FACE_MODEL, _FACE_DEVICE, _FACE_THRESHOLDS and _PHOTO_CLASSIFIER.
    No other part of Greenroom needs to run.

    The exit code is 0 if every picture was accepted, 1 if one was refused, and 2 if one could not be looked at.
    """
    found, troubles = collect(pictures)
    for trouble in troubles:
        tell_trouble(trouble)
    if not found:
        sys.exit(TROUBLED)
    try:
        checked = asyncio.run(check_all(found, as_json=as_json, aligned_to=save_aligned, marked_to=save_marked))
    except OSError as error:
        tell_trouble(f"{error.filename}: {error.strerror}")
        sys.exit(TROUBLED)
    if troubles or None in checked:
        sys.exit(TROUBLED)
    sys.exit(0 if all(one.is_ok for one in checked if one) else REFUSED)


def collect(named: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The pictures to look at, folders in order of their paths; and a sentence for each name that leads to none."""
    found: list[Path] = []
    troubles: list[str] = []
    for path in named:
        if path.is_dir():
            below = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
            found += below
            if not below:
                troubles.append(f"{path}: the folder holds no jpg, jpeg, png, gif or webp")
        elif path.is_file():
            found.append(path)
        else:
            troubles.append(f"{path}: not a file" if path.exists() else f"{path}: no such file or folder")
    return found, troubles


async def check_all(
    paths: Sequence[Path], *, as_json: bool, aligned_to: Path | None, marked_to: Path | None
) -> "list[Checked | None]":
    """Look at every picture and print its verdict as it comes; None stands for one that could not be looked at."""
    from adapters.image_decoding import ImageDecoder  # noqa: PLC0415 - what follows takes seconds to import
    from cli.face_checker import FaceChecker  # noqa: PLC0415
    from cli.face_pictures import PictureSaver  # noqa: PLC0415
    from cli.processes import explained  # noqa: PLC0415
    from runtime.settings import load_settings  # noqa: PLC0415
    from worker.face_detector import open_portrait_maker  # noqa: PLC0415

    saver = PictureSaver(paths, aligned_to=aligned_to, marked_to=marked_to)
    with explained():
        maker = open_portrait_maker(load_settings(os.environ), os.environ)
    decoder = ImageDecoder()
    checker = FaceChecker(maker=maker, decoder=decoder, saver=saver)
    outcomes: list[Checked | None] = []
    try:
        async with aclosing(in_order(checker, paths)) as stream:
            async for one in stream:
                wipe_progress(len(paths))
                show(one, as_json=as_json)
                outcomes.append(None if isinstance(one, str) else one)
                tell_progress(len(outcomes), len(paths))
    finally:
        await decoder.aclose()
    return outcomes


async def in_order(checker: "FaceChecker", paths: Iterable[Path]) -> "AsyncGenerator[Checked | str, None]":
    """The verdicts in the order of the pictures, AT_ONCE under way; a sentence where there can be none."""
    waiting: list[asyncio.Task[Checked | str]] = []
    try:
        for path in paths:
            waiting.append(asyncio.create_task(checker.check(path)))
            if len(waiting) == AT_ONCE:
                yield await waiting.pop(0)
        while waiting:
            yield await waiting.pop(0)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def show(one: "Checked | str", *, as_json: bool) -> None:
    """Print one picture's verdict on standard output, or on standard error why there is none."""
    if isinstance(one, str):
        tell_trouble(one)
    elif as_json:
        click.echo(json.dumps({"path": os.fspath(one.path), "verdict": one.verdict, "details": one.details}))
    else:
        click.echo(f"{click.format_filename(one.path)}: ", nl=False)
        click.secho(one.verdict, fg="green" if one.is_ok else "red", nl=False)
        click.echo("".join(f"\n  {line}" for line in one.lines))


def tell_trouble(sentence: str) -> None:
    """Print a sentence on standard error, whatever bytes a file's name is made of."""
    click.echo(f"greenroom: {click.format_filename(sentence)}", err=True)


def tell_progress(done: int, total: int) -> None:
    """On standard error, how many of many pictures are done: in place on a terminal, else now and then."""
    if total < MANY:
        return
    if sys.stderr.isatty():
        click.echo(f"{done} of {total}" if done < total else "", err=True, nl=False)
    elif done % MANY == 0 or done == total:
        click.echo(f"{done} of {total} pictures", err=True)


def wipe_progress(total: int) -> None:
    """Clear the line in which progress was told: the next verdict may go to the same terminal."""
    if total >= MANY and sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
