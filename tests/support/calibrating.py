"""Households of made-up faces for calibrations, whose right answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from privface_backend.calibration.measuring import Household
from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.matching import Template
from privface_backend.domain.privacy import CLEAR, LADDER, PrivacyLevel
from support.decisions import make_model

DIMENSION = 64
LEVELS = (CLEAR, *(PrivacyLevel("gaussian", strength) for strength in LADDER))

Draw = Callable[[int, int, PrivacyLevel], Vector]
"""The vector of a person's face at a level."""


def axis(place: int) -> Vector:
    """A direction at right angles to all others of another place."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[place] = 1
    return vector


def recognizable_up_to(limit: float) -> Draw:
    """Each person has a direction of their own up to a strength; beyond it each face has another one at each level."""

    def draw(person: int, face: int, level: PrivacyLevel) -> Vector:
        rng = np.random.default_rng([person, face, round(level.relative * 1000)])
        noise = 0.02 * rng.standard_normal(DIMENSION)
        if level.relative <= limit:
            return normalized(axis(person) + noise)
        return normalized(axis(32 + (7 * person + face) % 32) + noise)

    return draw


def identical(_person: int, _face: int, _level: PrivacyLevel) -> Vector:
    """Everybody looks the same."""
    return axis(0)


def make_templates(faces: Sequence[int], draw: Draw, levels: Sequence[PrivacyLevel] = LEVELS) -> list[Template]:
    """``faces``: how many each person has."""
    return [
        Template(
            face_id=f"face {person}.{face}",
            person_id=f"person {person}",
            level=level,
            vector=draw(person, face, level),
        )
        for person, count in enumerate(faces)
        for face in range(count)
        for level in levels
    ]


def make_household(templates: Sequence[Template], **changes: Any) -> Household:
    return Household(
        **{
            "templates": templates,
            "model": make_model(),
            "rules": DecisionRules(),
            "ladder": LADDER,
            "strongest": 0.065,
            "contract": "synthetic",
            **changes,
        }
    )
