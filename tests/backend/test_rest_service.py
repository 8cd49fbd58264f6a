"""The backend about itself: info, health, metrics, the log of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from privface_backend import __version__
from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.plugins.builtin import BUILTIN
from privface_backend.plugins.ports import CropTemplate, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind, EngineSpec
from privface_backend.protocol import Scope, to_wire_time
from privface_backend.rest.metrics import camera_label
from privface_backend.settings_sections import EngineSettings
from support.backend import ADA, STRANGER, Api, held, picture, running, until

EVENTS = "/api/v1/events"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def test_info_says_what_is_there(api: Api) -> None:
    await api.create("Ada", ADA)
    info = (await api.call("GET", "/api/v1/info", scope=Scope.IDENTIFY)).document
    assert info["version"] == __version__
    assert info["api_version"] >= info["min_api_version"] >= 1
    assert info["instance_id"] == api.backend.core.instance_id
    assert info["ready"] is True
    assert info["trouble"] is None
    assert info["engines"]["contract"] == info["gallery"]["contract"]
    assert info["engines"]["contract"].startswith("synthetic|")
    assert info["gallery"]["contracts"] == {info["engines"]["contract"]: info["gallery"]["templates"]}
    assert (info["gallery"]["people"], info["gallery"]["faces"]) == (1, 1)
    assert info["gallery"]["people_to_enroll_again"] == 0
    assert "odd" in info["privacy"]["allowed"]["gaussian"]
    assert info["broker"]["state"] == "disabled"
    installed = {(engine["kind"], engine["name"]): engine for engine in info["installed"]}
    assert installed["detector", "synthetic"]["available"] is True
    assert installed["anonymizer", "gaussian"]["missing"] == []
    assert installed["detector", "deepface:yolov8n"]["missing"] == ["ultralytics"]


async def test_info_says_what_time_it_is_and_how_much_waits(api: Api) -> None:
    async def info() -> dict[str, Any]:
        return dict((await api.call("GET", "/api/v1/info", scope=Scope.IDENTIFY)).document)

    before = to_wire_time(api.backend.services.clock())
    now = (await info())["time"]
    assert before <= now <= to_wire_time(api.backend.services.clock())
    lane = api.backend.services.lane
    async with held(lane) as hold:
        assert (await info())["lane"] == {"waiting": 0}
        jobs = [asyncio.create_task(lane.run(lambda: None)) for _ in range(3)]
        await until(lambda: lane.waiting == 3)
        assert (await info())["lane"] == {"waiting": 3}
        hold.let_go()
        await asyncio.gather(*jobs)
    assert (await info())["lane"] == {"waiting": 0}


class CenteredAligner:
    """Cuts the middle out, whatever the face."""

    name = "centered"

    def align(self, frame: Pixels, face: DetectedFace, template: CropTemplate) -> Pixels:  # noqa: ARG002  # the port's signature
        return np.ascontiguousarray(frame[: template.size.height, : template.size.width])


def create_centered(_context: EngineContext) -> CenteredAligner:
    return CenteredAligner()


CENTERED = EngineSpec(kind=EngineKind.ALIGNER, name="centered", factory=f"{__name__}:create_centered")


async def test_info_counts_people_whose_templates_belong_to_other_engines(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await api.create("Ada", ADA)
    other = EngineSettings(detector="synthetic", recognizer="synthetic", aligner="centered")
    async with running(tmp_path, engines=other, registry=Registry((CENTERED, *BUILTIN))) as api:
        gallery = (await api.call("GET", "/api/v1/info")).document["gallery"]
        assert (gallery["people"], gallery["templates"], gallery["stale_faces"]) == (1, 0, 1)
        assert gallery["people_to_enroll_again"] == 1
        assert len(gallery["contracts"]) == 1
        assert gallery["contract"] not in gallery["contracts"]


async def test_info_says_why_the_engines_are_not_ready(tmp_path: Path) -> None:
    wrong = EngineSettings(detector="synthetic", recognizer="none such")
    async with running(tmp_path, ready=False, engines=wrong) as api:
        await until(lambda: api.backend.services.trouble() is not None)
        info = (await api.call("GET", "/api/v1/info")).document
        assert info["ready"] is False
        assert info["trouble"]["code"] == "engine_unknown"
        assert info["engines"]["contract"] is None


async def test_alive_and_ready_need_no_token(api: Api) -> None:
    assert (await api.call("GET", "/healthz", scope=None)).document == {"status": "ok"}
    ready = await api.call("GET", "/readyz", scope=None)
    assert (ready.status, ready.document) == (200, {"ready": True, "reasons": []})


async def test_a_backend_without_engines_is_alive_and_not_ready(tmp_path: Path) -> None:
    async with running(tmp_path, ready=False, engines=EngineSettings(detector="none such")) as api:
        await until(lambda: api.backend.services.trouble() is not None)
        assert (await api.call("GET", "/healthz", scope=None)).status == 200
        reply = await api.call("GET", "/readyz", scope=None)
        assert (reply.status, reply.document["reasons"]) == (503, ["engines: engine_unknown"])
        refused = await api.identify(picture(ADA))
        assert (refused.status, refused.code) == (503, "weights_missing")
        assert (await api.identify(picture(ADA), "?privacy=17")).code == "weights_missing"


async def figures(api: Api) -> dict[str, float]:
    body = (await api.call("GET", "/metrics", scope=Scope.IDENTIFY)).body.decode()
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


async def test_metrics_count_what_was_looked_at_and_what_was_not(api: Api) -> None:
    await api.create("Ada", ADA)
    before = await figures(api)
    await api.frame("door", picture(ADA, STRANGER))
    await api.frame("door", picture())
    await api.frame("door", b"words")
    await api.call("PATCH", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}", json={"enabled": False})
    await api.frame("door", picture(ADA))
    after = await figures(api)
    assert after["privface_frames_total"] - before["privface_frames_total"] == 2
    assert after["privface_faces_total"] - before["privface_faces_total"] == 2
    assert after["privface_decisions_total known ok"] == 1
    assert after["privface_decisions_total unknown below_threshold"] == 1
    assert after["privface_skipped_total camera_disabled"] == 1
    assert after["privface_skipped_total picture_format"] == 1
    assert after["privface_stage_seconds_count detect"] == 2
    assert after["privface_stage_seconds_sum total"] > after["privface_stage_seconds_sum detect"] > 0
    assert after["privface_camera_frames_total door no"] == 2
    assert after["privface_camera_frames_total door yes"] == 2
    assert after["privface_lane_depth"] == 0
    assert after["privface_resident_memory_bytes"] > 10_000_000
    assert (after["privface_people"], after["privface_enrolled_faces"]) == (1, 1)
    assert after["privface_templates"] > 1
    assert after["privface_outbox_events"] == 0


async def test_metrics_name_no_person(api: Api) -> None:
    await api.create("Ada Lovelace", ADA)
    await api.frame("door", picture(ADA))
    body = (await api.call("GET", "/metrics")).body.decode()
    assert "Lovelace" not in body
    assert "door" in body


def test_a_camera_is_a_tame_label() -> None:
    assert camera_label('rtsp://user:secret@host/1"}') == "rtsp___user_secret_host_1__"
    assert camera_label("Vordertür 2") == "Vordertür 2"


async def test_events_are_paged_and_filtered(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    made = []
    for camera, identity in (("door", ADA), ("gate", STRANGER), ("door", STRANGER), ("gate", ADA), ("hall", ADA)):
        made.append((await api.frame(camera, picture(identity))).document["events"][0])
    await api.logged(5)
    newest_first = made[::-1]

    async def ids(query: str) -> list[str]:
        reply = await api.call("GET", EVENTS + query, pattern=EVENTS, scope=Scope.IDENTIFY)
        assert reply.status == 200
        return [event["event_id"] for event in reply.document["events"]]

    assert await ids("") == newest_first
    assert await ids("?camera=gate") == [made[3], made[1]]
    assert await ids("?outcome=unknown") == [made[2], made[1]]
    assert await ids(f"?person_id={ada}") == [made[4], made[3], made[0]]
    assert await ids(f"?person_id={ada}&camera=door") == [made[0]]
    assert await ids("?person_id=nobody") == []
    pages, cursor = [], ""
    while True:
        page = (await api.call("GET", f"{EVENTS}?limit=2{cursor}", pattern=EVENTS)).document
        pages.append([event["event_id"] for event in page["events"]])
        if page["before"] is None:
            break
        cursor = f"&before={page['before']}"
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    now = api.backend.services.clock()
    assert await ids(f"?since={to_wire_time(now - timedelta(hours=1))}") == newest_first
    assert await ids(f"?since={to_wire_time(now + timedelta(hours=1))}") == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=many", "outcome=maybe", "since=yesterday", "since=2024-11-23T08:15:30"]
)
async def test_a_bad_question_for_events_is_refused(api: Api, query: str) -> None:
    reply = await api.call("GET", f"{EVENTS}?{query}", pattern=EVENTS)
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_an_event_that_is_not_there_is_not_found(api: Api) -> None:
    one = await api.call("GET", f"{EVENTS}/nothing", pattern=f"{EVENTS}/{{event}}")
    cursor = await api.call("GET", f"{EVENTS}?before=nothing", pattern=EVENTS)
    for reply in (one, cursor):
        assert (reply.status, reply.code) == (404, "event_not_found")
