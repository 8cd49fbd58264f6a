"""DeepStack's and CodeProject.AI's face routes: their answers, who may ask, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from privface_backend.domain.frames import Pixels
from privface_backend.protocol import Scope
from privface_backend.settings_sections import DropInSettings, PipelineSettings, PrivacySettings, ServerSettings
from support.backend import ADA, BEN, DESCRIPTION, STRANGER, Api, encode, held, picture, pixels, until
from support.dropin import Caller, serving

NO_FACE = picture()
TIMES = {"inferenceMs", "processMs", "duration"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


@pytest.fixture
def caller(api: Api) -> Caller:
    return Caller(api)


def enlarged(frame: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the times, which must be numbers of the right size."""
    for key in TIMES & set(answer):
        assert 0 <= answer[key] < 60_000
    return {key: value for key, value in answer.items() if key not in TIMES}


async def test_a_known_face(caller: Caller) -> None:
    await caller.api.create("Ada", ADA)
    status, answer = await caller.deepstack("/recognize", picture(ADA), key=Scope.IDENTIFY)
    assert status == 200
    assert set(answer) >= TIMES
    (found,) = answer["predictions"]
    assert timeless(answer) == {
        "success": True,
        "message": "A face was recognised",
        "predictions": [found],
        "count": 1,
        "code": 200,
    }
    assert set(found) == {"userid", "confidence", "x_min", "y_min", "x_max", "y_max"}
    assert found["userid"] == "Ada"
    assert 0.8 < found["confidence"] <= 1.0
    assert 0 <= found["x_min"] < found["x_max"] <= 640
    assert 0 <= found["y_min"] < found["y_max"] <= 360


async def test_a_stranger_is_unknown(caller: Caller) -> None:
    await caller.api.create("Ada", ADA)
    status, answer = await caller.deepstack("/recognize", picture(STRANGER))
    assert (status, answer["success"], answer["message"]) == (200, True, "No known faces")
    assert [(one["userid"], one["confidence"]) for one in answer["predictions"]] == [("unknown", 0.0)]


async def test_the_largest_face_comes_first(caller: Caller) -> None:
    await caller.api.create("Ada", ADA)
    frame = pixels(ADA, side=100)
    frame[:, 320:] = pixels(STRANGER, side=200)[:, :320]
    _, answer = await caller.deepstack("/recognize", encode(frame))
    assert [one["userid"] for one in answer["predictions"]] == ["unknown", "Ada"]


async def test_boxes_are_in_pixels_of_the_picture_as_it_was_sent(caller: Caller) -> None:
    corners = ("x_min", "y_min", "x_max", "y_max")
    large = enlarged(pixels(ADA), 1920, 1080)
    found = [
        (await caller.deepstack(command, encode(frame)))[1]["predictions"][0]
        for command in ("/recognize", "")
        for frame in (pixels(ADA), large)
    ]
    for small, big in (found[:2], found[2:]):
        assert [big[key] / 3 for key in corners] == pytest.approx([small[key] for key in corners], abs=4)


async def test_boxes_of_a_picture_that_a_phone_stored_lying_down(caller: Caller) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    Image.fromarray(np.rot90(enlarged(pixels(ADA), 1280, 720))[:, :, ::-1]).save(file, "PNG", exif=exif)
    found = [
        (await caller.deepstack("/recognize", data))[1]["predictions"][0] for data in (picture(ADA), file.getvalue())
    ]
    for key in ("x_min", "y_min", "x_max", "y_max"):
        assert found[1][key] / 2 == pytest.approx(found[0][key], abs=4)


async def test_a_face_that_two_people_share_gets_no_name(caller: Caller) -> None:
    await caller.api.create("Ada", ADA)
    await caller.api.create("Bea", ADA)
    _, answer = await caller.deepstack("/recognize", picture(ADA), fields={"min_confidence": "0"})
    assert [one["userid"] for one in answer["predictions"]] == ["unknown"]


async def test_a_face_that_cannot_be_used_is_unknown(caller: Caller) -> None:
    await caller.api.create("Ada", ADA)
    _, answer = await caller.deepstack("/recognize", picture(ADA, side=18))
    assert {one["userid"] for one in answer["predictions"]} <= {"unknown"}


@pytest.mark.parametrize(("least", "name"), [("", "Ada"), ("0.4", "Ada"), ("0.8", "Ada"), ("1", "unknown")])
async def test_min_confidence_makes_it_more_careful(caller: Caller, least: str, name: str) -> None:
    await caller.api.create("Ada", ADA)
    _, answer = await caller.deepstack("/recognize", picture(ADA), fields={"min_confidence": least})
    assert [one["userid"] for one in answer["predictions"]] == [name]


@pytest.mark.parametrize("command", ["/recognize", ""])
@pytest.mark.parametrize("least", ["high", "1.5", "-1", "nan"])
async def test_a_min_confidence_that_is_none(caller: Caller, command: str, least: str) -> None:
    status, answer = await caller.deepstack(command, picture(ADA), fields={"min_confidence": least})
    assert (status, answer["success"]) == (400, False)
    assert "min_confidence" in answer["error"]


@pytest.mark.parametrize("command", ["/recognize", ""])
async def test_a_picture_without_a_face(caller: Caller, command: str) -> None:
    status, answer = await caller.deepstack(command, NO_FACE)
    assert (status, answer["success"], answer["predictions"]) == (200, True, [])
    assert answer["message"] == "No face found in image"


async def test_detection_finds_faces_without_names(caller: Caller) -> None:
    for command in ("", "/"):
        status, answer = await caller.deepstack(command, picture(ADA, STRANGER), key=Scope.IDENTIFY)
        assert (status, answer["success"], answer["count"]) == (200, True, 2)
        assert all(set(one) == {"confidence", "x_min", "y_min", "x_max", "y_max"} for one in answer["predictions"])
        assert all(0.4 <= one["confidence"] <= 1 for one in answer["predictions"])


async def test_nobody_is_told(caller: Caller) -> None:
    await caller.api.create("Ada", ADA)
    await caller.deepstack("/recognize", picture(ADA))
    await caller.api.identify(picture(ADA), "?publish=1")
    assert len(await caller.api.logged(1)) == 1


class TestMatch:
    async def test_one_person(self, caller: Caller) -> None:
        status, answer = await caller.deepstack("/match", picture(ADA), picture(ADA, side=150), key=Scope.IDENTIFY)
        assert (status, answer["success"]) == (200, True)
        assert answer["similarity"] > 0.8

    async def test_two_people(self, caller: Caller) -> None:
        status, answer = await caller.deepstack("/match", picture(ADA), picture(STRANGER))
        assert (status, answer["success"]) == (200, True)
        assert answer["similarity"] < 0.35

    async def test_nobody_in_one_of_them(self, caller: Caller) -> None:
        status, answer = await caller.deepstack("/match", picture(ADA), NO_FACE)
        assert (status, answer["success"]) == (400, False)
        assert answer["error"] == "No face found in one or both images"

    @pytest.mark.parametrize("count", [0, 1, 3])
    async def test_other_than_two_pictures(self, caller: Caller, count: int) -> None:
        status, answer = await caller.deepstack("/match", *[picture(ADA)] * count)
        assert (status, answer["success"]) == (400, False)
        two = ": two are needed" if count else ""
        assert answer["error"] == f"No valid image file found{two}. Allowed: two images"


class TestPeople:
    async def test_from_nobody_to_a_name_and_back(self, caller: Caller) -> None:
        assert (await caller.deepstack("/list"))[1]["faces"] == []
        status, answer = await caller.deepstack("/register", picture(ADA), fields={"userid": "Ada Ä."})
        assert (status, timeless(answer)) == (200, {"success": True, "message": "face added", "code": 200})
        status, answer = await caller.deepstack("/list")
        assert (status, timeless(answer)) == (200, {"success": True, "faces": ["Ada Ä."], "code": 200})
        _, answer = await caller.deepstack("/recognize", picture(ADA))
        assert answer["predictions"][0]["userid"] == "Ada Ä."
        status, answer = await caller.deepstack("/delete", fields={"userid": "ada ä."})
        assert (status, timeless(answer)) == (200, {"success": True, "code": 200})
        assert await caller.api.backend.core.gallery.people() == ()

    async def test_more_pictures_of_somebody(self, caller: Caller) -> None:
        await caller.deepstack("/register", picture(ADA), fields={"userid": "Ada"})
        status, answer = await caller.deepstack(
            "/register", picture(ADA, side=150), picture(ADA, side=140), fields={"userid": "Ada"}
        )
        assert (status, answer["message"]) == (200, "face updated")
        (person,) = await caller.api.backend.core.gallery.people()
        assert person.faces == 3

    async def test_the_same_picture_again(self, caller: Caller) -> None:
        for _ in range(2):
            status, answer = await caller.deepstack("/register", picture(ADA), fields={"userid": "Ada"})
            assert (status, answer["success"]) == (200, True)
        (person,) = await caller.api.backend.core.gallery.people()
        assert person.faces == 1

    async def test_a_picture_that_cannot_be_used_beside_one_that_can(self, caller: Caller) -> None:
        status, answer = await caller.deepstack("/register", NO_FACE, picture(ADA), fields={"userid": "Ada"})
        assert (status, answer["message"]) == (200, "face added")
        (person,) = await caller.api.backend.core.gallery.people()
        assert person.faces == 1

    @pytest.mark.parametrize(
        ("data", "words"),
        [(NO_FACE, "no face"), (picture(ADA, BEN), "several faces"), (b"nonsense", "no picture")],
        ids=["no face", "two faces", "no picture"],
    )
    async def test_pictures_that_cannot_be_used_make_nobody(self, caller: Caller, data: bytes, words: str) -> None:
        status, answer = await caller.deepstack("/register", data, fields={"userid": "Ada"})
        assert (status, answer["success"], answer["code"]) == (400, False, 400)
        assert words in answer["error"]
        assert await caller.api.backend.core.gallery.people() == ()

    @pytest.mark.parametrize("name", ["unknown", " Unknown ", "x" * 65, "a\0b"])
    async def test_names_that_cannot_be_used(self, caller: Caller, name: str) -> None:
        status, answer = await caller.deepstack("/register", picture(ADA), fields={"userid": name})
        assert (status, answer["success"]) == (400, False)
        assert "name" in answer["error"]

    @pytest.mark.parametrize("command", ["/register", "/delete"])
    async def test_no_name(self, caller: Caller, command: str) -> None:
        status, answer = await caller.deepstack(command, picture(ADA))
        assert (status, answer["error"]) == (400, "userid not specified")

    async def test_no_picture(self, caller: Caller) -> None:
        status, answer = await caller.deepstack("/register", fields={"userid": "Ada"})
        assert (status, answer["error"]) == (400, "No valid image file found")

    async def test_deleting_nobody(self, caller: Caller) -> None:
        status, answer = await caller.deepstack("/delete", fields={"userid": "Nobody"})
        assert (status, answer["success"]) == (200, True)

    async def test_deleting_one_of_two_with_a_name(self, caller: Caller) -> None:
        gallery = caller.api.backend.core.gallery
        for _ in range(2):
            await gallery.create_person("Ada", allow_duplicate=True)
        status, answer = await caller.deepstack("/delete", fields={"userid": "Ada"})
        assert (status, answer["success"]) == (400, False)
        assert "Several people" in answer["error"]
        assert (await caller.deepstack("/list"))[1]["faces"] == ["Ada"]


class TestPictures:
    @pytest.mark.parametrize("command", ["/recognize", ""])
    @pytest.mark.parametrize(
        "data", [b"", b"nonsense", picture(ADA)[:300], picture(ADA, kind=".jpg")[:5000]], ids=range(4)
    )
    async def test_a_broken_one(self, caller: Caller, command: str, data: bytes) -> None:
        status, answer = await caller.deepstack(command, data)
        assert (status, answer["success"], answer["code"], answer["duration"]) == (400, False, 400, 0)
        assert "picture" in answer["error"]

    @pytest.mark.parametrize("command", ["/recognize", ""])
    @pytest.mark.parametrize("count", [0, 2])
    async def test_none_or_two(self, caller: Caller, command: str, count: int) -> None:
        status, answer = await caller.deepstack(command, *[picture(ADA)] * count)
        assert (status, answer["success"]) == (400, False)
        assert answer["error"] == "No valid image file found. Allowed: one file, called image"

    async def test_one_without_a_file_name(self, caller: Caller) -> None:
        await caller.api.create("Ada", ADA)
        with aiohttp.MultipartWriter("form-data") as form:
            form.append(caller.api.tokens[Scope.ADMIN]).set_content_disposition("form-data", name="api_key")
            form.append(picture(ADA)).set_content_disposition("form-data", name="image")
        _, answer = await caller.send("POST", "/v1/vision/face/recognize", data=form)
        assert [one["userid"] for one in answer["predictions"]] == ["Ada"]

    async def test_one_that_is_too_large(self, tmp_path: Path) -> None:
        small = PipelineSettings(picture_megapixels=1)
        async with serving(tmp_path, server=ServerSettings(body_megabytes=1), pipeline=small) as api:
            wide = encode(enlarged(pixels(ADA), 1280, 800))
            status, answer = await Caller(api).deepstack("/recognize", wide)
            assert (status, answer["success"]) == (400, False)
            assert "too many pixels" in answer["error"]
            status, answer = await Caller(api).deepstack("/recognize", b"\xff\xd8\xff" + bytes(2_000_000))
            assert (status, answer["success"]) == (400, False)
            assert "too large" in answer["error"]

    async def test_clear_ones_where_only_anonymized_ones_are_taken(self, tmp_path: Path) -> None:
        async with serving(tmp_path, privacy=PrivacySettings(require_client=True)) as api:
            caller = Caller(api)
            for command, fields in (("", {}), ("/recognize", {}), ("/register", {"userid": "Ada"})):
                status, answer = await caller.deepstack(command, picture(ADA), fields=fields)
                assert (status, answer["success"], answer["code"]) == (403, False, 403)
                assert "anonymized before they were sent" in answer["error"]
            assert await api.backend.core.gallery.people() == ()

    async def test_more_than_can_be_looked_at(self, tmp_path: Path) -> None:
        async with serving(tmp_path, pipeline=PipelineSettings(waiting=1)) as api:
            lane = api.backend.core.lane
            async with held(lane) as hold:
                waiting = asyncio.create_task(lane.run(lambda: None))
                await until(lambda: lane.waiting == 1)
                status, answer = await Caller(api).deepstack("/recognize", picture(ADA))
                hold.let_go()
                await waiting
            assert (status, answer["success"], answer["code"]) == (503, False, 503)


class TestKeys:
    async def test_none(self, caller: Caller) -> None:
        for command in ("", "/recognize", "/list"):
            status, answer = await caller.deepstack(command, picture(ADA), key=None)
            assert (status, answer["success"], answer["code"]) == (401, False, 401)

    @pytest.mark.parametrize("key", ["pf_wrong", "ключ", " "])
    async def test_a_wrong_one(self, caller: Caller, key: str) -> None:
        status, answer = await caller.deepstack("/recognize", picture(ADA), key=key)
        assert (status, answer["success"]) == (401, False)
        assert key.strip() == "" or key not in answer["error"]

    async def test_one_that_may_identify_only(self, caller: Caller) -> None:
        for command in ("/register", "/list", "/delete"):
            status, answer = await caller.deepstack(command, key=Scope.IDENTIFY, fields={"userid": "Ada"})
            assert (status, answer["success"]) == (403, False)
            assert "enroll" in answer["error"]

    async def test_one_that_may_enroll_only(self, caller: Caller) -> None:
        status, _ = await caller.deepstack("/recognize", picture(ADA), key=Scope.ENROLL)
        assert status == 403
        assert (await caller.deepstack("/list", key=Scope.ENROLL))[0] == 200

    async def test_each_for_what_it_is_made_for(self, caller: Caller) -> None:
        tokens = caller.api.tokens
        both = {"api_key": tokens[Scope.IDENTIFY], "admin_key": tokens[Scope.ENROLL]}
        assert (await caller.deepstack("/recognize", picture(ADA), key=None, fields=both))[0] == 200
        assert (await caller.deepstack("/list", key=None, fields=both))[0] == 200
        assert (await caller.deepstack("/list", key=None, fields={"admin_key": tokens[Scope.ENROLL]}))[0] == 200

    async def test_in_the_header(self, caller: Caller) -> None:
        token = caller.api.tokens[Scope.IDENTIFY]
        for login in (f"x:{token}", f":{token}", f"{token}:"):
            headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
            assert (await caller.deepstack("", picture(ADA), key=None, headers=headers))[0] == 200
        headers = {"Authorization": f"Bearer {token}"}
        assert (await caller.deepstack("", picture(ADA), key=None, headers=headers))[0] == 200
        for header in ("Basic ????", "Basic " + base64.b64encode(b"x:y").decode(), "Digest x"):
            status, answer = await caller.deepstack("", picture(ADA), key=None, headers={"Authorization": header})
            assert (status, answer["success"]) == (401, False)

    async def test_too_many_wrong_ones(self, caller: Caller) -> None:
        statuses = [(await caller.deepstack("/list", key="pf_wrong"))[0] for _ in range(12)]
        assert statuses[:10] == [401] * 10
        assert statuses[-1] == 429
        assert int(caller.headers["Retry-After"]) > 0

    @pytest.mark.parametrize("where", ["loopback", "always"])
    async def test_where_recognizing_needs_none(self, tmp_path: Path, where: str) -> None:
        async with serving(tmp_path, dropin=DropInSettings(deepstack=True, without_token=where)) as api:
            caller = Caller(api)
            assert (await caller.deepstack("/recognize", picture(ADA), key=None))[0] == 200
            assert (await caller.deepstack("/recognize", picture(ADA), key="pf_wrong"))[0] == 401
            assert (await caller.deepstack("/register", picture(ADA), key=None, fields={"userid": "A"}))[0] == 401
            page = {"Origin": "http://elsewhere.example"}
            assert (await caller.deepstack("", picture(ADA), key=None, headers=page))[0] in {401, 403}

    async def test_where_nothing_needs_one(self, tmp_path: Path) -> None:
        async with serving(tmp_path, server=ServerSettings(require_token=False)) as api:
            caller = Caller(api)
            assert (await caller.deepstack("/register", picture(ADA), key=None, fields={"userid": "A"}))[0] == 200
            assert (await caller.deepstack("/list", key="whatever"))[1]["faces"] == ["A"]


async def test_a_form_that_is_cut_off(caller: Caller) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, answer = await caller.send("POST", "/v1/vision/face/recognize", data=b"--x\r\nnonsense", headers=headers)
    assert (status, answer["success"]) == (400, False)


async def test_off_by_default(tmp_path: Path) -> None:
    async with serving(tmp_path, dropin=DropInSettings()) as api:
        status, answer = await Caller(api).deepstack("/recognize", picture(ADA))
        assert (status, answer["error"]["code"]) == (404, "not_found")


def test_they_are_no_part_of_our_description() -> None:
    assert not [path for path in DESCRIPTION["paths"] if "vision" in path]
