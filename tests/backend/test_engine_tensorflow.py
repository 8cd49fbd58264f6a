"""DeepFace on TensorFlow, in a process of its own: ``pytest -m tensorflow``.

The architectures are DeepFace's; the weights are random numbers, since the real ones can be had at DeepFace's own
addresses only. It shows that the files of the extra ``tensorflow`` are found, checked, loaded and run; not accuracy.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode
from support import faces, weights

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra tensorflow"),
    pytest.mark.skipif(
        "deepface" in sys.modules and os.environ.get("DEEPFACE_BACKEND_ENGINE") != "tensorflow",
        reason="DeepFace runs on another backend in this process",
    ),
]

BACKEND: dict[str, object] = {"backend": "tensorflow"}
SIZES = {"deepface:VGG-Face": Size(224, 224), "deepface:Facenet512": Size(160, 160)}
FILES = {"deepface:VGG-Face": "vgg-face-h5", "deepface:Facenet512": "facenet512-h5"}
DIMENSIONS = {"deepface:VGG-Face": 4096, "deepface:Facenet512": 512}


@pytest.fixture(scope="module", autouse=True)
def deepface(tmp_path_factory: pytest.TempPathFactory) -> Any:
    runtime = importlib.import_module("privface_backend.engines.deepface_runtime")
    return runtime.load_deepface(tmp_path_factory.mktemp("home"), "tensorflow")


@pytest.fixture
def short_lived() -> Iterator[Path]:
    """A folder that goes at once, unlike ``tmp_path``: VGG-Face's file has 580 MB."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def crops(size: Size) -> Sequence[Pixels]:
    return [np.resize(picture[60:200, 60:200], (size.height, size.width, 3)) for picture in faces.pictures("lfw", 3)]


def architecture(name: str) -> tuple[Any, Any]:
    """DeepFace's own: what its file of weights is loaded into, and what makes embeddings of it."""
    module = "deepface.models.facial_recognition.tf"
    if name == "deepface:Facenet512":
        model = importlib.import_module(f"{module}.Facenet").InceptionResNetV1(dimension=512)
        return model, model
    layers, models = (importlib.import_module(f"tensorflow.keras.{part}") for part in ("layers", "models"))
    model = importlib.import_module(f"{module}.VGGFace").base_model()
    return model, models.Model(model.layers[0].input, layers.Flatten()(model.layers[-5].output))


def made_up(name: str, root: Path) -> tuple[WeightsStore, NDArray[np.float32]]:
    """A store with random weights for ``name``, and what the network makes of ``crops`` with them."""
    importlib.import_module("tensorflow").keras.utils.set_random_seed(5)
    whole, embedding = architecture(name)
    path = WeightsStore(root).file(FILES[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save_weights(str(path))
    fed = np.stack(crops(SIZES[name])).astype(np.float32) / 255
    vectors = np.asarray(embedding(fed, training=False), np.float32)
    return weights.holding(root, [FILES[name]]), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.faces
@pytest.mark.parametrize("name", SIZES)
def test_represents_with_deepfaces_own_architecture(name: str, short_lived: Path) -> None:
    store, expected = made_up(name, short_lived)
    gc.collect()
    recognizer = Registry().create(EngineKind.RECOGNIZER, name, EngineContext(weights=store), BACKEND)
    assert recognizer.template.size == SIZES[name]
    assert recognizer.identity.name == f"{name}@tensorflow+base"
    assert recognizer.identity.dimension == DIMENSIONS[name]
    assert recognizer.identity.weights_digest == store.digest(FILES[name])
    together = recognizer.represent(crops(SIZES[name]))
    assert together.shape == expected.shape
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert (together * expected).sum(axis=1).min() > 0.9999
    alone = np.concatenate([recognizer.represent([crop]) for crop in crops(SIZES[name])])
    assert (together * alone).sum(axis=1).min() > 0.9999


def test_weights_changed_by_a_byte_are_not_loaded(tmp_path: Path) -> None:
    store = weights.pinned(tmp_path, {"facenet512-h5": b"weights"})
    store.file("facenet512-h5").write_bytes(b"weighty")
    with pytest.raises(PrivFaceError) as caught:
        Registry().create(
            EngineKind.RECOGNIZER,
            "deepface:Facenet512",
            EngineContext(weights=WeightsStore(tmp_path, store.table)),
            BACKEND,
        )
    assert caught.value.code is ErrorCode.WEIGHTS_MISMATCH


def test_onnx_beside_it_is_refused(tmp_path: Path) -> None:
    context = EngineContext(weights=WeightsStore(tmp_path))
    with pytest.raises(PrivFaceError) as caught:
        Registry().create(EngineKind.DETECTOR, "deepface:opencv", context, {"backend": "onnx"})
    assert caught.value.code is ErrorCode.ENGINE_FAILED


@pytest.mark.faces
@pytest.mark.skipif(find_spec("mtcnn") is None, reason="needs the extra mtcnn")
def test_mtcnn_finds_faces_and_their_eyes(tmp_path: Path) -> None:
    context = EngineContext(weights=WeightsStore(tmp_path))
    detector = Registry().create(EngineKind.DETECTOR, "deepface:mtcnn", context, BACKEND)
    for picture in faces.pictures(faces.LFW, 3):
        face = detector.detect(picture)[0]
        assert 50 < face.box.width < 180
        assert face.landmarks is not None
        assert face.landmarks.shape == (2, 2)
        assert face.landmarks[0, 0] < face.landmarks[1, 0]
        assert len(detector.detect(np.zeros_like(picture))) == 0
