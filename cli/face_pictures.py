"""What `greenroom faces check` writes: portraits and marked copies. It never overwrites a picture that it was given."""

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from adapters.face_alignment import align_all
from adapters.image_pixels import Rgb
from domain.face_measures import FaceObservation, FoundFace, Keypoints
from domain.portraits import FRAMINGS

MARKED = "marked"

JUDGED, OTHERS, POINTS = "#00e060", "#ff9020", "#ff2060"
"""Colours: the box of the face that is judged, the other boxes, the five points."""

LINE, TEXT = 1 / 400, 1 / 40
"""Width of a line and height of the text, over the picture's longer side."""
DOT = 1 / 40
"""Radius of a point, over the longer side of the face's box."""

LEAST_TEXT = 11
JPEG_QUALITY = 90


class PictureSaver:
    """Writes pictures into the folders that were asked for, and nothing where none was."""

    def __init__(self, sources: Iterable[Path], *, aligned_to: Path | None, marked_to: Path | None) -> None:
        """Make the folders, and settle every name. Raises OSError where a folder cannot be made."""
        self._aligned_to, self._marked_to = aligned_to, marked_to
        for folder in (aligned_to, marked_to):
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
        self._names = self._settle_names(list(sources))

    def save_aligned(self, path: Path, rgb: Rgb, keypoints: Keypoints) -> None:
        """Cut and write the portraits of all profiles. Raises OSError."""
        if self._aligned_to:
            for profile, portrait in align_all(rgb, keypoints, FRAMINGS).items():
                file_in(self._aligned_to, self._names[path], profile).write_bytes(portrait.jpeg)

    def save_marked(self, path: Path, rgb: Rgb, seen: FaceObservation | None, *, caption: str) -> None:
        """Write a copy with what was seen, if anything was, drawn into it. Raises OSError."""
        if self._marked_to:
            picture = draw(rgb, seen, caption)
            picture.save(
                file_in(self._marked_to, self._names[path], MARKED), "JPEG", quality=JPEG_QUALITY, subsampling=0
            )

    def _settle_names(self, sources: list[Path]) -> dict[Path, str]:
        """A name for each source: its own, with a number where another one has it or a source would be hit."""
        files = {identity(path) for path in sources}
        names: dict[Path, str] = {}
        taken: set[str] = set()
        for path in dict.fromkeys(sources):
            for number in count(1):
                name = path.stem if number == 1 else f"{path.stem}-{number}"
                hits = any(target.exists() and identity(target) in files for target in self._targets(name))
                # Some file systems do not tell upper from lower case.
                if name.casefold() not in taken and not hits:
                    break
            names[path] = name
            taken.add(name.casefold())
        return names

    def _targets(self, name: str) -> Iterator[Path]:
        if self._aligned_to:
            yield from (file_in(self._aligned_to, name, profile) for profile in FRAMINGS)
        if self._marked_to:
            yield file_in(self._marked_to, name, MARKED)


def file_in(folder: Path, name: str, kind: str) -> Path:
    """Where a picture of this name and kind goes."""
    return folder / f"{name}-{kind.replace(':', 'x')}.jpg"


def identity(path: Path) -> tuple[int, int]:
    """What tells a file from every other, whatever its names."""
    status = path.stat()
    return status.st_dev, status.st_ino


def draw(rgb: Rgb, seen: FaceObservation | None, caption: str) -> Image.Image:
    """The picture with boxes, the judged face's points, and a caption in a strip above it."""
    picture = Image.fromarray(rgb)
    side = max(picture.size)
    pen = ImageDraw.Draw(picture)
    if seen:
        for face in reversed(seen.faces):
            draw_box(pen, face, JUDGED if face is seen.faces[0] else OTHERS, max(round(LINE * side), 2))
        radius = max(DOT * seen.faces[0].longer_side, 1.5)
        for x, y in seen.keypoints:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=POINTS)
    return captioned(picture, caption)


def captioned(picture: Image.Image, caption: str) -> Image.Image:
    """The picture below a strip with the caption; wider than it was where the caption is."""
    height = max(round(TEXT * max(picture.size)), LEAST_TEXT)
    font = ImageFont.load_default(height)
    strip, width = 2 * height, round(font.getlength(caption)) + height
    whole = Image.new("RGB", (max(picture.width, width), picture.height + strip), "black")
    whole.paste(picture, (0, strip))
    ImageDraw.Draw(whole).text((height / 2, strip / 2), caption, font=font, fill="white", anchor="lm")
    return whole


def draw_box(pen: ImageDraw.ImageDraw, face: FoundFace, colour: str, width: int) -> None:
    """A face's box, which may reach beyond the border."""
    pen.rectangle((face.left, face.top, face.right, face.bottom), outline=colour, width=width)
