"""The contact sheet of docs/faces.md: four sources and their portraits in all profiles.

`python -m support.face_sheet`, with the repository and tests/ on the path, draws it anew; it needs the detector.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from adapters.face_alignment import PortraitMaker
from adapters.face_detection import FaceDetector
from domain.portraits import FRAMINGS
from support import pictures
from support.known_faces import DOCS
from support.made_portraits import cropped

SHEET = DOCS.parent / "images" / "faces-contact.jpg"
HEIGHT, GAP = 240, 8
QUALITY = 85


def sources() -> list[pictures.Rgb]:
    """The NASA portrait, two old paintings, and the portrait off its centre and tilted."""
    astronaut = pictures.resized(pictures.pixels(pictures.astronaut()), 2)
    tilted = cropped(pictures.turned(astronaut, 18), (0, 400, 620, 900))
    return [astronaut, pictures.pixels(pictures.newton()), pictures.pixels(pictures.gauss()), tilted]


def row(maker: PortraitMaker, source: pictures.Rgb) -> list[Image.Image]:
    """A source and its portraits, all of one height."""
    made = maker.make(source, wanted=FRAMINGS).pictures
    whole = [Image.fromarray(source), *(pictures.picture(made[profile].jpeg) for profile in FRAMINGS)]
    return [one.resize((round(one.width * HEIGHT / one.height), HEIGHT), Image.Resampling.LANCZOS) for one in whole]


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Rows below each other, columns as wide as their widest picture."""
    widths = [max(one.width for one in column) for column in zip(*rows, strict=True)]
    lefts = np.cumsum([GAP, *(width + GAP for width in widths)])
    whole = Image.new("RGB", (int(lefts[-1]), len(rows) * (HEIGHT + GAP) + GAP), "white")
    for number, pictures_of_row in enumerate(rows):
        for one, left in zip(pictures_of_row, lefts, strict=False):
            whole.paste(one, (int(left), GAP + number * (HEIGHT + GAP)))
    return whole


def main() -> None:
    """Draw and write the sheet."""
    detector = FaceDetector(pictures.path_in_cache(pictures.cache_folder()), device="cpu")
    maker = PortraitMaker(detector)
    sheet([row(maker, source) for source in sources()]).save(SHEET, "JPEG", quality=QUALITY)


if __name__ == "__main__":
    main()
