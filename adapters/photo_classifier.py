"""Is it a photograph or a drawing? Asks an operator's own ONNX file about the levelled crop. Has no opinion itself."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from adapters.image_pixels import Rgb

PROVIDER = "CPUExecutionProvider"

SIDE = 256
"""Pixels a side where the model takes any size: the levelled crop's own."""

CHANNELS = 3
ALONE, BOTH = 1, 2
"""Numbers that a model may answer: the probability of a drawing, or one each for photograph and drawing."""

SUM_SLACK = 1e-3


class ClassifierUnavailable(Exception):
    """The classifier's file is missing, or is not asked and answered as docs/faces.md says."""


class PhotoClassifier:
    """One loaded classifier. It may be called from several threads at once."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load the file and ask it once. Raises ClassifierUnavailable."""
        if not model.is_file():
            raise ClassifierUnavailable(f"the photo classifier is missing: {model} is not a file")
        self._session = load(model, threads)
        self._input, self._side = find_input(self._session, model.name)
        try:
            self.drawing(np.full((SIDE, SIDE, CHANNELS), 128, np.uint8))
        except ClassifierUnavailable:
            raise
        except Exception as error:  # onnxruntime raises many kinds, most of them its own
            raise ClassifierUnavailable(f"the photo classifier {model.name} does not run: {error}") from error

    def drawing(self, crop: Rgb) -> float:
        """The probability that a levelled crop shows a drawing, 0 to 1."""
        side = (self._side, self._side)
        fitting = crop if crop.shape[:2] == side else cv2.resize(crop, side, interpolation=cv2.INTER_AREA)
        planes = np.ascontiguousarray(fitting.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        return probability(np.asarray(self._session.run(None, {self._input: planes})[0], np.float64))


def load(model: Path, threads: int) -> Any:
    """The file as onnxruntime opens it, on the CPU."""
    # onnxruntime takes a while to import: only the process that asks a classifier pays for it.
    import onnxruntime  # noqa: PLC0415

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # As in face_detection: threads that wait by spinning cost CPU time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(model), sess_options=options, providers=[PROVIDER])
    except Exception as error:  # as in PhotoClassifier
        raise ClassifierUnavailable(f"the photo classifier {model.name} cannot be read as ONNX: {error}") from error


def find_input(session: Any, name: str) -> tuple[str, int]:
    """Name and side of the model's one input, 1 x 3 x side x side."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) == 1 and len(outputs) == 1 and inputs[0].type == "tensor(float)":
        batch, channels, *sides = inputs[0].shape
        fixed = {side for side in sides if isinstance(side, int)}
        if batch in (1, None) or isinstance(batch, str):
            square = len(sides) == 2 and len(fixed) <= 1  # noqa: PLR2004 - height and width
            if square and channels in (CHANNELS, None):
                return inputs[0].name, fixed.pop() if fixed else SIDE
    raise ClassifierUnavailable(
        f"the photo classifier {name} does not take one float32 input of 1 x 3 x side x side and give one output"
    )


def probability(answer: npt.NDArray[np.float64]) -> float:
    """One number as it is; of two, the share of the second: as they are if they sum to 1, else by softmax."""
    numbers = answer.ravel()
    if numbers.size not in (ALONE, BOTH) or not np.isfinite(numbers).all():
        raise ClassifierUnavailable(f"the photo classifier answers {numbers.size} numbers; 1 or 2 are understood")
    if numbers.size == BOTH and ((numbers < 0).any() or abs(numbers.sum() - 1) > SUM_SLACK):
        numbers = np.exp(numbers - numbers.max())
        numbers /= numbers.sum()
    drawing = float(numbers[-1])
    if not 0 <= drawing <= 1:
        raise ClassifierUnavailable("the photo classifier answers a single number beyond 0 to 1")
    return drawing
