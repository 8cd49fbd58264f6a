"""What the routes of other engines share: who may call them, what they see in a picture, and whom they enroll.

A picture is anonymized with the default privacy before the detector sees it, decided about by itself, and told to
nobody but the caller. Nobody is named whom the decision doesn't name: see ``domain/confidence.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Final

from aiohttp import web

from privface_backend.domain.confidence import confidence
from privface_backend.domain.decision import decide
from privface_backend.domain.geometry import Box, Size
from privface_backend.domain.matching import Template
from privface_backend.domain.people import EnrolledFace, Person, clean_name, same_name
from privface_backend.domain.ranking import Ranking
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.service import no_person
from privface_backend.pipeline.identification import JudgedFace
from privface_backend.pipeline.pictures import picture_size
from privface_backend.pipeline.recognition import Timed
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.auditing import admit
from privface_backend.rest.authentication import (
    basic_token,
    bearer_token,
    check_home,
    grant_token,
    may_lack_token,
)
from privface_backend.rest.faces import OF_ONE_FILE
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import UploadedFile

UNKNOWN: Final = "unknown"
"""What those engines call somebody without a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """A name, and the confidence in it."""

    name: str = field(repr=False)
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFace:
    """A face, with its box and landmarks in whole pixels of the picture as it was sent, upright.

    ``box``: left, top, right, bottom, inside the picture; ``likeness``: whom the decision names, or ``UNKNOWN`` with
    the confidence in the nearest person.
    """

    box: tuple[int, int, int, int]
    landmarks: tuple[tuple[int, int], ...]
    judged: JudgedFace
    likeness: Likeness

    @property
    def detection(self) -> float:
        """The detector's score, 0 to 1."""
        return self.judged.observed.face.score

    @property
    def area(self) -> int:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen in a picture, the largest face first, and the milliseconds that it took by stage."""

    faces: tuple[SeenFace, ...]
    latency_ms: dict[str, float]


async def let_in(request: web.Request, scope: Scope, key: str | None) -> None:
    """Let the request pass if its key, or the token in its Authorization header, allows ``scope``.

    Raises:
        PrivFaceError: ``unauthenticated``, ``forbidden``, ``too_many_attempts``.
    """
    settings = request.app[SERVICES].settings
    token = key or basic_token(request) or bearer_token(request)
    lacking = token is None and scope is Scope.IDENTIFY
    if not settings.server.require_token or (lacking and may_lack_token(request, settings.dropin.without_token)):
        check_home(request)
        await admit(request)
    else:
        await grant_token(request, token, scope)


async def look_at(services: Services, data: bytes) -> Sight:
    """Look at a picture.

    Raises:
        PrivFaceError: what ``Recognition.identify`` raises.
    """
    timed = await services.recognition.identify(data)
    size = picture_size(data, timed.judgement.look.size)
    faces = (_see(timed, judged, size) for judged in timed.judgement.faces)
    return Sight(faces=tuple(sorted(faces, key=lambda face: -face.area)), latency_ms=timed.latency_ms)


def _see(timed: Timed, judged: JudgedFace, size: Size) -> SeenFace:
    shown = timed.judgement.look.size
    landmarks = judged.observed.face.landmarks
    return SeenFace(
        box=_corners(Box.from_fractions(judged.result.box, size)),
        landmarks=()
        if landmarks is None
        else tuple((round(x * size.width / shown.width), round(y * size.height / shown.height)) for x, y in landmarks),
        judged=judged,
        likeness=_likeness(judged),
    )


def _corners(box: Box) -> tuple[int, int, int, int]:
    return round(box.x), round(box.y), round(box.x + box.width), round(box.y + box.height)


def _likeness(judged: JudgedFace) -> Likeness:
    # Whoever was forgotten meanwhile has no name any more.
    name = judged.result.person
    evidence = judged.decision.evidence
    return Likeness(name=name or UNKNOWN, confidence=confidence(evidence, named=name is not None))


def runners_up(services: Services, face: SeenFace, most: int) -> list[Likeness]:
    """The nearest people whom the decision doesn't name, at most ``most``: none of whom nothing is to be said."""
    names = services.index.snapshot.names
    others = [
        Likeness(name=names[one.person_id], confidence=confidence(one.evidence, named=False))
        for one in face.judged.ranked
        if one.person_id != face.judged.decision.person_id and one.person_id in names and not one.ignored
    ]
    return sorted(others, key=lambda one: -one.confidence)[: max(0, most)]


def compare(services: Services, templates: Sequence[Template], face: SeenFace) -> float:
    """The confidence that a face is the one person of the templates, decided like anything else; 0 where there is
    nothing to compare."""
    observed = face.judged.observed
    if observed.vector is None or not templates:
        return 0.0
    recognition, snapshot = services.recognition, services.index.snapshot
    rules = recognition.rules.decision
    people = {template.person_id for template in templates}
    examples = [example for example in snapshot.negatives if example.person_id in people]
    ranking = Ranking(templates, recognition.matcher.model, rules, examples, snapshot.ignored)
    decision = decide(ranking.rank(observed.vector, observed.level), rules)
    return confidence(decision.evidence, named=decision.person_id is not None)


def template_of(face: SeenFace) -> list[Template]:
    """A seen face as what another one is compared with; nothing where it is unusable."""
    observed = face.judged.observed
    if observed.vector is None:
        return []
    return [Template(face_id="picture", person_id="picture", level=observed.level, vector=observed.vector)]


async def find_named(services: Services, name: str) -> Person:
    """The one person of that name.

    Raises:
        PrivFaceError: ``person_not_found``; ``conflict``: several have that name.
    """
    wanted = " ".join(name.split())
    found = [person for person in await services.gallery.people() if same_name(person.name, wanted)]
    if len(found) > 1:
        raise PrivFaceError(
            ErrorCode.CONFLICT, "Several people have that name.", allowed="a name of their own for each"
        )
    if not found:
        raise no_person()
    return found[0]


def check_new_name(name: str) -> str:
    """A name to enroll under, as it is kept.

    Raises:
        PrivFaceError: ``bad_name``.
    """
    cleaned = clean_name(name)
    if same_name(cleaned, UNKNOWN):
        raise PrivFaceError(
            ErrorCode.BAD_NAME,
            "That name can't be used: it stands for everybody without one.",
            allowed=f"any name but {UNKNOWN}",
        )
    return cleaned


async def enroll_pictures(
    services: Services, name: str, files: Sequence[UploadedFile]
) -> tuple[Person, list[EnrolledFace]]:
    """Enroll each picture's face under a name; nobody is created where no picture can be used.

    Pictures that can't be used are left out if another can; one that is enrolled already counts as enrolled.

    Raises:
        PrivFaceError: the first picture's, if none can be used; ``bad_name``; ``consent_missing``; what ends all.
    """
    cleaned = check_new_name(name)
    services.gallery.check_consent(cleaned)
    usable: list[tuple[RepresentedFace, str]] = []
    refused: list[PrivFaceError] = []
    for file in files:
        try:
            face = await services.recognition.represent(file.data)
        except PrivFaceError as error:
            if error.code not in OF_ONE_FILE:
                raise
            refused.append(error)
        else:
            usable.append((face, hashlib.sha256(file.data).hexdigest()))
    if not usable:
        raise refused[0]
    person = await services.gallery.ensure_person(cleaned)
    return person, [await _add(services, person, face, digest) for face, digest in usable]


async def _add(services: Services, person: Person, face: RepresentedFace, digest: str) -> EnrolledFace:
    try:
        return await services.gallery.add_face(person.id, face, picture_digest=digest)
    except PrivFaceError as error:
        if error.code is not ErrorCode.CONFLICT:
            raise
        known = await services.gallery.faces(person.id)
        return next(face for face in known if face.picture_digest == digest)


def read_share(text: str | None, name: str, default: float) -> float:
    """A number from 0 to 1; the default where nothing was sent.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = nan
    # Written so that not-a-number fails, too.
    if not 0.0 <= number <= 1.0:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed="a number, 0 to 1")
    return number
