"""What every anonymizer does, whichever it is."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.frames import Pixels
from privface_backend.engines.anonymizers.background import FLAT
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import Anonymizer, FaceKeeper, MosaicAnonymizer, NoisyAnonymizer
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode
from support.engines import all_names, engine, names

SIZES = [(1, 1), (1, 50), (50, 1), (2, 3), (33, 17), (97, 101), (240, 320)]
NEVER = [
    -1,
    -17,
    -(2**70),
    0,
    2**31,
    2**70,
    True,
    False,
    17.0,
    1.0,
    float("nan"),
    "17",
    "",
    b"17",
    None,
    [17],
    (17, 17),
]


@pytest.fixture(params=names(EngineKind.ANONYMIZER))
def anonymizer(request: pytest.FixtureRequest) -> Anonymizer:
    return named(request.param)


def named(name: str) -> Anonymizer:
    found = engine(EngineKind.ANONYMIZER, name)
    assert isinstance(found, Anonymizer)
    assert found.name == name
    return found


def picture(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def allowed(anonymizer: Anonymizer) -> list[int]:
    """All parameters up to 1024 that it takes."""
    return [parameter for parameter in range(1, 1025) if takes(anonymizer, parameter)]


def takes(anonymizer: Anonymizer, parameter: int) -> bool:
    try:
        anonymizer.validate(parameter)
    except PrivFaceError:
        return False
    return True


@pytest.mark.parametrize("name", all_names(EngineKind.ANONYMIZER))
def test_runs_here_or_says_what_is_missing(name: str) -> None:
    assert isinstance(engine(EngineKind.ANONYMIZER, name), Anonymizer)


@pytest.mark.parametrize("parameter", NEVER, ids=repr)
def test_refuses_what_is_no_strength(anonymizer: Anonymizer, parameter: object) -> None:
    for refuse in (anonymizer.validate, lambda value: anonymizer.apply(picture(8, 8), value)):
        with pytest.raises(PrivFaceError) as caught:
            refuse(cast("int", parameter))
        assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
        assert caught.value.allowed == anonymizer.allowed
        assert anonymizer.allowed


def test_refuses_on_applying_whatever_it_refuses(anonymizer: Anonymizer) -> None:
    for parameter in range(-3, 300):
        if takes(anonymizer, parameter):
            assert anonymizer.apply(picture(3, 4), parameter).shape == (3, 4, 3)
        else:
            with pytest.raises(PrivFaceError) as caught:
                anonymizer.apply(picture(3, 4), parameter)
            assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gives_a_new_picture_and_leaves_the_old_one(anonymizer: Anonymizer, height: int, width: int) -> None:
    pixels = picture(height, width)
    before = pixels.copy()
    strengths = allowed(anonymizer)
    for parameter in {strengths[0], strengths[len(strengths) // 10], strengths[len(strengths) // 2], strengths[-1]}:
        result = anonymizer.apply(pixels, parameter)
        np.testing.assert_array_equal(pixels, before)
        assert result.shape == pixels.shape
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
        assert not np.shares_memory(result, pixels)
        if not isinstance(anonymizer, NoisyAnonymizer):
            np.testing.assert_array_equal(anonymizer.apply(pixels, parameter), result)


def test_sigma_grows_with_the_parameter(anonymizer: Anonymizer) -> None:
    sigmas = [anonymizer.sigma(parameter) for parameter in allowed(anonymizer)]
    assert sigmas[0] == 0.0
    assert all(first < second for first, second in pairwise(sigmas))


def test_every_parameter_comes_back_from_its_sigma(anonymizer: Anonymizer) -> None:
    for parameter in allowed(anonymizer):
        assert anonymizer.parameter_for(anonymizer.sigma(parameter)) == parameter


@pytest.mark.parametrize("name", names(EngineKind.ANONYMIZER))
@given(sigma=st.floats(0, 1e6))
@settings(max_examples=200, deadline=None)
def test_finds_the_parameter_nearest_to_a_sigma(name: str, sigma: float) -> None:
    anonymizer = named(name)
    found = anonymizer.parameter_for(sigma)
    anonymizer.validate(found)
    nearest = min(abs(anonymizer.sigma(parameter) - sigma) for parameter in allowed(anonymizer))
    assert abs(anonymizer.sigma(found) - sigma) <= nearest + 1e-9


def test_takes_detail_away_as_its_sigma_says(anonymizer: Anonymizer) -> None:
    """Noise of one pixel's size, blurred by a gaussian of sigma, keeps 1 / (2 sigma sqrt(pi)) of its deviation.

    A square cell of the same variance keeps 1 / (sigma sqrt(12)), 2 % more.
    """
    if isinstance(anonymizer, NoisyAnonymizer):
        pytest.skip("it adds what it takes away, and more")
    noise = np.random.default_rng(3).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for parameter in allowed(anonymizer):
        sigma = anonymizer.sigma(parameter)
        if not 1.0 <= sigma <= 12.0:
            continue
        left = anonymizer.apply(noise, parameter).astype(np.float64).std() / noise.std()
        assert left <= 1.25 / (2 * sigma * np.sqrt(np.pi))


def test_leaves_an_even_picture_as_it_is(anonymizer: Anonymizer) -> None:
    """One that keeps faces only makes it flat; one that adds noise gives it some."""
    for color in (0, 1, 127, 254, 255):
        even = np.full((40, 61, 3), color, np.uint8)
        expected = np.full_like(even, FLAT) if isinstance(anonymizer, FaceKeeper) else even
        for parameter in allowed(anonymizer)[::20]:
            done = anonymizer.apply(even, parameter)
            if isinstance(anonymizer, NoisyAnonymizer):
                # Large cells have so little of it that it may be rounded away.
                assert (done != expected).any() or parameter > 20
            else:
                np.testing.assert_array_equal(done, expected)


@pytest.mark.parametrize("height", [1, 33, 240])
@pytest.mark.parametrize("name", [name for name in names(EngineKind.ANONYMIZER) if "pixelate" in name])
def test_a_mosaic_can_be_shown_without_its_edges(name: str, height: int) -> None:
    """Nothing is put in: no step is larger than before, and what is even stays so."""
    anonymizer = named(name)
    assert isinstance(anonymizer, MosaicAnonymizer)
    pixels = picture(height, 2 * height)
    for parameter in (1, 2, 5, 8, 30):
        seen = anonymizer.apply(pixels, parameter)
        before = seen.copy()
        smooth = anonymizer.smooth(seen, parameter)
        np.testing.assert_array_equal(seen, before)
        assert smooth.shape == seen.shape
        assert smooth.dtype == np.uint8
        assert not np.shares_memory(smooth, seen)
        if parameter == 1 or min(seen.shape[:2]) == 1:
            continue
        inner = np.abs(np.diff(smooth.astype(np.int16), axis=1))
        assert inner.max() <= np.abs(np.diff(seen.astype(np.int16), axis=1)).max()
    even = np.full((height, height, 3), 77, np.uint8)
    np.testing.assert_array_equal(anonymizer.smooth(even, 8), even)
