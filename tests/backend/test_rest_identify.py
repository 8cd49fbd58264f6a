"""POST /api/v1/identify: pictures, videos, and everything that is wrong with them."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from privface_backend.domain.frames import Frame
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.builtin import BUILTIN
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind, EngineSpec
from privface_backend.protocol import ErrorCode, FrameCard, Scope
from privface_backend.settings_sections import PipelineSettings, PrivacySettings, ServerSettings
from support.backend import ADA, BEN, STRANGER, Api, form, held, picture, pixels, running, until, video

IDENTIFY = "/api/v1/identify"
CLIENT_CARD = {"privacy": {"method": "gaussian", "parameter": 17, "applied_by": "client"}}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def test_people_in_a_picture_are_named_and_strangers_are_not(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    await api.create("Ben", BEN)
    reply = await api.identify(picture(ADA, STRANGER), scope=Scope.IDENTIFY)
    assert reply.status == 200
    left, right = sorted(reply.document["faces"], key=lambda face: face["box"][0])
    assert (left["outcome"], left["person"], left["person_id"]) == ("known", "Ada", ada)
    assert (right["outcome"], right["person"], right["reason"]) == ("unknown", None, "below_threshold")
    assert reply.document["file"] == "picture.png"
    assert reply.document["frame"] == 0
    assert reply.document["privacy"]["applied_by"] == "backend"
    assert reply.document["privacy"]["parameter"] == 17
    assert reply.document["engine"] == {"detector": "synthetic", "recognizer": "synthetic"}


async def test_a_picture_without_a_face_says_so(api: Api) -> None:
    reply = await api.identify(picture())
    assert (reply.status, reply.document["reason"], reply.document["faces"]) == (200, "no_face", [])


async def test_detail_adds_pixels_and_the_nearest_people(api: Api) -> None:
    await api.create("Ada", ADA)
    plain = await api.identify(picture(ADA))
    detailed = await api.identify(picture(ADA), "?detail=1")
    assert "detail" not in plain.document
    [face] = detailed.document["detail"]["faces"]
    assert face["candidates"][0]["person"] == "Ada"
    assert face["box_px"] == pytest.approx([20, 80, 160, 160], abs=4)


async def test_a_body_that_is_the_picture_itself_works_with_its_card_in_a_header(api: Api) -> None:
    headers = {"Content-Type": "image/png", "X-PrivFace-Frame-Card": json.dumps(CLIENT_CARD)}
    reply = await api.call("POST", IDENTIFY, data=picture(ADA, kernel=17), headers=headers)
    assert reply.status == 200
    assert reply.document["file"] is None
    assert reply.document["privacy"]["applied_by"] == "client"


async def test_a_card_in_the_form_says_how_the_frame_was_anonymized(api: Api) -> None:
    reply = await api.call("POST", IDENTIFY, data=form(picture(ADA, kernel=17), card=json.dumps(CLIENT_CARD)))
    assert reply.document["privacy"]["applied_by"] == "client"
    assert reply.document["privacy"]["relative"] > 0


async def test_a_frame_with_more_detail_than_its_card_says_is_refused(api: Api, tmp_path: Path) -> None:
    sharper = form(picture(ADA, kernel=5), card=json.dumps(CLIENT_CARD))
    reply = await api.call("POST", IDENTIFY, data=sharper)
    assert (reply.status, reply.code) == (422, "not_anonymized")
    assert "nothing drawn over it" in reply.document["error"]["allowed"]
    async with running(tmp_path / "trusting", privacy=PrivacySettings(check_claims=False)) as trusting:
        taken = await trusting.call("POST", IDENTIFY, data=form(picture(ADA), card=json.dumps(CLIENT_CARD)))
        assert taken.status == 200


async def test_noise_is_stated_in_the_answer_and_may_be_asked_for(api: Api) -> None:
    reply = await api.identify(picture(ADA), "?method=pixelate%2Bnoise&privacy=4")
    assert (reply.document["privacy"]["epsilon"], reply.document["privacy"]["sensitivity"]) == (1.0, 16)
    card = {"privacy": {"method": "pixelate+noise", "parameter": 4, "epsilon": 250.5, "sensitivity": 2}}
    asked = await api.call("POST", IDENTIFY, data=form(picture(ADA), card=json.dumps(card)))
    privacy = asked.document["privacy"]
    assert (privacy["epsilon"], privacy["sensitivity"], privacy["applied_by"]) == (250.5, 2, "backend")
    card["privacy"]["epsilon"] = 0
    refused = await api.call("POST", IDENTIFY, data=form(picture(ADA), card=json.dumps(card)))
    assert (refused.status, refused.code) == (400, "bad_privacy_parameter")
    assert "0.001 to 1000" in refused.document["error"]["allowed"]


async def test_a_file_name_is_shown_without_its_path(api: Api) -> None:
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("file", picture(ADA), filename="../../etc/../passwd.png")
    reply = await api.call("POST", IDENTIFY, data=data)
    assert reply.document["file"] == "passwd.png"


@pytest.mark.parametrize("text", ["18", "-3", "0", "257", "1000000007", "9" * 5000, "wide", "17.0", ""])
async def test_a_bad_privacy_parameter_is_refused_with_what_is_allowed(api: Api, text: str) -> None:
    reply = await api.identify(picture(ADA), f"?privacy={text}")
    assert (reply.status, reply.code) == (400, "bad_privacy_parameter")
    assert "odd" in reply.document["error"]["allowed"]


async def test_a_bad_privacy_parameter_is_refused_in_a_card_too(api: Api) -> None:
    card = {"privacy": {"method": "gaussian", "parameter": 18, "applied_by": "client"}}
    reply = await api.call("POST", IDENTIFY, data=form(picture(ADA), card=json.dumps(card)))
    assert (reply.status, reply.code) == (400, "bad_privacy_parameter")


async def test_an_unknown_method_is_refused_with_those_that_exist(api: Api) -> None:
    reply = await api.identify(picture(ADA), "?method=glasses")
    assert (reply.status, reply.code) == (400, "bad_privacy_parameter")
    assert "gaussian" in reply.document["error"]["allowed"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?privacy=9", ("gaussian", 9)),
        ("?method=gaussian", ("gaussian", 17)),
        ("?method=none", ("none", 1)),
        ("?method=pixelate&privacy=8", ("pixelate", 8)),
    ],
)
async def test_method_and_parameter_are_used(api: Api, query: str, expected: tuple[str, int]) -> None:
    privacy = (await api.identify(picture(ADA), query)).document["privacy"]
    assert (privacy["method"], privacy["parameter"]) == expected


async def test_a_method_alone_is_as_strong_as_the_default(api: Api) -> None:
    gaussian = (await api.identify(picture(ADA))).document["privacy"]
    pixelate = (await api.identify(picture(ADA), "?method=pixelate")).document["privacy"]
    assert pixelate["method"] == "pixelate"
    assert pixelate["relative"] == pytest.approx(gaussian["relative"], rel=0.2)


async def test_saying_twice_how_to_anonymize_is_refused(api: Api) -> None:
    data = form(picture(ADA), card=json.dumps(CLIENT_CARD))
    reply = await api.call("POST", f"{IDENTIFY}?privacy=9", pattern=IDENTIFY, data=data)
    assert (reply.status, reply.code) == (400, "bad_request")


def _many_pixels() -> bytes:
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


def _gif() -> bytes:
    file = io.BytesIO()
    Image.new("P", (64, 64)).save(file, "GIF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(_many_pixels(), 413, "picture_too_large", id="100 megapixels"),
        pytest.param(b"These are words. " * 100, 415, "picture_format", id="text"),
        pytest.param(picture(ADA, kind=".jpg")[:4000], 400, "picture_truncated", id="half a JPEG"),
        pytest.param(b"\xff\xd8\xff", 400, "picture_truncated", id="three bytes of a JPEG"),
        pytest.param(_gif(), 415, "picture_format", id="GIF"),
    ],
)
async def test_a_bad_picture_is_refused_with_its_code(api: Api, data: bytes, status: int, code: str) -> None:
    reply = await api.call("POST", IDENTIFY, data=data, headers={"Content-Type": "image/jpeg"})
    assert (reply.status, reply.code) == (status, code)
    assert (await api.identify(data)).code == code
    # Nothing is lost: the next one works.
    assert (await api.identify(picture(ADA))).status == 200


@pytest.mark.parametrize(
    "card",
    [
        "{",
        "[]",
        '"door"',
        '{"camera": 7, "captured_at": "yesterday"}',
        '{"captured_at": "2024-11-23T08:15:30"}',
        '{"captured_at": "9999-12-31T23:59:59Z"}',
        '{"captured_at": 1e300}',
        '{"camera": "../door"}',
        '{"camera": "do\\u0000or"}',
        '{"camera": "\\ud800"}',
        '{"privacy": {"parameter": "strong"}}',
        '{"privacy": "strong"}',
        '{"request_id": NaN}',
        "[" * 50_000,
    ],
)
async def test_a_bad_frame_card_is_refused(api: Api, card: str) -> None:
    reply = await api.call("POST", IDENTIFY, data=form(picture(ADA), card=card))
    assert (reply.status, reply.code) == (400, "bad_frame_card")


async def test_an_empty_file_is_refused(api: Api) -> None:
    assert (await api.identify(b"")).code == "picture_format"
    empty = await api.call("POST", IDENTIFY, data=b"", headers={"Content-Type": "image/jpeg"})
    assert (empty.status, empty.code) == (400, "bad_request")


async def test_one_file_is_needed(api: Api) -> None:
    two = await api.call("POST", IDENTIFY, data=form(picture(ADA), picture(BEN)))
    none = await api.call("POST", IDENTIFY, data=form(other="x"))
    words = await api.call("POST", IDENTIFY, data=b"x=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    nothing = await api.call("POST", IDENTIFY)
    assert [reply.code for reply in (two, none, words, nothing)] == ["bad_request"] * 4


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--frontier",
        b"--frontier\r\n",
        b'--frontier\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf',
        b"no boundary at all",
        b"--frontier\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--frontier--\r\n",
    ],
)
async def test_a_malformed_form_is_refused(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    reply = await api.call("POST", IDENTIFY, data=body, headers=headers)
    assert (reply.status, reply.code) == (400, "bad_request")
    headers = {"Content-Type": "multipart/form-data"}
    assert (await api.call("POST", IDENTIFY, data=body, headers=headers)).code == "bad_request"


async def test_a_form_of_too_many_parts_is_refused(api: Api) -> None:
    reply = await api.call("POST", IDENTIFY, data=form(*[b"x"] * 40))
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_a_body_over_the_limit_is_refused_however_it_comes(tmp_path: Path) -> None:
    large = b"\xff\xd8\xff" + bytes(2 * 1024 * 1024)

    async def in_pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    async with running(tmp_path, server=ServerSettings(body_megabytes=1)) as api:
        jpeg = {"Content-Type": "image/jpeg"}
        announced = await api.call("POST", IDENTIFY, data=large, headers=jpeg)
        chunked = await api.call("POST", IDENTIFY, data=in_pieces(), headers=jpeg)
        in_a_form = await api.identify(large)
        packed = await api.call(
            "POST", IDENTIFY, data=gzip.compress(large), headers=jpeg | {"Content-Encoding": "gzip"}
        )
        for reply in (announced, chunked, in_a_form, packed):
            assert (reply.status, reply.code) == (413, "body_too_large")


async def test_a_clear_frame_is_refused_where_the_client_must_anonymize(tmp_path: Path) -> None:
    async with running(tmp_path, privacy=PrivacySettings(require_client=True)) as api:
        clear = await api.identify(picture(ADA))
        blurred = await api.call("POST", IDENTIFY, data=form(picture(ADA, kernel=17), card=json.dumps(CLIENT_CARD)))
        assert (clear.status, clear.code) == (422, "not_anonymized")
        assert blurred.status == 200


async def test_nothing_is_published_unless_asked(api: Api) -> None:
    services = api.backend.services
    with services.bus.listen() as listener:
        assert "events" not in (await api.identify(picture(ADA))).document
        published = await api.identify(picture(ADA), "?publish=1")
        [event_id] = published.document["events"]
        async with asyncio.timeout(10):
            message = await listener.get()
        assert message.payload["event_id"] == event_id
        assert message.payload["request_id"] == published.headers["X-Request-Id"]


async def test_a_full_lane_answers_overloaded(tmp_path: Path) -> None:
    async with running(tmp_path, pipeline=PipelineSettings(waiting=1)) as api, held(api.backend.core.lane) as hold:
        waiting = asyncio.create_task(api.identify(picture(ADA)))
        await until(lambda: api.backend.core.lane.depth == 2)
        refused = await api.identify(picture(ADA))
        assert (refused.status, refused.code) == (503, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        not_ready = await api.call("GET", "/readyz", scope=None)
        assert (not_ready.status, not_ready.document["reasons"]) == (503, ["lane: full"])
        hold.let_go()
        assert (await waiting).status == 200


async def test_a_video_is_answered_with_a_line_for_each_frame_with_a_face(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    data = video([pixels(), pixels(ADA), pixels(), pixels(ADA), pixels(STRANGER)])
    reply = await api.call("POST", IDENTIFY, data=form(data, name="door.mp4"))
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    assert [line["frame"] for line in reply.lines] == [1, 3, 4]
    assert [line["faces"][0]["person_id"] for line in reply.lines] == [ada, ada, None]
    assert {line["file"] for line in reply.lines} == {"door.mp4"}


@pytest.mark.parametrize("media_type", ["video/mp4", "application/octet-stream"])
async def test_a_body_that_is_the_video_itself_works(api: Api, media_type: str) -> None:
    data = video([pixels(ADA)])
    reply = await api.call(
        "POST", f"{IDENTIFY}?detail=1", pattern=IDENTIFY, data=data, headers={"Content-Type": media_type}
    )
    assert reply.status == 200
    assert [line["detail"]["frame_size"] for line in reply.lines] == [[640, 360]]


async def test_a_video_without_a_face_is_answered_with_its_last_frame(api: Api) -> None:
    reply = await api.identify(video([pixels()] * 3))
    assert [(line["frame"], line["reason"], line["faces"]) for line in reply.lines] == [(2, "no_face", [])]


async def test_a_video_published_makes_events_with_the_times_of_its_frames(api: Api) -> None:
    card = json.dumps({"camera": "gate", "captured_at": "2024-11-23T08:15:30Z"})
    data = form(video([pixels(ADA), pixels(ADA)]), card=card)
    reply = await api.call("POST", f"{IDENTIFY}?publish=1", pattern=IDENTIFY, data=data)
    # What is decided at the end comes with the last frame once more.
    assert [(line["frame"], len(line["events"])) for line in reply.lines] == [(0, 0), (1, 0), (1, 1)]
    event = await api.event(reply.lines[-1]["events"][0])
    assert (event["camera"], event["phase"]) == ("gate", "confirmed")
    assert event["captured_at"] == "2024-11-23T08:15:30.100Z"


async def test_a_video_published_says_what_it_is_sure_of_as_it_goes(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    reply = await api.identify(video([pixels(ADA, STRANGER)] * 8), "?publish=1")
    told = [await api.event(event_id) for line in reply.lines for event_id in line["events"]]
    assert [(event["phase"], event["votes"]) for event in told if event["person_id"] == ada] == [
        ("provisional", {"known": 2, "unknown": 0}),
        ("confirmed", {"known": 4, "unknown": 0}),
    ]
    assert [event["phase"] for event in told if event["outcome"] == "unknown"] == ["provisional", "confirmed"]
    assert [event["seq"] for event in told] == [0, 0, 1, 1]
    assert len({event["visit_id"] for event in told}) == 2
    assert all(event["corrects"] is None for event in told)


async def test_a_video_published_makes_no_event_of_the_future(api: Api) -> None:
    reply = await api.identify(video([pixels(ADA)] * 30), "?publish=1")
    events = [await api.event(event_id) for line in reply.lines for event_id in line["events"]]
    assert [event["phase"] for event in events] == ["provisional", "confirmed"]
    assert all(event["captured_at"] <= event["ts"] for event in events)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(video([]), "video_without_frames", id="no frames"),
        pytest.param(b"These are words. " * 100, "video_unreadable", id="text"),
        pytest.param(video([pixels(ADA)])[:200], "video_unreadable", id="cut off"),
    ],
)
async def test_a_bad_video_is_refused_with_its_code(api: Api, data: bytes, code: str) -> None:
    reply = await api.call("POST", IDENTIFY, data=data, headers={"Content-Type": "video/mp4"})
    assert (reply.status, reply.code) == (400, code)


async def test_a_video_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, pipeline=PipelineSettings(video_seconds=1)) as api:
        reply = await api.identify(video([pixels()] * 20))
        assert (reply.status, reply.code) == (413, "body_too_large")


class BrokenSource:
    """Two good frames, then an error."""

    name = "video"

    def __init__(self, card: FrameCard) -> None:
        self._card = card

    async def frames(self) -> AsyncGenerator[Frame, None]:
        for index in range(2):
            yield Frame(pixels=pixels(ADA), card=self._card, index=index)
        await asyncio.sleep(0)
        raise PrivFaceError(ErrorCode.VIDEO_UNREADABLE, "The video broke off.")


def create_broken(context: EngineContext) -> BrokenSource:
    card = context.options["card"]
    assert isinstance(card, FrameCard)
    return BrokenSource(card)


class EndlessSource(BrokenSource):
    """A frame with a face, then frames without one until it is closed."""

    closed = 0

    async def frames(self) -> AsyncGenerator[Frame, None]:
        try:
            yield Frame(pixels=pixels(ADA), card=self._card, index=0)
            while True:
                await asyncio.sleep(0)
                yield Frame(pixels=pixels(), card=self._card, index=1)
        finally:
            type(self).closed += 1


def create_endless(context: EngineContext) -> EndlessSource:
    card = context.options["card"]
    assert isinstance(card, FrameCard)
    return EndlessSource(card)


def _registry(factory: str) -> Registry:
    return Registry((EngineSpec(kind=EngineKind.SOURCE, name="video", factory=f"{__name__}:{factory}"), *BUILTIN))


async def test_a_video_that_breaks_off_ends_with_a_line_that_says_why(tmp_path: Path) -> None:
    async with running(tmp_path, registry=_registry("create_broken")) as api:
        reply = await api.call("POST", IDENTIFY, data=b"any", headers={"Content-Type": "video/mp4"})
        assert reply.status == 200
        *found, last = reply.lines
        assert [line["frame"] for line in found] == [0, 1]
        assert last["error"]["code"] == "video_unreadable"
        assert last["request_id"] == reply.headers["X-Request-Id"]


async def test_a_caller_that_hangs_up_stops_the_video(tmp_path: Path) -> None:
    EndlessSource.closed = 0
    async with running(tmp_path, registry=_registry("create_endless")) as api:
        headers = {"Content-Type": "video/mp4", "Authorization": f"Bearer {api.tokens[Scope.IDENTIFY]}"}
        async with api.session.post(api.url + IDENTIFY, data=b"any", headers=headers) as response:
            assert await response.content.readline()
            response.close()
        await until(lambda: EndlessSource.closed == 1)
        assert (await api.identify(picture(ADA))).status == 200


async def test_a_caller_that_hangs_up_while_nothing_is_found_stops_the_video_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written meanwhile that could fail: the lane is free, the file's thread is gone, nothing is wrong."""
    film = video([pixels()] * 600)
    async with running(tmp_path) as api:
        headers = {"Content-Type": "video/mp4", "Authorization": f"Bearer {api.tokens[Scope.IDENTIFY]}"}
        finished = api.backend.core.lane.counts.finished
        asked = asyncio.ensure_future(api.session.post(api.url + IDENTIFY, data=film, headers=headers))
        await until(lambda: api.backend.core.lane.counts.finished > finished + 3)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await until(lambda: api.backend.core.lane.depth == 0 and not reading())
        assert api.backend.core.lane.counts.finished < finished + 600
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def reading() -> bool:
    return any(thread.name.startswith("privface-video") for thread in threading.enumerate())


async def test_a_video_tells_how_far_it_is_where_that_is_wanted(api: Api) -> None:
    reply = await api.identify(video([pixels(), pixels(ADA), pixels(), pixels()]), "?progress=1")
    told = [line["progress"] for line in reply.lines if "progress" in line]
    assert told[0] == {"frames": 1, "of": 4, "seconds": 0.0, "of_seconds": pytest.approx(0.4), "percent": 25.0}
    assert told[-1] == {"frames": 4, "of": 4, "seconds": 0.3, "of_seconds": pytest.approx(0.4), "percent": 100.0}
    assert [line["frame"] for line in reply.lines if "frame" in line] == [1]


async def test_a_running_request_is_finished_when_the_server_stops(api: Api) -> None:
    async with held(api.backend.core.lane) as hold:
        asked = asyncio.create_task(api.identify(picture(ADA)))
        await until(lambda: api.backend.core.lane.depth == 2)
        stopping = asyncio.create_task(api.stop())
        # New connections are refused, and the running request is still waited for.
        await until(lambda: _refuses(api.port))
        assert not stopping.done()
        hold.let_go()
        assert (await asked).status == 200
        await stopping


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
