"""The strength that each camera is advised, learned from the sizes of the faces that it shows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from privface_backend.domain.face_sizes import FaceSizes, read_counts
from privface_backend.domain.strength_advice import KernelAdvice
from privface_backend.pipeline.cameras import MOST_CAMERAS
from privface_backend.pipeline.identification import JudgedFace, Judgement
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.protocol import Advice, FrameCard, Reason

_PACE: Final = timedelta(seconds=1)
_MOST_OF_A_VISIT: Final = 30
_MOST_VISITS: Final = 512
# What is too blurred at this strength belongs to what the strength is chosen by.
_COUNTED: Final = frozenset({Reason.OK, Reason.TOO_BLURRY})


@dataclass(slots=True, kw_only=True)
class _Learned:
    sizes: FaceSizes = field(default_factory=FaceSizes)
    advice: KernelAdvice = field(default_factory=lambda: KernelAdvice(target=0.0))


@dataclass(slots=True, kw_only=True)
class _Counted:
    """What of a visit was counted."""

    last: datetime
    faces: int = 1


class Advisor:
    """Learns, and advises. ``target``: the r that a camera's near faces should have, 0 for no advice; ``longest``: the
    working size, in whose pixels widths are.

    Of a visit a face a second counts, and 30 at most: somebody who stays all day says no more of a camera than those
    who pass.
    """

    def __init__(self, target: Callable[[str], float], longest: int) -> None:
        self._target: Final = target
        self._longest: Final = longest
        self._learned: Final[dict[str, _Learned]] = {}
        self._visits: Final[OrderedDict[str, _Counted]] = OrderedDict()

    def take(self, judgement: Judgement, card: FrameCard, updates: Sequence[VisitUpdate], now: datetime) -> None:
        """Learn from a camera's frame, and from what it made of visits."""
        for face, visit_id in _seen_in(judgement, card, updates):
            if self._counts(visit_id, card.captured_at):
                self._learn(card.camera, face.observed.quality.width, now)

    def _counts(self, visit_id: str, captured_at: datetime) -> bool:
        counted = self._visits.get(visit_id)
        if counted is None:
            self._visits[visit_id] = _Counted(last=captured_at)
            if len(self._visits) > _MOST_VISITS:
                self._visits.popitem(last=False)
            return True
        if counted.faces >= _MOST_OF_A_VISIT or abs(captured_at - counted.last) < _PACE:
            return False
        counted.last, counted.faces = captured_at, counted.faces + 1
        return True

    def _learn(self, camera: str, width: float, now: datetime) -> None:
        if camera not in self._learned and len(self._learned) >= MOST_CAMERAS:
            return
        learned = self._learned.setdefault(camera, _Learned())
        learned.sizes = learned.sizes.seen(width, now.timestamp())
        learned.advice = learned.advice.followed_by(learned.sizes, self._target(camera))

    def advice(self, camera: str) -> Advice | None:
        """What is advised for a camera now; None: nothing, or too few faces yet."""
        learned = self._learned.get(camera)
        if learned is None:
            return None
        target = self._target(camera)
        if target != learned.advice.target:
            learned.advice = learned.advice.followed_by(learned.sizes, target)
        return learned.advice.to_advice(learned.sizes)

    def cameras(self) -> tuple[str, ...]:
        """The cameras of which something was learned."""
        return tuple(self._learned)

    def forget(self, camera: str) -> None:
        """Forget what a camera has shown."""
        self._learned.pop(camera, None)

    def keep(self) -> dict[str, Any]:
        """What was learned, for the next run."""
        return {
            "longest": self._longest,
            "cameras": {
                camera: {
                    "counts": [round(count, 3) for count in learned.sizes.counts],
                    "last": learned.sizes.last,
                    "target": learned.advice.target,
                    "kernel": learned.advice.kernel,
                }
                for camera, learned in self._learned.items()
            },
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over what ``keep`` gave in an earlier run, unless that had another working size.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: that isn't what ``keep`` gave; nothing is taken over.
        """
        if kept["longest"] != self._longest:
            return
        restored = {}
        for camera, entry in kept["cameras"].items():
            sizes = FaceSizes(counts=read_counts(entry["counts"]), last=float(entry["last"]))
            kernel = None if entry["kernel"] is None else int(entry["kernel"])
            restored[str(camera)] = _Learned(
                sizes=sizes, advice=KernelAdvice(target=float(entry["target"]), kernel=kernel)
            )
        self._learned.update(restored)


def _seen_in(judgement: Judgement, card: FrameCard, updates: Sequence[VisitUpdate]) -> Iterator[tuple[JudgedFace, str]]:
    """The faces of a frame that count, each with its visit."""
    visits = {update.live.frame.box: update.visit_id for update in updates if update.live.frame.card is card}
    for face in judgement.faces:
        visit_id = visits.get(face.result.box)
        if visit_id is not None and face.observed.reason in _COUNTED:
            yield face, visit_id
