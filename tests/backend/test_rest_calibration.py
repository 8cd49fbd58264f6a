"""Calibration over REST: a drawn household measured, its curve kept, cameras set."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from privface_backend.calibration import service as calibrating
from privface_backend.calibration.curve import Level
from privface_backend.calibration.measuring import Household
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.uploads import CARD_HEADER
from privface_backend.settings_sections import EngineSettings
from support.backend import ADA, BEN, STRANGER, Api, Reply, encode, picture, pixels, running, until

CALIBRATION = "/api/v1/calibration"
APPLY = "/api/v1/calibration/apply"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def enroll_household(api: Api, *, each: int = 3) -> None:
    """Two people with several pictures each, in another light each time."""
    for name, identity in (("Ada", ADA), ("Ben", BEN)):
        person = await api.create(name)
        for step in range(each):
            frame = pixels(identity, side=120 + 20 * step)
            assert (await api.enroll(person, encode(frame // 2 + 20 * step))).status == 201


async def show(api: Api) -> dict[str, Any]:
    return dict((await api.call("GET", CALIBRATION, scope=Scope.IDENTIFY)).document)


async def calibrate(api: Api, **order: object) -> Reply:
    return await api.call("POST", CALIBRATION, scope=Scope.ENROLL, json=order)


async def apply(api: Api, scope: Scope = Scope.ADMIN, **order: object) -> Reply:
    return await api.call("PUT", APPLY, scope=scope, json=order)


async def parameters(api: Api) -> dict[str, int | None]:
    cameras = (await api.call("GET", "/api/v1/cameras")).document["cameras"]
    return {camera["camera"]: camera["parameter"] for camera in cameras}


async def test_before_anything_is_measured(api: Api) -> None:
    empty = await show(api)
    assert (empty["result"], empty["current"], empty["cameras"], empty["enrolled"]["probes"]) == (None, False, [], 0)
    await enroll_household(api)
    enrolled = (await show(api))["enrolled"]
    assert (enrolled["people"], enrolled["searchable"], enrolled["single"], enrolled["probes"]) == (2, 2, 0, 6)
    assert enrolled["gallery"] != empty["enrolled"]["gallery"]


async def test_a_household_is_measured_and_the_curve_kept(api: Api) -> None:
    await enroll_household(api)
    made = await calibrate(api, floor=0.8)
    assert made.status == 200, made.body
    result = made.document["result"]
    assert (made.document["current"], result["floor"], result["method"]) == (True, 0.8, "gaussian")
    assert [level["relative"] for level in result["levels"]] == sorted(level["relative"] for level in result["levels"])
    # Drawn faces are told apart whatever the blur; what is too blurry is not used.
    assert result["chosen"] == 0.065
    assert [level["note"] for level in result["levels"] if level["relative"] > 0.065] == ["too_blurry", "too_blurry"]
    assert (await show(api))["result"] == result


async def test_it_holds_until_the_gallery_changes(api: Api) -> None:
    await enroll_household(api)
    await calibrate(api)
    [ada, _] = (await api.call("GET", "/api/v1/people")).document["people"]
    renamed = await api.call(
        "PATCH", f"/api/v1/people/{ada['id']}", pattern="/api/v1/people/{person}", json={"name": "Ada L."}
    )
    assert renamed.status == 200
    assert (await show(api))["current"]
    await api.create("Cleo", STRANGER)
    after = await show(api)
    assert not after["current"]
    assert after["result"]["enrolled"]["people"] == 2
    refused = await apply(api, face_width=100)
    assert (refused.status, refused.code) == (409, "not_calibrated")


async def test_cameras_are_set_for_the_faces_that_were_seen_there(api: Api) -> None:
    await enroll_household(api)
    for visit in range(3):
        card = json.dumps({"more": False, "source_event_id": str(visit)})
        headers = {"Content-Type": "image/png", CARD_HEADER: card}
        reply = await api.frame("door", picture(ADA, side=160), headers=headers)
        await api.event(reply.document["events"][0])
    await api.frame("garden", picture())
    made = (await calibrate(api)).document
    door, garden = made["cameras"]
    assert door["face_width"] == pytest.approx(160, abs=8)
    assert (door["parameter"], door["left_out"]) == (17, None)
    assert door["relative"] == pytest.approx(2.9 / door["face_width"], abs=1e-4)
    assert (garden["face_width"], garden["proposed"], garden["left_out"]) == (None, None, "no_face_width")
    done = (await apply(api)).document
    assert done["relative"] == made["result"]["chosen"] == 0.065
    # 0.3 * ((k - 1) / 2 - 1) + 0.8 is at most 0.065 * 160 pixels up to k = 65 or so.
    proposed = door["proposed"]
    sigma, stronger = (0.3 * ((k - 1) / 2 - 1) + 0.8 for k in (proposed, proposed + 2))
    assert sigma <= 0.065 * door["face_width"] + 0.01 < stronger + 0.01
    assert await parameters(api) == {"door": proposed, "garden": None}
    assert done["cameras"] == [
        {
            "camera": "door",
            "before": 17,
            "parameter": proposed,
            "face_width": door["face_width"],
            "left_out": None,
        },
        {"camera": "garden", "before": 17, "parameter": 17, "face_width": None, "left_out": "no_face_width"},
    ]
    # The service follows at once: the next frame that comes clear is blurred so.
    assert (await api.frame("door", picture(ADA))).document["privacy"]["parameter"] == proposed


async def test_a_width_can_be_given_and_cameras_named(api: Api) -> None:
    await enroll_household(api)
    for name in ("door", "garden"):
        await api.frame(name, picture())
    await calibrate(api)
    done = await apply(api, cameras=["garden"], face_width=100)
    assert done.status == 200
    # 6.5 pixels of sigma: k = 39 has 6.2, and k = 41 6.5.
    assert await parameters(api) == {"door": None, "garden": 41}
    tiny = (await apply(api, face_width=8)).document["cameras"]
    assert {camera["left_out"] for camera in tiny} == {"would_be_clear"}
    assert await parameters(api) == {"door": None, "garden": 41}


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ({"cameras": ["nowhere"]}, 404, "not_found"),
        ({"cameras": ["../etc"]}, 400, "bad_request"),
        ({"cameras": []}, 400, "bad_request"),
        ({"cameras": "door"}, 400, "bad_request"),
        ({"face_width": 0}, 400, "bad_request"),
        ({"face_width": 1e9}, 400, "bad_request"),
        ({"face_width": True}, 400, "bad_request"),
    ],
)
async def test_orders_that_cannot_be_followed(api: Api, order: dict[str, object], status: int, code: str) -> None:
    await enroll_household(api, each=2)
    await calibrate(api)
    refused = await api.call("PUT", APPLY, json=order)
    assert (refused.status, refused.code) == (status, code)


@pytest.mark.parametrize("floor", [0.49, 1.01, "high", None, True])
async def test_floors_that_cannot_be_kept(api: Api, floor: object) -> None:
    refused = await calibrate(api, floor=floor)
    assert (refused.status, refused.code) == (400, "bad_request")


async def test_a_household_of_single_pictures_is_refused(api: Api) -> None:
    await api.create("Ada", ADA)
    await api.create("Ben", BEN)
    refused = await calibrate(api)
    assert (refused.status, refused.code) == (422, "too_few_faces")
    assert (await show(api))["result"] is None


async def test_what_a_token_may(api: Api) -> None:
    assert (await api.call("GET", CALIBRATION, scope=None)).status == 401
    assert (await api.call("POST", CALIBRATION, scope=Scope.IDENTIFY, json={})).status == 403
    assert (await apply(api, Scope.ENROLL)).status == 403


async def test_before_the_engines_are_made(tmp_path: Path) -> None:
    async with running(tmp_path, ready=False, engines=EngineSettings(recognizer="deepface:SFace")) as api:
        for reply in (await api.call("GET", CALIBRATION), await calibrate(api), await apply(api)):
            assert (reply.status, reply.code) == (503, "weights_missing")


class Endless:
    """A measurement that goes on until it is told to end."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.ended = threading.Event()

    def measure(self, _household: Household, proceed: Callable[[], None]) -> tuple[str, bool, tuple[Level, ...]]:
        self.running.set()
        try:
            while True:
                proceed()
                time.sleep(0.005)
        finally:
            self.ended.set()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    made = Endless()
    monkeypatch.setattr(calibrating, "measure", made.measure)
    return made


async def test_one_at_a_time_and_recognition_goes_on(api: Api, endless: Endless) -> None:
    await enroll_household(api, each=2)
    first = asyncio.create_task(calibrate(api))
    await until(endless.running.is_set)
    second = await calibrate(api)
    assert (second.status, second.code) == (503, "overloaded")
    assert (await api.frame("door", picture(ADA))).document["faces"][0]["person"] == "Ada"
    first.cancel()
    # The caller has hung up: nobody needs it any more.
    await until(endless.ended.is_set)
    # Then there is room for another.
    again = asyncio.create_task(calibrate(api))
    endless.running.clear()
    await until(endless.running.is_set)
    again.cancel()


async def test_a_measurement_that_takes_too_long_ends(api: Api) -> None:
    await enroll_household(api, each=2)
    hurried = calibrating.Calibrator(api.backend.core, seconds=-1)
    with pytest.raises(PrivFaceError) as caught:
        await hurried.calibrate(0.9)
    assert caught.value.code is ErrorCode.TIMEOUT
    assert (await calibrate(api)).status == 200


@pytest.mark.parametrize("kept", ["{", "[]", '{"schema": 2}', '{"schema": 1, "made_at": 5}', "null"])
async def test_a_kept_result_that_cannot_be_read_is_none(api: Api, kept: str) -> None:
    await enroll_household(api, each=2)
    await api.backend.core.storage.call(api.backend.core.database.set_meta, "calibration", kept)
    assert (await show(api))["result"] is None
    assert (await apply(api, face_width=100)).code == "not_calibrated"
    assert (await calibrate(api)).status == 200
    assert (await show(api))["current"]


async def test_it_outlives_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await enroll_household(api, each=2)
        made = (await calibrate(api)).document
    async with running(tmp_path) as api:
        after = await show(api)
        assert (after["result"], after["current"]) == (made["result"], True)


async def test_what_is_kept_names_nobody(api: Api) -> None:
    await enroll_household(api, each=2)
    await calibrate(api)
    kept = await api.backend.core.storage.call(api.backend.core.database.get_meta, "calibration")
    assert kept is not None
    people = (await api.call("GET", "/api/v1/people")).document["people"]
    for person in people:
        assert person["name"] not in kept
        assert person["id"] not in kept
