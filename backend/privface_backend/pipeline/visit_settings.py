"""How visits are followed and decided, from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.visits import VisitRules
from privface_backend.pipeline.visits import VisitTiming
from privface_backend.settings_sections import DecisionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSettings:
    """``lifetime``: how long an event says something about the present."""

    rules: VisitRules
    timing: VisitTiming
    lifetime: timedelta

    @classmethod
    def make(cls, decision: DecisionSettings, rules: DecisionRules) -> VisitSettings:
        """Those that are set, with the rules that hold for one decision."""
        return cls(
            rules=VisitRules(decision=rules),
            timing=VisitTiming(
                settle=timedelta(seconds=decision.settle_seconds), gap=timedelta(seconds=decision.gap_seconds)
            ),
            lifetime=timedelta(seconds=decision.event_seconds),
        )
