"""Acts that one caller does again and again: told of at first, and then every ten minutes, all of them in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from privface_backend.audit.acts import Doing
from privface_backend.audit.entries import Entry

_REPEAT_SECONDS: Final = 600.0
_REPEATS: Final = 256


@dataclass(slots=True)
class _Pending:
    """A repeated act since it was last told of: all of it in one, how often, and how the last one failed."""

    doing: Doing
    since: float
    times: int = 0
    failure: str | None = None


@dataclass(slots=True)
class Repeats:
    """The acts that one caller does again and again, such as sending a camera's frames: at most ``_REPEATS`` callers
    and cameras are told apart, the longest unseen one is told of when it has to go."""

    clock: Callable[[], float] = time.monotonic
    _pending: dict[tuple[str | None, str, str], _Pending] = field(default_factory=dict)

    def take(self, key: tuple[str | None, str, str], doing: Doing, failure: str | None) -> list[Entry]:
        """Take in one more; what is to be told now."""
        now, told = self.clock(), list[Entry]()
        pending = self._pending.pop(key, None)
        first = pending is None
        pending = pending or _Pending(doing.afresh(), now)
        self._pending[key] = pending
        pending.times += 1
        pending.failure = failure
        pending.doing.outcomes |= doing.outcomes
        pending.doing.looked |= doing.looked
        pending.doing.subjects |= doing.subjects
        if first or now - pending.since >= _REPEAT_SECONDS:
            told.append(self._tell(pending, now))
        while len(self._pending) > _REPEATS:
            told += self._end(next(iter(self._pending)))
        return told

    def end_all(self) -> list[Entry]:
        """What hasn't been told of yet."""
        return [entry for key in tuple(self._pending) for entry in self._end(key)]

    def _end(self, key: tuple[str | None, str, str]) -> list[Entry]:
        pending = self._pending.pop(key)
        return [self._tell(pending, pending.since)] if pending.times else []

    def _tell(self, pending: _Pending, now: float) -> Entry:
        doing = pending.doing
        doing.count = pending.times
        entry = doing.entry(None if doing.looked else pending.failure)
        pending.doing, pending.since, pending.times = doing.afresh(), now, 0
        return entry
