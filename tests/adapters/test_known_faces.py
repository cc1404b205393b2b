"""Every picture with a known answer gets it, and the docs show the same list."""

import re
from dataclasses import asdict

import pytest

from adapters.face_alignment import PortraitMaker
from adapters.image_pixels import load_rgb
from adapters.image_reading import read_picture
from domain.failures import SUGGESTIONS, FailureCode, Refused
from domain.portraits import FaceThresholds, judge
from support.known_faces import BEGIN, DOCS, END, OK, KnownFace, all_known, table

KNOWN = all_known()


def verdict(maker: PortraitMaker, data: bytes) -> tuple[str, dict[str, object]]:
    """What an upload of the file would be told, and the details."""
    decoded = read_picture(data)
    rgb = load_rgb(decoded.jpeg)
    try:
        seen = maker.observe(rgb, max(rgb.shape[:2]) / max(decoded.source_width, decoded.source_height))
        judge(seen, maker.thresholds)
    except Refused as refused:
        return refused.code, refused.details or {}
    return OK, {}


@pytest.mark.parametrize("known", KNOWN, ids=[one.name.replace(" ", "-") for one in KNOWN])
def test_a_known_picture_gets_its_verdict(portrait_maker: PortraitMaker, known: KnownFace) -> None:
    """A refusal says besides what was measured and what helps."""
    found, details = verdict(portrait_maker, known.make())
    assert (found, details) == (known.verdict, details)
    if found != OK:
        assert {"failed", "measured", "limit", "faces"} <= details.keys()
        assert SUGGESTIONS[FailureCode(found)]


def test_the_docs_show_the_list() -> None:
    """If this fails: `PYTHONPATH=.:tests python -m support.known_faces`."""
    assert DOCS.read_text().partition(BEGIN)[2].partition(END)[0].strip() == table().strip()


def test_names_are_told_apart() -> None:
    """No two rows have the same name, and every verdict is a code or OK."""
    assert len({one.name for one in KNOWN}) == len(KNOWN)
    assert {one.verdict for one in KNOWN} - {OK} <= set(FailureCode)


def test_the_docs_name_every_limit_with_its_value() -> None:
    """The verdict's table and the code's have the same names and numbers, in the same order."""
    told = re.findall(r"^\| .* \| `(\w+)` \| ([\d.]+) \|$", DOCS.read_text(), re.MULTILINE)
    assert [(name, float(number)) for name, number in told] == list(asdict(FaceThresholds()).items())
