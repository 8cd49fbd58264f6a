"""When a camera's next picture is taken: never too soon after the last, in bursts, only if it is wanted. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LOOK_NOW: Final = "look"
_PATIENCE: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """``interval``: seconds from one picture to the next at least; ``frames`` of a burst; ``cooldown``: seconds from a
    burst's end until something may trigger another; ``on_demand``: pictures are taken in bursts only."""

    interval: float
    frames: int = 4
    cooldown: float = 0.0
    on_demand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A picture may be taken: what for, and whether more follow (None: not known)."""

    trigger: str | None = None
    more: bool | None = None


class Gate:
    """Lets pictures through. ``clock`` gives seconds that never go back; all times are of that clock.

    A burst that gets no pictures is given up after the time that it should have taken, and a while.
    """

    def __init__(self, rules: GateRules, clock: Callable[[], float]) -> None:
        self.rules: Final = rules
        self._clock: Final = clock
        self._enabled = True
        self._last = float("-inf")
        self._rest_until = float("-inf")
        self._cool_until = float("-inf")
        self._left = 0
        self._trigger: str | None = None
        self._give_up_at = float("-inf")

    @property
    def enabled(self) -> bool:
        return self._enabled

    def enable(self, enabled: bool) -> None:
        """Switch the camera; off ends a burst."""
        self._enabled = enabled
        if not enabled:
            self._left = 0

    def rest(self, seconds: float) -> None:
        """Let nothing through for a while."""
        self._rest_until = self._clock() + seconds

    def start_burst(self, trigger: str, *, asked: bool = False) -> bool:
        """Begin a burst. ``asked``: somebody wants it, whatever the cool-down says. False: not now."""
        now = self._clock()
        if not self._enabled or self._in_burst(now) or (not asked and now < self._cool_until):
            return False
        self._left, self._trigger = self.rules.frames, trigger
        self._give_up_at = now + self.rules.frames * self.rules.interval + _PATIENCE
        # A burst begins at once, whenever the last picture was.
        self._last = min(self._last, now - self.rules.interval)
        return True

    def due(self) -> float | None:
        """From when on the next picture may be taken; None: not before something happens."""
        if not self._enabled or (self.rules.on_demand and not self._in_burst(self._clock())):
            return None
        return max(self._last + self.rules.interval, self._rest_until)

    def take(self) -> Turn | None:
        """Take the turn if it is due now."""
        now, due = self._clock(), self.due()
        if due is None or due > now:
            return None
        self._last = now
        if not self._in_burst(now):
            return Turn()
        self._left -= 1
        if self._left == 0:
            self._cool_until = now + self.rules.cooldown
        return Turn(trigger=self._trigger, more=self._left > 0)

    @property
    def wanted_until(self) -> float | None:
        """When pictures are wanted no more; None: they are not wanted now. Infinite without bursts."""
        now = self._clock()
        if not self._enabled:
            return None
        if not self.rules.on_demand:
            return float("inf")
        return self._give_up_at if self._in_burst(now) else None

    def _in_burst(self, now: float) -> bool:
        if self._left > 0 and now >= self._give_up_at:
            self._left = 0
            self._cool_until = now + self.rules.cooldown
        return self._left > 0
