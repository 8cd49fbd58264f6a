"""What the bridge listens to on the broker: pictures, triggers, and what the backend says of cameras."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from privface_backend.bridge.line import CameraLine
from privface_backend.bridge.patterns import TopicPattern
from privface_backend.bridge.pictures import PayloadPicture
from privface_backend.bridge.settings import BridgeSettings, CameraFeed
from privface_backend.domain.privacy import MAX_KERNEL
from privface_backend.mqtt.slugs import SLUG_PATTERN, make_slug
from privface_backend.mqtt.topics import OFFLINE, ONLINE, Topics
from privface_backend.protocol import Advice

_LOGGER: Final = logging.getLogger(__name__)
_MOST_SLUGS: Final = 256
_MOST_STATE: Final = 64 * 1024


class Listener(Protocol):
    """Takes messages. ``filters``: by topic filter the quality of service to ask for."""

    @property
    def filters(self) -> Mapping[str, int]: ...

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take a message; most are for others. Must return at once."""


class PictureListener:
    """Pictures on topics: of cameras that are set, and of those that a pattern names. ``line_of``: the camera's line,
    None if there are too many; ``most_bytes``: of a message that is looked at."""

    def __init__(
        self,
        feeds: Mapping[str, CameraFeed],
        bridge: BridgeSettings,
        *,
        line_of: Callable[[str], CameraLine | None],
        clock: Callable[[], datetime],
        most_bytes: int,
    ) -> None:
        self._feeds: Final[dict[str, list[tuple[str, CameraFeed]]]] = {}
        for camera, feed in feeds.items():
            if feed.topic is not None:
                self._feeds.setdefault(feed.topic, []).append((camera, feed))
        self._bridge: Final = bridge
        self._patterns: Final = tuple(TopicPattern(text) for text in bridge.topics)
        self._line_of: Final = line_of
        self._clock: Final = clock
        self._most_bytes: Final = most_bytes

    @property
    def filters(self) -> Mapping[str, int]:
        # Quality 0: a picture that is lost is followed by a newer one.
        return dict.fromkeys((*self._feeds, *(pattern.topic_filter for pattern in self._patterns)), 0)

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if not payload:
            return
        if feeds := self._feeds.get(topic):
            for camera, feed in feeds:
                self._offer(camera, payload, feed, retained=retained)
            return
        named = next((name for pattern in self._patterns if (name := pattern.camera(topic))), None)
        if named is not None:
            self._offer(named, payload, self._bridge, retained=retained)

    def _offer(self, camera: str, payload: bytes, how: CameraFeed | BridgeSettings, *, retained: bool) -> None:
        # Only JSON can say when a picture was taken: any other that the broker kept is of an unknown age.
        if retained and (how.format in {"raw", "base64"} or not payload[:64].lstrip().startswith(b"{")):
            return
        line = self._line_of(camera)
        if line is None:
            return
        if len(payload) > self._most_bytes:
            line.refuse("picture_too_large", "The message has too many bytes.")
            return
        line.offer(
            PayloadPicture(
                camera=camera,
                payload=payload,
                captured_at=self._clock(),
                format=how.format,
                field=how.field,
                time_field=how.time_field,
                retained=retained,
            )
        )


class TriggerListener:
    """Messages that start a burst of looks."""

    def __init__(self, feeds: Mapping[str, CameraFeed], line_of: Callable[[str], CameraLine | None]) -> None:
        self._triggers: Final[dict[str, list[tuple[str, str | None]]]] = {}
        for camera, feed in feeds.items():
            if feed.trigger is not None:
                self._triggers.setdefault(feed.trigger, []).append((camera, feed.trigger_payload))
        self._line_of: Final = line_of

    @property
    def filters(self) -> Mapping[str, int]:
        return dict.fromkeys(self._triggers, 1)

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        # What the broker kept happened at some time in the past.
        if retained:
            return
        for camera, wanted in self._triggers.get(topic, ()):
            if (wanted is None or payload == wanted.encode()) and (line := self._line_of(camera)) is not None:
                line.start_burst("trigger")


class BackendListener:
    """What the backend says of cameras, whether it is there to say so, and the command to look now.

    Which topic is a camera's the backend says there, since two names can be written alike; until it has, the plain way
    to write a name is taken for it, unless that is another camera's.
    """

    def __init__(self, topics: Topics, lines: Callable[[], Iterable[CameraLine]]) -> None:
        self._topics: Final = topics
        self._lines: Final = lines
        self._said: Final[dict[str, dict[str, bool | int]]] = {}
        self._advice: Final[dict[str, int]] = {}
        self._away = False
        self._names: Final[dict[str, str]] = {}

    @property
    def filters(self) -> Mapping[str, int]:
        return dict.fromkeys(self._topics.camera_commands_to_bridge, 1)

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if topic == self._topics.status and payload in {ONLINE, OFFLINE}:
            self._note_backend(away=payload == OFFLINE)
            return
        head = f"{self._topics.base}/camera/"
        slug, _, kind = topic.removeprefix(head).partition("/")
        if not topic.startswith(head) or not SLUG_PATTERN.fullmatch(slug):
            return
        if kind == "state":
            self._learn(slug, _read_camera(payload))
        elif kind == "enabled/state" and payload in {b"ON", b"OFF"}:
            self._say(slug, enabled=payload == b"ON")
        elif kind == "privacy/state" and (kernel := _read_kernel(payload)) is not None:
            self._say(slug, kernel=kernel)
        elif kind == "advice/state":
            self._advise(slug, _read_advice(payload))
        elif kind == "look" and payload == b"PRESS" and not retained:
            for line in self._of(slug):
                line.look()

    def introduce(self, line: CameraLine) -> None:
        """Tell a line that is new what was said of its camera before."""
        slug = self._slug_of(line) or ""
        self._tell(line, self._said.get(slug, {}))
        self._tell_advice(line, slug)

    def _note_backend(self, *, away: bool) -> None:
        self._away = away
        for line in self._lines():
            if away:
                line.doubt_advice()
            else:
                line.trust_advice()

    def _advise(self, slug: str, kernel: int | None) -> None:
        """Take over what is advised for a topic's camera; None: nothing any more, or nothing that can be followed."""
        if kernel is None:
            self._advice.pop(slug, None)
        elif slug in self._advice or len(self._advice) < _MOST_SLUGS:
            self._advice[slug] = kernel
        for line in self._of(slug):
            self._tell_advice(line, slug)

    def _tell_advice(self, line: CameraLine, slug: str) -> None:
        line.advise(self._advice.get(slug))
        if self._away:
            line.doubt_advice()

    def _learn(self, slug: str, camera: str | None) -> None:
        """Take over whose a topic is; None: nobody's any more."""
        if self._names.get(slug) == camera or (camera is not None and len(self._names) >= _MOST_SLUGS):
            return
        before = {line: self._slug_of(line) for line in self._lines()}
        self._names.pop(slug, None)
        if camera is not None:
            self._names[slug] = camera
        for line, old in before.items():
            if (now := self._slug_of(line)) != old:
                # What another camera's topic said no longer holds.
                self._tell(line, {"enabled": True, **self._said.get(now or "", {})})
                self._tell_advice(line, now or "")

    def _say(self, slug: str, **said: bool | int) -> None:
        if slug not in self._said and len(self._said) >= _MOST_SLUGS:
            return
        self._said.setdefault(slug, {}).update(said)
        for line in self._of(slug):
            self._tell(line, said)

    @staticmethod
    def _tell(line: CameraLine, said: Mapping[str, bool | int]) -> None:
        enabled, kernel = said.get("enabled"), said.get("kernel")
        line.follow(enabled=None if enabled is None else bool(enabled), kernel=kernel)

    def _of(self, slug: str) -> Sequence[CameraLine]:
        return [line for line in self._lines() if self._slug_of(line) == slug]

    def _slug_of(self, line: CameraLine) -> str | None:
        told = next((slug for slug, camera in self._names.items() if camera == line.camera), None)
        if told is not None:
            return told
        plain = make_slug(line.camera, line.camera)
        return None if plain in self._names else plain


def _read_camera(payload: bytes) -> str | None:
    """The camera's name in its state; None: there is none."""
    try:
        camera = json.loads(payload[:_MOST_STATE]).get("camera")
    except (ValueError, AttributeError, RecursionError):
        return None
    return camera if isinstance(camera, str) else None


def _read_advice(payload: bytes) -> int | None:
    """The kernel that is advised; None: none, or nothing that can be read."""
    try:
        return Advice.from_dict(json.loads(payload[:_MOST_STATE])).kernel
    except (ValueError, AttributeError, RecursionError):
        return None


def _read_kernel(payload: bytes) -> int | None:
    if not payload.isdigit() or len(payload) > 3:
        return None
    kernel = int(payload)
    return kernel if kernel % 2 == 1 and kernel <= MAX_KERNEL else None
