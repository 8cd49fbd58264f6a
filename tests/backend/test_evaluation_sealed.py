"""The gallery ``sealed`` of evaluations: a sealed backend decides as one that has the clear picture's templates."""

from __future__ import annotations

import numpy as np
import pytest

from privface_backend.domain.faces import normalized
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.privacy import CLEAR, PrivacyLevel
from privface_backend.evaluation.scoring import GalleryKind, ScoringRules, make_scorer

RULES = ScoringRules(
    contract=Contract(
        recognizer="opencv:sface", weights_digest="ab" * 32, dimension=128, alignment="five-point/five/arcface-112"
    ),
    verification_threshold=0.4,
)
PEOPLE, FACES = 6, 3


@pytest.mark.parametrize("level", [CLEAR, PrivacyLevel("gaussian", 0.03)])
def test_scores_and_names_are_those_of_the_templates_before_they_were_sealed(level: PrivacyLevel) -> None:
    noise = np.random.default_rng(5)
    means = noise.normal(size=(PEOPLE, 128))
    templates = [
        Template(
            face_id=f"{person}-{face}",
            person_id=str(person),
            level=strength,
            vector=normalized(means[person] + 0.8 * noise.normal(size=128)),
        )
        for person in range(PEOPLE)
        for face in range(FACES)
        for strength in (CLEAR, PrivacyLevel("gaussian", 0.03))
    ]
    matched, sealed = (make_scorer(kind, templates, RULES) for kind in (GalleryKind.MATCHED, GalleryKind.SEALED))
    named = set()
    for person in range(PEOPLE + 4):
        # Of the last four nobody is enrolled.
        mean = means[person] if person < PEOPLE else noise.normal(size=128)
        for _ in range(5):
            probe = normalized(mean + 0.8 * noise.normal(size=128))
            ours, theirs = matched.score(probe, level), sealed.score(probe, level)
            assert (ours.named, [one.person_id for one in ours.ranked]) == (
                theirs.named,
                [one.person_id for one in theirs.ranked],
            )
            np.testing.assert_allclose(
                [one.score for one in ours.ranked], [one.score for one in theirs.ranked], atol=1e-4
            )
            named.add(ours.named)
    assert None in named
    assert len(named) > 2, "too few are named for the comparison to say much"
