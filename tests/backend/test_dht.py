"""A backend at a node of the distributed hash table: requests, results, refusals, events, and how it recovers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from privface_backend.dht.files import read_file
from privface_backend.dht.link import DhtLink, LinkTimes
from privface_backend.dht.messages import DhtRequest
from privface_backend.dht.requests import DhtRequests
from privface_backend.domain.backoff import Backoff
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.pipeline.links import LinkPolicy
from privface_backend.settings_loading import load_settings
from privface_backend.settings_push import DhtSettings
from privface_backend.settings_sections import LinkSettings
from support.backend import ADA, STRANGER, Api, held, picture, pixels, running, until
from support.dht import FRAME_RESULT, RESULT, Node, dht_node
from support.rtsp import rtsp_server
from support.videos import encode

TOPIC = "SIFIS:Privacy_Aware_Face_Recognition"
ID = "33466553786f48cb72faad7b2fb9d0952c97"
REQUEST = "2023061906001633466553786f48cb72faad7b2fb9d0952c97"
ASKER = {"requestor_id": ID, "requestor_type": "NSSD", "request_id": REQUEST}
FAST = Backoff(first=0.02, ceiling=0.1, settled=0.0, fraction=lambda: 1.0)


def video_request(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "description": "Face Recognition",
        **ASKER,
        "Type": "Video_file",
        "file_name": name,
        "database_path": "/app/database",
        "privacy_parameter": 17,
        **changes,
    }


def camera_request(link: str, **changes: Any) -> dict[str, Any]:
    value = video_request("", Type="cam_link", cam_link=link, **changes)
    del value["file_name"]
    return value


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with dht_node() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "videos"
    made.mkdir()
    return made


@contextlib.asynccontextmanager
async def joined(node: Node, directory: Path, *, links: LinkSettings | None = None, **dht: Any) -> AsyncIterator[Api]:
    """A backend that is connected to the node."""
    settings = DhtSettings(enabled=True, url=node.url, **dht)
    async with running(directory, dht=settings, links=links or LinkSettings()) as api:
        await node.wait(lambda: node.sockets)
        yield api


async def enroll(api: Api, name: str, identity: int, source: str) -> None:
    core = api.backend.core
    person = await core.gallery.ensure_person(name)
    data = picture(identity)
    represented = await core.recognition.represent(data)
    await core.gallery.add_face(person.id, represented, source=source, picture_digest=sha256(data).hexdigest())


async def test_a_video_as_the_ancestor_answered_it(node: Node, folder: Path, tmp_path: Path) -> None:
    (folder / "sample.mp4").write_bytes(
        encode([pixels(), pixels(ADA), pixels(ADA), pixels(STRANGER), pixels(STRANGER)] * 2)
    )
    async with joined(node, tmp_path, folder=folder, frames_every=5) as api:
        await enroll(api, "Ada", ADA, "Ada.jpg")
        await node.ask(TOPIC, **video_request("sample.mp4"))
        (result,) = await node.results()
        kept = await api.logged(1)
    assert result == {
        "description": "Face Recognition Results",
        "Type": "Video_file",
        "file_name": "sample.mp4",
        "Privacy_Parameter": 17,
        "Labels": {"1": "/app/database/Ada.jpg"},
        "count_frames": 10,
        **ASKER,
        "Unknown": 1,
    }
    frames = node.values(FRAME_RESULT)
    assert [(value["Frame"], value["Labels"], value["length"]) for value in frames] == [
        (0, [], 0),
        (5, ["/app/database/Ada.jpg"], 1),
    ]
    assert all(value["request_id"] == REQUEST and value["file_name"] == "sample.mp4" for value in frames)
    assert {event["request_id"] for event in kept} == {REQUEST}
    events = [message["RequestPubMessage"]["value"]["value"] for message in node.came if "RequestPubMessage" in message]
    assert {event["outcome"] for event in events} == {"known", "unknown"}
    assert {event["requestor"]["id"] for event in events} == {ID}


async def test_a_picture_and_no_events(node: Node, folder: Path, tmp_path: Path) -> None:
    (folder / "door.png").write_bytes(picture(ADA, STRANGER))
    async with joined(node, tmp_path, folder=folder, events=False) as api:
        await enroll(api, "Ada", ADA, "Ada.jpg")
        await node.ask(TOPIC, **video_request("door.png", privacy_parameter="9"))
        (result,) = await node.results()
    assert (result["Labels"], result["count_frames"], result["Unknown"]) == ({"0": "/app/database/Ada.jpg"}, 1, 1)
    assert result["Privacy_Parameter"] == 9
    assert not [message for message in node.came if "RequestPubMessage" in message]


async def test_a_camera(node: Node, tmp_path: Path) -> None:
    async with rtsp_server(encode([pixels(ADA)] * 20, kind="mpegts")) as camera:
        links = LinkSettings(allow=(f"rtsp://ada:hunter2@127.0.0.1:{camera.port}/live",), seconds=2)
        async with joined(node, tmp_path, links=links) as api:
            await enroll(api, "Ada", ADA, "Ada.jpg")
            await node.ask(f"{TOPIC}_CAM", **camera_request(f"rtsp://127.0.0.1:{camera.port}/live"))
            (result,) = await node.results()
    assert (result["Type"], result["file_name"]) == ("cam_link", "127.0.0.1")
    assert list(result["Labels"].values()) == ["/app/database/Ada.jpg"]
    assert result["count_frames"] > 1
    assert "hunter2" not in json.dumps(node.came)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (video_request("../secret.mp4"), "path_not_allowed"),
        (video_request("/etc/passwd"), "path_not_allowed"),
        (video_request("link.mp4"), "path_not_allowed"),
        (video_request("inside"), "path_not_allowed"),
        (video_request("pipe.mp4"), "path_not_allowed"),
        (video_request(""), "path_not_allowed"),
        (video_request("nothing.mp4"), "not_found"),
        (video_request("broken.mp4"), "video_unreadable"),
        (video_request("x.mp4", privacy_parameter=16), "bad_privacy_parameter"),
        (video_request("x.mp4", privacy_parameter=None), "bad_privacy_parameter"),
        (video_request("x.mp4", requestor_id="x" * 257), "bad_request"),
        (camera_request("rtsp://ada:hunter2@192.168.1.20/live"), "link_not_allowed"),
        (camera_request("http://169.254.169.254/latest/meta-data/"), "link_not_allowed"),
        (camera_request("file:///etc/passwd"), "link_not_allowed"),
        (camera_request("0"), "link_not_allowed"),
    ],
)
async def test_what_is_refused_is_answered_with_a_reason(
    node: Node, folder: Path, tmp_path: Path, value: dict[str, Any], code: str
) -> None:
    (tmp_path / "secret.mp4").write_bytes(encode([pixels(ADA)]))
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "inside").mkdir()
    (folder / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"x" * 1000)
    os.mkfifo(folder / "pipe.mp4")
    async with joined(node, tmp_path, folder=folder):
        await node.ask(f"{TOPIC}_CAM" if "cam_link" in value else TOPIC, **value)
        (result,) = await node.results()
    assert result["Error"]["code"] == code
    assert (result["Labels"], result["count_frames"]) == ({}, 0)
    assert "hunter2" not in json.dumps(node.came)


async def test_without_a_folder_no_file_is_opened(node: Node, tmp_path: Path) -> None:
    async with joined(node, tmp_path):
        await node.ask(TOPIC, **video_request("sample.mp4"))
        (result,) = await node.results()
    assert result["Error"]["code"] == "path_not_allowed"
    assert "dht.folder" in result["Error"]["allowed"]


def test_a_file_that_is_too_large(folder: Path) -> None:
    (folder / "large.mp4").write_bytes(b"x" * 101)
    with pytest.raises(PrivFaceError, match="too large"):
        read_file(folder, "large.mp4", 100)
    assert len(read_file(folder, "large.mp4", 101)) == 101


async def test_garbage_is_left_alone(node: Node, folder: Path, tmp_path: Path) -> None:
    (folder / "door.png").write_bytes(picture())
    async with joined(node, tmp_path, folder=folder):
        garbage: list[Any] = [
            "",
            "{",
            "[" * 20_000,
            b"\xff\x00",
            {"Persistent": {"topic_name": [], "value": {}}},
            {"Persistent": {"topic_name": "SIFIS:Log", "value": {"log": "x" * 2_000_000}}},
            {"Persistent": {"topic_name": TOPIC, "value": video_request("door.png", padding="x" * 100_000)}},
            {"Response": {"value": None}},
        ]
        for message in garbage:
            await node.tell(message)
        connection = next(iter(node.sockets))
        await node.ask(TOPIC, **video_request("door.png"))
        (result,) = await node.results()
        assert node.sockets == {connection}
    assert "Error" not in result


async def test_a_message_of_too_many_bytes_ends_the_connection_and_another_begins(
    node: Node, folder: Path, tmp_path: Path
) -> None:
    (folder / "door.png").write_bytes(picture())
    async with joined(node, tmp_path, folder=folder):
        connection = next(iter(node.sockets))
        with contextlib.suppress(ConnectionError):
            await node.tell("x" * (5 * 1024 * 1024))
        await until(lambda: bool(node.sockets - {connection}), 30)
        await node.ask(TOPIC, **video_request("door.png"))
        (result,) = await node.results()
    assert "Error" not in result


async def test_a_request_that_is_told_again_is_not_carried_out_again(node: Node, folder: Path, tmp_path: Path) -> None:
    (folder / "door.png").write_bytes(picture())
    async with joined(node, tmp_path, folder=folder):
        for request_id in ("one", "one", "two"):
            await node.ask(TOPIC, **video_request("door.png", request_id=request_id))
        results = await node.results(2)
        await node.ask(TOPIC, **video_request("door.png", request_id="three"))
        results = await node.results(3)
    assert [result["request_id"] for result in results] == ["one", "two", "three"]


async def test_too_many_requests_are_refused_and_the_others_answered(node: Node, folder: Path, tmp_path: Path) -> None:
    (folder / "door.png").write_bytes(picture())
    async with joined(node, tmp_path, folder=folder, waiting=2) as api:
        async with held(api.backend.services.lane):
            await node.ask(TOPIC, **video_request("door.png", request_id="0"))
            await until(lambda: api.backend.services.lane.depth > 1)
            for number in range(1, 6):
                await node.ask(TOPIC, **video_request("door.png", request_id=str(number)))
            # One is being carried out, two wait.
            refused = await node.results(3)
        results = await node.results(6)
    assert [result["Error"]["code"] for result in refused] == ["overloaded"] * 3
    assert [result["request_id"] for result in results if "Error" not in result] == ["0", "1", "2"]


def make_link(node: Node, outbox: int = 256) -> DhtLink:
    settings = DhtSettings(enabled=True, url=node.url, outbox=outbox)
    times = LinkTimes(connect=5.0, answer=0.5, silence=0.2)
    return DhtLink(settings, lambda _request: None, lambda: datetime.now(UTC), backoff=FAST, times=times)


@contextlib.asynccontextmanager
async def linked(link: DhtLink) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def post(number: int) -> str:
    return json.dumps({"RequestPostTopicUUID": {"topic_name": RESULT, "topic_uuid": "x", "value": {"n": number}}})


async def test_what_waits_survives_a_node_that_is_killed_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with dht_node() as first:
        link = make_link(first)
        async with linked(link):
            link.send(post(0))
            await first.results(1)
            await until(lambda: link.counters.sent == 1)
            await first.wait(lambda: first.sockets)
            port = first.port
            await first.kill()
            await until(lambda: not link.connected)
            for number in range(1, 4):
                link.send(post(number))
            link.send("expired", datetime.now(UTC) - timedelta(seconds=1))
            async with dht_node(port) as second:
                values = await second.results(3)
                await until(lambda: len(link.outbox) == 0)
    assert [value["n"] for value in values] == [1, 2, 3]
    assert (link.counters.sent, link.outbox.dropped) == (4, 1)
    lines = [record.getMessage() for record in caplog.records if "DHT" in record.getMessage()]
    assert ["connected" in line for line in lines] == [True, False, True]


async def test_what_a_node_read_and_lost_is_sent_again() -> None:
    async with dht_node(forgetful=True) as node:
        link = make_link(node)
        async with linked(link):
            link.send(post(1))
            await until(lambda: link.counters.connections >= 2, 30)
            assert link.counters.sent == 0
            node.forgetful = False
            values = await node.results(1)
            await until(lambda: link.counters.sent == 1)
    assert [value["n"] for value in values] == [1]


async def test_a_quiet_connection_is_kept_and_a_dead_one_noticed() -> None:
    async with dht_node() as node:
        link = make_link(node)
        async with linked(link):
            await until(lambda: link.connected)
            await asyncio.sleep(1.0)
            assert link.counters.connections == 1
    async with dht_node(forgetful=True) as node:
        link = make_link(node)
        async with linked(link):
            await until(lambda: link.counters.connections >= 2, 30)


async def test_a_node_that_is_no_websocket_is_tried_again() -> None:
    async with dht_node() as node:
        link = make_link(node)
        link._settings = DhtSettings(url=node.url + "/elsewhere")  # type: ignore[misc]  # a wrong path
        async with linked(link):
            await asyncio.sleep(0.3)
            assert link.counters.connections == 0
            link._settings = DhtSettings(url=node.url)  # type: ignore[misc]  # it was mended there
            await until(lambda: link.connected)


async def test_an_answer_survives_a_break_while_it_is_worked_on(node: Node, folder: Path, tmp_path: Path) -> None:
    (folder / "door.png").write_bytes(picture())
    async with joined(node, tmp_path, folder=folder) as api:
        async with held(api.backend.services.lane):
            await node.ask(TOPIC, **video_request("door.png"))
            await until(lambda: api.backend.services.lane.depth > 1)
            node.hang_up()
            await until(lambda: not node.sockets)
        (result,) = await node.results()
    assert result["request_id"] == REQUEST


async def test_a_failure_of_our_own_spoils_no_later_request(
    node: Node, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "door.png").write_bytes(picture())
    sent: list[str] = []
    async with joined(node, tmp_path, folder=folder) as api:
        services = api.backend.services

        async def resolve(_host: str) -> list[str]:
            raise RuntimeError("hunter2")

        policy = LinkPolicy(LinkSettings(allow=("http://camera.lan/",)), resolve)
        requests = DhtRequests(services, policy, lambda text, **_: sent.append(text))
        task = asyncio.create_task(requests.run())
        words = {"privacy_parameter": "17", "requestor_id": "", "requestor_type": "", "request_id": ""}
        requests.take(DhtRequest(camera=True, target="http://camera.lan/", **words))
        requests.take(DhtRequest(camera=False, target="door.png", **words))
        await until(lambda: len(sent) == 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    values = [json.loads(text)["RequestPostTopicUUID"]["value"] for text in sent]
    assert [value.get("Error", {}).get("code") for value in values] == ["internal", None, None]
    assert "hunter2" not in caplog.text + json.dumps(values)


async def test_a_wrong_address_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "privface.yaml"
    config.write_text("dht: {url: 'http://x', frames_every: 0, waiting: 0}", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(config=config, environment={})
    assert len(caught.value.problems) == 3
