"""Cells of one color with noise: DP-Pix, L. Fan, "Image Pixelization with Differential Privacy", DBSec 2018.

Each cell's mean gets Laplace noise of scale 255 * m / (c^2 * epsilon) gray values, c the cell's side, and is clipped.
Two pictures that differ in at most m pixels then give any result with probabilities that differ by a factor of at most
exp(epsilon), in each of the three colors. The noise is drawn in whole numbers and added to the sum of the cell's
pixels, scale 255 * m / epsilon, before the mean is rounded: that is the same noise, also right for the smaller cells at
the edges, without a floating-point number whose last bits could tell what it was added to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import numpy as np

from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import Noise
from privface_backend.engines.anonymizers.laplace import RandomWords, SeededWords, discrete_laplace
from privface_backend.engines.anonymizers.parameter import is_whole, refuse
from privface_backend.engines.anonymizers.pixelate import MAX_CELL, PixelateAnonymizer, sum_cells
from privface_backend.plugins.ports import EngineContext

_WHITE: Final = 255


class NoisyPixelateAnonymizer:
    """The parameter is a cell's side c in pixels, as of ``pixelate``; ``noise``: epsilon and m.

    ``words`` gives the random bytes of one picture: the operating system's, for which there is no seed.
    """

    name: Final = "pixelate+noise"
    allowed: Final = f"a cell size in pixels, 1 to {MAX_CELL}"

    def __init__(self, noise: Noise, words: Callable[[], RandomWords] = lambda: os.urandom) -> None:
        self.noise: Final = noise
        self._words: Final = words
        self._cells: Final = PixelateAnonymizer()

    def with_noise(self, noise: Noise) -> NoisyPixelateAnonymizer:
        return NoisyPixelateAnonymizer(noise, self._words)

    def validate(self, parameter: int) -> None:
        if not is_whole(parameter) or not 1 <= parameter <= MAX_CELL:
            raise refuse(self.name, self.allowed)

    def sigma(self, parameter: int) -> float:
        """That of the cells: what the noise hides besides depends on epsilon."""
        return self._cells.sigma(parameter)

    def parameter_for(self, sigma: float) -> int:
        return self._cells.parameter_for(sigma)

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        self.validate(parameter)
        sums, cells = sum_cells(pixels, parameter)
        numerator, denominator = self.noise.scale(_WHITE)
        noise = discrete_laplace(sums.size, numerator, denominator, self._words()).reshape(sums.shape)
        means = (2 * (sums + noise) + cells.areas) // (2 * cells.areas)
        return cells.fill(np.clip(means, 0, _WHITE))

    def smooth(self, pixels: Pixels, parameter: int) -> Pixels:
        return self._cells.smooth(pixels, parameter)


def create(context: EngineContext) -> NoisyPixelateAnonymizer:
    """With the options ``epsilon``, ``sensitivity`` and ``seed`` (bytes; for tests)."""
    noise = Noise.of(context.options.get("epsilon"), context.options.get("sensitivity"))
    seed = context.options.get("seed")
    if isinstance(seed, bytes):
        return NoisyPixelateAnonymizer(noise, lambda: SeededWords(seed))
    return NoisyPixelateAnonymizer(noise)
