"""The lip-sync renderer in a media process: hears, asks the host, pastes; without an answer it shows the portrait."""

import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from presence.pictures import i420_from_rgb
from presence.renderers.base import AvatarState, Pixels, Samples
from presence.renderers.lipsync.address import Device, address_of
from presence.renderers.lipsync.face import MouthPlace, face_box, model_face, mouth_place, paste
from presence.renderers.lipsync.hearing import Hearing
from presence.renderers.lipsync.launching import Launcher
from presence.renderers.lipsync.seat import Seat
from presence.renderers.lipsync.wire import FACE, Floats
from presence.renderers.warp.geometry import Box

PORTRAIT, SEEN, BOX = "portrait.i420.npy", "face.npy", "box.npy"
WAIT_S: Final = 0.03
"""A batch is waited for no longer than this: at 25 frames a second there are 40 ms for everything."""
MODEL_VARIABLE, DEVICE_VARIABLE = "GREENROOM_LIPSYNC_MODEL", "GREENROOM_LIPSYNC_DEVICE"
FOLDER_VARIABLE, KEPT_VARIABLE = "GREENROOM_LIPSYNC_FOLDER", "GREENROOM_LIPSYNC_KEPT"


@dataclass(frozen=True, kw_only=True)
class LipsyncAssets:
    """One portrait and what is known of its face, read-only and shared by its tracks."""

    portrait: Pixels
    face: Floats
    place: MouthPlace
    socket: Path
    launcher: Launcher


@dataclass(frozen=True, kw_only=True)
class _Job:
    track: "LipsyncTrack"
    mel: Floats | None
    share: float
    out: Pixels = field(repr=False)


class LipsyncTrack:
    """One avatar whose mouth is made by the host."""

    def __init__(self, assets: LipsyncAssets) -> None:
        self._assets = assets
        self.seat = Seat(assets.socket, assets.face, assets.launcher.ensure)
        weakref.finalize(self, self.seat.close)
        self._hearing = Hearing()
        self._mouth: Floats | None = None

    def job(self, pcm: Samples, frame_index: int, state: AvatarState, out: Pixels) -> _Job:  # noqa: ARG002
        """What is heard up to this frame's end. The sound decides alone: speech is heard before it is told of."""
        if out.shape != self._assets.portrait.shape:
            raise ValueError(f"the picture has shape {out.shape}, the portrait {self._assets.portrait.shape}")
        mel, share = self._hearing.hear(pcm, frame_index)
        return _Job(track=self, mel=mel, share=share, out=out)

    def reset(self) -> None:
        """Forget all sound, and whatever the host still owes."""
        self._hearing, self._mouth = Hearing(), None
        self.seat.forget()

    def draw(self, share: float, deadline: float, out: Pixels) -> None:
        """Fill `out`. A mouth that is late leaves the one before; none at all leaves the portrait's."""
        mouth = self.seat.answer(deadline if share > 0 else 0.0)
        if mouth is not None:
            self._mouth = mouth
        if share <= 0 or not self.seat.connected:
            self._mouth = None
        np.copyto(out, self._assets.portrait)
        if self._mouth is not None:
            paste(self._mouth, self._assets.place, share, out)


class LipsyncRenderer:
    """Moves a portrait's mouth by a model that a host process on this machine runs for every session."""

    bank_version = 1

    def __init__(
        self,
        model: Path | None = None,
        *,
        device: Device = "auto",
        folder: Path | None = None,
        wait_s: float = WAIT_S,
        starts_host: bool = True,
    ) -> None:
        """`folder` is where the host listens; without one it is one of this user's among the temporary files.

        Where a server keeps the host, no session starts one.
        """
        self._starts_host = starts_host
        self._model, self._device, self._folder, self._wait_s = model, device, folder, wait_s

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "LipsyncRenderer":
        """A renderer as the variables say, which a server hands on from its settings. ValueError for another device."""
        model, device = environ.get(MODEL_VARIABLE, ""), environ.get(DEVICE_VARIABLE, "") or "auto"
        devices: dict[str, Device] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}
        if device not in devices:
            raise ValueError(f"{DEVICE_VARIABLE} must be auto, cpu or cuda, not {device!r}")
        folder = environ.get(FOLDER_VARIABLE, "")
        return cls(
            Path(model) if model else None,
            device=devices[device],
            folder=Path(folder) if folder else None,
            starts_host=not environ.get(KEPT_VARIABLE),
        )

    def prepare(self, image: Pixels, keypoints: Floats, out_dir: Path) -> None:
        """Write the portrait and its face. ValueError for keypoints of no face."""
        box = face_box(keypoints, image.shape[:2])
        np.save(out_dir / PORTRAIT, i420_from_rgb(image), allow_pickle=False)
        np.save(out_dir / SEEN, model_face(image, box), allow_pickle=False)
        np.save(out_dir / BOX, np.array([box.left, box.top, box.right, box.bottom], np.int64), allow_pickle=False)

    def load(self, asset_dir: Path) -> LipsyncAssets:
        """What was written, and the host is started if it is not there. ValueError without a model's file."""
        if self._model is None:
            raise ValueError("the renderer lipsync has no model: none was named")
        if not self._model.is_file():
            raise ValueError(f"the lip-sync model is missing: {self._model} is not a file")
        portrait, face, sides = (np.load(asset_dir / name, allow_pickle=False) for name in (PORTRAIT, SEEN, BOX))
        if face.shape != FACE or sides.shape != (4,):
            raise ValueError("what was prepared for the renderer lipsync is damaged")
        portrait.flags.writeable = face.flags.writeable = False
        left, top, right, bottom = (int(side) for side in sides)
        address = address_of(self._model, self._device, self._folder)
        launcher = Launcher(address, starts=self._starts_host)
        launcher.ensure()
        return LipsyncAssets(
            portrait=portrait,
            face=face,
            place=mouth_place(Box(left=left, top=top, right=right, bottom=bottom)),
            socket=address.socket,
            launcher=launcher,
        )

    def open(self, assets: LipsyncAssets, seed: int) -> LipsyncTrack:  # noqa: ARG002 - nothing is random
        """A track of its own at the host."""
        return LipsyncTrack(assets)

    def render_batch(self, jobs: Sequence[_Job]) -> None:
        """Ask for every job's mouth, then paste them as they come; at most `wait_s` in all, and never an exception."""
        for turn in _turns(jobs):
            deadline = time.monotonic() + self._wait_s
            for job in turn:
                if job.mel is None:
                    job.track.seat.reach(0.0)  # so that the host is there when speech begins, and stays
                else:
                    job.track.seat.ask(job.mel, deadline)
            for job in turn:
                job.track.draw(job.share, deadline, job.out)


def configured() -> LipsyncRenderer:
    """The renderer of this process's environment: it is found by this name."""
    return LipsyncRenderer.from_environ(os.environ)


def _turns(jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    """The jobs in order, no track twice in a turn: a track has one question at a time."""
    left = list(jobs)
    while left:
        first = {id(job.track): job for job in reversed(left)}.values()
        turn = [job for job in left if any(job is one for one in first)]
        yield turn
        left = [job for job in left if not any(job is one for one in turn)]
