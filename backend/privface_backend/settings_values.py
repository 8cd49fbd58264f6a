"""What a single setting must satisfy beyond its type; the type itself comes from its dataclass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

import voluptuous as vol
from yarl import URL

from privface_backend.bridge.settings import BRIDGE_CHECKS, target_rule
from privface_backend.domain.camera_address import read_allowed_address
from privface_backend.domain.decision import Naming
from privface_backend.domain.privacy import epsilon_problem, sensitivity_problem
from privface_backend.settings_file import Name, between, each, one_of

_MOST_LEVELS: Final = 20


def _ladder(values: tuple[float, ...]) -> tuple[float, ...]:
    rising = all(low < high for low, high in itertools.pairwise((0.0, *values)))
    if not rising or not 1 <= len(values) <= _MOST_LEVELS or not 0.001 <= min(values) <= max(values) <= 0.2:
        raise vol.Invalid(f"expected 1 to {_MOST_LEVELS} rising values from 0.001 to 0.2")
    return values


def _web_address(text: str) -> str:
    expected = "expected http:// or https://, a host, and no user, query or fragment"
    try:
        url = URL(text)
        given = url.scheme in {"http", "https"} and url.host and url.port
    except ValueError:
        raise vol.Invalid(expected) from None
    if text and (not given or url.raw_user or url.raw_password or url.raw_query_string or url.raw_fragment):
        raise vol.Invalid(expected)
    return text.rstrip("/")


def _socket_address(text: str) -> str:
    expected = "expected ws:// or wss:// and a host"
    try:
        url = URL(text)
        given = url.scheme in {"ws", "wss"} and url.host and url.port and not url.raw_fragment
    except ValueError:
        raise vol.Invalid(expected) from None
    if not given:
        raise vol.Invalid(expected)
    return text


def _allowed_by(problem_of: Callable[[object], str | None]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if (problem := problem_of(value)) is not None:
            raise vol.Invalid(f"expected {problem.partition(': ')[2]}")
        return value

    return check


CHECKS: Final[Mapping[Name, Any]] = {
    ("server", "port"): between(0, 65535),
    ("server", "body_megabytes"): between(1, 4096),
    ("engines", "backend"): one_of("onnx", "tensorflow", "pytorch"),
    ("privacy", "ladder"): _ladder,
    ("privacy", "target"): target_rule,
    ("privacy", "epsilon"): _allowed_by(epsilon_problem),
    ("privacy", "sensitivity"): _allowed_by(sensitivity_problem),
    ("pipeline", "working_size"): between(160, 3840),
    ("pipeline", "waiting"): between(1, 1000),
    ("pipeline", "picture_megabytes"): between(1, 1024),
    ("pipeline", "picture_megapixels"): between(1, 200),
    ("pipeline", "video_megabytes"): between(1, 4096),
    ("pipeline", "video_seconds"): between(1, 86400),
    ("decision", "naming"): one_of(*Naming),
    ("decision", "caution"): between(-0.3, 0.5),
    ("decision", "margin"): between(0, 0.5),
    ("decision", "smallest_face"): between(8, 1000),
    ("decision", "settle_seconds"): between(0.1, 60),
    ("decision", "gap_seconds"): between(1, 600),
    ("decision", "event_seconds"): between(1, 3600),
    ("decision", "hold_seconds"): between(1, 86400),
    ("broker", "port"): between(0, 65535),
    ("discovery", "url"): _web_address,
    ("links", "allow"): each(read_allowed_address),
    ("links", "seconds"): between(1, 3600),
    ("frigate", "url"): _web_address,
    ("frigate", "interval"): between(0.1, 600),
    ("sifis", "without_token"): one_of("never", "loopback", "always"),
    ("dropin", "without_token"): one_of("never", "loopback", "always"),
    ("dht", "url"): _socket_address,
    ("dht", "frames_every"): between(1, 100_000),
    ("dht", "waiting"): between(1, 1000),
    ("dht", "outbox"): between(1, 10_000),
    ("retention", "event_days"): between(0, 3650),
    ("retention", "unknown_days"): between(0, 3650),
    ("retention", "purge_hours"): between(1, 168),
    ("memory", "hours"): between(0, 720),
    ("audit", "megabytes"): between(1, 1024),
    ("audit", "days"): between(1, 3650),
    ("audit", "files"): between(2, 1000),
    ("log", "level"): one_of("debug", "info", "warning", "error"),
    ("bridge", "backend"): _web_address,
    **BRIDGE_CHECKS,
}
