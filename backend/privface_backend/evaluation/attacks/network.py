"""A learned restoration: a small convolutional network from crops of anonymized faces to the same crops, clear.

It is trained here, on the people to learn from alone, and lives in memory only. JAX comes with the extra ``attack``:
its wheels for a CPU are whole on x86_64 and aarch64, where PyTorch's on PyPI bring the libraries of a GPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.frames import Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks.restoration import to_pixels
from privface_backend.protocol import ErrorCode

_BLOCK: Final = 4
"""The network works on squares of so many pixels: a quarter of the size, sixteen times the channels."""
_CHANNELS: Final = 48
_BLOCKS: Final = 5
_BATCH: Final = 8
_RATE: Final = 1e-3
_STRENGTH_SCALE: Final = 10.0
_PLANES: Final = ("NHWC", "HWIO", "NHWC")

Batch = NDArray[np.float32]
"""float32 (n, height, width, channels)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropPair:
    """A face anonymized at r = ``relative``, and the same place of the clear picture; of one size."""

    anonymized: Pixels = field(repr=False)
    clear: Pixels = field(repr=False)
    relative: float


def require_jax() -> None:
    """Raises:
    PrivFaceError: ``engine_missing``: JAX isn't installed.
    """
    if find_spec("jax") is None or find_spec("optax") is None:
        message = "The learned restoration needs JAX, which is not installed: pip install 'privface-backend[attack]'"
        raise PrivFaceError(
            ErrorCode.ENGINE_MISSING, message, allowed="the extra attack, or the other attacks: --minutes 0"
        )


class RestorationNetwork:
    """Restores crops of faces; ``steps``: how many batches it was trained on."""

    def __init__(self, apply: Callable[[Batch], Batch], steps: int) -> None:
        self._apply: Final = apply
        self.steps: Final = steps

    def restore(self, crops: Sequence[Pixels], relatives: Sequence[float]) -> list[Pixels]:
        """New crops of the same size."""
        found: list[Pixels] = []
        for start in range(0, len(crops), _BATCH):
            part = crops[start : start + _BATCH]
            height, width = part[0].shape[:2]
            answers = self._apply(_to_input(part, relatives[start : start + _BATCH]))
            found += [to_pixels(answer[:height, :width] * 255) for answer in answers[: len(part)]]
        return found


def train_network(
    pairs: Sequence[CropPair], *, seconds: float, seed: int, most_steps: int | None = None
) -> RestorationNetwork:
    """Train for ``seconds`` of the processor's time, or for ``most_steps`` batches.

    The order of the pairs is the seed's; how far it comes in that time is the computer's.

    Raises:
        PrivFaceError: ``engine_missing``.
        ValueError: there is no pair.
    """
    if not pairs:
        raise ValueError("there is no pair to learn from")
    require_jax()
    import jax  # noqa: PLC0415  # an extra
    import jax.numpy as jnp  # noqa: PLC0415  # an extra
    import optax  # noqa: PLC0415  # an extra

    optimizer = optax.scale_by_adam()

    def lose(weights: Any, given: Any, wanted: Any) -> Any:
        return jnp.square(_forward(weights, given) - wanted).mean()

    @jax.jit  # type: ignore[untyped-decorator]  # JAX may be missing, and mypy sees nothing of it then
    def step(weights: Any, state: Any, given: Any, wanted: Any, rate: float) -> tuple[Any, Any]:
        updates, state = optimizer.update(jax.grad(lose)(weights, given, wanted), state)
        return jax.tree.map(lambda weight, update: weight - rate * update, weights, updates), state

    weights = _draw_weights(seed)
    state = optimizer.init(weights)
    rng = np.random.default_rng(seed)
    start, steps, done = time.process_time(), 0, 0.0
    while done < 1:
        given, wanted = _draw_batch(pairs, rng)
        # A cosine from the full rate to none, over the time or the steps that there are.
        weights, state = step(weights, state, given, wanted, _RATE * (1 + math.cos(math.pi * done)) / 2)
        jax.block_until_ready(weights)
        steps += 1
        done = (time.process_time() - start) / seconds if most_steps is None else steps / most_steps
    forward = jax.jit(_forward)

    def apply(given: Batch) -> Batch:
        return np.asarray(forward(weights, given), dtype=np.float32)

    return RestorationNetwork(apply, steps)


def _draw_batch(pairs: Sequence[CropPair], rng: np.random.Generator) -> tuple[Batch, Batch]:
    """Pairs at random, half of them mirrored."""
    drawn = [pairs[place] for place in rng.integers(len(pairs), size=_BATCH)]
    given = _to_input([pair.anonymized for pair in drawn], [pair.relative for pair in drawn])
    wanted = _pad([pair.clear for pair in drawn])
    mirrored = rng.random(_BATCH) < 0.5
    for batch in (given, wanted):
        batch[mirrored] = batch[mirrored, :, ::-1]
    return given, wanted


def _to_input(crops: Sequence[Pixels], relatives: Sequence[float]) -> Batch:
    """Colors from 0 to 1, and a plane that says how strong the anonymization is. Always a full batch: one shape is
    compiled once."""
    filled = [*crops, *[crops[-1]] * (_BATCH - len(crops))]
    strengths = [*relatives, *[relatives[-1]] * (_BATCH - len(crops))]
    colors = _pad(filled)
    planes = np.broadcast_to(np.array(strengths, np.float32)[:, None, None, None], (*colors.shape[:3], 1))
    return np.concatenate([colors, planes * np.float32(_STRENGTH_SCALE)], axis=3, dtype=np.float32)


def _pad(crops: Sequence[Pixels]) -> Batch:
    """Up to whole blocks, with the last row and column."""
    batch = np.stack(crops).astype(np.float32) / 255
    down, across = (-side % _BLOCK for side in batch.shape[1:3])
    return np.pad(batch, ((0, 0), (0, down), (0, across), (0, 0)), mode="edge")


def _draw_weights(seed: int) -> dict[str, Any]:
    """He's initialization; at first nothing is added to a picture."""
    rng = np.random.default_rng(seed)
    area = _BLOCK * _BLOCK

    def layer(given: int, made: int, scale: float = 1.0) -> tuple[Batch, Batch]:
        drawn = rng.normal(0, scale * math.sqrt(2 / (9 * given)), (3, 3, given, made))
        return drawn.astype(np.float32), np.zeros(made, dtype=np.float32)

    return {
        "head": layer(4 * area, _CHANNELS),
        "body": [(layer(_CHANNELS, _CHANNELS), layer(_CHANNELS, _CHANNELS, 0.1)) for _ in range(_BLOCKS)],
        "tail": layer(_CHANNELS, 3 * area, 0.0),
    }


def _forward(weights: Any, given: Any) -> Any:
    """The crop, and what the network adds to it (residual blocks: K. He et al., CVPR 2016)."""
    import jax  # noqa: PLC0415  # an extra

    def convolve(planes: Any, layer: tuple[Any, Any]) -> Any:
        kernel, bias = layer
        return jax.lax.conv_general_dilated(planes, kernel, (1, 1), "SAME", dimension_numbers=_PLANES) + bias

    planes = jax.nn.relu(convolve(_to_blocks(given), weights["head"]))
    for first, second in weights["body"]:
        planes = planes + convolve(jax.nn.relu(convolve(planes, first)), second)
    return given[..., :3] + _from_blocks(convolve(planes, weights["tail"]))


def _to_blocks(planes: Any) -> Any:
    count, height, width, channels = planes.shape
    split = planes.reshape(count, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(count, height // _BLOCK, width // _BLOCK, -1)


def _from_blocks(planes: Any) -> Any:
    count, rows, columns, channels = planes.shape
    split = planes.reshape(count, rows, columns, _BLOCK, _BLOCK, channels // (_BLOCK * _BLOCK))
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(count, rows * _BLOCK, columns * _BLOCK, -1)
