"""Which pictures are read, and how: JPEG, PNG, GIF, WebP to upright RGB. Refuses by code before it decodes a pixel.

This runs Pillow on bytes that strangers sent: only `image_decoding_child` calls `read_picture`, in a process apart.
"""

import io
import struct
import warnings
from dataclasses import dataclass

from PIL import Image

from domain.failures import FailureCode, Refused

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 25_000_000
MAX_JPEG_PIXELS = 50_000_000
"""A JPEG may be larger, since it is decoded at a fraction of its size."""
MAX_SIDE, MIN_SIDE = 16_384, 64
WORKING_SIDE = 2560
"""Longer side of the decoded picture at most: the largest portrait is 1280 pixels."""

JPEG_QUALITY = 95
"""Of the decoded picture, with colour at full resolution: 40 ms and 1 to 2 MB where PNG takes 300 ms and 9 MB."""

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED_SIDEWAYS = 5
"""From this value of the orientation tag on, width and height change places."""

DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
SIXTEEN_TO_EIGHT_BITS = 257
"""65535 / 255."""

Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A picture upright, in RGB, at most 2560 pixels on its longer side."""

    jpeg: bytes
    width: int
    height: int
    source_format: str
    """JPEG, PNG, GIF or WEBP: what the bytes are, whatever the sender called them."""
    source_width: int
    """Of the original, upright."""
    source_height: int


def check_bytes(data: bytes) -> str:
    """The picture's format by its first bytes; Refused where it is too large or no picture of a known type."""
    if len(data) > MAX_BYTES:
        raise Refused(
            FailureCode.IMAGE_TOO_LARGE, "The picture is too large", details={"bytes": len(data), "limit": MAX_BYTES}
        )
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise Refused(
        FailureCode.IMAGE_TYPE_UNSUPPORTED,
        "The data is not a JPEG, PNG, GIF or WebP picture",
        details={"allowed": ["jpeg", "png", "gif", "webp"]},
    )


def read_picture(data: bytes) -> DecodedImage:
    """Decode the first frame of a picture. Every failure is a Refused: whatever breaks here, the picture broke it."""
    source_format = check_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decode(data, source_format)
    except Refused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise too_many_pixels() from error
    except Exception as error:  # Pillow's decoders raise whatever the damage leads to.
        raise Refused(FailureCode.IMAGE_DAMAGED, "The picture is damaged or incomplete") from error


def decode(data: bytes, source_format: str) -> DecodedImage:
    """Decode a picture of a known format, its size checked before its pixels are touched."""
    if source_format == "WEBP":
        # libwebp allocates the whole canvas when the file is opened, before Pillow tells its size.
        check_size(*webp_size(data), MAX_PIXELS)
    with Image.open(io.BytesIO(data), formats=[source_format]) as image:
        width, height = image.size
        check_size(width, height, MAX_JPEG_PIXELS if source_format == "JPEG" else MAX_PIXELS)
        # From here on a warning about pixels means that the header lied: of a size that passed, none is given.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        working = fit(width, height)
        # A JPEG can be decoded at an eighth, a quarter or half of its size; never below what is asked for.
        image.draft(image.mode, working)
        image.load()
        orientation = read_orientation(image)
        rgb = flatten(image)
    if rgb.size[0] > working[0] or rgb.size[1] > working[1]:
        rgb = rgb.resize(working, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    sideways = orientation >= TURNED_SIDEWAYS
    out = io.BytesIO()
    rgb.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return DecodedImage(
        jpeg=out.getvalue(),
        width=rgb.width,
        height=rgb.height,
        source_format=source_format,
        source_width=height if sideways else width,
        source_height=width if sideways else height,
    )


def check_size(width: int, height: int, most_pixels: int) -> None:
    """Refuse a picture whose header announces too many pixels or too few."""
    if width * height > most_pixels or max(width, height) > MAX_SIDE:
        raise too_many_pixels(width=width, height=height, limit=most_pixels, side_limit=MAX_SIDE)
    if min(width, height) < MIN_SIDE:
        raise Refused(
            FailureCode.IMAGE_TOO_SMALL,
            "The picture is too small",
            details={"width": width, "height": height, "limit": MIN_SIDE},
        )


def too_many_pixels(**details: int) -> Refused:
    """The refusal of a picture that takes more memory or time than any portrait needs."""
    return Refused(FailureCode.IMAGE_TOO_MANY_PIXELS, "The picture has too many pixels", details=details or None)


def fit(width: int, height: int) -> tuple[int, int]:
    """The size at which the longer side is at most WORKING_SIDE."""
    scale = min(WORKING_SIDE / max(width, height), 1.0)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in a WebP file's header (RFC 9649, sections 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def read_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8. Broken EXIF is common in sound photographs, and means upright."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - as in read_picture
        return 1
    return orientation if orientation in UPRIGHT else 1


def flatten(image: Image.Image) -> Image.Image:
    """The picture in 8-bit RGB, what is transparent shown on white: hidden pixels may hold anything."""
    if image.mode in DEEP_MODES:
        image = image.point(lambda value: value * (1 / SIXTEEN_TO_EIGHT_BITS)).convert("L")
        # A transparent grey is named in 16 bits, and would be looked for in 8.
        image.info.pop("transparency", None)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")
