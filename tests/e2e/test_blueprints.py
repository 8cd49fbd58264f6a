"""The blueprints with real events: what a phone is told of somebody unknown, who is greeted, who arrives."""

import asyncio
import io
import math
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from PIL import Image

from support.backend_process import ROOT
from support.cottage import EVENT_SECONDS, KNOWN, UNKNOWN, Cottage
from support.phone import Phone
from support.reverse_proxy import Exchange
from support.verdict import judge_crossing

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAMERA = "front_door"
FACE = "event.front_door_face"
PICTURE = "image.front_door_last_face"
SEEN = "event.ada_seen"
SAY = [{"event": "of_the_test", "event_data": {"of": "{{ this.entity_id }}", "text": "{{ person }}, {{ camera }}"}}]


@dataclass(kw_only=True)
class Porch:
    """The cottage with cameras, a phone, and automations made from the blueprints."""

    cottage: Cottage
    phone: Phone


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def porch(cottage: Cottage) -> AsyncIterator[Porch]:
    """A camera at the front door, which keeps the last face, another one at the back, and a phone."""
    home = cottage.home
    for name in ("Front door", "Back door"):
        await cottage.add_camera(name)
    await home.command("config/entity_registry/update", entity_id=PICTURE, disabled_by=None)
    # Home Assistant would take half a minute to enable it.
    await home.restart()
    await home.until_state("sensor.front_door_people_now", "nobody")
    area = (await home.command("config/area_registry/create", name="Porch"))["area_id"]
    devices = {device["name"]: device["id"] for device in await home.command("config/device_registry/list")}
    await home.command("config/device_registry/update", device_id=devices["Front door"], area_id=area)
    async with Phone(home) as phone:
        notify = {"camera_event": FACE, "notify_device": phone.device_id, "picture": PICTURE, "pause": 0}
        await _automate(cottage, "notify_unknown_person", **notify)
        await _automate(cottage, "greet_person", person_event=[SEEN], pause=0, greeting=SAY)
        await _automate(cottage, "person_arrives", person_event=[SEEN], area=area, away=1, welcome=SAY)
        yield Porch(cottage=cottage, phone=phone)
        for name in ("notify_unknown_person", "greet_person", "person_arrives"):
            await home.request("DELETE", f"/api/config/automation/config/{name}")


async def _automate(cottage: Cottage, name: str, **inputs: Any) -> None:
    """Import a blueprint as the frontend does once it has fetched it, and make an automation from it."""
    path, text = f"privface/{name}.yaml", (ROOT / f"blueprints/automation/privface/{name}.yaml").read_text()
    await cottage.home.command("blueprint/save", domain="automation", path=path, yaml=text)
    automation = {"alias": name, "use_blueprint": {"path": path, "input": inputs}}
    await cottage.home.request("POST", f"/api/config/automation/config/{name}", automation)
    await cottage.home.until_state(f"automation.{name}", "on")


async def test_a_phone_is_told_of_a_stranger(porch: Porch, backend_python: Path, tmp_path: Path) -> None:
    """Of the first one, before whom there is no picture, and sooner than the picture is there."""
    cottage, phone = porch.cottage, porch.phone
    assert (await cottage.state(PICTURE))["state"] == "unavailable"
    cottage.proxy.may_answer.clear()
    looking = asyncio.create_task(cottage.look(CAMERA, UNKNOWN))
    await cottage.home.until_state(FACE, lambda face: face["attributes"]["event_type"] == "unknown")
    cottage.proxy.may_answer.set()
    frame, notification = await looking, await phone.notification()
    face = (await cottage.state(FACE))["attributes"]
    taken = datetime.fromisoformat(face["captured_at"]).astimezone(ZoneInfo("Europe/Rome"))
    assert face["event_id"] in frame.document["events"]
    assert notification["title"] == "Somebody unknown"
    assert notification["message"] == f"Front door, {taken:%H:%M:%S}, stranger 1"
    assert notification["data"] == {"image": f"/api/image_proxy/{PICTURE}", "tag": f"privface-{FACE}"}
    picture = await phone.fetch(notification["data"]["image"])
    box = frame.document["faces"][0]["box"]
    assert _distance(picture, frame.picture, box) < 2, "it isn't what was sent"
    assert _distance(picture, (cottage.clear / UNKNOWN).read_bytes(), box) > 4, "it is clear"
    verdict = await asyncio.to_thread(judge_crossing, backend_python, cottage.proxy, cottage.clear, tmp_path)
    assert verdict["findings"] == []


async def test_the_picture_is_for_those_who_are_signed_in(porch: Porch) -> None:
    url = f"{porch.cottage.home.url}/api/image_proxy/{PICTURE}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 403


def _distance(face: bytes, whole: bytes, box: list[float]) -> float:
    """How far a picture of a face is from that part of a whole picture, in shades."""
    part, pixels = _decode(face), _decode(whole)
    top = math.floor(max(0.0, box[1] - 0.4 * box[3]) * pixels.shape[0])
    left = math.floor(max(0.0, box[0] - 0.4 * box[2]) * pixels.shape[1])
    height, width, _ = part.shape
    assert min(height, width) > 100
    return float(np.abs(part - pixels[top : top + height, left : left + width]).mean())


def _decode(data: bytes) -> npt.NDArray[np.float64]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float64)


async def test_a_phone_is_not_told_too_late(porch: Porch) -> None:
    """Neither of what comes late, nor of what was kept somewhere for too long; of the next stranger again."""
    cottage, phone = porch.cottage, porch.phone
    before = (await cottage.state(FACE))["attributes"]["event_id"]
    late = await _look_late(cottage)
    assert late.document["events"], "the backend has decided nothing"
    assert (await cottage.state(FACE))["attributes"]["event_id"] == before
    await _repeat_expired(cottage)
    await cottage.end_visits(CAMERA)
    frame = await cottage.look(CAMERA, UNKNOWN)
    notification = await phone.notification()
    face = (await cottage.state(FACE))["attributes"]
    taken = datetime.fromisoformat(face["captured_at"]).astimezone(ZoneInfo("Europe/Rome"))
    assert face["event_id"] in frame.document["events"]
    assert notification["message"] == f"Front door, {taken:%H:%M:%S}, stranger 1, visit 3"
    assert phone.notifications.empty()


async def _look_late(cottage: Cottage) -> Exchange:
    """A look through a camera that takes longer than an event lasts."""
    await cottage.end_visits(CAMERA)
    gate, before = threading.Event(), len(cottage.frames(CAMERA))
    cottage.show(CAMERA, UNKNOWN, gate)
    timer = threading.Timer(EVENT_SECONDS + 1, gate.set)
    timer.start()
    await cottage.press(CAMERA)
    return await cottage.answered(CAMERA, before)


async def _repeat_expired(cottage: Cottage) -> None:
    """Let the event fire again with attributes that are over, and wait until the automation has judged it."""
    attributes = (await cottage.state(FACE))["attributes"]
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    body = {"state": now, "attributes": {**attributes, "expires_at": past}}
    await cottage.home.request("POST", f"/api/states/{FACE}", body)


async def test_somebody_is_greeted_each_time_and_arrives_once(porch: Porch) -> None:
    cottage = porch.cottage
    heard = []
    async with cottage.home.events("of_the_test") as told:
        for camera, answers in ((CAMERA, 2), (CAMERA, 1), ("back_door", 1)):
            await cottage.end_visits(camera)
            await cottage.look(camera, KNOWN)
            for _ in range(answers):
                async with asyncio.timeout(30):
                    heard.append((await told.get())["data"])
        assert told.empty()
    greeted = [data["text"] for data in heard if data["of"] == "automation.greet_person"]
    arrived = [data["text"] for data in heard if data["of"] == "automation.person_arrives"]
    assert greeted == ["Ada, Front door", "Ada, Front door", "Ada, Back door"]
    assert arrived == ["Ada, Front door"]
