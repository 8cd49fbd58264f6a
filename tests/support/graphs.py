"""Small ONNX graphs with random weights that DeepFace takes for its own models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from privface_backend.domain.geometry import Size

_CELLS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What goes into a model and comes out. ``weights``: their name in the store."""

    weights: str
    size: Size
    dimension: int


# DeepFace's models of which no weights can be had from a package index, as its own documentation gives their shapes.
SHAPES: Final = {
    "deepface:VGG-Face": Shape(weights="vgg-face", size=Size(224, 224), dimension=4096),
    "deepface:Facenet": Shape(weights="facenet", size=Size(160, 160), dimension=128),
    "deepface:Facenet512": Shape(weights="facenet512", size=Size(160, 160), dimension=512),
    "deepface:ArcFace": Shape(weights="arcface", size=Size(112, 112), dimension=512),
    "deepface:GhostFaceNet": Shape(weights="ghostfacenet", size=Size(112, 112), dimension=512),
    "deepface:OpenFace": Shape(weights="openface", size=Size(96, 96), dimension=128),
    "deepface:DeepFace": Shape(weights="fb-deepface", size=Size(152, 152), dimension=4096),
    "deepface:DeepID": Shape(weights="deepid", size=Size(47, 55), dimension=160),
}


def random_graph(shape: Shape, seed: int = 7) -> bytes:
    """The means of a grid of cells, times a random matrix; channels last. The same seed gives the same bytes."""
    rows, columns = shape.size.height // _CELLS, shape.size.width // _CELLS
    cells = (shape.size.height // rows) * (shape.size.width // columns)
    matrix = np.random.default_rng(seed).standard_normal((cells * 3, shape.dimension), dtype=np.float32)
    nodes = [
        helper.make_node("Transpose", ["faces"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["means"], kernel_shape=[rows, columns], strides=[rows, columns]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["embeddings"]),
    ]
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", shape.size.height, shape.size.width, 3])
    embeddings = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", shape.dimension])
    graph = helper.make_graph(
        nodes, "random", [faces], [embeddings], initializer=[numpy_helper.from_array(matrix, "matrix")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
