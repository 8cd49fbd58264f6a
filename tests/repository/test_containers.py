"""The Dockerfile and compose.yaml, checked without a Docker engine: hadolint, the Compose Specification, our own."""

import os
import re
import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from privface_backend.settings_loading import load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
# The interpreter's own bin directory, which an environment that is not activated does not put on the path.
BIN = Path(sysconfig.get_path("scripts"))


def check(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.*)$", joined, re.MULTILINE)


def composed(service: str) -> dict[str, str]:
    environment: dict[str, str] = COMPOSE["services"][service]["environment"]
    return environment


def test_hadolint_finds_nothing() -> None:
    check(BIN / "hadolint", "--failure-threshold", "style", "Dockerfile")


def test_the_compose_file_fits_its_schema() -> None:
    check(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_the_schema_check_can_fail(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text("services: {backend: {image: a, capabilities_drop: [ALL]}}\n")
    with pytest.raises(AssertionError, match="capabilities_drop"):
        check(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", wrong)


def test_the_image_installs_what_run_installs() -> None:
    """Both make `.venv` beside `scripts` with the same script, and the image has no install line of its own."""
    run = (ROOT / "scripts/run").read_text()
    assert '"$root/scripts/install" "$root/.venv" "${extras[@]}"\n' in run
    installing = [line for line in instructions("RUN") if re.search(r"\b(pip|uv|apt-get|install)\b", line)]
    assert [line.split(" && ")[0].strip() for line in installing if "scripts/install" in line] == [
        "scripts/install .venv ${EXTRAS}"
    ]
    assert not [line for line in instructions("RUN") if re.search(r"\b(pip|uv|apt-get)\b", line)]


def test_the_build_context_has_what_the_image_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source for line in instructions("COPY") if not line.startswith("--from=build") for source in line.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)


def test_images_are_pinned_by_digest() -> None:
    stages = {"base", "build"}
    bases = [line.split()[0] for line in instructions("FROM")]
    images = [base for base in bases if base not in stages] + [COMPOSE["services"]["mosquitto"]["image"]]
    assert images
    assert all(re.fullmatch(r"[a-z-]+:[\w.-]+@sha256:[0-9a-f]{64}", image) for image in images)


def test_the_image_runs_as_a_fixed_user_that_is_not_root() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert "--uid 10001" in DOCKERFILE
    assert instructions("ENTRYPOINT") == ['["privface"]']
    assert instructions("CMD") == ['["serve"]']
    assert len(instructions("HEALTHCHECK")) == 1


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_is_confined_and_comes_back(name: str) -> None:
    service: dict[str, Any] = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service
    assert "HEALTHCHECK" in DOCKERFILE if "build" in service else "healthcheck" in service
    # Reached from this host alone, unless .env says otherwise.
    assert all(port.startswith("${PRIVFACE_BIND:-127.0.0.1}:") for port in service["ports"])


def test_the_backend_understands_what_both_files_set() -> None:
    image = dict(re.findall(r"(PRIVFACE_\w+)=(\S+)", " ".join(instructions("ENV"))))
    service = {name: value.replace("${PRIVFACE_MQTT_PASSWORD:?", "") for name, value in composed("backend").items()}
    settings = load_settings(environment=image | service)
    assert settings.data_dir == Path("/data")
    assert settings.models_dir == Path("/data/models")
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8090)  # noqa: S104  # what a container must listen on
    assert settings.broker_configured
    assert (settings.mqtt.host, settings.mqtt.username) == ("mosquitto", "privface")


def test_no_password_is_in_the_files() -> None:
    for service in COMPOSE["services"]:
        for name, value in composed(service).items():
            if "PASSWORD" in name:
                assert value.startswith("${PRIVFACE_MQTT_PASSWORD:?")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """The broker of compose.yaml started by its own command, its three places moved below a folder of the test."""
    path = "/usr/sbin:/usr/bin:/bin:/usr/local/bin:/usr/local/sbin"
    if shutil.which("mosquitto", path=path) is None or shutil.which("mosquitto_passwd", path=path) is None:
        pytest.skip("no Mosquitto here; Debian's package of that name has it")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "data").mkdir()
    config = (ROOT / "docker/mosquitto.conf").read_text()
    config = config.replace("listener 1883", f"listener {port} 127.0.0.1").replace(
        "/mosquitto/data", str(tmp_path / "data")
    )
    (tmp_path / "mosquitto.conf").write_text(config.replace("/run/mosquitto", str(tmp_path)))
    shell, option, script = COMPOSE["services"]["mosquitto"]["command"]
    script = (
        script.replace("$$", "$").replace("/run/mosquitto", str(tmp_path)).replace("/mosquitto/config", str(tmp_path))
    )
    if os.geteuid() == 0:
        # As root, Mosquitto gives up its rights for a user who may not read the test's folder.
        script = script.replace("exec mosquitto", f"echo user root >>{tmp_path}/mosquitto.conf; exec mosquitto")
    process = subprocess.Popen(
        [shell, option, script],
        env={"PATH": path, "MQTT_PASSWORD": "a word of the test"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        assert any("running" in line for line in process.stderr), "the broker did not start"
        yield port
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


@pytest.mark.broker
@pytest.mark.parametrize(("password", "accepted"), [("a word of the test", True), ("another", False), (None, False)])
def test_the_broker_takes_its_password_and_nobody_else(broker: int, password: str | None, accepted: bool) -> None:
    answers: list[ReasonCode] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if password is not None:
        client.username_pw_set("privface", password)

    def on_connect(_client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _properties: object) -> None:
        answers.append(code)

    client.on_connect = on_connect
    client.connect("127.0.0.1", broker)
    while not answers:
        client.loop(timeout=5)
    client.disconnect()
    assert answers[0].is_failure is not accepted
