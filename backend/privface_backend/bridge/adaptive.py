"""A strength that follows what the backend advises, within limits that only the user sets. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.strength import Strength
from privface_backend.domain.privacy import CLEAR_METHOD, MAX_KERNEL, sigma_of_kernel
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import Anonymizer

_STEPS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Between which parameters of the method the strength may follow. ``most`` None: the method's strongest."""

    least: int
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """What the backend advised last. ``kernel``: None: nothing; ``current``: whether it is there to say otherwise."""

    kernel: int | None = None
    current: bool = True


def limits_of(feed: CameraFeed | None, own: Strength) -> Limits | None:
    """A camera's limits; None: it follows no advice. Without ``least`` its own parameter is the weakest."""
    if feed is None or not feed.adaptive or own.method == CLEAR_METHOD:
        return None
    return Limits(least=own.parameter if feed.least is None else feed.least, most=feed.most)


def follow(own: Strength, limits: Limits | None, advised: Advised, anonymizer: Anonymizer) -> Strength:
    """``own``, or as strong as the backend advises, within ``limits``.

    Whatever the backend says, the result is within the limits. Without an advice, or with one that is none, it is
    ``own``, but never weaker than the limits; where the backend is away, the stronger one of that and the last advised.
    """
    if limits is None:
        return own
    floor = max(own.parameter, limits.least)
    kernel = advised.kernel
    if kernel is None or not 1 <= kernel <= MAX_KERNEL or kernel % 2 == 0:
        return replace(own, parameter=floor)
    parameter = parameter_at_least(sigma_of_kernel(kernel), anonymizer)
    if limits.most is not None:
        parameter = min(parameter, limits.most)
    return replace(own, parameter=max(parameter, limits.least if advised.current else floor))


def parameter_at_least(sigma: float, anonymizer: Anonymizer) -> int:
    """The method's parameter for ``sigma`` pixels: the nearest, or one of the next where that falls short."""
    nearest = anonymizer.parameter_for(sigma)
    for parameter in range(nearest, nearest + _STEPS):
        try:
            anonymizer.validate(parameter)
        except PrivFaceError:
            continue
        if anonymizer.sigma(parameter) >= sigma:
            return parameter
    return nearest
