"""How strongly pictures are anonymized, what the backend's clock shows, and what waits from the broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt
import hypothesis.strategies as st
import pytest
from hypothesis import given

from privface_backend.bridge.clock import BackendClock
from privface_backend.bridge.strength import Strength, at_least
from privface_backend.domain.privacy import sigma_of_kernel
from privface_backend.mqtt import incoming
from privface_backend.mqtt.incoming import IncomingQueue
from privface_backend.plugins.ports import Anonymizer, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def anonymizer(method: str) -> Anonymizer:
    made: Anonymizer = Registry().create(EngineKind.ANONYMIZER, method, EngineContext(weights=NoWeights()))
    return made


@given(
    method=st.sampled_from(["gaussian", "pixelate"]),
    half=st.integers(0, 127),
    wanted=st.one_of(st.none(), st.integers(0, 127).map(lambda half: 2 * half + 1)),
)
def test_the_backend_can_only_ask_for_more(method: str, half: int, wanted: int | None) -> None:
    own, engine = Strength(method=method, parameter=2 * half + 1), anonymizer(method)
    used = at_least(own, wanted, engine)
    engine.validate(used.parameter)
    assert used.method == method
    assert used.parameter >= own.parameter
    if wanted is not None and method == "gaussian":
        assert used.parameter == max(own.parameter, wanted)
    if wanted is not None and method == "pixelate":
        assert engine.sigma(used.parameter) >= sigma_of_kernel(wanted) - 0.15


def test_whoever_switched_anonymizing_off_meant_it() -> None:
    own = Strength(method="none", parameter=1)
    assert at_least(own, 33, anonymizer("none")) == own


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_clock_that_is_an_hour_off_is_allowed_for(ahead: timedelta) -> None:
    clock = BackendClock()
    clock.note(NOON + ahead, asked=NOON - timedelta(seconds=1), answered=NOON + timedelta(seconds=1))
    assert abs(clock.to_backend(NOON) - (NOON + ahead)) <= timedelta(seconds=1)


def test_clocks_that_agree_change_nothing() -> None:
    clock = BackendClock()
    clock.note_header("Sat, 28 Nov 2026 12:00:00 GMT", asked=NOON, answered=NOON + timedelta(milliseconds=900))
    assert clock.offset == timedelta()
    clock.note(NOON + timedelta(seconds=1), asked=NOON, answered=NOON)
    assert clock.to_backend(NOON) == NOON


@pytest.mark.parametrize("header", [None, "", "tomorrow", "Sat, 28 Nov 2026"])
def test_an_answer_without_a_time_says_nothing(header: str | None) -> None:
    clock = BackendClock()
    clock.note_header(header, asked=NOON, answered=NOON)
    assert clock.offset == timedelta()


@given(
    offset=st.floats(-7200, 7200),
    answers=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1), st.booleans()), min_size=1, max_size=20),
)
def test_the_offset_is_never_further_off_than_an_answer_takes(
    offset: float, answers: list[tuple[float, float, bool]]
) -> None:
    clock, now = BackendClock(), NOON
    for took, place, exact in answers:
        asked, now = now, now + timedelta(seconds=took)
        told = asked + timedelta(seconds=took * place + offset)
        if exact:
            clock.note(told, asked=asked, answered=now)
        else:
            header = told.strftime("%a, %d %b %Y %H:%M:%S GMT")
            clock.note_header(header, asked=asked, answered=now)
        width = took + (0 if exact else 1) + 1e-3
        assert abs(clock.offset.total_seconds() - offset) <= width


def message(topic: str, size: int, mark: int = 0) -> Any:
    return aiomqtt.Message(topic=topic, payload=bytes([mark]) * size, qos=0, retain=False, mid=0, properties=None)


def test_a_flood_takes_the_place_of_its_own_messages_only() -> None:
    queue = IncomingQueue(maxsize=10)
    queue.put_nowait(message("quiet", 1))
    for mark in range(100):
        queue.put_nowait(message("flood", 1, mark))
    assert queue.qsize() == 10
    taken = [queue.get_nowait() for _ in range(10)]
    assert [one.topic.value for one in taken] == ["quiet"] + ["flood"] * 9
    assert [one.payload[0] for one in taken[1:]] == list(range(91, 100))
    with pytest.raises(asyncio.QueueEmpty):
        queue.get_nowait()


def test_it_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "MOST_BYTES", 100)
    queue = IncomingQueue(maxsize=10)
    queue.put_nowait(message("large", 500))
    queue.put_nowait(message("other", 1))
    assert queue.get_nowait().topic.value == "large", "one may be larger than all together; the other had no room"
    for mark in range(50):
        queue.put_nowait(message("flood", 40, mark))
    assert [queue.get_nowait().payload[0] for _ in range(queue.qsize())] == [48, 49]


async def test_who_waits_is_woken() -> None:
    queue = IncomingQueue(maxsize=1)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait(message("a", 1))
    assert (await waiting).topic.value == "a"
