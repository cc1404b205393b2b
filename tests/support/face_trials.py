"""Pictures that the limits were not tuned on: heads cut out of groups, changed as people do, and put together.

`python -m support.face_trials` (with the repository and tests/ on the path) looks at all of them and prints how many
got the verdict that a person would give, and which did not. A few minutes; no test runs it.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import cv2
import numpy as np
from PIL import Image, ImageDraw

from adapters.face_alignment import PortraitMaker
from adapters.image_pixels import load_rgb
from adapters.image_reading import read_picture
from domain.failures import Refused
from domain.portraits import judge
from runtime.settings import Settings
from support import made_portraits as made
from support import pictures
from support.pictures import Rgb
from worker.face_detector import open_portrait_maker

OK, SEVERAL = "OK", "SEVERAL_FACES"

SIX = [(270, 149, 371, 267), (57, 262, 169, 395), (465, 266, 572, 414), (745, 343, 846, 479), (1132, 271, 1226, 399)]
"""Boxes of the heads of t1.jpg but the one in profile; the first is half turned away."""
MANY = [
    (466, 753, 549, 861), (693, 824, 765, 929), (844, 890, 923, 991), (1091, 881, 1169, 978), (1593, 842, 1670, 946),
    (1844, 861, 1920, 957), (2084, 842, 2165, 951), (2293, 839, 2371, 941), (2455, 746, 2532, 853),
    (2598, 842, 2679, 944), (140, 1031, 223, 1139), (411, 1077, 494, 1185), (718, 1035, 797, 1146),
    (1048, 1034, 1138, 1151), (1407, 1018, 1488, 1123), (1367, 897, 1442, 1004), (1666, 1026, 1749, 1137),
    (1953, 1044, 2030, 1159), (2274, 1054, 2359, 1165), (2577, 1068, 2660, 1186), (231, 1139, 318, 1249),
    (549, 1153, 635, 1262), (856, 1137, 941, 1247), (1191, 1157, 1282, 1285), (1588, 1124, 1679, 1246),
    (1858, 1129, 1955, 1254), (2110, 1137, 2196, 1253), (2454, 1155, 2538, 1264), (2690, 1196, 2777, 1300),
]  # fmt: skip
"""Boxes of all heads of the conference."""
EITHER = {"six 0": "EXTREME_POSE", "many 15": SEVERAL, "many 16": SEVERAL, "many 17": SEVERAL, "many 25": SEVERAL}
"""Half turned away, or half of a neighbour in the picture: this is right, too."""
TWICE = 2
FRAMED = 1.7
"""Heights of the face that a portrait shows: wider, and half a neighbour is in it."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A picture, what it is, and what a person would say of it."""

    kind: str
    name: str
    rgb: Rgb
    right: frozenset[str]


def heads() -> Iterator[tuple[str, Rgb]]:
    """Every head, at twice its size, and the astronaut and two paintings."""
    for name, source, boxes in (("six", pictures.six_faces, SIX), ("many", pictures.conference, MANY)):
        for number, box in enumerate(boxes):
            yield f"{name} {number}", pictures.pixels(made.head_of(source, box, FRAMED, TWICE))
    yield "astronaut", made.cropped(pictures.resized(pictures.pixels(pictures.astronaut()), 2), (0, 120, 800, 800))
    yield "gauss", pictures.pixels(pictures.gauss())[:, 100:]
    yield "newton", pictures.resized(pictures.pixels(pictures.newton()), 1.5)


def framed(rgb: Rgb, colour: tuple[int, int, int] = (120, 80, 40), share: float = 0.12) -> Rgb:
    """In a frame."""
    side = round(share * rgb.shape[0])
    return cv2.copyMakeBorder(rgb, side, side, side, side, cv2.BORDER_CONSTANT, value=colour)


def on_a_page(rgb: Rgb) -> Rgb:
    """On a screen, beside text."""
    height, width = rgb.shape[:2]
    page = Image.new("RGB", (round(width * 1.8), round(height * 1.3)), (245, 245, 247))
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, page.width, 30), fill=(60, 64, 72))
    for line in range(12):
        pen.text((width + 50, 60 + 30 * line), "Lorem ipsum dolor sit amet", fill=(20, 20, 20))
    page.paste(Image.fromarray(rgb), (20, 45))
    return np.asarray(page, np.uint8)


def lit(rgb: Rgb, low: float, high: float) -> Rgb:
    """Lit from the right."""
    return made.bytes_of(rgb * np.linspace(low, high, rgb.shape[1])[None, :, None])


def tinted(rgb: Rgb, factors: tuple[float, float, float]) -> Rgb:
    """In coloured light."""
    return made.bytes_of(rgb * np.array(factors))


def captioned(rgb: Rgb) -> Rgb:
    """With large letters on it."""
    letters = rgb.copy()
    cv2.putText(letters, "SAMPLE", (20, rgb.shape[0] - 30), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 6)
    return letters


def dark_and_noisy(rgb: Rgb) -> Rgb:
    """By night."""
    return made.grainy(made.toned(rgb, 0.3), 8)


CHANGES: dict[str, Callable[[Rgb], Rgb]] = {
    "as it is": lambda rgb: rgb,
    "JPEG 40": partial(made.as_jpeg, quality=40),
    "JPEG 15": partial(made.as_jpeg, quality=15),
    "dark": partial(made.toned, factor=0.2),
    "dark and noisy": dark_and_noisy,
    "bright": partial(made.toned, factor=1.4, shift=30),
    "low contrast": partial(made.toned, factor=0.4, shift=80),
    "black and white": made.grey,
    "sepia": made.sepia,
    "grain": partial(made.grainy, sigma=25),
    "framed": framed,
    "before green": partial(framed, colour=(0, 255, 0), share=0.2),
    "on a page": on_a_page,
    "on a telephone": made.on_a_telephone,
    "lit from one side": partial(lit, low=0.15, high=1.3),
    "red light": partial(tinted, factors=(1.2, 0.5, 0.4)),
    "blue light": partial(tinted, factors=(0.4, 0.6, 1.3)),
    "captioned": captioned,
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "tilted 12 degrees": partial(pictures.turned, degrees=12),
    "32 colours": partial(made.few_colours, colours=32),
    "sharpened": lambda rgb: made.bytes_of(rgb * 2.5 - pictures.blurred(rgb, 2) * 1.5),
    "half the pixels": lambda rgb: pictures.resized(pictures.resized(rgb, 0.5), 2),
    "slanted": made.slanted,
}


def portraits(found: list[tuple[str, Rgb]]) -> Iterator[Trial]:
    """Each head under each change."""
    for change, make in CHANGES.items():
        for name, rgb in found:
            right = frozenset({OK, EITHER.get(name, OK)})
            yield Trial(kind=f"portrait, {change}", name=name, rgb=make(rgb), right=right)


def groups(found: list[tuple[str, Rgb]]) -> Iterator[Trial]:
    """Heads beside one another, and the whole groups at many sizes and under each change."""
    chance = np.random.default_rng(5)
    for count in (2, 3, 4, 6):
        for _ in range(12):
            chosen = [found[int(index)] for index in chance.choice(len(found), count, replace=False)]
            name = " | ".join(name for name, _ in chosen)
            yield several(f"{count} in a row", name, np.hstack([at_height(rgb, 420) for _, rgb in chosen]))
    for name, source in (("six", pictures.six_faces), ("many", pictures.conference)):
        whole = pictures.pixels(source())
        for width in (1280, 900, 700, 500, 400, 300, 200):
            yield several("a group, small", f"{name} at {width}", pictures.resized(whole, width / whole.shape[1]))
        usual = pictures.resized(whole, 1280 / whole.shape[1])
        for change, make in CHANGES.items():
            yield several("a group, changed", f"{name}, {change}", make(usual))


def several(kind: str, name: str, rgb: Rgb) -> Trial:
    """A trial of a group."""
    return Trial(kind=kind, name=name, rgb=rgb, right=frozenset({SEVERAL}))


def at_height(rgb: Rgb, height: int) -> Rgb:
    """The picture at a height."""
    return pictures.resized(rgb, height / rgb.shape[0])[:height]


def verdict(maker: PortraitMaker, rgb: Rgb) -> str:
    """OK, or the code and what was measured."""
    decoded = read_picture(pictures.file_of(np.ascontiguousarray(rgb)))
    seen = load_rgb(decoded.jpeg)
    try:
        judge(maker.observe(seen, max(seen.shape[:2]) / max(rgb.shape[:2])), maker.thresholds)
    except Refused as refused:
        details = refused.details or {}
        return f"{refused.code.value} {details.get('failed', '')} {details.get('measured', '')}"
    return OK


def main() -> None:
    """Look at everything; print each wrong verdict, and the counts."""
    maker = open_portrait_maker(Settings(), os.environ)
    found = list(heads())
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for trial in chain(portraits(found), groups(found)):
        said = verdict(maker, trial.rgb)
        kind = trial.kind.partition(",")[0]
        total[kind] += 1
        right[kind] += said.split()[0] in trial.right
        if said.split()[0] not in trial.right:
            sys.stdout.write(f"{trial.kind}: {trial.name}: {said}\n")
    for kind, count in total.items():
        sys.stdout.write(f"{kind}: {right[kind]} of {count} right\n")


if __name__ == "__main__":
    main()
