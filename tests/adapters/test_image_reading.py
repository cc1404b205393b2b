"""Which pictures are read: every kind that phones and tools write, and every kind that is refused at its header."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from adapters.image_reading import MAX_BYTES, WORKING_SIDE, DecodedImage, read_picture
from domain.failures import FailureCode, Refused
from support.pictures import astronaut, encoded, picture, pixels, resized

WHITE = (255, 255, 255)


def quarters(width: int = 200, height: int = 120) -> Image.Image:
    """A picture whose upper left quarter is red, upper right green, lower left blue, lower right grey."""
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[: height // 2, : width // 2] = (220, 20, 20)
    rgb[: height // 2, width // 2 :] = (20, 220, 20)
    rgb[height // 2 :, : width // 2] = (20, 20, 220)
    return Image.fromarray(rgb)


def colours(decoded: DecodedImage) -> list[tuple[int, ...]]:
    """The middles of the four quarters, rounded to tens, row by row."""
    rgb = pixels(decoded.jpeg)
    height, width = rgb.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [tuple(int(round(float(value), -1)) for value in rgb[place]) for place in places]


RED, GREEN, BLUE, GREY = (220, 20, 20), (20, 220, 20), (20, 20, 220), (130, 130, 130)


def refusal(data: bytes) -> Refused:
    """How the data is refused."""
    with pytest.raises(Refused) as caught:
        read_picture(data)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {"quality": 95}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_each_format_is_read(kind: str, options: dict[str, object]) -> None:
    """The colours come through, the size stays, and the format is named by its bytes."""
    decoded = read_picture(encoded(quarters(), kind, **options))
    assert (decoded.source_format, decoded.width, decoded.height) == (kind, 200, 120)
    assert (decoded.source_width, decoded.source_height) == (200, 120)
    assert np.abs(np.array(colours(decoded)) - np.array([RED, GREEN, BLUE, GREY])).max() <= 20


UPRIGHT_AFTER = {
    1: [RED, GREEN, BLUE, GREY],
    2: [GREEN, RED, GREY, BLUE],
    3: [GREY, BLUE, GREEN, RED],
    4: [BLUE, GREY, RED, GREEN],
    5: [RED, BLUE, GREEN, GREY],
    6: [BLUE, RED, GREY, GREEN],
    7: [GREY, GREEN, BLUE, RED],
    8: [GREEN, GREY, RED, BLUE],
}


@pytest.mark.parametrize("orientation", UPRIGHT_AFTER)
def test_a_picture_is_turned_as_its_exif_says(orientation: int) -> None:
    """All eight orientations come out upright, and the original's size is told upright too."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = read_picture(encoded(quarters(), "PNG", exif=exif))
    size = (200, 120) if orientation < 5 else (120, 200)
    assert (decoded.width, decoded.height) == (decoded.source_width, decoded.source_height) == size
    assert np.abs(np.array(colours(decoded)) - np.array(UPRIGHT_AFTER[orientation])).max() <= 10


def test_broken_exif_does_not_spoil_a_sound_picture() -> None:
    """Metadata that cannot be read means upright."""
    data = encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff\xff\xff\xff")
    assert read_picture(data).width == 200


def test_cmyk_comes_out_as_it_looks() -> None:
    """A printer's JPEG is not shown as a negative."""
    source = pixels(astronaut())
    decoded = pixels(read_picture(encoded(picture(astronaut()).convert("CMYK"), "JPEG", quality=95)).jpeg)
    assert np.abs(decoded.astype(int) - source).mean() < 4


def test_sixteen_bits_keep_their_greys() -> None:
    """A deep greyscale picture is scaled to 8 bits, neither clipped to white nor wrapped."""
    grey = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (100, 1))
    decoded = pixels(read_picture(encoded(Image.fromarray(grey), "PNG")).jpeg)
    assert np.abs(decoded[..., 0].astype(int) - grey // 257).max() <= 3


def test_a_transparent_deep_grey_does_not_whiten_another() -> None:
    """A transparent colour named in 16 bits is not mistaken for one in 8: 32000 ends in nought, and black stays."""
    grey = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (100, 1))
    decoded = pixels(read_picture(encoded(Image.fromarray(grey), "PNG", transparency=32_000)).jpeg)
    assert decoded[50, 0].max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "WEBP"])
def test_what_is_transparent_is_white(mode: str) -> None:
    """Hidden pixels, whatever they hold, show as white; the others stay."""
    image = quarters()
    alpha = np.zeros((120, 200), np.uint8)
    alpha[:60] = 255
    image.putalpha(Image.fromarray(alpha))
    if mode == "P":
        data = encoded(image.quantize(16), "PNG")
    elif mode == "WEBP":
        data = encoded(image, "WEBP", lossless=True)
    else:
        data = encoded(image.convert(mode), "PNG")
    top_left, _, *bottom = colours(read_picture(data))
    assert all(min(colour) >= 250 for colour in bottom)
    assert min(top_left) < 100


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    """Later frames are not looked at."""
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(pixels(read_picture(data).jpeg)[50, 50].astype(int) - (255, 0, 0)).max() <= 6


@pytest.mark.parametrize(("width", "height"), [(6000, 4000), (4000, 6000), (16_384, 64)])
def test_large_pictures_are_shrunk_to_the_working_size(width: int, height: int) -> None:
    """The longer side becomes 2560 pixels, the shape stays, and the original's size is told."""
    decoded = read_picture(encoded(quarters().resize((width, height)), "JPEG"))
    assert max(decoded.width, decoded.height) == WORKING_SIDE
    assert decoded.width / decoded.height == pytest.approx(width / height, rel=0.01)
    assert (decoded.source_width, decoded.source_height) == (width, height)


def test_a_jpeg_may_have_fifty_megapixels_and_others_half_of_that() -> None:
    """A format that can be decoded small may be larger; one more line is refused, with the limit."""
    assert read_picture(encoded(Image.new("L", (10_000, 5000)), "JPEG")).source_width == 10_000
    for kind, height, limit in (("JPEG", 5001, 50_000_000), ("PNG", 2501, 25_000_000)):
        refused = refusal(encoded(Image.new("L", (10_000, height)), kind))
        assert refused.code is FailureCode.IMAGE_TOO_MANY_PIXELS
        assert refused.details == {"width": 10_000, "height": height, "limit": limit, "side_limit": 16_384}


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size, and holds next to nothing."""
    size = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", size), (b"IDAT", zlib.compress(b"")))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def webp_bomb() -> bytes:
    """A WebP whose canvas is as large as the format allows."""
    image = quarters()
    image.putalpha(100)
    data = bytearray(encoded(image, "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xfe\x3f\x00" * 2
    return bytes(data)


TRUNCATED = encoded(picture(astronaut()), "JPEG")[:20_000]

BAD = {
    "nothing": (b"", FailureCode.IMAGE_TYPE_UNSUPPORTED),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", FailureCode.IMAGE_TYPE_UNSUPPORTED),
    "a page": (b"<!doctype html><title>404</title>", FailureCode.IMAGE_TYPE_UNSUPPORTED),
    "a TIFF": (encoded(quarters(), "TIFF"), FailureCode.IMAGE_TYPE_UNSUPPORTED),
    "a sound file": (b"RIFF\x24\0\0\0WAVEfmt ", FailureCode.IMAGE_TYPE_UNSUPPORTED),
    "a picture cut off": (TRUNCATED, FailureCode.IMAGE_DAMAGED),
    "a PNG cut off": (astronaut()[:300_000], FailureCode.IMAGE_DAMAGED),
    "a GIF cut off": (encoded(picture(astronaut()), "GIF")[:2000], FailureCode.IMAGE_DAMAGED),
    "a WebP cut off": (encoded(picture(astronaut()), "WEBP")[:20_000], FailureCode.IMAGE_DAMAGED),
    "a header alone": (b"\xff\xd8\xff", FailureCode.IMAGE_DAMAGED),
    "a WebP's header alone": (b"RIFF\0\0\0\0WEBPVP8 ", FailureCode.IMAGE_DAMAGED),
    "a PNG named JPEG inside": (b"\xff\xd8\xff" + astronaut(), FailureCode.IMAGE_DAMAGED),
    "a PNG of 20000 x 20000": (png_header(20_000, 20_000), FailureCode.IMAGE_TOO_MANY_PIXELS),
    "a PNG of two thousand million": (png_header(2**31 - 1, 1), FailureCode.IMAGE_TOO_MANY_PIXELS),
    "a PNG that is too long": (png_header(16_385, 64), FailureCode.IMAGE_TOO_MANY_PIXELS),
    "a WebP of 16383 x 16383": (webp_bomb(), FailureCode.IMAGE_TOO_MANY_PIXELS),
    "63 pixels": (encoded(quarters(63, 500), "PNG"), FailureCode.IMAGE_TOO_SMALL),
    "too many bytes": (b"\xff\xd8\xff" + bytes(MAX_BYTES), FailureCode.IMAGE_TOO_LARGE),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_sound_picture_is_refused(name: str) -> None:
    """Each kind of bad data has its code."""
    data, code = BAD[name]
    assert refusal(data).code is code


def test_a_webp_canvas_is_refused_by_its_header_before_libwebp_allocates_it() -> None:
    """The refusal tells the announced size, which only our own look at the header knows."""
    assert refusal(webp_bomb()).details == {
        "width": 16_383,
        "height": 16_383,
        "limit": 25_000_000,
        "side_limit": 16_384,
    }


def test_ten_megabytes_are_read_and_one_byte_more_is_not() -> None:
    """The limit is 10 * 2**20 bytes, itself allowed."""
    data = encoded(quarters(), "JPEG")
    assert read_picture(data + bytes(MAX_BYTES - len(data))).width == 200
    refused = refusal(data + bytes(MAX_BYTES - len(data) + 1))
    assert refused.details == {"bytes": MAX_BYTES + 1, "limit": MAX_BYTES}


def test_sixty_four_pixels_are_enough() -> None:
    """The least side is allowed."""
    assert read_picture(encoded(quarters(64, 64), "PNG")).width == 64


def test_reading_twice_gives_the_same_bytes() -> None:
    """A step that runs twice stores the same object."""
    data = encoded(Image.fromarray(resized(pixels(astronaut()), 2.0)), "WEBP")
    assert read_picture(data) == read_picture(data)


def test_the_decoded_picture_is_close_to_lossless() -> None:
    """Re-encoding costs less than two steps of 255 on average, colours included."""
    decoded = Image.open(io.BytesIO(read_picture(astronaut()).jpeg))
    assert np.abs(np.asarray(decoded, int) - pixels(astronaut())).mean() < 2.0
