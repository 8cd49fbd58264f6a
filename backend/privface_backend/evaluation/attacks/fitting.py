"""What restorations are fitted to: pictures of people to learn from, at one strength of one method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from privface_backend.domain.faces import Vector
from privface_backend.domain.privacy import BLUR_METHOD
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks.casting import Shot
from privface_backend.evaluation.attacks.observing import Observer, Restorer
from privface_backend.evaluation.attacks.restoration import (
    Interpolation,
    KernelSource,
    RichardsonLucy,
    Wiener,
    measure_ratio,
)
from privface_backend.evaluation.attacks.searching import Answers
from privface_backend.evaluation.sightings import Sighting
from privface_backend.plugins.ports import MosaicAnonymizer
from privface_backend.protocol import Privacy

KERNEL_METHODS: Final = (BLUR_METHOD,)
"""Methods that are a convolution with a kernel that is known."""
SCALES: Final = (0.1, 1.0, 10.0)
ITERATIONS: Final = (5, 15, 40)
_PICTURES: Final = 12
"""On how many pictures a restoration's parameter is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Pictures anonymized by a method so that each face's r comes nearest to ``relative``; None: no face was found.

    ``sightings``: of the frames as they are; ``prepared``: of what the attacker's other attempts begin with, which of a
    mosaic is the smooth picture through its cells, for no detector knows faces in a coarse mosaic. ``strengths``: r of
    the faces where they are in the clear pictures.
    """

    method: str
    relative: float
    privacies: Mapping[Shot, Privacy | None] = field(repr=False)
    sightings: Mapping[Shot, Sighting | None] = field(repr=False)
    prepared: Mapping[Shot, Sighting | None] = field(repr=False)
    strengths: Mapping[Shot, float] = field(repr=False)

    def met(self, shots: Sequence[Shot]) -> float:
        """The median r of the faces; nan without one."""
        found = [self.strengths[shot] for shot in shots if shot in self.strengths]
        return float(np.median(found)) if found else float("nan")


def vectors_of(sightings: Mapping[Shot, Sighting | None]) -> dict[Shot, Vector | None]:
    """The templates alone."""
    return {shot: None if seen is None else seen.vector for shot, seen in sightings.items()}


def see_level(observer: Observer, shots: Sequence[Shot], method: str, relative: float) -> Level:
    """Each picture as its sender sends it at that strength."""
    privacies = {shot: observer.choose(shot, method, relative) for shot in shots}
    sightings = _look(observer, privacies, None)
    interpolation = _interpolation(observer, method)
    return Level(
        method=method,
        relative=relative,
        privacies=privacies,
        sightings=sightings,
        prepared=sightings if interpolation is None or relative <= 0 else _look(observer, privacies, interpolation),
        strengths={
            shot: observer.strength(shot, privacy) for shot, privacy in privacies.items() if privacy is not None
        },
    )


def _look(
    observer: Observer, privacies: Mapping[Shot, Privacy | None], restorer: Restorer | None
) -> dict[Shot, Sighting | None]:
    return {
        shot: None if privacy is None else observer.look(shot, privacy, restorer) for shot, privacy in privacies.items()
    }


def restore_level(observer: Observer, level: Level, restorer: Restorer) -> dict[Shot, Vector | None]:
    """The templates of a level's pictures, each restored."""
    return vectors_of(_look(observer, level.privacies, restorer))


def fit_restorers(observer: Observer, lesson: Level, clear: Answers) -> list[Restorer]:
    """The restorations that suit the method, each with the parameter that brings templates of the lesson's pictures
    nearest to the clear ones in the mean."""
    sample = [
        (shot, privacy) for shot, privacy in lesson.privacies.items() if privacy is not None and clear[shot] is not None
    ][:_PICTURES]
    if not sample:
        return []
    families: list[Sequence[Restorer]] = []
    if lesson.method in KERNEL_METHODS:
        kernels = KernelSource(anonymizer=observer.looker.process.engines.anonymizer(lesson.method))
        ratio = _measure_ratio(observer, sample, kernels)
        families.append([Wiener(kernels=kernels, ratio=ratio, scale=scale) for scale in SCALES])
        families.append([RichardsonLucy(kernels=kernels, iterations=count) for count in ITERATIONS])
    if (interpolation := _interpolation(observer, lesson.method)) is not None:
        families.append([interpolation])
    return [_choose(observer, family, sample, clear) for family in families]


def _interpolation(observer: Observer, method: str) -> Interpolation | None:
    """What smooths a mosaic; None: the method makes none."""
    anonymizer = observer.looker.process.engines.anonymizer(method)
    return Interpolation(mosaic=anonymizer) if isinstance(anonymizer, MosaicAnonymizer) else None


def _measure_ratio(
    observer: Observer, sample: Sequence[tuple[Shot, Privacy]], kernels: KernelSource
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    pairs = []
    for shot, privacy in sample:
        try:
            seen = observer.frame(shot, privacy)
            pairs.append((observer.clear_frame(shot), seen, kernels.get(privacy.parameter)))
        except PrivFaceError as error:
            observer.refuse(shot.path, error)
    return measure_ratio(pairs)


def _choose(
    observer: Observer, family: Sequence[Restorer], sample: Sequence[tuple[Shot, Privacy]], clear: Answers
) -> Restorer:
    if len(family) == 1:
        return family[0]

    def near(restorer: Restorer) -> float:
        found = [(observer.look(shot, privacy, restorer), clear[shot]) for shot, privacy in sample]
        return sum(float(seen.vector @ wanted) for seen, wanted in found if seen is not None and wanted is not None)

    return max(family, key=near)
