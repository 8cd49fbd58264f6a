"""Cameras over REST: frames in, states and settings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from privface_backend.protocol import Scope
from support.backend import ADA, STRANGER, Api, Reply, form, held, picture, running, until

CAMERA = "/api/v1/cameras/{camera}"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def change(api: Api, camera: str, **settings: object) -> Reply:
    return await api.call("PATCH", f"/api/v1/cameras/{camera}", pattern=CAMERA, json=settings)


async def show(api: Api, camera: str) -> Reply:
    return await api.call("GET", f"/api/v1/cameras/{camera}", pattern=CAMERA, scope=Scope.IDENTIFY)


async def test_a_frame_becomes_events_and_a_state(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    reply = await api.frame("front door", picture(ADA, STRANGER), scope=Scope.IDENTIFY)
    assert reply.status == 200
    assert len(reply.document["events"]) == len(reply.document["faces"]) == 2
    events = [await api.event(event_id) for event_id in reply.document["events"]]
    assert {event["person_id"] for event in events} == {ada, None}
    assert {event["camera"] for event in events} == {"front door"}
    assert {event["request_id"] for event in events} == {reply.headers["X-Request-Id"]}
    state = (await show(api, "front%20door")).document
    assert (state["persons"], state["unknown"], state["frames"], state["skipped"]) == (["Ada"], 1, 1, 0)
    assert [camera["camera"] for camera in (await api.call("GET", "/api/v1/cameras")).document["cameras"]] == [
        "front door"
    ]


async def test_a_frame_card_travels_into_the_event(api: Api) -> None:
    card = {
        "camera": "door",
        "captured_at": "2024-11-23T09:15:30.125+01:00",
        "privacy": {"method": "gaussian", "parameter": 9, "applied_by": "client"},
        "source": "homeassistant",
        "source_event_id": "ha-1",
        "requestor": {"id": "33466553", "type": "NSSD"},
        "request_id": "r-1",
        "more": False,
        "later": "keys that are not known are left alone",
    }
    reply = await api.frame(
        "door", picture(ADA, kernel=9), headers={"Content-Type": "image/png", "X-PrivFace-Frame-Card": json.dumps(card)}
    )
    in_a_form = await api.call(
        "POST",
        "/api/v1/cameras/door/frames",
        pattern="/api/v1/cameras/{camera}/frames",
        data=form(picture(STRANGER, kernel=9), card=json.dumps(card)),
    )
    for answer in (reply, in_a_form):
        [event_id] = answer.document["events"]
        event = await api.event(event_id)
        assert event["captured_at"] == "2024-11-23T08:15:30.125Z"
        assert (event["source"], event["source_event_id"], event["request_id"]) == ("homeassistant", "ha-1", "r-1")
        assert event["requestor"] == {"id": "33466553", "type": "NSSD"}
        assert (event["privacy"]["parameter"], event["privacy"]["applied_by"]) == (9, "client")


async def test_a_card_of_another_camera_is_refused(api: Api) -> None:
    headers = {"Content-Type": "image/png", "X-PrivFace-Frame-Card": '{"camera": "gate"}'}
    reply = await api.frame("door", picture(ADA), headers=headers)
    assert (reply.status, reply.code) == (400, "bad_frame_card")


@pytest.mark.parametrize("name", ["..", ".", "..%2F..%2Fetc", "a%5Cb", "a%00b", "%20", "x" * 65, "a%0Ab"])
async def test_a_name_that_is_a_path_or_no_name_is_refused(api: Api, name: str) -> None:
    address = URL(f"{api.url}/api/v1/cameras/{name}/frames", encoded=True)
    headers = {"Authorization": f"Bearer {api.tokens[Scope.ADMIN]}", "Content-Type": "image/png"}
    async with api.session.post(address, data=picture(ADA), headers=headers) as response:
        document = await response.json()
    assert document["error"]["code"] in {"bad_request", "not_found", "method_not_allowed"}
    assert (await api.call("GET", "/api/v1/cameras")).document["cameras"] == []


async def test_a_camera_can_be_switched_off_and_on(api: Api) -> None:
    off = await change(api, "door", enabled=False)
    assert (off.status, off.document["enabled"]) == (200, False)
    refused = await api.frame("door", picture(ADA))
    assert (refused.status, refused.code) == (409, "camera_disabled")
    assert (await show(api, "door")).document["skipped"] == 1
    await change(api, "door", enabled=True)
    assert (await api.frame("door", picture(ADA))).status == 200


async def test_a_camera_has_its_own_parameter_until_it_is_taken_back(api: Api) -> None:
    assert (await change(api, "door", parameter=31)).document["parameter"] == 31
    assert (await api.frame("door", picture(ADA))).document["privacy"]["parameter"] == 31
    assert (await change(api, "door", enabled=True)).document["parameter"] == 31
    assert (await change(api, "door", parameter=None)).document["parameter"] is None
    assert (await api.frame("door", picture(ADA))).document["privacy"]["parameter"] == 17


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"parameter": 18}, "bad_privacy_parameter"),
        ({"parameter": -3}, "bad_privacy_parameter"),
        ({"parameter": 10**30}, "bad_privacy_parameter"),
        ({"parameter": True}, "bad_privacy_parameter"),
        ({"parameter": "17"}, "bad_privacy_parameter"),
        ({"enabled": "no"}, "bad_request"),
        ({"enabled": False, "parameter": 18}, "bad_privacy_parameter"),
    ],
)
async def test_a_bad_setting_changes_nothing(api: Api, settings: dict[str, object], code: str) -> None:
    reply = await change(api, "door", **settings)
    assert (reply.status, reply.code) == (400, code)
    assert (await show(api, "door")).status == 404


async def test_the_newest_frame_of_a_camera_takes_the_place_of_a_waiting_one(api: Api) -> None:
    lane = api.backend.core.lane
    await change(api, "door", enabled=True)
    async with held(lane) as hold:
        older = asyncio.create_task(api.frame("door", picture(ADA)))
        await until(lambda: lane.depth == 2)
        newer = asyncio.create_task(api.frame("door", picture(STRANGER)))
        refused = await older
        assert (refused.status, refused.code) == (409, "superseded")
        hold.let_go()
        assert (await newer).status == 200
    shown = (await show(api, "door")).document
    assert (shown["frames"], shown["skipped"]) == (1, 1)


async def test_too_many_cameras_are_refused(api: Api) -> None:
    for number in range(256):
        api.backend.services.cameras.add(f"camera {number}")
    reply = await api.frame("one more", picture(ADA))
    assert (reply.status, reply.code) == (503, "overloaded")


async def remove(api: Api, camera: str, scope: Scope = Scope.ADMIN) -> Reply:
    return await api.call("DELETE", f"/api/v1/cameras/{camera}", pattern=CAMERA, scope=scope)


async def test_a_camera_that_is_removed_is_forgotten(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    await change(api, "door", parameter=31)
    (event,) = (await api.frame("door", picture(ADA))).document["events"]
    reply = await remove(api, "door")
    assert (reply.status, reply.document) == (200, {"camera": "door", "removed": True})
    assert (await show(api, "door")).status == 404
    assert (await remove(api, "door")).code == "not_found"
    # What was decided stays, and with it where somebody was.
    assert (await api.event(event))["person_id"] == ada
    (state,) = api.backend.services.household.people(api.backend.core.clock())
    assert state.camera == "door"
    assert (await api.frame("door", picture(ADA))).document["privacy"]["parameter"] == 17
    shown = (await show(api, "door")).document
    assert (shown["frames"], shown["parameter"], shown["persons"]) == (1, None, ["Ada"])


async def test_a_removed_camera_s_visits_are_over(api: Api) -> None:
    (first,) = (await api.frame("door", picture(STRANGER))).document["visits"]
    assert (await api.frame("door", picture(STRANGER))).document["visits"] == [first]
    await remove(api, "door")
    assert (await api.frame("door", picture(STRANGER))).document["visits"] != [first]


async def test_removing_makes_room_where_there_are_too_many(api: Api) -> None:
    for number in range(256):
        api.backend.services.cameras.add(f"camera {number}")
    refused = await api.frame("one more", picture(ADA))
    assert refused.code == "overloaded"
    assert (await remove(api, "camera%207")).status == 200
    assert (await api.frame("one more", picture(ADA))).status == 200


async def test_only_an_admin_removes_a_camera(api: Api) -> None:
    await change(api, "door", enabled=True)
    for scope in (Scope.IDENTIFY, Scope.ENROLL):
        assert (await remove(api, "door", scope)).code == "forbidden"
    assert (await show(api, "door")).status == 200


async def test_an_unknown_camera_is_not_found(api: Api) -> None:
    reply = await show(api, "nowhere")
    assert (reply.status, reply.code) == (404, "not_found")
