"""Boxes, their conversions, and the similarity transform between landmarks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.frames import working_size
from privface_backend.domain.geometry import Box, Points, Size, similarity_transform

SIZES = st.builds(Size, st.integers(1, 8000), st.integers(1, 8000))
SIDES = st.floats(-3000, 3000, allow_nan=False)
LENGTHS = st.floats(0, 3000, allow_nan=False)
BOXES = st.builds(Box, SIDES, SIDES, LENGTHS, LENGTHS)
FRACTIONS = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))


def close(one: Box, other: Box, tolerance: float = 1e-6) -> bool:
    pairs = zip((one.x, one.y, one.width, one.height), (other.x, other.y, other.width, other.height), strict=True)
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=tolerance) for a, b in pairs)


@given(FRACTIONS, SIZES)
def test_a_box_inside_the_frame_comes_back_from_fractions(fractions: tuple[float, ...], size: Size) -> None:
    x, y, width, height = fractions
    box = Box.from_fractions((x, y, width * (1 - x), height * (1 - y)), size)
    assert close(Box.from_fractions(box.to_fractions(size), size), box)


@given(BOXES, SIZES)
def test_fractions_never_leave_the_frame(box: Box, size: Size) -> None:
    x, y, width, height = box.to_fractions(size)
    assert 0 <= x <= 1
    assert 0 <= y <= 1
    assert width >= 0
    assert height >= 0
    assert x + width <= 1 + 1e-12
    assert y + height <= 1 + 1e-12
    inside = box.intersection(Box.of_frame(size))
    assert math.isclose(width * size.width * height * size.height, inside.area, rel_tol=1e-6, abs_tol=1e-3)


@given(BOXES, st.floats(0.01, 100), SIDES, SIDES)
def test_scaling_and_shifting_undo_themselves(box: Box, factor: float, dx: float, dy: float) -> None:
    assert close(box.scaled(factor).scaled(1 / factor), box)
    assert close(box.shifted(dx, dy).shifted(-dx, -dy), box)
    assert math.isclose(box.scaled(factor).area, box.area * factor**2, rel_tol=1e-9, abs_tol=1e-9)


@given(BOXES, BOXES)
def test_overlap_is_symmetric_and_a_share(one: Box, other: Box) -> None:
    assert one.overlap(other) == pytest.approx(other.overlap(one), abs=1e-12)
    assert 0 <= one.overlap(other) <= 1 + 1e-9
    assert one.intersection(other).area <= min(one.area, other.area) * (1 + 1e-9) + 1e-6


@given(BOXES.filter(lambda box: box.area > 1e-3))
def test_a_box_overlaps_itself_wholly(box: Box) -> None:
    assert box.overlap(box) == pytest.approx(1.0, rel=1e-6)


def test_overlap_of_halves_and_strangers() -> None:
    assert Box(0, 0, 2, 1).overlap(Box(1, 0, 2, 1)) == pytest.approx(1 / 3)
    assert Box(0, 0, 1, 1).overlap(Box(1, 0, 1, 1)) == 0
    assert Box(0, 0, 0, 0).overlap(Box(0, 0, 0, 0)) == 0


def points(seed: int, count: int) -> Points:
    return np.random.default_rng(seed).uniform(0, 200, (count, 2)).astype(np.float32)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([2, 5]),
    st.floats(0.05, 20),
    st.floats(-math.pi, math.pi),
    st.tuples(SIDES, SIDES),
)
def test_umeyama_finds_the_transform_that_was_applied(
    seed: int, count: int, scale: float, angle: float, shift: tuple[float, float]
) -> None:
    source = points(seed, count)
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    target = (source @ turn.T + shift).astype(np.float32)
    found = similarity_transform(source, target)
    assert found[:, :2] == pytest.approx(turn, abs=0.02 * scale)
    assert source @ found[:, :2].T + found[:, 2] == pytest.approx(target, abs=max(0.1, scale * 0.5))


@given(st.integers(0, 2**32 - 1))
def test_umeyama_never_mirrors_and_is_the_best_of_its_neighbors(seed: int) -> None:
    source, target = points(seed, 5), points(seed + 1, 5)
    found = similarity_transform(source, target)
    assert np.linalg.det(found[:, :2]) >= 0
    a, b = found[0, 0], found[1, 0]
    assert found[:, :2] == pytest.approx(np.array([[a, -b], [b, a]]), abs=1e-9)

    def error(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float(((source @ matrix[:, :2].T + matrix[:, 2] - target) ** 2).sum())

    for step in ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)):
        for sign in (-1e-3, 1e-3):
            da, db, dx, dy = (sign * part for part in step)
            other = found + np.array([[da, -db, dx], [db, da, dy]])
            assert error(found) <= error(other) + 1e-6


@pytest.mark.parametrize("source", [np.zeros((5, 2)), np.full((2, 2), 7.0), np.full((5, 2), np.nan)])
def test_landmarks_without_a_scale_are_refused(source: Points) -> None:
    with pytest.raises(ValueError, match="fall together"):
        similarity_transform(source.astype(np.float32), points(1, len(source)))


@given(SIZES, st.integers(16, 4000))
def test_the_working_size_is_never_larger_and_keeps_the_shape(size: Size, longest: int) -> None:
    made = working_size(size, longest)
    assert made.longest == min(size.longest, longest)
    assert made.width <= size.width
    assert made.height <= size.height
    factor = made.longest / size.longest
    assert abs(made.width - max(1, size.width * factor)) <= 0.5 + 1e-6
    assert abs(made.height - max(1, size.height * factor)) <= 0.5 + 1e-6
