"""What a user sets for a camera, as its subentry keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigSubentry

from .anonymize import METHODS, Limits, Noise, Strength
from .const import (
    CONF_ADAPTIVE,
    CONF_BURST,
    CONF_CAMERA,
    CONF_CONDITION,
    CONF_CONDITION_STATES,
    CONF_COOLDOWN,
    CONF_EPSILON,
    CONF_INTERVAL,
    CONF_LEAST,
    CONF_METHOD,
    CONF_MOST,
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
    """What is set for a camera, times in seconds. ``limits``: between which the strength follows the backend's advice;
    None: it doesn't."""

    name: str
    title: str
    entity_id: str
    strength: Strength
    limits: Limits | None
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
        strength = _read_strength(data)
        return cls(
            name=subentry.unique_id or subentry.subentry_id,
            title=subentry.title,
            entity_id=data[CONF_CAMERA],
            strength=strength,
            limits=_read_limits(data, strength),
            recognition=bool(data.get(CONF_RECOGNITION, True)),
            interval=int(data.get(CONF_INTERVAL, DEFAULT_INTERVAL)),
            triggers=tuple(data.get(CONF_TRIGGERS, ())),
            burst=int(data.get(CONF_BURST, DEFAULT_BURST)),
            spacing=float(data.get(CONF_SPACING, DEFAULT_SPACING)),
            cooldown=float(data.get(CONF_COOLDOWN, DEFAULT_COOLDOWN)),
            condition=data.get(CONF_CONDITION),
            condition_states=tuple(data.get(CONF_CONDITION_STATES, DEFAULT_CONDITION_STATES)),
        )


def _read_limits(data: Mapping[str, Any], strength: Strength) -> Limits | None:
    if not data.get(CONF_ADAPTIVE, False) or strength.method not in METHODS:
        return None
    least = int(data.get(CONF_LEAST, strength.parameter))
    return Limits(least=least, most=max(least, int(data.get(CONF_MOST, METHODS[strength.method].useful))))


def _read_strength(data: Mapping[str, Any]) -> Strength:
    method, usual = data.get(CONF_METHOD, DEFAULT_METHOD), Noise()
    noise = Noise(
        epsilon=float(data.get(CONF_EPSILON, usual.epsilon)),
        sensitivity=int(data.get(CONF_SENSITIVITY, usual.sensitivity)),
    )
    return Strength(method=method, parameter=int(data[CONF_PARAMETER]), noise=noise if method == NOISY_METHOD else None)
