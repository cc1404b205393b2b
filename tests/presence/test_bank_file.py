"""A bank is one file that says of what it was made."""

import zipfile
from pathlib import Path

import msgspec
import pytest

from presence.renderers.bank_file import About, bank_version, pack, unpack
from presence.renderers.still import StillRenderer
from presence.renderers.warp import WarpRenderer

ABOUT = About(renderer="warp", version="1", portrait_sha256="a" * 64, width=4, height=2)


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A bank of two files, one of them in a folder."""
    prepared = tmp_path / "prepared"
    (prepared / "deep").mkdir(parents=True)
    (prepared / "one.npy").write_bytes(b"1" * 1000)
    (prepared / "deep" / "two.npy").write_bytes(b"2" * 1000)
    file = tmp_path / "bank.zip"
    file.write_bytes(pack(prepared, ABOUT))
    assert file.read_bytes() == pack(prepared, ABOUT)
    return file


def test_a_bank_comes_out_as_it_went_in(bank: Path, tmp_path: Path) -> None:
    """With its folders."""
    folder = tmp_path / "out"
    unpack(bank, ABOUT, folder)
    assert (folder / "one.npy").read_bytes() == b"1" * 1000
    assert (folder / "deep" / "two.npy").read_bytes() == b"2" * 1000


@pytest.mark.parametrize(
    "change", [{"renderer": "mine"}, {"version": "2"}, {"portrait_sha256": "b" * 64}, {"width": 8}, {"height": 8}]
)
def test_a_bank_of_something_else_is_refused(bank: Path, tmp_path: Path, change: dict[str, object]) -> None:
    """The reason names what differs."""
    with pytest.raises(ValueError, match=next(iter(change))):
        unpack(bank, msgspec.structs.replace(ABOUT, **change), tmp_path / "out")


@pytest.mark.parametrize("how", ["cut", "a byte changed", "no bank", "nothing"])
def test_a_damaged_bank_is_refused(bank: Path, tmp_path: Path, how: str) -> None:
    """Whatever happened to its bytes."""
    data = bytearray(bank.read_bytes())
    if how == "a byte changed":
        data[data.index(b"1" * 1000) + 500] = 0
    bank.write_bytes({"cut": data[: len(data) // 2], "a byte changed": data, "nothing": b""}.get(how, b"no zip"))
    with pytest.raises(ValueError, match="damaged"):
        unpack(bank, ABOUT, tmp_path / "out")


def test_no_file_lands_outside_the_folder(tmp_path: Path) -> None:
    """A bank comes from the store, and is not trusted with paths."""
    file, folder = tmp_path / "bank.zip", tmp_path / "deep" / "out"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("greenroom.json", msgspec.json.encode(ABOUT))
        archive.writestr("../../escaped", b"x")
    unpack(file, ABOUT, folder)
    assert not (tmp_path / "escaped").exists()


def test_versions_are_texts() -> None:
    """A renderer may have none, or want nothing stored."""
    assert bank_version(WarpRenderer()) == "1"
    assert bank_version(StillRenderer()) is None
    assert bank_version(type("Plain", (), {})()) == "1"  # type: ignore[arg-type]
