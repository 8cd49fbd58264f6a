"""What a backend answers, beyond what ``protocol`` already knows."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from .errors import ApiVersionError
from .protocol import API_VERSION, MIN_API_VERSION, Advice, ErrorCode, Event, Identification, PresencePhase, WireError
from .shapes import (
    read_flag,
    read_list,
    read_moment,
    read_number,
    read_object,
    read_optional_text,
    read_text,
    read_texts,
    read_whole,
)

DEFAULT_WORKING_SIZE: Final = 640


def check_version(data: Mapping[str, Any]) -> None:
    """Shake hands: ``data`` is what a backend says of its versions.

    Raises:
        ApiVersionError: the two have no version in common.
        WireError: it says nothing of that.
    """
    if read_whole(data, "api_version") < MIN_API_VERSION:
        raise ApiVersionError(too_old=True)
    if read_whole(data, "min_api_version") > API_VERSION:
        raise ApiVersionError(too_old=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """How a backend stands.

    ``trouble``: why its engines can't be made; ``contract``: of which embeddings, None until they are ready;
    ``sealed``: it takes no pictures; ``sealed_cameras``: it takes none of these; ``working_size``: the longest side in
    pixels to which it brings frames; ``waiting``: pictures in its queue; ``weights``: by file, whether it is there;
    ``time``: its clock.
    """

    version: str
    api_version: int
    min_api_version: int
    instance_id: str
    ready: bool
    trouble: ErrorCode | None
    detector: str
    recognizer: str
    contract: str | None
    method: str
    parameter: int
    require_client: bool
    sealed: bool
    sealed_cameras: tuple[str, ...]
    working_size: int
    people: int
    faces: int
    templates: int
    stale_faces: int
    people_to_enroll_again: int
    weights: Mapping[str, str]
    waiting: int
    time: datetime | None

    def is_sealed(self, camera: str) -> bool:
        """Whether the backend takes no picture of a camera; a name that differs in case alone is the same camera's."""
        return self.sealed or _folded(camera) in {_folded(name) for name in self.sealed_cameras}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an answer of ``/info``; WireError if a key has the wrong shape."""
        engines, privacy = read_object(data, "engines"), read_object(data, "privacy")
        gallery, trouble = read_object(data, "gallery"), read_object(data, "trouble")
        return cls(
            version=read_text(data, "version"),
            api_version=read_whole(data, "api_version"),
            min_api_version=read_whole(data, "min_api_version"),
            instance_id=read_text(data, "instance_id"),
            ready=read_flag(data, "ready", default=False),
            trouble=ErrorCode(read_text(trouble, "code")) if trouble else None,
            detector=read_optional_text(engines, "detector") or "",
            recognizer=read_optional_text(engines, "recognizer") or "",
            contract=read_optional_text(engines, "contract"),
            method=read_optional_text(privacy, "method") or "",
            parameter=read_whole(privacy, "parameter", 1),
            require_client=read_flag(privacy, "require_client", default=False),
            sealed=read_flag(privacy, "sealed", default=False),
            sealed_cameras=read_texts(privacy, "sealed_cameras"),
            working_size=_read_working_size(privacy),
            people=read_whole(gallery, "people", 0),
            faces=read_whole(gallery, "faces", 0),
            templates=read_whole(gallery, "templates", 0),
            stale_faces=read_whole(gallery, "stale_faces", 0),
            people_to_enroll_again=read_whole(gallery, "people_to_enroll_again", 0),
            weights=_read_weights(data),
            waiting=read_whole(read_object(data, "lane"), "waiting", 0),
            time=read_moment(data, "time"),
        )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _read_working_size(privacy: Mapping[str, Any]) -> int:
    size = read_whole(privacy, "working_size", DEFAULT_WORKING_SIZE)
    if size <= 0:
        raise WireError("working_size", "a positive whole number")
    return size


def _read_weights(data: Mapping[str, Any]) -> dict[str, str]:
    weights = read_object(data, "weights")
    return {name: read_text(weights, name) for name in weights}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first word of a stream."""

    version: str
    api_version: int
    min_api_version: int
    instance_id: str
    time: datetime | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a ``hello``; WireError if a key has the wrong shape."""
        return cls(
            version=read_text(data, "version"),
            api_version=read_whole(data, "api_version"),
            min_api_version=read_whole(data, "min_api_version"),
            instance_id=read_text(data, "instance_id"),
            time=read_moment(data, "time"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is enrolled. ``id`` never changes; the name can."""

    id: str
    name: str = field(repr=False)
    created_at: datetime | None = None
    faces: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a person; WireError if a key has the wrong shape."""
        return cls(
            id=read_text(data, "id"),
            name=read_text(data, "name"),
            created_at=read_moment(data, "created_at"),
            faces=read_whole(data, "faces", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonState:
    """Where a person was last seen, and whether that still holds. ``person``: the name; ``phase``: where in their stay
    they are, ``UNKNOWN`` where the backend doesn't say; ``since``: when it began."""

    person_id: str
    person: str = field(repr=False)
    camera: str | None = None
    last_seen: datetime | None = None
    score: float | None = None
    present: bool = False
    phase: PresencePhase = PresencePhase.UNKNOWN
    since: datetime | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a person's state; WireError if a key has the wrong shape."""
        return cls(
            person_id=read_text(data, "person_id"),
            person=read_text(data, "person"),
            camera=read_optional_text(data, "camera"),
            last_seen=read_moment(data, "last_seen"),
            score=read_number(data, "score"),
            present=read_flag(data, "present", default=False),
            phase=PresencePhase(read_optional_text(data, "state") or PresencePhase.UNKNOWN),
            since=read_moment(data, "since"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """Who is before a camera: names, and how many strangers. ``unknown_seen``: when the last of these was seen, None
    where the backend doesn't say; ``ts``: when the last frame with an event was taken."""

    camera: str
    persons: tuple[str, ...] = field(default=(), repr=False)
    unknown: int = 0
    unknown_seen: datetime | None = None
    last_event_id: str | None = None
    ts: datetime | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a camera's state; WireError if a key has the wrong shape."""
        return cls(**_read_state(data))


def _read_state(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "camera": read_text(data, "camera"),
        "persons": read_texts(data, "persons"),
        "unknown": read_whole(data, "unknown", 0),
        "unknown_seen": read_moment(data, "unknown_seen"),
        "last_event_id": read_optional_text(data, "last_event_id"),
        "ts": read_moment(data, "ts"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera(CameraState):
    """A camera of a snapshot. ``parameter``: its own privacy parameter at the backend; None: the default's.
    ``advice``: how strongly the backend would anonymize its frames; None: it doesn't say."""

    enabled: bool = True
    parameter: int | None = None
    advice: Advice | None = None
    frames: int = 0
    skipped: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a camera; WireError if a key has the wrong shape."""
        return cls(
            **_read_state(data),
            enabled=read_flag(data, "enabled", default=True),
            parameter=None if data.get("parameter") is None else read_whole(data, "parameter"),
            advice=read_advice(data),
            frames=read_whole(data, "frames", 0),
            skipped=read_whole(data, "skipped", 0),
        )


def read_advice(data: Mapping[str, Any]) -> Advice | None:
    """What is advised; None: nothing, or nothing that can be followed: it is no reason to take nothing else in."""
    advice = data.get("advice")
    try:
        return Advice.from_dict(advice) if isinstance(advice, Mapping) else None
    except WireError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything at one moment. ``events``: the last ones, newest first."""

    people: tuple[PersonState, ...]
    cameras: tuple[Camera, ...]
    events: tuple[Event, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a ``snapshot`` or ``resync``; WireError if a key has the wrong shape."""
        return cls(
            people=read_list(data, "people", PersonState.from_dict),
            cameras=read_list(data, "cameras", Camera.from_dict),
            events=read_list(data, "events", Event.from_dict),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAnswer:
    """What was found in a camera's frame, which events went out for it, and to which visits its faces belong."""

    identification: Identification
    event_ids: tuple[str, ...]
    visit_ids: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an answer to a frame; WireError if a key has the wrong shape."""
        return cls(
            identification=Identification.from_dict(data),
            event_ids=read_texts(data, "events"),
            visit_ids=read_texts(data, "visits"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was removed with a person. ``folder_pictures``: faces from pictures in an enrolled folder, which are
    enrolled again if they stay there."""

    person_id: str
    faces: int = 0
    templates: int = 0
    events: int = 0
    folder_pictures: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a receipt; WireError if a key has the wrong shape."""
        return cls(
            person_id=read_text(data, "person_id"),
            faces=read_whole(data, "faces", 0),
            templates=read_whole(data, "templates", 0),
            events=read_whole(data, "events", 0),
            folder_pictures=read_whole(data, "folder_pictures", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """What was enrolled: ``faces``, how many; ``refused``: the places, from 0, of pictures that weren't used, each
    with its reason."""

    person: Person
    faces: int
    refused: tuple[tuple[int, ErrorCode], ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an answer to an enrollment; WireError if a key has the wrong shape."""
        return cls(
            person=Person.from_dict(read_object(data, "person")),
            faces=len(read_list(data, "faces", dict)),
            refused=read_list(data, "refused", _read_refused),
        )


def _read_refused(data: Mapping[str, Any]) -> tuple[int, ErrorCode]:
    return read_whole(data, "file"), ErrorCode(read_text(read_object(data, "error"), "code"))
