"""Measured thresholds: how alike a probe and an enrolled face must be, by the probe's strength r.

Under strong blur all faces move together, so that one constant can't serve. See benchmarks/thresholds.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from privface_backend.domain.matching import Contract, ThresholdCurve

# SFace, five-point alignment, multi-scale YuNet: where 1 in 1,000 strangers is named in a household of 8 people
# with 3 pictures each; on people who are in no household that the project's figures are measured on.
_SFACE_FIVE_POINT: Final = ThresholdCurve(
    points={
        0.0: 0.42,
        0.01: 0.43,
        0.015: 0.445,
        0.02: 0.446,
        0.025: 0.46,
        0.03: 0.477,
        0.04: 0.497,
        0.05: 0.5,
        0.065: 0.525,
        0.08: 0.56,
        0.1: 0.61,
    },
    # The same where pictures were anonymized before they were enrolled, for lightest templates of r up to 0.11.
    rise=2.25,
    light=0.018,
    onset=(0.035, 0.05),
)


def threshold_curve(contract: Contract, verification_threshold: float) -> ThresholdCurve:
    """The curve for a contract: measured where it was, else the model's published constant, raised as SFace's."""
    if contract.recognizer.startswith("deepface:SFace") and contract.alignment.startswith("five-point"):
        return _SFACE_FIVE_POINT
    start = _SFACE_FIVE_POINT.at(0.0)
    # The share of the way to 1 that SFace's threshold goes carries over; its absolute rise would pass 1 elsewhere.
    share = (1 - verification_threshold) / (1 - start)
    return replace(
        _SFACE_FIVE_POINT,
        points={r: verification_threshold + share * (value - start) for r, value in _SFACE_FIVE_POINT.points.items()},
        rise=share * _SFACE_FIVE_POINT.rise,
    )
