"""One sealed camera beside others that send pictures: both work, for the same people, and neither takes the other's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privface_backend.bridge.local import LocalDeliver
from privface_backend.bridge.settings import CameraFeed
from privface_backend.domain.cameras import SealedCameras
from privface_backend.domain.matching import Template
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.recording import Seen
from privface_backend.pipeline.sources import make_source
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard, Privacy
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.rest.uploads import CARD_HEADER
from privface_backend.settings_loading import load_settings
from privface_backend.settings_sections import LinkSettings
from support.backend import ADA, BEN, STRANGER, Api, Reply, form, make_settings, picture, pixels, running, until, video
from support.sealed import OTHER_KEY, enroll, sealed_enrollment, sealed_frame, send_frame

DOOR, GARDEN = "front door", "garden"
"""The sealed camera, and one that sends pictures."""
CAMERAS = {DOOR: CameraFeed(sealed=True)}
PEOPLE = "/api/v1/people"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path, cameras=CAMERAS) as api:
        yield api


async def outcomes(api: Api, reply: Reply) -> dict[str | None, dict[str, Any]]:
    """The events that a frame made, by who they name."""
    assert reply.status == 200, reply.body
    events = [await api.event(event_id) for event_id in reply.document["events"]]
    return {event["person"]: event for event in events}


async def info(api: Api) -> dict[str, Any]:
    return dict((await api.call("GET", "/api/v1/info")).document)


async def faces(api: Api, person: str) -> list[dict[str, Any]]:
    reply = await api.call("GET", f"{PEOPLE}/{person}/faces", pattern=f"{PEOPLE}/{{person}}/faces")
    return list(reply.document["faces"])


async def correct(api: Api, event_id: str, person: str | None) -> Reply:
    return await api.call(
        "POST",
        f"/api/v1/events/{event_id}/correction",
        pattern="/api/v1/events/{event}/correction",
        json={"person_id": person},
    )


async def name_stranger(api: Api, stranger: str, body: Mapping[str, str]) -> Reply:
    return await api.call(
        "POST",
        f"/api/v1/strangers/{stranger}/person",
        pattern="/api/v1/strangers/{stranger}/person",
        json=body,
    )


async def test_both_cameras_know_the_same_person_and_tell_a_stranger(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    # Enrolled from a picture alone, she is a stranger to the sealed camera.
    assert set(await outcomes(api, await send_frame(api, DOOR, sealed_frame(ADA)))) == {None}
    api.backend.services.intake.drop_visits(DOOR)
    assert (await enroll(api, "Ada", sealed_enrollment(ADA))).status == 201
    at_door = await outcomes(api, await send_frame(api, DOOR, sealed_frame(STRANGER, ADA)))
    in_garden = await outcomes(api, await api.frame(GARDEN, picture(ADA, STRANGER)))
    assert set(at_door) == set(in_garden) == {"Ada", None}
    assert at_door["Ada"]["person_id"] == in_garden["Ada"]["person_id"] == ada
    assert at_door["Ada"]["privacy"]["method"] == "sealed"
    assert in_garden["Ada"]["privacy"]["method"] == "gaussian"
    # Nobody can say that the two are one: the contracts can't be compared.
    assert at_door[None]["stranger"]["id"] != in_garden[None]["stranger"]["id"]
    assert at_door[None]["stranger"]["number"] != in_garden[None]["stranger"]["number"]
    cameras = {one["camera"]: one for one in (await api.call("GET", "/api/v1/cameras")).document["cameras"]}
    assert {name: (one["sealed"], one["persons"]) for name, one in cameras.items()} == {
        DOOR: (True, ["Ada"]),
        GARDEN: (False, ["Ada"]),
    }


async def test_a_probe_meets_templates_of_its_own_contract_only(api: Api) -> None:
    await api.create("Ada", ADA)
    assert (await enroll(api, "Ben", sealed_enrollment(BEN))).status == 201
    matchers = api.backend.core.recognition.matchers
    assert matchers.sealed is not None
    for matcher, owners in ((matchers.main, {"Ada"}), (matchers.sealed, {"Ben"})):
        snapshot = matcher.index.snapshot
        assert {snapshot.names[one.person_id] for one in snapshot.templates} == owners
        assert set(snapshot.names.values()) == {"Ada", "Ben"}
    assert set(await outcomes(api, await api.frame(GARDEN, picture(BEN)))) == {None}
    assert set(await outcomes(api, await send_frame(api, DOOR, sealed_frame(BEN)))) == {"Ben"}
    asked = await api.call("POST", "/api/v1/identify/sealed", json={"frame": sealed_frame(ADA, BEN)})
    assert sorted(str(face["person"]) for face in asked.document["faces"]) == ["Ben", "None"]
    asked = await api.identify(picture(ADA, BEN))
    assert sorted(str(face["person"]) for face in asked.document["faces"]) == ["Ada", "None"]


async def test_a_stranger_comes_back_before_the_same_kind_of_camera(api: Api) -> None:
    async def look(camera: str) -> tuple[str, int]:
        """The stranger before a camera, on a visit of their own: the one before is given up."""
        sent = await (
            send_frame(api, camera, sealed_frame(STRANGER)) if camera == DOOR else api.frame(camera, picture(STRANGER))
        )
        stranger = (await outcomes(api, sent))[None]["stranger"]
        api.backend.services.intake.drop_visits(camera)
        return str(stranger["id"]), int(stranger["visit"])

    door, garden = await look(DOOR), await look(GARDEN)
    assert door[1] == garden[1] == 1
    assert await look(DOOR) == (door[0], 2)
    assert await look(GARDEN) == (garden[0], 2)
    listed = (await api.call("GET", "/api/v1/strangers")).document["strangers"]
    assert {one["id"] for one in listed} >= {door[0], garden[0]}


async def test_a_restart_keeps_both(tmp_path: Path) -> None:
    async with running(tmp_path, cameras=CAMERAS) as api:
        await api.create("Ada", ADA)
        await enroll(api, "Ada", sealed_enrollment(ADA))
        strangers = {
            camera: (await outcomes(api, sent))[None]["stranger"]["id"]
            for camera, sent in (
                (DOOR, await send_frame(api, DOOR, sealed_frame(STRANGER))),
                (GARDEN, await api.frame(GARDEN, picture(STRANGER))),
            )
        }
        before = await info(api)
    async with running(tmp_path, cameras=CAMERAS) as api:
        assert (await info(api))["engines"] == before["engines"]
        assert (await info(api))["gallery"] == before["gallery"]
        at_door = await outcomes(api, await send_frame(api, DOOR, sealed_frame(ADA, STRANGER)))
        in_garden = await outcomes(api, await api.frame(GARDEN, picture(ADA, STRANGER)))
        assert set(at_door) == set(in_garden) == {"Ada", None}
        assert at_door[None]["stranger"]["id"] == strangers[DOOR]
        assert in_garden[None]["stranger"]["id"] == strangers[GARDEN]
        refused = await send_frame(api, DOOR, sealed_frame(ADA, key=OTHER_KEY))
        assert refused.code == ErrorCode.CONTRACT_MISMATCH


async def test_what_is_known_of_the_backend_says_so(api: Api) -> None:
    before = await info(api)
    assert before["privacy"]["sealed"] is False
    assert before["privacy"]["sealed_cameras"] == [DOOR]
    assert before["engines"]["sealed"] is None
    ada = await api.create("Ada", ADA)
    await enroll(api, "Ada", sealed_enrollment(ADA))
    now = await info(api)
    engines, gallery = now["engines"], now["gallery"]
    assert engines["recognizer"] == engines["sealed"]["recognizer"] == "synthetic"
    assert engines["sealed"]["contract"].startswith("sealed:")
    assert not engines["contract"].startswith("sealed:")
    assert set(gallery["contracts"]) == {engines["contract"], engines["sealed"]["contract"]}
    assert gallery["templates"] == sum(gallery["contracts"].values())
    assert (gallery["faces"], gallery["stale_faces"], gallery["people_to_enroll_again"]) == (2, 0, 0)
    assert gallery["contract"] == engines["contract"]
    assert [face["sealed"] for face in await faces(api, ada)] == [False, True]
    text = (await api.call("GET", "/metrics")).body.decode()
    assert f"privface_templates {float(gallery['templates'])}" in text


async def test_faces_of_neither_contract_are_stale(tmp_path: Path) -> None:
    async with running(tmp_path, cameras=CAMERAS) as api:
        ada = await api.create("Ada", ADA)
        await enroll(api, "Ada", sealed_enrollment(ADA))
        await enroll(api, "Ben", sealed_enrollment(BEN))
    # Without a sealed camera, what user sides sent is of no use.
    async with running(tmp_path) as api:
        gallery = (await info(api))["gallery"]
        assert (gallery["faces"], gallery["stale_faces"], gallery["people_to_enroll_again"]) == (3, 2, 1)
        assert [face["sealed"] for face in await faces(api, ada)] == [False, False]
        assert set(await outcomes(api, await api.frame(GARDEN, picture(ADA)))) == {"Ada"}


@pytest.mark.parametrize("camera", [DOOR, "Front Door", "FRONT DOOR"])
async def test_no_way_takes_a_picture_of_the_sealed_camera(api: Api, camera: str) -> None:
    person = await api.create("Ada", ADA)
    card = json.dumps({"camera": camera, "more": False})
    clip, raw = video([pixels(ADA)] * 3), {"Content-Type": "image/png", CARD_HEADER: card}
    replies = [
        # No picture at all: nothing of it was read.
        await api.frame(camera, b"\x00"),
        await api.frame(camera, picture(ADA)),
        await api.call("POST", "/api/v1/identify?publish=1", data=form(picture(ADA), card=card)),
        await api.call("POST", "/api/v1/identify", data=b"\x00", headers=raw),
        await api.call("POST", "/api/v1/identify?publish=1", data=form(clip, name="clip.mp4", card=card)),
        await api.call("POST", "/api/v1/videos?publish=1", data=form(clip, name="clip.mp4", card=card)),
        await api.call("POST", "/api/v1/videos", data=b"\x00", headers={**raw, "Content-Type": "video/mp4"}),
        await api.enroll(person, picture(BEN), card=card),
    ]
    assert [(reply.status, reply.code) for reply in replies] == [(422, ErrorCode.SEALED)] * len(replies)
    assert (await api.call("GET", "/api/v1/events")).document["events"] == []
    assert (await api.call("GET", "/api/v1/cameras")).document["cameras"] == []
    assert len(await faces(api, person)) == 1


async def test_the_ways_inside_of_the_process_take_none_either(api: Api) -> None:
    """Those that the bridge, camera links, webcams and recordings take."""
    services = api.backend.services
    frame, card = pixels(ADA), FrameCard(camera=DOOR, captured_at=services.clock(), privacy=Privacy(parameter=17))
    deliver = LocalDeliver(services.intake, services.cameras, services.recognition)
    assert (await deliver.send(card, frame)).value == "refused"
    source = make_source(services.registry, "video", data=video([frame] * 2), card=card, max_seconds=10)
    frames = services.intake.stream(source, claimed=None, default=Privacy(parameter=17))
    with pytest.raises(PrivFaceError) as refused:
        await anext(frames)
    assert refused.value.code is ErrorCode.SEALED
    timed = await services.recognition.identify(picture(ADA))
    for live in (False, True):
        with pytest.raises(PrivFaceError) as refused:
            services.intake.record(live=live).take(Seen(timed=timed, card=card))
        assert refused.value.code is ErrorCode.SEALED
    assert services.cameras.all() == ()
    assert (await api.call("GET", "/api/v1/events")).document["events"] == []


async def test_the_ancestors_routes_take_none_either(tmp_path: Path) -> None:
    cameras = {DOOR: CameraFeed(sealed=True), "webcam-0": CameraFeed(sealed=True)}
    sections: dict[str, Any] = {"cameras": cameras, "links": LinkSettings(webcams=(0, 1))}
    settings = make_settings(tmp_path, **sections)
    sifis = replace(settings.sifis, without_token="always")
    routes = ancestor_routes(replace(settings, sifis=sifis))
    async with running(tmp_path, more_routes=routes, sifis=sifis, **sections) as api:
        for method, path, data in (
            ("POST", "/check_directory/front%20door/17/r/t/1", form(picture(ADA))),
            ("GET", "/cam_face_recognition/0/17/r/t/1", None),
        ):
            assert await _ask(api, method, path, data) == (422, "sealed")
        # Another file, and another camera, are looked at; there is no such webcam here.
        async with api.session.post(f"{api.url}/check_directory/porch.png/17/r/t/1", data=form(picture(ADA))) as reply:
            assert reply.status == 200
        assert (await _ask(api, "GET", "/cam_face_recognition/1/17/r/t/1", None))[1] != "sealed"


async def _ask(api: Api, method: str, path: str, data: Any) -> tuple[int, str]:
    async with api.session.request(method, api.url + path, data=data) as reply:
        return reply.status, str((await reply.json())["error"]["code"])


async def test_no_sealed_frame_is_taken_of_a_camera_that_is_not_sealed(api: Api) -> None:
    await enroll(api, "Ada", sealed_enrollment(ADA))
    before = await info(api)
    reply = await send_frame(api, GARDEN, sealed_frame(ADA))
    assert (reply.status, reply.code) == (409, ErrorCode.CONTRACT_MISMATCH)
    assert "not sealed" in reply.document["error"]["message"]
    assert "sealed: true" in reply.document["error"]["allowed"]
    # Nor does it say what the contract is, where there is none.
    assert (await info(api))["engines"] == before["engines"]
    assert (await api.call("GET", "/api/v1/events")).document["events"] == []
    assert (await api.call("GET", "/api/v1/cameras")).document["cameras"] == []


async def test_a_frame_of_another_camera_does_not_set_the_contract(api: Api) -> None:
    assert (await send_frame(api, GARDEN, sealed_frame(ADA, key=OTHER_KEY))).code == ErrorCode.CONTRACT_MISMATCH
    assert (await info(api))["engines"]["sealed"] is None


async def test_a_sealed_camera_has_no_strength(api: Api) -> None:
    async def change(**settings: Any) -> Reply:
        return await api.call("PATCH", f"/api/v1/cameras/{DOOR}", pattern="/api/v1/cameras/{camera}", json=settings)

    assert (await change(parameter=33)).code == ErrorCode.SEALED
    assert (await change(target=0.05)).code == ErrorCode.SEALED
    assert (await change(enabled=False)).document["enabled"] is False
    assert (await send_frame(api, DOOR, sealed_frame(ADA))).code == ErrorCode.CAMERA_DISABLED
    assert (await change(enabled=True)).document["sealed"] is True
    assert (await send_frame(api, DOOR, sealed_frame(ADA))).status == 200
    calibration = (await api.call("GET", "/api/v1/calibration")).document
    assert calibration["cameras"] == []


@pytest.mark.parametrize("camera", [DOOR, GARDEN])
async def test_corrections_teach_the_side_whose_visit_it_was(api: Api, camera: str) -> None:
    async def look(identity: int) -> dict[str, Any]:
        sent = (
            send_frame(api, camera, sealed_frame(identity)) if camera == DOOR else api.frame(camera, picture(identity))
        )
        ((_, event),) = (await outcomes(api, await sent)).items()
        api.backend.services.intake.drop_visits(camera)
        return event

    ada, ben = await api.create("Ada", ADA), await api.create("Ben", BEN)
    for name, identity in (("Ada", ADA), ("Ben", BEN)):
        assert (await enroll(api, name, sealed_enrollment(identity))).status == 201
    # "That was Ben": a negative example of Ada and a face of Ben, of the contract that the visit was seen with.
    event = await look(ADA)
    assert event["person"] == "Ada"
    corrected = await correct(api, event["event_id"], ben)
    assert (corrected.status, corrected.document["denied"]) == (200, [ada]), corrected.body
    (added,) = [face for face in await faces(api, ben) if face["id"] == corrected.document["face_id"]]
    assert added["sealed"] is (camera == DOOR)
    matchers = api.backend.core.recognition.matchers
    assert [len(one.index.snapshot.negatives) for one in matchers.all] == ([0, 1] if camera == DOOR else [1, 0])
    # "It was nobody whom you know": only taken back.
    assert (await correct(api, event["event_id"], None)).status == 200
    assert len(await faces(api, ben)) == 2
    # A stranger becomes somebody, and is known the next time.
    event = await look(STRANGER)
    named = await name_stranger(api, event["stranger"]["id"], {"name": "Grace"})
    assert named.status == 200, named.body
    assert [face["sealed"] for face in await faces(api, named.document["id"])] == [camera == DOOR]
    assert (await look(STRANGER))["person"] == "Grace"


async def test_faces_of_an_old_key_correct_nothing(api: Api) -> None:
    await enroll(api, "Ada", sealed_enrollment(ADA))
    event = (await outcomes(api, await send_frame(api, DOOR, sealed_frame(STRANGER))))[None]
    ada = (await api.call("GET", PEOPLE)).document["people"][0]["id"]
    for face in await faces(api, ada):
        await remove(api, ada, face["id"])
    assert (await enroll(api, "Ada", sealed_enrollment(ADA, key=OTHER_KEY))).status == 201
    for reply in (
        await correct(api, event["event_id"], ada),
        await name_stranger(api, event["stranger"]["id"], {"name": "Grace"}),
    ):
        assert (reply.status, reply.code) == (409, ErrorCode.CONTRACT_MISMATCH)
    assert [face["sealed"] for face in await faces(api, ada)] == [True]


async def remove(api: Api, person: str, face: str) -> None:
    pattern = f"{PEOPLE}/{{person}}/faces/{{face}}"
    assert (await api.call("DELETE", f"{PEOPLE}/{person}/faces/{face}", pattern=pattern)).status == 204


async def test_a_new_key_takes_over_while_the_other_cameras_go_on(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    await enroll(api, "Ada", sealed_enrollment(ADA))
    before = await info(api)
    in_garden = (await outcomes(api, await api.frame(GARDEN, picture(ADA))))["Ada"]
    # While sealed faces are there, another key's are refused, whatever pictures there are.
    assert (await enroll(api, "Ada", sealed_enrollment(ADA, key=OTHER_KEY))).code == ErrorCode.CONTRACT_MISMATCH
    for face in await faces(api, ada):
        if face["sealed"]:
            await remove(api, ada, face["id"])
    # A frame doesn't change what holds; an enrollment does.
    assert (await send_frame(api, DOOR, sealed_frame(ADA, key=OTHER_KEY))).code == ErrorCode.CONTRACT_MISMATCH
    assert (await enroll(api, "Ada", sealed_enrollment(ADA, key=OTHER_KEY))).status == 201
    now = await info(api)
    assert now["engines"]["contract"] == before["engines"]["contract"]
    assert now["engines"]["sealed"]["contract"] != before["engines"]["sealed"]["contract"]
    assert now["gallery"]["stale_faces"] == 0
    assert set(await outcomes(api, await send_frame(api, DOOR, sealed_frame(ADA, key=OTHER_KEY)))) == {"Ada"}
    # The visit in the garden went on all the while: its next frame is no new one.
    seen = await api.frame(GARDEN, picture(ADA))
    assert seen.document["visits"] == [in_garden["visit_id"]]


async def test_whoever_is_forgotten_is_gone_on_both_sides(api: Api, tmp_path: Path) -> None:
    ada = await api.create("Ada", ADA)
    await enroll(api, "Ada", sealed_enrollment(ADA))
    await api.create("Ben", BEN)
    for reply in (await send_frame(api, DOOR, sealed_frame(ADA)), await api.frame(GARDEN, picture(ADA))):
        assert set(await outcomes(api, reply)) == {"Ada"}
    gone = await api.call("DELETE", f"{PEOPLE}/{ada}", pattern=f"{PEOPLE}/{{person}}")
    assert gone.status == 200, gone.body
    core = api.backend.core
    left = {one.person_id for index in core.gallery.indexes.all for one in index.snapshot.templates}
    assert ada not in left
    assert set((await info(api))["gallery"]["contracts"]) == {(await info(api))["engines"]["contract"]}
    assert set(await outcomes(api, await send_frame(api, DOOR, sealed_frame(ADA)))) <= {None}
    assert set(await outcomes(api, await api.frame(GARDEN, picture(ADA)))) <= {None}


async def test_what_is_added_is_known_without_reading_the_rest_again(api: Api) -> None:
    """Each index follows what is put into the other one, as a store that is read anew would have it."""
    core = api.backend.core
    await api.create("Ada", ADA)
    await enroll(api, "Ada", sealed_enrollment(ADA))
    await send_frame(api, DOOR, sealed_frame(STRANGER))
    await api.frame(GARDEN, picture(STRANGER))
    await until(lambda: all(len(index.snapshot.strangers) == 1 for index in core.gallery.indexes.all))
    kept = [index.snapshot for index in core.gallery.indexes.all]
    for index in core.gallery.indexes.all:
        contract = index.contract
        assert contract is not None
        index._contract = None
        await core.gallery.use_contract(contract)
    for before, after in zip(kept, (index.snapshot for index in core.gallery.indexes.all), strict=True):
        assert (before.people, before.faces, before.sources) == (after.people, after.faces, after.sources)
        assert before.contracts == after.contracts
        assert before.pictures == after.pictures
        assert _identities(before.templates) == _identities(after.templates)
        assert [one.id for one in before.strangers] == [one.id for one in after.strangers]
        assert (before.revision, before.memory_revision) == (after.revision, after.memory_revision)


def _identities(templates: tuple[Template, ...]) -> set[tuple[str, str, float]]:
    return {(one.face_id, one.level.method, round(one.level.relative, 6)) for one in templates}


async def test_the_sealed_camera_needs_no_engines(tmp_path: Path) -> None:
    """Those of the backend can't be made: what a user side sends is taken all the same."""
    async with running(tmp_path, cameras=CAMERAS) as api:
        await enroll(api, "Ada", sealed_enrollment(ADA))
    async with running(tmp_path, cameras=CAMERAS, registry=_Broken(), ready=False) as api:
        assert (await info(api))["ready"] is False
        at_door = await send_frame(api, DOOR, sealed_frame(ADA))
        assert set(await outcomes(api, at_door)) == {"Ada"}
        assert (await api.frame(GARDEN, picture(ADA))).code == ErrorCode.WEIGHTS_MISSING


class _Broken(Registry):
    """The recognizer can't be made."""

    def create(
        self, kind: EngineKind, name: str, context: EngineContext, options: Mapping[str, object] | None = None
    ) -> Any:
        if kind is EngineKind.RECOGNIZER:
            raise PrivFaceError(ErrorCode.WEIGHTS_MISSING, "There are no weights.")
        return super().create(kind, name, context, options)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"cameras": {DOOR: {"sealed": True, "address": "http://192.0.2.1/shot"}}}, "with address"),
        ({"cameras": {DOOR: {"sealed": True, "topic": "shots/door"}}}, "with topic"),
        ({"cameras": {DOOR: {"sealed": True, "parameter": 33}}}, "with parameter"),
        ({"cameras": {DOOR: {"sealed": True, "adaptive": True}}}, "with adaptive"),
        ({"cameras": {DOOR: {"sealed": False}}}, "expected one of topic, address"),
        (
            {"cameras": {DOOR: {"sealed": True}, "Front Door": {"topic": "shots/door"}}},
            "a sealed camera has it",
        ),
        ({"cameras": {DOOR: {"sealed": True}}, "bridge": {"backend": "http://192.0.2.1:8090"}}, "bridge.sealed"),
        ({"cameras": {GARDEN: {"topic": "shots/garden"}}, "mqtt": {"sealed_frames": True}}, "mqtt.sealed_frames"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, flags: dict[str, Any], problem: str) -> None:
    with pytest.raises(PrivFaceError, match=problem):
        _load(tmp_path, flags)


def test_settings_that_go_together_are_taken(tmp_path: Path) -> None:
    mixed = _load(
        tmp_path, {"cameras": {DOOR: {"sealed": True}, GARDEN: {"topic": "a"}}, "mqtt": {"sealed_frames": True}}
    )
    assert (list(mixed.feeds), mixed.sealed_cameras.names) == ([GARDEN], (DOOR,))
    # All are sealed, one by name besides.
    whole = _load(tmp_path, {"privacy": {"sealed": True}, "cameras": {DOOR: {"sealed": True}}})
    assert whole.sealed_cameras.everything
    assert GARDEN in whole.sealed_cameras


def test_a_name_that_looks_the_same_is_the_same_camera() -> None:
    cameras = SealedCameras(["Haustür"])
    assert all(name in cameras for name in ("Haustür", "HAUSTÜR", "Haustu\u0308r"))
    assert "Haustur" not in cameras
    assert not SealedCameras()


def _load(directory: Path, document: Mapping[str, Any]) -> Any:
    path = directory / "privface.yaml"
    path.write_text(json.dumps({**document, "data_dir": str(directory)}), encoding="utf-8")
    return load_settings(environment={}, config=path)
