"""Which file of a face pack is the detector? Looks into an InsightFace pack that the user has; downloads nothing."""

from pathlib import Path

from adapters.face_detection import DetectorUnavailable

NAMED = ("det_*.onnx", "scrfd*.onnx")
"""What packs call their detector: buffalo_l has det_10g.onnx, antelopev2 has scrfd_10g_bnkps.onnx."""

GRIDS_WITH_POINTS = (9, 15)
"""Outputs of a detector with keypoints: scores, boxes and points for 3 or 5 grids. A pack's other models have fewer."""


def find_detector(named: Path) -> Path:
    """The detector: the file itself, or the only one in a pack's folder, or in the folder of that name inside it.

    Raises DetectorUnavailable where there is none, or where it cannot be told which.
    """
    if named.is_file():
        return named
    if not named.is_dir():
        raise DetectorUnavailable(f"the face detector is missing: {named} is not a file and not a folder")
    # An archive that holds a folder of its own name may have been unpacked into a folder of that name.
    folders = [folder for folder in (named, named / named.name) if folder.is_dir()]
    for folder in folders:
        by_name = sorted({path for pattern in NAMED for path in folder.glob(pattern)})
        found = by_name or [path for path in sorted(folder.glob("*.onnx")) if is_detector(path)]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DetectorUnavailable(f"{folder} holds more than one face detector ({names}); name one of the files")
        if found:
            return found[0]
    raise DetectorUnavailable(f"{named} holds no face detector (det_*.onnx or scrfd*.onnx)")


def is_detector(path: Path) -> bool:
    """Has the file the inputs and outputs of a face detector with keypoints?"""
    import onnx  # noqa: PLC0415 - takes 0.3 s, and only a pack with unusual names needs it

    try:
        graph = onnx.load_model(path, load_external_data=False).graph
    except Exception:  # noqa: BLE001 - whatever onnx raises, the file is none
        return False
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    return len(inputs) == 1 and len(graph.output) in GRIDS_WITH_POINTS
