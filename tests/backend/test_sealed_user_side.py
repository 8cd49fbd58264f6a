"""The user side: what leaves it compares as a clear picture's templates do, and says nothing without the key."""

from __future__ import annotations

import json

import numpy as np
import pytest

from privface_backend.domain.faces import Vectors, normalized
from privface_backend.domain.matching import Contract
from privface_backend.domain.privacy import CLEAR
from privface_backend.domain.score_models import score_model
from privface_backend.pipeline.enrollment import FaceChoice
from privface_backend.plugins.ports import Recognizer
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import EngineNames, Reason
from privface_backend.sealed.enrollments import SealedEnrollment
from privface_backend.sealed.frames import SealedFrame
from privface_backend.sealed.terms import SealedTerms
from privface_backend.sealed.user_side import Seal
from support.backend import ADA, BEN, picture, pixels
from support.engines import crops_for, engine
from support.sealed import KEY, OTHER_KEY, user_side

SFACE = Contract(recognizer="opencv:sface", weights_digest="ab" * 8, dimension=128, alignment="five-point/five/arcface")
TERMS = SealedTerms(
    contract=SFACE, engine=EngineNames(detector="opencv:yunet", recognizer="opencv:sface"), threshold=0.4
)


def random_vectors(count: int) -> Vectors:
    return normalized(np.random.default_rng(3).normal(size=(count, 128)))


def test_similarities_are_those_that_the_pipeline_would_have_compared() -> None:
    seal, model, vectors = Seal(TERMS, KEY), score_model(SFACE, 0.4), random_vectors(40)
    sealed = np.stack([seal(vector) for vector in vectors])
    whitened = model.whiten(vectors)
    np.testing.assert_allclose(sealed @ sealed.T, whitened @ whitened.T, atol=2e-6)
    assert sealed.dtype == np.float32
    assert np.abs(whitened @ vectors.T - vectors @ vectors.T).max() > 0.01, "whitening would change nothing"


def test_without_the_key_what_leaves_is_as_far_from_a_face_as_any_other() -> None:
    vectors = random_vectors(200)
    sealed = np.stack([Seal(TERMS, KEY)(vector) for vector in vectors[:20]])
    others = np.stack([Seal(TERMS, OTHER_KEY)(vector) for vector in vectors[:20]])
    for gallery in (vectors, score_model(SFACE, 0.4).whiten(vectors)):
        own = np.array([sealed[row] @ gallery[row] for row in range(20)])
        # The mean of 20 cosines of unrelated vectors in 128 dimensions has a deviation of 0.02.
        assert abs(float(own.mean())) < 0.1
        assert (sealed @ gallery.T).argmax(axis=1).tolist() != list(range(20))
    assert abs(float((sealed * others).sum(axis=1).mean())) < 0.1


def test_the_backends_model_whitens_no_second_time_and_judges_alike() -> None:
    plain, sealed = score_model(SFACE, 0.4), score_model(SFACE.sealed(KEY.id), 0.4)
    assert plain.whitening is not None
    assert sealed.whitening is None
    assert sealed.threshold(0.001, 8, 0.0) == plain.threshold(0.001, 8, 0.0)
    assert sealed.evidence(0.5, 0.02, 0.01) == plain.evidence(0.5, 0.02, 0.01)
    # How alike two people are is that of whitened vectors, whatever the strength.
    assert sealed.likeness(plain.strangers.mean[0], 0.06) == pytest.approx(0.0)


def test_a_contract_names_the_key_and_can_be_taken_apart() -> None:
    sealed = SFACE.sealed(KEY.id)
    assert sealed != SFACE.sealed(OTHER_KEY.id)
    assert Contract.from_key(sealed.key) == sealed
    assert sealed.unsealed() == SFACE
    with pytest.raises(ValueError, match="sealed"):
        SFACE.unsealed()


def test_a_frame_and_an_enrollment_come_through_the_wire_whole() -> None:
    seen = user_side().look(pixels(ADA, BEN))
    read = SealedFrame.from_dict(json.loads(json.dumps(seen.to_dict())))
    assert read.terms.contract == seen.terms.contract
    assert [face.reason for face in read.faces] == [Reason.OK, Reason.OK]
    for ours, theirs in zip(seen.faces, read.faces, strict=True):
        assert ours.vector is not None
        assert theirs.vector is not None
        np.testing.assert_array_equal(ours.vector, theirs.vector)
        np.testing.assert_allclose(ours.box, theirs.box, atol=1e-5)
    made = user_side().enroll(pixels(ADA), picture(ADA), FaceChoice())
    back = SealedEnrollment.from_dict(json.loads(json.dumps(made.to_dict())))
    assert back.picture == made.picture
    assert back.vectors[0][0] == CLEAR
    assert len(back.vectors) == len(made.vectors) > 5
    other = user_side(OTHER_KEY).enroll(pixels(ADA), picture(ADA), FaceChoice())
    assert other.picture != made.picture, "the file could be told by its digest"


def test_nothing_that_is_sealed_is_shown() -> None:
    seen = user_side().look(pixels(ADA))
    made = user_side().enroll(pixels(ADA), picture(ADA), FaceChoice())
    assert "array" not in repr(seen)
    assert "array" not in repr(made)
    assert made.picture not in repr(made)


@pytest.mark.faces
@pytest.mark.weights
def test_sface_without_deepface_gives_the_same_numbers() -> None:
    with_deepface, alone = (engine(EngineKind.RECOGNIZER, name) for name in ("deepface:SFace", "opencv:sface"))
    assert isinstance(with_deepface, Recognizer)
    assert isinstance(alone, Recognizer)
    crops = crops_for("opencv:sface", 10)
    np.testing.assert_allclose(alone.represent(crops), with_deepface.represent(crops), atol=1e-5)
    assert alone.verification_threshold == pytest.approx(with_deepface.verification_threshold)
    assert alone.identity.weights_digest == with_deepface.identity.weights_digest
