"""A sealed backend over REST: it works on a user side's templates, and takes no picture on any way."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privface_backend.protocol import ErrorCode
from privface_backend.rest.compreface import compreface_routes
from privface_backend.rest.deepstack import deepstack_routes
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.settings_sections import DropInSettings, LinkSettings, PrivacySettings
from support.backend import ADA, BEN, STRANGER, Api, form, make_settings, picture, pixels, running, video
from support.sealed import OTHER_KEY, enroll, sealed_enrollment, sealed_frame, send_frame

SEALED = PrivacySettings(sealed=True)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path, privacy=SEALED) as api:
        yield api


async def test_enrollment_visits_and_presence_work_as_with_pictures(api: Api) -> None:
    enrolled = await enroll(api, "Ada", sealed_enrollment(ADA))
    assert enrolled.status == 201, enrolled.body
    # A clear template, and a ladder of strengths for faces that move.
    assert (await api.call("GET", "/api/v1/info")).document["gallery"]["templates"] > 5
    reply = await send_frame(api, "door", sealed_frame(ADA, STRANGER))
    assert reply.status == 200, reply.body
    assert {face["outcome"] for face in reply.document["faces"]} == {"known", "unknown"}
    events = [await api.event(event_id) for event_id in reply.document["events"]]
    known = next(event for event in events if event["outcome"] == "known")
    assert known["person"] == "Ada"
    assert known["privacy"] == {"method": "sealed", "parameter": 1, "relative": 0.0, "applied_by": "client"}
    assert known["engine"] == {"detector": "synthetic", "recognizer": "synthetic"}
    assert next(event for event in events if event["outcome"] == "unknown")["stranger"] is not None
    camera = (await api.call("GET", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}")).document
    assert camera["persons"] == ["Ada"]
    again = await enroll(api, "Ada", sealed_enrollment(ADA))
    assert again.code == ErrorCode.CONFLICT


async def test_who_asks_is_told_and_nobody_else(api: Api) -> None:
    await enroll(api, "Ada", sealed_enrollment(ADA))
    reply = await api.call("POST", "/api/v1/identify/sealed", json={"frame": sealed_frame(ADA)})
    assert [face["person"] for face in reply.document["faces"]] == ["Ada"]
    assert (await api.call("GET", "/api/v1/events")).document["events"] == []
    nobody = await api.call("POST", "/api/v1/identify/sealed", json={"frame": sealed_frame()})
    assert nobody.document["reason"] == "no_face"


async def test_what_another_key_sealed_is_refused_until_nobody_is_enrolled(api: Api) -> None:
    await enroll(api, "Ada", sealed_enrollment(ADA))
    refused = await send_frame(api, "door", sealed_frame(ADA, key=OTHER_KEY))
    assert refused.status == 409
    assert refused.code == ErrorCode.CONTRACT_MISMATCH
    assert (await enroll(api, "Ben", sealed_enrollment(BEN, key=OTHER_KEY))).code == ErrorCode.CONTRACT_MISMATCH
    people = (await api.call("GET", "/api/v1/people")).document["people"]
    for person in people:
        await api.call("DELETE", f"/api/v1/people/{person['id']}", pattern="/api/v1/people/{person}")
    # A frame doesn't change what holds; an enrollment does, where nobody is enrolled.
    assert (await send_frame(api, "door", sealed_frame(BEN, key=OTHER_KEY))).code == ErrorCode.CONTRACT_MISMATCH
    assert (await enroll(api, "Ben", sealed_enrollment(BEN, key=OTHER_KEY))).status == 201
    found = await send_frame(api, "door", sealed_frame(BEN, key=OTHER_KEY))
    assert [face["person"] for face in found.document["faces"]] == ["Ben"]
    assert (await send_frame(api, "door", sealed_frame(ADA))).code == ErrorCode.CONTRACT_MISMATCH


async def test_the_contract_and_the_people_outlive_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, privacy=SEALED) as api:
        await enroll(api, "Ada", sealed_enrollment(ADA))
        contract = (await api.call("GET", "/api/v1/info")).document["engines"]["contract"]
        assert contract.startswith("sealed:")
    async with running(tmp_path, privacy=SEALED) as api:
        info = (await api.call("GET", "/api/v1/info")).document
        assert (info["engines"]["contract"], info["engines"]["recognizer"]) == (contract, "synthetic")
        found = await send_frame(api, "door", sealed_frame(ADA))
        assert [face["person"] for face in found.document["faces"]] == ["Ada"]
        assert (await send_frame(api, "door", sealed_frame(ADA, key=OTHER_KEY))).code == ErrorCode.CONTRACT_MISMATCH


async def test_no_native_route_takes_a_picture(api: Api) -> None:
    await enroll(api, "Ada", sealed_enrollment(ADA))
    person = (await api.call("GET", "/api/v1/people")).document["people"][0]["id"]
    clip = video([pixels(ADA)] * 3)
    claimed = json.dumps({"privacy": {"method": "gaussian", "parameter": 17, "applied_by": "client"}})
    replies = [
        await api.identify(picture(ADA)),
        await api.identify(clip),
        await api.frame("door", picture(ADA)),
        await api.enroll(person, picture(ADA)),
        await api.enroll(person, picture(ADA), card=claimed, versions="1"),
        await api.call("POST", "/api/v1/videos", data=form(clip, name="clip.mp4")),
    ]
    assert [(reply.status, reply.code) for reply in replies] == [(422, ErrorCode.SEALED)] * len(replies)


async def test_no_other_engines_route_takes_a_picture(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "privacy": SEALED,
        "dropin": DropInSettings(deepstack=True, compreface=True, without_token="always"),
        "links": LinkSettings(webcams=(0,)),
    }
    settings = make_settings(tmp_path, **sections)
    settings = replace(settings, sifis=replace(settings.sifis, without_token="always"))
    routes = (*ancestor_routes(settings), *deepstack_routes(settings), *compreface_routes(settings))
    async with running(tmp_path, more_routes=routes, sifis=settings.sifis, **sections) as api:
        headers = {"Authorization": f"Bearer {list(api.tokens.values())[-1]}"}
        tails = "/17/r/t/1"
        asked: list[tuple[str, str, Any]] = [
            ("POST", "/v1/vision/face", _image()),
            ("POST", "/v1/vision/face/recognize", _image()),
            ("POST", "/v1/vision/face/register", _image(userid="Ada")),
            ("POST", "/api/v1/recognition/recognize", form(picture(ADA))),
            ("POST", "/check_directory/a.png" + tails, form(picture(ADA))),
            ("GET", "/cam_face_recognition/0" + tails, None),
        ]
        for method, path, data in asked:
            async with api.session.request(method, api.url + path, data=data, headers=headers) as response:
                text = await response.text()
                assert 400 <= response.status < 500, (path, response.status, text)
                assert "sealed" in text, (path, text)
        assert (await api.call("GET", "/api/v1/people")).document["people"] == []


def _image(**fields: str) -> Any:
    data = form(**fields)
    data.add_field("image", picture(ADA), filename="a.png")
    return data


def _of_two_lengths(frame: dict[str, Any]) -> None:
    frame["faces"][0]["vector"] = frame["faces"][0]["vector"][:-8]


def _too_long(frame: dict[str, Any]) -> None:
    frame["faces"][0]["vector"] = "AACAPw==" * 24


def _without_reason(frame: dict[str, Any]) -> None:
    frame["faces"][0]["vector"] = None


def _too_many(frame: dict[str, Any]) -> None:
    frame["faces"] *= 65


def _outside(frame: dict[str, Any]) -> None:
    frame["faces"][0]["box"] = [0.9, 0.1, 0.5, 0.5]


def _not_sealed(frame: dict[str, Any]) -> None:
    frame["terms"]["contract"] = "deepface:SFace+base|00|128|five-point/five/arcface-112"


def _immense(frame: dict[str, Any]) -> None:
    frame["size"] = [10**9, 10]


def _a_word(frame: dict[str, Any]) -> None:
    frame["faces"][0]["quality"]["weight"] = "heavy"


@pytest.mark.parametrize(
    "spoil", [_of_two_lengths, _too_long, _without_reason, _too_many, _outside, _not_sealed, _immense, _a_word]
)
async def test_what_is_malformed_is_refused_by_its_place(api: Api, spoil: Callable[[dict[str, Any]], None]) -> None:
    frame = copy.deepcopy(sealed_frame(ADA))
    vector = frame["faces"][0]["vector"]
    spoil(frame)
    reply = await send_frame(api, "door", frame)
    assert (reply.status, reply.code) == (400, ErrorCode.BAD_REQUEST)
    assert vector[:20] not in reply.body.decode()
    # Nothing of it has become the backend's contract.
    assert (await api.call("GET", "/api/v1/info")).document["engines"]["contract"] is None


async def test_a_card_that_says_something_else_is_refused(api: Api) -> None:
    reply = await send_frame(api, "door", sealed_frame(ADA), privacy={"method": "gaussian", "parameter": 17})
    assert reply.code == ErrorCode.BAD_FRAME_CARD


async def test_a_backend_that_looks_at_pictures_takes_nothing_sealed(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        assert (await send_frame(api, "door", sealed_frame(ADA))).code == ErrorCode.CONTRACT_MISMATCH
        assert (await enroll(api, "Ada", sealed_enrollment(ADA))).code == ErrorCode.CONTRACT_MISMATCH
