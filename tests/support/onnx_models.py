"""Tiny ONNX files that answer what a classifier of photographs would: how colourful a picture is, or a constant."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDES: tuple[object, object] = ("height", "width")


def save_classifier(path: Path, sides: tuple[object, object] = SIDES, *, answers: int = 1, factor: float = 1.0) -> Path:
    """A model whose probability of a drawing is `factor` times the mean colour range (largest less smallest channel).

    With two answers they are logits: 0, and the same number.
    """
    nodes = [
        helper.make_node("ReduceMax", ["picture"], ["most"], axes=[1], keepdims=1),
        helper.make_node("ReduceMin", ["picture"], ["least"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["most", "least"], ["range"]),
        helper.make_node("ReduceMean", ["range"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "row"], ["one"]),
        helper.make_node("Concat", ["zero"] * (answers - 1) + ["one"], ["answer"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array(factor, np.float32), "factor"),
        numpy_helper.from_array(np.array([1, 1], np.int64), "row"),
        numpy_helper.from_array(np.zeros((1, 1), np.float32), "zero"),
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, *sides])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, answers])
    graph = helper.make_graph(nodes, "colourful", [picture], [answer], initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save_model(model, path)
    return path
