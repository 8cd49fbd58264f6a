"""Measured score models: of SFace with five-point alignment, and spread from it for other recognizers."""

from __future__ import annotations

from typing import Final

from privface_backend.domain.calibration import ScoreCurve, ScoreModel
from privface_backend.domain.matching import Contract

_SFACE_FIVE_POINT: Final = ScoreModel(
    strengths=(0.0, 0.1),
    strangers=ScoreCurve(mean=(0.1, 0.2), deviation=(0.09, 0.1)),
    same=ScoreCurve(mean=(0.7, 0.7), deviation=(0.12, 0.12)),
    pairs=ScoreCurve(mean=(0.05, 0.3), deviation=(0.1, 0.1)),
)


def score_model(contract: Contract, verification_threshold: float) -> ScoreModel:
    """The model for a contract: measured where it was, else SFace's, moved to the recognizer's published threshold."""
    if contract.recognizer.startswith("deepface:SFace") and contract.alignment.startswith("five-point"):
        return _SFACE_FIVE_POINT
    return _SFACE_FIVE_POINT.scaled(verification_threshold, "the recognizer's published threshold")
