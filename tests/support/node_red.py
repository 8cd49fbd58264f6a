"""A real Node-RED for tests, and what it says: flows are deployed as they are, debug nodes are read as its editor does.

Standard library and aiohttp only.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from support.backend_process import ROOT
from support.ports import free_port

EXAMPLES: Final = ROOT / "examples" / "node-red"
SECONDS: Final = 60.0
_PROGRAM: Final = ROOT / ".cache/node-red/node_modules/node-red/red.js"
# Nothing is asked of the network, and nothing is told to anybody.
_SETTINGS: Final[Mapping[str, object]] = {
    "uiHost": "127.0.0.1",
    "flowFile": "flows.json",
    "credentialSecret": False,
    "debugMaxLength": 100_000,
    "telemetry": {"enabled": False},
    "externalModules": {"autoInstall": False},
    "editorTheme": {"tours": False},
}


def find_node_red() -> Path | None:
    """The Node-RED that scripts/test installs."""
    return _PROGRAM if _PROGRAM.is_file() and shutil.which("node") else None


def read_flow(name: str) -> list[dict[str, Any]]:
    """An example by its file's name, without ``.json``."""
    return list(json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8")))


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait until ``condition`` holds.

    Raises:
        AssertionError: it doesn't, for ``SECONDS``.
    """
    try:
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110  # what other processes do has no event to wait for
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(what) from None


@dataclass(frozen=True, slots=True)
class Said:
    """What a debug node showed. ``text``: as the editor gets it; ``format``: what it is, for example ``string[5]``."""

    node: str
    text: str
    format: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class NodeRed:
    """One Node-RED that runs on a free loopback port, over ``directory``; ``environment``: variables of its own."""

    def __init__(self, directory: Path, *, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.port = free_port()
        self.said: list[Said] = []
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")}
        self._environment = clean | dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._listening: asyncio.Task[None] | None = None
        self._names: dict[str, str] = {}
        self._deployed: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.directory / "node-red.log").read_text(encoding="utf-8", errors="replace")

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "it doesn't run"
        return self._session

    async def install(self, package: Path) -> None:
        """Install a package of nodes from a folder, as a user does; before the start, and without the network."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--offline", "--install-links", "--no-audit", "--no-fund", str(package)]
        process = await asyncio.create_subprocess_exec(*command, cwd=self.directory, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0, f"npm can't install {package.name}"

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = json.dumps({**_SETTINGS, "uiPort": self.port})
        (self.directory / "settings.js").write_text(f"module.exports = {settings};\n", encoding="utf-8")
        (self.directory / "flows.json").write_text("[]", encoding="utf-8")
        with (self.directory / "node-red.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "node", str(_PROGRAM), "--userDir", str(self.directory), env=self._environment, stdout=log, stderr=log
            )
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        try:
            async with asyncio.timeout(SECONDS):
                while not await self._answers():
                    assert self._process.returncode is None, f"Node-RED ended:\n{self.log}"
                    await asyncio.sleep(0.05)
            socket = await self._session.ws_connect(f"{self.url}/comms")
            for topic in ("debug", "notification/#"):
                await socket.send_json({"subscribe": topic})
            self._listening = asyncio.create_task(self._listen(socket))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def _answers(self) -> bool:
        try:
            async with self.session.get(f"{self.url}/flows") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            read = json.loads(message.data)
            for one in read if isinstance(read, list) else [read]:
                data = one.get("data")
                if one.get("topic") == "notification/runtime-deploy":
                    self._deployed.add(data["revision"])
                elif one.get("topic") == "debug":
                    self.said.append(Said(self._names.get(data["id"], data["id"]), str(data["msg"]), data["format"]))

    async def deploy(self, flow: list[dict[str, Any]], **variables: str) -> None:
        """Run this flow and no other; ``variables``: what a user writes into its tab."""
        nodes = json.loads(json.dumps(flow))
        for entry in (entry for node in nodes if node["type"] == "tab" for entry in node.get("env", ())):
            if entry["name"] in variables:
                entry |= {"type": "str", "value": variables[entry["name"]]}
        # Nothing in between, until all that the flow before had to say was heard.
        await self._replace([])
        self.said.clear()
        self._names = {node["id"]: str(node.get("name", "")) for node in nodes}
        if nodes:
            await self._replace(nodes)

    async def _replace(self, nodes: list[dict[str, Any]]) -> None:
        self._deployed.clear()
        version = {"Node-RED-API-Version": "v2"}
        async with self.session.post(f"{self.url}/flows", json={"flows": nodes}, headers=version) as answer:
            assert answer.status == 200, await answer.text()
            revision = (await answer.json())["rev"]
        await until(lambda: revision in self._deployed, "a deployment")

    async def press(self, flow: list[dict[str, Any]], name: str) -> None:
        """Press the button of an inject node."""
        (node,) = (one["id"] for one in flow if one["type"] == "inject" and one["name"] == name)
        async with self.session.post(f"{self.url}/inject/{node}") as answer:
            assert answer.status == 200, await answer.text()

    def texts(self, name: str) -> list[str]:
        """What the debug node of that name has shown since the last deployment."""
        return [said.text for said in self.said if said.node == name]

    async def hear(self, name: str, count: int = 1) -> list[str]:
        """What the debug node of that name has shown, once that is ``count`` messages."""
        try:
            await until(lambda: len(self.texts(name)) >= count, name)
        except AssertionError:
            shown = [(one.node, one.text[:200]) for one in self.said]
            raise AssertionError(f"{name} shows too little: {shown}\n{self.log[-3000:]}") from None
        return self.texts(name)
