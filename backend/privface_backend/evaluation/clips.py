"""Clips: each frame looked at, what is said about the visits, and, where it is known, how right that is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from privface_backend.domain.matching import Template
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.following import make_decisions_of
from privface_backend.evaluation.footage import ClipLook, look_at_clip
from privface_backend.evaluation.household import Plan, select
from privface_backend.evaluation.manifests import (
    Picture,
    Role,
    choose_household,
    pictures_below,
    read_households,
    read_rows,
)
from privface_backend.evaluation.runs import Run, Subject
from privface_backend.evaluation.scoring import GalleryKind
from privface_backend.evaluation.sightings import Looker
from privface_backend.evaluation.truth import ClipDecision, Visit, read_truth, score_clip
from privface_backend.protocol import ErrorCode, Outcome, Phase

ENROLLED: Final = "enrol"
_ALL_PHASES: Final = (Phase.PROVISIONAL, Phase.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A video. ``who``: in words, who is in it; ``truth``: None where there is no file of it."""

    path: Path = field(repr=False)
    who: str = field(default="", repr=False)
    truth: tuple[Visit, ...] | None = field(default=None, repr=False)


def read_clips(path: Path) -> list[Clip]:
    """The clips of a manifest: ``file`` and, if it is there, ``who``. Beside a clip ``STEM_truth.csv`` is its truth.

    Raises:
        PrivFaceError: what ``read_rows`` and ``read_truth`` raise; ``bad_request``: a clip isn't there.
    """
    clips = []
    for row in read_rows(path, ("file",), ("who",)):
        video = row.path("file")
        truth = video.with_name(f"{video.stem}_truth.csv")
        clips.append(
            Clip(
                path=video,
                who=(row.cells.get("who") or "").strip(),
                truth=read_truth(truth) if truth.is_file() else None,
            )
        )
    return clips


def read_enrolled(clips: Path, wanted: Sequence[str]) -> list[Picture]:
    """Whom to enroll: the folders of ``enrol`` beside the clips' manifest, and those of ``MANIFEST:HOUSEHOLD``.

    Raises:
        PrivFaceError: ``bad_request``, ``not_found``.
    """
    folder = clips.parent / ENROLLED
    people = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    pictures = [
        Picture(path=path, identity=person.name, role=Role.ENROLL)
        for person in people
        for path in pictures_below(person)
    ]
    for text in wanted:
        manifest, colon, name = text.rpartition(":")
        if not colon:
            raise PrivFaceError(
                ErrorCode.BAD_REQUEST, "That names no household of a manifest.", allowed="MANIFEST:HOUSEHOLD"
            )
        (household,) = choose_household(read_households(Path(manifest)), [name])
        pictures += household.of(Role.ENROLL)
    if not pictures:
        message = f"There is nobody to enroll: no folder {ENROLLED} with a folder a person beside the clips."
        raise PrivFaceError(ErrorCode.BAD_REQUEST, message, allowed="that, or --enrolled MANIFEST:HOUSEHOLD")
    return pictures


def evaluate_clips(clips: Sequence[Clip], enrolled: Sequence[Picture], looker: Looker, plan: Plan) -> Iterator[Run]:
    """A run for each clip, gallery, method and parameter."""
    templates = {kind: _enroll(enrolled, looker, plan, kind) for kind in plan.galleries}
    engine = looker.process.engines.names
    for clip in clips:
        for privacy in plan.privacies:
            try:
                looks = look_at_clip(clip.path, looker, privacy, plan.measuring.bar)
            except PrivFaceError as error:
                plan.refuse(clip.path, error)
            else:
                for kind in plan.galleries:
                    said = make_decisions_of(kind, templates[kind], plan.measuring.rules, engine)(looks)
                    about = plan.subject(clip.path.name, privacy, kind)
                    yield _run(clip, looks, list(said), templates[kind], about)
            plan.advance()


def _enroll(pictures: Sequence[Picture], looker: Looker, plan: Plan, kind: GalleryKind) -> list[Template]:
    templates = []
    for picture in pictures:
        try:
            opened = looker.open(picture.path)
            found = looker.enroll_sent(opened) if kind is GalleryKind.SENT else looker.enroll(opened)
        except PrivFaceError as error:
            plan.refuse(picture.path, error)
            continue
        templates += [
            Template(face_id=str(picture.path), person_id=picture.identity, level=level, vector=vector)
            for level, vector in found
        ]
    return select(templates, kind)


def _run(
    clip: Clip,
    looks: Sequence[ClipLook],
    said: Sequence[ClipDecision],
    gallery: Sequence[Template],
    about: Subject,
) -> Run:
    people = {template.person_id for template in gallery}
    strengths = [face.level.relative for look in looks for face in look.look.faces]
    return Run(
        subject=about,
        relative=float(np.median(strengths)) if strengths else float("nan"),
        enrolled=len(people),
        enrolled_pictures=len({template.face_id for template in gallery}),
        visits=judge_clip(clip, said, people),
    )


def judge_clip(clip: Clip, decisions: Sequence[ClipDecision], people: Iterable[str]) -> dict[str, Any]:
    """What was said: all of it, and only what was said for sure. Without a truth, a name is false unless ``who`` has it
    as a word."""
    said: dict[str, Any] = {}
    known = set(people)
    for name, phases in (("confirmed", (Phase.CONFIRMED,)), ("any", _ALL_PHASES)):
        counted = [one for one in decisions if one.phase in phases]
        named = sorted({one.person for one in counted if one.outcome is Outcome.KNOWN and one.person is not None})
        if clip.truth is not None:
            # Whoever isn't enrolled is a stranger to this household.
            visits = [replace(one, stranger=one.stranger or one.identity not in known) for one in clip.truth]
            measured = score_clip(visits, counted, phases=phases).to_dict()
        else:
            expected = {person for person in named if re.search(rf"\b{re.escape(person)}\b", clip.who)}
            false = [one for one in counted if one.person is not None and one.person not in expected]
            measured = {**dict.fromkeys(score_clip((), ()).to_dict()), "false_names": len(false)}
            measured["unknown"] = sum(one.outcome is Outcome.UNKNOWN for one in counted)
        said[name] = {**measured, "named": named}
    return said
