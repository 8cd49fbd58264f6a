"""People over REST: create, rename, enroll, forget."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from yarl import URL

from privface_backend.protocol import Outcome, Scope
from privface_backend.settings_sections import PrivacySettings
from support.backend import ADA, BEN, STRANGER, Api, Reply, encode, form, picture, pixels, running, until

PEOPLE = "/api/v1/people"
PERSON = "/api/v1/people/{person}"
FACES = "/api/v1/people/{person}/faces"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def on_person(api: Api, method: str, person: str, **options: Any) -> Reply:
    return await api.call(method, f"{PEOPLE}/{person}", pattern=PERSON, **options)


async def names(api: Api) -> list[str]:
    reply = await api.call("GET", PEOPLE, scope=Scope.ENROLL)
    return [person["name"] for person in reply.document["people"]]


def blurred(identity: int, kernel: int) -> bytes:
    return encode(np.asarray(cv2.GaussianBlur(pixels(identity), (kernel, kernel), 0), dtype=np.uint8))


def card(kernel: int) -> dict[str, object]:
    return {"privacy": {"method": "gaussian", "parameter": kernel, "applied_by": "client"}}


async def test_a_person_is_created_listed_renamed_and_forgotten(api: Api) -> None:
    made = await api.call("POST", PEOPLE, json={"name": "  Zoë   Ågren "}, scope=Scope.ENROLL)
    assert made.status == 201
    assert made.document["name"] == "Zoë Ågren"
    assert made.document["faces"] == 0
    person = made.document["id"]
    assert made.headers["Location"] == f"{PEOPLE}/{person}"
    assert (await on_person(api, "GET", person)).document == made.document
    renamed = await on_person(api, "PATCH", person, json={"name": "Zoë"})
    assert (renamed.status, renamed.document["name"]) == (200, "Zoë")
    assert await names(api) == ["Zoë"]
    receipt = await on_person(api, "DELETE", person)
    assert (receipt.status, receipt.document["person_id"]) == (200, person)
    assert await names(api) == []
    for method in ("GET", "DELETE", "PATCH"):
        reply = await on_person(api, method, person, json={"name": "Zoë"})
        assert (reply.status, reply.code) == (404, "person_not_found")


async def test_two_people_have_one_name_only_if_that_is_meant(api: Api) -> None:
    first = await api.create("Ada")
    again = await api.call("POST", PEOPLE, json={"name": "ada"})
    assert (again.status, again.code) == (409, "person_exists")
    assert again.document["error"]["details"]["person_id"] == first
    assert (await api.call("POST", PEOPLE, json={"name": "Ada", "allow_duplicate": True})).status == 201
    ben = await api.create("Ben")
    renamed = await on_person(api, "PATCH", ben, json={"name": "ADA"})
    assert (renamed.status, renamed.code) == (409, "person_exists")
    assert await names(api) == ["Ada", "Ada", "Ben"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"name": ""}', "bad_name"),
        (b'{"name": "   "}', "bad_name"),
        (b'{"name": "a\\u0000b"}', "bad_name"),
        (b'{"name": 7}', "bad_name"),
        (b"{}", "bad_name"),
        (json.dumps({"name": "x" * 65}).encode(), "bad_name"),
        (b'{"name": "\\ud800"}', "bad_request"),
        (b'{"name": "Ada", "allow_duplicate": "yes"}', "bad_request"),
        (b"[]", "bad_request"),
        (b"", "bad_request"),
        (b"{", "bad_request"),
        (b"\xff", "bad_request"),
        (b"[" * 60_000, "bad_request"),
        (b'{"name": "' + b"x" * 70_000 + b'"}', "body_too_large"),
    ],
)
async def test_a_bad_name_or_document_is_refused(api: Api, body: bytes, code: str) -> None:
    reply = await api.call("POST", PEOPLE, data=body, headers={"Content-Type": "application/json"})
    assert reply.code == code
    assert await names(api) == []


@pytest.mark.parametrize(
    "person", ["Ada", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "00000000-0000-0000-0000-000000000000"]
)
async def test_a_person_is_found_by_id_alone(api: Api, person: str) -> None:
    await api.create("Ada")
    address = URL(f"{api.url}{PEOPLE}/{person}", encoded=True)
    async with api.session.get(address, headers={"Authorization": f"Bearer {api.tokens[Scope.ENROLL]}"}) as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] in {"person_not_found", "not_found"}


async def test_pictures_are_enrolled_and_recognized_under_blur(api: Api) -> None:
    ada = await api.create("Ada")
    enrolled = await api.enroll(ada, picture(ADA), picture(ADA, side=120))
    assert enrolled.status == 201
    assert len(enrolled.document["faces"]) == 2
    assert enrolled.document["refused"] == []
    assert enrolled.document["person"]["faces"] == 2
    listed = await api.call("GET", f"{PEOPLE}/{ada}/faces", pattern=FACES)
    assert [face["id"] for face in listed.document["faces"]] == [face["id"] for face in enrolled.document["faces"]]
    for kernel in (1, 9, 25):
        found = await api.identify(picture(ADA), f"?privacy={kernel}")
        assert [face["person_id"] for face in found.document["faces"]] == [ada]


async def test_a_body_that_is_the_picture_itself_is_enrolled(api: Api) -> None:
    ada = await api.create("Ada")
    reply = await api.call(
        "POST", f"{PEOPLE}/{ada}/faces", pattern=FACES, data=picture(ADA), headers={"Content-Type": "image/png"}
    )
    assert reply.status == 201


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(picture(), 422, "no_face", id="nobody"),
        pytest.param(picture(ADA, BEN), 422, "several_faces", id="several"),
        pytest.param(picture(ADA, side=24), 422, "face_too_small", id="tiny"),
        pytest.param(b"words", 415, "picture_format", id="text"),
        pytest.param(picture(ADA, kind=".jpg")[:4000], 400, "picture_truncated", id="half"),
    ],
)
async def test_a_picture_that_can_not_be_enrolled_is_refused_with_the_reason(
    api: Api, data: bytes, status: int, code: str
) -> None:
    ada = await api.create("Ada")
    reply = await api.enroll(ada, data)
    assert (reply.status, reply.code) == (status, code)
    assert (await on_person(api, "GET", ada)).document["faces"] == 0


async def test_of_several_pictures_the_good_ones_are_enrolled_and_the_others_named(api: Api) -> None:
    ada = await api.create("Ada")
    reply = await api.enroll(ada, picture(), picture(ADA), b"words")
    assert reply.status == 201
    assert len(reply.document["faces"]) == 1
    assert [(item["file"], item["error"]["code"]) for item in reply.document["refused"]] == [
        (0, "no_face"),
        (2, "picture_format"),
    ]
    none = await api.enroll(ada, picture(), b"words")
    assert (none.status, none.code) == (422, "no_face")
    assert [item["file"] for item in none.document["error"]["details"]["refused"]] == [0, 1]


async def test_the_same_picture_is_not_enrolled_twice(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    again = await api.enroll(ada, picture(ADA))
    assert (again.status, again.code) == (409, "conflict")
    assert (await on_person(api, "GET", ada)).document["faces"] == 1


async def test_of_several_faces_one_can_be_chosen(api: Api) -> None:
    both = picture(ADA, BEN)
    refused = await api.enroll(await api.create("Nobody"), both)
    boxes = sorted(refused.document["error"]["details"]["boxes"])
    ben = await api.create("Ben")
    chosen = await api.enroll(ben, both, box=",".join(str(side) for side in boxes[1]))
    assert chosen.status == 201
    found = await api.identify(picture(BEN))
    assert [face["person_id"] for face in found.document["faces"]] == [ben]
    largest = await api.enroll(await api.create("Largest"), both, choose="largest")
    assert largest.status == 201
    nowhere = await api.enroll(ben, both, box="0.9,0.9,0.05,0.05")
    assert nowhere.code == "no_face"


@pytest.mark.parametrize(
    "fields",
    [
        {"choose": "smallest"},
        {"box": "1,2,3"},
        {"box": "0,0,0,0"},
        {"box": "nan,0,0.5,0.5"},
        {"box": "0,0,2,2"},
        {"box": "a,b,c,d"},
        {"versions": "perhaps"},
    ],
)
async def test_a_choice_that_makes_no_sense_is_refused(api: Api, fields: dict[str, str]) -> None:
    ada = await api.create("Ada")
    reply = await api.enroll(ada, picture(ADA), **fields)
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_anonymized_pictures_are_enrolled_with_their_cards(tmp_path: Path) -> None:
    async with running(tmp_path, privacy=PrivacySettings(require_client=True)) as api:
        ada = await api.create("Ada")
        clear = await api.enroll(ada, picture(ADA))
        assert (clear.status, clear.code) == (422, "not_anonymized")
        data = form(blurred(ADA, 9), blurred(ADA, 17), cards=json.dumps([card(9), card(17)]))
        each = await api.call("POST", f"{PEOPLE}/{ada}/faces", pattern=FACES, data=data)
        assert (each.status, len(each.document["faces"])) == (201, 2)
        snapshot = api.backend.services.index.snapshot
        assert all(not template.level.is_clear for template in snapshot.templates)


async def test_versions_of_one_picture_make_one_face_with_their_levels(api: Api) -> None:
    ada = await api.create("Ada")
    data = form(blurred(ADA, 9), blurred(ADA, 17), blurred(ADA, 25), versions="1")
    for kernel in (9, 17, 25):
        data.add_field("card", json.dumps(card(kernel)))
    reply = await api.call("POST", f"{PEOPLE}/{ada}/faces", pattern=FACES, data=data)
    assert (reply.status, len(reply.document["faces"])) == (201, 1)
    templates = api.backend.services.index.snapshot.templates
    assert len({template.level for template in templates}) == 3
    assert len({template.face_id for template in templates}) == 1


async def enroll_versions(api: Api, person: str, *versions: tuple[bytes, int]) -> Reply:
    cards = json.dumps([card(kernel) for _, kernel in versions])
    data = form(*(data for data, _ in versions), versions="1", cards=cards)
    return await api.call("POST", f"{PEOPLE}/{person}/faces", pattern=FACES, data=data)


async def test_versions_need_one_turn_on_the_lane(api: Api) -> None:
    ada, lane = await api.create("Ada"), api.backend.services.lane
    before = lane.counts.finished
    reply = await enroll_versions(api, ada, *((blurred(ADA, kernel), kernel) for kernel in (17, 25, 33, 49, 65, 97)))
    assert reply.status == 201
    assert lane.counts.finished == before + 1
    assert len(api.backend.services.index.snapshot.templates) == 6
    found = await api.identify(picture(ADA), "?privacy=25")
    assert [face["person_id"] for face in found.document["faces"]] == [ada]


async def test_why_the_sharpest_version_is_refused_is_the_answer(api: Api) -> None:
    ada = await api.create("Ada")
    face = blurred(ADA, 25)
    for sharpest, status, code in ((picture(), 422, "no_face"), (picture(ADA, BEN, kernel=9), 422, "several_faces")):
        reply = await enroll_versions(api, ada, (face, 25), (sharpest, 9))
        assert (reply.status, reply.code) == (status, code)
    square = encode(np.full((300, 300, 3), 128, np.uint8))
    reply = await enroll_versions(api, ada, (face, 9), (square, 25))
    assert (reply.status, reply.code) == (400, "bad_request")
    data = form(picture(ADA), picture(ADA, side=120), versions="1")
    clear = await api.call("POST", f"{PEOPLE}/{ada}/faces", pattern=FACES, data=data)
    assert (clear.status, clear.code) == (422, "not_anonymized")
    assert (await on_person(api, "GET", ada)).document["faces"] == 0


async def test_other_versions_that_are_refused_are_named(api: Api) -> None:
    ada = await api.create("Ada")
    reply = await enroll_versions(api, ada, (b"words", 33), (blurred(ADA, 17), 17), (blurred(ADA, 25), 24))
    assert reply.status == 201
    assert [(item["file"], item["error"]["code"]) for item in reply.document["refused"]] == [
        (0, "picture_format"),
        (2, "bad_privacy_parameter"),
    ]
    assert len(api.backend.services.index.snapshot.templates) == 1
    again = await enroll_versions(api, ada, (blurred(ADA, 17), 17))
    assert (again.status, again.code) == (409, "conflict")


@pytest.mark.parametrize("cards", ["{", "{}", "[]", "[{}]", "[{}, {}, {}]", '[{"privacy": 3}, {}]', "[1, 2]"])
async def test_cards_that_do_not_fit_the_files_are_refused(api: Api, cards: str) -> None:
    ada = await api.create("Ada")
    reply = await api.enroll(ada, picture(ADA), picture(BEN), cards=cards)
    if cards == "[]":
        # No cards at all: both pictures came clear.
        assert reply.status == 201
    else:
        assert (reply.status, reply.code) == (400, "bad_frame_card")


async def test_a_face_is_removed_with_its_templates(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    [face] = (await api.call("GET", f"{PEOPLE}/{ada}/faces", pattern=FACES)).document["faces"]
    pattern = "/api/v1/people/{person}/faces/{face}"
    ben = await api.create("Ben")
    elsewhere = await api.call("DELETE", f"{PEOPLE}/{ben}/faces/{face['id']}", pattern=pattern)
    assert (elsewhere.status, elsewhere.code) == (404, "face_not_found")
    gone = await api.call("DELETE", f"{PEOPLE}/{ada}/faces/{face['id']}", pattern=pattern)
    assert gone.status == 204
    assert (await api.call("DELETE", f"{PEOPLE}/{ada}/faces/{face['id']}", pattern=pattern)).status == 404
    [found] = (await api.identify(picture(ADA))).document["faces"]
    assert found["outcome"] == "unknown"


async def test_forgetting_removes_faces_templates_and_every_event_that_names_the_person(api: Api) -> None:
    ada, ben = await api.create("Ada", ADA), await api.create("Ben", BEN)
    for camera, identity in (("door", ADA), ("door", BEN), ("door", STRANGER), ("gate", ADA)):
        assert (await api.frame(camera, picture(identity))).status == 200
    await api.logged(4)
    receipt = (await on_person(api, "DELETE", ada)).document
    assert (receipt["faces"], receipt["events"]) == (1, 2)
    assert receipt["templates"] > 1
    left = (await api.call("GET", "/api/v1/events")).document["events"]
    assert sorted(event["outcome"] for event in left) == ["known", "unknown"]
    assert {event["person_id"] for event in left} == {None, ben}
    assert "Ada" not in json.dumps(left)
    [face] = (await api.identify(picture(ADA))).document["faces"]
    assert face["outcome"] == Outcome.UNKNOWN
    cameras = (await api.call("GET", "/api/v1/cameras")).document["cameras"]
    assert "Ada" not in json.dumps(cameras)


async def test_listeners_hear_of_changes(api: Api) -> None:
    heard: list[list[str]] = []
    api.backend.services.bus.call(
        lambda message: (
            heard.append([person["name"] for person in message.payload["people"]])  # type: ignore[attr-defined]  # payloads are objects
            if message.kind == "people"
            else None
        )
    )
    await api.create("Ada")
    await until(lambda: heard[-1:] == [["Ada"]])
