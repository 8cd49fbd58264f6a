"""Particular facts about the anonymizers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import MAX_KERNEL
from privface_backend.engines.anonymizers.pixelate import MAX_CELL
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode
from support.engines import engine

SIZES = [(1, 1), (1, 64), (64, 1), (3, 2), (50, 50), (97, 131), (120, 160), (240, 427)]


def picture(height: int, width: int) -> Pixels:
    """Noise with large even areas of every level."""
    pixels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[height // 2 :, width // 2 :] = 255
    pixels[: height // 4, : width // 4] = 0
    return pixels


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gaussian_is_opencvs_to_the_bit(height: int, width: int) -> None:
    anonymizer = engine(EngineKind.ANONYMIZER, "gaussian")
    pixels = picture(height, width)
    for kernel in range(1, 100, 2):
        expected = cv2.GaussianBlur(pixels, (kernel, kernel), 0)
        np.testing.assert_array_equal(anonymizer.apply(pixels, kernel), expected)


def test_gaussian_of_one_is_no_blur() -> None:
    pixels = picture(40, 50)
    np.testing.assert_array_equal(engine(EngineKind.ANONYMIZER, "gaussian").apply(pixels, 1), pixels)


def test_gaussians_sigma_is_opencvs() -> None:
    """Told in place of 0, it changes nothing: for a kernel that is not one of OpenCV's small fixed ones."""
    anonymizer = engine(EngineKind.ANONYMIZER, "gaussian")
    pixels = picture(40, 50)
    for kernel in range(9, MAX_KERNEL + 1, 2):
        sigma = anonymizer.sigma(kernel)
        expected = cv2.GaussianBlur(pixels, (kernel, kernel), sigma)
        np.testing.assert_array_equal(anonymizer.apply(pixels, kernel), expected)


@pytest.mark.parametrize("kernel", [*range(0, 300, 2), MAX_KERNEL + 2, 99_999, -1, -3])
def test_gaussian_takes_odd_kernels_up_to_its_limit(kernel: int) -> None:
    with pytest.raises(PrivFaceError) as caught:
        engine(EngineKind.ANONYMIZER, "gaussian").apply(picture(5, 5), kernel)
    assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
    assert caught.value.allowed == "an odd kernel size in pixels, 1 (no blur) to 255"


def pixelated(pixels: Pixels, cell: int) -> list[list[list[int]]]:
    """Pixel by pixel, in integers: the mean of the cell, halves upward."""
    height, width, _ = pixels.shape
    values = pixels.tolist()
    out = [[[0, 0, 0] for _ in range(width)] for _ in range(height)]
    for top in range(0, height, cell):
        for left in range(0, width, cell):
            rows = range(top, min(top + cell, height))
            columns = range(left, min(left + cell, width))
            area = len(rows) * len(columns)
            for channel in range(3):
                total = sum(values[y][x][channel] for y in rows for x in columns)
                mean, rest = divmod(total, area)
                for y in rows:
                    for x in columns:
                        out[y][x][channel] = mean + (2 * rest >= area)
    return out


@given(height=st.integers(1, 40), width=st.integers(1, 40), cell=st.integers(1, 45), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_pixelate_equals_plain_arithmetic(height: int, width: int, cell: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    result = engine(EngineKind.ANONYMIZER, "pixelate").apply(pixels, cell)
    assert result.tolist() == pixelated(pixels, cell)


def test_pixelate_rounds_halves_upward() -> None:
    pixels = np.array([[[0, 1, 254], [1, 2, 255]]], np.uint8)
    result = engine(EngineKind.ANONYMIZER, "pixelate").apply(pixels, 2)
    assert result.tolist() == [[[1, 2, 255], [1, 2, 255]]]


def test_pixelate_keeps_the_last_cells_apart() -> None:
    pixels = np.zeros((5, 7, 3), np.uint8)
    pixels[4] = 200
    pixels[:, 6] = 100
    result = engine(EngineKind.ANONYMIZER, "pixelate").apply(pixels, 4)
    assert (result[:4, :4] == 0).all()
    assert (result[4, :4] == 200).all()
    assert (result[:4, 4:] == round(100 / 3)).all()
    assert (result[4, 4:] == round((200 + 200 + 100) / 3)).all()


@pytest.mark.parametrize("cell", [2, 7, 16, 100, MAX_CELL])
def test_pixelate_leaves_one_color_a_cell(cell: int) -> None:
    pixels = picture(240, 427)
    result = engine(EngineKind.ANONYMIZER, "pixelate").apply(pixels, cell)
    for top in range(0, 240, cell):
        for left in range(0, 427, cell):
            block = result[top : top + cell, left : left + cell]
            assert (block == block[0, 0]).all()


@pytest.mark.parametrize("cell", [0, -1, MAX_CELL + 1])
def test_pixelate_says_which_cells_it_takes(cell: int) -> None:
    with pytest.raises(PrivFaceError) as caught:
        engine(EngineKind.ANONYMIZER, "pixelate").apply(picture(5, 5), cell)
    assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
    assert caught.value.allowed == "a cell size in pixels, 1 (no change) to 256"


def test_none_changes_nothing() -> None:
    pixels = picture(33, 20)
    anonymizer = engine(EngineKind.ANONYMIZER, "none")
    np.testing.assert_array_equal(anonymizer.apply(pixels, 1), pixels)
    for parameter in (0, 2, 17):
        with pytest.raises(PrivFaceError) as caught:
            anonymizer.apply(pixels, parameter)
        assert caught.value.allowed == "1"
