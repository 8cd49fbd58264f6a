"""Leave-one-out over the enrolled faces: each in turn is searched among the others, by the rules that cameras meet.

A face's template of each strength is the probe. For TPIR the gallery is without that face, so that the person's others
must do; for FPIR it is without the person, who is a stranger then. Nothing is made anew: no picture is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import inf, log
from typing import Final

import numpy as np

from privface_backend.calibration.curve import Enrolled, Level, LevelNote, smooth
from privface_backend.calibration.estimates import Tally, estimate_rate
from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import DecisionRules, decide
from privface_backend.domain.matching import Template
from privface_backend.domain.memory import NegativeExample
from privface_backend.domain.privacy import BLUR_METHOD, CLEAR, PrivacyLevel
from privface_backend.domain.ranking import Ranking
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

MOST_PROBES: Final = 200
"""Of a large gallery so many faces are searched, drawn by turns from all people; they are searched among all."""

_NEAR: Final = log(1.25)
_LEAST_SHARE: Final = 0.5

Faces = Mapping[str, Sequence[Template]]
"""The templates of each face, by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """What is measured: the gallery of one contract with all that decisions about a face depend on.

    ``strongest``: r, above which a face is never used; ``ladder``: the strengths r to measure, beside the clear one.
    """

    templates: Sequence[Template] = field(repr=False)
    model: ScoreModel
    rules: DecisionRules
    ladder: Sequence[float]
    strongest: float
    examples: Sequence[NegativeExample] = field(default=(), repr=False)
    ignored: Collection[str] = ()
    revision: int = 0
    contract: str = ""

    def faces(self) -> Faces:
        return group_faces(self.templates)


def group_faces(templates: Iterable[Template]) -> Faces:
    """The templates by face."""
    faces: dict[str, list[Template]] = {}
    for template in templates:
        faces.setdefault(template.face_id, []).append(template)
    return faces


def describe_enrolled(household: Household) -> Enrolled:
    """What there is to calibrate with. Who is ignored is searched for by nobody."""
    faces = household.faces()
    owned = _owned(faces)
    counts = {person: len(own) for person, own in owned.items() if person not in household.ignored}
    return Enrolled(
        gallery=_fingerprint(household, faces),
        revision=household.revision,
        people=len(counts),
        faces=sum(counts.values()),
        searchable=sum(count > 1 for count in counts.values()),
        single=sum(count == 1 for count in counts.values()),
        probes=sum(count for count in counts.values() if count > 1),
    )


def _owned(faces: Faces) -> Mapping[str, Sequence[str]]:
    """The ids of each person's faces, by the person's."""
    owned: dict[str, list[str]] = {}
    for face_id, templates in faces.items():
        owned.setdefault(templates[0].person_id, []).append(face_id)
    return owned


def _fingerprint(household: Household, faces: Faces) -> str:
    """What changes with the faces, the engines and the rules, and with nothing else."""
    rules = household.rules
    known = sorted((face_id, templates[0].person_id, len(templates)) for face_id, templates in faces.items())
    what = (
        known,
        sorted(household.ignored),
        household.contract,
        (rules.naming.value, rules.caution, rules.margin, rules.alike),
        (list(household.ladder), household.strongest),
    )
    return sha256(json.dumps(what).encode()).hexdigest()[:16]


def method_of(templates: Iterable[Template]) -> str:
    """The method of most blurred templates: that of what senders send, or of the ladder."""
    counts: dict[str, int] = {}
    for template in templates:
        if not template.level.is_clear:
            counts[template.level.method] = counts.get(template.level.method, 0) + 1
    return max(counts, key=lambda method: (counts[method], method), default=BLUR_METHOD)


def measure(household: Household, proceed: Callable[[], None] = lambda: None) -> tuple[str, bool, tuple[Level, ...]]:
    """The method, whether the faces were sampled, and the levels, the weakest first. Takes seconds; on any thread.

    ``proceed`` is called after each search, and may raise to end it.

    Raises:
        PrivFaceError: ``too_few_faces``: nobody has two.
    """
    prepared = _whiten(household)
    faces, method = prepared.faces(), method_of(prepared.templates)
    owned = _owned(faces)
    searched = _choose(prepared, owned)
    if not any(len(owned[faces[face_id][0].person_id]) > 1 for face_id in searched):
        raise PrivFaceError(
            ErrorCode.TOO_FEW_FACES,
            "Nobody is enrolled with two pictures for these engines.",
            allowed="a household in which somebody has two pictures or more",
        )
    levels = (CLEAR, *(PrivacyLevel(method, strength) for strength in sorted(set(household.ladder))))
    counts = {level: _Counts() for level in levels}
    for face_id, gallery in _leave_faces_out(prepared, faces, owned, searched):
        for level, probe in _probes(faces[face_id], levels):
            counts[level].searched(probe.person_id, _named(gallery, probe, prepared.rules))
        proceed()
    for person, gallery in _leave_people_out(prepared, owned):
        for face_id in (one for one in owned[person] if one in searched):
            for level, probe in _probes(faces[face_id], levels):
                counts[level].strange(person, _named(gallery, probe, prepared.rules))
        proceed()
    most = max(count.probes for count in counts.values())
    measured = [count.to_level(level, most, prepared.strongest) for level, count in counts.items()]
    sampled = len(searched) < sum(len(own) for own in owned.values())
    return method, sampled, smooth(measured)


def _whiten(household: Household) -> Household:
    """The household with all vectors as they are compared, which is otherwise done for each gallery anew."""
    model = household.model
    if model.whitening is None or not household.templates:
        return household
    vectors = model.whiten(np.stack([template.vector for template in household.templates]))
    return replace(
        household,
        templates=[replace(one, vector=vector) for one, vector in zip(household.templates, vectors, strict=True)],
        examples=[
            replace(one, faces=tuple(replace(face, vector=model.whiten(face.vector)) for face in one.faces))
            for one in household.examples
        ],
        model=replace(model, whitening=None),
    )


def _choose(household: Household, owned: Mapping[str, Sequence[str]]) -> Collection[str]:
    """The faces to search: all, or as many as are allowed, of all people alike. Nobody is asked for whom no name is
    told of."""
    people = [own for person, own in owned.items() if person not in household.ignored]
    turns = sorted((turn, place) for place, own in enumerate(people) for turn in range(len(own)))
    return frozenset(people[place][turn] for turn, place in turns[:MOST_PROBES])


def _leave_faces_out(
    household: Household, faces: Faces, owned: Mapping[str, Sequence[str]], searched: Collection[str]
) -> Iterator[tuple[str, Ranking]]:
    for face_id in searched:
        if len(owned[faces[face_id][0].person_id]) > 1:
            yield face_id, _rank(household, [one for one in household.templates if one.face_id != face_id])


def _leave_people_out(household: Household, owned: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Ranking]]:
    for person in owned if len(owned) > 1 else ():
        if person not in household.ignored:
            yield person, _rank(household, [one for one in household.templates if one.person_id != person])


def _rank(household: Household, templates: Sequence[Template]) -> Ranking:
    return Ranking(templates, household.model, household.rules, household.examples, household.ignored)


def _probes(face: Sequence[Template], levels: Sequence[PrivacyLevel]) -> Iterator[tuple[PrivacyLevel, Template]]:
    """Each template that is the nearest to a level, where no other level is nearer to it: none stands for two."""
    found: dict[PrivacyLevel, Template] = {}
    for template in face:
        level = min(levels, key=lambda one: _distance(template.level, one))
        distance = _distance(template.level, level)
        if distance <= _NEAR and (level not in found or distance < _distance(found[level].level, level)):
            found[level] = template
    yield from sorted(found.items(), key=lambda item: item[0].relative)


def _distance(one: PrivacyLevel, other: PrivacyLevel) -> float:
    """Between the logarithms of two strengths of one method; clear is near to clear alone."""
    if one.method != other.method or one.is_clear is not other.is_clear:
        return inf
    return 0.0 if one.is_clear else abs(log(one.relative / other.relative))


def _named(gallery: Ranking, probe: Template, rules: DecisionRules) -> str | None:
    return decide(gallery.rank(probe.vector, probe.level), rules).person_id


class _Counts:
    """What came of the probes of one strength, by person."""

    def __init__(self) -> None:
        self._named: Final[list[tuple[str, str | None]]] = []
        self._strange: Final[list[tuple[str, str | None]]] = []

    @property
    def probes(self) -> int:
        return len(self._named)

    def searched(self, person: str, named: str | None) -> None:
        self._named.append((person, named))

    def strange(self, person: str, named: str | None) -> None:
        self._strange.append((person, named))

    def to_level(self, level: PrivacyLevel, most: int, strongest: float) -> Level:
        """``most``: how many probes the strength has that has most."""
        note = LevelNote.OK
        if level.relative > strongest:
            note = LevelNote.TOO_BLURRY
        elif self.probes < most * _LEAST_SHARE:
            note = LevelNote.FEW_PROBES
        # What is too blurry names nobody, whatever its template would have.
        blind = note is LevelNote.TOO_BLURRY
        known = [(person, not blind and named == person) for person, named in self._named]
        strangers = [(person, not blind and named is not None) for person, named in self._strange]
        return Level(
            relative=level.relative,
            probes=len(known),
            known=sum(hit for _, hit in known),
            mistaken=0 if blind else sum(named not in {None, person} for person, named in self._named),
            tpir=estimate_rate(_tally(known)),
            strangers=len(strangers),
            named=sum(hit for _, hit in strangers),
            fpir=estimate_rate(_tally(strangers)),
            note=note,
        )


def _tally(results: Sequence[tuple[str, bool]]) -> list[Tally]:
    hits: dict[str, list[bool]] = {}
    for person, hit in results:
        hits.setdefault(person, []).append(hit)
    return [Tally(hits=sum(own), attempts=len(own)) for own in hits.values()]
