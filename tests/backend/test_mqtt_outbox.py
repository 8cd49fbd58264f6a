"""What waits for the broker, and for how long; settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.backoff import Backoff
from privface_backend.mqtt.outbox import Message, Outbox, OutgoingEvent, RetainedStates
from privface_backend.mqtt.settings import MqttSettings

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def waiting(number: int, *, expires_in: float = 60.0) -> OutgoingEvent:
    message = Message("event", str(number).encode())
    return OutgoingEvent(messages=(message,), expires_at=NOW + timedelta(seconds=expires_in))


def drain(outbox: Outbox, now: datetime = NOW) -> list[int]:
    out = []
    while (event := outbox.take(now)) is not None:
        out.append(int(event.messages[0].payload))
        outbox.acknowledge()
    return out


def test_events_leave_in_the_order_they_came() -> None:
    outbox = Outbox(10)
    for number in range(5):
        outbox.push(waiting(number))
    assert drain(outbox) == [0, 1, 2, 3, 4]
    assert len(outbox) == 0


def test_over_the_limit_the_oldest_goes_and_is_counted() -> None:
    outbox = Outbox(3)
    for number in range(8):
        outbox.push(waiting(number))
    assert drain(outbox) == [5, 6, 7]
    assert outbox.dropped_overflow == 5


def test_expired_events_go_and_are_counted() -> None:
    outbox = Outbox(10)
    outbox.push(waiting(0, expires_in=5))
    outbox.push(waiting(1, expires_in=60))
    outbox.push(waiting(2, expires_in=10))
    assert drain(outbox, NOW + timedelta(seconds=10)) == [1]
    assert outbox.dropped_expired == 2


def test_an_event_put_back_is_the_next_one() -> None:
    outbox = Outbox(10)
    outbox.push(waiting(0))
    outbox.push(waiting(1))
    assert outbox.take(NOW) is not None
    outbox.put_back()
    assert drain(outbox) == [0, 1]


def test_nothing_is_put_back_after_the_acknowledgement() -> None:
    outbox = Outbox(10)
    outbox.push(waiting(0))
    outbox.take(NOW)
    outbox.acknowledge()
    outbox.put_back()
    assert drain(outbox) == []


def test_one_event_is_out_at_a_time() -> None:
    outbox = Outbox(10)
    outbox.push(waiting(0))
    outbox.take(NOW)
    with pytest.raises(RuntimeError):
        outbox.take(NOW)


@given(st.integers(1, 5), st.lists(st.sampled_from(["push", "take", "fail"]), max_size=60))
def test_no_event_vanishes_uncounted_and_the_order_holds(limit: int, steps: list[str]) -> None:
    outbox = Outbox(limit)
    pushed = 0
    arrived: list[int] = []
    for step in steps:
        if step == "push":
            outbox.push(waiting(pushed))
            pushed += 1
        elif (event := outbox.take(NOW)) is not None:
            if step == "take":
                outbox.acknowledge()
                arrived.append(int(event.messages[0].payload))
            else:
                outbox.put_back()
        assert len(outbox) <= limit
    arrived += drain(outbox)
    assert arrived == sorted(set(arrived))
    assert len(arrived) + outbox.dropped_overflow == pushed


def test_payloads_stay_out_of_the_repr() -> None:
    assert "Anna" not in repr(OutgoingEvent(messages=(Message("event", b"Anna"),), expires_at=NOW))


def test_only_the_newest_state_of_a_topic_is_sent() -> None:
    states = RetainedStates()
    states.put("a", b"1")
    states.put("b", b"1")
    states.put("a", b"2")
    assert [states.take(), states.take(), states.take()] == [("a", b"2"), ("b", b"1"), None]
    states.put("a", b"2")
    assert states.take() is None


def test_states_are_sent_again_after_a_reconnect_cleared_ones_too() -> None:
    states = RetainedStates()
    states.put("a", b"1")
    states.put("b", b"1")
    states.put("b", b"")
    while states.take():
        pass
    states.forget_sent()
    assert [states.take(), states.take(), states.take()] == [("a", b"1"), ("b", b""), None]


def test_some_states_are_sent_again_when_somebody_asks_for_them() -> None:
    states = RetainedStates()
    for topic in ("home/a", "home/b", "home/cleared", "other/a"):
        states.put(topic, b"1")
    states.put("home/cleared", b"")
    while states.take():
        pass
    states.put("home/b", b"2")
    states.send_again("home/")
    assert [states.take(), states.take(), states.take()] == [("home/b", b"2"), ("home/a", b"1"), None]


def test_a_state_put_back_is_sent_with_its_newest_payload() -> None:
    states = RetainedStates()
    states.put("a", b"1")
    assert states.take() == ("a", b"1")
    states.put("a", b"2")
    states.put_back("a")
    assert [states.take(), states.take()] == [("a", b"2"), None]


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_backoff_stays_between_nothing_and_its_ceiling(failures: int, fraction: float) -> None:
    assert 0 <= Backoff(fraction=lambda: fraction).delay(failures) <= 60


def test_the_backoff_doubles() -> None:
    backoff = Backoff(fraction=lambda: 1.0)
    assert [backoff.delay(failures) for failures in (1, 2, 3, 6, 7, 50)] == [1, 2, 4, 32, 60, 60]


def test_the_password_stays_out_of_the_repr() -> None:
    assert "hunter2" not in repr(MqttSettings(username="a", password="hunter2"))


def test_good_settings_have_no_problems() -> None:
    assert MqttSettings().problems() == ()
    certificate = Path("cert.pem")
    settings = MqttSettings(tls=True, cert_file=certificate, key_file=certificate, base_topic="home/privface")
    assert settings.problems() == ()


def test_every_problem_is_told_at_once() -> None:
    settings = MqttSettings(
        host="", port=0, base_topic="a/+/b", password="x", cert_file=Path("c"), keepalive=1, event_qos=2, outbox_limit=0
    )
    problems = "\n".join(settings.problems())
    for key in ("host", "port", "base_topic", "password", "cert_file", "tls", "keepalive", "event_qos", "outbox_limit"):
        assert f"mqtt.{key}" in problems


@pytest.mark.parametrize("base", ["", "/a", "a/", "a//b", "#", "$SYS/a", "a\nb"])
@pytest.mark.parametrize("key", ["base_topic", "home_assistant_topic", "double_take_topic"])
def test_a_base_topic_must_be_one(key: str, base: str) -> None:
    (problem,) = MqttSettings(**{key: base}).problems()  # type: ignore[arg-type]  # these are texts
    assert problem.startswith(f"mqtt.{key}: ")


@pytest.mark.parametrize(("key", "base"), [("home_assistant_topic", "double-take"), ("double_take_topic", "privface")])
def test_base_topics_must_differ(key: str, base: str) -> None:
    (problem,) = MqttSettings(**{key: base}).problems()  # type: ignore[arg-type]  # these are texts
    assert "three that differ" in problem
