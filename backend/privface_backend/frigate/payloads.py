"""Frigate's MQTT messages, read tolerantly: its versions differ in what they say, and say it in several ways. Pure.

What can't be read is ``Ignored``; nothing here raises for what came from outside.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MOST_BYTES: Final = 1024 * 1024
"""Longer JSON is not read: an object's path grows while it stays, by some 40 bytes a step."""

# What goes into addresses and topics. Frigate makes ids such as 1607123955.475377-mxklsc.
_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_CAMERA: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LONGEST_TEXT: Final = 256
_MOST_ITEMS: Final = 256
_LATEST: Final = 1e11
_TRUE: Final = frozenset({"true", "on", "yes", "1"})
_FACE: Final = "face"


class EventType(StrEnum):
    """Where a tracked object is in its life."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


class Reason(StrEnum):
    """Why a message is ignored."""

    TOO_LONG = "too_long"
    NOT_JSON = "not_json"
    NO_OBJECT = "no_object"
    BAD_ID = "bad_id"
    BAD_CAMERA = "bad_camera"
    EMPTY = "empty"
    RETAINED = "retained"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_TOPIC = "unknown_topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubLabel:
    """What Frigate calls the object more closely; ``score`` from 0 to 1, if it says one."""

    name: str = field(repr=False)
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedObject:
    """An object that Frigate follows. Times in seconds since 1970 by its clock: ``frame_time`` of what is said,
    ``snapshot_time`` of its best picture so far. ``box``: left, top, right, bottom in pixels of its detection;
    ``zones``: where it is or was; ``face``: a face of it is seen now."""

    id: str
    camera: str
    label: str
    frame_time: float | None = None
    snapshot_time: float | None = None
    box: tuple[float, float, float, float] | None = None
    zones: frozenset[str] = frozenset()
    has_snapshot: bool = False
    stationary: bool = False
    false_positive: bool = False
    face: bool = False
    sub_label: SubLabel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """``<topic>/events``: an object came, changed or went."""

    type: EventType
    object: TrackedObject


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceUpdate:
    """``<topic>/tracked_object_update`` of the type face: Frigate's own recognition has tried. No decision."""

    id: str
    camera: str | None = None
    name: str | None = field(default=None, repr=False)
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """``<topic>/available``."""

    online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSnapshot:
    """``<topic>/<camera>/<label>/snapshot``: the best picture of such an object there. ``data``: a JPEG."""

    camera: str
    label: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A message that is not followed."""

    reason: Reason


Message = ObjectEvent | FaceUpdate | Availability | ObjectSnapshot | Ignored


def read_message(base: str, topic: str, payload: bytes, *, retained: bool = False) -> Message:
    """Read what came on a topic below ``base``. Only whether Frigate is there counts where it was retained: anything
    else would be about somebody who is long gone."""
    levels = topic.removeprefix(f"{base}/").split("/") if topic.startswith(f"{base}/") else []
    match levels:
        case ["available"]:
            return _read_availability(payload)
        case ["events" | "tracked_object_update"] | [_, _, "snapshot"] if retained:
            return Ignored(reason=Reason.RETAINED)
        case ["events" | "tracked_object_update" as kind]:
            return _read_json(payload, _read_event if kind == "events" else _read_update)
        case [camera, label, "snapshot"]:
            return _read_snapshot(camera, label, payload)
        case _:
            return Ignored(reason=Reason.UNKNOWN_TOPIC)


def _read_snapshot(camera: str, label: str, payload: bytes) -> Message:
    if not _CAMERA.fullmatch(camera):
        return Ignored(reason=Reason.BAD_CAMERA)
    return ObjectSnapshot(camera=camera, label=label, data=payload) if payload else Ignored(reason=Reason.EMPTY)


def _read_availability(payload: bytes) -> Message:
    match payload.strip().lower():
        case b"online":
            return Availability(online=True)
        case b"offline" | b"stopped":
            return Availability(online=False)
        case _:
            return Ignored(reason=Reason.UNKNOWN_TYPE if payload else Reason.EMPTY)


def _read_json(payload: bytes, read: Callable[[Mapping[str, Any]], Message]) -> Message:
    if len(payload) > MOST_BYTES:
        return Ignored(reason=Reason.TOO_LONG)
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        return Ignored(reason=Reason.NOT_JSON)
    return read(_mapping(data))


def _read_event(data: Mapping[str, Any]) -> Message:
    after = _mapping(data.get("after")) or _mapping(data.get("before"))
    if not after:
        return Ignored(reason=Reason.NO_OBJECT)
    event_id, camera = _text(after.get("id")), _text(after.get("camera"))
    if event_id is None or not _ID.fullmatch(event_id):
        return Ignored(reason=Reason.BAD_ID)
    if camera is None or not _CAMERA.fullmatch(camera):
        return Ignored(reason=Reason.BAD_CAMERA)
    told = _text(data.get("type"))
    over = _number(after.get("end_time")) is not None
    if told is None:
        told = EventType.END if over else EventType.UPDATE
    if told not in set(EventType):
        return Ignored(reason=Reason.UNKNOWN_TYPE)
    return ObjectEvent(type=EventType(told), object=_read_object(event_id, camera, after))


def _read_object(event_id: str, camera: str, data: Mapping[str, Any]) -> TrackedObject:
    snapshot = _mapping(data.get("snapshot"))
    stationary = data.get("stationary")
    if stationary is None and data.get("active") is not None:
        stationary = not _flag(data.get("active"))
    return TrackedObject(
        id=event_id,
        camera=camera,
        label=_text(data.get("label")) or "",
        frame_time=_time(data.get("frame_time")),
        snapshot_time=_time(snapshot.get("frame_time")) or _time(data.get("snapshot_time")),
        box=_box(data.get("box")),
        zones=frozenset((*_texts(data.get("current_zones")), *_texts(data.get("entered_zones")))),
        has_snapshot=_flag(data.get("has_snapshot")),
        stationary=_flag(stationary),
        false_positive=_flag(data.get("false_positive")),
        face=any(_text(one.get("label")) == _FACE for one in _items(data.get("current_attributes"))),
        sub_label=_sub_label(data.get("sub_label")),
    )


def _read_update(data: Mapping[str, Any]) -> Message:
    if _text(data.get("type")) != _FACE:
        return Ignored(reason=Reason.UNKNOWN_TYPE if data else Reason.NO_OBJECT)
    event_id, camera = _text(data.get("id")), _text(data.get("camera"))
    if event_id is None or not _ID.fullmatch(event_id):
        return Ignored(reason=Reason.BAD_ID)
    return FaceUpdate(id=event_id, camera=camera, name=_text(data.get("name")), score=_share(data.get("score")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a list, and those of one that isn't in a list."""
    for item in (value if isinstance(value, list) else [value])[:_MOST_ITEMS]:
        if isinstance(item, Mapping):
            yield item


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_TEXT else None


def _texts(value: object) -> Iterator[str]:
    for item in (value if isinstance(value, list) else [value])[:_MOST_ITEMS]:
        if (text := _text(item)) is not None:
            yield text


def _number(value: object) -> float | None:
    """A number, also one that is written as a text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 < number < _LATEST else None


def _share(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _flag(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _TRUE
    return value in (True, 1)


def _box(value: object) -> tuple[float, float, float, float] | None:
    sides = [_number(side) for side in value] if isinstance(value, list) and len(value) == 4 else []
    left, top, right, bottom = sides or (None,) * 4
    if left is None or top is None or right is None or bottom is None:
        return None
    return left, top, right, bottom


def _sub_label(value: object) -> SubLabel | None:
    """A name, or a name with its score."""
    if isinstance(value, list):
        name = _text(value[0]) if value else None
        score = _share(value[1]) if len(value) > 1 else None
    else:
        name, score = _text(value), None
    return None if name is None else SubLabel(name=name, score=score)
