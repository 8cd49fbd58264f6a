"""``privface doctor``: what is wrong on this computer, in plain words, and what to type."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

import typer
from yarl import URL

from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import say, say_json
from privface_backend.cli.runfile import read_run
from privface_backend.core import needed_weights, open_core
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.mqtt.link import MqttLink
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.settings import Settings

_OPENCV_WHEELS: Final = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_LEAST_FREE_MIB: Final = 200
_CONNECT_SECONDS: Final = 5.0
# A clock before this stands at its factory setting.
_RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; ``hint``: what to type."""

    name: str
    verdict: Verdict
    text: str
    hint: str = ""


def run_doctor(call: Invocation) -> None:
    """Check everything; ends with 1 when there is a problem."""
    set_up_logging("error")
    checks: list[Check] = []
    for check in _checks(call):
        checks.append(check)
        if not call.json:
            say(f"{_MARKS[check.verdict]} {check.name}: {check.text}" + (f"\n      {check.hint}" if check.hint else ""))
    problems = sum(check.verdict is Verdict.PROBLEM for check in checks)
    if call.json:
        say_json({"checks": [asdict(check) for check in checks], "problems": problems})
    else:
        say("Everything looks right." if not problems else f"{problems} to be mended.")
    if problems:
        raise typer.Exit(Exit.UNFINISHED)


_MARKS: Final = {Verdict.OK: "[ ok ]", Verdict.WARNING: "[look]", Verdict.PROBLEM: "[FAIL]"}


def _checks(call: Invocation) -> Iterator[Check]:
    yield _python()
    yield _processor()
    yield _opencv()
    yield _clock()
    try:
        settings = call.settings
    except PrivFaceError as error:
        yield _failed("settings", error, "Mend the lines named, then run `privface doctor` again.")
        return
    yield Check(name="settings", verdict=Verdict.OK, text="can be read")
    registry = Registry()
    yield from _engines(settings, registry)
    yield from _weights(settings, registry)
    yield _disk(settings.data_dir)
    yield asyncio.run(_gallery(settings))
    yield _port(settings)
    yield asyncio.run(_broker(settings))
    yield from _links(settings)


def _failed(name: str, error: PrivFaceError, hint: str = "") -> Check:
    return Check(name=name, verdict=Verdict.PROBLEM, text=error.message, hint=hint)


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info < (3, 11):
        return Check(
            name="Python", verdict=Verdict.PROBLEM, text=f"{version} is too old", hint="Install 3.11 or later."
        )
    return Check(name="Python", verdict=Verdict.OK, text=version)


def _processor() -> Check:
    """AVX is TensorFlow's demand alone: ONNX Runtime and OpenCV choose their code by what is there."""
    machine = platform.machine()
    if machine not in {"x86_64", "AMD64"}:
        return Check(name="processor", verdict=Verdict.OK, text=machine)
    flags = ""
    with contextlib.suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    names = [name for name in ("avx512f", "avx2", "avx") if f" {name}" in flags]
    if names or not flags:
        return Check(name="processor", verdict=Verdict.OK, text=f"{machine}{', ' + names[0] if names else ''}")
    return Check(
        name="processor",
        verdict=Verdict.WARNING,
        text=f"{machine} without AVX: the default engines work, slower; TensorFlow doesn't",
        hint="Leave engines.backend at onnx.",
    )


def _opencv() -> Check:
    installed = []
    for wheel in _OPENCV_WHEELS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed.append(f"{wheel} {metadata.version(wheel)}")
    if len(installed) == 1:
        return Check(name="OpenCV", verdict=Verdict.OK, text=installed[0])
    text = "is not installed" if not installed else "is installed more than once, and one breaks the other: "
    names = " ".join(wheel.split()[0] for wheel in installed)
    remove = f"pip uninstall -y {names}; " if installed else ""
    return Check(
        name="OpenCV",
        verdict=Verdict.PROBLEM,
        text=text + ", ".join(installed),
        hint=f"{remove}pip install 'opencv-contrib-python-headless>=4.10,<5'",
    )


def _clock() -> Check:
    now = datetime.now(UTC)
    if now < _RELEASED:
        return Check(
            name="clock",
            verdict=Verdict.PROBLEM,
            text=f"shows {now:%Y-%m-%d}, which is past: events would count as expired",
            hint="timedatectl set-ntp true",
        )
    return Check(name="clock", verdict=Verdict.OK, text=f"{now:%Y-%m-%d %H:%M} UTC")


def _engines(settings: Settings, registry: Registry) -> Iterator[Check]:
    chosen = (
        (EngineKind.DETECTOR, settings.engines.detector),
        (EngineKind.ALIGNER, settings.engines.aligner),
        (EngineKind.RECOGNIZER, settings.engines.recognizer),
    )
    for kind, name in chosen:
        try:
            missing = registry.missing(spec := registry.spec(kind, name))
        except PrivFaceError as error:
            yield _failed(kind.value, error, f"Choose one of: {error.allowed}")
            continue
        if missing:
            extra = f"'privface-backend[{spec.extra}]'" if spec.extra else " ".join(missing)
            text = f"{name} needs {', '.join(missing)}"
            yield Check(name=kind.value, verdict=Verdict.PROBLEM, text=text, hint=f"pip install {extra}")
        else:
            yield Check(name=kind.value, verdict=Verdict.OK, text=name)


def _weights(settings: Settings, registry: Registry) -> Iterator[Check]:
    store = WeightsStore(settings.models_dir)
    try:
        names = needed_weights(settings.engines, registry)
    except PrivFaceError:
        return
    for name in names:
        try:
            store.path(name)
        except PrivFaceError as error:
            yield _failed(f"weights {name}", error, f"privface models fetch {name}")
        else:
            yield Check(name=f"weights {name}", verdict=Verdict.OK, text="there, and the right bytes")


def _disk(data_dir: Path) -> Check:
    place = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    free = shutil.disk_usage(place).free // 2**20
    probe = place / ".privface-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        text = f"{data_dir} can't be written: {error.strerror}"
        return Check(name="disk", verdict=Verdict.PROBLEM, text=text, hint="privface --data-dir ANOTHER doctor")
    verdict = Verdict.OK if free >= _LEAST_FREE_MIB else Verdict.PROBLEM
    return Check(name="disk", verdict=verdict, text=f"{data_dir}, {free} MiB free")


async def _gallery(settings: Settings) -> Check:
    if not (settings.data_dir / "privface.db").exists():
        return Check(
            name="gallery", verdict=Verdict.OK, text="empty: nothing was enrolled yet", hint="privface enroll DIR"
        )
    try:
        async with open_core(settings) as core:
            people = await core.gallery.people()
    except PrivFaceError as error:
        return _failed("gallery", error)
    faces = sum(person.faces for person in people)
    return Check(name="gallery", verdict=Verdict.OK, text=f"{len(people)} people, {faces} pictures")


def _port(settings: Settings) -> Check:
    if run := read_run(settings.data_dir):
        return Check(name="service", verdict=Verdict.OK, text=f"runs at {run.url}")
    with socket.socket() as probe:
        probe.settimeout(_CONNECT_SECONDS)
        if probe.connect_ex(("127.0.0.1", settings.server.port)) == 0:
            return Check(
                name="service",
                verdict=Verdict.PROBLEM,
                text=f"port {settings.server.port} is taken by another program",
                hint="privface serve --port N",
            )
    return Check(name="service", verdict=Verdict.OK, text=f"not running; port {settings.server.port} is free")


async def _broker(settings: Settings) -> Check:
    if not settings.mqtt.enabled:
        return Check(name="MQTT", verdict=Verdict.OK, text="switched off")
    if not settings.broker_configured:
        text = "no broker is configured: the embedded one is used, on this computer only"
        return Check(name="MQTT", verdict=Verdict.OK, text=text)
    link = MqttLink(settings.mqtt)
    task = asyncio.create_task(link.run(), name="mqtt")
    try:
        await link.wait_connected(_CONNECT_SECONDS * 2)
    except PrivFaceError as error:
        where = f"{settings.mqtt.host}:{settings.mqtt.port}"
        return _failed("MQTT", error, f"Check mqtt.host, mqtt.port, mqtt.username and mqtt.password ({where}).")
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return Check(name="MQTT", verdict=Verdict.OK, text=f"{settings.mqtt.host}:{settings.mqtt.port} lets us in")


def _links(settings: Settings) -> Iterator[Check]:
    for number, address in enumerate(settings.links.allow, start=1):
        if not address.endswith("*"):
            yield asyncio.run(_link(f"camera link {number}", address))


async def _link(name: str, address: str) -> Check:
    """Whether the address' host answers on its port; the address may hold credentials and is not shown."""
    url = URL(address)
    host, port = url.host or "", url.port or {"rtsp": 554, "rtsps": 322}.get(url.scheme, 80)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError):
        text = f"{host}:{port} doesn't answer"
        return Check(name=name, verdict=Verdict.PROBLEM, text=text, hint="Is the camera on, and the address right?")
    return Check(name=name, verdict=Verdict.OK, text=f"{host}:{port} answers")
