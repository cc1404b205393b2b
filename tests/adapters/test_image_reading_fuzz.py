"""Damaged pictures of every type: each is read, in sane sizes, or refused by code; nothing else ever happens."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.damaged_pictures import SEEDS, VERDICTS, judged

KINDS = sorted(SEEDS)
EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seeds_are_sound(kind: str) -> None:
    """Else the damage below would be tried on nothing."""
    assert judged(SEEDS[kind]) == "read"


BYTE = st.integers(0, 255) | st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
PLACE = st.integers(0, 10**6)
HEAD = st.integers(0, 63)
"""Most of what a decoder believes stands near the start."""


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """A picture with some of its bytes changed, taken out, doubled, zeroed, or taken from another picture."""
    data = bytearray(SEEDS[kind])
    for _ in range(draw(st.integers(1, 6))):
        way = draw(st.sampled_from(["set", "set head", "flip", "cut", "take out", "double", "zero", "splice"]))
        place = draw(HEAD if way == "set head" else PLACE) % max(len(data), 1)
        length = draw(st.integers(1, 64))
        if way == "cut":
            del data[place:]
        elif way == "take out":
            del data[place : place + length]
        elif way == "double":
            data[place:place] = data[place : place + length]
        elif way == "zero":
            data[place : place + length] = bytes(len(data[place : place + length]))
        elif way == "splice":
            other = SEEDS[draw(st.sampled_from(KINDS))]
            data[place:] = other[draw(PLACE) % len(other) :]
        elif data:
            data[place] = draw(BYTE) if way != "flip" else data[place] ^ (1 << draw(st.integers(0, 7)))
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_is_read_or_refused(kind: str) -> None:
    """Whatever was done to it; and the damage is enough that some are refused."""
    outcomes: list[str] = []

    @EXAMPLES
    @given(damaged(kind))
    def check(data: bytes) -> None:
        outcomes.append(judged(data))

    check()
    assert set(outcomes) & VERDICTS
    assert len(outcomes) >= 100


SIZES = st.integers(0, 2**31 - 1) | st.sampled_from([0, 1, 63, 64, 16_384, 16_385, 65_535, 65_536])


@EXAMPLES
@given(SIZES, SIZES, BYTE, BYTE, BYTE)
def test_a_png_that_lies_about_its_size_is_read_or_refused(
    width: int, height: int, depth: int, colours: int, interlace: int
) -> None:
    """With a checksum that is right, so that the lie is believed."""
    data = bytearray(SEEDS["PNG"])
    data[16:29] = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlace)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    judged(bytes(data))


@EXAMPLES
@given(st.integers(0, 65_535), st.integers(0, 65_535), st.sampled_from(["JPEG", "JPEG progressive", "GIF"]))
def test_a_frame_that_lies_about_its_size_is_read_or_refused(width: int, height: int, kind: str) -> None:
    """JPEG and GIF have no checksums: the size is whatever the header says."""
    data = bytearray(SEEDS[kind])
    if kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    else:
        frame = data.index(b"\xff\xc2" if "progressive" in kind else b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    judged(bytes(data))


@EXAMPLES
@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF0000WEBP"]))
def test_no_bytes_after_a_type_do_anything_else(data: bytes, start: bytes) -> None:
    """Alone, and where a picture should follow."""
    judged(data)
    judged(start + data)
