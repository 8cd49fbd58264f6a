"""From Frigate's messages to pictures, with a real server that may be slow, wrong, or gone."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from privface_backend.frigate.settings import FrigateSettings
from privface_backend.protocol import FrameSource
from support.following import following
from support.frigate_server import FrigateServer, jpeg
from support.mqtt import until

ONE, TWO, THREE = (f"160712395{number}.475377-mxkls{number}" for number in range(3))


def settings(frigate: FrigateServer, **changes: Any) -> FrigateSettings:
    return FrigateSettings(enabled=True, url=frigate.url, **{"interval": 0.1, **changes})


def pictured(frigate: FrigateServer) -> int:
    return frigate.asked_for(".jpg")


async def test_an_object_from_its_beginning_to_its_end() -> None:
    async with FrigateServer() as frigate, following(settings(frigate)) as house:
        shown: list[tuple[str | None, bytes, bool | None]] = []
        for shade, kind in enumerate(["new", "update", "update", "end"]):
            frigate.snapshots[ONE] = jpeg(shade)
            house.tell(kind, ONE, at=time.time())
            await until(lambda: len(house.pictures) > len(shown))
            shown.append((ONE, jpeg(shade), kind != "end"))
        assert house.shades == shown
        picture = house.pictures[0]
        assert (picture.camera, picture.source, picture.trigger) == ("door", FrameSource.FRIGATE, "person")
        assert timedelta() <= datetime.now(UTC) - picture.captured_at < timedelta(seconds=60)
        assert "jpeg" not in repr(picture).lower()
        await until(lambda: house.count("objects") == 0)
        assert house.ended == []
        assert (house.count("closed_ended"), house.count("messages_taken")) == (1, 4)


async def test_the_moment_is_that_of_the_snapshot() -> None:
    taken = time.time() - 4
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE, at=time.time(), snapshot={"frame_time": taken})
        await until(lambda: house.pictures)
        assert house.pictures[0].captured_at.timestamp() == pytest.approx(taken, abs=0.01)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_an_hour_off_makes_nothing_stale(hours: int, caplog: pytest.LogCaptureFixture) -> None:
    async with FrigateServer() as frigate, following(settings(frigate)) as house:
        for shade in range(3):
            frigate.snapshots[ONE] = jpeg(shade)
            house.tell("update", ONE, at=time.time() + 3600 * hours)
            await until(lambda: len(house.pictures) == shade + 1)  # noqa: B023
        ages = [datetime.now(UTC) - picture.captured_at for picture in house.pictures]
        assert all(timedelta() <= age < timedelta(seconds=60) for age in ages)
    assert [record.levelname for record in caplog.records if "clock" in record.message] == ["WARNING"]


async def test_the_same_picture_is_not_shown_twice() -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE)
        await until(lambda: house.pictures)
        house.tell("update", ONE, at=time.time())
        await until(lambda: house.count("repeated") == 1)
        house.tell("end", ONE, at=time.time())
        await until(lambda: house.ended)
        assert (len(house.pictures), house.ended) == (1, [("door", ONE)])


async def test_a_snapshot_of_a_moment_that_was_shown_is_not_even_asked_for() -> None:
    at = time.time()
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE, at=at)
        await until(lambda: house.pictures)
        for _ in range(5):
            house.tell("update", ONE, at=at)
        house.tell("end", ONE, at=at)
        await until(lambda: house.ended)
        assert pictured(frigate) == 1


async def test_one_request_at_a_time_a_camera_and_the_newest_wins() -> None:
    async with FrigateServer() as frigate, following(settings(frigate)) as house:
        frigate.open.clear()
        house.tell("new", ONE, at=1e9)
        await until(lambda: pictured(frigate) == 1)
        for number in range(20):
            house.tell("update", ONE, at=1e9 + number)
            house.tell("new", TWO, camera="hall", at=1e9 + number)
        # The other camera has its own.
        await until(lambda: pictured(frigate) == 2)
        frigate.snapshots |= {ONE: jpeg(1), TWO: jpeg(2)}
        frigate.open.set()
        await until(lambda: len(house.pictures) == 2)
        frigate.snapshots[ONE] = jpeg(3)
        house.tell("end", ONE, at=2e9)
        await until(lambda: len(house.pictures) == 3)
        assert max(frigate.most_at_once.values()) == 1
        # Twenty messages were one or two looks more.
        assert frigate.asked_for(ONE) <= 4


async def test_without_a_snapshot_the_camera_is_looked_at() -> None:
    async with FrigateServer(latest={"door": jpeg(7)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE, has_snapshot=False, snapshot=None)
        await until(lambda: house.pictures)
        house.tell("end", ONE, has_snapshot=False, snapshot=None)
        await until(lambda: house.ended)
        # Who has gone is not before the camera any more.
        assert house.shades == [(ONE, jpeg(7), True)]
        assert frigate.asked_for("latest") == 1
        assert frigate.asked_for("snapshot") == 0


async def test_a_snapshot_that_frigate_doesn_t_have_is_not_insisted_on() -> None:
    async with FrigateServer(latest={"door": jpeg(7)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE)
        await until(lambda: house.pictures)
        house.tell("end", ONE)
        await until(lambda: house.ended)
        assert house.shades == [(ONE, jpeg(7), True)]
        house.tell("end", TWO, camera="hall")
        await until(lambda: house.count("failures") == 1)
        assert house.count("objects") == 0


async def test_a_face_that_is_seen_now_is_looked_at_now() -> None:
    at = time.time()
    async with (
        FrigateServer(snapshots={ONE: jpeg(1)}, latest={"door": jpeg(7)}) as frigate,
        following(settings(frigate)) as house,
    ):
        house.tell("new", ONE, at=at)
        await until(lambda: house.pictures)
        house.tell("update", ONE, at=at, current_attributes=[{"label": "face", "box": [1, 2, 3, 4], "score": 0.9}])
        await until(lambda: len(house.pictures) == 2)
        assert house.shades[1] == (ONE, jpeg(7), True)


async def test_one_that_stands_still_is_looked_at_once() -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        for number in range(5):
            house.tell("update", ONE, at=1e9 + number, stationary=True)
            await until(lambda: house.pictures)
        house.tell("new", TWO, camera="hall")
        frigate.snapshots[TWO] = jpeg(2)
        await until(lambda: house.count("failures") == 1 or len(house.pictures) == 2)
        assert frigate.asked_for(ONE) == 1


async def test_cameras_have_our_names_and_others_are_left_alone() -> None:
    async with (
        FrigateServer(snapshots={ONE: jpeg(1), TWO: jpeg(2)}) as frigate,
        following(settings(frigate, zones=("yard",)), {"door": "front door"}) as house,
    ):
        house.tell("new", TWO, camera="hall", entered_zones=["yard"])
        house.tell("new", THREE, label="car", entered_zones=["yard"])
        house.tell("new", ONE)
        house.tell("update", ONE, entered_zones=["yard"])
        await until(lambda: house.pictures)
        house.tell("end", ONE, entered_zones=["yard"], snapshot={"frame_time": 1.0})
        await until(lambda: house.ended)
        assert [picture.camera for picture in house.pictures] == ["front door"]
        assert house.ended == [("front door", ONE)]
        assert all(ONE in asked for asked in frigate.asked)


@pytest.mark.parametrize("end_was_told", [False, True])
async def test_frigate_is_killed_in_the_middle_of_an_event_and_comes_back(
    end_was_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE)
        await until(lambda: house.pictures)
        await frigate.kill()
        house.tell("end" if end_was_told else "update", ONE, at=time.time())
        await until(lambda: house.count("failures") >= 3)
        assert house.ended == []
        house.pass_time(60)
        # What there was must do.
        await until(lambda: house.ended)
        assert (house.ended, house.count("closed_given_up"), house.count("objects")) == ([("door", ONE)], 1, 0)

        await frigate.start()
        frigate.snapshots[TWO] = jpeg(2)
        house.tell("new", TWO, at=time.time())
        await until(lambda: len(house.pictures) == 2)
        assert house.shades[1] == (TWO, jpeg(2), True)
    told = [record for record in caplog.records if record.name.startswith("privface_backend.frigate")]
    assert [(record.levelname, "again" in record.message) for record in told] == [("WARNING", True), ("INFO", True)]


async def test_it_comes_back_before_the_event_is_given_up() -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE)
        await until(lambda: house.pictures)
        await frigate.kill()
        house.tell("update", ONE, at=time.time())
        await until(lambda: house.count("failures") >= 1)
        frigate.snapshots[ONE] = jpeg(2)
        await frigate.start()
        await until(lambda: len(house.pictures) == 2)
        assert house.ended == []
        assert house.count("objects") == 1


@pytest.mark.parametrize("word", [b"offline", b"stopped"])
async def test_frigate_says_that_it_goes(word: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE)
        await until(lambda: house.pictures)
        house.take("available", word)
        # It is back before that matters: its objects go on.
        house.pass_time(20)
        house.tell("update", ONE)
        assert house.count("objects") == 1
        house.take("available", word)
        house.passed.ahead += 40
        house.take("available", word)
        await until(lambda: house.ended)
        assert (house.count("closed_given_up"), house.count("objects")) == (1, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def test_an_end_that_never_comes_is_not_waited_for_for_ever() -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        house.tell("new", ONE)
        await until(lambda: house.pictures)
        house.pass_time(1000)
        await until(lambda: house.ended)
        assert (house.count("closed_silent"), house.count("objects")) == (1, 0)


@pytest.mark.parametrize("kind", ["update", "end"])
async def test_garbage_is_asked_for_again_and_told_of_once(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate, following(settings(frigate)) as house:
        frigate.garbage = web.Response(text="<html>secret</html>", content_type="text/html")
        house.tell(kind, ONE)
        await until(lambda: house.count("failures") >= 2)
        frigate.garbage = None
        await until(lambda: house.pictures)
        assert house.shades == [(ONE, jpeg(1), kind != "end")]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "secret" not in caplog.text


async def test_a_slow_frigate_costs_nobody_else() -> None:
    async with (
        FrigateServer(snapshots={ONE: jpeg(1), TWO: jpeg(2)}) as frigate,
        following(settings(frigate)) as house,
    ):
        frigate.open.clear()
        house.tell("new", ONE)
        await until(lambda: pictured(frigate) == 1)
        house.tell("end", ONE, at=time.time())
        house.tell("new", TWO, at=time.time())
        await asyncio.sleep(0)
        frigate.open.set()
        await until(lambda: len(house.pictures) >= 2)
        assert {event for event, *_ in house.shades} == {ONE, TWO}


async def test_it_ends_while_frigate_hangs() -> None:
    async with FrigateServer(snapshots={ONE: jpeg(1)}) as frigate:
        async with following(settings(frigate)) as house:
            frigate.open.clear()
            for number in range(20):
                house.tell("new", f"{number}-x", camera=f"camera-{number}")
            await until(lambda: frigate.asked_for("snapshot") >= 8)
        assert house.pictures == []
        frigate.open.set()


async def test_a_crowd_has_a_limit() -> None:
    async with FrigateServer(latest={"door": jpeg(1)}) as frigate, following(settings(frigate)) as house:
        for number in range(300):
            house.tell("new", f"{number}-x", has_snapshot=False)
        await until(lambda: house.pictures)
        assert house.count("objects") == 128
        assert house.count("closed_crowded_out") == 172


async def test_one_who_takes_pictures_and_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []

    def offer(picture: Any) -> None:
        taken.append(picture.source_event_id)
        if len(taken) == 1:
            raise ValueError("a secret")

    async with (
        FrigateServer(snapshots={ONE: jpeg(1), TWO: jpeg(2)}) as frigate,
        following(settings(frigate), offer=offer) as house,
    ):
        house.tell("new", ONE)
        await until(lambda: taken)
        house.tell("new", TWO)
        await until(lambda: len(taken) == 2)
    assert taken == [ONE, TWO]
    assert "ValueError" in caplog.text
    assert "a secret" not in caplog.text


async def test_what_can_t_be_read_is_counted() -> None:
    async with FrigateServer() as frigate, following(settings(frigate)) as house:
        house.take("events", b"\xff")
        house.take("events", b"{}")
        house.take("events", b"{}", retained=True)
        house.take("door/person/snapshot", jpeg(1))
        house.take("reviews", b"{}")
        names = ("not_json", "no_object", "retained", "unknown_topic")
        assert [house.count(f"messages_ignored_{name}") for name in names] == [1, 1, 1, 1]
        assert house.count("messages_taken") == 0
        assert house.frigate.topics == ("frigate/available", "frigate/events", "frigate/tracked_object_update")
