"""An avatar's portraits before they are stored, in memory or in a folder of their own; it makes and stores none."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.avatars import AspectRatio, picture_name

TABLE = "portraits.json"


@dataclass(frozen=True, kw_only=True)
class ReadyPortrait:
    """One portrait, encoded."""

    jpeg: bytes
    width: int
    height: int
    keypoints: tuple[tuple[float, float], ...]
    """In pixels of this picture."""


@dataclass(frozen=True, kw_only=True)
class ReadyAvatar:
    """Every portrait of a picture."""

    source_sha256: str
    """Of the picture's file."""
    primary: AspectRatio
    portraits: Mapping[str, ReadyPortrait]
    """By profile."""


def write_ready(avatar: ReadyAvatar, folder: Path) -> None:
    """Write the portraits and their table into an empty folder. Raises OSError."""
    rows = {}
    for profile, portrait in avatar.portraits.items():
        (folder / picture_name(profile)).write_bytes(portrait.jpeg)
        sha256 = hashlib.sha256(portrait.jpeg).hexdigest()
        rows[profile] = {
            "sha256": sha256,
            "width": portrait.width,
            "height": portrait.height,
            "keypoints": portrait.keypoints,
        }
    table = {"source_sha256": avatar.source_sha256, "primary": avatar.primary, "portraits": rows}
    (folder / TABLE).write_text(json.dumps(table, indent=1))


def read_ready(folder: Path) -> ReadyAvatar:
    """The portraits of a folder. OSError or ValueError where they are not all there as they were written."""
    table = json.loads((folder / TABLE).read_text())
    portraits = {}
    for profile, row in table["portraits"].items():
        jpeg = (folder / picture_name(profile)).read_bytes()
        if hashlib.sha256(jpeg).hexdigest() != row["sha256"]:
            raise ValueError(f"{folder / picture_name(profile)} was changed")
        keypoints = tuple((x, y) for x, y in row["keypoints"])
        portraits[profile] = ReadyPortrait(jpeg=jpeg, width=row["width"], height=row["height"], keypoints=keypoints)
    return ReadyAvatar(source_sha256=table["source_sha256"], primary=AspectRatio(table["primary"]), portraits=portraits)
