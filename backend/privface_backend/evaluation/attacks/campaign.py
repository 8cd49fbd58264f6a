"""All attacks on sets of pictures: each method at each strength, with what is learned for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from privface_backend.domain.faces import Vector
from privface_backend.domain.matching import Template
from privface_backend.domain.privacy import CLEAR_METHOD
from privface_backend.evaluation.attacks.casting import Cast, Shot
from privface_backend.evaluation.attacks.fitting import Level, fit_restorers, restore_level, see_level, vectors_of
from privface_backend.evaluation.attacks.learning import Trainer
from privface_backend.evaluation.attacks.observing import Observer
from privface_backend.evaluation.attacks.regression import fit_regression
from privface_backend.evaluation.attacks.searching import Answers, AttackRow, Counting, SearchGallery, Target, Try
from privface_backend.evaluation.attacks.templates import (
    SEALED,
    Installations,
    UnlinkabilityRow,
    attack_templates,
    link_templates,
)
from privface_backend.evaluation.identification import Gallery, Measuring, Probe, identify
from privface_backend.evaluation.manifests import Role
from privface_backend.evaluation.runs import Run, Subject
from privface_backend.evaluation.scoring import GalleryKind

DIRECT: Final = "direct"
MATCHED: Final = "matched"
REGRESSION: Final = "regression"
LEARNED: Final = "learned"
_FEW: Final = 8
"""Fewer templates than these teach no regression."""

Row = AttackRow | UnlinkabilityRow | Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do. ``engine``: its name in the rows; ``minutes``: of training a method's network, none for 0.

    ``advance`` is called after each strength of each method.
    """

    engine: str
    methods: Sequence[str]
    relatives: Sequence[float]
    counting: Counting
    measuring: Measuring
    installations: Installations
    minutes: float
    seed: int
    advance: Callable[[], None] = field(repr=False)

    def target(self, name: str, people: str, method: str, relative: float, met: float) -> Target:
        return Target(set=name, people=people, engine=self.engine, method=method, relative=relative, met=met)


def attack(casts: Sequence[Cast], observer: Observer, plan: Plan) -> Iterator[Row]:
    """A row for each set, its people, method, strength and attack; a ``Run`` for a household's own use of each method
    and strength; unlinkability where templates are attacked."""
    clear = {shot: _vector(observer, shot) for one in casts for shot in (*one.gallery, *one.probes, *one.training)}
    for method in plan.methods:
        if method == SEALED:
            for one in casts:
                target = plan.target(one.name, "own", method, 0.0, 0.0)
                yield from attack_templates(one, clear, plan.installations, plan.counting, target)
                yield from link_templates(one, clear, plan.installations, plan.engine)
                yield from _use(one, observer, plan, method, 0.0)
            plan.advance()
        else:
            yield from _attack_method(casts, observer, plan, method, clear)


def _vector(observer: Observer, shot: Shot) -> Vector | None:
    seen = observer.look_clear(shot)
    return None if seen is None else seen.vector


def _attack_method(casts: Sequence[Cast], observer: Observer, plan: Plan, method: str, clear: Answers) -> Iterator[Row]:
    strengths = sorted(set(plan.relatives))
    training = list(dict.fromkeys(shot for one in casts for shot in one.training))
    probes = list(dict.fromkeys(shot for one in casts for shot in one.probes))
    gallery = list(dict.fromkeys(shot for one in casts for shot in one.gallery))
    taught = {relative: see_level(observer, training, method, relative) for relative in strengths if relative > 0}
    learned = None
    if plan.minutes > 0 and taught:
        trainer = Trainer(observer=observer, seconds=plan.minutes * 60, seed=plan.seed)
        learned = trainer.train(list(taught.values()))
    for relative in strengths:
        level = see_level(observer, probes, method, relative)
        answers: dict[str, Answers] = {DIRECT: vectors_of(level.sightings)}
        alike: Answers | None = None
        if relative in taught:
            alike = _liken(observer, gallery, method, relative, clear)
            answers.update(_restore(observer, level, taught[relative], clear))
            answers.update(_map_templates(level, taught[relative], clear, plan.seed))
            if learned is not None:
                answers[LEARNED] = learned.represent(level)
        for one in casts:
            open_gallery = SearchGallery(one.gallery, clear)
            tries = [Try(attack=name, gallery=open_gallery, answers=found) for name, found in answers.items()]
            if alike is not None:
                alike_gallery = SearchGallery(one.gallery, alike)
                tries.append(Try(attack=MATCHED, gallery=alike_gallery, answers=vectors_of(level.prepared)))
            yield from _measure(one, plan, level, tries)
            yield from _use(one, observer, plan, method, relative)
        plan.advance()


def _restore(observer: Observer, level: Level, lesson: Level, clear: Answers) -> Iterator[tuple[str, Answers]]:
    """The probes' templates after each restoration. ``lesson``: pictures to learn from, at the same strength."""
    for restorer in fit_restorers(observer, lesson, clear):
        yield restorer.name, restore_level(observer, level, restorer)


def _map_templates(level: Level, lesson: Level, clear: Answers, seed: int) -> Iterator[tuple[str, Answers]]:
    pairs = [
        (vector, wanted, shot.identity)
        for shot, vector in vectors_of(lesson.prepared).items()
        if vector is not None and (wanted := clear[shot]) is not None
    ]
    if len(pairs) < _FEW:
        return
    anonymized, wanted = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
    model = fit_regression(anonymized, wanted, [name for *_, name in pairs], seed)
    yield (
        REGRESSION,
        {shot: None if vector is None else model.apply(vector) for shot, vector in vectors_of(level.prepared).items()},
    )


def _liken(observer: Observer, gallery: Sequence[Shot], method: str, relative: float, clear: Answers) -> Answers:
    """The gallery anonymized as the probes are; the clear template where no face is left."""
    level = see_level(observer, gallery, method, relative)
    return {shot: clear[shot] if vector is None else vector for shot, vector in vectors_of(level.prepared).items()}


def _measure(one: Cast, plan: Plan, level: Level, tries: Sequence[Try]) -> Iterator[AttackRow]:
    for people, mated in (("own", one.own), ("crowd", one.crowd)):
        if mated:
            target = plan.target(one.name, people, level.method, level.relative, level.met(mated))
            for tried in tries:
                yield plan.counting.measure(target, [tried], mated, one.impostors)


def _use(one: Cast, observer: Observer, plan: Plan, method: str, relative: float) -> Iterator[Run]:
    """What the household has of the method at that strength, as ``evaluate household`` measures it."""
    household = one.household
    if household is None:
        return
    anonymizer = CLEAR_METHOD if method == SEALED else method
    members = household.of(Role.ENROLL)
    templates = [
        Template(face_id=str(picture.path), person_id=picture.identity, level=level, vector=vector)
        for picture in members
        for level, vector in observer.enroll(Shot(path=picture.path, identity=picture.identity))
    ]
    probes, strengths = [], []
    for picture in (*household.of(Role.PROBE), *household.of(Role.STRANGER)):
        shot = Shot(path=picture.path, identity=picture.identity)
        privacy = observer.choose(shot, anonymizer, relative)
        if privacy is not None:
            strengths.append(observer.strength(shot, privacy))
        probes.append(
            Probe(
                identity=picture.identity,
                enrolled=picture.role is Role.PROBE,
                sighting=None if privacy is None else observer.recognize(shot, privacy),
                without_face=str(picture.path) if household.leave_out and picture.role is Role.PROBE else None,
                without_person=picture.identity if household.leave_out and picture.role is Role.STRANGER else None,
            )
        )
    kind = GalleryKind.MATCHED
    gallery = Gallery(kind, templates, plan.measuring.rules, offered=len(members))
    subject = Subject(set=one.name, engine=plan.engine, method=method, parameter=None, gallery=kind.value)
    run = identify(subject, gallery, probes, plan.measuring)
    # Where no detector finds a face, the strength is still known.
    yield replace(run, relative=float(np.median(strengths)) if strengths else float("nan"))
