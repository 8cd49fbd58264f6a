"""Kernels, sigmas and the bar for faces."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.faces import DetectedFace, normalized
from privface_backend.domain.geometry import Box
from privface_backend.domain.privacy import CLEAR, LADDER, MAX_KERNEL, PrivacyLevel, kernel_of_sigma, sigma_of_kernel
from privface_backend.domain.quality import QualityBar, turn
from privface_backend.engines.synthetic import LANDMARKS
from privface_backend.protocol import Reason

KERNELS = range(1, MAX_KERNEL + 1, 2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_odd_kernel_comes_back_from_its_sigma(kernel: int) -> None:
    assert kernel_of_sigma(sigma_of_kernel(kernel)) == kernel


@pytest.mark.parametrize("kernel", [11, 17, 51, 255])
def test_sigma_is_the_one_that_opencv_uses(kernel: int) -> None:
    # For less OpenCV has kernels of rounded numbers, of about this sigma.
    assert cv2.getGaussianKernel(kernel, 0) == pytest.approx(cv2.getGaussianKernel(kernel, sigma_of_kernel(kernel)))


@given(st.floats(0, 60))
def test_the_kernel_is_the_nearest_one(sigma: float) -> None:
    found = kernel_of_sigma(sigma)
    assert found in KERNELS
    best = min(abs(sigma_of_kernel(kernel) - sigma) for kernel in KERNELS)
    assert abs(sigma_of_kernel(found) - sigma) <= best + 1e-9


def test_levels() -> None:
    assert CLEAR.is_clear
    assert not PrivacyLevel("gaussian", 0.01).is_clear
    assert list(LADDER) == sorted(set(LADDER))


GOOD = DetectedFace(Box(10, 10, 100, 120), 0.9, LANDMARKS * np.float32(100) + np.float32(10))
BAR = QualityBar()


def with_landmarks(*points: tuple[float, float]) -> DetectedFace:
    return replace(GOOD, landmarks=np.array(points, np.float32))


@pytest.mark.parametrize(
    ("face", "relative", "reason"),
    [
        (GOOD, 0.0, Reason.OK),
        (GOOD, BAR.strongest, Reason.OK),
        (GOOD, BAR.strongest * 1.01, Reason.TOO_BLURRY),
        (replace(GOOD, box=Box(0, 0, BAR.smallest - 0.1, 50)), 0.0, Reason.TOO_SMALL),
        (replace(GOOD, box=Box(0, 0, BAR.smallest, 50)), 0.0, Reason.OK),
        (replace(GOOD, score=BAR.detection - 0.01), 0.0, Reason.LOW_DETECTION),
        (replace(GOOD, landmarks=None), 0.0, Reason.OK),
        (with_landmarks((0, 0), (10, 0)), 0.0, Reason.OK),
        (with_landmarks((0, 0), (10, 0), (13, 5), (2, 9), (8, 9)), 0.0, Reason.POSE),
        (with_landmarks((0, 0), (10, 0), (12, 5), (2, 9), (8, 9)), 0.0, Reason.OK),
        (with_landmarks((5, 5), (5, 5), (5, 5), (5, 5), (5, 5)), 0.0, Reason.POSE),
        (with_landmarks((np.nan, 5), (5, 5), (5, 5), (5, 5), (5, 5)), 0.0, Reason.POSE),
    ],
)
def test_each_reason(face: DetectedFace, relative: float, reason: Reason) -> None:
    assert BAR.judge(face, relative) is reason


def test_the_first_reason_is_given() -> None:
    assert BAR.judge(replace(GOOD, box=Box(0, 0, 1, 1), score=0.0), 1.0) is Reason.TOO_SMALL


@given(st.floats(-3, 3), st.floats(0.5, 50))
def test_the_turn_does_not_depend_on_size_or_roll(angle: float, scale: float) -> None:
    upright = with_landmarks((0, 0), (10, 0), (8, 5), (2, 9), (8, 9))
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert upright.landmarks is not None
    turned = replace(upright, landmarks=(upright.landmarks @ rotation.T).astype(np.float32))
    assert turn(turned) == pytest.approx(turn(upright), abs=1e-3) == pytest.approx(0.3, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_normalized(seed: int, scale: float) -> None:
    rows = (np.random.default_rng(seed).standard_normal((4, 16)) * scale).astype(np.float32)
    made = normalized(rows)
    assert made.dtype == np.float32
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert normalized(rows[0]) == pytest.approx(made[0], abs=1e-6)
    assert (normalized(np.zeros(16)) == 0).all()
