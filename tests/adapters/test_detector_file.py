"""The detector's file: made only from the known weights, the same bytes each time, and right at every size."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from adapters.detector_file import (
    GRIDS,
    WrongDetectorFile,
    check_source,
    detector_path,
    extract_detector,
    is_detector_ready,
    make_dynamic,
    pictures_folder,
    write_whole,
)


def archive(folder: Path, files: dict[str, bytes]) -> Path:
    """A source distribution with these files."""
    path = folder / "scrfd-0.3.0.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"scrfd-0.3.0/{name}")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return path


def small_scrfd(side: int) -> bytes:
    """A model of SCRFD's shape as its exporter writes it: nine grids, sizes written into upsampling and reshapes."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - 0.3 s that only these tests pay

    constants, nodes = [], []
    size = np.array([1, 3, side * 2, side * 2], np.int64)
    constants += [numpy_helper.from_array(np.array([], np.float32), "none"), numpy_helper.from_array(size, "size")]
    nodes.append(
        helper.make_node(
            "Resize",
            ["picture", "none", "none", "size"],
            ["up"],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
    )
    outputs = []
    for name in GRIDS:
        values = {"score": 1, "bbox": 4, "kps": 10}[name.partition("_")[0]]
        weight = np.arange(1, values * 3 + 1, dtype=np.float32).reshape(values, 3, 1, 1)
        constants.append(numpy_helper.from_array(weight, f"weight_{name}"))
        constants.append(numpy_helper.from_array(np.array([1, -1, values], np.int64), f"shape_{name}"))
        nodes.append(helper.make_node("Conv", ["up", f"weight_{name}"], [f"grid_{name}"], strides=[8, 8]))
        nodes.append(helper.make_node("Transpose", [f"grid_{name}"], [f"last_{name}"], perm=[0, 2, 3, 1]))
        nodes.append(helper.make_node("Reshape", [f"last_{name}", f"shape_{name}"], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, (side // 4) ** 2, values]))
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, side, side])
    graph = helper.make_graph(nodes, "small", [picture], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    return bytes(model.SerializeToString())


def answers(model: bytes, pictures: np.ndarray) -> list[np.ndarray]:
    """What a model answers."""
    import onnxruntime  # noqa: PLC0415

    return list(
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"picture": pictures})
    )


def test_the_dynamic_model_answers_as_the_fixed_one_at_every_size_and_batch() -> None:
    """Freed from its size, the model gives what one made for the other size gives, picture by picture."""
    freed = make_dynamic(small_scrfd(64))
    for side in (64, 32):
        pictures = np.random.default_rng(side).normal(size=(2, 3, side, side)).astype(np.float32)
        together = answers(freed, pictures)
        for index in range(2):
            alone = answers(small_scrfd(side), pictures[index : index + 1])
            for one, batch in zip(alone, together, strict=True):
                np.testing.assert_allclose(batch[index], one[0], rtol=1e-5)


def test_the_same_source_makes_the_same_bytes() -> None:
    """Two machines hold the same detector."""
    assert make_dynamic(small_scrfd(64)) == make_dynamic(small_scrfd(64))


def test_a_model_with_other_outputs_is_refused() -> None:
    """Something else under the right name is not made into a detector."""
    import onnx  # noqa: PLC0415

    other = onnx.load_model_from_string(small_scrfd(64))
    other.graph.output[0].name = "grid_score_8"
    with pytest.raises(WrongDetectorFile, match="outputs"):
        make_dynamic(other.SerializeToString())


def test_other_weights_are_refused_by_their_hash() -> None:
    """A changed byte is noticed, and the refusal names both hashes."""
    with pytest.raises(WrongDetectorFile, match="expected 9c162a81"):
        check_source(small_scrfd(64))


PICTURES = {f"images/{name}": b"x" for name in ("newton.png", "gauss.png", "solvay_conference_1927.jpg")}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"models/scrfd.onnx": b"other", **PICTURES}, "SHA-256"),
        (PICTURES, "holds no models/scrfd.onnx"),
        ({"models/scrfd.onnx": b"other"}, "holds no images/newton.png"),
    ],
)
def test_an_archive_that_is_not_the_expected_one_leaves_nothing(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    """The cache stays empty when the archive is refused."""
    cache = tmp_path / "cache"
    with pytest.raises(WrongDetectorFile, match=message):
        extract_detector(archive(tmp_path, files), cache)
    assert not cache.exists()


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    """A download that was cut off is named as such."""
    path = tmp_path / "scrfd-0.3.0.tar.gz"
    path.write_bytes(archive(tmp_path, PICTURES).read_bytes()[:60])
    with pytest.raises(WrongDetectorFile, match="cannot be read"):
        extract_detector(path, tmp_path / "cache")


def test_the_cache_is_ready_only_when_everything_is_there(tmp_path: Path) -> None:
    """The detector alone is not enough, and neither are the pictures."""
    assert not is_detector_ready(tmp_path)
    write_whole(detector_path(tmp_path), b"model")
    assert not is_detector_ready(tmp_path)
    for name in ("newton.png", "gauss.png", "solvay_conference_1927.jpg"):
        write_whole(pictures_folder(tmp_path) / name, b"picture")
    assert is_detector_ready(tmp_path)


def test_files_appear_whole_and_leave_no_scraps(tmp_path: Path) -> None:
    """Writing replaces an older file and leaves nothing beside it."""
    target = tmp_path / "folder" / "file"
    write_whole(target, b"old")
    write_whole(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]
