"""What an engine is made with: ``EngineContext.options``, read by name and type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar, cast

from privface_backend.engines.sources.connection import OnState, ignore_state
from privface_backend.plugins.ports import EngineContext

T = TypeVar("T")
N = TypeVar("N", int, float)


def take_option(context: EngineContext, name: str, kind: type[T] | tuple[type[T], ...], default: T | None = None) -> T:
    """The option called ``name``.

    Raises:
        TypeError: it is missing and has no default, or isn't a ``kind``.
    """
    value = context.options.get(name, default)
    if not isinstance(value, kind):
        raise TypeError(f"the option {name} has the wrong type")
    return value


def take_clock(context: EngineContext) -> Callable[[], datetime]:
    """The option ``clock``, which gives aware times; this computer's where there is none."""
    clock = context.options.get("clock", utc_now)
    if not callable(clock):
        raise TypeError("the option clock must give times")
    return cast("Callable[[], datetime]", clock)


def take_limit(context: EngineContext, name: str, default: N | None) -> N | None:
    """The option called ``name``, a number; None: without a limit."""
    value = context.options.get(name, default)
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"the source's option {name} has the wrong type")
    return cast("N | None", value)


def take_on_state(context: EngineContext) -> OnState:
    """The option ``on_state``, which takes each SourceState."""
    on_state = context.options.get("on_state", ignore_state)
    if not callable(on_state):
        raise TypeError("the source's option on_state must take states")
    return cast("OnState", on_state)


def utc_now() -> datetime:
    return datetime.now(UTC)
