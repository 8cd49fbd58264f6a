"""What an engine is made with: ``EngineContext.options``, read by name and type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar, cast

from privface_backend.plugins.ports import EngineContext

T = TypeVar("T")


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


def utc_now() -> datetime:
    return datetime.now(UTC)
