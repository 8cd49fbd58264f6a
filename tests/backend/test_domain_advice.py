"""What is learned of face sizes, and which kernel is advised for them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.face_sizes import BINS, LARGEST, MEMORY_FACES, SMALLEST, FaceSizes, read_counts
from privface_backend.domain.privacy import MAX_KERNEL, kernel_of_sigma, sigma_of_kernel
from privface_backend.domain.strength_advice import (
    LEAST_FACES,
    STRONGER_AFTER,
    WEAKER_AFTER,
    KernelAdvice,
    kernel_for,
)
from privface_backend.protocol import LARGEST_KERNEL, Advice, WireError

DAY = 86_400.0
widths = st.floats(1, 2000)


def learned(*seen: float, now: float = 0.0) -> FaceSizes:
    sizes = FaceSizes()
    for width in seen:
        sizes = sizes.seen(width, now)
    return sizes


@given(seen=st.lists(widths, min_size=20, max_size=200))
def test_quantiles_are_near_those_of_the_faces(seen: list[float]) -> None:
    sizes = learned(*seen)
    assert sizes.total == len(seen)
    clipped = np.clip(seen, SMALLEST, LARGEST)
    step = (LARGEST / SMALLEST) ** (1 / BINS)
    for share in (0.1, 0.5, 0.9):
        true = np.quantile(clipped, share, method="inverted_cdf")
        assert true / step * 0.999 <= sizes.quantile(share) <= true * step * 1.001


@given(seen=st.lists(widths, min_size=1, max_size=50))
def test_quantiles_rise(seen: list[float]) -> None:
    found = [learned(*seen).quantile(share) for share in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert all(low <= high for low, high in itertools.pairwise(found))
    assert SMALLEST <= found[0] <= found[-1] <= LARGEST * 1.001


def test_nothing_seen_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no face"):
        FaceSizes().quantile(0.5)


@pytest.mark.parametrize("width", [math.nan, -1.0, 0.0, 1e9])
def test_a_width_that_cannot_be_harms_nothing(width: float) -> None:
    assert SMALLEST <= learned(width).quantile(0.5) <= LARGEST * 1.001


def test_counts_halve_over_a_week_of_use() -> None:
    sizes = learned(*[100.0] * 64)
    for day in range(1, 8):
        sizes = sizes.seen(30.0, day * DAY)
    assert sizes.counts[13] == pytest.approx(32, rel=0.01)


def test_a_month_without_faces_counts_as_a_day() -> None:
    before = learned(*[100.0] * 64)
    assert before.seen(100.0, 30 * DAY).total == pytest.approx(before.seen(100.0, DAY).total)
    assert before.seen(100.0, -30 * DAY).total == 65, "a clock that was set back takes nothing"


def test_it_is_bounded_and_new_faces_take_over() -> None:
    sizes = learned(*[100.0] * 5000)
    assert sizes.total <= MEMORY_FACES + 1
    for _ in range(3000):
        sizes = sizes.seen(300.0, 0.0)
    assert sizes.quantile(0.1) > 250


@pytest.mark.parametrize("counts", [[], [0.0] * 23, [-1.0] * 24, [math.nan] * 24, [math.inf] * 24])
def test_counts_that_are_none_are_refused(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="counts"):
        read_counts(counts)


@given(relative=st.floats(0.005, 0.2), width=st.floats(8, 640))
def test_the_kernel_is_the_smallest_that_protects_enough(relative: float, width: float) -> None:
    kernel = kernel_for(relative, width)
    assert kernel % 2 == 1
    assert 3 <= kernel <= MAX_KERNEL
    if kernel < MAX_KERNEL:
        assert sigma_of_kernel(kernel) >= relative * width - 1e-6
    if kernel > 3:
        assert sigma_of_kernel(kernel - 2) < relative * width
    assert abs(kernel - kernel_of_sigma(relative * width)) <= 2 or kernel == 3


def follow(advice: KernelAdvice, sizes: FaceSizes, target: float = 0.03, times: int = 1) -> KernelAdvice:
    for _ in range(times):
        advice = advice.followed_by(sizes, target)
    return advice


def test_few_faces_give_no_advice() -> None:
    start = KernelAdvice(target=0.0)
    assert follow(start, learned(*[100.0] * (LEAST_FACES - 1))).kernel is None
    advice = follow(start, learned(*[100.0] * LEAST_FACES))
    assert advice.kernel is not None
    assert advice.to_advice(learned(100.0)) is not None
    assert follow(advice, learned(100.0)).kernel is None, "the faces that it stood on have faded"


def test_the_near_faces_get_the_target_and_the_far_ones_pay_for_it() -> None:
    sizes = learned(*[40.0] * 15, *[160.0] * 15)
    shown = follow(KernelAdvice(target=0.0), sizes).to_advice(sizes)
    assert shown is not None
    far, _, near = shown.relative
    assert near >= 0.03
    assert far == pytest.approx(near * shown.widths[2] / shown.widths[0])
    assert sigma_of_kernel(shown.kernel - 2) / shown.widths[2] < 0.03, "and no more than that"


def test_a_small_difference_changes_nothing() -> None:
    near = learned(*[108.0] * 30)
    wanted = kernel_for(0.03, near.quantile(0.9))
    for kernel in (wanted - 2, wanted, wanted + 2):
        before = KernelAdvice(target=0.03, kernel=kernel)
        assert follow(before, near, times=500) == before


@pytest.mark.parametrize(("width", "after"), [(250.0, STRONGER_AFTER), (40.0, WEAKER_AFTER)])
def test_a_large_one_changes_it_once_it_lasts(width: float, after: int) -> None:
    advice = follow(KernelAdvice(target=0.0), learned(*[100.0] * 30))
    others = learned(*[width] * 30)
    assert follow(advice, others, times=after - 1).kernel == advice.kernel
    assert follow(advice, others, times=after).kernel == kernel_for(0.03, others.quantile(0.9))


def test_what_goes_back_and_forth_changes_nothing() -> None:
    advice = start = follow(KernelAdvice(target=0.0), learned(*[100.0] * 30))
    for _ in range(200):
        advice = follow(advice, learned(*[250.0] * 30), times=STRONGER_AFTER - 1)
        advice = follow(advice, learned(*[100.0] * 30))
    assert advice.kernel == start.kernel


def test_another_target_counts_at_once() -> None:
    sizes = learned(*[100.0] * 30)
    advice = follow(KernelAdvice(target=0.0), sizes)
    stronger = follow(advice, sizes, target=0.06)
    assert (stronger.kernel or 0) > (advice.kernel or 0)
    assert follow(stronger, sizes, target=0.0).kernel is None


def test_an_advice_survives_the_wire() -> None:
    sizes = learned(*[100.0] * 30)
    advice = follow(KernelAdvice(target=0.0), sizes).to_advice(sizes)
    assert advice is not None
    read = Advice.from_dict(advice.to_dict())
    assert (read.kernel, read.faces, read.target) == (advice.kernel, 30, 0.03)
    assert read.widths == pytest.approx(advice.widths, abs=0.1)
    assert LARGEST_KERNEL == MAX_KERNEL


GOOD = {"kernel": 17, "target": 0.03, "faces": 30, "widths": [1, 2, 3], "relative": [1, 2, 3]}


@pytest.mark.parametrize(
    "bad",
    [
        {"kernel": 16},
        {"kernel": 257},
        {"kernel": -3},
        {"kernel": 17.0},
        {"kernel": True},
        {"kernel": "17"},
        {"kernel": math.nan},
        {"kernel": None},
        {"faces": -1},
        {"target": math.nan},
        {"widths": [1, 2]},
        {"widths": "123"},
        {"relative": [1, 2, math.inf]},
    ],
)
def test_an_advice_that_is_none_is_refused(bad: dict[str, object]) -> None:
    assert Advice.from_dict(GOOD).kernel == 17
    with pytest.raises(WireError):
        Advice.from_dict(GOOD | bad)
