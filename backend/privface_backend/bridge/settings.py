"""What can be set of the bridge, and of the cameras whose pictures it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import voluptuous as vol

from privface_backend.domain.camera_address import read_camera_address
from privface_backend.domain.privacy import CLEAR_METHOD
from privface_backend.domain.strength_advice import TARGETS, is_target
from privface_backend.settings_file import RULE, Name, between, each, one_of

FORMATS: Final = ("auto", "raw", "base64", "json")
WAYS: Final = ("topic", "address", "webcam", "folder", "frigate")
CAMERA_LEVEL: Final = "{camera}"
MOST_CAMERAS: Final = 64
_LONGEST_TOPIC: Final = 1024


def topic_problem(topic: str) -> str | None:
    """What is wrong with a topic that messages are taken from."""
    if not topic or len(topic) > _LONGEST_TOPIC or not topic.isprintable():
        return "expected a topic"
    if "+" in topic or "#" in topic:
        return "expected one topic, without + and #"
    return None


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of topics."""
    levels = pattern.split("/")
    if levels.count(CAMERA_LEVEL) != 1 or pattern.count("{") != 1 or pattern.count("}") != 1:
        return "expected a topic with {camera} once, as a whole level, such as cameras/{camera}/snapshot"
    return topic_problem(pattern)


def _topic(value: str) -> str:
    if problem := topic_problem(value):
        raise vol.Invalid(problem)
    return value


def _camera_address(value: str) -> str:
    try:
        read_camera_address(value)
    except ValueError as error:
        raise vol.Invalid(str(error)) from None
    return value


def _name(value: str) -> str:
    if not 0 < len(value) <= 64 or not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
        raise vol.Invalid("expected 1 to 64 letters, digits, - and _")
    return value


def target_rule(value: float) -> float:
    """The rule for an r to keep."""
    if not is_target(value):
        raise vol.Invalid(f"expected {TARGETS}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFeed:
    """Where a camera's pictures come from, one of ``WAYS``; when they are taken; how they are anonymized.

    ``sealed``: none comes at all, as a user side of its own looks at them; then nothing else is set.

    ``format``, ``field``, ``time_field``: of what comes on ``topic``. With ``trigger``, a topic, pictures are taken
    only after a message there (with ``trigger_payload``, one of that text): ``frames`` pictures, ``interval`` seconds
    apart, and again after ``cooldown`` seconds at the earliest. ``method``, ``parameter``: None: those of ``privacy``.
    ``adaptive``: follow what the backend advises, from the parameter ``least`` (None: the camera's own) to ``most``
    (None: the method's strongest); ``target``: the r that it advises for this camera (None: that of ``privacy``).
    """

    topic: str | None = dataclasses.field(default=None, metadata={RULE: _topic})
    address: str | None = dataclasses.field(default=None, repr=False, metadata={RULE: _camera_address})
    webcam: int | None = dataclasses.field(default=None, metadata={RULE: between(0, 999)})
    folder: Path | None = None
    frigate: str | None = None
    format: str = dataclasses.field(default="auto", metadata={RULE: one_of(*FORMATS)})
    field: str | None = None
    time_field: str | None = None
    trigger: str | None = dataclasses.field(default=None, metadata={RULE: _topic})
    trigger_payload: str | None = None
    frames: int = dataclasses.field(default=4, metadata={RULE: between(1, 100)})
    interval: float = dataclasses.field(default=0.5, metadata={RULE: between(0.02, 3600)})
    cooldown: float = dataclasses.field(default=5.0, metadata={RULE: between(0, 3600)})
    method: str | None = None
    parameter: int | None = None
    adaptive: bool = False
    least: int | None = None
    most: int | None = None
    target: float | None = dataclasses.field(default=None, metadata={RULE: target_rule})
    enabled: bool = True
    sealed: bool = False

    def __post_init__(self) -> None:
        if self.sealed:
            self._check_sealed()
            return
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(WAYS)}, and only one")
        if self.topic is None and (self.format != "auto" or self.field or self.time_field):
            raise ValueError("format, field and time_field belong to topic")
        if self.trigger_payload is not None and self.trigger is None:
            raise ValueError("trigger_payload needs trigger")
        if not self.adaptive and (self.least is not None or self.most is not None):
            raise ValueError("least and most need adaptive: true")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("expected least not to be above most")

    def _check_sealed(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "sealed" and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"with {field.name}: no picture of a sealed camera comes here, so that nothing else is set of it"
                )

    @property
    def way(self) -> str:
        """Which of ``WAYS``; a sealed camera has none."""
        return next(name for name in WAYS if getattr(self, name) is not None)

    def limits(self) -> tuple[tuple[str, int], ...]:
        """Those that are set of the limits between which the parameter follows the advice, by name."""
        given = (("least", self.least), ("most", self.most))
        return tuple((name, value) for name, value in given if value is not None)

    def strength(self, method: str, parameter: int) -> tuple[str, int]:
        """Method and parameter, those of ``privacy`` being given."""
        chosen = self.method or method
        if self.parameter is not None:
            return chosen, self.parameter
        return chosen, 1 if chosen == CLEAR_METHOD else parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """The bridge. ``backend``: where REST listens, for ``privface bridge``; ``token``: with the scope identify.

    ``topics``: patterns of topics with pictures; ``format``, ``field``, ``time_field``: what comes there.
    ``sealed``: no picture leaves, only templates that are sealed with the user side's own key. ``keep_seconds``: how
    old a picture may become before it is dropped. ``id``: empty: made from the host's name.
    """

    backend: str = ""
    token: str | None = dataclasses.field(default=None, repr=False)
    topics: tuple[str, ...] = ()
    format: str = "auto"
    field: str | None = None
    time_field: str | None = None
    sealed: bool = False
    keep_seconds: float = 10.0
    id: str = ""


def _check_pattern(pattern: str) -> None:
    if problem := pattern_problem(pattern):
        raise ValueError(problem)


BRIDGE_CHECKS: Final[Mapping[Name, Any]] = {
    ("bridge", "topics"): each(_check_pattern),
    ("bridge", "format"): one_of(*FORMATS),
    ("bridge", "keep_seconds"): between(0.5, 600),
    ("bridge", "id"): _name,
}
