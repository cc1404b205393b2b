"""Renderers of another package, found by entry point in every process that has its folder on PYTHONPATH."""

import os
from dataclasses import dataclass
from pathlib import Path

CODE = '''
import os, time
import numpy as np

class _Track:
    def __init__(self, level):
        self.level = level
    def job(self, pcm, frame_index, state, out):
        return self.level, out
    def reset(self):
        pass

class Flat:
    """Fills every frame with the shade that it prepared."""
    bank_version = 7
    SECONDS = 0.0
    def prepare(self, image, keypoints, out_dir):
        time.sleep(self.SECONDS)
        np.save(out_dir / "level.npy", np.array([200], np.uint8))
    def load(self, asset_dir):
        return int(np.load(asset_dir / "level.npy")[0])
    def open(self, assets, seed):
        return _Track(assets)
    def render_batch(self, jobs):
        for level, out in jobs:
            height = out.shape[0] * 2 // 3
            out[:height] = level
            out[height:] = 128

class Slow(Flat):
    SECONDS = 2.0

class Endless(Flat):
    SECONDS = 600.0

class Crashing(Flat):
    def prepare(self, image, keypoints, out_dir):
        os._exit(9)

class Failing(Flat):
    def prepare(self, image, keypoints, out_dir):
        raise RuntimeError("no such face")

class Hungry(Flat):
    """Takes 20 MB with each frame from the hundredth on."""
    def load(self, asset_dir):
        self.taken, self.frames = [], 0
        return super().load(asset_dir)
    def render_batch(self, jobs):
        self.frames += 1
        if self.frames > 100:
            self.taken.append(np.ones(20 * 2**20, np.uint8))
        super().render_batch(jobs)
'''
SHADE = 200
"""Luma of every frame that these renderers draw."""
NAMES = ("Flat", "Slow", "Endless", "Crashing", "Failing", "Hungry")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """An installed package with the renderers `flat`, `slow`, `endless`, `crashing`, `failing` and `hungry`."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """This process's environment, with the package to be found."""
        paths = (str(self.folder), os.environ.get("PYTHONPATH", ""))
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def install_plugin(folder: Path) -> Plugin:
    """Write the package as an installer would."""
    (folder / "foreign_renderers.py").write_text(CODE)
    about = folder / "foreign_renderers-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-renderers\nVersion: 1.0\n")
    points = "\n".join(f"{name.lower()} = foreign_renderers:{name}" for name in NAMES)
    (about / "entry_points.txt").write_text(f"[greenroom.renderers]\n{points}\n")
    return Plugin(folder=folder)
