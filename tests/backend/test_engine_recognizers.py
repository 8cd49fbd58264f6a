"""Particular facts about the recognizers: SFace and Dlib on real faces, DeepFace's other models on random graphs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode
from support import faces, weights
from support.engines import crops_for, engine, face_of
from support.graphs import SHAPES, Shape, random_graph


def opencv_sface() -> cv2.FaceRecognizerSF:
    return cv2.FaceRecognizerSF.create(str(weights.real().path("sface")), "")


@pytest.mark.faces
@pytest.mark.weights
def test_sface_equals_opencvs_own() -> None:
    recognizer = engine(EngineKind.RECOGNIZER, "deepface:SFace")
    crops = crops_for("deepface:SFace", 10)
    opencv = opencv_sface()
    reference = np.concatenate([opencv.feature(crop).copy() for crop in crops])
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    assert (recognizer.represent(crops) * reference).sum(axis=1).min() >= 0.9999


@pytest.mark.faces
@pytest.mark.weights
def test_five_points_align_as_opencvs_sface_does() -> None:
    """OpenCV rounds the mean of its template and counts in float32: a few values fall on the next level."""
    aligner = engine(EngineKind.ALIGNER, "five-point")
    recognizer = engine(EngineKind.RECOGNIZER, "deepface:SFace")
    reference = opencv_sface()
    for picture in [pair[0] for pair in faces.people(faces.LFW, 10)] + list(faces.pictures(faces.CALTECH, 6)):
        face = engine(EngineKind.DETECTOR, "opencv:yunet").detect(picture)[0]
        assert face.landmarks is not None
        row = np.zeros((1, 15), np.float32)
        row[0, 4:14] = face.landmarks.ravel()
        theirs = np.asarray(reference.alignCrop(picture, row), np.int16)
        ours = aligner.align(picture, face, recognizer.template)
        apart = np.abs(ours - theirs)
        assert apart.max() <= 4
        assert (apart > 0).mean() < 0.003
        vectors = recognizer.represent([ours, theirs.astype(np.uint8)])
        assert vectors[0] @ vectors[1] >= 0.9999


@pytest.mark.faces
@pytest.mark.weights
@pytest.mark.parametrize("name", ["deepface:SFace", "deepface:Dlib"])
def test_tells_people_apart(name: str) -> None:
    recognizer = engine(EngineKind.RECOGNIZER, name)
    aligner = engine(EngineKind.ALIGNER, "five-point")
    shown = faces.people(faces.LFW, 8, each=2)
    first, second = (
        recognizer.represent([aligner.align(pair[at], face_of(pair[at]), recognizer.template) for pair in shown])
        for at in (0, 1)
    )
    alike = first @ second.T
    same, other = np.diag(alike), alike[~np.eye(len(shown), dtype=bool)]
    assert np.median(same) > recognizer.verification_threshold
    assert (other < recognizer.verification_threshold).mean() > 0.95
    assert (alike.argmax(axis=1) == np.arange(len(shown))).mean() >= 0.85


@pytest.mark.parametrize(("name", "shape"), SHAPES.items(), ids=list(SHAPES))
def test_takes_each_models_shape_from_deepface(name: str, shape: Shape) -> None:
    recognizer = engine(EngineKind.RECOGNIZER, name)
    assert recognizer.template.size == shape.size
    assert recognizer.identity.dimension == shape.dimension


@pytest.fixture
def fresh_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeepFace keeps models for the life of the process: have it make OpenFace anew, and forget it afterwards."""
    engine(EngineKind.RECOGNIZER, "deepface:OpenFace")
    models: dict[str, Any] = sys.modules["deepface.modules.modeling"].__dict__["cached_models"]["facial_recognition"]
    monkeypatch.setitem(models, "OpenFace", None)


def openface(root: Path, graph: bytes) -> Any:
    store = weights.pinned(root, {"openface": graph})
    return Registry().create(EngineKind.RECOGNIZER, "deepface:OpenFace", EngineContext(weights=store))


def test_a_graph_of_another_dimension_is_refused(fresh_models: None, tmp_path: Path) -> None:
    shape = SHAPES["deepface:OpenFace"]
    recognizer = openface(tmp_path, random_graph(Shape(weights="openface", size=shape.size, dimension=77)))
    black = np.zeros((shape.size.height, shape.size.width, 3), np.uint8)
    with pytest.raises(PrivFaceError) as caught:
        recognizer.represent([black])
    assert caught.value.code is ErrorCode.ENGINE_FAILED


def test_a_file_that_is_no_graph_is_refused(fresh_models: None, tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as caught:
        openface(tmp_path, b"not a graph")
    assert caught.value.code is ErrorCode.ENGINE_FAILED
    assert "OpenFace" in caught.value.message


def test_other_weights_make_another_identity(fresh_models: None, tmp_path: Path) -> None:
    usual = engine(EngineKind.RECOGNIZER, "deepface:OpenFace").identity
    other = openface(tmp_path, random_graph(SHAPES["deepface:OpenFace"], seed=8)).identity
    assert other.name == usual.name
    assert other.weights_digest != usual.weights_digest


def test_another_normalization_makes_another_identity(tmp_path: Path) -> None:
    store = weights.pinned(tmp_path, {"facenet": random_graph(SHAPES["deepface:Facenet"])})
    usual, other = (
        Registry().create(EngineKind.RECOGNIZER, "deepface:Facenet", EngineContext(weights=store), options).identity
        for options in ({}, {"normalization": "base"})
    )
    assert usual.weights_digest == other.weights_digest
    assert usual.name == "deepface:Facenet+Facenet"
    assert other.name == "deepface:Facenet+base"


def test_an_unknown_normalization_is_refused(tmp_path: Path) -> None:
    store = weights.pinned(tmp_path, {"facenet": random_graph(SHAPES["deepface:Facenet"])})
    with pytest.raises(PrivFaceError) as caught:
        Registry().create(
            EngineKind.RECOGNIZER, "deepface:Facenet", EngineContext(weights=store), {"normalization": "none such"}
        )
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    assert "Facenet2018" in str(caught.value.allowed)


WITH_WEIGHTS = [
    (EngineKind.DETECTOR, "opencv:yunet", "yunet"),
    (EngineKind.DETECTOR, "deepface:yunet", "yunet"),
    (EngineKind.DETECTOR, "deepface:dlib", "dlib-5-landmarks"),
    (EngineKind.RECOGNIZER, "deepface:SFace", "sface"),
    (EngineKind.RECOGNIZER, "deepface:Dlib", "dlib-resnet"),
]


@pytest.mark.weights
@pytest.mark.parametrize(("kind", "name", "file"), WITH_WEIGHTS, ids=[name for _, name, _ in WITH_WEIGHTS])
def test_weights_changed_by_a_byte_are_not_loaded(kind: EngineKind, name: str, file: str, tmp_path: Path) -> None:
    registry = Registry()
    if missing := registry.missing(registry.spec(kind, name)):
        pytest.skip(f"{name} needs {', '.join(missing)}")
    store = WeightsStore(tmp_path)
    path = store.file(file)
    path.parent.mkdir(parents=True)
    shutil.copyfile(weights.real().path(file), path)
    registry.create(kind, name, EngineContext(weights=store))
    with path.open("r+b") as changed:
        changed.seek(path.stat().st_size // 2)
        byte = changed.read(1)[0]
        changed.seek(-1, 1)
        changed.write(bytes([byte ^ 1]))
    with pytest.raises(PrivFaceError) as caught:
        registry.create(kind, name, EngineContext(weights=WeightsStore(tmp_path)))
    assert caught.value.code is ErrorCode.WEIGHTS_MISMATCH


@pytest.mark.parametrize(("kind", "name", "file"), WITH_WEIGHTS, ids=[name for _, name, _ in WITH_WEIGHTS])
def test_weights_that_are_not_there_are_named(kind: EngineKind, name: str, file: str, tmp_path: Path) -> None:
    registry = Registry()
    if missing := registry.missing(registry.spec(kind, name)):
        pytest.skip(f"{name} needs {', '.join(missing)}")
    with pytest.raises(PrivFaceError) as caught:
        registry.create(kind, name, EngineContext(weights=WeightsStore(tmp_path)))
    assert caught.value.code is ErrorCode.WEIGHTS_MISSING
    assert file in caught.value.message


def create_with_backend(backend: str, root: Path) -> Any:
    context = EngineContext(weights=WeightsStore(root))
    return Registry().create(EngineKind.DETECTOR, "deepface:opencv", context, {"backend": backend})


def test_an_unknown_backend_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as caught:
        create_with_backend("abacus", tmp_path)
    assert caught.value.code is ErrorCode.ENGINE_UNKNOWN
    assert caught.value.allowed == "onnx, tensorflow, pytorch"


def test_a_second_backend_in_one_process_is_refused(tmp_path: Path) -> None:
    create_with_backend("onnx", tmp_path)
    with pytest.raises(PrivFaceError) as caught:
        create_with_backend("pytorch", tmp_path)
    assert caught.value.code is ErrorCode.ENGINE_FAILED


def test_a_backend_that_is_not_installed_says_what_to_type(tmp_path: Path) -> None:
    """In a process of its own: DeepFace keeps to its first backend."""
    if find_spec("torch") is not None:
        pytest.skip("PyTorch is installed")
    code = (
        "import sys; from pathlib import Path\n"
        "from privface_backend.engines.deepface_runtime import load_deepface\n"
        "from privface_backend.errors import PrivFaceError\n"
        "try: load_deepface(Path(sys.argv[1]), 'pytorch')\n"
        "except PrivFaceError as error: print(error.code, 'deepface' in sys.modules, error.message)\n"
    )
    output = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    assert output.startswith("engine_missing False ")
    assert output.strip().endswith("pip install torch")
