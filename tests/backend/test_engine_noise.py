"""Pixelate with noise (DP-Pix): how much noise there is, and that nothing about it can be guessed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from privface_backend.domain.privacy import Noise
from privface_backend.engines.anonymizers.laplace import LARGEST_SCALE, SeededWords, discrete_laplace
from privface_backend.engines.anonymizers.noisy import NoisyPixelateAnonymizer
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.anonymizing import anonymize
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy
from support.engines import engine

COUNT = 200_000


@pytest.mark.parametrize(("numerator", "denominator"), [(1, 1), (1, 3), (7, 2), (4080, 1), (255 * 16 * 1000, 500)])
def test_the_noise_is_discrete_laplace(numerator: int, denominator: int) -> None:
    """Deviation and the shares of the values, against their formulas; the seed is fixed, the limits six sigma wide."""
    found = discrete_laplace(COUNT, numerator, denominator, SeededWords(b"shares"))
    ratio = math.exp(-denominator / numerator)
    nought = (1 - ratio) / (1 + ratio)
    deviation = math.sqrt(2 * ratio) / (1 - ratio)
    assert abs(found.mean()) < 6 * deviation / math.sqrt(COUNT)
    assert found.std() == pytest.approx(deviation, rel=0.03)
    for value in (0, 1, -1, 2, -2):
        share = nought * ratio ** abs(value)
        assert abs((found == value).mean() - share) < 6 * math.sqrt(share / COUNT) + 1e-9
    beyond = round(deviation)
    tail = ratio ** (beyond + 1) / (1 + ratio) * 2
    assert (np.abs(found) > beyond).mean() == pytest.approx(tail, rel=0.05)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 0), (LARGEST_SCALE + 1, 1), (1, LARGEST_SCALE + 1)])
def test_a_scale_out_of_range_is_refused(numerator: int, denominator: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        discrete_laplace(1, numerator, denominator)


def test_extreme_scales_come_to_an_end() -> None:
    assert not discrete_laplace(1000, 1, LARGEST_SCALE).any()
    assert np.abs(discrete_laplace(1000, LARGEST_SCALE, 1)).max() > LARGEST_SCALE


def test_a_seed_gives_the_same_again_and_another_one_doesnt() -> None:
    first, again, other = (discrete_laplace(500, 4080, 1, SeededWords(seed)) for seed in (b"a", b"a", b"b"))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("cell", "epsilon", "sensitivity"), [(8, 4.0, 4), (16, 1.0, 16), (16, 10.0, 16), (32, 0.5, 16)]
)
def test_the_noise_of_a_cell_has_the_scale_of_the_formula(cell: int, epsilon: float, sensitivity: int) -> None:
    """255 m / (c^2 epsilon) gray values, whose mean size that is; the cells of middle gray are hardly clipped."""
    gray = np.full((1280, 1280, 3), 128, np.uint8)
    anonymizer = NoisyPixelateAnonymizer(Noise(epsilon=epsilon, sensitivity=sensitivity), lambda: SeededWords(b"cells"))
    done = anonymizer.apply(gray, cell)
    cells = done[::cell, ::cell].astype(np.float64)
    np.testing.assert_array_equal(done, np.repeat(np.repeat(done[::cell, ::cell], cell, axis=0), cell, axis=1))
    scale = 255 * sensitivity / (cell * cell * epsilon)
    # Mean of the size of noise that is clipped at 127.5.
    expected = scale * (1 - math.exp(-127.5 / scale))
    assert np.abs(cells - 128).mean() == pytest.approx(expected, rel=0.08, abs=0.1)
    assert abs(np.corrcoef(cells[:, :, 0].ravel(), cells[:, :, 1].ravel())[0, 1]) < 0.1, "each color has its own"


def test_smaller_cells_at_the_edge_get_more_noise() -> None:
    """A pixel weighs more in them."""
    gray = np.full((18, 16 * 4000, 3), 128, np.uint8)
    anonymizer = NoisyPixelateAnonymizer(Noise(epsilon=2.0, sensitivity=4), lambda: SeededWords(b"edge"))
    done = anonymizer.apply(gray, 16)[:, ::16].astype(np.float64) - 128
    whole, edge = np.abs(done[0]).mean(), np.abs(done[17]).mean()
    assert edge / whole == pytest.approx(8, rel=0.15)


@pytest.mark.parametrize(
    ("epsilon", "sensitivity"),
    [(0, 1), (-1.0, 1), (0.0004, 1), (0.0015, 1), (1001, 1), (math.nan, 1), (math.inf, 1), (True, 1), ("1", 1),
     (1.0, 0), (1.0, -1), (1.0, 65_537), (1.0, 1.5), (1.0, True)],
)  # fmt: skip
def test_other_noise_is_refused_and_says_what_is_allowed(epsilon: object, sensitivity: object) -> None:
    with pytest.raises(PrivFaceError) as caught:
        Noise.of(epsilon, sensitivity)
    assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
    assert caught.value.allowed is not None
    assert caught.value.allowed.startswith(("epsilon: 0.001 to 1000", "sensitivity: a whole number of pixels"))


def test_a_frame_says_how_much_noise_it_has() -> None:
    pixels = np.full((32, 32, 3), 100, np.uint8)
    anonymizer = engine(EngineKind.ANONYMIZER, "pixelate+noise")
    own = anonymize(pixels, anonymizer, Privacy(method="pixelate+noise", parameter=8), AppliedBy.BACKEND)
    assert (own.privacy.epsilon, own.privacy.sensitivity) == (1.0, 16)
    wanted = Privacy(method="pixelate+noise", parameter=8, epsilon=0.5)
    other = anonymize(pixels, anonymizer, wanted, AppliedBy.BRIDGE)
    assert (other.privacy.epsilon, other.privacy.sensitivity) == (0.5, 16)
    plain = anonymize(pixels, engine(EngineKind.ANONYMIZER, "pixelate"), wanted, AppliedBy.BRIDGE)
    assert (plain.privacy.epsilon, plain.privacy.sensitivity) == (None, None), "it has none"


def test_a_frame_with_impossible_noise_is_not_made() -> None:
    pixels = np.full((32, 32, 3), 100, np.uint8)
    wanted = Privacy(method="pixelate+noise", parameter=8, epsilon=0.0)
    with pytest.raises(PrivFaceError) as caught:
        anonymize(pixels, engine(EngineKind.ANONYMIZER, "pixelate+noise"), wanted, AppliedBy.BACKEND)
    assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
