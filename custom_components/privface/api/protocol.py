"""What crosses the wire between PrivFace's backend and its clients.

Standard library only. This file exists twice, byte-identical: in the backend and in the Home
Assistant component. Both sides ignore keys that they don't know, and read an enum value that
they don't know as the enum's ``UNKNOWN`` member.

Boxes on the wire are ``[x, y, width, height]`` as fractions of the frame, from its top left corner.
Times are ISO 8601 in UTC with milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

API_VERSION: Final = 1
MIN_API_VERSION: Final = 1
EVENT_SCHEMA: Final = 1
DEFAULT_PORT: Final = 8090
ZEROCONF_TYPE: Final = "_privface._tcp.local."
_LARGEST: Final = 1e15


class _WireEnum(StrEnum):
    """An enum of the wire: a value from a newer peer reads as ``unknown``."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:  # noqa: ARG003  # Enum's hook has this signature
        return cls.__members__.get("UNKNOWN")


class Outcome(_WireEnum):
    """What was decided about a face."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    UNUSABLE = "unusable"


class Phase(_WireEnum):
    """How firm a decision about a visit is."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"


class Reason(_WireEnum):
    """Why a decision came out as it did."""

    OK = "ok"
    NO_FACE = "no_face"
    TOO_SMALL = "too_small"
    TOO_BLURRY = "too_blurry"
    POSE = "pose"
    LIGHTING = "lighting"
    LOW_DETECTION = "low_detection"
    BELOW_THRESHOLD = "below_threshold"
    SMALL_MARGIN = "small_margin"
    FEW_FACES = "few_faces"
    NOT_THEM = "not_them"
    IGNORED = "ignored"
    NOBODY_ENROLLED = "nobody_enrolled"
    UNKNOWN = "unknown"


class PresencePhase(_WireEnum):
    """Where somebody is in their stay before a camera. ``SEEN``: once, not yet firmly; ``LEFT``: not there any more."""

    SEEN = "seen"
    PRESENT = "present"
    LEFT = "left"
    UNKNOWN = "unknown"


class AppliedBy(_WireEnum):
    """Who anonymized a frame. ``NOBODY``: it came clear, and nobody has yet."""

    CLIENT = "client"
    BRIDGE = "bridge"
    BACKEND = "backend"
    NOBODY = "nobody"
    UNKNOWN = "unknown"


class FrameSource(_WireEnum):
    """The way that a frame took to the backend."""

    HOMEASSISTANT = "homeassistant"
    MQTT = "mqtt"
    FRIGATE = "frigate"
    LINK = "link"
    UPLOAD = "upload"
    UNKNOWN = "unknown"


class Scope(_WireEnum):
    """What a token may do. ``ADMIN`` includes the others."""

    IDENTIFY = "identify"
    ENROLL = "enroll"
    ADMIN = "admin"
    UNKNOWN = "unknown"


class StreamMessage(_WireEnum):
    """The ``type`` of a message on the websocket ``/api/v1/stream``."""

    HELLO = "hello"
    SNAPSHOT = "snapshot"
    EVENT = "event"
    PEOPLE = "people"
    STATE = "state"
    ADVICE = "advice"
    RESYNC = "resync"
    UNKNOWN = "unknown"


class ErrorCode(_WireEnum):
    """Stable codes of the errors that a caller can meet, on every interface."""

    BAD_REQUEST = "bad_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    API_VERSION = "api_version"
    BAD_FRAME_CARD = "bad_frame_card"
    BAD_PRIVACY_PARAMETER = "bad_privacy_parameter"
    NOT_ANONYMIZED = "not_anonymized"
    SEALED = "sealed"
    ANONYMIZER_FAILED = "anonymizer_failed"
    PICTURE_UNREADABLE = "picture_unreadable"
    PICTURE_TRUNCATED = "picture_truncated"
    PICTURE_TOO_LARGE = "picture_too_large"
    PICTURE_FORMAT = "picture_format"
    BODY_TOO_LARGE = "body_too_large"
    VIDEO_UNREADABLE = "video_unreadable"
    VIDEO_WITHOUT_FRAMES = "video_without_frames"
    LINK_NOT_ALLOWED = "link_not_allowed"
    LINK_UNREACHABLE = "link_unreachable"
    PATH_NOT_ALLOWED = "path_not_allowed"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    FACE_TOO_SMALL = "face_too_small"
    FACE_TOO_BLURRY = "face_too_blurry"
    PERSON_NOT_FOUND = "person_not_found"
    PERSON_EXISTS = "person_exists"
    BAD_NAME = "bad_name"
    CONSENT_MISSING = "consent_missing"
    FACE_NOT_FOUND = "face_not_found"
    EVENT_NOT_FOUND = "event_not_found"
    STRANGER_NOT_FOUND = "stranger_not_found"
    VISIT_NOT_FOUND = "visit_not_found"
    TOO_FEW_FACES = "too_few_faces"
    NOT_CALIBRATED = "not_calibrated"
    CONTRACT_MISMATCH = "contract_mismatch"
    ENGINE_UNKNOWN = "engine_unknown"
    ENGINE_MISSING = "engine_missing"
    ENGINE_FAILED = "engine_failed"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_MISMATCH = "weights_mismatch"
    WEIGHTS_UNREACHABLE = "weights_unreachable"
    OVERLOADED = "overloaded"
    SUPERSEDED = "superseded"
    STORAGE_FULL = "storage_full"
    STORAGE_FAILED = "storage_failed"
    AUDIT_FAILED = "audit_failed"
    GALLERY_CORRUPT = "gallery_corrupt"
    GALLERY_TOO_NEW = "gallery_too_new"
    KEY_MISSING = "key_missing"
    LOCKED = "locked"
    SETTINGS_INVALID = "settings_invalid"
    PORT_IN_USE = "port_in_use"
    BROKER_UNREACHABLE = "broker_unreachable"
    BROKER_REFUSED = "broker_refused"
    CAMERA_DISABLED = "camera_disabled"
    TIMEOUT = "timeout"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


class WireError(ValueError):
    """A message that doesn't have the shape it should. ``key`` says where."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(f"{key}: expected {expected}")
        self.key = key
        self.expected = expected


def to_wire_time(moment: datetime) -> str:
    """Write an aware time as ``2026-11-23T08:15:30.125Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def from_wire_time(value: object, key: str) -> datetime:
    """Read an ISO 8601 time with an offset (or ``Z``), or seconds since 1970.

    Raises:
        WireError: it is neither, or carries no offset.
    """
    expected = "an ISO 8601 time with an offset, or seconds since 1970"
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            raise WireError(key, expected) from None
    if not isinstance(value, str):
        raise WireError(key, expected)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise WireError(key, expected)
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        raise WireError(key, expected) from None


def _text(data: Mapping[str, Any], key: str, limit: int = 256) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WireError(key, "a text")
    text = str(value)
    if len(text) > limit:
        raise WireError(key, f"at most {limit} characters")
    return text


def _flag(data: Mapping[str, Any], key: str) -> bool | None:
    value = data.get(key)
    if value is not None and not isinstance(value, bool):
        raise WireError(key, "true or false")
    return value


def _whole(data: Mapping[str, Any], name: str, key: str) -> int | None:
    value = data.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST):
        raise WireError(key, "a whole number, 0 or more")
    return value


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise WireError(key, "an object")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """How a frame was anonymized.

    ``parameter`` is the method's own (gaussian: odd kernel size in pixels of the frame; pixelate: cell
    size in pixels; none: 1; sealed, where no picture was sent at all: 1). ``relative`` is r, the blur's sigma
    over the face's width; None without a face.
    ``epsilon``, ``sensitivity``: of a method that adds noise for differential privacy; None: the receiver's own, or the
    method adds none. ``kept``: how many face regions were left of the frame, 0 where it is flat; None: all of it was.
    """

    method: str = "gaussian"
    parameter: int = 1
    relative: float | None = None
    applied_by: AppliedBy = AppliedBy.NOBODY
    epsilon: float | None = None
    sensitivity: int | None = None
    kept: int | None = None

    def to_dict(self) -> dict[str, Any]:
        more = {"epsilon": self.epsilon, "sensitivity": self.sensitivity, "kept": self.kept}
        return {
            "method": self.method,
            "parameter": self.parameter,
            "relative": None if self.relative is None else round(self.relative, 5),
            "applied_by": self.applied_by.value,
            **{key: value for key, value in more.items() if value is not None},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        parameter = data.get("parameter", 1)
        if isinstance(parameter, bool) or not isinstance(parameter, int):
            raise WireError("privacy.parameter", "a whole number")
        relative = data.get("relative")
        return cls(
            method=_text(data, "method", 64) or "gaussian",
            parameter=parameter,
            relative=None if relative is None else _finite(relative, "privacy.relative"),
            applied_by=AppliedBy(data.get("applied_by", "nobody")),
            epsilon=None if (epsilon := data.get("epsilon")) is None else _finite(epsilon, "privacy.epsilon"),
            sensitivity=_whole(data, "sensitivity", "privacy.sensitivity"),
            kept=_whole(data, "kept", "privacy.kept"),
        )


LARGEST_KERNEL: Final = 255
"""The largest kernel size of a gaussian blur that anybody may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """How strongly a camera's frames should be anonymized for the faces that were seen there.

    ``kernel``: of a gaussian blur, odd; other methods take the parameter that is as strong. ``target``: the r that it
    keeps for the near faces. ``faces``: how many the advice stands on. ``widths``: of the far, the middle and the near
    faces (quantiles 10, 50 and 90 %) in pixels of the working size; ``relative``: their r at that kernel.
    """

    kernel: int
    target: float
    faces: int
    widths: tuple[float, float, float]
    relative: tuple[float, float, float]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "target": round(self.target, 5),
            "faces": self.faces,
            "widths": [round(width, 1) for width in self.widths],
            "relative": [round(relative, 5) for relative in self.relative],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an advice.

        Raises:
            WireError: a key has the wrong shape, or the kernel is none: even, or beyond ``LARGEST_KERNEL``.
        """
        kernel, faces = data.get("kernel"), data.get("faces")
        if type(kernel) is not int or not 1 <= kernel <= LARGEST_KERNEL or kernel % 2 == 0:
            raise WireError("advice.kernel", f"an odd whole number, 1 to {LARGEST_KERNEL}")
        if type(faces) is not int or faces < 0:
            raise WireError("advice.faces", "a whole number")
        return cls(
            kernel=kernel,
            target=_finite(data.get("target"), "advice.target"),
            faces=faces,
            widths=_three(data, "widths"),
            relative=_three(data, "relative"),
        )


def _three(data: Mapping[str, Any], key: str) -> tuple[float, float, float]:
    values = data.get(key)
    if not isinstance(values, list) or len(values) != 3:
        raise WireError(f"advice.{key}", "three numbers")
    far, middle, near = (_finite(value, f"advice.{key}") for value in values)
    return far, middle, near


@dataclass(frozen=True, slots=True, kw_only=True)
class Requestor:
    """Who asked, in the ancestor's terms."""

    id: str
    type: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "type": self.type}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(id=_text(data, "id") or "", type=_text(data, "type", 64) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCard:
    """What travels with a frame: where and when it was taken, and what was done to it.

    ``privacy`` is None when the sender leaves the anonymizing, and its strength, to the backend. ``more``: whether
    the sender will send another frame of what this one shows; False lets the backend decide at once, None: not said.
    """

    camera: str
    captured_at: datetime
    privacy: Privacy | None = None
    source: FrameSource = FrameSource.UPLOAD
    source_event_id: str | None = None
    requestor: Requestor | None = None
    request_id: str | None = None
    trigger: str | None = None
    more: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "camera": self.camera,
            "captured_at": to_wire_time(self.captured_at),
            "privacy": None if self.privacy is None else self.privacy.to_dict(),
            "source": self.source.value,
            "source_event_id": self.source_event_id,
            "requestor": None if self.requestor is None else self.requestor.to_dict(),
            "request_id": self.request_id,
            "trigger": self.trigger,
            "more": self.more,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, camera: str, received_at: datetime) -> Self:
        """Read a card; ``camera`` and ``received_at`` stand in for what it leaves out.

        Raises:
            WireError: a key has the wrong shape.
        """
        privacy = _mapping(data, "privacy")
        requestor = _mapping(data, "requestor")
        captured_at = data.get("captured_at")
        return cls(
            camera=_text(data, "camera", 64) or camera,
            captured_at=received_at if captured_at is None else from_wire_time(captured_at, "captured_at"),
            privacy=Privacy.from_dict(privacy) if privacy else None,
            source=FrameSource(data.get("source", "upload")),
            source_event_id=_text(data, "source_event_id"),
            requestor=Requestor.from_dict(requestor) if requestor else None,
            request_id=_text(data, "request_id"),
            trigger=_text(data, "trigger", 64),
            more=_flag(data, "more"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNames:
    """The engines that looked."""

    detector: str
    recognizer: str

    def to_dict(self) -> dict[str, Any]:
        return {"detector": self.detector, "recognizer": self.recognizer}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(detector=_text(data, "detector") or "", recognizer=_text(data, "recognizer") or "")


def _box(value: object, key: str = "box") -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise WireError(key, "[x, y, width, height]")
    x, y, width, height = (_finite(side, key) for side in value)
    return x, y, width, height


def _finite(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise WireError(key, "a number")
    return float(value)


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    return None if value is None else _finite(value, key)


def _numbers(data: Mapping[str, Any], key: str) -> dict[str, float]:
    return {str(name): _finite(value, key) for name, value in _mapping(data, key).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceResult:
    """The decision about one face of one frame. Scores are cosine similarities, -1 to 1."""

    box: tuple[float, float, float, float]
    outcome: Outcome
    reason: Reason
    person_id: str | None = None
    person: str | None = field(default=None, repr=False)
    score: float | None = None
    margin: float | None = None
    threshold: float | None = None
    relative: float | None = None
    detection: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "box": [round(side, 5) for side in self.box],
            "outcome": self.outcome.value,
            "person_id": self.person_id,
            "person": self.person,
            "score": _rounded(self.score),
            "margin": _rounded(self.margin),
            "threshold": _rounded(self.threshold),
            "reason": self.reason.value,
            "relative": None if self.relative is None else round(self.relative, 5),
            "detection": _rounded(self.detection),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            box=_box(data.get("box")) or (0.0, 0.0, 0.0, 0.0),
            outcome=Outcome(data.get("outcome", "unknown")),
            reason=Reason(data.get("reason", "unknown")),
            person_id=_text(data, "person_id"),
            person=_text(data, "person"),
            score=_number(data, "score"),
            margin=_number(data, "margin"),
            threshold=_number(data, "threshold"),
            relative=_number(data, "relative"),
            detection=_number(data, "detection"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What was found in one frame: the answer of ``identify``, over REST and on the command line."""

    file: str | None
    frame: int
    faces: tuple[FaceResult, ...]
    privacy: Privacy
    engine: EngineNames
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    reason: Reason = Reason.OK

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "frame": self.frame,
            "reason": self.reason.value,
            "faces": [face.to_dict() for face in self.faces],
            "privacy": self.privacy.to_dict(),
            "engine": self.engine.to_dict(),
            "latency_ms": {stage: round(ms, 2) for stage, ms in self.latency_ms.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an identification.

        Raises:
            WireError: a key has the wrong shape.
        """
        faces = data.get("faces", ())
        if not isinstance(faces, list | tuple) or not all(isinstance(face, Mapping) for face in faces):
            raise WireError("faces", "a list of objects")
        return cls(
            file=_text(data, "file", 4096),
            frame=int(_number(data, "frame") or 0),
            faces=tuple(FaceResult.from_dict(face) for face in faces),
            privacy=Privacy.from_dict(_mapping(data, "privacy")),
            engine=EngineNames.from_dict(_mapping(data, "engine")),
            latency_ms=_numbers(data, "latency_ms"),
            reason=Reason(data.get("reason", "ok")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerRef:
    """A stranger without a name: ``number`` is their label, ``visit`` counts their visits from 1."""

    id: str
    number: int
    visit: int

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "number": self.number, "visit": self.visit}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            id=_text(data, "id") or "",
            number=int(_number(data, "number") or 0),
            visit=int(_number(data, "visit") or 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One decision about a visit, as MQTT, the websocket and Home Assistant's bus carry it.

    ``expires_at``: after it the event says nothing about the present and must not trigger anything. ``evidence``: the
    decimal logarithm of how many times likelier the visit's faces are of the nearest person than of a stranger.
    ``corrects``: the id of the event of this visit that is taken back. ``stranger``: whose visit an unknown one is.
    """

    event_id: str
    visit_id: str
    seq: int
    ts: datetime
    captured_at: datetime
    expires_at: datetime
    camera: str
    source: FrameSource
    outcome: Outcome
    phase: Phase
    reason: Reason
    privacy: Privacy
    engine: EngineNames
    faces: int
    box: tuple[float, float, float, float] | None = None
    source_event_id: str | None = None
    request_id: str | None = None
    requestor: Requestor | None = None
    person_id: str | None = None
    person: str | None = field(default=None, repr=False)
    score: float | None = None
    margin: float | None = None
    threshold: float | None = None
    evidence: float | None = None
    stranger: StrangerRef | None = None
    corrects: str | None = None
    votes: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": EVENT_SCHEMA,
            "event_id": self.event_id,
            "visit_id": self.visit_id,
            "seq": self.seq,
            "ts": to_wire_time(self.ts),
            "captured_at": to_wire_time(self.captured_at),
            "expires_at": to_wire_time(self.expires_at),
            "camera": self.camera,
            "source": self.source.value,
            "source_event_id": self.source_event_id,
            "request_id": self.request_id,
            "requestor": None if self.requestor is None else self.requestor.to_dict(),
            "outcome": self.outcome.value,
            "phase": self.phase.value,
            "person_id": self.person_id,
            "person": self.person,
            "score": _rounded(self.score),
            "margin": _rounded(self.margin),
            "threshold": _rounded(self.threshold),
            "evidence": _rounded(self.evidence),
            "stranger": None if self.stranger is None else self.stranger.to_dict(),
            "corrects": self.corrects,
            "faces": self.faces,
            "box": None if self.box is None else [round(side, 5) for side in self.box],
            "votes": {"known": self.votes.get("known", 0), "unknown": self.votes.get("unknown", 0)},
            "reason": self.reason.value,
            "privacy": self.privacy.to_dict(),
            "engine": self.engine.to_dict(),
            "latency_ms": {stage: round(ms, 2) for stage, ms in self.latency_ms.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an event.

        Raises:
            WireError: a key that an event can't do without is missing, or has the wrong shape.
        """
        event_id, camera = _text(data, "event_id"), _text(data, "camera")
        if not event_id or not camera:
            raise WireError("event_id, camera", "a text")
        requestor, stranger = _mapping(data, "requestor"), _mapping(data, "stranger")
        return cls(
            event_id=event_id,
            visit_id=_text(data, "visit_id") or event_id,
            seq=int(_number(data, "seq") or 0),
            ts=from_wire_time(data.get("ts"), "ts"),
            captured_at=from_wire_time(data.get("captured_at"), "captured_at"),
            expires_at=from_wire_time(data.get("expires_at"), "expires_at"),
            camera=camera,
            source=FrameSource(data.get("source", "unknown")),
            source_event_id=_text(data, "source_event_id"),
            request_id=_text(data, "request_id"),
            requestor=Requestor.from_dict(requestor) if requestor else None,
            outcome=Outcome(data.get("outcome", "unknown")),
            phase=Phase(data.get("phase", "unknown")),
            person_id=_text(data, "person_id"),
            person=_text(data, "person"),
            score=_number(data, "score"),
            margin=_number(data, "margin"),
            threshold=_number(data, "threshold"),
            evidence=_number(data, "evidence"),
            stranger=StrangerRef.from_dict(stranger) if stranger else None,
            corrects=_text(data, "corrects"),
            faces=int(_number(data, "faces") or 0),
            box=_box(data.get("box")),
            votes={vote: int(count) for vote, count in _numbers(data, "votes").items()},
            reason=Reason(data.get("reason", "unknown")),
            privacy=Privacy.from_dict(_mapping(data, "privacy")),
            engine=EngineNames.from_dict(_mapping(data, "engine")),
            latency_ms=_numbers(data, "latency_ms"),
        )
