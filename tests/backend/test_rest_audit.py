"""Requests in the audit log: which are, what is said of them, and what isn't."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import filelock
import pytest
from aiohttp import web

from privface_backend.audit.acts import Doing
from privface_backend.audit.auditor import Auditor
from privface_backend.audit.entries import Act, By
from privface_backend.audit.files import LOCK_FILE
from privface_backend.audit.reading import verify_log
from privface_backend.audit.repeats import Repeats
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import ErrorCode, FaceResult, Outcome, Reason, Scope
from privface_backend.rest.application import OPERATIONS
from privface_backend.rest.auditing import ACTS, NO_ACTS
from privface_backend.rest.compreface import compreface_routes
from privface_backend.rest.deepstack import deepstack_routes
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.rest.uploads import CARD_HEADER
from privface_backend.settings_push import DhtSettings
from privface_backend.settings_sections import AuditSettings, DropInSettings, GallerySettings, ServerSettings
from support.auditing import Book, entry
from support.backend import ADA, STRANGER, Api, form, make_settings, picture, pixels, running, until, video
from support.dht import dht_node
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import watching

DROP_IN = DropInSettings(deepstack=True, compreface=True)
TAIL = "/17/33466553786f48cb72faad7b2fb9d0952c97/NSSD/2023061906001633466553786f48cb72faad7b2fb9d0952c97"


def on_mosquitto(test: Any) -> Any:
    """For the test that needs one."""
    for mark in needs_mosquitto:
        test = mark(test)
    return test


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    settings = make_settings(tmp_path, dropin=DROP_IN)
    routes = (*ancestor_routes(settings), *deepstack_routes(settings), *compreface_routes(settings))
    async with running(tmp_path, more_routes=routes, dropin=DROP_IN) as api:
        yield api


def files(api: Api) -> list[Path]:
    return sorted(api.backend.core.audit.log.directory.glob("audit-*.jsonl"))


def written(api: Api) -> list[dict[str, Any]]:
    """All lines there are, the service's start apart."""
    lines = [json.loads(line) for path in files(api) for line in path.read_bytes().splitlines()]
    return [line for line in lines if line["operation"] != "start"]


async def lines_after(api: Api, count: int) -> list[dict[str, Any]]:
    """The lines, once there are ``count``."""
    await until(lambda: len(written(api)) >= count)
    return written(api)


async def token_id(api: Api, scope: Scope) -> str:
    info = await api.backend.core.storage.call(api.backend.core.tokens.verify, api.tokens[scope])
    assert info is not None
    return info.id


def test_every_route_is_an_act_or_none(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, dropin=DROP_IN)
    app = web.Application()
    app.router.add_routes((*ancestor_routes(settings), *deepstack_routes(settings), *compreface_routes(settings)))
    routes = {f"{operation.method} {operation.path}" for operation in OPERATIONS}
    for route in app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            routes.add(f"{route.method} {route.resource.canonical}")
    assert routes == set(ACTS) | NO_ACTS
    assert not set(ACTS) & NO_ACTS
    # What changes anything about people or settings is never left out.
    assert not [name for name in NO_ACTS if name.startswith(("POST", "PUT", "PATCH"))]


async def test_a_person_from_enrolling_to_forgetting(api: Api) -> None:
    person = await api.create("Adelheid", ADA)
    await api.identify(picture(ADA, STRANGER))
    await api.call("PATCH", f"/api/v1/people/{person}", pattern="/api/v1/people/{person}", json={"name": "Adelgunde"})
    await api.call("DELETE", f"/api/v1/people/{person}", pattern="/api/v1/people/{person}")
    lines = written(api)
    admin = await token_id(api, Scope.ADMIN)
    assert [(line["act"], line["operation"], line["outcome"], line["subjects"]) for line in lines] == [
        ("enroll", "create_person", "ok", [person]),
        ("enroll", "enroll", "ok", [person]),
        ("identify", "identify", "known", [person]),
        ("enroll", "rename_person", "ok", [person]),
        ("forget", "forget_person", "ok", [person]),
    ]
    assert lines[2]["count"] == 2
    assert {(line["by"], line["token"]) for line in lines} == {("rest", admin)}
    # The lines remain without a name, a template or a token.
    everything = b"".join(path.read_bytes() for path in api.backend.core.audit.log.directory.iterdir())
    for secret in (b"Adel", b"vector", api.tokens[Scope.ADMIN].encode()):
        assert secret not in everything
    assert not [value for line in lines for value in line.values() if isinstance(value, float)]
    assert {len(line["subjects"]) for line in lines} == {1}
    assert max(len(line) for path in files(api) for line in path.read_bytes().splitlines()) < 1024
    assert verify_log(api.backend.core.audit.log).whole


async def test_the_request_id_goes_in_and_out(api: Api) -> None:
    reply = await api.call("GET", "/api/v1/people", headers={"X-Request-Id": "panel-7"})
    assert reply.headers["X-Request-Id"] == "panel-7"
    other = await api.call("GET", "/api/v1/people")
    assert [line["request_id"] for line in written(api)] == ["panel-7", other.headers["X-Request-Id"]]


async def test_a_frame_cards_requestor_goes_in(api: Api) -> None:
    card = {"camera": "door", "requestor": {"id": "panel", "type": "wall"}, "request_id": "r-1"}
    await api.identify(picture(ADA), headers={CARD_HEADER: json.dumps(card)})
    (line,) = written(api)
    assert (line["requestor_id"], line["requestor_type"], line["request_id"]) == ("panel", "wall", "r-1")
    assert (line["camera"], line["outcome"]) == ("door", "unknown")


async def test_the_ancestors_requestor_goes_in_but_no_files_name(api: Api) -> None:
    person = await api.create("Adelheid", ADA)
    async with api.session.post(f"{api.url}/check_directory/Adelheid.png{TAIL}", data=form(picture(ADA))) as answer:
        assert answer.status == 200, await answer.text()
    lines = (await lines_after(api, 4))[2:]
    for line in lines:
        assert line["requestor_id"] == "33466553786f48cb72faad7b2fb9d0952c97"
        assert line["requestor_type"] == "NSSD"
        assert line["request_id"] == "2023061906001633466553786f48cb72faad7b2fb9d0952c97"
        assert (line["by"], line["outcome"], line["subjects"]) == ("rest", "known", [person])
        assert "camera" not in line
        assert "token" not in line
    assert sorted(line["operation"] for line in lines) == ["check_directory", "decision"]
    assert b"Adelheid" not in files(api)[0].read_bytes()


async def test_a_link_that_is_refused_leaves_a_line_without_it(api: Api) -> None:
    address = f"{api.url}/cam_face_recognition/rtsp%3A%2F%2Fann%3Asecret%40192.168.1.9%2Flive{TAIL}"
    async with api.session.post(address) as answer:
        assert answer.status == 403
    (line,) = written(api)
    assert (line["operation"], line["outcome"]) == ("cam_face_recognition", "link_not_allowed")
    assert b"secret" not in files(api)[0].read_bytes()


async def test_refused_requests_of_those_who_have_a_token_are_told_of(api: Api) -> None:
    await api.call("GET", "/api/v1/people", scope=Scope.IDENTIFY)
    await api.call("GET", "/api/v1/people/Adelheid", pattern="/api/v1/people/{person}")
    await api.identify(b"no picture")
    lines = written(api)
    assert [line["outcome"] for line in lines] == ["forbidden", "person_not_found", "picture_format"]
    assert lines[0]["token"] == await token_id(api, Scope.IDENTIFY)
    # What stands in the place of an id may be a name.
    assert b"Adelheid" not in files(api)[0].read_bytes()


async def test_strangers_at_the_door_cannot_fill_the_log(api: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer pf_wrong"}, {"Authorization": "Basic eDp5"}):
        for _ in range(3):
            reply = await api.call("GET", "/api/v1/people", scope=None, headers=headers)
            assert reply.status in {401, 429}
    await api.call("GET", "/api/v1/nothing")
    await api.call("GET", "/api/v1/info")
    assert written(api) == []


async def test_drop_in_routes_are_told_of_without_names(api: Api) -> None:
    key = {"api_key": api.tokens[Scope.ADMIN]}
    person = await api.create("Adelheid", ADA)
    for path, more in (("recognize", {}), ("register", {"userid": "Bertram"}), ("delete", {"userid": "Bertram"})):
        data = form(picture(ADA), **key, **more)
        async with api.session.post(f"{api.url}/v1/vision/face/{path}", data=data) as answer:
            assert answer.status == 200, await answer.text()
    headers = {"x-api-key": api.tokens[Scope.ADMIN]}
    async with api.session.get(f"{api.url}/api/v1/recognition/subjects", headers=headers) as answer:
        assert answer.status == 200
    async with api.session.delete(f"{api.url}/api/v1/recognition/subjects/Adelheid", headers=headers) as answer:
        assert answer.status == 200
    lines = written(api)[2:]
    bertram = lines[1]["subjects"][0]
    assert [(line["act"], line["operation"], line.get("subjects")) for line in lines] == [
        ("identify", "deepstack recognize", [person]),
        ("enroll", "deepstack register", [bertram]),
        ("forget", "deepstack delete", [bertram]),
        ("list", "compreface subjects", None),
        ("forget", "compreface subject", [person]),
    ]
    assert {line["token"] for line in lines} == {await token_id(api, Scope.ADMIN)}
    assert not re.search(rb"Adelheid|Bertram|pf_", files(api)[0].read_bytes())


async def test_a_cameras_frames_are_one_line_and_its_decisions_one_each(api: Api) -> None:
    person = await api.create("Ada", ADA)
    for _ in range(20):
        assert (await api.frame("door", picture(ADA))).status == 200
    lines = (await lines_after(api, 4))[2:]
    frames = [line for line in lines if line["operation"] == "take_frame"]
    decisions = [line for line in lines if line["operation"] == "decision"]
    assert [(line["camera"], line["count"], line["subjects"]) for line in frames] == [("door", 1, [person])]
    assert 1 <= len(decisions) <= 2
    assert {(line["by"], line["camera"], line["outcome"]) for line in decisions} == {("rest", "door", "known")}
    await api.stop()

    def frames_told() -> list[int]:
        return [line["count"] for line in written(api) if line["operation"] == "take_frame"]

    await until(lambda: len(frames_told()) == 2)
    assert frames_told() == [1, 19]


def test_what_is_repeated_is_told_of_every_ten_minutes() -> None:
    now = 0.0
    repeats = Repeats(clock=lambda: now)

    def take(camera: str, person: str | None = None, failure: str | None = None) -> list[tuple[Any, ...]]:
        doing = Doing(act=Act.IDENTIFY, operation="take_frame", by=By.REST, token="t", camera=camera)
        if failure is None:
            outcome = Outcome.UNKNOWN if person is None else Outcome.KNOWN
            doing.note_faces([FaceResult(box=(0, 0, 1, 1), outcome=outcome, reason=Reason.OK, person_id=person)])
        told = repeats.take(("t", "take_frame", camera), doing, failure)
        return [(one.camera, one.count, one.outcome, one.subjects) for one in told]

    assert take("door") == [("door", 1, "unknown", ())]
    for _ in range(100):
        now += 5.0
        assert take("door", "ada") == []
    assert take("yard", failure="camera_disabled") == [("yard", 1, "camera_disabled", ())]
    now += 100.0
    assert take("door") == [("door", 101, "known", ("ada",))]
    assert take("door") == []
    for number in range(300):
        take(f"camera {number}")
    # The two that were there first had to go, and with them what was untold of the door.
    assert repeats.end_all() == []
    assert take("door") == [("door", 1, "unknown", ())]


async def test_listeners_are_told_of_when_they_come(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.tokens[Scope.IDENTIFY]}"}
    async with api.session.ws_connect(f"{api.url}/api/v1/stream", headers=headers) as socket:
        await socket.receive()
        assert [line["operation"] for line in written(api)] == ["stream"]
    async with api.session.ws_connect(f"{api.url}/api/v1/stream") as socket:
        await socket.send_json({"type": "auth", "token": api.tokens[Scope.IDENTIFY]})
        await socket.receive()
    async with api.session.get(f"{api.url}/api/v1/events/stream", headers=headers) as answer:
        await answer.content.readline()
    lines = await lines_after(api, 3)
    assert [(line["act"], line["operation"]) for line in lines] == [
        ("list", "stream"),
        ("list", "stream"),
        ("list", "stream_events"),
    ]
    assert {line["token"] for line in lines} == {await token_id(api, Scope.IDENTIFY)}


async def test_a_video_is_told_of_when_it_begins_and_when_it_is_over(api: Api) -> None:
    person = await api.create("Ada", ADA)
    film = video([pixels(ADA)] * 3)
    begun = await api.call("POST", "/api/v1/videos", data=form(film, name="film.mp4"))
    assert begun.status == 202
    await until(lambda: len([line for line in written(api) if line["operation"] == "begin_video"]) == 2)
    for _ in range(5):
        await api.call("GET", f"/api/v1/videos/{begun.document['id']}", pattern="/api/v1/videos/{video}")
    await until(lambda: written(api)[-1]["operation"] == "get_video")
    first, last, *asked = written(api)[2:]
    assert (first["outcome"], last["outcome"], last["subjects"], last["count"]) == ("ok", "known", [person], 3)
    assert last["token"] == await token_id(api, Scope.ADMIN)
    assert len(asked) == 1


@on_mosquitto
async def test_cameras_settings_are_told_of(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        sections: dict[str, Any] = {"mqtt": MqttSettings(port=broker.port), "broker_configured": True}
        async with watching(broker.port, "#") as watcher, running(tmp_path, **sections) as api:
            change = {"enabled": False, "parameter": 31}
            await api.call("PATCH", "/api/v1/cameras/Front door", pattern="/api/v1/cameras/{camera}", json=change)
            base = "privface/camera/front-door"
            await until(lambda: bool(watcher.on(f"{base}/enabled/state")))
            for topic, payload in (
                ("nowhere/enabled", "ON"),
                ("front-door/enabled", "ON"),
                ("front-door/privacy", "9"),
            ):
                await watcher.client.publish(f"privface/camera/{topic}/set", payload, qos=1)
            lines = await lines_after(api, 3)
    assert [(line["act"], line["operation"], line["by"], line["camera"]) for line in lines] == [
        ("configuration", "change_camera", "rest", "Front door"),
        ("configuration", "set_enabled", "mqtt", "Front door"),
        ("configuration", "set_privacy", "mqtt", "Front door"),
    ]


async def test_a_request_from_the_dht_is_told_of_without_its_files_name(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "Adelheid.png").write_bytes(picture(STRANGER))
    asker = {"requestor_id": "panel", "requestor_type": "NSSD", "request_id": "r-1"}
    async with dht_node() as node:
        dht = DhtSettings(enabled=True, url=node.url, folder=folder)
        async with running(tmp_path, dht=dht) as api:
            await node.wait(lambda: node.sockets)
            for name in ("Adelheid.png", "Bertram.png"):
                request = {"Type": "Video_file", "file_name": name, "privacy_parameter": 17}
                await node.ask("SIFIS:Privacy_Aware_Face_Recognition", **asker, **request)
                asker["request_id"] += "x"
            lines = [line for line in await lines_after(api, 3) if line["operation"] == "dht file"]
            assert [(line["by"], line["outcome"], line["request_id"]) for line in lines] == [
                ("dht", "unknown", "r-1"),
                ("dht", "not_found", "r-1x"),
            ]
            assert {(line["requestor_id"], line["requestor_type"]) for line in lines} == {("panel", "NSSD")}
            assert not re.search(rb"Adelheid|Bertram", files(api)[0].read_bytes())


async def test_a_watched_folder_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    (folder / "Adelheid").mkdir(parents=True)
    (folder / "Adelheid" / "one.png").write_bytes(picture(ADA))
    (folder / "Adelheid" / "two.png").write_bytes(picture())
    async with running(tmp_path, gallery=GallerySettings(folder=folder, prune=True)) as api:
        await lines_after(api, 2)
        (folder / "Adelheid" / "one.png").unlink()
        lines = await lines_after(api, 3)
        (person,) = await api.backend.core.gallery.people()
        assert [(line["act"], line["operation"], line["by"], line["outcome"]) for line in lines] == [
            ("enroll", "enroll_picture", "folder", "enrolled"),
            ("enroll", "enroll_picture", "folder", "no_face"),
            ("forget", "remove_picture", "folder", "removed"),
        ]
        assert lines[0]["subjects"] == lines[2]["subjects"] == [person.id]
        assert b"Adelheid" not in files(api)[0].read_bytes()


async def test_the_log_over_rest(api: Api) -> None:
    for number in range(4):
        await api.create(f"Person {number}")
    first = await api.call("GET", "/api/v1/audit?limit=3", pattern="/api/v1/audit")
    assert [line["operation"] for line in first.document["lines"]] == ["create_person"] * 3
    rest = await api.call("GET", f"/api/v1/audit?before={first.document['before']}", pattern="/api/v1/audit")
    assert [line["operation"] for line in rest.document["lines"]] == ["create_person", "start"]
    assert rest.document["before"] is None
    # Reading it is in it.
    looks = await api.call("GET", "/api/v1/audit?act=list", pattern="/api/v1/audit")
    assert [line["operation"] for line in looks.document["lines"]] == ["list_audit"] * 2
    person = first.document["lines"][0]["subjects"][0]
    about = await api.call("GET", f"/api/v1/audit?person_id={person}&act=enroll", pattern="/api/v1/audit")
    assert len(about.document["lines"]) == 1
    since = first.document["lines"][0]["time"]
    newer = await api.call("GET", f"/api/v1/audit?since={since}", pattern="/api/v1/audit")
    assert newer.document["lines"][-1]["seq"] <= first.document["lines"][0]["seq"]
    for query in ("limit=0", "before=x", "since=now", "act=look"):
        assert (await api.call("GET", f"/api/v1/audit?{query}", pattern="/api/v1/audit")).code == "bad_request"
    assert (await api.call("GET", "/api/v1/audit", scope=Scope.ENROLL)).code == "forbidden"


def break_log(api: Api) -> None:
    """As a disk that can't be written: a file stands where the directory was."""
    directory = api.backend.core.audit.log.directory
    directory.rename(directory.with_name("kept"))
    directory.write_text("in the way")


def mend_log(api: Api) -> None:
    directory = api.backend.core.audit.log.directory
    directory.unlink()
    directory.with_name("kept").rename(directory)


async def test_a_log_that_cannot_be_written_is_counted_and_warned_of_once(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    person = await api.create("Ada")
    break_log(api)
    for _ in range(3):
        assert (await api.call("GET", "/api/v1/people")).status == 200
    forgotten = await api.call("DELETE", f"/api/v1/people/{person}", pattern="/api/v1/people/{person}")
    assert forgotten.status == 200
    assert api.backend.core.audit.counters.failed == 4
    warned = [record for record in caplog.records if "Acts have no line" in record.message]
    assert len([record for record in warned if record.levelname == "WARNING"]) == 1
    metrics = await api.call("GET", "/metrics")
    assert b"privface_audit_failed_total 4.0" in metrics.body
    mend_log(api)
    assert (await api.call("GET", "/api/v1/people")).status == 200
    assert written(api)[-1]["operation"] == "list_people"
    assert verify_log(api.backend.core.audit.log).whole


async def test_a_required_line_comes_before_the_act_or_it_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, audit=AuditSettings(required=True)) as api:
        person = await api.create("Ada")
        assert [(line["outcome"], line.get("subjects")) for line in written(api)] == [("begun", None), ("ok", [person])]
        assert (await api.frame("door", picture(STRANGER))).status == 200
        break_log(api)
        forgotten = await api.call("DELETE", f"/api/v1/people/{person}", pattern="/api/v1/people/{person}")
        assert (forgotten.status, forgotten.code) == (503, ErrorCode.AUDIT_FAILED.value)
        assert [one.id for one in await api.backend.core.gallery.people()] == [person]
        assert (await api.identify(picture(STRANGER))).code == ErrorCode.AUDIT_FAILED.value
        assert (await api.frame("door", picture(STRANGER))).code == ErrorCode.AUDIT_FAILED.value
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await api.session.ws_connect(
                f"{api.url}/api/v1/stream", headers={"Authorization": f"Bearer {api.tokens[Scope.IDENTIFY]}"}
            )
        mend_log(api)
        forgotten = await api.call("DELETE", f"/api/v1/people/{person}", pattern="/api/v1/people/{person}")
        assert forgotten.status == 200
        assert (await api.frame("door", picture(STRANGER))).status == 200


async def test_without_tokens_acts_are_told_of_too(tmp_path: Path) -> None:
    async with running(tmp_path, server=ServerSettings(require_token=False)) as api:
        assert (await api.call("GET", "/api/v1/people", scope=None)).status == 200
        (line,) = written(api)
        assert "token" not in line
        assert line["operation"] == "list_people"


async def test_what_ends_early_or_badly_is_told_of(api: Api) -> None:
    audit = api.backend.core.audit
    begun = asyncio.Event()

    async def work(ending: Exception | None) -> None:
        async with audit.act(Doing(act=Act.EXPORT, operation="export", by=By.SERVICE)):
            begun.set()
            if ending is not None:
                raise ending
            await asyncio.Event().wait()

    for ending in (None, RuntimeError("Adelheid"), PrivFaceError(ErrorCode.STORAGE_FULL, "full")):
        begun.clear()
        task = asyncio.create_task(work(ending))
        await begun.wait()
        if ending is None:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    lines = await lines_after(api, 3)
    assert [line["outcome"] for line in lines] == ["ended_early", "internal", "storage_full"]


async def test_too_many_waiting_acts_are_counted(tmp_path: Path) -> None:
    book = Book(directory=tmp_path / "audit")
    book.directory.mkdir()
    auditor = Auditor(book.open(), waiting=5)
    with filelock.FileLock(book.directory / LOCK_FILE):
        told = [auditor.tell(entry(number)) for number in range(20)]
    await auditor.aclose()
    failed = sum(one.exception() is not None for one in told)
    assert failed == auditor.counters.failed
    # The thread has taken some before it was held up, once.
    assert 1 <= failed <= 15
    assert len(book.lines()) == 20 - failed
    assert book.verify().whole
    assert auditor.tell(entry()).exception() is not None
