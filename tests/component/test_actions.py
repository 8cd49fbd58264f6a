"""The actions, on a real backend."""

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from homeassistant.components.image import ImageEntity
from homeassistant.components.media_source import MediaSource, MediaSourceItem, PlayMedia
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockModule,
    MockUser,
    mock_integration,
    mock_platform,
    setup_test_component_platform,
)

from custom_components.privface.anonymize import METHODS, Strength
from custom_components.privface.const import CONF_PARAMETER, DOMAIN
from custom_components.privface.enrollment import enrollment_strengths
from support.backend_process import ADA, BEN, STRANGER, BackendProcess, DrawnPictures
from support.home import Home, add_cameras, camera_subentry, set_up


@pytest.fixture
async def home(hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures) -> Home:
    hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
    return await set_up(hass, backend, token)


class TestEnrollAndIdentify:
    async def test_from_a_file(self, home: Home, pictures: DrawnPictures) -> None:
        answer = await home.act("enroll", person="Ada", file=str(pictures.path(ADA)))
        assert (answer["person"], answer["faces"], answer["new"]) == ("Ada", 1, True)
        again = await home.act("enroll", person="ADA", file=str(pictures.path(ADA, shade=90)))
        assert (again["person_id"], again["new"]) == (answer["person_id"], False)
        found = await home.act("identify", file=str(pictures.path(ADA, shade=110)))
        assert [(face["outcome"], face["person"]) for face in found["faces"]] == [("known", "Ada")]
        assert found["privacy"]["applied_by"] == "client"
        found = await home.act("identify", file=str(pictures.path(STRANGER)))
        assert [face["outcome"] for face in found["faces"]] == ["unknown"]

    async def test_from_a_camera(self, hass: HomeAssistant, home: Home, pictures: DrawnPictures) -> None:
        (camera,) = await add_cameras(hass, "door")
        camera.shown = pictures(ADA)
        await home.act("enroll", person="Ada", entity_id="camera.door")
        found = await home.act("identify", entity_id="camera.door")
        assert [face["person"] for face in found["faces"]] == ["Ada"]

    async def test_from_an_image_entity(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        class Portrait(ImageEntity):
            _attr_name = "portrait"

            async def async_image(self) -> bytes | None:
                return pictures(BEN)

        setup_test_component_platform(hass, "image", [Portrait(hass)])
        assert await async_setup_component(hass, "image", {"image": {"platform": "test"}})
        await hass.async_block_till_done()
        # Afterwards, since the integration brings image entities of its own.
        home = await set_up(hass, backend, token)
        await home.act("enroll", person="Ben", entity_id="image.portrait")
        for source in (
            {"entity_id": "image.portrait"},
            {"media": {"media_content_id": "media-source://image/image.portrait"}},
        ):
            found = await home.act("identify", **source)
            assert [face["person"] for face in found["faces"]] == ["Ben"]
        with pytest.raises(HomeAssistantError, match="no picture"):
            await home.act("identify", entity_id="image.gone")

    async def test_from_a_media_source(
        self, hass: HomeAssistant, home: Home, pictures: DrawnPictures, tmp_path: Path
    ) -> None:
        (tmp_path / "ada.jpg").write_bytes(pictures(ADA))
        hass.config.media_dirs = {"local": str(tmp_path)}
        assert await async_setup_component(hass, "media_source", {})
        media = {"media_content_id": "media-source://media_source/local/ada.jpg", "media_content_type": "image/jpeg"}
        await home.act("enroll", person="Ada", media=media)
        found = await home.act("identify", media=media)
        assert [face["person"] for face in found["faces"]] == ["Ada"]
        with pytest.raises(HomeAssistantError, match="can't be read"):
            await home.act("identify", media={"media_content_id": "media-source://media_source/local/gone.jpg"})

    async def test_from_a_media_source_elsewhere(
        self, hass: HomeAssistant, home: Home, pictures: DrawnPictures
    ) -> None:
        async def show(request: web.Request) -> web.Response:
            match request.path:
                case "/ada.jpg":
                    return web.Response(body=pictures(ADA), content_type="image/jpeg")
                case "/large.jpg":
                    return web.Response(body=bytes(20 * 1024 * 1024 + 1), content_type="image/jpeg")
            raise web.HTTPNotFound

        application = web.Application()
        application.router.add_get("/{name}", show)
        async with TestServer(application, host="127.0.0.1") as server:

            class Elsewhere(MediaSource):
                async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
                    return PlayMedia(str(server.make_url(item.identifier)), "image/jpeg")

            async def find(_hass: HomeAssistant) -> MediaSource:
                return Elsewhere("elsewhere")

            platform = ModuleType("media_source")
            platform.async_get_media_source = find  # type: ignore[attr-defined]  # a platform is a module with that
            mock_integration(hass, MockModule("elsewhere"))
            mock_platform(hass, "elsewhere.media_source", platform)
            hass.config.components.add("elsewhere")
            assert await async_setup_component(hass, "media_source", {})
            where = "media-source://elsewhere/"
            await home.act("enroll", person="Ada", media={"media_content_id": f"{where}ada.jpg"})
            found = await home.act("identify", media={"media_content_id": f"{where}ada.jpg"})
            assert [face["person"] for face in found["faces"]] == ["Ada"]
            for name, said in (("gone.jpg", "can't be read"), ("large.jpg", "larger than")):
                with pytest.raises(HomeAssistantError, match=said):
                    await home.act("identify", media={"media_content_id": f"{where}{name}"})

    async def test_the_largest_of_several(self, home: Home, pictures: DrawnPictures) -> None:
        both = str(pictures.path(ADA, BEN))
        with pytest.raises(ServiceValidationError, match="several faces"):
            await home.act("enroll", person="Ada", file=both)
        assert (await home.act("people"))["people"] == [], "nobody is left without a face"
        answer = await home.act("enroll", person="Ada", file=both, largest=True)
        assert answer["faces"] == 1


class TestPeople:
    async def test_list_rename_and_forget(self, home: Home, pictures: DrawnPictures) -> None:
        made = await home.act("enroll", person="Ada", file=str(pictures.path(ADA)))
        (listed,) = (await home.act("people"))["people"]
        assert listed == {
            "person_id": made["person_id"],
            "person": "Ada",
            "faces": 1,
            "present": False,
            "camera": None,
            "last_seen": None,
        }
        renamed = await home.act("rename", person=made["person_id"], name="Ada Lovelace")
        assert renamed["person"] == "Ada Lovelace"
        receipt = await home.act("forget", person="ada lovelace")
        assert receipt["faces"] == 1
        assert receipt["templates"] >= 1
        assert (await home.act("people"))["people"] == []

    @pytest.mark.parametrize(("action", "data"), [("forget", {}), ("rename", {"name": "Bob"})])
    async def test_nobody_of_that_name(self, home: Home, action: str, data: dict[str, str]) -> None:
        with pytest.raises(ServiceValidationError, match="no such person"):
            await home.act(action, person="Nobody", **data)

    async def test_two_of_one_name(self, home: Home, backend: BackendProcess) -> None:
        for _ in range(2):
            body = {"name": "Ada", "allow_duplicate": True}
            await home.hass.async_add_executor_job(backend.call, "POST", "/api/v1/people", body)
        with pytest.raises(ServiceValidationError, match="Several people"):
            await home.act("forget", person="Ada")

    async def test_names_that_states_say_something_else_by(self, home: Home, pictures: DrawnPictures) -> None:
        for name in ("nobody", " Stranger", "unavailable"):
            with pytest.raises(ServiceValidationError, match="can't be used"):
                await home.act("enroll", person=name, file=str(pictures.path(ADA)))

    async def test_a_name_in_another_form(self, home: Home, pictures: DrawnPictures) -> None:
        made = await home.act("enroll", person="Zoe\u0308", file=str(pictures.path(ADA)))
        again = await home.act("enroll", person="Zo\u00eb", file=str(pictures.path(ADA, shade=90)))
        assert again["person_id"] == made["person_id"]
        assert (await home.act("forget", person="Zoe\u0308"))["faces"] == 2

    async def test_a_name_that_is_taken(self, home: Home, pictures: DrawnPictures) -> None:
        await home.act("enroll", person="Ada", file=str(pictures.path(ADA)))
        await home.act("enroll", person="Ben", file=str(pictures.path(BEN)))
        with pytest.raises(ServiceValidationError, match="already"):
            await home.act("rename", person="Ben", name="Ada")


class TestRefusals:
    @pytest.mark.parametrize("data", [{}, {"file": "/a", "entity_id": "camera.door"}])
    async def test_one_source(self, home: Home, data: dict[str, str]) -> None:
        with pytest.raises(ServiceValidationError, match="exactly one"):
            await home.act("identify", **data)

    async def test_a_path_outside(self, home: Home, tmp_path: Path, pictures: DrawnPictures) -> None:
        (tmp_path / "ada.jpg").write_bytes(pictures(ADA))
        with pytest.raises(ServiceValidationError, match="may not read"):
            await home.act("enroll", person="Ada", file=str(tmp_path / "ada.jpg"))
        assert (await home.act("people"))["people"] == []

    async def test_files_that_are_no_pictures(self, home: Home, tmp_path: Path) -> None:
        home.hass.config.allowlist_external_dirs.add(str(tmp_path))
        with pytest.raises(ServiceValidationError, match="no such file"):
            await home.act("identify", file=str(tmp_path / "gone.jpg"))
        with pytest.raises(ServiceValidationError, match="no such file"):
            await home.act("identify", file=f"{tmp_path}/\0.jpg")
        (tmp_path / "text.jpg").write_text("no picture")
        with pytest.raises(ServiceValidationError, match="no picture format"):
            await home.act("identify", file=str(tmp_path / "text.jpg"))
        (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(20 * 1024 * 1024))
        with pytest.raises(ServiceValidationError, match="larger than"):
            await home.act("identify", file=str(tmp_path / "large.jpg"))

    async def test_a_picture_without_a_face(self, home: Home, pictures: DrawnPictures) -> None:
        with pytest.raises(ServiceValidationError, match="no face"):
            await home.act("enroll", person="Ada", file=str(pictures.path()))
        assert (await home.act("people"))["people"] == []
        assert (await home.act("identify", file=str(pictures.path())))["reason"] == "no_face"

    async def test_a_camera_that_is_gone(self, home: Home) -> None:
        with pytest.raises(ServiceValidationError, match="unavailable"):
            await home.act("identify", entity_id="camera.gone")

    async def test_only_administrators(self, home: Home, hass_read_only_user: MockUser) -> None:
        context = Context(user_id=hass_read_only_user.id)
        for action, data in (
            ("people", {}),
            ("forget", {"person": "Ada"}),
            ("enroll", {"person": "Ada"}),
            ("identify", {"entity_id": "camera.door"}),
        ):
            with pytest.raises(Unauthorized):
                await home.hass.services.async_call(
                    DOMAIN, action, data, blocking=True, return_response=True, context=context
                )

    async def test_no_entry_is_loaded(self, home: Home) -> None:
        await home.hass.config_entries.async_unload(home.entry.entry_id)
        with pytest.raises(ServiceValidationError, match="No PrivFace backend"):
            await home.act("people")

    async def test_a_backend_that_is_away(
        self, hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures
    ) -> None:
        token = await hass.async_add_executor_job(own_backend.create_token)
        home = await set_up(hass, own_backend, token.text)
        hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
        await hass.async_add_executor_job(own_backend.stop)
        with pytest.raises(HomeAssistantError, match="can't be reached"):
            await home.act("identify", file=str(pictures.path(ADA)))

    async def test_a_token_that_may_not_enroll(self, hass: HomeAssistant, backend: BackendProcess) -> None:
        token = await hass.async_add_executor_job(backend.create_token, "identify")
        home = await set_up(hass, backend, token.text)
        with pytest.raises(ServiceValidationError, match="isn't allowed"):
            await home.act("people")

    async def test_which_of_two_backends(self, hass: HomeAssistant, home: Home, own_backend: BackendProcess) -> None:
        token = await hass.async_add_executor_job(own_backend.create_token)
        other = await set_up(hass, own_backend, token.text)
        with pytest.raises(ServiceValidationError, match="several PrivFace backends"):
            await home.act("people")
        await hass.async_add_executor_job(own_backend.call, "POST", "/api/v1/people", {"name": "Ada"})
        listed = await home.act("people", config_entry_id=other.entry.entry_id)
        assert [person["person"] for person in listed["people"]] == ["Ada"]
        assert (await home.act("people", config_entry_id=home.entry.entry_id))["people"] == []
        with pytest.raises(ServiceValidationError, match="No PrivFace backend"):
            await home.act("people", config_entry_id="gone")


class TestStrengths:
    def test_none_is_weaker_than_what_cameras_send(self) -> None:
        strengths = enrollment_strengths([Strength(method="gaussian", parameter=17)])
        assert strengths[0] == Strength(method="gaussian", parameter=17)
        sigmas = [METHODS[strength.method].sigma(strength.parameter) for strength in strengths]
        assert sigmas == sorted(sigmas)
        assert sigmas[-1] > 15
        for lower, higher in itertools.pairwise(sigmas):
            assert 1.2 < higher / lower < 1.7

    def test_every_configured_level(self) -> None:
        used = [
            Strength(method="gaussian", parameter=9),
            Strength(method="gaussian", parameter=51),
            Strength(method="pixelate", parameter=8),
        ]
        assert set(used) <= set(enrollment_strengths(used))
        assert len(enrollment_strengths(used)) <= 12

    def test_many_levels_leave_none_out(self) -> None:
        used = [Strength(method="gaussian", parameter=parameter) for parameter in (9, 65)]
        used += [Strength(method="pixelate", parameter=parameter) for parameter in (4, 40)]
        strengths = enrollment_strengths(used)
        assert set(used) <= set(strengths)
        assert len(strengths) == 12

    @pytest.mark.parametrize(
        "source",
        [
            {"entity_id": "camera.door"},
            {"media": {"media_content_id": "media-source://camera/camera.door"}},
            {"file": ""},
        ],
    )
    async def test_nothing_is_identified_weaker_than_cameras_are_looked_through(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures, source: dict[str, Any]
    ) -> None:
        (camera,) = await add_cameras(hass, "door")
        camera.shown = pictures(ADA)
        home = await set_up(hass, backend, token, camera_subentry("Front door", "camera.door", **{CONF_PARAMETER: 33}))
        hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
        if "file" in source:
            source = {"file": str(pictures.path(ADA))}
        assert (await home.act("identify", **source))["privacy"]["parameter"] == 33

    def test_without_cameras(self) -> None:
        assert enrollment_strengths([])[0] == Strength(method="gaussian", parameter=17)

    async def test_what_is_sent(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await add_cameras(hass, "door")
        door = camera_subentry("Front door", "camera.door", **{CONF_PARAMETER: 21})
        home = await set_up(hass, backend, token, door)
        hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
        client = home.entry.runtime_data.coordinator.client
        sent: list[Any] = []
        enroll = client.enroll

        async def record(person_id: str, versions: Any, **options: Any) -> Any:
            sent.extend(versions)
            return await enroll(person_id, versions, **options)

        monkeypatch.setattr(client, "enroll", record)
        await home.act("enroll", person="Ada", file=str(pictures.path(ADA)))
        assert [privacy.parameter for _, privacy in sent][:1] == [21]
        assert all(privacy.parameter >= 21 and privacy.applied_by == "client" for _, privacy in sent)
        assert pictures(ADA) not in [data for data, _ in sent]
