"""A whole backend's decisions about visits: strangers who come back, corrections, the ignored, and the reasons."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privface_backend.settings_sections import DecisionSettings, MemorySettings
from support.backend import ADA, BEN, STRANGER, Api, picture, running

# Long enough for nothing to be decided by time alone.
PATIENT = DecisionSettings(settle_seconds=30)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path, decision=PATIENT) as opened:
        yield opened


async def see(api: Api, *identities: int, camera: str = "door", more: bool | None = False) -> dict[str, Any]:
    """Send a frame; the answer."""
    card = json.dumps({"more": more})
    headers = {"Content-Type": "image/png", "X-PrivFace-Frame-Card": card}
    reply = await api.frame(camera, picture(*identities), headers=headers)
    assert reply.status == 200, reply.body
    return dict(reply.document)


async def events_of(api: Api, answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [await api.event(event_id) for event_id in answer["events"]]


async def only_event(api: Api, answer: dict[str, Any]) -> dict[str, Any]:
    (event,) = await events_of(api, answer)
    return event


async def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask until the answer is what is wanted."""
    async with asyncio.timeout(10):
        while not wanted(answer := await ask()):  # noqa: ASYNC110  # what is waited for is behind a socket
            await asyncio.sleep(0.01)
    return answer


async def strangers(api: Api) -> list[dict[str, Any]]:
    return list((await api.call("GET", "/api/v1/strangers")).document["strangers"])


async def test_a_stream_names_somebody_from_the_second_face_and_is_sure_from_the_fourth(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    answers = [await see(api, ADA, more=None) for _ in range(6)]
    assert [len(answer["events"]) for answer in answers] == [0, 1, 0, 1, 0, 0]
    assert len({visit for answer in answers for visit in answer["visits"]}) == 1
    first, second = await events_of(api, answers[1]), await events_of(api, answers[3])
    told = [(event["seq"], event["phase"], event["person_id"]) for event in (*first, *second)]
    assert told == [(0, "provisional", ada), (1, "confirmed", ada)]
    assert second[0]["evidence"] > 2
    assert second[0]["votes"] == {"known": 4, "unknown": 0}


async def test_a_frame_alone_is_decided_at_once_where_its_card_says_so_and_else_when_none_follows(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, decision=replace(PATIENT, settle_seconds=0.2)) as api:
        await api.create("Ada", ADA)
        at_once = await only_event(api, await see(api, ADA))
        assert (at_once["outcome"], at_once["phase"]) == ("known", "confirmed")
        waited = await see(api, ADA, camera="garden", more=None)
        assert waited["events"] == []
        logged = await api.logged(2)
        assert {event["camera"] for event in logged} == {"door", "garden"}
        assert {(event["outcome"], event["phase"]) for event in logged} == {("known", "confirmed")}


async def test_the_last_frame_of_a_look_decides_about_those_before_it(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    assert (await see(api, ADA, more=True))["events"] == []
    event = await only_event(api, await see(api, more=False))
    assert (event["person_id"], event["phase"]) == (ada, "confirmed")


async def test_a_sender_who_promised_more_is_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path, decision=replace(PATIENT, settle_seconds=0.1, gap_seconds=1)) as api:
        await api.create("Ada", ADA)
        await see(api, ADA, more=True)
        await see(api, ADA, camera="garden", more=None)
        first, second = (await api.logged(2))[::-1]
        assert [first["camera"], second["camera"]] == ["garden", "door"]


async def test_nothing_more_is_said_of_a_camera_that_was_switched_off(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    for camera in ("door", "garden"):
        await see(api, ADA, camera=camera, more=None)
    for enabled in (False, True):
        changed = await api.call(
            "PATCH", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}", json={"enabled": enabled}
        )
        assert changed.status == 200
    assert (await see(api, camera="door"))["events"] == []
    assert (await only_event(api, await see(api, camera="garden")))["person_id"] == ada


async def test_a_stranger_who_is_ignored_is_shown_no_longer(api: Api) -> None:
    await api.create("Ada", ADA)
    event = await only_event(api, await see(api, STRANGER))
    await eventually(lambda: strangers(api), bool)
    camera = await api.call("GET", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}")
    assert camera.document["unknown"] == 1
    path = f"/api/v1/strangers/{event['stranger']['id']}/ignore"
    ignored = await api.call("POST", path, pattern="/api/v1/strangers/{stranger}/ignore")
    assert ignored.status in {200, 201}, ignored.body
    assert (await see(api, STRANGER))["events"] == []
    camera = await api.call("GET", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}")
    assert camera.document["unknown"] == 0


async def test_a_stranger_who_comes_back_keeps_the_label(api: Api) -> None:
    await api.create("Ada", ADA)
    first = await only_event(api, await see(api, STRANGER))
    assert (first["outcome"], first["stranger"]["number"], first["stranger"]["visit"]) == ("unknown", 1, 1)
    again = await only_event(api, await see(api, STRANGER, camera="garden"))
    assert again["stranger"] == first["stranger"] | {"visit": 2}
    other = await only_event(api, await see(api, BEN, camera="yard"))
    assert other["stranger"]["number"] == 2
    assert [one["visits"] for one in await eventually(lambda: strangers(api), lambda found: len(found) == 2)] == [2, 1]


async def test_two_who_are_there_at_once_are_two(api: Api) -> None:
    await api.create("Ada", ADA)
    told = await events_of(api, await see(api, STRANGER, STRANGER))
    assert {event["stranger"]["number"] for event in told} == {1, 2}
    assert {event["stranger"]["visit"] for event in told} == {1}


async def test_a_stranger_becomes_a_person_with_one_call(api: Api) -> None:
    await api.create("Ada", ADA)
    event = await only_event(api, await see(api, STRANGER))
    await eventually(lambda: strangers(api), bool)
    path = f"/api/v1/strangers/{event['stranger']['id']}/person"
    named = await api.call("POST", path, pattern="/api/v1/strangers/{stranger}/person", json={"name": "Eve"})
    assert named.status in {200, 201}, named.body
    known = await only_event(api, await see(api, STRANGER, camera="garden"))
    assert (known["outcome"], known["person"]) == ("known", "Eve")
    assert await strangers(api) == []


async def test_what_was_not_them_is_not_said_again(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    event = await only_event(api, await see(api, ADA))
    assert event["person_id"] == ada
    path = f"/api/v1/events/{event['event_id']}/correction"

    async def correct() -> int:
        reply = await api.call("POST", path, pattern="/api/v1/events/{event}/correction", json={"person_id": None})
        return reply.status

    # What the visit showed is kept behind the back of the answer.
    await eventually(correct, lambda status: status == 200)
    taken_back = await eventually(
        lambda: api.call("GET", "/api/v1/events"), lambda page: len(page.document["events"]) == 2
    )
    newest = taken_back.document["events"][0]
    assert (newest["outcome"], newest["reason"], newest["corrects"]) == ("unknown", "not_them", event["event_id"])
    again = await only_event(api, await see(api, ADA, camera="garden"))
    assert (again["outcome"], again["reason"], again["person"]) == ("unknown", "not_them", None)


async def test_of_the_ignored_nothing_is_said(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    ignored = await api.call("POST", f"/api/v1/people/{ada}/ignore", pattern="/api/v1/people/{person}/ignore")
    assert ignored.status == 200, ignored.body
    answer = await see(api, ADA)
    assert answer["events"] == []
    (face,) = answer["faces"]
    assert (face["outcome"], face["reason"], face["person"], face["score"]) == ("unusable", "ignored", None, None)
    await api.call("DELETE", f"/api/v1/people/{ada}/ignore", pattern="/api/v1/people/{person}/ignore")
    assert (await only_event(api, await see(api, ADA, camera="garden")))["person"] == "Ada"


async def test_an_event_says_why(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    ben = await api.create("Ben", BEN)
    event = await only_event(api, await see(api, ADA))
    why = event["explanation"]
    assert (why["usable"], why["seen"], len(why["faces"])) == (1, 1, 1)
    assert why["faces"][0]["reason"] == "ok"
    assert set(why["faces"][0]["quality"]) >= {"weight", "width", "detection", "sharpness", "turn", "brightness"}
    assert [one["person_id"] for one in why["nearest"]] == [ada, ben]
    assert why["nearest"][0]["person"] == "Ada"
    assert why["threshold"]["value"] == event["threshold"]
    assert (why["threshold"]["naming"], why["threshold"]["rate"], why["threshold"]["people"]) == ("balanced", 0.001, 2)
    forgotten = await api.call("DELETE", f"/api/v1/people/{ben}", pattern="/api/v1/people/{person}")
    assert forgotten.status == 200
    assert [one["person_id"] for one in (await api.event(event["event_id"]))["explanation"]["nearest"]] == [ada]


async def test_nothing_is_remembered_for_no_time(tmp_path: Path) -> None:
    async with running(tmp_path, decision=PATIENT, memory=MemorySettings(hours=0)) as api:
        first = await only_event(api, await see(api, STRANGER))
        assert (first["outcome"], first["stranger"]) == ("unknown", None)
        assert await strangers(api) == []


async def test_a_restart_in_the_middle_of_a_stay_changes_nobody_s_presence(tmp_path: Path) -> None:
    async with running(tmp_path, decision=PATIENT) as api:
        ada = await api.create("Ada", ADA)
        for _ in range(4):
            await see(api, ADA, more=None)
        (before,) = api.backend.services.household.people(api.backend.core.clock())
    async with running(tmp_path, decision=PATIENT) as api:
        (after,) = api.backend.services.household.people(api.backend.core.clock())
        assert (after.person_id, after.phase, after.camera) == (ada, "present", "door")
        assert before.last_seen is not None
        assert after.last_seen is not None
        assert abs((after.last_seen - before.last_seen).total_seconds()) < 0.01
