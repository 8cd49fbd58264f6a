"""A household's pictures, or its own gallery, as galleries and probes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from privface_backend.calibration.measuring import group_faces
from privface_backend.domain.matching import Template
from privface_backend.domain.privacy import CLEAR, PrivacyLevel
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.identification import Gallery, Measuring, Probe, identify
from privface_backend.evaluation.manifests import HouseholdSet, Picture, Role
from privface_backend.evaluation.runs import Run, Subject
from privface_backend.evaluation.scoring import GalleryKind
from privface_backend.evaluation.sightings import Looker, OpenedPicture, Sighting
from privface_backend.pipeline.enrollment import LADDER_METHOD
from privface_backend.protocol import ErrorCode, Privacy


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to evaluate: each of ``privacies`` in each of ``galleries``. ``engine``: its name in the runs.

    ``advance`` is called after each picture; ``refuse`` with each file that can't be read, and why.
    """

    engine: str
    privacies: Sequence[Privacy]
    galleries: Sequence[GalleryKind]
    measuring: Measuring
    advance: Callable[[], None]
    refuse: Callable[[Path, PrivFaceError], None]

    def subject(self, name: str, privacy: Privacy, kind: GalleryKind, *, own: bool = False) -> Subject:
        """What a run is about. ``own``: the probes are templates, which have a strength and no parameter."""
        return Subject(
            set=name,
            engine=self.engine,
            method=privacy.method,
            parameter=None if own else privacy.parameter,
            gallery=kind.value,
        )


@dataclass(slots=True, kw_only=True)
class _Material:
    """What the engines made of a set."""

    climbed: list[Template] = field(default_factory=list)
    sent: list[Template] = field(default_factory=list)
    probes: dict[Privacy, list[Probe]] = field(default_factory=lambda: defaultdict(list))

    def templates(self, kind: GalleryKind) -> list[Template]:
        return self.sent if kind is GalleryKind.SENT else select(self.climbed, kind)


def select(templates: Iterable[Template], kind: GalleryKind) -> list[Template]:
    """Those of an enrolled household's templates that a gallery holds."""
    if kind in {GalleryKind.MATCHED, GalleryKind.SEALED}:
        return list(templates)
    clear = kind is not GalleryKind.SENT
    return [template for template in templates if template.level.is_clear is clear]


def evaluate_household(household: HouseholdSet, looker: Looker, plan: Plan) -> Iterator[Run]:
    """A run for each gallery, method and parameter."""
    material = _Material()
    for picture in household.pictures:
        try:
            opened = looker.open(picture.path)
            if picture.role is Role.ENROLL:
                _enroll(material, picture, opened, looker, plan)
            else:
                for privacy in plan.privacies:
                    sighting = looker.look(opened, privacy)
                    material.probes[privacy].append(_probe(picture, sighting, leave_out=household.leave_out))
        except PrivFaceError as error:
            plan.refuse(picture.path, error)
        plan.advance()
    offered = len(household.of(Role.ENROLL))
    for kind in plan.galleries:
        gallery = Gallery(kind, material.templates(kind), plan.measuring.rules, offered=offered)
        for privacy in plan.privacies:
            subject = plan.subject(household.name, privacy, kind)
            yield identify(subject, gallery, material.probes[privacy], plan.measuring)


def _enroll(material: _Material, picture: Picture, opened: OpenedPicture, looker: Looker, plan: Plan) -> None:
    kept = [
        (templates, represent)
        for templates, represent, wanted in (
            (material.climbed, looker.enroll, any(kind is not GalleryKind.SENT for kind in plan.galleries)),
            (material.sent, looker.enroll_sent, GalleryKind.SENT in plan.galleries),
        )
        if wanted
    ]
    for templates, represent in kept:
        templates += [
            Template(face_id=str(picture.path), person_id=picture.identity, level=level, vector=vector)
            for level, vector in represent(opened)
        ]


def _probe(picture: Picture, sighting: Sighting | None, *, leave_out: bool) -> Probe:
    enrolled = picture.role is Role.PROBE
    return Probe(
        identity=picture.identity,
        enrolled=enrolled,
        sighting=sighting,
        without_face=str(picture.path) if leave_out and enrolled else None,
        without_person=picture.identity if leave_out and not enrolled else None,
    )


def evaluate_own(name: str, templates: Sequence[Template], ladder: Sequence[float], plan: Plan) -> Iterator[Run]:
    """The household's own gallery, face by face: a run for each gallery and each strength that its templates have.

    Each enrolled face's template of a strength is searched among the other faces, and, as a stranger's, among the other
    people. No picture is needed. A person with one face is nobody's probe.

    Raises:
        PrivFaceError: ``bad_request``: nobody has two faces of these engines.
    """
    faces = group_faces(templates)
    counts = Counter(face[0].person_id for face in faces.values())
    if not any(count > 1 for count in counts.values()):
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "Nobody is enrolled with two pictures for these engines.",
            allowed="a household in which somebody has two pictures or more",
        )
    for kind in plan.galleries:
        gallery = Gallery(kind, select(templates, kind), plan.measuring.rules, offered=len(faces))
        for level in (CLEAR, *(PrivacyLevel(LADDER_METHOD, strength) for strength in ladder)):
            shown = [one for face in faces.values() if (one := _nearest(face, level)) is not None]
            if shown:
                subject = plan.subject(name, Privacy(method=level.method, parameter=1), kind, own=True)
                yield identify(subject, gallery, _leave_out(shown, counts), plan.measuring)
        plan.advance()


def _leave_out(shown: Sequence[Template], counts: Mapping[str, int]) -> list[Probe]:
    probes = []
    for template in shown:
        sighting = Sighting(level=template.level, vector=template.vector)
        person, face = template.person_id, template.face_id
        if counts[person] > 1:
            probes.append(Probe(identity=person, enrolled=True, sighting=sighting, without_face=face))
        if len(counts) > 1:
            probes.append(Probe(identity=person, enrolled=False, sighting=sighting, without_person=person))
    return probes


def _nearest(face: Sequence[Template], level: PrivacyLevel) -> Template | None:
    """The face's template of about ``level``: within a quarter of its strength; clear only for a clear level."""
    alike = [one for one in face if one.level.method == level.method and one.level.is_clear is level.is_clear]
    best = min(alike, key=lambda one: abs(one.level.relative - level.relative), default=None)
    return best if best and abs(best.level.relative - level.relative) <= level.relative / 4 else None
