"""A real Home Assistant of the test's own on loopback, reached the way its frontend reaches it.

    async with HomeAssistant(tmp_path) as home:
        entry = await home.add_entry("privface", {"url": backend.url, "token": token, "verify_ssl": True})

It runs on this interpreter; ``.venv-hass`` has it. It starts without configured integrations but those that it always
sets up, with the component copied into its configuration directory, and with an owner who has signed in once.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from homeassistant.components.http.config import HTTP_STORAGE_SCHEMA
from homeassistant.components.http.config import STORAGE_VERSION as HTTP_VERSION
from homeassistant.components.onboarding import STORAGE_VERSION as ONBOARDING_VERSION

from support.hass_socket import HassSocket
from support.network import Host
from support.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS: Final = 120.0
CONFIGURATION: Final = """\
homeassistant:
  name: Home
  country: IT
  language: en
  time_zone: Europe/Rome
  unit_system: metric
  allowlist_external_dirs: [{media}]
  media_dirs: {{local: {media}}}
automation: !include automations.yaml
history:
logbook:
media_source:
logger:
  default: warning
  logs: {{custom_components.privface: debug}}
"""


class HomeAssistant:
    """A ``hass`` over ``directory``, on the same port at each start. ``more``: YAML to add to its configuration;
    ``host``: where it runs, none: on this computer's own network; ``component``: with PrivFace's own integration.

    ``config``: its configuration directory; ``media``: a directory that it may read pictures from.
    """

    def __init__(self, directory: Path, *, more: str = "", host: Host | None = None, component: bool = True) -> None:
        self.config = directory / "config"
        self.media = directory / "media"
        self.port = free_port()
        self.token = ""
        self.frontend_tokens: dict[str, Any] = {}
        self._more = more
        self._host = host
        self._component = component
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession
        self._socket: HassSocket

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has logged so far, in all its runs."""
        return (self.config / "output.log").read_text(encoding="utf-8", errors="replace")

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._write_configuration)
        try:
            await self.start()
        except BaseException:
            await self.stop(signal.SIGKILL)
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    def _write_configuration(self) -> None:
        storage = self.config / ".storage"
        for folder in (storage, self.media):
            folder.mkdir(parents=True)
        (self.config / "configuration.yaml").write_text(CONFIGURATION.format(media=self.media) + self._more)
        (self.config / "automations.yaml").write_text("[]\n")
        if self._component:
            shutil.copytree(
                ROOT / "custom_components",
                self.config / "custom_components",
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        # A port in YAML is only on trial, and reverted after five minutes.
        http = HTTP_STORAGE_SCHEMA({"server_host": ["127.0.0.1"], "server_port": self.port})
        stored = {
            "http": (HTTP_VERSION, {"stable": http, "pending": None, "yaml_migration_done": True}),
            "onboarding": (ONBOARDING_VERSION, {"done": ["core_config", "analytics", "integration"]}),
        }
        for key, (version, data) in stored.items():
            document = {"version": version, "minor_version": 1, "key": key, "data": data}
            (storage / key).write_text(json.dumps(document))

    async def start(self) -> None:
        """Start it, sign in, and wait until it has started everything."""
        assert self._process is None, "it runs already"
        self._process = await (self._host.run(self._run) if self._host else asyncio.to_thread(self._run))
        connector = self._host.connector() if self._host else None
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        await self.until(self._answers, "Home Assistant doesn't answer")
        if not self.token:
            await self._onboard()
        await self._connect()
        await self.until(self._runs, "Home Assistant doesn't finish its start")

    def _run(self) -> subprocess.Popen[bytes]:
        options = ["--skip-pip", "--verbose", "--log-no-color"]
        with (self.config / "output.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "homeassistant", "-c", str(self.config), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"HOME": str(self.config)},
            )

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Home Assistant ended:\n{self.log}"
        try:
            async with self._session.get(f"{self.url}/manifest.json") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def _runs(self) -> bool:
        return bool((await self.command("get_config"))["state"] == "RUNNING")

    async def _connect(self) -> None:
        self._socket = await self._stack.enter_async_context(HassSocket.connect(self._session, self.url, self.token))

    async def _onboard(self) -> None:
        """Create the owner; keep what the frontend would, and a token that stays valid."""
        client = f"{self.url}/"
        owner = {"name": "Owner", "username": "owner", "password": "of the test", "language": "en"}
        created = await self.request("POST", "/api/onboarding/users", {**owner, "client_id": client})
        code = {"grant_type": "authorization_code", "code": created["auth_code"], "client_id": client}
        async with self._session.post(f"{self.url}/auth/token", data=code) as answer:
            assert answer.status == 200, await answer.text()
            tokens = await answer.json()
        expires = int((time.time() + tokens["expires_in"]) * 1000)
        self.frontend_tokens = {**tokens, "hassUrl": self.url, "clientId": client, "expires": expires}
        async with HassSocket.connect(self._session, self.url, tokens["access_token"]) as socket:
            self.token = await socket.command("auth/long_lived_access_token", client_name="test", lifespan=1)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it if it runs; SIGTERM in order, SIGKILL at once."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        if self._process is not None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, SECONDS)
            self._process = None

    async def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        await self.stop(number)
        await self.start()

    async def until(self, condition: Callable[[], Any], failure: str, seconds: float = SECONDS) -> Any:
        """Wait until ``await condition()`` is true; what it gave."""
        deadline = time.monotonic() + seconds
        while not (found := await condition()):
            assert time.monotonic() < deadline, f"{failure}\n{self.log}"
            await asyncio.sleep(0.1)
        return found

    async def request(self, method: str, path: str, body: object = None, *, ok: bool = True) -> Any:
        """Send a REST request; the JSON of the answer. ``ok``: fail with the answer's text unless it succeeds."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self._session.request(method, f"{self.url}{path}", json=body, headers=headers) as answer:
            assert answer.status < 400 or not ok, f"{method} {path}: {answer.status} {await answer.text()}"
            return await answer.json()

    async def fetch(self, path: str) -> bytes:
        """The bytes of what lies at ``path``, for example an image's ``entity_picture``."""
        async with self._session.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"}) as answer:
            assert answer.status == 200, f"{path}: {answer.status}"
            return await answer.read()

    async def command(self, kind: str, **fields: Any) -> Any:
        """Send a websocket command; see ``HassSocket.command``."""
        return await self._socket.command(kind, **fields)

    async def call(
        self, action: str, data: Mapping[str, Any] | None = None, *, answers: bool = False, **target: Any
    ) -> Any:
        """Run the action ``domain.name`` on a target (``entity_id=…``); its response if it ``answers``."""
        domain, _, name = action.partition(".")
        done = await self.command(
            "call_service",
            domain=domain,
            service=name,
            service_data=dict(data or {}),
            target=target,
            return_response=answers,
        )
        return done.get("response")  # the newest Home Assistant leaves it out where none was asked for

    @asynccontextmanager
    async def events(self, event_type: str) -> AsyncIterator[asyncio.Queue[Any]]:
        """The bus's events of that type, for the length of the block."""
        async with self._socket.subscribe("subscribe_events", event_type=event_type) as queue:
            yield queue

    async def states(self) -> dict[str, dict[str, Any]]:
        """All states by entity id."""
        return {state["entity_id"]: state for state in await self.command("get_states")}

    async def until_state(
        self, entity_id: str, wanted: str | Callable[[dict[str, Any]], bool], seconds: float = 30.0
    ) -> dict[str, Any]:
        """Wait until an entity is in a state, or its state satisfies ``wanted``; the state."""

        async def look() -> dict[str, Any] | None:
            state = (await self.states()).get(entity_id)
            if state is None:
                return None
            return state if (state["state"] == wanted if isinstance(wanted, str) else wanted(state)) else None

        state = await self.until(look, f"{entity_id} doesn't get there", seconds)
        assert isinstance(state, dict)
        return state

    async def until_discovered(self, handler: str, step: str) -> dict[str, Any]:
        """Wait until an integration has a flow at that step which nobody here has started; the flow."""

        async def find() -> dict[str, Any] | None:
            flows = await self.command("config_entries/flow/progress")
            return next((flow for flow in flows if (flow["handler"], flow["step_id"]) == (handler, step)), None)

        flow = await self.until(find, f"{handler} has no flow at {step}", 30)
        assert isinstance(flow, dict)
        return flow

    async def answer_flow(self, path: str, start: Mapping[str, Any], *answers: Mapping[str, Any]) -> dict[str, Any]:
        """Start a flow at ``path`` below ``/api/config/config_entries`` and answer its forms; the last result."""
        at = f"/api/config/config_entries/{path}"
        result: dict[str, Any] = await self.request("POST", at, dict(start))
        for answer in answers:
            result = await self.request("POST", f"{at}/{result['flow_id']}", dict(answer))
        return result

    async def add_entry(self, handler: str, *answers: Mapping[str, Any]) -> dict[str, Any]:
        """Set an integration up by its flow for users; the config entry."""
        result = await self.answer_flow("flow", {"handler": handler}, *answers)
        assert result["type"] == "create_entry", result
        return dict(result["result"])

    async def add_subentry(self, entry_id: str, kind: str, *answers: Mapping[str, Any]) -> dict[str, Any]:
        """Add a subentry by its flow; the flow's last result."""
        result = await self.answer_flow("subentries/flow", {"handler": [entry_id, kind]}, *answers)
        assert result["type"] == "create_entry", result
        return result
