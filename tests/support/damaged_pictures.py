"""Small sound pictures of every type to damage, and what may come of a damaged one."""

import io

import numpy as np
from PIL import Image

from adapters.image_reading import WORKING_SIDE, read_picture
from domain.failures import FailureCode, Refused

VERDICTS = {
    FailureCode.IMAGE_TYPE_UNSUPPORTED,
    FailureCode.IMAGE_DAMAGED,
    FailureCode.IMAGE_TOO_SMALL,
    FailureCode.IMAGE_TOO_MANY_PIXELS,
}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def small() -> Image.Image:
    """A picture of 72 x 66 pixels with something to see in it."""
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 256, (11, 12, 3), np.uint8))
    return coarse.resize((72, 66), Image.Resampling.BICUBIC)


def seeds() -> dict[str, bytes]:
    """Small sound pictures: each type, and of each the ways to store it that have decoders of their own."""
    image, see_through = small(), small()
    see_through.putalpha(small().convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    return {
        "JPEG": encoded(image, "JPEG", quality=60, exif=exif),
        "JPEG progressive": encoded(image, "JPEG", quality=60, progressive=True),
        "JPEG cmyk": encoded(image.convert("CMYK"), "JPEG", quality=60),
        "PNG": encoded(see_through, "PNG"),
        "PNG palette": encoded(image.quantize(16), "PNG", transparency=3),
        "PNG deep": encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG"),
        "GIF": encoded(image, "GIF", **frames),
        "WEBP": encoded(image, "WEBP", quality=60),
        "WEBP lossless": encoded(see_through, "WEBP", lossless=True),
        "WEBP animated": encoded(image, "WEBP", **frames),
    }


SEEDS = seeds()


def judged(data: bytes) -> str:
    """Read, and check what comes of it: what was read is a whole JPEG of the size that it says."""
    try:
        found = read_picture(data)
    except Refused as refusal:
        assert refusal.code in VERDICTS  # noqa: PT017 - anything else falls through
        return refusal.code
    assert 1 <= found.width <= WORKING_SIDE
    assert 1 <= found.height <= WORKING_SIDE
    assert min(found.source_width, found.source_height) >= 64
    with Image.open(io.BytesIO(found.jpeg), formats=["JPEG"]) as image:
        image.load()
        assert (image.mode, image.size) == ("RGB", (found.width, found.height))
    return "read"
