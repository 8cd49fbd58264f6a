"""What users and maintainers see of how it stands: repairs, diagnostics, system health, the logbook."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info

from custom_components.privface.api import to_wire_time
from custom_components.privface.const import CONF_TRIGGERS, DOMAIN, EVENT_TYPE
from custom_components.privface.diagnostics import async_get_config_entry_diagnostics
from custom_components.privface.logbook import _say
from support.backend_process import ADA, BackendProcess, DrawnPictures
from support.home import add_cameras, camera_subentry, set_up, state_of, wait_until


class Impostor:
    """A backend that says about itself what a test wants; it has nobody and sees nothing."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info
        self.hello = {key: info[key] for key in ("version", "api_version", "min_api_version", "instance_id")}

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/api/v1/info", self._info)
        application.router.add_get("/api/v1/stream", self._stream)
        return application

    async def _info(self, _request: web.Request) -> web.Response:
        return web.json_response(self.info | {"time": self.info.get("time") or to_wire_time(dt_util.utcnow())})

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", **self.hello})
        await socket.send_json({"type": "snapshot", "people": [], "cameras": [], "events": []})
        async for _message in socket:
            pass
        return socket


@pytest.fixture
async def impostor(hass: HomeAssistant, backend: BackendProcess) -> AsyncIterator[tuple[Impostor, MockConfigEntry]]:
    """A backend like the real one, but for what a test changes, and its entry."""
    impostor = Impostor(await hass.async_add_executor_job(backend.call, "GET", "/api/v1/info"))
    impostor.info.pop("time", None)
    server = TestServer(impostor.application(), host="127.0.0.1")
    await server.start_server()
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Home",
        unique_id=impostor.info["instance_id"],
        data={"url": str(server.make_url("")), "token": "", "verify_ssl": True},
    )
    entry.add_to_hass(hass)
    yield impostor, entry
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        await hass.config_entries.async_unload(entry.entry_id)
    await server.close()


def issues(hass: HomeAssistant) -> dict[str, dict[str, str]]:
    """The open issues: their placeholders by their translation key."""
    found = ir.async_get(hass).issues.values()
    return {str(issue.translation_key): dict(issue.translation_placeholders or {}) for issue in found if issue.active}


class TestRepairs:
    async def test_none_where_all_is_well(self, hass: HomeAssistant, backend: BackendProcess, token: str) -> None:
        await set_up(hass, backend, token)
        assert issues(hass) == {}

    @pytest.mark.parametrize(
        ("change", "key", "placeholders"),
        [
            ({"trouble": {"code": "weights_missing", "message": "…"}, "ready": False}, "weights_missing", {}),
            ({"trouble": {"code": "weights_mismatch", "message": "…"}, "ready": False}, "weights_missing", {}),
            ({"trouble": {"code": "engine_missing", "message": "…"}}, "engines_failed", {"code": "engine_missing"}),
            ({"gallery": {"people_to_enroll_again": 3}}, "enroll_again", {"people": "3"}),
        ],
    )
    async def test_what_a_backend_says_of_itself(
        self,
        hass: HomeAssistant,
        impostor: tuple[Impostor, MockConfigEntry],
        change: dict[str, Any],
        key: str,
        placeholders: dict[str, str],
    ) -> None:
        backend, entry = impostor
        well = dict(backend.info)
        backend.info |= {
            name: value if name != "gallery" else backend.info["gallery"] | value for name, value in change.items()
        }
        assert await hass.config_entries.async_setup(entry.entry_id)
        assert issues(hass) == {key: {"title": "Home", **placeholders}}
        backend.info = well
        await entry.runtime_data.coordinator.async_refresh()
        assert issues(hass) == {}

    @pytest.mark.parametrize(("hours", "seconds"), [(1, 3600), (-1, 3600), (0.001, None)])
    async def test_clocks_that_differ(
        self,
        hass: HomeAssistant,
        impostor: tuple[Impostor, MockConfigEntry],
        hours: float,
        seconds: int | None,
    ) -> None:
        backend, entry = impostor
        backend.info["time"] = to_wire_time(dt_util.utcnow() + timedelta(hours=hours))
        assert await hass.config_entries.async_setup(entry.entry_id)
        if seconds is None:
            assert issues(hass) == {}
        else:
            assert int(issues(hass)["clock_skew"]["seconds"]) == pytest.approx(seconds, abs=5)

    @pytest.mark.parametrize(
        ("versions", "key"),
        [
            ({"api_version": 0, "min_api_version": 0}, "backend_too_old"),
            ({"api_version": 99, "min_api_version": 98}, "backend_too_new"),
        ],
    )
    async def test_versions_that_do_not_fit(
        self, hass: HomeAssistant, impostor: tuple[Impostor, MockConfigEntry], versions: dict[str, int], key: str
    ) -> None:
        backend, entry = impostor
        well = dict(backend.info)
        backend.info |= versions
        await hass.config_entries.async_setup(entry.entry_id)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert list(issues(hass)) == [key]
        backend.info = well
        await hass.config_entries.async_reload(entry.entry_id)
        assert state_of(entry) is ConfigEntryState.LOADED
        assert issues(hass) == {}

    # aiohttp sets a heartbeat's timer again when a snapshot comes in while the socket is being closed.
    @pytest.mark.parametrize("expected_lingering_timers", [True])
    async def test_a_backend_that_was_updated_under_way(
        self, hass: HomeAssistant, impostor: tuple[Impostor, MockConfigEntry]
    ) -> None:
        backend, entry = impostor
        backend.hello |= {"api_version": 99, "min_api_version": 98}
        await hass.config_entries.async_setup(entry.entry_id)
        assert state_of(entry) is ConfigEntryState.SETUP_RETRY
        assert list(issues(hass)) == ["backend_too_new"]

    async def test_they_go_when_the_entry_is_disabled(
        self, hass: HomeAssistant, impostor: tuple[Impostor, MockConfigEntry]
    ) -> None:
        backend, entry = impostor
        backend.info["gallery"]["people_to_enroll_again"] = 1
        await hass.config_entries.async_setup(entry.entry_id)
        assert issues(hass)
        await hass.config_entries.async_unload(entry.entry_id)
        assert issues(hass) == {}

    async def test_they_go_with_the_entry(
        self, hass: HomeAssistant, impostor: tuple[Impostor, MockConfigEntry]
    ) -> None:
        backend, entry = impostor
        backend.info["gallery"]["people_to_enroll_again"] = 1
        await hass.config_entries.async_setup(entry.entry_id)
        assert issues(hass)
        await hass.config_entries.async_remove(entry.entry_id)
        assert issues(hass) == {}


@pytest.mark.parametrize(("asked", "used"), [(3840, 640), (640, 640), (480, 480)])
async def test_a_backend_that_asks_for_larger_pictures(
    hass: HomeAssistant, impostor: tuple[Impostor, MockConfigEntry], asked: int, used: int
) -> None:
    backend, entry = impostor
    backend.info["privacy"]["working_size"] = asked
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.runtime_data.coordinator.longest == used


async def test_diagnostics_name_nobody(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "bens_room")
    room = camera_subentry("Bens room", "camera.bens_room", **{CONF_TRIGGERS: ["binary_sensor.bens_motion"]})
    home = await set_up(hass, backend, token, room)
    hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
    await home.act("enroll", person="Adalbert", file=str(pictures.path(ADA)))
    camera.shown = pictures(ADA)
    await home.press("Bens room")
    found = await async_get_config_entry_diagnostics(hass, home.entry)
    text = json.dumps(found)
    for secret in ("Adalbert", "bens", "Bens", token, backend.url, str(backend.port)):
        assert secret not in text
    assert found["connected"] is True
    assert found["people"] == 1
    assert found["cameras"][0]["sent"] == 1
    assert found["backend"]["ready"] is True


async def test_system_health(hass: HomeAssistant, backend: BackendProcess, token: str) -> None:
    assert await async_setup_component(hass, "system_health", {})
    home = await set_up(hass, backend, token)
    info = await get_system_health_info(hass, DOMAIN)
    assert await info["can_reach_backend"] == "ok"
    assert info["connected"] is True
    await hass.config_entries.async_unload(home.entry.entry_id)
    assert await get_system_health_info(hass, DOMAIN) == {"loaded": False}


async def test_logbook(hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures) -> None:
    from custom_components.privface.logbook import async_describe_events

    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Log door", "camera.door"))
    hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
    await home.act("enroll", person="Ada", file=str(pictures.path(ADA)))
    told: list[Any] = []
    hass.bus.async_listen(EVENT_TYPE, told.append)
    described: dict[tuple[str, str], Any] = {}
    async_describe_events(hass, lambda domain, kind, say: described.update({(domain, kind): say}))
    say = described[DOMAIN, EVENT_TYPE]
    camera.shown = pictures(ADA)
    await home.press("Log door")
    await wait_until(lambda: told)
    assert say(told[0]) == {"name": "Log door", "message": "saw Ada"}

    assert say(LogbookEvent(camera="other", outcome="unknown")) == {"name": "other", "message": "saw somebody unknown"}


class LogbookEvent:
    """An event as the logbook reads it back."""

    def __init__(self, **data: Any) -> None:
        self.data = data


UNABLE: Final = "saw a face that can't be recognized"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"outcome": "known", "person": "Ada", "phase": "confirmed"}, "saw Ada"),
        ({"outcome": "known", "person": "Ada", "phase": "provisional"}, "probably saw Ada"),
        ({"outcome": "unknown", "stranger": {"number": 12, "visit": 1}}, "saw stranger 12 for the first time"),
        ({"outcome": "unknown", "stranger": {"number": 12, "visit": 3}}, "saw stranger 12 for the third time"),
        ({"outcome": "unknown", "stranger": {"number": 12, "visit": 11}}, "saw stranger 12 on visit 11"),
        ({"outcome": "unknown", "stranger": {"number": 12}}, "saw stranger 12"),
        ({"outcome": "unknown", "reason": "below_threshold", "stranger": None}, "saw somebody unknown"),
        (
            {"outcome": "unknown", "reason": "few_faces"},
            "saw somebody unknown: only one picture looks like somebody enrolled",
        ),
        (
            {"outcome": "unknown", "reason": "not_them"},
            "saw somebody unknown: you said that it isn't who it looks like",
        ),
        ({"outcome": "unusable", "reason": "too_blurry"}, f"{UNABLE}: it is too blurred"),
        ({"outcome": "unusable", "reason": "lighting"}, f"{UNABLE}: the light is bad"),
        ({"outcome": "unusable", "reason": "ignored"}, f"{UNABLE}: it is to be ignored"),
        ({"outcome": "unusable", "reason": "new"}, UNABLE),
        (
            {"outcome": "unknown", "corrects": "e", "corrected": {"outcome": "known", "person": "Ada"}},
            "was wrong about Ada: took it back, saw somebody unknown",
        ),
        (
            {"outcome": "known", "person": "Ada", "corrects": "e", "corrected": {"outcome": "unknown", "person": None}},
            "was wrong about somebody unknown: took it back, saw Ada",
        ),
        (
            {"outcome": "known", "person": "Ada", "corrects": "e", "corrected": {"outcome": "known", "person": None}},
            "was wrong: took it back, saw Ada",
        ),
        ({"outcome": "known", "person": "Ada", "corrects": "e"}, "was wrong: took it back, saw Ada"),
    ],
)
def test_the_logbook_says(data: dict[str, Any], message: str) -> None:
    assert _say(data) == message


async def test_the_bus_event_is_the_event_of_mqtt(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Bus door", "camera.door"))
    told: list[Any] = []
    hass.bus.async_listen(EVENT_TYPE, told.append)
    camera.shown = pictures(ADA)
    await home.press("Bus door")
    await wait_until(lambda: told)
    event_id = told[0].data["event_id"]
    stored = await hass.async_add_executor_job(backend.call, "GET", f"/api/v1/events/{event_id}")
    # Why it came out so stands in the log alone.
    assert stored.pop("explanation")["nearest"] == []
    assert dict(told[0].data) == stored
