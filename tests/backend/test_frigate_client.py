"""Frigate over HTTP: logins, certificates, and everything that may be wrong with an answer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

import pytest
import trustme
from aiohttp import web

from privface_backend.frigate.client import ClientLimits, FailureKind, FrigateClient, FrigateError, open_client
from privface_backend.frigate.settings import FrigateSettings
from support.frigate_server import FrigateServer, jpeg, make_config
from support.mqtt import until

EVENT = "1607123955.475377-mxklsc"
SECRET = "hunter2"


def settings(frigate: FrigateServer, **changes: Any) -> FrigateSettings:
    given = {"url": frigate.url, "username": "anna", "password": SECRET, **changes}
    return FrigateSettings(enabled=True, **given)


async def ask(client: FrigateClient, what: str) -> object:
    match what:
        case "snapshot":
            return await client.snapshot(EVENT)
        case "latest":
            return await client.latest("door")
        case "config":
            return await client.recognizes_faces()
        case _:
            await client.set_sub_label(EVENT, "Ada", 0.9)
            return None


async def failure(client: FrigateClient, what: str = "snapshot") -> FrigateError:
    with pytest.raises(FrigateError) as caught:
        await ask(client, what)
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__context__}"
    return caught.value


async def test_pictures_come_as_they_are() -> None:
    async with FrigateServer(snapshots={EVENT: jpeg(1)}, latest={"door": jpeg(2)}) as frigate:
        async with open_client(settings(frigate)) as client:
            assert await client.snapshot(EVENT) == jpeg(1)
            assert await client.latest("door") == jpeg(2)
        assert frigate.asked == [
            f"GET /api/events/{EVENT}/snapshot.jpg?crop=1&bbox=0&timestamp=0&quality=95",
            "GET /api/door/latest.jpg?quality=95",
        ]
        async with open_client(settings(frigate, crop=False)) as client:
            await client.snapshot(EVENT)
        assert "crop=0" in frigate.asked[-1]
        # Where nobody asks for a login, none is made, and nothing is told.
        assert frigate.logins == 0
        assert not any("Authorization" in headers for headers in frigate.agents)


async def test_a_path_in_front_of_the_address_is_kept() -> None:
    async with FrigateServer(latest={"door": jpeg(2)}) as frigate:
        async with open_client(settings(frigate, url=f"{frigate.url}/nvr")) as client:
            assert (await failure(client, "latest")).kind is FailureKind.MISSING
        assert frigate.asked == ["GET /nvr/api/door/latest.jpg?quality=95"]


@pytest.mark.parametrize("cookie", ["frigate_token", "renamed"])
async def test_a_login_is_made_once_and_again_when_it_runs_out(cookie: str) -> None:
    async with FrigateServer(password=SECRET, cookie=cookie, snapshots={EVENT: jpeg(1)}) as frigate:
        async with open_client(settings(frigate)) as client:
            for _ in range(3):
                assert await client.snapshot(EVENT) == jpeg(1)
            assert frigate.logins == 1
            frigate.tokens.clear()
            assert await client.snapshot(EVENT) == jpeg(1)
            await client.set_sub_label(EVENT, "Ada", 0.9)
            assert frigate.logins == 2
        assert frigate.sub_labels == [(EVENT, {"subLabel": "Ada", "subLabelScore": 0.9})]


async def test_many_at_once_share_a_login() -> None:
    async with (
        FrigateServer(password=SECRET, snapshots={EVENT: jpeg(1)}) as frigate,
        open_client(settings(frigate)) as client,
    ):
        assert await asyncio.gather(*(client.snapshot(EVENT) for _ in range(8))) == [jpeg(1)] * 8
        assert frigate.logins == 1


async def test_a_wrong_password_is_not_tried_again_at_once() -> None:
    now = 0.0
    async with (
        FrigateServer(password="another", snapshots={EVENT: jpeg(1)}) as frigate,
        open_client(settings(frigate), ClientLimits(login_pause=60), monotonic=lambda: now) as client,
    ):
        assert (await failure(client)).kind is FailureKind.REFUSED
        assert (await failure(client)).kind is FailureKind.REFUSED
        assert frigate.logins == 1
        now = 61.0
        frigate.password = SECRET
        assert await client.snapshot(EVENT) == jpeg(1)


async def test_without_a_user_a_login_is_not_tried() -> None:
    async with (
        FrigateServer(password=SECRET, snapshots={EVENT: jpeg(1)}) as frigate,
        open_client(settings(frigate, username=None, password=None)) as client,
    ):
        assert (await failure(client)).kind is FailureKind.REFUSED
        assert frigate.logins == 0


async def test_a_viewer_may_look_and_not_write() -> None:
    async with (
        FrigateServer(password=SECRET, role="viewer", snapshots={EVENT: jpeg(1)}) as frigate,
        open_client(settings(frigate)) as client,
    ):
        assert await client.snapshot(EVENT) == jpeg(1)
        error = await failure(client, "sub_label")
        assert error.kind is FailureKind.REFUSED
        assert "may not" in error.reason


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    """One that nobody trusts, as Frigate makes for itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_certificate_of_its_own_needs_the_setting(certificate: ssl.SSLContext) -> None:
    async with FrigateServer(certificate=certificate, password=SECRET, snapshots={EVENT: jpeg(1)}) as frigate:
        async with open_client(settings(frigate)) as client:
            error = await failure(client)
            # docs/FRIGATE.md says what to do about it.
            assert (error.kind, error.reason) == (
                FailureKind.UNREACHABLE,
                "it can't be reached (its certificate is not trusted)",
            )
        assert frigate.asked == []
        async with open_client(settings(frigate, verify_tls=False)) as client:
            assert await client.snapshot(EVENT) == jpeg(1)
        assert frigate.logins == 1


HTML = "<html>sign in</html>"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (web.Response(text=HTML, content_type="text/html"), FailureKind.BAD_ANSWER),
        (web.Response(text=HTML, content_type="image/jpeg"), FailureKind.BAD_ANSWER),
        (web.Response(body=b"", content_type="image/jpeg"), FailureKind.BAD_ANSWER),
        (web.Response(body=b"\xff\xd8" + bytes(5000), content_type="image/jpeg"), FailureKind.BAD_ANSWER),
        (web.Response(body=jpeg(1), content_type="application/json"), FailureKind.BAD_ANSWER),
        (web.Response(status=418), FailureKind.BAD_ANSWER),
        (web.Response(status=404), FailureKind.MISSING),
        (web.Response(status=500), FailureKind.UNREACHABLE),
        (web.Response(status=429), FailureKind.REFUSED),
        (web.Response(status=403), FailureKind.REFUSED),
        (web.Response(status=302, headers={"Location": "/login"}), FailureKind.REFUSED),
    ],
)
@pytest.mark.parametrize("what", ["snapshot", "latest"])
async def test_an_answer_that_is_no_picture_is_refused(what: str, answer: web.Response, kind: FailureKind) -> None:
    limits = ClientLimits(picture_bytes=4096)
    async with (
        FrigateServer(garbage=answer) as frigate,
        open_client(settings(frigate, username=None, password=None), limits) as client,
    ):
        error = await failure(client, what)
        assert error.kind is kind
        assert "sign in" not in str(error)
        # No redirect is followed, whoever sends it.
        assert len(frigate.asked) == 1


async def test_a_redirect_to_a_login_is_one_that_is_asked_for() -> None:
    async with (
        FrigateServer(garbage=web.Response(status=302, headers={"Location": "http://elsewhere.invalid/"})) as frigate,
        open_client(settings(frigate)) as client,
    ):
        assert (await failure(client)).kind is FailureKind.REFUSED
        assert frigate.logins == 1
        assert frigate.asked[1:] == ["POST /api/login"]


@pytest.mark.parametrize(("seconds", "connect"), [(0.2, 5.0), (0.2, 0.2)])
async def test_one_that_hangs_is_given_up(seconds: float, connect: float) -> None:
    async with (
        FrigateServer(snapshots={EVENT: jpeg(1)}) as frigate,
        open_client(settings(frigate), ClientLimits(seconds=seconds, connect_seconds=connect)) as client,
    ):
        frigate.open.clear()
        error = await failure(client)
        assert (error.kind, error.reason) == (FailureKind.UNREACHABLE, "it doesn't answer in time")
        frigate.open.set()
        assert await client.snapshot(EVENT) == jpeg(1)


async def test_one_that_is_killed_and_comes_back() -> None:
    async with FrigateServer(snapshots={EVENT: jpeg(1)}) as frigate, open_client(settings(frigate)) as client:
        frigate.open.clear()
        asking = asyncio.create_task(failure(client))
        await until(lambda: frigate.asked)
        await frigate.kill()
        assert (await asking).kind is FailureKind.UNREACHABLE
        error = await failure(client)
        assert error.kind is FailureKind.UNREACHABLE
        assert "127.0.0.1" not in str(error)
        frigate.open.set()
        await frigate.start()
        assert await client.snapshot(EVENT) == jpeg(1)


RECOGNIZING = {"enabled": True}


@pytest.mark.parametrize(
    ("config", "on"),
    [
        (make_config("door", "hall"), False),
        (make_config(enabled=True), True),
        # Versions before 0.16 know no face recognition.
        ({"cameras": {"door": {}}}, False),
        ({"cameras": {}}, False),
        ({"cameras": {"door": {}, "hall": {"face_recognition": RECOGNIZING}}}, True),
        ({"cameras": {"door": {}}, "face_recognition": RECOGNIZING}, True),
        # What isn't surely off is on.
        ({"cameras": {"door": {}}, "face_recognition": {"min_area": 750}}, True),
        ({"cameras": {"door": {}}, "face_recognition": {"enabled": "false"}}, True),
        ({"cameras": {"door": {}}, "face_recognition": "small"}, True),
    ],
)
async def test_whether_frigate_recognizes_faces_itself(config: object, on: bool) -> None:
    async with FrigateServer(config=config) as frigate, open_client(settings(frigate)) as client:
        assert await client.recognizes_faces() is on


@pytest.mark.parametrize("config", [None, [], "x", {}, {"cameras": None}, {"message": "no"}])
async def test_a_configuration_that_is_none_is_no_answer(config: object) -> None:
    async with FrigateServer(config=config) as frigate, open_client(settings(frigate)) as client:
        assert (await failure(client, "config")).kind is FailureKind.BAD_ANSWER


async def test_sub_labels_are_written_and_taken_away() -> None:
    async with FrigateServer(snapshots={EVENT: jpeg(1)}) as frigate, open_client(settings(frigate)) as client:
        await client.set_sub_label(EVENT, "A" * 300, 0.5)
        await client.set_sub_label(EVENT, "")
        frigate.snapshots.clear()
        assert (await failure(client, "sub_label")).kind is FailureKind.MISSING
    assert [body for _, body in frigate.sub_labels] == [
        {"subLabel": "A" * 100, "subLabelScore": 0.5},
        {"subLabel": ""},
    ]


async def test_nothing_of_a_login_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FrigateServer(password="another", snapshots={EVENT: jpeg(1)}) as frigate:
        given = settings(frigate)
        async with open_client(given) as client:
            await failure(client)
            frigate.password = SECRET
        async with open_client(given) as client:
            await client.snapshot(EVENT)
    assert SECRET not in caplog.text
    assert frigate.tokens[0] not in caplog.text
    assert SECRET not in repr(given)
