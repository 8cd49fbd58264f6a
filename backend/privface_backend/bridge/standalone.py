"""The bridge as a process of its own, beside a backend that is somewhere else."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp

from privface_backend.bridge.bridge import Bridge, MakeCompanion, Timing
from privface_backend.bridge.http import BACKOFF, HttpDeliver
from privface_backend.domain.backoff import Backoff
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.models.checked import CheckedWeights
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode
from privface_backend.settings import Settings

if TYPE_CHECKING:
    from privface_backend.sealed.user_side import UserSide

_CONNECTIONS: Final = 16
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def utc_now() -> datetime:
    return datetime.now(UTC)


def broker_of(settings: Settings) -> MqttSettings | None:
    """The broker that is set; None: there is none, or MQTT is off. An embedded one is the backend's own."""
    return settings.mqtt if settings.mqtt.enabled and settings.broker_configured else None


def check_standalone(settings: Settings) -> None:
    """Refuse settings with which there is nothing to do.

    Raises:
        SettingsError: with every problem.
    """
    problems = []
    if not settings.bridge.backend:
        problems.append("bridge.backend: the backend's address is missing, such as http://192.168.1.20:8090")
    if not settings.cameras and not settings.bridge.topics and not settings.frigate.enabled:
        problems.append("cameras, bridge.topics: there is no camera to take pictures from")
    for camera, feed in settings.cameras.items():
        if feed.target is not None:
            problems.append(f"cameras.{camera}.target: is the backend's to set, there or over REST")
        if feed.adaptive and broker_of(settings) is None:
            problems.append(f"cameras.{camera}.adaptive: the backend's advice comes over MQTT: mqtt.host is needed")
    needs_broker = (
        settings.bridge.topics
        or settings.frigate.enabled
        or any(feed.topic or feed.trigger for feed in settings.cameras.values())
    )
    if needs_broker and broker_of(settings) is None:
        problems.append("mqtt.host: a broker is needed for topics, triggers and Frigate")
    problems += _weights_problems(settings)
    if problems:
        raise SettingsError(problems)


def _weights_problems(settings: Settings) -> Iterator[str]:
    """What is missing of the files that methods of anonymizing need."""
    registry, weights = Registry(), CheckedWeights(settings.models_dir)
    for method in settings.methods:
        for name in registry.spec(EngineKind.ANONYMIZER, method).weights:
            try:
                weights.path(name)
            except PrivFaceError as error:
                yield f"privacy.method: {method}: {error.message}"


@contextlib.asynccontextmanager
async def open_bridge(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    companions: Sequence[MakeCompanion] = (),
    timing: Timing | None = None,
    backoff: Backoff = BACKOFF,
    side: UserSide | None = None,
) -> AsyncIterator[Bridge]:
    """A bridge that sends to ``bridge.backend``; whoever opens it runs it. ``side``: what seals, for ``bridge.sealed``,
    which opens with it only.

    Raises:
        SettingsError: there is nothing to do with these settings, or a camera's address can't be used.
        PrivFaceError: ``sealed``: there is nothing that seals.
    """
    check_standalone(settings)
    if settings.bridge.sealed != (side is not None):
        raise PrivFaceError(ErrorCode.SEALED, "A sealed bridge needs what seals, and another one has no use for it.")
    # A proxy of the environment is not for the home's own network.
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        deliver = _choose_deliver(side)(
            session, settings.bridge.backend, settings.bridge.token, clock=clock, backoff=backoff
        )
        yield Bridge(
            settings,
            deliver,
            mqtt=broker_of(settings),
            clock=clock,
            companions=companions,
            timing=timing,
            side=side,
        )


def _choose_deliver(side: UserSide | None) -> type[HttpDeliver]:
    if side is None:
        return HttpDeliver
    from privface_backend.bridge.sealing import SealedDeliver  # noqa: PLC0415  # what blurs has no use for engines

    return SealedDeliver


def keep_memory_small() -> None:
    """Give memory of large pictures back when they are gone, where the C library can be told so; for a process's start.

    Without it each thread keeps an arena of its own, and what was freed in it stays scattered.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, 128 * 1024)
        mallopt(_M_TRIM_THRESHOLD, 1024 * 1024)
