"""Measured score models: of SFace with five-point alignment, and spread from it for other recognizers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

import numpy as np

from privface_backend.domain.calibration import ScoreCurve, ScoreModel, Whitening
from privface_backend.domain.matching import Contract

_SFACE: Final = ("deepface:SFace", "opencv:sface")
_SFACE_SOURCE: Final = "803 public figures, 451 of them as strangers to 28 households of eight (2026-11)"


@cache
def _read_whitening(name: str) -> Whitening:
    """A matrix that ships with the package."""
    data = (files("privface_backend.domain") / "statistics" / f"{name}.npy").read_bytes()
    matrix = np.asarray(np.load(BytesIO(data), allow_pickle=False), dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


# Multi-scale YuNet, five-point alignment, SFace; people with three pictures each, half of all people measured with the
# other half's statistic.
_SFACE_CURVES: Final = ScoreModel(
    strengths=(0.0, 0.0179, 0.0307, 0.0436, 0.0565, 0.085, 0.1),
    strangers=ScoreCurve(
        # Measured on press pictures; from r = 0.03 on with 0.01 and 0.03 more, as strangers before one household's own
        # camera share its light and place with the people who were enrolled there, which blur leaves.
        mean=(0.095, 0.088, 0.1035, 0.1227, 0.1457, 0.2093, 0.233),
        deviation=(0.0865, 0.088, 0.094, 0.0975, 0.0975, 0.0905, 0.09),
    ),
    same=ScoreCurve(
        mean=(0.694, 0.674, 0.629, 0.568, 0.51, 0.4, 0.345),
        deviation=(0.111, 0.113, 0.117, 0.122, 0.125, 0.127, 0.13),
    ),
    pairs=ScoreCurve(
        mean=(0.095, 0.091, 0.08, 0.073, 0.115, 0.305, 0.4),
        deviation=(0.088, 0.09, 0.099, 0.11, 0.12, 0.149, 0.155),
    ),
    rise=1.3,
    light=0.012,
    onset=(0.02, 0.055),
    source=_SFACE_SOURCE,
)


def score_model(contract: Contract, verification_threshold: float) -> ScoreModel:
    """The model for a contract: measured where it was, else SFace's, moved to the recognizer's published threshold."""
    if contract.is_sealed:
        return _already_whitened(score_model(contract.unsealed(), verification_threshold))
    if contract.recognizer.startswith(_SFACE) and contract.alignment.startswith("five-point"):
        return _SFACE_CURVES.whitened_by(_read_whitening("sface-five-point"))
    return _SFACE_CURVES.scaled(verification_threshold, "the recognizer's published threshold for clear pairs")


def _already_whitened(model: ScoreModel) -> ScoreModel:
    """The model for embeddings that were whitened before they came: two people's are as far apart as strangers' are,
    which were measured whitened, and clear."""
    count = len(model.strengths)
    pairs = ScoreCurve(mean=model.strangers.mean[:1] * count, deviation=model.strangers.deviation[:1] * count)
    return replace(model, pairs=pairs, whitening=None)
