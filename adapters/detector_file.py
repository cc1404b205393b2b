"""The face detector's file: where it lies, what it must hash to, how it is made. Downloads nothing.

The source distribution of `scrfd` carries SCRFD-2.5G with five keypoints, for pictures of exactly 640x640. It says
Apache-2.0; by size and graph the weights look like InsightFace's own, which are for research unless licensed.
"""

import hashlib
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

DETECTOR_REQUIREMENT = "scrfd==0.3.0"
"""The package whose source distribution carries the detector."""

SOURCE_SHA256 = "9c162a817c7dd32d35d1f1c6ae6445032d6e73c6c5fe61d8b5b663ba8bc86b30"
"""Of `models/scrfd.onnx` in it."""

PICTURES = ("newton.png", "gauss.png", "solvay_conference_1927.jpg")
"""Pictures with known verdicts that lie beside the detector: two accepted, one group."""

GRIDS = ("score_8", "score_16", "score_32", "bbox_8", "bbox_16", "bbox_32", "kps_8", "kps_16", "kps_32")
"""The detector's outputs, in the order in which readers expect them."""


class WrongDetectorFile(Exception):
    """The file is not the detector that this version knows."""


def detector_path(cache: Path) -> Path:
    """Where the ready detector lies in the cache folder. The name says which weights and which of our builds."""
    return cache / "detector" / f"scrfd-2.5g-{SOURCE_SHA256[:8]}-dynamic-v1.onnx"


def pictures_folder(cache: Path) -> Path:
    """Where the pictures with known verdicts lie in the cache folder."""
    return cache / "detector" / "pictures"


def is_detector_ready(cache: Path) -> bool:
    """Does the cache hold everything that `extract_detector` puts there? Files appear whole or not at all."""
    folder = pictures_folder(cache)
    return detector_path(cache).is_file() and all((folder / name).is_file() for name in PICTURES)


def extract_detector(sdist: Path, cache: Path) -> Path:
    """Make the ready detector and its pictures in `cache` from the source distribution; answers the detector's path.

    Raises WrongDetectorFile where the archive is not the expected one. Safe to repeat and to run twice at once.
    """
    try:
        with tarfile.open(sdist) as archive:
            source = read_member(archive, "models/scrfd.onnx")
            pictures = {name: read_member(archive, f"images/{name}") for name in PICTURES}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WrongDetectorFile(f"{sdist.name} cannot be read as a source distribution: {error}") from error
    check_source(source)
    for name, content in pictures.items():
        write_whole(pictures_folder(cache) / name, content)
    # The detector comes last: its presence says that the rest is there too.
    write_whole(detector_path(cache), make_dynamic(source))
    return detector_path(cache)


def read_member(archive: tarfile.TarFile, path: str) -> bytes:
    """A file of the archive, by its path below the archive's one folder."""
    for member in archive:
        if member.isfile() and member.name.partition("/")[2] == path:
            content = archive.extractfile(member)
            return content.read() if content else b""
    raise WrongDetectorFile(f"the source distribution holds no {path}")


def check_source(source: bytes) -> None:
    """Raise WrongDetectorFile unless these are the weights that this version knows."""
    found = hashlib.sha256(source).hexdigest()
    if found != SOURCE_SHA256:
        raise WrongDetectorFile(f"models/scrfd.onnx has SHA-256 {found}; expected {SOURCE_SHA256}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def make_dynamic(source: bytes) -> bytes:
    """The detector with free batch, height and width (multiples of 32); the same bytes from the same source.

    The exporter wrote the sizes of 640x640 into two upsamplings and nine final reshapes; all else is convolutional.
    """
    import onnx  # noqa: PLC0415 - takes 0.3 s, and only set-up builds

    model = onnx.load_model_from_string(source)
    graph = model.graph
    if {output.name for output in graph.output} != set(GRIDS):
        raise WrongDetectorFile("the detector has other outputs than SCRFD's nine")
    replace_upsampling(graph, onnx)
    replace_reshapes(graph, onnx)
    free_dimensions(graph)
    # Shapes of the inner tensors were inferred for 640x640, and constants that nobody uses now would only warn.
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    for constant in [constant for constant in graph.initializer if constant.name not in used]:
        graph.initializer.remove(constant)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def replace_upsampling(graph: Any, onnx: Any) -> None:
    """Upsample by the factor 2 instead of to a fixed size."""
    import numpy as np  # noqa: PLC0415 - as above

    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "upsample_by_two"))
    for node in graph.node:
        if node.op_type == "Resize":
            region = node.input[1]
            del node.input[1:]
            node.input.extend([region, "upsample_by_two"])


def replace_reshapes(graph: Any, onnx: Any) -> None:
    """Flatten each output grid to (batch, anchors, values) instead of to fixed numbers."""
    import numpy as np  # noqa: PLC0415 - as above

    shapes = {constant.name: constant for constant in graph.initializer}
    shapes |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    added = set()
    for node in graph.node:
        if node.op_type == "Reshape":
            values = int(onnx.numpy_helper.to_array(shapes[node.input[1]])[-1])
            node.input[1] = f"flatten_to_{values}"
            added.add(values)
    for values in sorted(added):
        shape = np.array([0, -1, values], np.int64)
        graph.initializer.append(onnx.numpy_helper.from_array(shape, f"flatten_to_{values}"))


def free_dimensions(graph: Any) -> None:
    """Give the input's batch, height and width and the outputs' batch and anchors names instead of numbers."""
    dimensions = graph.input[0].type.tensor_type.shape.dim
    for index, name in ((0, "batch"), (2, "height"), (3, "width")):
        dimensions[index].dim_param = name
    for output in graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "batch"
        output.type.tensor_type.shape.dim[1].dim_param = f"anchors_{output.name}"
