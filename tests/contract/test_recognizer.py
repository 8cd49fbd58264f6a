"""What every recognizer does, whichever it is.

SFace and Dlib run on their real weights. The other models of DeepFace run on graphs of the right shape with random
numbers in them, since their weights can be had at DeepFace's own addresses only: that shows the way from crops to unit
vectors, and nothing about whom they recognize.
"""

from __future__ import annotations

import string

import numpy as np
import pytest

from privface_backend.domain.geometry import Box, Size
from privface_backend.plugins.ports import Recognizer
from privface_backend.plugins.spec import EngineKind
from support.engines import all_names, crops_for, engine, names


@pytest.fixture(params=names(EngineKind.RECOGNIZER))
def recognizer(request: pytest.FixtureRequest) -> Recognizer:
    found = engine(EngineKind.RECOGNIZER, request.param)
    assert isinstance(found, Recognizer)
    assert found.identity.name.split("+")[0] == request.param
    return found


@pytest.fixture
def name(recognizer: Recognizer) -> str:
    return recognizer.identity.name.split("+")[0]


@pytest.mark.parametrize("name", all_names(EngineKind.RECOGNIZER))
def test_runs_here_or_says_what_is_missing(name: str) -> None:
    assert isinstance(engine(EngineKind.RECOGNIZER, name), Recognizer)


def test_states_what_its_embeddings_are(recognizer: Recognizer) -> None:
    identity = recognizer.identity
    assert identity.dimension > 1
    assert len(identity.weights_digest) == 64
    assert set(identity.weights_digest) <= set(string.hexdigits.lower())
    assert -1.0 < recognizer.verification_threshold < 1.0


def test_states_where_it_wants_the_landmarks(recognizer: Recognizer) -> None:
    template = recognizer.template
    assert template.name
    assert isinstance(template.size, Size)
    assert template.landmarks.shape == (5, 2)
    assert template.landmarks.dtype == np.float32
    frame = Box.of_frame(template.size)
    assert all(Box(x, y, 1.0, 1.0).intersection(frame).area == 1.0 for x, y in template.landmarks.tolist())
    eyes, nose, mouth = template.landmarks[:2], template.landmarks[2], template.landmarks[3:]
    assert eyes[0, 0] < eyes[1, 0]
    assert mouth[0, 0] < mouth[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()


def test_gives_one_unit_vector_a_crop(recognizer: Recognizer, name: str) -> None:
    crops = crops_for(name)
    for count in (1, 2, len(crops)):
        vectors = recognizer.represent(crops[:count])
        assert vectors.shape == (count, recognizer.identity.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_gives_no_vector_for_no_crop(recognizer: Recognizer) -> None:
    vectors = recognizer.represent([])
    assert vectors.shape == (0, recognizer.identity.dimension)
    assert vectors.dtype == np.float32


def test_a_batch_is_as_good_as_one_by_one(recognizer: Recognizer, name: str) -> None:
    crops = crops_for(name)
    together = recognizer.represent(crops)
    alone = np.concatenate([recognizer.represent([crop]) for crop in crops])
    assert (together * alone).sum(axis=1).min() > 0.9999


def test_the_same_crop_gives_the_same_vector(recognizer: Recognizer, name: str) -> None:
    crops = crops_for(name)
    first = recognizer.represent(crops[:1])
    recognizer.represent(crops[1:])
    np.testing.assert_array_equal(recognizer.represent([crops[0].copy()]), first)


def test_other_crops_give_other_vectors_in_their_order(recognizer: Recognizer, name: str) -> None:
    crops = crops_for(name)
    vectors = recognizer.represent(crops)
    alike = recognizer.represent(crops[::-1]) @ vectors.T
    expected = np.arange(len(crops))[::-1]
    np.testing.assert_array_equal(alike.argmax(axis=1), expected)
    assert (alike > 0.9999).sum() == len(crops)


def test_leaves_its_input_alone(recognizer: Recognizer, name: str) -> None:
    crops = [crop.copy() for crop in crops_for(name)]
    recognizer.represent(crops)
    for crop, before in zip(crops, crops_for(name), strict=True):
        np.testing.assert_array_equal(crop, before)


def test_takes_a_black_crop(recognizer: Recognizer, name: str) -> None:
    size = recognizer.template.size
    black = np.zeros((size.height, size.width, 3), np.uint8)
    vectors = recognizer.represent([black, crops_for(name)[0]])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[1], recognizer.represent(crops_for(name)[:1])[0], atol=1e-4)
