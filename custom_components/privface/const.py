"""Names that more than one module of the component uses."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "privface"
SUBENTRY_CAMERA: Final = "camera"
EVENT_TYPE: Final = "privface_event"
DISCOVERY_TOPIC: Final = "privface/discovery/#"

# Of the entry: the master key of a backend that keeps none itself.
CONF_KEY: Final = "key"

# Of a camera's subentry; its title is the camera's name for people, its unique id the name that the backend knows.
CONF_CAMERA: Final = "camera_entity"
CONF_METHOD: Final = "method"
CONF_PARAMETER: Final = "parameter"
CONF_ADAPTIVE: Final = "adaptive"
CONF_LEAST: Final = "least"
CONF_MOST: Final = "most"
CONF_EPSILON: Final = "epsilon"
CONF_SENSITIVITY: Final = "sensitivity"
NOISY_METHOD: Final = "pixelate+noise"
CONF_RECOGNITION: Final = "recognition"
CONF_INTERVAL: Final = "interval"
CONF_TRIGGERS: Final = "triggers"
CONF_BURST: Final = "burst"
CONF_SPACING: Final = "spacing"
CONF_COOLDOWN: Final = "cooldown"
CONF_CONDITION: Final = "condition_entity"
CONF_CONDITION_STATES: Final = "condition_states"

DEFAULT_METHOD: Final = "gaussian"
DEFAULT_INTERVAL: Final = 0
DEFAULT_BURST: Final = 3
DEFAULT_SPACING: Final = 1.0
DEFAULT_COOLDOWN: Final = 10
DEFAULT_CONDITION_STATES: Final = ("on",)

# Options of the entry, in seconds.
OPTION_PRESENT: Final = "present_seconds"
OPTION_STRANGER: Final = "stranger_seconds"
OPTION_PICTURE: Final = "picture_seconds"

DEFAULT_PRESENT: Final = 60
DEFAULT_STRANGER: Final = 60
DEFAULT_PICTURE: Final = 600
