"""The settings: where they come from, what wins, and how wrong ones are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from privface_backend.errors import SettingsError
from privface_backend.mqtt.settings import MqttProtocol
from privface_backend.settings import Settings
from privface_backend.settings_file import RULE, GivenSettings, between, read_settings_file
from privface_backend.settings_loading import load_settings, types_of


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str, name: str = "privface.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def problems(config: Path | None = None, environment: dict[str, str] | None = None, **flags: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(config=config, environment=environment or {}, flags=flags)
    return caught.value.problems


def test_the_defaults_need_nothing() -> None:
    settings = load_settings(environment={})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8090)
    assert (settings.privacy.method, settings.privacy.parameter) == ("gaussian", 17)
    assert settings.models_dir == settings.data_dir / "models"
    assert not settings.broker_configured


def test_what_comes_later_wins(write: Any, tmp_path: Path) -> None:
    config = write("server: {port: 1, host: 10.0.0.1, body_megabytes: 7}\n")
    environment = {"PRIVFACE_SERVER__PORT": "2", "PRIVFACE_SERVER__HOST": "10.0.0.2"}
    server = load_settings(config=config, environment=environment, flags={"server.port": 3, "log.level": None}).server
    assert (server.port, server.host, server.body_megabytes) == (3, "10.0.0.2", 7)


def test_types(write: Any, tmp_path: Path) -> None:
    config = write(
        f"""
data_dir: {tmp_path}/data
models_dir: ~/models
gallery: {{folder: people, prune: true}}
privacy: {{ladder: [0.01, 0.05]}}
decision: {{caution: 0, smallest_face: 30}}
links: {{allow: ["rtsp://a/*"], webcams: [0, 2]}}
mqtt: {{host: broker, protocol: 5, port: 8883}}
broker:
"""
    )
    settings = load_settings(config=config, environment={})
    assert settings.data_dir == tmp_path / "data"
    assert settings.models_dir == Path.home() / "models"
    assert (settings.gallery.folder, settings.gallery.prune) == (Path("people"), True)
    assert settings.privacy.ladder == (0.01, 0.05)
    assert (settings.decision.caution, settings.decision.smallest_face) == (0.0, 30.0)
    assert (settings.links.allow, settings.links.webcams) == (("rtsp://a/*",), (0, 2))
    assert settings.mqtt.protocol is MqttProtocol.V5
    assert settings.broker_configured


def test_the_environment(tmp_path: Path) -> None:
    settings = load_settings(
        environment={
            "PRIVFACE_DATA_DIR": str(tmp_path),
            "PRIVFACE_MODELS_DIR": "/models",
            "PRIVFACE_SERVER__REQUIRE_TOKEN": "false",
            "PRIVFACE_MQTT__HOST": "10",
            "PRIVFACE_MQTT__USERNAME": "anna",
            "PRIVFACE_MQTT__PASSWORD": "123: [",
            "PRIVFACE_MQTT__PROTOCOL": "3.1.1",
            "PRIVFACE_LINKS__ALLOW": "[rtsp://a/1]",
            "PRIVFACE_LOG__LEVEL": "",
            "PRIVFACE_CONFIG": "not read here",
            "PRIVFACE_TOKEN": "t",
            "PRIVFACE_EXTRAS": "dlib",
            "PRIVFACE_PYTHON": "python3",
            "PRIVFACE_BIND": "0.0.0.0",  # noqa: S104  # text, not bound to
            "PATH": "x",
        }
    )
    assert (settings.data_dir, settings.models_dir) == (tmp_path, Path("/models"))
    assert settings.server.require_token is False
    assert (settings.mqtt.host, settings.mqtt.password, settings.mqtt.protocol) == ("10", "123: [", MqttProtocol.V311)
    assert settings.links.allow == ("rtsp://a/1",)
    assert settings.log.level == "info"


def test_unknown_variables_are_problems() -> None:
    environment = {"PRIVFACE_MQTT_PASSWORD": "x", "PRIVFACE_SERVER__PRT": "1", "PRIVFACE_X": "1"}
    assert problems(environment=environment) == (
        "the environment (PRIVFACE_MQTT_PASSWORD): mqtt_password: no such setting; did you mean mqtt.password?",
        "the environment (PRIVFACE_SERVER__PRT): server.prt: no such setting; did you mean server.port?",
        "the environment (PRIVFACE_X): x: no such setting",
    )


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("", ""),
        ("http://192.168.1.5:8090", "http://192.168.1.5:8090"),
        ("https://home.example/faces/", "https://home.example/faces"),
        ("http://[fd00::5]:8090", "http://[fd00::5]:8090"),
    ],
)
def test_an_address_to_tell_others(url: str, kept: str) -> None:
    assert load_settings(environment={"PRIVFACE_DISCOVERY__URL": url}).discovery.url == kept


@pytest.mark.parametrize(
    "url",
    [
        "192.168.1.5:8090",
        "ftp://home.example",
        "http://",
        "http://user:secret@home.example",
        "http://h:99999",
        "http://home.example/?token=secret",
        "http://home.example/#there",
    ],
)
def test_what_can_not_be_told_as_an_address(url: str) -> None:
    [problem] = problems(environment={"PRIVFACE_DISCOVERY__URL": url})
    assert "discovery.url: expected http:// or https://" in problem
    assert "secret" not in problem


def test_every_problem_with_its_place(write: Any) -> None:
    config = write(
        """\
# comment
server:
  port: 70000
  hots: x
privacy:
  method: nonsense
mqtt:
  port: 0
  cert_file: /nowhere
nonsense: 1
"""
    )
    found = problems(config, {"PRIVFACE_LOG__LEVEL": "loud", "PRIVFACE_DECISION__MARGIN": "["}, **{"server.host": 3})
    assert set(found) == {
        "privface.yaml, line 3: server.port: expected 0 to 65535",
        "privface.yaml, line 4: server.hots: no such setting; did you mean server.host?",
        (
            "privface.yaml, line 6: privacy.method: expected one of gaussian, pixelate, pixelate+noise, "
            "background, background+gaussian, background+pixelate, background+pixelate+noise, none"
        ),
        "privface.yaml, line 8: mqtt.port: allowed: 1 to 65535",
        "privface.yaml, line 9: mqtt.cert_file: with mqtt.key_file: both or neither",
        "privface.yaml, line 9: mqtt.cert_file: there is no such file",
        "the settings: mqtt.tls: must be on for the other tls settings",
        "privface.yaml, line 10: nonsense: no such setting",
        "the environment (PRIVFACE_LOG__LEVEL): log.level: expected one of debug, info, warning, error",
        "the environment (PRIVFACE_DECISION__MARGIN): decision.margin: can't be read",
        "the command line: server.host: expected a text (in quotes, if it looks like a number)",
    }


def test_lines_of_toml(write: Any) -> None:
    text = '# comment\ndata_dir = 3\n\n[server]\nport = "x"\n\n[mqtt]\nhost = "h"\nkeepalive = 1\n'
    assert set(problems(write(text, "privface.toml"))) == {
        "privface.toml, line 2: data_dir: expected a path",
        "privface.toml, line 5: server.port: expected a whole number",
        "privface.toml, line 9: mqtt.keepalive: allowed: 5 to 65535 seconds",
    }


def test_a_setting_given_twice(write: Any) -> None:
    text = "server:\n  port: 1\n  port: 2\nserver: {}\n"
    assert problems(write(text)) == (
        "privface.yaml, line 3: server.port: is set twice",
        "privface.yaml, line 4: server: is set twice",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server: {host: 1}", "server.host: expected a text"),
        ("server: {port: 8090.5}", "server.port: expected a whole number"),
        ("server: {port: true}", "server.port: expected a number"),
        ("server: {require_token: 1}", "server.require_token: expected true or false"),
        ("server: 8090", "server: expected a section with settings"),
        ("server: [1]", "server: expected a section with settings"),
        ("server: {1: 2}", "server.1: no such setting"),
        ("data_dir: ''", "data_dir: expected a path"),
        ('data_dir: "a\\0b"', "data_dir: expected a path"),
        ("data_dir: ~nobody-of-that-name/x", "data_dir: names the home of a user that isn't there"),
        ("decision: {margin: .nan}", "decision.margin: expected 0 to 0.5"),
        ("decision: {caution: .inf}", "decision.caution: expected -0.3 to 0.5"),
        ("links: {allow: rtsp://a}", "links.allow: expected a list"),
        ("links: {webcams: [x]}", "links.webcams.1: expected a whole number"),
        ("mqtt: {protocol: 4}", "mqtt.protocol: expected one of auto, 5, 3.1.1"),
        ("mqtt: {password: x}", "mqtt.password: needs mqtt.username too"),
        ("frigate: {enabled: true}", "frigate.enabled: needs frigate.url, such as http://192.168.1.10:5000"),
        ("frigate: {enabled: true, pictures: mqtt, sub_labels: true}", "frigate.enabled: needs frigate.url"),
        ("frigate: {url: 'frigate:5000'}", "frigate.url: expected http:// or https://, a host, and no user"),
        ("frigate: {url: 'http://anna:x@frigate:5000'}", "frigate.url: expected http:// or https://"),
        ("frigate: {password: x}", "frigate.password: needs frigate.username too"),
        ("frigate: {username: x}", "frigate.username: needs frigate.password too"),
        ("frigate: {topic: frigate/}", "frigate.topic: allowed: levels that are not empty"),
        ("frigate: {topic: 'frigate/#'}", "frigate.topic: allowed: levels that are not empty"),
        ("frigate: {labels: []}", "frigate.labels: needs one at least, such as person"),
        ("frigate: {labels: ['a/b']}", "frigate.labels: allowed: names of objects"),
        ("frigate: {interval: 0}", "frigate.interval: expected 0.1 to 600"),
        ("frigate: {pictures: ftp}", "frigate.pictures: expected one of http, mqtt"),
        ("engines: {backend: jax}", "engines.backend: expected one of onnx, tensorflow, pytorch"),
        ("engines: {recognizer: nonsense}", "engines.recognizer: expected one of deepface:SFace, "),
        ("engines: {aligner: nonsense}", "engines.aligner: expected one of five-point, deepface"),
        ("privacy: {parameter: 16}", "privacy.parameter: The privacy parameter doesn't fit the method gaussian."),
        ("privacy: {parameter: -1}", "an odd kernel size in pixels, 1 (no blur) to 255"),
        ("privacy: {method: none}", "privacy.method: The privacy parameter doesn't fit the method none."),
        ("privacy: {method: pixelate, parameter: 257}", "a cell size in pixels, 1 (no change) to 256"),
        ("privacy: {ladder: []}", "privacy.ladder: expected 1 to 20 rising values from 0.001 to 0.2"),
        ("privacy: {ladder: [0.1, 0.05]}", "privacy.ladder: expected 1 to 20 rising values"),
        ("privacy: {ladder: [0.1, 0.3]}", "privacy.ladder: expected 1 to 20 rising values"),
        ("privacy: {ladder: [.nan, 0.1]}", "privacy.ladder: expected 1 to 20 rising values"),
        ("privacy: {ladder: [x]}", "privacy.ladder.1: expected a number"),
        ("- a", "expected sections with settings"),
        ("text", "expected sections with settings"),
        ("a: [", "not YAML"),
        ("a: 2026-13-45", "not YAML: a value that can't be read"),
        ("[" * 5000, "not YAML: a value that can't be read"),
        ("? [a]\n: b", "not YAML"),
        ("a: &a {b: *a}", "a.b: no such setting"),
        ("x: " + "9" * 5000, "not YAML: a value that can't be read"),
    ],
)
def test_wrong_settings(write: Any, text: str, words: str) -> None:
    (problem,) = problems(write(text))
    assert words in problem
    assert problem.startswith("privface.yaml")


@pytest.mark.parametrize(
    "text",
    ["privacy: {method: none, parameter: 1}", "privacy: {method: pixelate}", "privacy: {parameter: 31}", "", "#"],
)
def test_right_settings(write: Any, text: str) -> None:
    load_settings(config=write(text), environment={})


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "nowhere", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=words):
            read_settings_file(path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_settings_file(tmp_path / "x.yaml")
    (tmp_path / "x.toml").write_text("[server\n")
    with pytest.raises(SettingsError, match=r"x\.toml: not TOML: .*line 1"):
        read_settings_file(tmp_path / "x.toml")


def test_what_is_shown_holds_no_secrets(write: Any) -> None:
    config = write(
        """
mqtt: {username: anna, password: hunter2}
frigate: {username: anna, password: hunter2, pictures: mqtt}
links:
  allow:
    - rtsp://anna:hunter2@camera/1
    - rtsp://anna:hunter2@camera/*
    - http://camera/snapshot?key=hunter2
    - http://camera/snapshot
"""
    )
    settings = load_settings(config=config, environment={})
    unreadable = replace(settings.links, allow=(*settings.links.allow, "http://[hunter2"))
    shown = replace(settings, links=unreadable).redacted()
    assert "hunter2" not in str(shown)
    assert shown["mqtt"]["password"] == shown["frigate"]["password"] == "***"
    assert shown["frigate"]["pictures"] == "mqtt"
    assert shown["links"]["allow"] == [
        "rtsp://***@camera/1",
        "rtsp://***@camera/*",
        "http://camera/snapshot?***",
        "http://camera/snapshot",
        "***",
    ]
    assert shown["mqtt"]["protocol"] == "auto"
    assert isinstance(shown["data_dir"], str)


def test_nothing_set_shows_no_stars() -> None:
    shown = load_settings(environment={}).redacted()
    assert shown["mqtt"]["password"] is None
    assert shown.keys() == set(Settings.__slots__)


def test_problems_quote_no_values(write: Any) -> None:
    config = write(
        "mqtt: {password: [hunter2], tls: hunter2}\nlinks: {allow: {x: hunter2}}\nserver: {host: [hunter2]}\n"
    )
    assert "hunter2" not in str(problems(config))


@dataclass(frozen=True, kw_only=True)
class Door:
    """Nested settings, as a section with keys of the user's own or a list holds them."""

    address: str
    seconds: int = field(default=5, metadata={RULE: between(1, 60)})
    password: str | None = None

    def __post_init__(self) -> None:
        if self.password and "@" in self.address:
            raise ValueError("the address has a login already")


@dataclass(frozen=True, kw_only=True)
class Nested:
    doors: Mapping[str, Door]
    hooks: tuple[Door, ...]


def take_nested(path: Path, text: str) -> GivenSettings:
    path.write_text(text, encoding="utf-8")
    given = GivenSettings(types_of(Nested), {})
    given.take_file(read_settings_file(path), path.name)
    given.check()
    return given


def test_nested_settings(tmp_path: Path) -> None:
    text = "doors:\n  Front Door: {address: a, seconds: 7}\n  back: {address: b}\nhooks:\n- address: c\n"
    given = take_nested(tmp_path / "privface.yaml", text)
    assert given.problems == []
    assert given.values == {
        ("doors", "Front Door"): Door(address="a", seconds=7),
        ("doors", "back"): Door(address="b"),
        ("hooks",): (Door(address="c"),),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("doors:\n  back: 7\n", "line 2: doors.back: expected settings, of address, seconds, password"),
        ("doors:\n  back: {}\n", "line 2: doors.back.address: is missing"),
        ("doors:\n  back: {address: a, seconds: 0}\n", "line 2: doors.back.seconds: expected 1 to 60"),
        ("doors:\n  back: {address: a, x: 0}\n", "line 2: doors.back.x: no such setting; there are address, seconds"),
        ("doors:\n  back: {address: a@b, password: c}\n", "line 2: doors.back: the address has a login already"),
        ("doors: [1]\n", "line 1: doors: expected a section with settings"),
        ("hooks: {a: b}\n", "line 1: hooks.a: no such setting"),
        ("hooks:\n- address: a\n- address: 7\n", "line 3: hooks.2.address: expected a text"),
        ("hooks:\n- address: a\n- 7\n", "line 3: hooks.2: expected settings, of address"),
    ],
)
def test_wrong_nested_settings(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = take_nested(tmp_path / "privface.yaml", text).problems
    assert problem in found


WRONG_NESTED = """\
doors:
  back:
    adress: a
    seconds: 0
  front: {address: b,
    seconds: x}
hooks:
- address: 7
- address: c
  pasword: d
- address: e
  seconds: 90
"""
WRONG_NESTED_TOML = """\
[doors.back]
adress = "a"
seconds = 0
[doors."Front door"]
seconds = "x"
address = "b"
[[hooks]]
address = 7
[[hooks]]
address = "c"
pasword = "d"
[[hooks]]
address = "e"
seconds = 90
"""


def test_all_wrong_nested_settings_with_their_own_lines(tmp_path: Path) -> None:
    assert set(take_nested(tmp_path / "a.yaml", WRONG_NESTED).problems) == {
        "a.yaml, line 3: doors.back.adress: no such setting; did you mean address?",
        "a.yaml, line 2: doors.back.address: is missing",
        "a.yaml, line 4: doors.back.seconds: expected 1 to 60",
        "a.yaml, line 6: doors.front.seconds: expected a whole number",
        "a.yaml, line 8: hooks.1.address: expected a text (in quotes, if it looks like a number)",
        "a.yaml, line 10: hooks.2.pasword: no such setting; did you mean password?",
        "a.yaml, line 12: hooks.3.seconds: expected 1 to 60",
    }
    assert set(take_nested(tmp_path / "a.toml", WRONG_NESTED_TOML).problems) == {
        "a.toml, line 2: doors.back.adress: no such setting; did you mean address?",
        "a.toml, line 1: doors.back.address: is missing",
        "a.toml, line 3: doors.back.seconds: expected 1 to 60",
        "a.toml, line 5: doors.Front door.seconds: expected a whole number",
        "a.toml, line 8: hooks.1.address: expected a text (in quotes, if it looks like a number)",
        "a.toml, line 11: hooks.2.pasword: no such setting; did you mean password?",
        "a.toml, line 14: hooks.3.seconds: expected 1 to 60",
    }


def test_nested_settings_of_the_environment_have_no_line_of_the_file(write: Any) -> None:
    config = write("webhooks:\n- url: http://a\n  secret: 0123456789abcdef\n  seconds: 0\n")
    assert problems(config) == ("privface.yaml, line 4: webhooks.1.seconds: expected 0.5 to 60",)
    given = "[{url: 'http://a', secret: 0123456789abcdef, attempts: 0}]"
    assert problems(config, {"PRIVFACE_WEBHOOKS": given}) == (
        "the environment (PRIVFACE_WEBHOOKS): webhooks.1.attempts: expected 1 to 100",
    )


def test_all_wrong_entries_of_a_list_with_their_own_lines(write: Any) -> None:
    text = (
        'links:\n  allow:\n  - ftp://a/\n  - rtsp://b/\n  - "http://169.254.169.254/"\n  webcams: [x, 0, y]\n'
        "camera: {door: {webcam: 0}}\n"
    )
    assert [problem.partition(" or a prefix")[0] for problem in problems(write(text))] == [
        "privface.yaml, line 3: links.allow.1: expected rtsp, rtsps, http or https://host/path,",
        "privface.yaml, line 5: links.allow.3: a cloud's metadata address is never opened",
        "privface.yaml, line 6: links.webcams.1: expected a whole number",
        "privface.yaml, line 6: links.webcams.3: expected a whole number",
        "privface.yaml, line 7: camera.door: no such setting; did you mean cameras.door?",
    ]


def test_a_file_that_refers_to_itself_ends(write: Any) -> None:
    assert problems(write("server: &a\n  port: *a\n")) == (
        "privface.yaml, line 2: server.port: expected a whole number",
    )
