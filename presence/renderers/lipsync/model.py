"""One mel-to-mouth ONNX file of the operator's, checked when it is loaded; says why one does not fit."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from presence.renderers.lipsync.address import Device
from presence.renderers.lipsync.wire import FACE, MEL, MOUTH, Floats

log = logging.getLogger(__name__)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

MOST: Final = 8
"""Tracks served together at most."""
SOUND: Final = (1, *MEL)
SLACK: Final = 0.05
"""An answer may be so far beyond 0..1; it is clipped."""


class ModelUnavailable(Exception):
    """The model's file is missing, cannot run, or is not asked and answered as docs/renderer-lipsync.md says."""


class LipsyncModel:
    """A loaded model. Called by one thread at a time."""

    def __init__(self, path: Path, *, device: Device = "auto", threads: int = 0) -> None:
        """Load the file and ask it once; `threads` 0 is half of the cores. Raises ModelUnavailable."""
        if not path.is_file():
            raise ModelUnavailable(f"the lip-sync model is missing: {path} is not a file")
        self._session = _load(path, device, threads or max((os.cpu_count() or 1) // 2, 1))
        self.provider = str(self._session.get_providers()[0])
        if device == "cuda" and self.provider != CUDA:
            raise ModelUnavailable(f"the lip-sync model was told to run on CUDA, but runs on {self.provider}")
        self._sound, self._face, self.fixed = _find_inputs(self._session, path.name)
        _check_output(self._session, path.name)
        self._try_out(path.name)

    @property
    def most(self) -> int:
        """Tracks that one call serves."""
        return self.fixed or MOST

    def mouths(self, mels: Sequence[Floats], faces: Sequence[Floats]) -> Floats:
        """Mouths (n, 3, 96, 96) in 0..1 of n windows (80, 16) and n faces (6, 96, 96)."""
        missing = max((self.fixed or 0) - len(mels), 0)  # a fixed batch is filled up
        sound = np.stack([*mels, *[mels[0]] * missing])[:, None]
        given = {self._sound: sound, self._face: np.stack([*faces, *[faces[0]] * missing])}
        answer: Floats = self._session.run(None, given)[0]
        return np.clip(answer[: len(mels)], 0, 1)

    def _try_out(self, name: str) -> None:
        """Two at once show whether the export really leaves the batch free; it is the warming up as well."""
        count = self.fixed or 2
        given = {
            self._sound: np.full((count, *SOUND), -4, np.float32),
            self._face: np.full((count, *FACE), 0.5, np.float32),
        }
        try:
            answer = np.asarray(self._session.run(None, given)[0])
        except Exception as error:  # onnxruntime raises many kinds, most of them its own
            raise ModelUnavailable(f"the lip-sync model {name} does not run on {count} at once: {error}") from error
        if answer.shape != (count, *MOUTH):
            raise ModelUnavailable(f"the lip-sync model {name} answers {answer.shape}, not {(count, *MOUTH)}")
        if not (np.isfinite(answer).all() and answer.min() >= -SLACK and answer.max() <= 1 + SLACK):
            raise ModelUnavailable(f"the lip-sync model {name} answers colours beyond 0 to 1")


def _load(path: Path, device: Device, threads: int) -> Any:
    # onnxruntime takes a while to import: only the host pays for it.
    import onnxruntime  # noqa: PLC0415

    # As in adapters.face_detection: nothing is reported to the maker, and waiting threads do not spin.
    onnxruntime.disable_telemetry_events()
    available = onnxruntime.get_available_providers()
    if device == "cuda" and CUDA not in available:
        raise ModelUnavailable(f"the lip-sync model was told to run on CUDA, but onnxruntime has only {available}")
    providers = [CPU] if device == "cpu" or CUDA not in available else [CUDA, CPU]
    if CUDA in providers and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=providers)
    except Exception as error:  # as in _try_out
        raise ModelUnavailable(f"the lip-sync model {path.name} cannot be read as ONNX: {error}") from error


def _find_inputs(session: Any, name: str) -> tuple[str, str, int | None]:
    """Names of the inputs for sound and face, and the batch if the file fixes it."""
    inputs = session.get_inputs()
    sounds, faces = ([one for one in inputs if _fits(one, shape)] for shape in (SOUND, FACE))
    if len(inputs) != 2 or len(sounds) != 1 or len(faces) != 1:  # noqa: PLR2004 - sound and face
        raise ModelUnavailable(
            f"the lip-sync model {name} does not take float32 mel (batch, 1, 80, 16) and face (batch, 6, 96, 96),"
            f" but {_described(inputs)}"
        )
    batches = {one.shape[0] for one in inputs if isinstance(one.shape[0], int)}
    if len(batches) > 1 or any(not 1 <= batch <= MOST for batch in batches):
        raise ModelUnavailable(f"the lip-sync model {name} fixes the batch to {sorted(batches)}; one of 1 to 8 fits")
    return sounds[0].name, faces[0].name, batches.pop() if batches else None


def _check_output(session: Any, name: str) -> None:
    outputs = session.get_outputs()
    if len(outputs) != 1 or not _fits(outputs[0], MOUTH):
        raise ModelUnavailable(
            f"the lip-sync model {name} does not give one float32 picture (batch, 3, 96, 96), but {_described(outputs)}"
        )


def _fits(tensor: Any, shape: tuple[int, ...]) -> bool:
    """Sides that the file leaves open fit anything; the trial tells."""
    return (
        tensor.type == "tensor(float)"
        and len(tensor.shape) == len(shape) + 1
        and all(side == wanted for side, wanted in zip(tensor.shape[1:], shape, strict=True) if isinstance(side, int))
    )


def _described(tensors: Sequence[Any]) -> str:
    return ", ".join(f"{one.name} {one.type} {one.shape}" for one in tensors) or "nothing"
