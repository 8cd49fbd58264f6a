"""Templates, what may be compared with what, and how alike a probe and each person are.

A probe is compared with the templates of its own embedding contract only, and among them with those
of about its own strength r: each enrolled face stands for itself by the mean of its clear template (its
lightest, where none is clear) and of what its templates next to the probe's r come to between them, brought
to length 1. A person's score is the mean of the nearest face's and of that of all their faces' mean.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, Self

import numpy as np

from privface_backend.domain.faces import Vector, Vectors, normalized
from privface_backend.domain.privacy import CLEAR, PrivacyLevel

_STEP: Final = 0.0025
"""Strengths r are rounded to this, so that few matrices serve all probes."""
_KEPT_STEPS: Final = 16
_SEALED: Final = "sealed:"


def is_sealed_key(key: str) -> bool:
    """Whether the contract of that key is a user side's."""
    return key.startswith(_SEALED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What two embeddings must share to be comparable, the privacy level apart."""

    recognizer: str
    weights_digest: str
    dimension: int
    alignment: str

    @property
    def key(self) -> str:
        """The contract as one line, as it is stored with each template."""
        return f"{self.recognizer}|{self.weights_digest[:16]}|{self.dimension}|{self.alignment}"

    @classmethod
    def from_key(cls, key: str) -> Self:
        """The contract of that key, with as much of the weights' digest as the key has.

        Raises:
            ValueError: it is no contract's key.
        """
        recognizer, weights_digest, dimension, alignment = key.rsplit("|", 3)
        return cls(recognizer=recognizer, weights_digest=weights_digest, dimension=int(dimension), alignment=alignment)

    @property
    def is_sealed(self) -> bool:
        """Whether the embeddings are a user side's, projected with a key of its own."""
        return is_sealed_key(self.key)

    @property
    def sealed_with(self) -> str:
        """The id of the user side's key; empty: the embeddings are not sealed."""
        return self.recognizer.split(":")[1] if self.is_sealed else ""

    def sealed(self, key_id: str) -> Self:
        """The contract of the same embeddings, once a user side has projected them with the key of that id."""
        return replace(self, recognizer=f"{_SEALED}{key_id}:{self.recognizer}")

    def unsealed(self) -> Self:
        """The contract of the embeddings before they were sealed.

        Raises:
            ValueError: they aren't.
        """
        key_id, _, recognizer = self.recognizer.removeprefix(_SEALED).partition(":")
        if not self.is_sealed or not key_id or not recognizer:
            raise ValueError("not sealed")
        return replace(self, recognizer=recognizer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """An enrolled face at one privacy level."""

    face_id: str
    person_id: str
    level: PrivacyLevel
    vector: Vector = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A person that a probe was compared with: the best score of their faces, and which face that was.

    ``lightest``: the strength r of the lightest of the face's templates that the probe was compared with.
    """

    person_id: str
    face_id: str
    score: float
    lightest: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Representatives:
    """What stands for each face and for each person, and the r of each face's lightest template."""

    faces: Vectors
    people: Vectors
    lightest: tuple[float, ...]


class LevelMatchedGallery:
    """The templates of one contract, searched by level, on any thread. Immutable: a change makes a new one."""

    def __init__(self, templates: Iterable[Template]) -> None:
        faces: dict[str, list[Template]] = {}
        for template in templates:
            faces.setdefault(template.face_id, []).append(template)
        # A person's faces stand together, so that one reduction gives all maxima.
        groups = sorted(faces.values(), key=lambda group: group[0].person_id)
        self._faces: Final = tuple(groups)
        self._face_ids: Final = tuple(group[0].face_id for group in groups)
        owners = [group[0].person_id for group in groups]
        self._person_ids: Final = tuple(dict.fromkeys(owners))
        self._starts: Final = np.array([owners.index(person_id) for person_id in self._person_ids], dtype=np.intp)
        self._matrices: Final[OrderedDict[tuple[str, float], _Representatives]] = OrderedDict()
        self._lock: Final = Lock()

    def __len__(self) -> int:
        return len(self._faces)

    @property
    def people(self) -> int:
        """How many people have a face here."""
        return len(self._person_ids)

    def likenesses(self) -> Mapping[str, Mapping[str, float]]:
        """How alike the enrolled people are: for each, the mean score that each other's faces have with them."""
        if not self._faces:
            return {}
        clear = self._representatives(CLEAR)
        by_face = clear.faces @ clear.faces.T
        scores = (np.maximum.reduceat(by_face, self._starts, axis=0) + clear.people @ clear.faces.T) / 2
        counts = np.diff(np.append(self._starts, len(self._faces)))
        alike = np.add.reduceat(scores, self._starts, axis=1) / counts
        return {
            person: {other: float(alike[row, column]) for column, other in enumerate(self._person_ids) if column != row}
            for row, person in enumerate(self._person_ids)
        }

    def search(self, probe: Vector, level: PrivacyLevel) -> tuple[Candidate, ...]:
        """Every person, best score (-1 to 1) first."""
        if not self._faces:
            return ()
        stand_ins = self._representatives(level)
        by_face = stand_ins.faces @ probe
        scores = (np.maximum.reduceat(by_face, self._starts) + stand_ins.people @ probe) / 2
        ends = np.append(self._starts[1:], len(by_face))
        nearest = [start + int(np.argmax(by_face[start:end])) for start, end in zip(self._starts, ends, strict=True)]
        return tuple(
            Candidate(
                person_id=self._person_ids[row],
                face_id=self._face_ids[nearest[row]],
                score=float(scores[row]),
                lightest=stand_ins.lightest[nearest[row]],
            )
            for row in np.argsort(-scores, kind="stable")
        )

    def _representatives(self, level: PrivacyLevel) -> _Representatives:
        """What stands for each face, and for each person, towards probes of about ``level``."""
        step = (level.method, round(level.relative / _STEP) * _STEP)
        with self._lock:
            found = self._matrices.get(step)
            if found is None:
                found = self._matrices[step] = self._represent(PrivacyLevel(*step))
                if len(self._matrices) > _KEPT_STEPS:
                    self._matrices.popitem(last=False)
            return found

    def _represent(self, level: PrivacyLevel) -> _Representatives:
        faces = np.stack([represent_face(group, level) for group in self._faces])
        return _Representatives(
            faces=faces,
            people=normalized(np.add.reduceat(faces, self._starts, axis=0)),
            lightest=tuple(_by_strength(group, level)[0].level.relative for group in self._faces),
        )


def _by_strength(templates: Sequence[Template], level: PrivacyLevel) -> list[Template]:
    """One face's templates that a probe of ``level`` is compared with, the lightest first: a clear one, and those of
    the probe's method, or of any where there are none."""
    same_method = [template for template in templates if template.level.method == level.method]
    clear = [template for template in templates if template.level.is_clear]
    pool = [template for template in (same_method or templates) if not template.level.is_clear]
    return sorted((*clear[:1], *pool), key=lambda template: (template.level.relative, template.level.method))


def represent_face(templates: Sequence[Template], level: PrivacyLevel) -> Vector:
    """The vector that stands for one enrolled face towards a probe of ``level``."""
    ladder = _by_strength(templates, level)
    strengths = [template.level.relative for template in ladder]
    above = min(bisect_left(strengths, level.relative), len(ladder) - 1)
    below = max(0, above - 1) if strengths[above] > level.relative else above
    span = strengths[above] - strengths[below]
    share = (level.relative - strengths[below]) / span if span > 0 else 1.0
    between = normalized((1 - share) * ladder[below].vector + share * ladder[above].vector)
    return normalized(ladder[0].vector + between)
