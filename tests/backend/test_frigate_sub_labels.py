"""Names written back to Frigate: when, what, and when not at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.frigate.client import open_client
from privface_backend.frigate.settings import FrigateSettings
from privface_backend.frigate.sub_labels import SubLabels, to_score
from privface_backend.plugins.ports import Sink
from privface_backend.protocol import Event, FrameSource, Outcome, Phase
from support.following import QUICK, following
from support.frigate_server import FrigateServer, jpeg, make_config
from support.mqtt import FAST, make_event, until

ONE, TWO = "1607123950.475377-mxkls1", "1607123951.475377-mxkls2"
ON = make_config("door", enabled=True)


def event(seq: int = 0, **changes: Any) -> Event:
    """A confirmed event about Anna, of an object of Frigate's."""
    named = replace(make_event(seq), source=FrameSource.FRIGATE, source_event_id=ONE, evidence=2.0, score=0.6)
    return replace(named, **changes)


def nobody(**changes: Any) -> Event:
    return event(9, outcome=Outcome.UNKNOWN, person=None, person_id=None, corrects="event-0", **changes)


@contextlib.asynccontextmanager
async def writing(frigate: FrigateServer, **options: Any) -> AsyncIterator[SubLabels]:
    frigate.snapshots |= {ONE: jpeg(1), TWO: jpeg(2)}
    settings = FrigateSettings(enabled=True, url=frigate.url, sub_labels=True, username="anna", password="hunter2")
    labels = SubLabels(partial(open_client, settings, QUICK), **{"backoff": FAST, **options})
    task = asyncio.create_task(labels.run())
    try:
        yield labels
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(labels: SubLabels) -> None:
    await until(lambda: not labels._waiting)


def names(frigate: FrigateServer) -> list[tuple[str, str]]:
    return [(event_id, body["subLabel"]) for event_id, body in frigate.sub_labels]


async def test_a_confirmed_name_is_written_with_how_sure_it_is() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        sink: Sink = labels
        assert sink.name == "frigate"
        sink.publish(event())
        await until(lambda: frigate.sub_labels)
        assert frigate.sub_labels == [(ONE, {"subLabel": "Anna Example", "subLabelScore": 0.99})]
        assert frigate.asked_for("/api/config") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"source": FrameSource.MQTT},
        {"source": FrameSource.UPLOAD},
        {"source_event_id": None},
        {"phase": Phase.PROVISIONAL},
        {"outcome": Outcome.UNKNOWN, "person": None},
        {"outcome": Outcome.UNUSABLE, "person": None},
        {"person": None},
    ],
)
async def test_nothing_else_is_written(changes: dict[str, Any]) -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        labels.take_event(event(**changes))
        labels.take_event(event(1, source_event_id=TWO))
        await until(lambda: frigate.sub_labels)
        assert names(frigate) == [(TWO, "Anna Example")]


async def test_a_name_that_is_taken_back_is_cleared() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        labels.take_event(event())
        labels.take_event(event(1, source_event_id=TWO))
        await until(lambda: len(frigate.sub_labels) == 2)
        labels.take_event(nobody(source_event_id=TWO))
        await until(lambda: len(frigate.sub_labels) == 4)
        assert frigate.sub_labels[2:] == [(ONE, {"subLabel": ""}), (TWO, {"subLabel": ""})]
        # And not once more.
        labels.take_event(nobody())
        await settled(labels)
        assert (len(frigate.sub_labels), labels.counters["cleared"]) == (4, 2)


async def test_a_name_that_was_another_s_is_replaced() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        labels.take_event(event())
        await until(lambda: frigate.sub_labels)
        labels.take_event(event(1, person="Ben Example", corrects="event-0", source_event_id=TWO, evidence=None))
        await until(lambda: len(frigate.sub_labels) == 3)
        assert names(frigate)[1:] == [(ONE, "Ben Example"), (TWO, "Ben Example")]
        assert frigate.sub_labels[1][1]["subLabelScore"] == 0.6


async def test_a_provisional_name_instead_clears_the_other() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        labels.take_event(event())
        await until(lambda: frigate.sub_labels)
        labels.take_event(event(1, person="Ben Example", corrects="event-0", phase=Phase.PROVISIONAL))
        await until(lambda: len(frigate.sub_labels) == 2)
        assert names(frigate)[1] == (ONE, "")


async def test_what_another_visit_named_is_not_cleared() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        labels.take_event(event())
        await until(lambda: frigate.sub_labels)
        labels.take_event(event(1, visit_id="another", person="Ben Example"))
        await until(lambda: len(frigate.sub_labels) == 2)
        labels.take_event(nobody())
        labels.take_event(event(2, source_event_id=TWO))
        await until(lambda: len(frigate.sub_labels) == 3)
        assert names(frigate) == [(ONE, "Anna Example"), (ONE, "Ben Example"), (TWO, "Anna Example")]


async def test_a_name_that_was_not_written_yet_is_not_written_any_more() -> None:
    async with FrigateServer(trouble=500) as frigate, writing(frigate) as labels:
        labels.take_event(event())
        await until(lambda: labels.counters["failures"] >= 1)
        labels.take_event(nobody())
        frigate.trouble = None
        labels.take_event(event(1, visit_id="another", source_event_id=TWO))
        await until(lambda: frigate.sub_labels)
        assert names(frigate) == [(TWO, "Anna Example")]


async def test_never_while_frigate_recognizes_faces_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    async with FrigateServer(config=ON) as frigate, writing(frigate, monotonic=lambda: now) as labels:
        for seq in range(3):
            labels.take_event(event(seq))
            await settled(labels)
        assert (frigate.sub_labels, labels.counters["withheld"]) == ([], 3)
        assert frigate.asked_for("/api/config") == 1
        # Its own name isn't cleared either: it isn't ours.
        labels.take_event(nobody())
        frigate.config = make_config("door")
        now = 200.0
        labels.take_event(event(4, source_event_id=TWO))
        await until(lambda: frigate.sub_labels)
        assert names(frigate) == [(TWO, "Anna Example")]
    told = [(record.levelname, record.message) for record in caplog.records if "recognition" in record.message]
    assert [level for level, _ in told] == ["WARNING", "INFO"]
    assert "Anna" not in caplog.text


async def test_its_configuration_is_read_again_every_few_minutes() -> None:
    now = 0.0
    async with FrigateServer() as frigate, writing(frigate, monotonic=lambda: now) as labels:
        labels.take_event(event())
        await until(lambda: frigate.sub_labels)
        frigate.config = ON
        now = 170.0
        labels.take_event(event(1, source_event_id=TWO))
        await until(lambda: len(frigate.sub_labels) == 2)
        now = 190.0
        labels.take_event(nobody())
        await until(lambda: labels.counters["withheld"])
        assert len(frigate.sub_labels) == 2


async def test_a_try_of_its_own_recognition_counts_at_once() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        labels.take_event(event())
        await until(lambda: frigate.sub_labels)
        frigate.config = ON
        labels.note_their_recognition()
        labels.take_event(event(1, source_event_id=TWO))
        await until(lambda: labels.counters["withheld"])
        assert len(frigate.sub_labels) == 1


@pytest.mark.parametrize("config", [None, {}, "x"])
async def test_without_a_configuration_nothing_is_written(config: object, caplog: pytest.LogCaptureFixture) -> None:
    async with FrigateServer(config=config) as frigate, writing(frigate) as labels:
        labels.take_event(event())
        await until(lambda: labels.counters["failures"] >= 4)
        assert frigate.sub_labels == []
        assert [record.levelname for record in caplog.records if record.levelno >= logging.INFO] == ["WARNING"]
        frigate.config = make_config("door")
        await until(lambda: frigate.sub_labels)


async def test_frigate_that_is_gone_is_waited_for_and_given_up_after_many_tries() -> None:
    async with FrigateServer() as frigate, writing(frigate) as labels:
        await frigate.kill()
        labels.take_event(event())
        await until(lambda: labels.counters["failures"] >= 2)
        await frigate.start()
        await until(lambda: labels.counters["written"] == 1)
        await frigate.kill()
        labels.take_event(event(1))
        await until(lambda: labels.counters["dropped"] == 1)
        assert not labels._waiting


async def test_a_user_who_may_not_write_is_given_up_and_an_object_that_is_gone_too() -> None:
    async with FrigateServer(password="hunter2", role="viewer") as frigate, writing(frigate) as labels:
        labels.take_event(event())
        labels.take_event(event(1, source_event_id="gone"))
        await until(lambda: labels.counters["dropped"] == 2)
        frigate.role = "admin"
        labels.take_event(event(2, source_event_id="gone"))
        labels.take_event(event(3))
        await until(lambda: frigate.sub_labels)
        assert (names(frigate), labels.counters["dropped"]) == ([(ONE, "Anna Example")], 2)


async def test_the_queue_has_an_end() -> None:
    async with FrigateServer(trouble=503) as frigate, writing(frigate) as labels:
        for number in range(1000):
            labels.take_event(event(number, source_event_id=f"{number}-x", visit_id=f"visit {number}"))
        assert len(labels._waiting) == 256
        assert labels.counters["dropped"] == 744
        await until(lambda: labels.counters["failures"])


async def test_as_a_part_of_the_whole_it_is_there_where_it_is_asked_for() -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate:
        settings = FrigateSettings(enabled=True, url=frigate.url)
        async with following(settings) as house:
            assert house.frigate.sub_labels is None
            house.take("tracked_object_update", b'{"type": "face", "id": "1"}')
        async with following(replace(settings, sub_labels=True)) as house:
            labels = house.frigate.sub_labels
            assert labels is not None
            labels.publish(event())
            await until(lambda: house.count("sub_labels_written") == 1)
            assert names(frigate) == [(ONE, "Anna Example")]
            frigate.config = ON
            house.take("tracked_object_update", b'{"type": "face", "id": "1"}')
            labels.publish(event(1))
            await until(lambda: labels.counters["withheld"])


@settings(deadline=None)
@given(st.none() | st.floats(-1e6, 1e6), st.none() | st.floats(-1, 1))
def test_a_score_is_one_that_frigate_takes(evidence: float | None, score: float | None) -> None:
    assert 0 < to_score(evidence, score) <= 1


def test_more_evidence_is_a_higher_score() -> None:
    scores = [to_score(evidence, None) for evidence in (-2, 0, 1, 2, 3)]
    assert scores == [0.01, 0.5, 0.909, 0.99, 0.999]
    assert "Anna" not in repr(event())
