"""CompreFace's routes: their answers, who may ask, and what is refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from privface_backend.protocol import Scope
from privface_backend.rest.application import OPERATIONS
from privface_backend.rest.compreface import compreface_routes
from privface_backend.settings_sections import DropInSettings, PipelineSettings, PrivacySettings, ServerSettings
from support.backend import ADA, BEN, DESCRIPTION, STRANGER, Api, held, make_settings, picture, until
from support.dropin import BOTH, Caller, serving

RECOGNIZE = "/recognition/recognize"
DETECT = "/detection/detect"
VERIFY = "/verification/verify"
SUBJECTS = "/recognition/subjects"
FACES = "/recognition/faces"
NO_FACE = picture()
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


@pytest.fixture
def caller(api: Api) -> Caller:
    return Caller(api)


async def look(caller: Caller, path: str, data: bytes, **options: Any) -> tuple[int, Any]:
    return await caller.compreface("POST", path, images={"file": data}, **options)


async def add(caller: Caller, subject: str, data: bytes) -> str:
    """Add an example; its id."""
    status, answer = await look(caller, f"{FACES}?subject={quote(subject)}", data)
    assert status == 201, answer
    assert set(answer) == {"image_id", "subject"}
    assert answer["subject"] == subject
    return str(answer["image_id"])


def error(answer: Any) -> int:
    """An error's number."""
    assert set(answer) == {"message", "code"}
    assert answer["message"]
    return int(answer["code"])


class TestRecognition:
    async def test_a_known_face(self, caller: Caller) -> None:
        await add(caller, "Ada", picture(ADA))
        status, answer = await look(caller, RECOGNIZE, picture(ADA), key=Scope.IDENTIFY)
        assert status == 200
        (found,) = answer["result"]
        assert answer == {"result": [{"box": found["box"], "subjects": found["subjects"]}]}
        (subject,) = found["subjects"]
        assert subject == {"subject": "Ada", "similarity": subject["similarity"]}
        assert 0.8 < subject["similarity"] <= 1
        box = found["box"]
        assert set(box) == {"probability", "x_min", "y_min", "x_max", "y_max"}
        assert 0 <= box["x_min"] < box["x_max"] <= 640
        assert 0 <= box["y_min"] < box["y_max"] <= 360
        assert 0 < box["probability"] <= 1

    async def test_a_stranger_is_nobody(self, caller: Caller) -> None:
        await add(caller, "Ada", picture(ADA))
        _, answer = await look(caller, RECOGNIZE, picture(STRANGER))
        ((subject,),) = [found["subjects"] for found in answer["result"]]
        assert subject["subject"] == "unknown"
        assert 0 <= subject["similarity"] < 0.35

    async def test_as_many_people_as_are_asked_for(self, caller: Caller) -> None:
        for name, identity in (("Ada", ADA), ("Ben", BEN)):
            await add(caller, name, picture(identity))
        _, answer = await look(caller, f"{RECOGNIZE}?prediction_count=5", picture(ADA, STRANGER))
        faces = sorted(answer["result"], key=lambda found: found["box"]["x_min"])
        known, stranger = ([one["subject"] for one in found["subjects"]] for found in faces)
        assert known == ["Ada", "Ben"]
        assert (stranger[0], set(stranger[1:])) == ("unknown", {"Ada", "Ben"})
        for found in answer["result"]:
            similar = [one["similarity"] for one in found["subjects"]]
            assert similar == sorted(similar, reverse=True)
            assert all(value < 0.35 for value in similar[1:])

    async def test_a_face_that_two_people_share_gets_no_name(self, caller: Caller) -> None:
        for name in ("Ada", "Bea"):
            await add(caller, name, picture(ADA))
        _, answer = await look(caller, f"{RECOGNIZE}?prediction_count=3", picture(ADA))
        ((first, *others),) = [found["subjects"] for found in answer["result"]]
        assert first["subject"] == "unknown"
        assert {one["subject"] for one in others} == {"Ada", "Bea"}
        assert all(one["similarity"] < 0.35 for one in (first, *others))

    async def test_before_anybody_is_enrolled(self, caller: Caller) -> None:
        _, answer = await look(caller, RECOGNIZE, picture(ADA))
        assert [found["subjects"] for found in answer["result"]] == [[{"subject": "unknown", "similarity": 0.0}]]

    async def test_the_largest_faces_of_a_picture(self, caller: Caller) -> None:
        _, answer = await look(caller, f"{RECOGNIZE}?limit=1", picture(ADA, BEN, STRANGER))
        assert len(answer["result"]) == 1
        _, answer = await look(caller, f"{RECOGNIZE}?limit=0", picture(ADA, BEN, STRANGER))
        assert len(answer["result"]) == 3

    async def test_status_and_plugins(self, caller: Caller) -> None:
        query = "status=true&face_plugins=calculator,age,gender,landmarks,mask&det_prob_threshold=0.1&limit=3"
        _, answer = await look(caller, f"{RECOGNIZE}?{query}", picture(ADA))
        (found,) = answer["result"]
        # No embedding leaves the backend, and PrivFace doesn't guess ages, genders and masks.
        assert set(found) == {"box", "subjects", "landmarks", "execution_time"}
        assert set(found["execution_time"]) == {"detector", "calculator"}
        assert all(len(point) == 2 and isinstance(point[0], int) for point in found["landmarks"])
        assert answer["plugins_versions"] == {"detector": "synthetic", "calculator": "synthetic"}

    @pytest.mark.parametrize("path", [RECOGNIZE, DETECT])
    async def test_no_face(self, caller: Caller, path: str) -> None:
        for target, data in ((path, NO_FACE), (f"{path}?det_prob_threshold=1", picture(ADA))):
            status, answer = await look(caller, target, data)
            assert (status, answer) == (400, {"message": "No face is found in the given image", "code": 28})

    @pytest.mark.parametrize(
        "query",
        [
            "limit=-1",
            "limit=x",
            "prediction_count=0",
            "det_prob_threshold=2",
            "det_prob_threshold=nan",
            "status=perhaps",
        ],
    )
    async def test_parameters_that_cannot_be_used(self, caller: Caller, query: str) -> None:
        status, answer = await look(caller, f"{RECOGNIZE}?{query}", picture(ADA))
        assert (status, error(answer)) == (400, 26)
        assert query.partition("=")[0] in answer["message"]

    async def test_in_base64(self, caller: Caller) -> None:
        text = base64.b64encode(picture(ADA)).decode()
        for value in (text, f"data:image/png;base64,{text}"):
            status, answer = await caller.compreface("POST", RECOGNIZE, json={"file": value})
            assert (status, len(answer["result"])) == (200, 1)

    @pytest.mark.parametrize("value", ["?", 5, ["x"], "AAA"])
    async def test_in_broken_base64(self, caller: Caller, value: object) -> None:
        status, answer = await caller.compreface("POST", RECOGNIZE, json={"file": value})
        assert (status, error(answer)) == (400, 26)

    async def test_nobody_is_told(self, caller: Caller) -> None:
        await add(caller, "Ada", picture(ADA))
        await look(caller, RECOGNIZE, picture(ADA))
        await caller.api.identify(picture(ADA), "?publish=1")
        assert len(await caller.api.logged(1)) == 1


async def test_detection_finds_faces_without_names(caller: Caller) -> None:
    status, answer = await look(caller, f"{DETECT}?face_plugins=landmarks", picture(ADA, STRANGER), key=Scope.IDENTIFY)
    assert (status, [set(found) for found in answer["result"]]) == (200, [{"box", "landmarks"}] * 2)


class TestVerification:
    async def test_two_pictures(self, caller: Caller) -> None:
        images = {"source_image": picture(ADA), "target_image": picture(ADA, STRANGER)}
        status, answer = await caller.compreface("POST", f"{VERIFY}?status=true", images=images, key=Scope.IDENTIFY)
        assert status == 200
        (result,) = answer["result"]
        assert set(result) == {"source_image_face", "face_matches", "plugins_versions"}
        assert set(result["source_image_face"]) == {"box", "execution_time"}
        same, other = sorted(result["face_matches"], key=lambda found: found["box"]["x_min"])
        assert same["similarity"] > 0.8
        assert other["similarity"] < 0.35

    async def test_two_pictures_in_base64(self, caller: Caller) -> None:
        text = base64.b64encode(picture(ADA)).decode()
        body = {"source_image": text, "target_image": text}
        status, answer = await caller.compreface("POST", VERIFY, json=body)
        assert (status, len(answer["result"][0]["face_matches"])) == (200, 1)

    @pytest.mark.parametrize(
        ("images", "number"),
        [
            ({"source_image": picture(ADA)}, 34),
            ({"target_image": picture(ADA)}, 34),
            ({"source_image": picture(ADA, BEN), "target_image": picture(ADA)}, 31),
            ({"source_image": NO_FACE, "target_image": picture(ADA)}, 28),
            ({"source_image": picture(ADA), "target_image": NO_FACE}, 28),
        ],
        ids=["no target", "no source", "two faces", "no face", "no face in the target"],
    )
    async def test_pictures_that_cannot_be_used(self, caller: Caller, images: dict[str, bytes], number: int) -> None:
        status, answer = await caller.compreface("POST", VERIFY, images=images)
        assert (status, error(answer)) == (400, number)

    async def test_with_an_example(self, caller: Caller) -> None:
        image_id = await add(caller, "Ada", picture(ADA))
        await add(caller, "Ben", picture(BEN))
        path = f"{FACES}/{image_id}/verify"
        status, answer = await look(caller, path, picture(ADA, side=150), key=Scope.IDENTIFY)
        ((same,), status_same) = (answer["result"], status)
        assert (status_same, set(same)) == (200, {"box", "similarity"})
        assert same["similarity"] > 0.8
        _, answer = await look(caller, path, picture(BEN))
        assert answer["result"][0]["similarity"] < 0.35

    async def test_with_an_example_that_is_not_there(self, caller: Caller) -> None:
        status, answer = await look(caller, f"{FACES}/{NOBODY}/verify", picture(ADA))
        assert (status, error(answer)) == (404, 11)


class TestSubjects:
    async def test_from_nobody_to_a_name_and_back(self, caller: Caller) -> None:
        assert await caller.compreface("GET", SUBJECTS) == (200, {"subjects": []})
        assert await caller.compreface("POST", SUBJECTS, json={"subject": "Ada Ä./B"}) == (201, {"subject": "Ada Ä./B"})
        assert await caller.compreface("GET", f"{SUBJECTS}/") == (200, {"subjects": ["Ada Ä./B"]})
        path = f"{SUBJECTS}/{quote('Ada Ä./B', safe='')}"
        assert await caller.compreface("PUT", path, json={"subject": "Eve"}) == (200, {"updated": True})
        assert await caller.compreface("DELETE", f"{SUBJECTS}/Eve") == (200, {"subject": "Eve"})
        assert await caller.compreface("GET", SUBJECTS) == (200, {"subjects": []})

    async def test_all_of_them(self, caller: Caller) -> None:
        for name in ("Ada", "Ben"):
            await add(caller, name, picture(ADA if name == "Ada" else BEN))
        assert await caller.compreface("DELETE", SUBJECTS) == (200, {"deleted": 2})
        assert await caller.api.backend.core.gallery.people() == ()

    async def test_a_name_that_somebody_has(self, caller: Caller) -> None:
        for name in ("Ada", "Ben"):
            await caller.compreface("POST", SUBJECTS, json={"subject": name})
        for method, path in (("POST", SUBJECTS), ("PUT", f"{SUBJECTS}/Ben")):
            status, answer = await caller.compreface(method, path, json={"subject": "ada"})
            assert (status, error(answer)) == (400, 43)
        assert (await caller.compreface("GET", SUBJECTS))[1]["subjects"] == ["Ada", "Ben"]

    async def test_one_that_is_not_there(self, caller: Caller) -> None:
        for method in ("PUT", "DELETE"):
            status, answer = await caller.compreface(method, f"{SUBJECTS}/Ada", json={"subject": "Eve"})
            assert (status, error(answer)) == (404, 42)

    @pytest.mark.parametrize(
        "body", [{}, {"subject": 5}, {"subject": ""}, {"subject": "Unknown"}, {"subject": "x" * 65}, []]
    )
    async def test_names_that_cannot_be_used(self, caller: Caller, body: object) -> None:
        status, answer = await caller.compreface("POST", SUBJECTS, json=body)
        assert (status, error(answer)) == (400, 26)


class TestExamples:
    async def test_pages_of_them(self, caller: Caller) -> None:
        ids = [await add(caller, "Ada", picture(ADA, side=side)) for side in (160, 150, 140)]
        ids.append(await add(caller, "Ben", picture(BEN)))
        _, answer = await caller.compreface("GET", FACES)
        assert answer == {
            "faces": [{"image_id": ids[at], "subject": "Ben" if at == 3 else "Ada"} for at in range(4)],
            "page_number": 0,
            "page_size": 20,
            "total_pages": 1,
            "total_elements": 4,
        }
        _, answer = await caller.compreface("GET", f"{FACES}?page=1&size=2&subject=ada")
        assert [face["image_id"] for face in answer["faces"]] == ids[2:3]
        assert [answer[key] for key in ("page_number", "page_size", "total_pages", "total_elements")] == [1, 2, 2, 3]
        _, answer = await caller.compreface("GET", f"{FACES}?subject=Eve")
        assert (answer["faces"], answer["total_pages"]) == ([], 0)

    @pytest.mark.parametrize("query", ["page=-1", "size=0", "size=x", "size=2001"])
    async def test_pages_that_cannot_be(self, caller: Caller, query: str) -> None:
        status, answer = await caller.compreface("GET", f"{FACES}?{query}")
        assert (status, error(answer)) == (400, 26)

    async def test_removing_them(self, caller: Caller) -> None:
        first, second = [await add(caller, "Ada", picture(ADA, side=side)) for side in (160, 150)]
        await add(caller, "Ben", picture(BEN))
        answer = await caller.compreface("DELETE", f"{FACES}/{first}")
        assert answer == (200, {"image_id": first, "subject": "Ada"})
        status, refusal = await caller.compreface("DELETE", f"{FACES}/{first}")
        assert (status, error(refusal)) == (404, 11)
        assert await caller.compreface("DELETE", f"{FACES}?subject=Ada") == (200, {"deleted": 1})
        assert await caller.compreface("DELETE", f"{FACES}?subject=Eve") == (200, {"deleted": 0})
        # The subject stays.
        assert (await caller.compreface("GET", SUBJECTS))[1]["subjects"] == ["Ada", "Ben"]
        assert await caller.compreface("DELETE", FACES) == (200, {"deleted": 1})
        assert second

    async def test_the_same_picture_again(self, caller: Caller) -> None:
        assert await add(caller, "Ada", picture(ADA)) == await add(caller, "Ada", picture(ADA))

    async def test_in_base64(self, caller: Caller) -> None:
        body = {"file": base64.b64encode(picture(ADA)).decode()}
        status, answer = await caller.compreface("POST", f"{FACES}?subject=Ada", json=body)
        assert (status, answer["subject"]) == (201, "Ada")

    @pytest.mark.parametrize(
        ("data", "number"),
        [(NO_FACE, 28), (picture(ADA, BEN), 31), (b"nonsense", 21), (picture(ADA)[:300], 21), (b"", 21)],
        ids=["no face", "two faces", "no picture", "half a picture", "empty"],
    )
    async def test_pictures_that_cannot_be_used_make_nobody(self, caller: Caller, data: bytes, number: int) -> None:
        status, answer = await look(caller, f"{FACES}?subject=Ada", data)
        assert (status, error(answer)) == (400, number)
        assert await caller.api.backend.core.gallery.people() == ()

    async def test_what_is_missing(self, caller: Caller) -> None:
        status, answer = await look(caller, FACES, picture(ADA))
        assert (status, error(answer)) == (400, 33)
        bodies: list[dict[str, Any]] = [{"images": {"picture": picture(ADA)}}, {"json": {}}, {}]
        for options in bodies:
            status, answer = await caller.compreface("POST", f"{FACES}?subject=Ada", **options)
            assert (status, error(answer)) == (400, 34)

    async def test_their_pictures_are_not_kept(self, caller: Caller) -> None:
        image_id = await add(caller, "Ada", picture(ADA))
        for path in (f"{FACES}/{image_id}/img", f"/static/{NOBODY}/images/{image_id}"):
            status, answer = await caller.compreface("GET", path)
            assert (status, error(answer)) == (410, 11)
            assert "keeps no pictures" in answer["message"]


class TestKeys:
    async def test_none(self, caller: Caller) -> None:
        status, answer = await look(caller, RECOGNIZE, picture(ADA), key=None)
        assert (status, error(answer)) == (400, 20)
        assert "x-api-key" in answer["message"]

    async def test_a_wrong_one(self, caller: Caller) -> None:
        for method, path in (("POST", RECOGNIZE), ("GET", SUBJECTS), ("DELETE", FACES)):
            status, answer = await caller.compreface(method, path, key=NOBODY)
            assert (status, error(answer)) == (401, 10)
            assert NOBODY not in answer["message"]

    async def test_one_that_may_identify_only(self, caller: Caller) -> None:
        image_id = await add(caller, "Ada", picture(ADA))
        for method, path in (
            ("GET", SUBJECTS),
            ("POST", SUBJECTS),
            ("DELETE", SUBJECTS),
            ("PUT", f"{SUBJECTS}/Ada"),
            ("DELETE", f"{SUBJECTS}/Ada"),
            ("GET", FACES),
            ("POST", f"{FACES}?subject=Ada"),
            ("DELETE", FACES),
            ("DELETE", f"{FACES}/{image_id}"),
        ):
            status, answer = await caller.compreface(method, path, key=Scope.IDENTIFY)
            assert (status, error(answer)) == (403, 0), (method, path)
        assert (await caller.compreface("GET", FACES))[1]["total_elements"] == 1

    async def test_too_many_wrong_ones(self, caller: Caller) -> None:
        statuses = [(await caller.compreface("GET", SUBJECTS, key="pf_wrong"))[0] for _ in range(12)]
        assert (statuses[:10], statuses[-1]) == ([401] * 10, 429)

    async def test_where_recognizing_needs_none(self, tmp_path: Path) -> None:
        open_door = DropInSettings(compreface=True, without_token="loopback")
        async with serving(tmp_path, dropin=open_door) as api:
            caller = Caller(api)
            assert (await look(caller, RECOGNIZE, picture(ADA), key=None))[0] == 200
            status, answer = await caller.compreface("GET", SUBJECTS, key=None)
            assert (status, error(answer)) == (400, 20)
            proxied = {"X-Forwarded-For": "192.0.2.1"}
            status, answer = await look(caller, RECOGNIZE, picture(ADA), key=None, headers=proxied)
            assert (status, error(answer)) == (400, 20)


class TestRefusals:
    async def test_clear_pictures_where_only_anonymized_ones_are_taken(self, tmp_path: Path) -> None:
        async with serving(tmp_path, privacy=PrivacySettings(require_client=True)) as api:
            caller = Caller(api)
            for path in (RECOGNIZE, DETECT, f"{FACES}?subject=Ada"):
                status, answer = await look(caller, path, picture(ADA))
                assert (status, error(answer)) == (403, 0)
                assert "anonymized before they were sent" in answer["message"]
            both = {"source_image": picture(ADA), "target_image": picture(ADA)}
            assert (await caller.compreface("POST", VERIFY, images=both))[0] == 403
            assert await api.backend.core.gallery.people() == ()

    async def test_more_than_can_be_looked_at(self, tmp_path: Path) -> None:
        async with serving(tmp_path, pipeline=PipelineSettings(waiting=1)) as api:
            lane = api.backend.core.lane
            async with held(lane) as hold:
                waiting = asyncio.create_task(lane.run(lambda: None))
                await until(lambda: lane.waiting == 1)
                status, answer = await look(Caller(api), RECOGNIZE, picture(ADA))
                hold.let_go()
                await waiting
            assert (status, error(answer)) == (503, 41)

    async def test_bodies_that_are_too_large(self, tmp_path: Path) -> None:
        async with serving(tmp_path, server=ServerSettings(body_megabytes=1)) as api:
            caller = Caller(api)
            status, answer = await look(caller, RECOGNIZE, bytes(2_000_000))
            assert (status, error(answer)) == (413, 0)
            status, answer = await caller.compreface("POST", RECOGNIZE, json={"file": "A" * 2_000_000})
            assert (status, error(answer)) == (413, 0)

    async def test_something_that_nobody_thought_of(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(caller.api.backend.core.gallery, "people", fail, raising=True)
        status, answer = await caller.compreface("GET", SUBJECTS)
        assert (status, error(answer)) == (500, 0)


async def test_off_by_default(tmp_path: Path) -> None:
    async with serving(tmp_path, dropin=DropInSettings(deepstack=True)) as api:
        status, answer = await Caller(api).compreface("GET", SUBJECTS)
        assert (status, answer["error"]["code"]) == (404, "not_found")


def test_their_paths_are_none_of_ours(tmp_path: Path) -> None:
    def stem(path: str) -> str:
        return path.removeprefix("/api/v1/").partition("/")[0].partition("{")[0]

    theirs = {stem(route.path) for route in compreface_routes(make_settings(tmp_path, dropin=BOTH))}
    assert theirs == {"recognition", "detection", "verification", "static"}
    assert not theirs & {stem(operation.path) for operation in OPERATIONS}
    assert not theirs & {stem(path) for path in DESCRIPTION["paths"]}
