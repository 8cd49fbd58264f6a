"""Made-up scores, people and faces, for what decides about them."""

from __future__ import annotations

from typing import Any

from privface_backend.domain.calibration import ScoreCurve, ScoreModel
from privface_backend.domain.decision import Ranked, WeighedFace


def make_model(
    *, strangers: float = 0.1, deviation: float = 0.1, same: float = 0.7, pairs: float = 0.05, **changes: Any
) -> ScoreModel:
    """A model that is the same at every strength; ``changes``: of its other fields."""
    return ScoreModel(
        **{
            "strengths": (0.0, 0.1),
            "strangers": ScoreCurve(mean=(strangers, strangers), deviation=(deviation, deviation)),
            "same": ScoreCurve(mean=(same, same), deviation=(0.12, 0.12)),
            "pairs": ScoreCurve(mean=(pairs, pairs), deviation=(0.1, 0.1)),
            **changes,
        }
    )


def make_ranked(person: str, score: float, *, threshold: float = 0.5, **changes: Any) -> Ranked:
    """A person with that score, where strangers' scores have a deviation of 0.1."""
    return Ranked(
        **{
            "person_id": person,
            "face_id": f"face of {person}",
            "score": score,
            "threshold": threshold,
            "excess": (score - threshold) / 0.1,
            "evidence": (score - 0.4) * 10,
            **changes,
        }
    )


def weighed(*ranked: Ranked, weight: float = 1.0) -> WeighedFace:
    """A face that was compared with these people, in the order of their excess."""
    return WeighedFace(weight=weight, ranked=tuple(sorted(ranked, key=lambda one: -one.excess)))
