"""``privface doctor``: what is wrong on this computer, in plain words, and what to type."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import typer
from yarl import URL

from privface_backend.cli.broker import join
from privface_backend.cli.checks import Check, Verdict, can_serve, failed
from privface_backend.cli.doctor_bridge import check_bridge
from privface_backend.cli.doctor_sealed import check_sealed
from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import say, say_json
from privface_backend.cli.webhook import leaves_home_unencrypted, reach
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.connection import ConnectError, FailureKind
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
_BROKER_SECONDS: Final = 20.0
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to
# A clock before this stands at its factory setting.
_RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)


def run_doctor(call: Invocation) -> None:
    """Check everything; ends with 1 when there is a problem."""
    set_up_logging("error")
    checks: list[Check] = []
    for check in _checks(call):
        checks.append(check)
        if not call.json:
            lines = [*check.text.splitlines(), *check.hint.splitlines()]
            say(f"{_MARKS[check.verdict]} {check.name}: " + "\n       ".join(lines))
    problems = sum(check.verdict is Verdict.PROBLEM for check in checks)
    if call.json:
        say_json({"checks": [asdict(check) for check in checks], "problems": problems})
    else:
        say(f"{problems} {'thing' if problems == 1 else 'things'} to mend." if problems else "Everything looks right.")
    if problems:
        raise typer.Exit(Exit.UNFINISHED)


_MARKS: Final = {Verdict.OK: "[ ok ]", Verdict.WARNING: "[look]", Verdict.PROBLEM: "[FAIL]"}


def _checks(call: Invocation) -> Iterator[Check]:
    yield Check(name="Python", verdict=Verdict.OK, text=platform.python_version())
    yield _processor()
    yield _opencv()
    yield _clock()
    try:
        settings = call.settings
    except PrivFaceError as error:
        yield failed("settings", error, "Mend the lines named, then run `privface doctor` again.")
        return
    yield Check(name="settings", verdict=Verdict.OK, text="can be read")
    if can_serve():
        yield from _service_checks(settings)
    else:
        yield Check(name="installed", verdict=Verdict.OK, text="what `privface bridge` needs, and nothing else")
    yield asyncio.run(_broker(settings))
    yield from _links(settings)
    if can_serve():
        yield from _webhooks(settings)
        yield from _dht(settings)
    yield from check_bridge(settings)


def _service_checks(settings: Settings) -> Iterator[Check]:
    if not settings.privacy.sealed:
        registry = Registry()
        yield from _engines(settings, registry)
        yield from _weights(settings, registry)
    yield from check_sealed(settings)
    yield _disk(settings.data_dir)
    yield asyncio.run(_gallery(settings))
    yield _service(settings)


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
            yield failed(kind.value, error, f"Choose one of: {error.allowed}")
            continue
        if missing:
            extra = f"'privface-backend[{spec.extra}]'" if spec.extra else " ".join(missing)
            text = f"{name} needs {', '.join(missing)}"
            yield Check(name=kind.value, verdict=Verdict.PROBLEM, text=text, hint=f"pip install {extra}")
        else:
            yield Check(name=kind.value, verdict=Verdict.OK, text=name)


def _weights(settings: Settings, registry: Registry) -> Iterator[Check]:
    from privface_backend.core import needed_weights  # noqa: PLC0415  # not where the bridge alone is installed
    from privface_backend.models.store import WeightsStore  # noqa: PLC0415  # as above

    store = WeightsStore(settings.models_dir)
    try:
        names = needed_weights(settings.engines, registry, settings.methods)
    except PrivFaceError:
        return
    for name in names:
        try:
            store.path(name)
        except PrivFaceError as error:
            yield failed(f"weights {name}", error)
        else:
            yield Check(name=f"weights {name}", verdict=Verdict.OK, text="there, and the right bytes")


def _disk(data_dir: Path) -> Check:
    """Whether a file can be written where the data directory is, or will be."""
    place = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        text = f"{data_dir} can't be written: {error.strerror}"
        return Check(name="disk", verdict=Verdict.PROBLEM, text=text, hint="privface --data-dir ANOTHER doctor")
    free = shutil.disk_usage(place).free // 2**20
    if free < _LEAST_FREE_MIB:
        text = f"{data_dir}, {free} MiB free: too little"
        return Check(name="disk", verdict=Verdict.PROBLEM, text=text, hint=f"Free {_LEAST_FREE_MIB} MiB there.")
    return Check(name="disk", verdict=Verdict.OK, text=f"{data_dir}, {free} MiB free")


async def _gallery(settings: Settings) -> Check:
    if not (settings.data_dir / "privface.db").exists():
        return Check(
            name="gallery", verdict=Verdict.OK, text="empty: nothing was enrolled yet", hint="privface enroll DIR"
        )
    from privface_backend.core import open_core  # noqa: PLC0415  # not where the bridge alone is installed

    try:
        async with open_core(settings) as core:
            people = await core.gallery.people()
    except PrivFaceError as error:
        return failed("gallery", error)
    faces = sum(person.faces for person in people)
    return Check(name="gallery", verdict=Verdict.OK, text=f"{len(people)} people, {faces} pictures")


def _service(settings: Settings) -> Check:
    """Whether a service runs on this data directory; if not, whether its port is free."""
    from privface_backend.cli.runfile import read_run  # noqa: PLC0415  # not where the bridge alone is installed

    run = read_run(settings.data_dir)
    if run is not None and _answers(URL(run.url).host or "", URL(run.url).port or 0):
        return Check(name="service", verdict=Verdict.OK, text=f"runs at {run.url}")
    host, port = settings.server.host, settings.server.port
    if port and _answers("127.0.0.1" if host in _EVERYWHERE else host, port):
        return Check(
            name="service",
            verdict=Verdict.PROBLEM,
            text=f"port {port} is taken by another program",
            hint="privface serve --port N",
        )
    return Check(
        name="service", verdict=Verdict.OK, text=f"not running; port {port} is free" if port else "not running"
    )


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


async def _broker(settings: Settings) -> Check:
    mqtt = settings.mqtt
    if not mqtt.enabled:
        return Check(name="MQTT", verdict=Verdict.OK, text="switched off")
    if not settings.broker_configured:
        embedded = settings.broker.embedded and can_serve()
        used = "the embedded one is used, on this computer only" if embedded else "MQTT is off"
        return Check(name="MQTT", verdict=Verdict.OK, text=f"no broker is configured: {used}")
    where = f"{mqtt.host}:{mqtt.port}"
    hint = f"Check mqtt.host, mqtt.port, mqtt.username and mqtt.password ({where})."
    try:
        async with asyncio.timeout(_BROKER_SECONDS), join(mqtt, "doctor") as connection:
            text = f"{where} lets us in (MQTT {connection.version})"
    except ConnectError as error:
        refused = error.kind is FailureKind.REFUSED
        text = f"The broker refused: {error.reason}." if refused else f"No broker: {error.reason}."
        return Check(name="MQTT", verdict=Verdict.PROBLEM, text=text, hint=hint)
    except TimeoutError:
        return Check(name="MQTT", verdict=Verdict.PROBLEM, text=f"{where} doesn't answer.", hint=hint)
    return Check(name="MQTT", verdict=Verdict.OK, text=text)


def _links(settings: Settings) -> Iterator[Check]:
    for number, address in enumerate(settings.links.allow, start=1):
        if not address.endswith("*"):
            yield asyncio.run(_link(f"camera link {number}", address))


def _webhooks(settings: Settings) -> Iterator[Check]:
    """Whether each webhook's host answers on its port; nothing is sent."""
    for number, hook in enumerate(settings.webhooks, start=1):
        name = f"webhook {number}"
        if problem := asyncio.run(reach(hook)):
            text, hint = f"{hook.place}: {problem}", "Is the other side on, and webhooks right?"
            yield Check(name=name, verdict=Verdict.PROBLEM, text=text, hint=hint)
        elif leaves_home_unencrypted(hook):
            text, hint = f"{hook.place} answers; events go there unencrypted", "Use https:// where they leave the home."
            yield Check(name=name, verdict=Verdict.WARNING, text=text, hint=hint)
        else:
            text = f"{hook.place} answers; privface webhook test {number} sends it a test"
            yield Check(name=name, verdict=Verdict.OK, text=text)


def _dht(settings: Settings) -> Iterator[Check]:
    """Whether the host of the distributed hash table answers on its port."""
    if settings.dht.enabled:
        yield asyncio.run(_link("DHT", settings.dht.url, hint="Is the node on, and dht.url right?"))


async def _link(name: str, address: str, hint: str = "Is the camera on, and the address right?") -> Check:
    """Whether the address' host answers on its port; the address may hold credentials and is not shown."""
    try:
        url = URL(address)
        host, port = url.host or "", url.port or {"rtsp": 554, "rtsps": 322}.get(url.scheme, 80)
    except ValueError:
        return Check(name=name, verdict=Verdict.PROBLEM, text="is no address", hint="Mend links.allow.")
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError):
        text = f"{host}:{port} doesn't answer"
        return Check(name=name, verdict=Verdict.PROBLEM, text=text, hint=hint)
    return Check(name=name, verdict=Verdict.OK, text=f"{host}:{port} answers")
