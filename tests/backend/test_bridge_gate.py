"""When a camera's pictures are taken."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from privface_backend.bridge.gate import LOOK_NOW, Gate, GateRules, Turn


class Clock:
    """Seconds that go on a little with each look, and when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now


def make(clock: Clock, **rules: float | bool) -> Gate:
    return Gate(GateRules(**{"interval": 1.0, **rules}), clock)  # type: ignore[arg-type]  # keywords by name


def test_pictures_come_no_closer_than_the_interval() -> None:
    gate = make(clock := Clock(), interval=0.5)
    assert gate.take() == Turn()
    assert gate.due() == pytest.approx(1000.5, abs=1e-3)
    clock.now += 0.4
    assert gate.take() is None
    clock.now += 0.11
    assert gate.take() == Turn()


def test_a_burst_begins_at_once_says_what_for_and_ends_with_its_last_frame() -> None:
    gate = make(clock := Clock(), frames=3, on_demand=True)
    assert [gate.due(), gate.take(), gate.wanted_until] == [None] * 3
    assert gate.start_burst("trigger")
    turns = []
    while (due := gate.due()) is not None:
        clock.now = max(clock.now, due)
        turns.append(gate.take())
    assert turns == [Turn(trigger="trigger", more=more) for more in (True, True, False)]
    assert clock.now == pytest.approx(1002.0, abs=1e-3)
    assert gate.wanted_until is None


def test_between_bursts_it_cools_down_unless_somebody_asks() -> None:
    gate = make(clock := Clock(), frames=1, cooldown=10, on_demand=True)
    assert gate.start_burst("trigger")
    assert gate.take() is not None
    clock.now += 9.8
    assert not gate.start_burst("trigger")
    assert gate.start_burst(LOOK_NOW, asked=True)
    assert gate.take() == Turn(trigger=LOOK_NOW, more=False)
    clock.now += 10.1
    assert gate.start_burst("trigger")


def test_a_burst_that_runs_is_not_begun_again() -> None:
    gate = make(Clock(), frames=2, on_demand=True)
    assert gate.start_burst("trigger")
    assert not gate.start_burst("trigger")
    assert not gate.start_burst(LOOK_NOW, asked=True)


def test_a_burst_without_pictures_is_given_up() -> None:
    gate = make(clock := Clock(), frames=2, cooldown=5, on_demand=True)
    assert gate.start_burst("trigger")
    until = gate.wanted_until
    assert until is not None
    clock.now = until
    assert [gate.take(), gate.wanted_until] == [None] * 2
    assert not gate.start_burst("trigger"), "it cools down after one that was given up, too"
    clock.now += 5.1
    assert gate.start_burst("trigger")


def test_off_means_off() -> None:
    gate = make(Clock(), on_demand=True)
    gate.start_burst("trigger")
    gate.enable(False)
    assert not gate.enabled
    assert [gate.due(), gate.take(), gate.wanted_until] == [None] * 3
    assert not gate.start_burst(LOOK_NOW, asked=True)
    gate.enable(True)
    assert gate.take() is None, "the burst ended with it"


def test_it_rests_as_long_as_it_is_told() -> None:
    gate = make(clock := Clock())
    gate.rest(10)
    assert gate.due() == pytest.approx(1010.0, abs=1e-3)
    clock.now = 1010.1
    assert gate.take() == Turn()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0, 30)),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("trigger"), st.booleans()),
        st.tuples(st.just("enable"), st.booleans()),
    ),
    max_size=60,
)


@given(
    steps=_STEPS,
    interval=st.floats(0.02, 10),
    frames=st.integers(1, 6),
    cooldown=st.floats(0, 20),
    on_demand=st.booleans(),
)
def test_whatever_happens(
    steps: list[tuple[str, float | bool | None]], interval: float, frames: int, cooldown: float, on_demand: bool
) -> None:
    """Never two pictures of one burst within an interval, never more than its frames, none when off or not wanted."""
    gate = make(clock := Clock(), interval=interval, frames=frames, cooldown=cooldown, on_demand=on_demand)
    bursts: list[list[float]] = []
    enabled = True
    for what, value in steps:
        if what == "pass":
            clock.now += float(value or 0)
        elif what == "trigger":
            if gate.start_burst("trigger", asked=bool(value)):
                assert enabled
                bursts.append([])
        elif what == "enable":
            enabled = bool(value)
            gate.enable(enabled)
        else:
            due = gate.due()
            turn = gate.take()
            assert (turn is not None) == (due is not None and due <= clock.now)
            if turn is not None:
                assert enabled
                assert not on_demand or turn.trigger == "trigger"
                if turn.trigger is not None:
                    bursts[-1].append(clock.now)
                    assert turn.more == (len(bursts[-1]) < frames)
    for taken in bursts:
        assert len(taken) <= frames
        assert all(later - earlier >= interval * 0.999 for earlier, later in pairwise(taken))
