"""The ancestor's routes: their answers, who may ask, and what is refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import yarl

from privface_backend.domain.frames import Pixels
from privface_backend.errors import SettingsError
from privface_backend.protocol import Event, Scope
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.settings_sections import AncestorSettings, LinkSettings
from support.backend import ADA, BEN, STRANGER, Api, form, make_settings, picture, pixels, running, until
from support.rtsp import rtsp_server
from support.videos import encode

ID = "33466553786f48cb72faad7b2fb9d0952c97"
REQUEST = "2023061906001633466553786f48cb72faad7b2fb9d0952c97"
TAIL = f"{ID}/NSSD/{REQUEST}"


@asynccontextmanager
async def serving(directory: Path, **sections: Any) -> AsyncIterator[Api]:
    settings = make_settings(directory, **sections)
    async with running(directory, more_routes=ancestor_routes(settings), **sections) as api:
        yield api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


async def enroll(api: Api, name: str, identity: int, source: str) -> str:
    """Enroll a person as from a directory; the id."""
    core = api.backend.core
    person = await core.gallery.ensure_person(name)
    data = picture(identity)
    represented = await core.recognition.represent(data)
    await core.gallery.add_face(person.id, represented, source=source, picture_digest=sha256(data).hexdigest())
    return person.id


async def ask(
    api: Api,
    address: str,
    *files: bytes,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    name: str = "sample.mp4",
) -> tuple[int, Any]:
    data = form(*files, name=name, path="/app/database") if files else None
    url = yarl.URL(api.url + address, encoded=True)
    async with api.session.request(method, url, data=data, headers=headers) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


def clip(*frames: Pixels) -> bytes:
    return encode(frames)


async def events(api: Api, count: int) -> list[Event]:
    """What was kept, once it is so many events."""
    found: list[Event] = []

    async def look() -> int:
        found[:] = await api.backend.core.storage.call(lambda: api.backend.core.events.list(limit=100))
        return len(found)

    async with asyncio.timeout(10):
        while await look() < count:  # noqa: ASYNC110  # the store has no event for it
            await asyncio.sleep(0.01)
    return found


async def test_the_sample_call_with_curl(api: Api, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl isn't installed.")
    await enroll(api, "Ada", ADA, "Ada.jpg")
    file = tmp_path / "sample.mp4"
    file.write_bytes(clip(pixels(), pixels(), pixels(ADA), pixels(ADA)))
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-F", "path=/app/database", "-F", f"file=@{file}",
        f"http://127.0.0.1:{api.port}/check_directory/sample.mp4/17/{TAIL}",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip  # one line as the sample has it
    answer, _ = await process.communicate()
    assert process.returncode == 0
    assert json.loads(answer) == {"2": "/app/database/Ada.jpg"}


async def test_each_person_once_at_the_first_frame(api: Api) -> None:
    await enroll(api, "Ada", ADA, "Ada/one.jpg")
    await enroll(api, "Ben", BEN, "Ben/one.jpg")
    data = clip(pixels(STRANGER), pixels(ADA), pixels(ADA, BEN), pixels(ADA, STRANGER), pixels(BEN))
    status, labels = await ask(api, f"/check_directory/x.mp4/9/{TAIL}", data)
    assert (status, labels) == (200, {"1": "/app/database/Ada/one.jpg", "2": "/app/database/Ben/one.jpg"})


async def test_two_people_of_one_picture_both_get_a_number(api: Api) -> None:
    await enroll(api, "Ada", ADA, "Ada.jpg")
    await enroll(api, "Ben", BEN, "Ben.jpg")
    status, labels = await ask(api, f"/check_directory/x.png/9/{TAIL}", picture(ADA, BEN), name="x.png")
    assert status == 200
    assert sorted(labels) == ["0", "1"]
    assert sorted(labels.values()) == ["/app/database/Ada.jpg", "/app/database/Ben.jpg"]


async def test_a_person_who_was_not_enrolled_from_a_directory_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path, sifis=AncestorSettings(database_path="/srv/faces/")) as api:
        await api.create("Ada / Lovelace", ADA)
        status, labels = await ask(api, f"/check_directory/x.png/9/{TAIL}", picture(ADA))
    assert (status, labels) == (200, {"0": "/srv/faces/Ada _ Lovelace.jpg"})


async def test_nobody_known_is_an_empty_object(api: Api) -> None:
    await enroll(api, "Ada", ADA, "Ada.jpg")
    assert await ask(api, f"/check_directory/x.mp4/17/{TAIL}", clip(pixels(STRANGER), pixels())) == (200, {})
    assert await ask(api, f"/check_directory/x.png/17/{TAIL}", picture()) == (200, {})


async def test_detail_shows_all_that_was_seen(api: Api) -> None:
    ada = await enroll(api, "Ada", ADA, "Ada.jpg")
    data = clip(pixels(), pixels(ADA), pixels(ADA), pixels(STRANGER), pixels(STRANGER), pixels())
    status, answer = await ask(api, f"/check_directory/x.mp4/17/{TAIL}?detail=1", data)
    assert status == 200
    assert answer["labels"] == {"1": "/app/database/Ada.jpg"}
    assert (answer["frames_total"], answer["frames_with_faces"]) == (6, 4)
    assert answer["request_id"] == REQUEST
    assert answer["requestor"] == {"id": ID, "type": "NSSD"}
    assert answer["privacy"] == {"method": "gaussian", "parameter": 17, "relative": None, "applied_by": "backend"}
    assert [frame["frame"] for frame in answer["frames"]] == [1, 2, 3, 4]
    assert answer["frames"][0]["faces"][0]["person_id"] == ada
    assert answer["frames"][0]["privacy"]["parameter"] == 17
    assert answer["frames"][2]["faces"][0]["outcome"] == "unknown"


async def test_one_visit_a_person_and_one_for_a_stranger(api: Api) -> None:
    ada = await enroll(api, "Ada", ADA, "Ada.jpg")
    data = clip(pixels(STRANGER), pixels(ADA, STRANGER), pixels(ADA), pixels(STRANGER), pixels(ADA))
    await ask(api, f"/check_directory/x.mp4/17/{TAIL}", data)
    told = await events(api, 4)
    assert sorted((event.outcome.value, event.phase.value) for event in told) == [
        ("known", "confirmed"),
        ("known", "provisional"),
        ("unknown", "confirmed"),
        ("unknown", "provisional"),
    ]
    sure = (event for event in told if event.phase.value == "confirmed")
    stranger, known = sorted(sure, key=lambda event: event.person_id or "")
    assert len({event.visit_id for event in told}) == 2
    assert (known.person_id, known.faces) == (ada, 1)
    assert known.votes == {"known": 3, "unknown": 0}
    assert stranger.votes == {"known": 0, "unknown": 3}
    for event in (stranger, known):
        assert (event.camera, event.source.value, event.request_id) == ("x.mp4", "upload", REQUEST)
        assert event.requestor is not None
        assert event.requestor.to_dict() == {"id": ID, "type": "NSSD"}
        assert event.privacy.parameter == 17
        assert event.captured_at <= event.ts


@pytest.mark.parametrize("parameter", ["16", "0", "-3", "1001", "999999999999999999999", "17.0", "x", "1e1", "%D9%A9"])
async def test_a_parameter_that_is_no_odd_kernel(api: Api, parameter: str) -> None:
    for path in (f"/check_directory/x.png/{parameter}/{TAIL}", f"/cam_face_recognition/0/{parameter}/{TAIL}"):
        status, answer = await ask(api, path, picture(ADA))
        assert (status, answer["error"]["code"]) == (400, "bad_privacy_parameter")
        assert "odd" in answer["error"]["allowed"]


@pytest.mark.parametrize(
    "name",
    ["../x.png", "..", "%2e%2e", "..%2Fx.png", "a/b.png", "a%2Fb.png", "%2Fetc%2Fpasswd", "a%5Cb.png", "/etc/passwd"],
)
async def test_a_file_name_is_no_path(api: Api, name: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST /check_directory/{name}/17/{TAIL} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 403")
    assert json.loads(answer.partition("\r\n\r\n")[2])["error"]["code"] == "path_not_allowed"
    assert "passwd" not in answer


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"only text" * 100, 415, "picture_format"),
        (b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 100, 400, "video_unreadable"),
        (picture(ADA)[:200], 400, "picture_truncated"),
    ],
)
async def test_files_that_cannot_be_read(api: Api, data: bytes, status: int, code: str) -> None:
    answered, answer = await ask(api, f"/check_directory/x/17/{TAIL}", data, name="x")
    assert (answered, answer["error"]["code"]) == (status, code)


async def test_no_file_and_overlong_words(api: Api) -> None:
    status, answer = await ask(api, f"/check_directory/x/17/{TAIL}")
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    status, answer = await ask(api, f"/check_directory/x/17/{'a' * 257}/NSSD/{REQUEST}", picture(ADA))
    assert (status, answer["error"]["code"]) == (400, "bad_request")


LOCAL = [{"Host": "127.0.0.1"}, {"Host": "localhost:8090"}]
PASSED_ON = [
    {"X-Forwarded-For": "192.168.1.5"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Real-IP": "192.168.1.5"},
    {"Forwarded": "for=192.168.1.5"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"},
]


@pytest.mark.parametrize("headers", PASSED_ON, ids=str)
async def test_without_a_token_only_programs_of_this_computer(api: Api, headers: Mapping[str, str]) -> None:
    path = f"/check_directory/x.png/17/{TAIL}"
    for local in LOCAL:
        assert await ask(api, path, picture(), headers=local) == (200, {})
    status, answer = await ask(api, path, picture(), headers=headers)
    assert (status, answer["error"]["code"]) == (401, "unauthenticated")
    token = {"Authorization": f"Bearer {api.tokens[Scope.IDENTIFY]}"}
    assert await ask(api, path, picture(), headers={**headers, **token}) == (200, {})


async def test_a_wrong_token_is_refused_even_here(api: Api) -> None:
    path = f"/check_directory/x.png/17/{TAIL}"
    status, answer = await ask(api, path, picture(), headers={"Authorization": "Bearer pf_wrong"})
    assert (status, answer["error"]["code"]) == (401, "unauthenticated")
    enroller = {"Authorization": f"Bearer {api.tokens[Scope.ENROLL]}"}
    status, answer = await ask(api, path, picture(), headers=enroller)
    assert (status, answer["error"]["code"]) == (403, "forbidden")


async def test_never_and_always(tmp_path: Path) -> None:
    path = f"/check_directory/x.png/17/{TAIL}"
    async with serving(tmp_path / "never", sifis=AncestorSettings(without_token="never")) as api:
        status, _ = await ask(api, path, picture())
        assert status == 401
        status, _ = await ask(api, f"/cam_face_recognition/0/17/{TAIL}", method="GET")
        assert status == 401
    async with serving(tmp_path / "always", sifis=AncestorSettings(without_token="always")) as api:
        assert await ask(api, path, picture(), headers={"X-Forwarded-For": "192.168.1.5"}) == (200, {})


async def test_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, sifis=AncestorSettings(enabled=False)) as api:
        status, answer = await ask(api, f"/check_directory/x.png/17/{TAIL}", picture())
    assert (status, answer["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "link",
    ["0", "file:///etc/passwd", "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "rtsp://cam/../x"],
)
async def test_a_link_that_is_not_allowed(api: Api, link: str) -> None:
    for prefix in ("", "/rest/v1"):
        for spelled in (link, quote(link, safe="")):
            path = f"{prefix}/cam_face_recognition/{spelled}/17/{TAIL}"
            for method in ("GET", "POST"):
                reply = await ask(api, path, method=method)
                assert (reply[0], reply[1]["error"]["code"]) == (403, "link_not_allowed")
                assert link == "0" or link not in json.dumps(reply[1])


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("encoded", [True, False], ids=["percent-encoded", "with slashes"])
async def test_a_camera_link_is_looked_at_for_its_time(tmp_path: Path, method: str, encoded: bool) -> None:
    async with rtsp_server(encode([pixels(ADA, STRANGER)] * 20, kind="mpegts")) as camera:
        address = f"rtsp://127.0.0.1:{camera.port}/live/1"
        async with serving(tmp_path, links=LinkSettings(allow=(address,), seconds=2)) as api:
            await enroll(api, "Ada", ADA, "Ada.jpg")
            link = quote(address, safe="") if encoded else address
            status, answer = await ask(api, f"/cam_face_recognition/{link}/17/{TAIL}?detail=1", method=method)
            kept = await events(api, 2)
            (known,) = api.backend.services.cameras.all()
        await until(lambda: camera.open_connections == 0)
    assert (status, known.name) == (200, "127.0.0.1")
    assert list(answer["labels"].values()) == ["/app/database/Ada.jpg"]
    assert answer["frames_total"] > 2
    # One visit each, of which something is said once more when it is sure.
    assert sorted({event.visit_id: event.outcome.value for event in kept}.values()) == ["known", "unknown"]
    assert len({(event.visit_id, event.phase) for event in kept}) == len(kept)
    assert {(event.camera, event.source.value, event.request_id) for event in kept} == {("127.0.0.1", "link", REQUEST)}


async def test_the_link_ends_when_the_client_goes(tmp_path: Path) -> None:
    async with rtsp_server(encode([pixels(ADA)] * 20, kind="mpegts")) as camera:
        allowed = LinkSettings(allow=(f"rtsp://user:secret@127.0.0.1:{camera.port}/*",), seconds=3600)
        async with serving(tmp_path, links=allowed) as api:
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            link = quote(f"rtsp://127.0.0.1:{camera.port}/live", safe="")
            writer.write(f"GET /cam_face_recognition/{link}/17/{TAIL} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            await events(api, 1)
            assert camera.open_connections == 1
            writer.close()
            await until(lambda: camera.open_connections == 0)
            await until(lambda: api.backend.services.lane.depth == 0)


@pytest.mark.parametrize("hangs", [False, True], ids=["playing", "hanging"])
async def test_another_client_stops_the_link(tmp_path: Path, hangs: bool) -> None:
    film = b"" if hangs else encode([pixels(ADA)] * 20, kind="mpegts")
    async with rtsp_server(film) as camera:
        address = f"rtsp://127.0.0.1:{camera.port}/live"
        async with serving(tmp_path, links=LinkSettings(allow=(address,), seconds=3600)) as api:
            await enroll(api, "Ada", ADA, "Ada.jpg")
            path = f"/cam_face_recognition/{quote(address, safe='')}/17/"
            asked = asyncio.create_task(ask(api, f"{path}{TAIL}?detail=1"))
            await until(lambda: any(request.startswith("PLAY") for request in camera.requests), seconds=30)
            if not hangs:
                await events(api, 1)
            # Nobody else's is stopped, and not by just anybody.
            other = await ask(api, f"{path}{ID}/NSSD/another", method="DELETE")
            assert (other[0], other[1]["error"]["code"]) == (404, "not_found")
            away = await ask(api, f"{path}{TAIL}", method="DELETE", headers={"X-Forwarded-For": "192.168.1.5"})
            assert away[0] == 401
            assert not asked.done()
            assert await ask(api, f"{path}{TAIL}", method="DELETE") == (200, {"stopped": 1})
            async with asyncio.timeout(10):
                status, answer = await asked
            assert status == 200
            assert bool(answer["labels"]) is not hangs
            again = await ask(api, f"{path}{TAIL}", method="DELETE")
            assert again[0] == 404
        await until(lambda: camera.open_connections == 0, seconds=30)


async def test_a_camera_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"rtsp://127.0.0.1:{taken.getsockname()[1]}/live"
        async with serving(tmp_path, links=LinkSettings(allow=(address,))) as api:
            status, answer = await ask(api, f"/cam_face_recognition/{quote(address, safe='')}/17/{TAIL}", method="GET")
            assert list(api.backend.services.cameras.all()) == []
    assert (status, answer["error"]["code"]) == (502, "link_unreachable")
    assert "rtsp" not in json.dumps(answer)


async def test_a_camera_that_is_switched_off(tmp_path: Path) -> None:
    address = "http://127.0.0.1:9/live"
    async with serving(tmp_path, links=LinkSettings(allow=(address,))) as api:
        api.backend.services.cameras.enable("127.0.0.1", enabled=False)
        status, answer = await ask(api, f"/cam_face_recognition/{address}/17/{TAIL}", method="GET")
    assert (status, answer["error"]["code"]) == (409, "camera_disabled")


def test_a_bad_allow_list_is_a_problem_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"links\.allow"):
        ancestor_routes(make_settings(tmp_path, links=LinkSettings(allow=("file:///etc/*",))))


async def test_an_upload_ends_when_the_client_goes(api: Api) -> None:
    data = clip(*[pixels(ADA)] * 400)
    body = aiohttp.FormData()
    body.add_field("file", data, filename="x.mp4")
    request = asyncio.create_task(api.session.post(f"{api.url}/check_directory/x.mp4/17/{TAIL}", data=body))
    await events(api, 1)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    lane = api.backend.services.lane
    await until(lambda: lane.depth == 0)
    assert lane.counts.finished < 400
