"""A picture made of arithmetic, and what it must become. Found with OpenCV on the backend's side.

The same digests hold on both sides: where the backend runs, and in Home Assistant's Python.
"""

from __future__ import annotations

import hashlib
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE: Final = (400, 240)

METHODS: Final = {
    ("gaussian", 3): "9e1f2403843a82d718872391",
    ("gaussian", 5): "2379f6b181338e13511c68c1",
    ("gaussian", 7): "4d87fd7f76f5758536eed167",
    ("gaussian", 9): "9e6601dbb9ac8257202a1a3a",
    ("gaussian", 17): "0c8b355b0b9a364b3de21600",
    ("gaussian", 33): "3c73baa4e2ae7aa9ca644f65",
    ("gaussian", 97): "8804a91389216e2a6d11364c",
    ("gaussian", 255): "196ba2b5c29fb8b298f7f0d9",
    ("pixelate", 2): "01c90bad49045248ae71a21a",
    ("pixelate", 10): "e58325433b07e57bde6381ae",
    ("pixelate", 128): "42f2dc3810bacac699005f7e",
}
"""By method and parameter, of ``picture()``."""

SCALED: Final = {
    (400, 240): "65a76e10a83716a7caf503c5",
    (200, 120): "86137a6fda966e0da66588a8",
    (137, 82): "41652a302a23a25bcc08c416",
    (100, 60): "42e0a14c08af6e64a21faa16",
    (63, 38): "6666e1f4f1e2aad91780b614",
}
"""By size, of ``picture()`` brought down."""


def picture() -> NDArray[np.uint8]:
    """Slopes, edges and something like noise, different in each color: uint8 (240, 400, 3)."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    slopes = np.stack([x * 255 // SIZE[0], y * 255 // SIZE[1], (x + y) * 255 // sum(SIZE)], axis=2)
    noise = (x * x * 31 + y * y * 17 + x * y * 7)[:, :, np.newaxis] % np.array([61, 67, 71])
    edges = np.where(((x // 40 + y // 30) % 3 == 0)[:, :, np.newaxis], 255, 0)
    return np.clip(np.where(x[:, :, np.newaxis] % 5 == 0, edges, slopes + noise - 30), 0, 255).astype(np.uint8)


def digest(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:24]


def encode(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    """A file of pixels in the order red, green, blue."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()
