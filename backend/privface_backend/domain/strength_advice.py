"""Which kernel keeps r for the faces that a camera shows, changed only for a reason that lasts. Pure.

The nearest faces are the least protected: r is sigma over their width. So the kernel is the smallest one that gives the
chosen r to a face of the 90 % quantile; the 10 % quantile says what that costs those who are far away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from privface_backend.domain.face_sizes import FaceSizes
from privface_backend.domain.privacy import MAX_KERNEL, sigma_of_kernel
from privface_backend.protocol import Advice

LEAST_FACES: Final = 20
FAR, MIDDLE, NEAR = 0.1, 0.5, 0.9
DEFAULT_TARGET: Final = 0.03
WEAKEST_TARGET, STRONGEST_TARGET = 0.005, 0.2
TARGETS: Final = f"0 for no advice, or r from {WEAKEST_TARGET:g} to {STRONGEST_TARGET:g}"
_STEP: Final = 2
STEPS: Final = 2
"""An advice changes only for a kernel that is so many steps (of 2) away from it."""
STRONGER_AFTER: Final = 10
WEAKER_AFTER: Final = 40
"""So many faces in a row must ask for another kernel: fewer for a stronger one than for a weaker one."""


def is_target(value: float) -> bool:
    """Whether ``value`` can be an r to keep, or 0 for no advice."""
    return value == 0 or WEAKEST_TARGET <= value <= STRONGEST_TARGET


def kernel_for(relative: float, width: float) -> int:
    """The smallest odd kernel size, 3 to ``MAX_KERNEL``, whose r on a face ``width`` pixels wide is ``relative``."""
    half = math.ceil((relative * width - 0.8) / 0.3 + 1 - 1e-9)
    return min(MAX_KERNEL, max(3, 2 * half + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelAdvice:
    """The kernel that is advised, of faces for which r is ``target``; ``asking``: how many faces in a row asked for
    another one, negative where for a weaker one. ``kernel`` None: too few faces yet, or nothing is to be kept."""

    target: float
    kernel: int | None = None
    asking: int = 0

    def followed_by(self, sizes: FaceSizes, target: float) -> KernelAdvice:
        """After another face, which ``sizes`` has; ``target``: the r to keep, 0 for none. Another target counts at
        once."""
        needed = LEAST_FACES if self.kernel is None else LEAST_FACES / 2
        # Twenty faces of one day have faded to a little less.
        if target <= 0 or sizes.total < needed - 0.5:
            return KernelAdvice(target=target)
        wanted = kernel_for(target, sizes.quantile(NEAR))
        if self.kernel is None or target != self.target:
            return KernelAdvice(target=target, kernel=wanted)
        if abs(wanted - self.kernel) < STEPS * _STEP:
            return KernelAdvice(target=target, kernel=self.kernel)
        stronger = wanted > self.kernel
        asking = max(0, self.asking) + 1 if stronger else min(0, self.asking) - 1
        if asking >= STRONGER_AFTER or asking <= -WEAKER_AFTER:
            return KernelAdvice(target=target, kernel=wanted)
        return KernelAdvice(target=target, kernel=self.kernel, asking=asking)

    def to_advice(self, sizes: FaceSizes) -> Advice | None:
        """In the words of the wire; None: there is none."""
        if self.kernel is None:
            return None
        sigma = sigma_of_kernel(self.kernel)
        far, middle, near = (sizes.quantile(share) for share in (FAR, MIDDLE, NEAR))
        return Advice(
            kernel=self.kernel,
            target=self.target,
            faces=round(sizes.total),
            widths=(far, middle, near),
            relative=(sigma / far, sigma / middle, sigma / near),
        )
