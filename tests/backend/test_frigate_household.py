"""Frigate before a whole backend: a person walks, is one visit, is named, and Frigate is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from privface_backend.bridge.pictures import Picture
from privface_backend.domain.frames import Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.events import Message
from privface_backend.frigate.settings import FrigateSettings
from privface_backend.protocol import Event, FrameCard, Phase
from privface_backend.settings_sections import DecisionSettings, EngineSettings
from support.backend import ADA, BEN, STRANGER, Api, encode, running
from support.faces import people
from support.following import Following, crop, following
from support.frigate_server import FrigateServer
from support.mqtt import until
from support.weights import real

pytestmark = pytest.mark.slow

ONE, TWO = "1607123950.475377-mxkls1", "1607123951.475377-mxkls2"
# Long enough for nothing to be decided by time alone.
PATIENT = DecisionSettings(settle_seconds=60, gap_seconds=120)


@dataclass
class Home:
    api: Api
    server: FrigateServer
    house: Following
    events: list[Event]

    async def see(self, event_id: str, identity: int, count: int, *, end: bool = True) -> None:
        """Somebody walks by, in so many looks."""
        await self.show(event_id, [crop(identity, number) for number in range(count)], end=end)

    async def show(self, event_id: str, crops: Sequence[bytes], *, end: bool = True) -> None:
        """Frigate has one snapshot after the other of an object."""
        for number, data in enumerate(crops, 1):
            seen = len(self.house.pictures) + 1
            self.server.snapshots[event_id] = data
            self.house.tell("end" if end and number == len(crops) else "update", event_id, at=time.time())
            await self.looked_at(seen)

    async def looked_at(self, count: int) -> None:
        """Wait until so many pictures were handed on, and looked at."""
        cameras = self.api.backend.services.cameras
        await until(lambda: len(self.house.pictures) >= count)
        await until(lambda: sum(camera.frames for camera in cameras.all()) >= count)


@contextlib.asynccontextmanager
async def home(directory: Path, **sections: Any) -> AsyncIterator[Home]:
    events: list[Event] = []
    sending: set[asyncio.Task[None]] = set()
    async with FrigateServer() as server, running(directory, decision=PATIENT, **sections) as api:
        services = api.backend.services

        async def send(picture: Picture) -> None:
            card = FrameCard(
                camera=picture.camera,
                captured_at=picture.captured_at,
                source=picture.source,
                source_event_id=picture.source_event_id,
                trigger=picture.trigger,
                more=picture.more,
            )
            with contextlib.suppress(PrivFaceError):
                await services.intake.camera_frame(picture.data, card)

        def offer(picture: Picture) -> None:
            house.pictures.append(picture)
            task = asyncio.create_task(send(picture))
            sending.add(task)
            task.add_done_callback(sending.discard)

        def tell(message: Message) -> None:
            if isinstance(message.subject, Event):
                events.append(message.subject)
                if house.frigate.sub_labels is not None:
                    house.frigate.sub_labels.publish(message.subject)

        services.bus.call(tell)
        given = FrigateSettings(enabled=True, url=server.url, interval=0.1, sub_labels=True)
        async with following(given, offer=offer, ended=services.intake.end_source_event) as house:
            yield Home(api, server, house, events)
            await asyncio.gather(*sending)


async def test_somebody_who_walks_is_one_visit_and_frigate_learns_the_name(tmp_path: Path) -> None:
    async with home(tmp_path) as there:
        ada = await there.api.create("Ada", ADA)
        await there.see(ONE, ADA, 5)
        await until(lambda: there.server.sub_labels)
        assert {event.visit_id for event in there.events} == {there.events[0].visit_id}
        assert [(event.phase, event.person_id) for event in there.events] == [("provisional", ada), ("confirmed", ada)]
        assert {event.source_event_id for event in there.events} == {ONE}
        (event_id, body), *others = there.server.sub_labels
        assert (event_id, body["subLabel"], others) == (ONE, "Ada", [])
        assert 0.9 < body["subLabelScore"] <= 1


async def test_two_objects_at_once_are_two_visits(tmp_path: Path) -> None:
    async with home(tmp_path) as there:
        ada, ben = await there.api.create("Ada", ADA), await there.api.create("Ben", BEN)
        for _ in range(2):
            await there.see(ONE, ADA, 2, end=False)
            await there.see(TWO, BEN, 2, end=False)
        await until(lambda: {body["subLabel"] for _, body in there.server.sub_labels} == {"Ada", "Ben"})
        by_object = {(event.source_event_id, event.person_id) for event in there.events}
        assert by_object == {(ONE, ada), (TWO, ben)}
        assert len({event.visit_id for event in there.events}) == 2


async def test_what_there_was_has_to_do_when_frigate_is_gone(tmp_path: Path) -> None:
    async with home(tmp_path) as there:
        ada = await there.api.create("Ada", ADA)
        await there.see(ONE, ADA, 1, end=False)
        assert there.events == []
        await there.server.kill()
        there.house.tell("update", ONE, at=time.time())
        await until(lambda: there.house.count("failures"))
        there.house.pass_time(60)
        await until(lambda: there.events)
        assert [(event.phase, event.person_id) for event in there.events] == [("confirmed", ada)]


@pytest.mark.parametrize("looks", [1, 4])
async def test_a_stranger_has_no_sub_label(tmp_path: Path, looks: int) -> None:
    async with home(tmp_path) as there:
        await there.api.create("Ada", ADA)
        await there.see(ONE, STRANGER, looks)
        await until(lambda: there.events)
        await there.see(TWO, ADA, 4)
        await until(lambda: there.server.sub_labels)
        assert [event_id for event_id, _ in there.server.sub_labels] == [TWO]
        assert there.events[0].outcome == "unknown"


@pytest.mark.faces
@pytest.mark.weights
@pytest.mark.slow
async def test_real_people_are_told_apart_by_their_objects(tmp_path: Path) -> None:
    """Two who are enrolled, and two who aren't, one after the other before one camera; no crop is cut like another."""
    folk = people("caltech", 4, 6)
    chance = np.random.default_rng(1)

    def cut(frame: Pixels) -> bytes:
        height, width = frame.shape[:2]
        left, top = int(chance.integers(width // 5)), int(chance.integers(height // 6))
        share = float(chance.uniform(0.5, 0.9))
        part = cv2.resize(frame[top:, left:], None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        return encode(np.asarray(part, dtype=np.uint8), ".jpg")

    async with home(tmp_path, models_dir=real().deepface_home, engines=EngineSettings()) as there:
        for name, frames in zip(("Ada", "Ben"), folk, strict=False):
            person = await there.api.create(name)
            for frame in frames[:2]:
                assert (await there.api.enroll(person, encode(frame, ".jpg"))).status == 201
        for number, frames in enumerate(folk):
            await there.show(f"{number}-object", [cut(frame) for frame in frames[2:]])
        await until(lambda: len(there.server.sub_labels) == 2)
        said = {event.source_event_id: event.person for event in there.events if event.phase is Phase.CONFIRMED}
        assert said == {"0-object": "Ada", "1-object": "Ben", "2-object": None, "3-object": None}
        assert [(event_id, body["subLabel"]) for event_id, body in there.server.sub_labels] == [
            ("0-object", "Ada"),
            ("1-object", "Ben"),
        ]
        assert len({event.visit_id for event in there.events}) == 4
