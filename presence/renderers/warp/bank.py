"""What a portrait's talking picture is made from, in files: portrait, painted lids, fit; it draws nothing."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from presence.pictures import i420_from_rgb
from presence.renderers.warp.eyes import LEVELS, Lids, paint_lids
from presence.renderers.warp.geometry import Box, Floats, face_from
from presence.renderers.warp.lips import LipLine, find_lip_line

Pixels = NDArray[np.uint8]

VERSION = 1
FIT, PORTRAIT = "warp.json", "warp.portrait.npy"
LID_FILES = ("warp.left-lid.npy", "warp.right-lid.npy")


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the portrait."""

    version: int
    width: int
    height: int
    keypoints: tuple[tuple[float, float], ...]
    lip_curve: tuple[float, ...]
    parted: bool
    skin: tuple[float, float, float]
    lip_inset: float
    quality: float
    """0..1: how natural the mouth's movements look on this portrait. They are scaled by it."""
    lid_boxes: tuple[tuple[int, int, int, int], ...]
    """Left, top, right, bottom."""


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one portrait, read-only."""

    fit: Fit
    portrait: Pixels
    """I420 (height * 3/2, width)."""
    lids: tuple[Lids, ...]

    @property
    def line(self) -> LipLine:
        """Where the lips part."""
        fit = self.fit
        return LipLine(curve=fit.lip_curve, parted=fit.parted, skin=fit.skin, inset=fit.lip_inset, quality=fit.quality)


def build_bank(image: Pixels, keypoints: Floats) -> Bank:
    """Measure and paint; `image` is RGB (height, width, 3) with even sides.

    ValueError for keypoints of no face, or beyond the picture.
    """
    height, width = image.shape[:2]
    if not np.all((keypoints >= 0) & (keypoints <= (width - 1, height - 1))):
        raise ValueError("the keypoints lie beyond the picture")
    face = face_from(keypoints)
    line, lids = find_lip_line(image, face), paint_lids(image, face)
    fit = Fit(
        version=VERSION,
        width=width,
        height=height,
        keypoints=tuple((float(x), float(y)) for x, y in keypoints),
        lip_curve=line.curve,
        parted=line.parted,
        skin=line.skin,
        lip_inset=line.inset,
        quality=line.quality,
        lid_boxes=tuple((lid.box.left, lid.box.top, lid.box.right, lid.box.bottom) for lid in lids),
    )
    return Bank(fit=fit, portrait=i420_from_rgb(image), lids=lids)


def write_bank(bank: Bank, folder: Path) -> None:
    """Write the files; the fit comes last, so that a bank with a fit is whole."""
    np.save(folder / PORTRAIT, bank.portrait, allow_pickle=False)
    for name, lids in zip(LID_FILES, bank.lids, strict=True):
        np.save(folder / name, lids.patches, allow_pickle=False)
    (folder / FIT).write_bytes(msgspec.json.format(msgspec.json.encode(bank.fit), indent=1) + b"\n")


def read_bank(folder: Path) -> Bank:
    """The files' content. OSError where one is missing, ValueError where they are damaged or of another version."""
    try:
        fit = msgspec.json.decode((folder / FIT).read_bytes(), type=Fit)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{FIT} is damaged: {error}") from error
    if fit.version != VERSION:
        raise ValueError(f"the bank has version {fit.version}, not {VERSION}: prepare the portrait again")
    portrait = _read(folder / PORTRAIT, (fit.height * 3 // 2, fit.width))
    lids = []
    for name, sides in zip(LID_FILES, fit.lid_boxes, strict=True):
        box = Box(left=sides[0], top=sides[1], right=sides[2], bottom=sides[3])
        height, width = box.shape
        lids.append(Lids(box=box, patches=_read(folder / name, (len(LEVELS), height * 3 // 2, width))))
    return Bank(fit=fit, portrait=portrait, lids=tuple(lids))


def _read(path: Path, shape: tuple[int, ...]) -> Pixels:
    array: Pixels = np.load(path, allow_pickle=False)
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape}, not uint8 {shape}")
    array.flags.writeable = False
    return array
