"""Every picture whose verdict is known, real and made: the list that a test runs and that docs/faces.md shows.

`python -m support.known_faces` (with the repository and tests/ on the path) writes the list into the docs.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from domain.failures import FailureCode
from support import drawn_faces as drawn
from support import made_portraits as made
from support import pictures

OK = "OK"

DOCS = Path(__file__).parents[2] / "docs" / "faces.md"
BEGIN, END = "<!-- known faces: made by support/known_faces.py -->\n", "<!-- end of known faces -->\n"

FRAMED = 2.0


@dataclass(frozen=True, kw_only=True)
class KnownFace:
    """A picture and what is said of it."""

    name: str
    """What it shows, for people."""
    make: Callable[[], bytes]
    """The file."""
    verdict: str
    """OK or a code."""


def known(verdict: str, name: str, make: Callable[[], bytes]) -> KnownFace:
    """One row."""
    return KnownFace(name=name, make=make, verdict=verdict)


def changed(change: Callable[[pictures.Rgb], pictures.Rgb], source: Callable[[], bytes] | None = None) -> bytes:
    """A picture, the doubled astronaut unless told otherwise, as a change leaves it."""
    return pictures.file_of(change(pictures.pixels(source()) if source else astronaut()))


@cache
def astronaut() -> pictures.Rgb:
    """1024 x 1024: her face unit is 86 pixels."""
    return pictures.resized(pictures.pixels(pictures.astronaut()), 2)


def from_packages() -> list[KnownFace]:
    """Pictures as packages ship them, and single people cut from their groups."""
    six, many = pictures.six_faces, pictures.conference
    return [
        known(OK, "astronaut.png (scikit-image)", pictures.astronaut),
        known(OK, "newton.png, a painting (scrfd)", pictures.newton),
        known(OK, "gauss.png, a painting (scrfd)", pictures.gauss),
        known("FACE_TOO_SMALL", "camera.png, a cameraman (scikit-image)", pictures.small_face),
        known("FACE_TOO_SMALL", "Tom_Hanks_54745.png, 112x112 (insightface)", pictures.tiny_portrait),
        known("NO_FACE", "chelsea.png, a cat (scikit-image)", pictures.cat),
        known("NO_FACE", "coffee.png, a cup (scikit-image)", pictures.no_face),
        known("NO_FACE", "mask_blue.jpg, a mask without a face (insightface)", pictures.mask),
        known("NO_FACE", "motorcycle_right.png (scikit-image)", pictures.motorcycle),
        known("SEVERAL_FACES", "t1.jpg, six people (insightface)", six),
        known("SEVERAL_FACES", "solvay_conference_1927.jpg, 29 people (scrfd)", many),
        known("SEVERAL_FACES", "the 29, on a telephone's screen", partial(changed, made.on_a_telephone, many)),
        known(OK, "one of the six, laughing", partial(made.head_of, six, (467, 266, 575, 414))),
        known(OK, "one of the six, head tilted 28 degrees", partial(made.head_of, six, (57, 265, 170, 396))),
        known(OK, "one of the six, eyes closed", partial(made.head_of, six, (1130, 272, 1224, 398))),
        known("EXTREME_POSE", "one of the six, in profile", partial(made.head_of, six, (899, 62, 1012, 207))),
        known(OK, "one of the 29, beard and glasses", partial(made.head_of, many, (1188, 1145, 1284, 1269), 1.9)),
        known(OK, "one of the 29, doubled", partial(made.head_of, many, (2278, 1050, 2368, 1167), 1.9, 2)),
        known("SEVERAL_FACES", "one of the 29, and a neighbour", partial(made.head_of, many, (1586, 1128, 1684, 1251))),
    ]


def light_and_ground() -> list[KnownFace]:
    """The astronaut in another light, before another ground, in another file."""
    rows: dict[str, Callable[[pictures.Rgb], pictures.Rgb]] = {
        "cut out, on white": partial(made.cut_out, ground=(255, 255, 255)),
        "cut out, on black": partial(made.cut_out, ground=(0, 0, 0)),
        "cut out, on blue": partial(made.cut_out, ground=(70, 110, 190)),
        "black and white": made.grey,
        "sepia": made.sepia,
        "high-key": partial(made.toned, factor=0.6, shift=130),
        "burnt out": partial(made.toned, factor=1.8, shift=30),
        "low-key": partial(made.toned, factor=0.3),
        "hard contrast": partial(made.toned, factor=2.0, shift=-128),
        "strong grain": partial(made.grainy, sigma=35),
        "sharpened too much": made.oversharpened,
        "skin smoothed": made.smoothed,
        "JPEG of quality 10": partial(made.as_jpeg, quality=10),
        "64 colours": partial(made.few_colours, colours=64),
        "a little soft": partial(pictures.blurred, sigma=1.5),
        "from 250x250 pixels": partial(made.at_width, width=250, box=(40, 190, 540, 690)),
    }
    return [
        *(known(OK, f"astronaut, {name}", partial(changed, change)) for name, change in rows.items()),
        known(OK, "astronaut, transparent PNG", made.transparent),
        known(OK, "astronaut, 49 megapixels", made.large),
        known("TOO_BLURRY", "astronaut, out of focus", partial(changed, partial(pictures.blurred, sigma=4))),
        known("FACE_TOO_SMALL", "astronaut, 256x256", lambda: pictures.file_of(pictures.resized(astronaut(), 0.25))),
    ]


def pose_and_place() -> list[KnownFace]:
    """The astronaut turned, framed otherwise, and dressed up."""
    rows: list[tuple[str, str, Callable[[pictures.Rgb], pictures.Rgb]]] = [
        *((OK, f"tilted {degrees} degrees", partial(pictures.turned, degrees=degrees)) for degrees in (-30, -15, 30)),
        ("EXTREME_POSE", "tilted 45 degrees", partial(pictures.turned, degrees=45)),
        ("EXTREME_POSE", "lying on her side", partial(pictures.turned, degrees=90)),
        (OK, "seen at a slant", made.slanted),
        (OK, "a selfie, 9:16", partial(made.cropped, box=(0, 262, 640, 622))),
        (OK, "her face fills the frame", partial(made.cropped, box=(60, 330, 460, 555))),
        (OK, "close to the left edge", partial(made.cropped, box=(0, 345, 1024, 1024))),
        (OK, "hair cut off", partial(made.cropped, box=(90, 0, 1024, 1024))),
        ("FACE_CUT_OFF", "half the face", partial(made.cropped, box=(0, 420, 1024, 1024))),
        ("FACE_CUT_OFF", "no forehead", partial(made.cropped, box=(200, 0, 1024, 1024))),
        ("FACE_TOO_SMALL", "small in a tall picture", partial(pictures.on_canvas, width=1024, height=4500)),
        ("FACE_TOO_SMALL", "far away in a large picture", partial(pictures.on_canvas, width=5000, height=5000)),
        ("NO_FACE", "upside down", partial(pictures.turned, degrees=180)),
        (OK, "with glasses", made.with_glasses),
        (OK, "with sunglasses", partial(made.with_glasses, dark=True)),
        (OK, "with a hat", made.with_hat),
    ]
    return [known(verdict, f"astronaut, {name}", partial(changed, change)) for verdict, name, change in rows]


def groups() -> list[KnownFace]:
    """The astronaut and somebody else."""
    beside = made.beside
    return [
        known("SEVERAL_FACES", "astronaut, twice", pictures.two_faces),
        known("SEVERAL_FACES", "astronaut and her mirror image", made.mirrored_twin),
        known("SEVERAL_FACES", "astronaut, Gauss as large beside her", partial(beside, pictures.gauss, 1.0)),
        known("SEVERAL_FACES", "astronaut, Gauss at 0.7 of her size", partial(beside, pictures.gauss, 0.7)),
        known(OK, "astronaut, Gauss at 0.4 of her size", partial(beside, pictures.gauss, 0.4)),
        known(OK, "astronaut, Newton's picture at 0.3 on the wall", partial(beside, pictures.newton, 0.3)),
        known("SEVERAL_FACES", "astronaut, Gauss out of focus behind", partial(beside, pictures.gauss, 0.7, 3)),
    ]


def drawings() -> list[KnownFace]:
    """What is drawn, printed or made to look so; the last ones pass, and the docs say why."""
    gauss, newton = pictures.gauss, pictures.newton
    rows: list[tuple[str, str, Callable[[], bytes]]] = [
        (FailureCode.ILLUSTRATION, "a flat cartoon of few colours (made of the astronaut)", pictures.cartoon),
        (FailureCode.ILLUSTRATION, "a cartoon with outlines", drawn.cartoon_face),
        (FailureCode.ILLUSTRATION, "a cartoon with outlines, as JPEG", partial(drawn.cartoon_face, quality=50)),
        (FailureCode.ILLUSTRATION, "a line drawing", partial(drawn.cartoon_face, filled=False)),
        (FailureCode.ILLUSTRATION, "astronaut, her edges only", partial(changed, drawn.edges)),
        (FailureCode.ILLUSTRATION, "astronaut, ink on paper", partial(changed, drawn.ink)),
        (FailureCode.ILLUSTRATION, "astronaut, flat colours with outlines", partial(changed, drawn.outlined)),
        (FailureCode.ILLUSTRATION, "astronaut, dots of black and white", partial(changed, drawn.dotted)),
        (FailureCode.ILLUSTRATION, "Gauss in eight flat colours", partial(changed, drawn.flattened, gauss)),
        (FailureCode.NO_FACE, "Newton in eight flat colours", partial(changed, drawn.flattened, newton)),
        (OK, "astronaut, eight levels a colour: passes", partial(changed, drawn.posterised)),
        (OK, "astronaut as a shaded pencil sketch: passes", partial(changed, drawn.pencil)),
    ]
    return [known(verdict, name, make) for verdict, name, make in rows]


def all_known() -> list[KnownFace]:
    """The whole list, in the order of the docs."""
    return [*from_packages(), *light_and_ground(), *pose_and_place(), *groups(), *drawings()]


def table() -> str:
    """The list as the docs show it."""
    rows = (f"| {one.name} | {'accepted' if one.verdict == OK else f'`{one.verdict}`'} |\n" for one in all_known())
    return "| picture | verdict |\n|---|---|\n" + "".join(rows)


def renew() -> None:
    """Write the table into the docs, between its two marks."""
    before, _, rest = DOCS.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCS.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    renew()
    sys.stdout.write(f"{len(all_known())} pictures\n")
