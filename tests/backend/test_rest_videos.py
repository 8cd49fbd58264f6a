"""/api/v1/videos: begun, asked about, cancelled; and how little is kept."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from privface_backend.protocol import Scope
from privface_backend.rest.videos import VideoRules
from privface_backend.settings_sections import PipelineSettings
from support.backend import ADA, STRANGER, Api, Reply, form, held, picture, pixels, running, until, video

VIDEOS = "/api/v1/videos"
ONE = "/api/v1/videos/{video}"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def begin(api: Api, film: bytes, query: str = "", **fields: str) -> Reply:
    return await api.call("POST", VIDEOS + query, pattern=VIDEOS, data=form(film, name="film.mp4", **fields))


async def look(api: Api, video_id: str, query: str = "", **options: Any) -> Reply:
    return await api.call("GET", f"{VIDEOS}/{video_id}{query}", pattern=ONE, **options)


async def ended(api: Api, video_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            if (await look(api, video_id, "?after=1000000")).document["state"] in {"done", "failed"}:
                return dict((await look(api, video_id)).document)
            await asyncio.sleep(0.02)


def reading() -> bool:
    return any(thread.name.startswith("privface-video") for thread in threading.enumerate())


async def test_a_video_is_looked_at_while_nobody_waits(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    begun = await begin(api, video([pixels(), pixels(ADA), pixels(STRANGER), pixels()]))
    assert begun.status == 202
    assert begun.headers["Location"] == f"videos/{begun.document['id']}"
    assert (begun.document["state"], begun.document["frames"]) == ("waiting", [])
    document = await ended(api, begun.document["id"])
    assert document["state"] == "done"
    assert [(one["frame"], one["faces"][0]["person_id"]) for one in document["frames"]] == [(1, ada), (2, None)]
    assert {one["file"] for one in document["frames"]} == {"film.mp4"}
    assert document["progress"]["frames"] == document["progress"]["of"] == 4
    assert (document["progress"]["percent"], document["next"], document["left_out"]) == (100.0, 2, 0)


async def test_what_is_found_comes_in_pages(tmp_path: Path) -> None:
    async with running(tmp_path, video_rules=VideoRules(frames=7, page=4)) as api:
        video_id = (await begin(api, video([pixels(ADA)] * 9))).document["id"]
        assert (await ended(api, video_id))["left_out"] == 2
        first = (await look(api, video_id)).document
        second = (await look(api, video_id, f"?after={first['next']}")).document
        third = (await look(api, video_id, f"?after={second['next']}")).document
        assert (await look(api, video_id, "?after=-1")).code == "bad_request"
    frames = [one["frame"] for page in (first, second, third) for one in page["frames"]]
    assert frames == list(range(7))
    assert third["frames"] == []


async def test_progress_is_told_while_it_goes_on_and_a_delete_stops_it_at_once(api: Api) -> None:
    lane = api.backend.core.lane
    async with held(lane) as hold:
        video_id = (await begin(api, video([pixels(ADA)] * 600))).document["id"]
        await until(lambda: lane.depth == 2)
        assert (await look(api, video_id)).document["progress"]["frames"] == 0
        hold.let_go()
        async with asyncio.timeout(30):
            while True:
                document = (await look(api, video_id)).document
                if document["progress"]["frames"] > 3:
                    break
    assert document["state"] == "looking"
    assert document["progress"]["of"] == 600
    assert 0 < document["progress"]["percent"] < 100
    removed = await api.call("DELETE", f"{VIDEOS}/{video_id}", pattern=ONE)
    assert removed.status == 204
    assert not reading()
    await until(lambda: lane.depth == 0)
    for method in ("GET", "DELETE"):
        gone = await api.call(method, f"{VIDEOS}/{video_id}", pattern=ONE)
        assert (gone.status, gone.code) == (404, "not_found")


async def test_one_at_a_time_and_only_so_many(tmp_path: Path) -> None:
    async with running(tmp_path, video_rules=VideoRules(unfinished=2)) as api, held(api.backend.core.lane) as hold:
        film = video([pixels(ADA)] * 3)
        ids = [(await begin(api, film)).document["id"] for _ in range(2)]
        await until(lambda: api.backend.core.lane.depth == 2)
        assert [(await look(api, one)).document["state"] for one in ids] == ["looking", "waiting"]
        refused = await begin(api, film)
        assert (refused.status, refused.code) == (503, "overloaded")
        # One that only waits can be taken back, and makes room.
        assert (await api.call("DELETE", f"{VIDEOS}/{ids[1]}", pattern=ONE)).status == 204
        assert (await begin(api, film)).status == 202
        hold.let_go()
        assert (await ended(api, ids[0]))["state"] == "done"


async def test_what_is_done_is_forgotten(tmp_path: Path) -> None:
    film = video([pixels(ADA)])
    async with running(tmp_path / "few", video_rules=VideoRules(finished=2)) as api:
        ids = []
        for _ in range(3):
            ids.append((await begin(api, film)).document["id"])
            await ended(api, ids[-1])
        assert [(await look(api, one)).status for one in ids] == [404, 200, 200]
    async with running(tmp_path / "soon", video_rules=VideoRules(seconds=0.05)) as api:
        video_id = (await begin(api, film)).document["id"]
        async with asyncio.timeout(30):
            while (await look(api, video_id)).status == 200:  # noqa: ASYNC110  # what is waited for is the answer
                await asyncio.sleep(0.01)


async def test_a_bad_video_fails_with_its_code(tmp_path: Path) -> None:
    async with running(tmp_path, pipeline=PipelineSettings(video_seconds=1)) as api:
        for film, code in (
            (video([]), "video_without_frames"),
            (video([pixels(ADA)])[:200], "video_unreadable"),
            (video([pixels()] * 20), "body_too_large"),
        ):
            document = await ended(api, (await begin(api, film)).document["id"])
            assert (document["state"], document["error"]["code"]) == ("failed", code)


async def test_what_is_refused_at_once(api: Api) -> None:
    still = await begin(api, picture(ADA))
    assert (still.status, still.code) == (400, "bad_request")
    parameter = await begin(api, video([pixels()]), "?privacy=16")
    assert (parameter.status, parameter.code) == (400, "bad_privacy_parameter")
    card = await begin(api, video([pixels()]), card="{")
    assert (card.status, card.code) == (400, "bad_frame_card")
    no_token = await look(api, "any", scope=None)
    assert no_token.status == 401
    wrong = await api.call("GET", f"{VIDEOS}/any", pattern=ONE, scope=Scope.ENROLL)
    assert wrong.status == 403


async def test_published_it_makes_events(api: Api) -> None:
    card = json.dumps({"camera": "gate", "captured_at": "2024-11-23T08:15:30Z"})
    begun = await begin(api, video([pixels(ADA), pixels(ADA)]), "?publish=1", card=card)
    document = await ended(api, begun.document["id"])
    event = await api.event(document["frames"][-1]["events"][0])
    assert (event["camera"], event["phase"]) == ("gate", "confirmed")


async def test_cameras_come_first(tmp_path: Path) -> None:
    """A lane without room makes a video wait, not fail."""
    async with running(tmp_path, pipeline=PipelineSettings(waiting=1)) as api:
        lane = api.backend.core.lane
        async with held(lane) as hold:
            other = asyncio.create_task(api.identify(picture(ADA)))
            await until(lambda: lane.depth == 2)
            video_id = (await begin(api, video([pixels(ADA)] * 2))).document["id"]
            await until(lambda: lane.counts.refused > 0)
            hold.let_go()
            assert (await other).status == 200
        assert (await ended(api, video_id))["state"] == "done"


async def test_a_server_that_stops_stops_its_videos(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        video_id = (await begin(api, video([pixels(ADA)] * 600))).document["id"]
        async with asyncio.timeout(30):
            while (await look(api, video_id)).document["state"] != "looking":  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
        await api.stop()
        # The file's thread ends with the frame that it reads.
        await until(lambda: not reading())
