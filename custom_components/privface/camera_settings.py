"""What a user sets for a camera, as its subentry keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigSubentry

from .anonymize import Noise, Strength
from .const import (
    CONF_BURST,
    CONF_CAMERA,
    CONF_CONDITION,
    CONF_CONDITION_STATES,
    CONF_COOLDOWN,
    CONF_EPSILON,
    CONF_INTERVAL,
    CONF_METHOD,
    CONF_PARAMETER,
    CONF_RECOGNITION,
    CONF_SENSITIVITY,
    CONF_SPACING,
    CONF_TRIGGERS,
    DEFAULT_BURST,
    DEFAULT_CONDITION_STATES,
    DEFAULT_COOLDOWN,
    DEFAULT_INTERVAL,
    DEFAULT_METHOD,
    DEFAULT_SPACING,
    NOISY_METHOD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """What is set for a camera, times in seconds."""

    name: str
    title: str
    entity_id: str
    strength: Strength
    recognition: bool
    interval: int
    triggers: tuple[str, ...]
    burst: int
    spacing: float
    cooldown: float
    condition: str | None
    condition_states: tuple[str, ...]

    @classmethod
    def from_subentry(cls, subentry: ConfigSubentry) -> CameraSettings:
        """Read a camera's subentry."""
        data: Mapping[str, Any] = subentry.data
        return cls(
            name=subentry.unique_id or subentry.subentry_id,
            title=subentry.title,
            entity_id=data[CONF_CAMERA],
            strength=_read_strength(data),
            recognition=bool(data.get(CONF_RECOGNITION, True)),
            interval=int(data.get(CONF_INTERVAL, DEFAULT_INTERVAL)),
            triggers=tuple(data.get(CONF_TRIGGERS, ())),
            burst=int(data.get(CONF_BURST, DEFAULT_BURST)),
            spacing=float(data.get(CONF_SPACING, DEFAULT_SPACING)),
            cooldown=float(data.get(CONF_COOLDOWN, DEFAULT_COOLDOWN)),
            condition=data.get(CONF_CONDITION),
            condition_states=tuple(data.get(CONF_CONDITION_STATES, DEFAULT_CONDITION_STATES)),
        )


def _read_strength(data: Mapping[str, Any]) -> Strength:
    method, usual = data.get(CONF_METHOD, DEFAULT_METHOD), Noise()
    noise = Noise(
        epsilon=float(data.get(CONF_EPSILON, usual.epsilon)),
        sensitivity=int(data.get(CONF_SENSITIVITY, usual.sensitivity)),
    )
    return Strength(method=method, parameter=int(data[CONF_PARAMETER]), noise=noise if method == NOISY_METHOD else None)
