"""Tiny ONNX files of the shapes of mel-to-mouth models: the mouth is the face, darker the louder the sound is."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Sides = tuple[str | int, ...]

MEL: Sides = ("batch", 1, 80, 16)
FACE: Sides = ("batch", 6, 96, 96)
MOUTH: Sides = ("batch", 3, 96, 96)


def save_lipsync_model(
    path: Path,
    *,
    mel: Sides = MEL,
    face: Sides = FACE,
    mouth: Sides = MOUTH,
    factor: float = 0.8,
    first: int = 3,
    kind: int = TensorProto.FLOAT,
) -> Path:
    """A model that answers the unmasked face times 1 - `factor` * loudness; silence is 0 and all sound 1.

    Each step's loudness is that of its loudest band. Shapes are what the file claims; the mouth's planes begin with
    the `first` of the face.
    """
    nodes = [
        helper.make_node("ReduceMax", ["sound"], ["loudest"], axes=[1, 2], keepdims=1),
        helper.make_node("ReduceMean", ["loudest"], ["mean"], axes=[3], keepdims=1),
        helper.make_node("Add", ["mean", "four"], ["above"]),
        helper.make_node("Mul", ["above", "factor"], ["dark"]),
        helper.make_node("Sub", ["one", "dark"], ["light"]),
        helper.make_node("Slice", ["seen", "three", "six", "axis"], ["bare"]),
        helper.make_node("Mul", ["bare", "light"], ["mouth"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(number, np.float32), name)
        for name, number in (("one", 1), ("four", 4), ("factor", factor / 8))
    ] + [
        numpy_helper.from_array(np.array([number], np.int64), name)
        for name, number in (("three", first), ("six", 6), ("axis", 1))
    ]
    inputs = [helper.make_tensor_value_info("seen", kind, face), helper.make_tensor_value_info("sound", kind, mel)]
    outputs = [helper.make_tensor_value_info("mouth", kind, mouth)]
    graph = helper.make_graph(nodes, "darker", inputs, outputs, initializer=constants)
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
