"""Home Assistant's devices for the backend, people and cameras, and their entities. Pure.

``layouts`` puts them into messages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from privface_backend import __version__
from privface_backend.domain.privacy import MAX_KERNEL
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.topics import Topics
from privface_backend.protocol import Event, Outcome, to_wire_time

SEEN: Final = "seen"
"""The type of a person's events. Those of a camera are outcomes, and what takes a name off them."""
FORGOTTEN: Final = "forgotten"
"""Somebody was forgotten whom the camera's last event may have named: this one names nobody in its place."""
LOOK_PAYLOAD: Final = "PRESS"
BACKEND: Final = "backend"
"""The key of the backend's own device. Those of people and cameras begin otherwise."""

_LATE_SECONDS: Final = 5
"""How much later than the backend itself Home Assistant says that somebody left, if word of it doesn't come."""
_LONGEST_STATE: Final = 255

# An event that was late on its way, or came twice, triggers nothing.
_FRESH: Final = (
    "{{ value if as_datetime(value_json.expires_at) > utcnow()"
    " and value_json.event_id != this.attributes.get('event_id') else '' }}"
)
_PEOPLE_NOW: Final = (
    "{{ ((value_json.persons + (['stranger'] if value_json.unknown else [])) | join(', ') or 'nobody')"
    f"[:{_LONGEST_STATE}] }}}}"
)
# A camera that goes is cleared, which comes in as nothing.
_PEOPLE_ATTRIBUTES: Final = (
    "{{ {'people': value_json.persons, 'strangers': value_json.unknown} | tojson if value_json is defined else '{}' }}"
)

Component = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device. ``key``: never changes, whatever the device is called, and no other of this backend's has it;
    ``components``: what Home Assistant's MQTT discovery makes an entity of, by keys that are the device's own."""

    key: str
    name: str = field(repr=False)
    model: str
    components: Mapping[str, Component] = field(repr=False)
    sw_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Makes them. ``hold_seconds``: how long somebody counts as present after they were last seen; ``kernels``: whether
    privacy parameters are kernel sizes."""

    topics: Topics
    instance_id: str
    hold_seconds: int
    kernels: bool

    @property
    def node(self) -> str:
        """What the ids of this backend's devices and entities begin with."""
        return f"privface_{self.instance_id}"

    def backend(self) -> Device:
        state = self.topics.backend_state
        return self._device(
            BACKEND,
            "PrivFace",
            "Backend",
            {
                "connected": {
                    "platform": "binary_sensor",
                    "name": "Connectivity",
                    "device_class": "connectivity",
                    "entity_category": "diagnostic",
                    "state_topic": self.topics.status,
                    "payload_on": "online",
                    "payload_off": "offline",
                    # The one entity that says so while it isn't there.
                    "availability": [],
                },
                "version": _diagnostic("Version", state, "{{ value_json.version }}", "mdi:tag-outline"),
                "engine": _diagnostic("Engine", state, "{{ value_json.engine }}", "mdi:engine-outline"),
                "people": _diagnostic("People", state, "{{ value_json.people }}", "mdi:account-multiple")
                | {"state_class": "measurement"},
            },
            sw_version=__version__,
        )

    def person(self, person: ShownPerson) -> Device:
        state = self.topics.person_state(person.slug)
        return self._device(
            self.person_key(person),
            person.name,
            "Person",
            {
                "present": {
                    "platform": "binary_sensor",
                    "name": "Present",
                    "device_class": "occupancy",
                    "icon": "mdi:account-check",
                    "state_topic": state,
                    "value_template": "{{ 'ON' if value_json.present else 'OFF' }}",
                    "off_delay": self.hold_seconds + _LATE_SECONDS,
                },
                "last_camera": _sensor("Last camera", state, "{{ value_json.camera }}", "mdi:cctv"),
                "last_seen": _sensor("Last seen", state, "{{ value_json.last_seen }}", "mdi:clock-outline")
                | {"device_class": "timestamp"},
                "score": _diagnostic("Score", state, "{{ value_json.score }}", "mdi:approximately-equal")
                | {"state_class": "measurement", "suggested_display_precision": 2},
                "seen": _event("Seen", self.topics.person_event(person.slug), [SEEN], "mdi:account-eye"),
            },
        )

    def camera(self, camera: ShownCamera) -> Device:
        state = self.topics.camera_state(camera.slug)
        types = [*(outcome.value for outcome in Outcome), FORGOTTEN]
        components = {
            "face": _event("Face", self.topics.camera_event(camera.slug), types, "mdi:face-recognition"),
            "people_now": _sensor("People now", state, _PEOPLE_NOW, "mdi:account-group")
            | {
                "json_attributes_topic": state,
                "json_attributes_template": _PEOPLE_ATTRIBUTES,
            },
            "strangers": _sensor("Strangers", state, "{{ value_json.unknown }}", "mdi:account-question-outline")
            | {"state_class": "measurement"},
            "unknown_person": {
                "platform": "binary_sensor",
                "name": "Unknown person",
                "device_class": "occupancy",
                "icon": "mdi:account-question",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.unknown else 'OFF' }}",
            },
            "recognition": {
                "platform": "switch",
                "name": "Recognition",
                "icon": "mdi:face-recognition",
                "state_topic": self.topics.camera_enabled(camera.slug),
                "command_topic": f"{self.topics.base}/camera/{camera.slug}/enabled/set",
            },
        }
        if self.kernels:
            components["privacy"] = self._privacy(camera)
        if camera.askable:
            components["look_now"] = {
                "platform": "button",
                "name": "Look now",
                "icon": "mdi:eye-plus",
                "command_topic": self.topics.camera_look(camera.slug),
                "payload_press": LOOK_PAYLOAD,
            }
        return self._device(self.camera_key(camera), camera.name, "Camera", components)

    def _privacy(self, camera: ShownCamera) -> Component:
        return {
            "platform": "number",
            "name": "Privacy",
            "icon": "mdi:blur",
            "entity_category": "config",
            "mode": "box",
            "min": 1,
            "max": MAX_KERNEL,
            "step": 2,
            "state_topic": self.topics.camera_privacy(camera.slug),
            "command_topic": f"{self.topics.base}/camera/{camera.slug}/privacy/set",
        }

    @staticmethod
    def person_key(person: ShownPerson) -> str:
        """Never changes, whatever the person is called."""
        return f"person_{person.id}"

    @staticmethod
    def camera_key(camera: ShownCamera) -> str:
        """Made of the camera's name, not of its slug, which may move to another camera."""
        return f"camera_{hashlib.sha256(camera.name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"

    def _device(
        self, key: str, name: str, model: str, components: Mapping[str, Component], sw_version: str | None = None
    ) -> Device:
        return Device(
            key=key,
            name=name,
            model=model,
            components={own: {"unique_id": f"{self.node}_{key}_{own}", **one} for own, one in components.items()},
            sw_version=sw_version,
        )


def _sensor(name: str, topic: str, template: str, icon: str) -> Component:
    return {"platform": "sensor", "name": name, "state_topic": topic, "value_template": template, "icon": icon}


def _diagnostic(name: str, topic: str, template: str, icon: str) -> Component:
    return _sensor(name, topic, template, icon) | {"entity_category": "diagnostic"}


def _event(name: str, topic: str, types: list[str], icon: str) -> Component:
    return {
        "platform": "event",
        "name": name,
        "event_types": types,
        "state_topic": topic,
        "value_template": _FRESH,
        "icon": icon,
    }


def forgotten_attributes(camera: str, now: datetime, lifetime: timedelta) -> dict[str, Any]:
    """What takes the place of a camera's last event when somebody is forgotten whom that may have named."""
    return {
        "event_type": FORGOTTEN,
        "event_id": uuid4().hex,
        "camera": camera,
        "person": None,
        "person_id": None,
        "expires_at": to_wire_time(now + lifetime),
    }


def event_attributes(event: Event, event_type: str) -> dict[str, Any]:
    """An event as an event entity takes it: its type, and what an automation needs to know."""
    return {
        "event_type": event_type,
        "event_id": event.event_id,
        "visit_id": event.visit_id,
        "seq": event.seq,
        "corrects": event.corrects,
        "camera": event.camera,
        "person": event.person,
        "person_id": event.person_id,
        "reason": event.reason.value,
        "phase": event.phase.value,
        "score": None if event.score is None else round(event.score, 4),
        "threshold": None if event.threshold is None else round(event.threshold, 4),
        "evidence": None if event.evidence is None else round(event.evidence, 4),
        "stranger": None if event.stranger is None else event.stranger.to_dict(),
        "relative": event.privacy.relative,
        "captured_at": to_wire_time(event.captured_at),
        "expires_at": to_wire_time(event.expires_at),
    }
