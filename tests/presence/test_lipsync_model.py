"""Mel-to-mouth files of the operator's: which fit, and what is said of those that do not."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from presence.renderers.lipsync.model import LipsyncModel, ModelUnavailable
from support.lipsync_models import save_lipsync_model


def test_a_model_is_asked_by_shape_and_not_by_name(tmp_path: Path) -> None:
    """Sound and face find their inputs, and each row has its own answer."""
    model = LipsyncModel(save_lipsync_model(tmp_path / "m.onnx"), device="cpu")
    faces = [np.full((6, 96, 96), value, np.float32) for value in (0.5, 0.25)]
    mouths = model.mouths([np.full((80, 16), value, np.float32) for value in (-4, 4)], faces)
    assert model.most == 8
    assert mouths.shape == (2, 3, 96, 96)
    assert np.allclose(mouths[0], 0.5)
    assert np.allclose(mouths[1], 0.05)


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    """A file for four at once serves one to four."""
    shapes = {"mel": (4, 1, 80, 16), "face": (4, 6, 96, 96), "mouth": (4, 3, 96, 96)}
    model = LipsyncModel(save_lipsync_model(tmp_path / "m.onnx", **shapes), device="cpu")  # type: ignore[arg-type]
    assert model.most == 4
    quiet = np.full((80, 16), -4, np.float32)
    assert np.allclose(model.mouths([quiet], [np.ones((6, 96, 96), np.float32)]), np.ones((1, 3, 96, 96)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mel": ("batch", 1, 80, 20)}, r"does not take float32 mel .* but seen .*, sound .*80, 20"),
        ({"face": ("batch", 6, 192, 192)}, r"does not take .* face \(batch, 6, 96, 96\), but .*192, 192"),
        ({"face": ("batch", 3, 96, 96)}, r"does not take"),
        ({"mouth": ("batch", 4, 96, 96), "first": 2}, r"does not give one float32 picture"),
        ({"mel": (16, 1, 80, 16), "face": (16, 6, 96, 96)}, r"fixes the batch to \[16\]; one of 1 to 8 fits"),
        ({"kind": TensorProto.FLOAT16}, r"cannot be read as ONNX"),
        ({"mouth": ("batch", "colours", "height", "width")}, None),
        ({"mouth": ("batch", "colours", 96, 96), "first": 2}, r"does not give|answers \(2, 4, 96, 96\), not \(2, 3"),
        ({"factor": float("nan")}, r"answers colours beyond 0 to 1"),
    ],
    ids=["mel", "face", "channels", "mouth", "batch", "half floats", "open sides", "open but wrong", "colours"],
)
def test_shapes_are_checked_at_load(tmp_path: Path, changes: dict[str, object], sentence: str | None) -> None:
    """What does not fit is refused with a sentence that says what fits; sides that are left open are tried."""
    path = save_lipsync_model(tmp_path / "m.onnx", **changes)  # type: ignore[arg-type]
    if sentence is None:
        LipsyncModel(path, device="cpu")
        return
    with pytest.raises(ModelUnavailable, match=sentence):
        LipsyncModel(path, device="cpu")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """A missing file and one of another kind say so."""
    with pytest.raises(ModelUnavailable, match=r"missing: .*m\.onnx is not a file"):
        LipsyncModel(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_text("weights")
    with pytest.raises(ModelUnavailable, match=r"m\.onnx cannot be read as ONNX"):
        LipsyncModel(tmp_path / "m.onnx")


def test_cuda_is_not_silently_left_out(tmp_path: Path) -> None:
    """Told to run on CUDA, a machine without it refuses."""
    import onnxruntime  # noqa: PLC0415 - slow, and for this test only

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelUnavailable, match="told to run on CUDA"):
        LipsyncModel(save_lipsync_model(tmp_path / "m.onnx"), device="cuda")
