"""The act that is going on: where it begins it is opened, and deeper parts note what it turns out to be about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Self

from privface_backend.audit.entries import OK, Act, By, Entry
from privface_backend.protocol import Event, FaceResult, FrameCard, Outcome

_NO_FACE: Final = "no_face"


@dataclass(slots=True, kw_only=True)
class Doing:
    """An act while it goes on; the fields are those of ``Entry``.

    ``failure``: how it ends, where that is no error that says so. ``names_files``: what it calls a camera is a file's
    name, which may be a person's: it is left out.
    """

    act: Act
    operation: str
    by: By
    token: str | None = None
    requestor_id: str | None = None
    requestor_type: str | None = None
    request_id: str | None = None
    camera: str | None = None
    subjects: dict[str, None] = field(default_factory=dict)
    count: int | None = None
    names_files: bool = False
    failure: str | None = None
    outcomes: set[Outcome] = field(default_factory=set)
    looked: bool = False

    def afresh(self) -> Self:
        """The same act by the same caller, nothing noted yet."""
        return type(self)(
            act=self.act,
            operation=self.operation,
            by=self.by,
            token=self.token,
            requestor_id=self.requestor_id,
            requestor_type=self.requestor_type,
            request_id=self.request_id,
            camera=self.camera,
            names_files=self.names_files,
        )

    def note_faces(self, faces: Iterable[FaceResult]) -> None:
        """Note the faces of a frame that was looked at."""
        self.looked = True
        self.count = self.count or 0
        for face in faces:
            self.count += 1
            self.outcomes.add(face.outcome)
            if face.person_id is not None:
                self.subjects.setdefault(face.person_id)

    @property
    def outcome(self) -> str:
        """How it ended well: of what was looked at, the most that could be said of any face."""
        for outcome in (Outcome.KNOWN, Outcome.UNKNOWN, Outcome.UNUSABLE):
            if outcome in self.outcomes:
                return outcome.value
        return _NO_FACE if self.looked else OK

    def entry(self, outcome: str | None = None) -> Entry:
        """What is told of it; ``outcome``: None: it ended well."""
        return Entry(
            act=self.act,
            operation=self.operation,
            by=self.by,
            outcome=outcome or self.outcome,
            token=self.token,
            requestor_id=self.requestor_id,
            requestor_type=self.requestor_type,
            request_id=self.request_id,
            camera=None if self.names_files else self.camera,
            subjects=tuple(self.subjects),
            count=self.count,
        )


_CURRENT: Final[ContextVar[Doing | None]] = ContextVar("privface_act", default=None)


def current() -> Doing | None:
    """The act that goes on in this task."""
    return _CURRENT.get()


def begin(doing: Doing | None) -> None:
    """Let ``doing`` be the act of this task until it ends, or another begins."""
    _CURRENT.set(doing)


@contextlib.contextmanager
def going_on(doing: Doing) -> Iterator[Doing]:
    """Let ``doing`` be the act of this task for the length of the block."""
    before = _CURRENT.set(doing)
    try:
        yield doing
    finally:
        _CURRENT.reset(before)


def note_subject(person_id: str | None) -> None:
    """Note whom the act is about."""
    doing = _CURRENT.get()
    if doing is not None and person_id is not None:
        doing.subjects.setdefault(person_id)


def note_faces(faces: Iterable[FaceResult]) -> None:
    """Note the faces of a frame that the act looked at."""
    doing = _CURRENT.get()
    if doing is not None:
        doing.note_faces(faces)


def note_camera(name: str) -> None:
    """Note which camera the act is about."""
    doing = _CURRENT.get()
    if doing is not None:
        doing.camera = name


def note_card(card: FrameCard) -> None:
    """Note what a frame's card says of who asks."""
    doing = _CURRENT.get()
    if doing is None:
        return
    doing.camera = card.camera
    doing.request_id = card.request_id or doing.request_id
    if card.requestor is not None:
        doing.requestor_id, doing.requestor_type = card.requestor.id, card.requestor.type


def decision(event: Event) -> Entry:
    """What is told of a decision about a visit: by whoever sent the frames, if that was somebody who asked."""
    doing = _CURRENT.get()
    requestor = event.requestor
    return Entry(
        act=Act.IDENTIFY,
        operation="decision",
        by=By.CAMERA if doing is None else doing.by,
        outcome=event.outcome.value,
        token=None if doing is None else doing.token,
        requestor_id=None if requestor is None else requestor.id,
        requestor_type=None if requestor is None else requestor.type,
        request_id=event.request_id,
        camera=None if doing is not None and doing.names_files else event.camera,
        subjects=() if event.person_id is None else (event.person_id,),
        count=event.faces,
    )
