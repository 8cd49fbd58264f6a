"""The component's client against the real backend, on a real socket: every method."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import pytest
from aiohttp import web

from privface_backend import __version__
from privface_backend.domain.frames import Pixels
from privface_backend.protocol import Scope
from privface_backend.rest.application import create_application
from privface_backend.settings_sections import EngineSettings, PrivacySettings, ServerSettings
from support.backend import ADA, BEN, STRANGER, Api, encode, held, pixels, running, serve, until
from support.component import load_package

api: Any = load_package("api")

NO_PICTURE = b"anything"


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as backend:
        yield backend


@pytest.fixture
def client(backend: Api) -> Any:
    return make_client(backend)


def make_client(backend: Api, scope: Scope | None = Scope.ADMIN, **options: Any) -> Any:
    token = "" if scope is None else backend.tokens[scope]
    return api.PrivFaceClient(backend.session, backend.url, token, **options)


def blurred(frame: Pixels, kernel: int = 9) -> bytes:
    """A frame as the component sends it."""
    return encode(cv2.GaussianBlur(frame, (kernel, kernel), 0).astype("uint8"))


def privacy(kernel: int = 9) -> Any:
    return api.Privacy(method="gaussian", parameter=kernel, applied_by=api.AppliedBy.CLIENT)


def card(camera: str = "door", **changes: Any) -> Any:
    """The card of a frame that comes alone."""
    made = api.FrameCard(
        camera=camera,
        captured_at=datetime.now(UTC),
        privacy=privacy(),
        source=api.FrameSource.HOMEASSISTANT,
        requestor=api.Requestor(id="automation", type="homeassistant"),
        trigger="binary_sensor.bell",
        more=False,
    )
    return replace(made, **changes)


async def enrolled(client: Any, name: str, identity: int) -> Any:
    person = await client.create_person(name)
    frame = pixels(identity)
    await client.enroll(person.id, [(blurred(frame, kernel), privacy(kernel)) for kernel in (9, 17)])
    return person


@contextlib.contextmanager
def refused(code: str, kind: str = "RefusedError") -> Iterator[Any]:
    """The block must fail with that error; it is the ``value`` of what is given."""
    with pytest.raises(api.ClientError) as caught:
        yield caught
    assert (type(caught.value), caught.value.code) == (getattr(api, kind), code)


class TestCalibration:
    async def test_before_and_after_it_is_made(self, backend: Api, client: Any) -> None:
        for name, identity in (("Ada", ADA), ("Ben", BEN)):
            person = await client.create_person(name)
            for side in (120, 160):
                frame = pixels(identity, side=side)
                await client.enroll(person.id, [(blurred(frame, kernel), privacy(kernel)) for kernel in (9, 17)])
        before = await client.calibration()
        assert (before.searchable, before.current, before.chosen, before.face_widths) == (2, False, None, {})
        made = await make_client(backend, Scope.ENROLL).calibrate(0.8)
        assert (made.gallery, made.current) == (before.gallery, True)
        level = made.chosen
        assert level.relative > 0
        assert (level.known, level.mistaken, level.named, level.share) == (level.probes, 0, 0, 1)
        assert 0 < level.low < level.high <= 1
        assert await client.calibration() == made

    async def test_what_cannot_be_made(self, client: Any) -> None:
        with refused("too_few_faces"):
            await client.calibrate(0.9)
        with refused("bad_request"):
            await client.calibrate(0.1)

    @pytest.mark.parametrize(
        "change",
        [
            {"enrolled": {}},
            {"current": "yes"},
            {"cameras": None},
            {"result": {"chosen": 0.03, "levels": [{"relative": 0.03}]}},
            {"result": {"chosen": "strong"}},
        ],
    )
    def test_answers_of_another_shape(self, change: dict[str, Any]) -> None:
        answer = {"enrolled": {"gallery": "1", "searchable": 2}, "current": True, "result": None, "cameras": []}
        assert api.Calibration.from_dict(answer).chosen is None
        with pytest.raises(api.WireError):
            api.Calibration.from_dict(answer | change)


class TestInfo:
    async def test_it_says_how_the_backend_stands(self, backend: Api, client: Any) -> None:
        await enrolled(client, "Ada", ADA)
        before = datetime.now(UTC) - timedelta(seconds=1)
        info = await client.info()
        assert (info.version, info.api_version, info.min_api_version) == (__version__, api.API_VERSION, 1)
        assert info.instance_id == backend.backend.core.instance_id
        assert (info.ready, info.trouble) == (True, None)
        assert (info.detector, info.recognizer) == ("synthetic", "synthetic")
        assert info.contract.startswith("synthetic|")
        assert (info.method, info.parameter, info.require_client, info.working_size) == ("gaussian", 17, False, 640)
        assert (info.people, info.faces, info.stale_faces, info.people_to_enroll_again) == (1, 1, 0, 0)
        assert info.templates >= 1
        assert dict(info.weights) == {}
        assert before <= info.time <= datetime.now(UTC)
        assert info.waiting == 0

    async def test_it_counts_what_waits(self, backend: Api, client: Any) -> None:
        lane = backend.backend.core.lane
        async with held(lane) as hold:
            asked = asyncio.create_task(client.identify(blurred(pixels(ADA)), card()))
            await until(lambda: lane.depth == 2)
            assert (await client.info()).waiting == 1
            hold.let_go()
            await asked

    async def test_it_says_what_is_wrong(self, tmp_path: Path) -> None:
        wrong = EngineSettings(detector="synthetic", recognizer="none such")
        async with running(tmp_path, ready=False, engines=wrong) as backend:
            await until(lambda: backend.backend.services.trouble() is not None)
            info = await make_client(backend).info()
            assert (info.ready, info.trouble, info.contract) == (False, api.ErrorCode.ENGINE_UNKNOWN, None)
            with refused("weights_missing"):
                await make_client(backend).send_frame("door", blurred(pixels(ADA)), card())


class TestPeople:
    async def test_people_come_are_renamed_and_go(self, backend: Api, client: Any) -> None:
        assert await client.people() == ()
        ada, ben = await client.create_person("Ada Lövelace"), await client.create_person("Ben")
        assert (ada.name, ada.faces) == ("Ada Lövelace", 0)
        assert abs(datetime.now(UTC) - ada.created_at) < timedelta(seconds=30)
        assert await client.people() == (ada, ben)
        renamed = await client.rename_person(ada.id, "Ada")
        assert renamed == replace(ada, name="Ada")
        await client.enroll(ada.id, [(blurred(pixels(ADA)), privacy())])
        answer = await client.send_frame("door", blurred(pixels(ADA)), card())
        await backend.event(answer.event_ids[0])
        receipt = await client.forget_person(ada.id)
        assert (receipt.person_id, receipt.faces, receipt.events, receipt.folder_pictures) == (ada.id, 1, 1, 0)
        assert receipt.templates >= 1
        assert await client.people() == (ben,)

    async def test_names_that_cannot_be_used(self, client: Any) -> None:
        ada = await client.create_person("Ada")
        with refused("person_exists"):
            await client.create_person("ada")
        with refused("bad_name") as caught:
            await client.rename_person(ada.id, "\n")
        assert "characters" in caught.value.allowed

    @pytest.mark.parametrize("person_id", ["nobody", "a/b", "../people", "?", "%2F"])
    async def test_people_who_do_not_exist(self, client: Any, person_id: str) -> None:
        with refused("person_not_found"):
            await client.rename_person(person_id, "Ada")
        with refused("person_not_found"):
            await client.forget_person(person_id)
        with refused("person_not_found"):
            await client.enroll(person_id, [(blurred(pixels(ADA)), privacy())])

    @pytest.mark.parametrize("person_id", ["", ".", ".."])
    async def test_an_id_that_would_lead_elsewhere_is_not_sent(self, client: Any, person_id: str) -> None:
        await client.create_person("Ada")
        with refused("bad_request"):
            await client.forget_person(person_id)
        assert len(await client.people()) == 1


class TestEnrollment:
    async def test_versions_of_one_picture_make_one_face(self, client: Any) -> None:
        ada = await client.create_person("Ada")
        frame = pixels(ADA)
        done = await client.enroll(ada.id, [(blurred(frame, kernel), privacy(kernel)) for kernel in (9, 17, 25)])
        assert (done.person, done.faces, done.refused) == (replace(ada, faces=1), 1, ())
        info = await client.info()
        assert (info.faces, info.templates) == (1, 3)

    async def test_a_version_that_cannot_be_read_is_told(self, client: Any) -> None:
        ada = await client.create_person("Ada")
        done = await client.enroll(ada.id, [(blurred(pixels(ADA)), privacy()), (NO_PICTURE, privacy(17))])
        assert (done.faces, done.refused) == (1, ((1, api.ErrorCode.PICTURE_FORMAT),))

    async def test_pictures_without_a_usable_face_are_refused(self, client: Any) -> None:
        ada = await client.create_person("Ada")
        with refused("no_face"):
            await client.enroll(ada.id, [(blurred(pixels()), privacy())])
        two = [(blurred(pixels(ADA, BEN)), privacy())]
        with refused("several_faces"):
            await client.enroll(ada.id, two)
        assert (await client.enroll(ada.id, two, largest=True)).faces == 1

    async def test_the_backend_believes_what_the_cards_say(self, tmp_path: Path) -> None:
        async with running(tmp_path, privacy=PrivacySettings(require_client=True)) as backend:
            client = make_client(backend, Scope.ENROLL)
            ada = await client.create_person("Ada")
            assert (await client.enroll(ada.id, [(blurred(pixels(ADA)), privacy())])).faces == 1
            clear = api.Privacy(method="none", parameter=1)
            with refused("not_anonymized"):
                await client.enroll(ada.id, [(encode(pixels(ADA)), clear)])

    async def test_nothing_to_enroll_is_refused(self, client: Any) -> None:
        ada = await client.create_person("Ada")
        with refused("bad_request"):
            await client.enroll(ada.id, [])


class TestFrames:
    async def test_a_frame_becomes_an_event_with_what_its_card_says(self, backend: Api, client: Any) -> None:
        ada = await enrolled(client, "Ada", ADA)
        sent = card("front-door", request_id="burst-1", source_event_id="7")
        answer = await client.send_frame("front-door", blurred(pixels(ADA)), sent)
        [face] = answer.identification.faces
        assert (face.outcome, face.person_id, face.person) == (api.Outcome.KNOWN, ada.id, "Ada")
        [event_id] = answer.event_ids
        event = api.Event.from_dict(await backend.event(event_id))
        assert (event.camera, event.person_id, event.outcome) == ("front-door", ada.id, api.Outcome.KNOWN)
        assert (event.source, event.source_event_id, event.request_id) == (sent.source, "7", "burst-1")
        assert event.requestor == sent.requestor
        assert (event.privacy.parameter, event.privacy.applied_by) == (9, api.AppliedBy.CLIENT)
        # Times cross the wire in milliseconds.
        assert abs(event.captured_at - sent.captured_at) < timedelta(milliseconds=1)

    async def test_a_frame_without_a_face_becomes_no_event(self, client: Any) -> None:
        answer = await client.send_frame("door", blurred(pixels()), card())
        assert (answer.identification.faces, answer.event_ids) == ((), ())
        assert answer.identification.reason is api.Reason.NO_FACE

    @pytest.mark.parametrize("camera", ["Haustür 1", "a?b#c&d=e", "100%", "%2F", "a+b"])
    async def test_any_name_of_a_camera_arrives(self, backend: Api, client: Any, camera: str) -> None:
        answer = await client.send_frame(camera, blurred(pixels(STRANGER)), card(camera))
        assert (await backend.event(answer.event_ids[0]))["camera"] == camera

    async def test_the_path_names_the_camera(self, backend: Api, client: Any) -> None:
        with refused("bad_frame_card"):
            await client.send_frame("door", blurred(pixels(ADA)), card("gate"))
        for camera in ("", ".", ".."):
            with refused("bad_request"):
                await client.send_frame(camera, blurred(pixels(ADA)), card())
        assert list(backend.backend.services.cameras.all()) == []

    async def test_a_newer_frame_takes_the_place_of_a_waiting_one(self, backend: Api, client: Any) -> None:
        lane = backend.backend.core.lane
        async with held(lane) as hold:
            older = asyncio.create_task(client.send_frame("door", blurred(pixels(ADA)), card()))
            await until(lambda: lane.depth == 2)
            newer = asyncio.create_task(client.send_frame("door", blurred(pixels(STRANGER)), card()))
            with refused("superseded"):
                await older
            hold.let_go()
            assert (await newer).event_ids

    async def test_frames_that_are_refused(self, backend: Api, client: Any) -> None:
        good = blurred(pixels(ADA))
        with refused("picture_format"):
            await client.send_frame("door", NO_PICTURE, card())
        with refused("bad_privacy_parameter") as caught:
            await client.send_frame("door", good, card(privacy=privacy(4)))
        assert "odd" in caught.value.allowed
        with refused("bad_frame_card"):
            await client.send_frame("door", good, card(captured_at=datetime.now(UTC) + timedelta(hours=1)))
        backend.backend.services.cameras.enable("door", enabled=False)
        with refused("camera_disabled"):
            await client.send_frame("door", good, card())
        for number in range(256 - 1):
            backend.backend.services.cameras.add(f"camera {number}")
        with refused("overloaded"):
            await client.send_frame("one more", good, card("one more"))

    async def test_a_frame_that_is_too_large(self, tmp_path: Path) -> None:
        async with running(tmp_path, server=ServerSettings(body_megabytes=1)) as backend:
            with refused("body_too_large"):
                await make_client(backend).send_frame("door", bytes(1_100_000), card())

    async def test_a_clear_frame_is_refused_where_it_must_not_come(self, tmp_path: Path) -> None:
        async with running(tmp_path, privacy=PrivacySettings(require_client=True)) as backend:
            client = make_client(backend, Scope.IDENTIFY)
            assert (await client.info()).require_client is True
            with refused("not_anonymized"):
                await client.send_frame("door", encode(pixels(ADA)), card(privacy=None))

    async def test_identifying_tells_nobody_else(self, backend: Api, client: Any) -> None:
        await enrolled(client, "Ada", ADA)
        found = await client.identify(blurred(pixels(ADA, STRANGER)), card("action"))
        assert sorted(face.outcome for face in found.faces) == ["known", "unknown"]
        assert (found.privacy.parameter, found.engine.detector) == (9, "synthetic")
        assert found.latency_ms
        assert list(backend.backend.services.cameras.all()) == []
        assert (await backend.call("GET", "/api/v1/events")).document["events"] == []


class TestTokens:
    async def test_one_token_does_for_all_that_the_component_needs(self, backend: Api) -> None:
        core = backend.backend.core
        token = await core.storage.call(core.tokens.create, "home", {Scope.IDENTIFY, Scope.ENROLL})
        client = api.PrivFaceClient(backend.session, backend.url, token)
        ada = await enrolled(client, "Ada", ADA)
        assert (await client.info()).people == 1
        assert (await client.send_frame("door", blurred(pixels(ADA)), card())).event_ids
        assert (await client.identify(blurred(pixels(ADA)), card())).faces
        await client.rename_person(ada.id, "Augusta")
        await client.forget_person(ada.id)

    async def test_a_token_that_lacks_a_scope(self, backend: Api) -> None:
        with refused("forbidden", "ForbiddenError") as caught:
            await make_client(backend, Scope.IDENTIFY).people()
        assert "enroll" in caught.value.allowed
        with refused("forbidden", "ForbiddenError"):
            await make_client(backend, Scope.ENROLL).info()

    async def test_no_token_a_wrong_one_and_a_revoked_one(self, backend: Api, client: Any) -> None:
        with refused("unauthenticated", "AuthenticationError"):
            await make_client(backend, None).info()
        with refused("unauthenticated", "AuthenticationError"):
            await api.PrivFaceClient(backend.session, backend.url, "pf_wrong").info()
        await client.info()
        core = backend.backend.core
        for token in await core.storage.call(core.tokens.list):
            await core.storage.call(core.tokens.revoke, token.id)
        with refused("unauthenticated", "AuthenticationError"):
            await client.info()

    @pytest.mark.parametrize("token", ["pf_ä", "pf_a\r\nX-Evil: 1", "pf_a\n", "\x00"])
    async def test_what_is_no_token_is_not_sent(self, backend: Api, token: str) -> None:
        with refused("unauthenticated", "AuthenticationError"):
            await api.PrivFaceClient(backend.session, backend.url, token).info()

    async def test_too_many_wrong_tokens(self, backend: Api, client: Any) -> None:
        wrong = api.PrivFaceClient(backend.session, backend.url, "pf_wrong")
        for _ in range(10):
            with refused("unauthenticated", "AuthenticationError"):
                await wrong.info()
        with refused("too_many_attempts") as caught:
            await wrong.info()
        assert 1 <= caught.value.details["retry_after"] <= 6
        await client.info()

    async def test_none_is_needed_where_none_is_asked_for(self, tmp_path: Path) -> None:
        async with running(tmp_path, server=ServerSettings(require_token=False)) as backend:
            client = make_client(backend, None)
            assert (await client.info()).ready
            assert await client.people() == ()


class TestAddress:
    async def test_a_path_before_the_interface(self, backend: Api) -> None:
        outside = web.Application()
        outside.add_subapp("/home/faces", create_application(backend.backend.services))
        token = backend.tokens[Scope.ADMIN]
        async with serve(outside, "127.0.0.1", 0) as port:
            client = api.PrivFaceClient(backend.session, f"http://127.0.0.1:{port}/home/faces/", token)
            assert client.url == f"http://127.0.0.1:{port}/home/faces"
            assert (await client.info()).ready
            ada = await enrolled(client, "Ada", ADA)
            assert (await client.send_frame("door", blurred(pixels(ADA)), card())).event_ids
            await client.forget_person(ada.id)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("http://home.lan:8090", "http://home.lan:8090"),
            ("HTTPS://home.lan/", "https://home.lan"),
            (" http://[::1]:8090// ", "http://[::1]:8090"),
        ],
    )
    async def test_addresses_are_kept_without_a_slash_at_the_end(self, backend: Api, given: str, kept: str) -> None:
        assert api.PrivFaceClient(backend.session, given).url == kept

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "home.lan:8090",
            "ftp://home.lan",
            "http://",
            "http://:8090",
            "http://user:secret@home.lan",
            "http://secret@home.lan",
            "http://@home.lan",
            "http://home.lan/?token=secret",
            "http://home.lan/#secret",
            "http://home.lan:secret",
            "http://home.lan:70000",
            "http://[secret",
        ],
    )
    async def test_what_is_no_address_is_refused(self, backend: Api, url: str) -> None:
        with pytest.raises(api.AddressError) as caught:
            api.PrivFaceClient(backend.session, url)
        error: Any = caught.value
        assert isinstance(caught.value, ValueError)
        assert error.code == "bad_request"
        assert "secret" not in f"{error!r} {error} {error.allowed}"

    async def test_the_client_is_shown_without_its_token(self, backend: Api) -> None:
        shown = repr(api.PrivFaceClient(backend.session, backend.url, "pf_secret"))
        assert backend.url in shown
        assert "pf_secret" not in shown


async def test_answers_are_shown_without_names(backend: Api, client: Any) -> None:
    await enrolled(client, "Ada", ADA)
    [person] = await client.people()
    answer = await client.send_frame("door", blurred(pixels(ADA)), card())
    event = api.Event.from_dict(await backend.event(answer.event_ids[0]))
    seen: list[Any] = []
    socket_url = f"{backend.url}/api/v1/stream"
    headers = {"Authorization": f"Bearer {backend.tokens[Scope.ADMIN]}"}
    async with backend.session.ws_connect(socket_url, headers=headers) as stream:
        while len(seen) < 2:
            seen.append((await stream.receive(timeout=10)).json())
    snapshot = api.Snapshot.from_dict(seen[1])
    assert (snapshot.people[0].person, snapshot.cameras[0].persons) == ("Ada", ("Ada",))
    for value in (person, answer, event, snapshot):
        assert "Ada" not in repr(value)


async def test_a_session_that_raises_by_itself_changes_nothing(backend: Api) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        client = api.PrivFaceClient(session, backend.url, backend.tokens[Scope.ADMIN])
        with refused("bad_name"):
            await client.create_person("")
