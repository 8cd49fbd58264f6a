"""Settings of cameras and of the bridge: what is taken, what is refused, and what is shown of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.standalone import check_standalone
from privface_backend.errors import SettingsError
from privface_backend.settings import Settings
from privface_backend.settings_loading import load_settings
from support import weights


def load(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "privface.yaml").write_text(text, encoding="utf-8")
    return load_settings(config=tmp_path / "privface.yaml", environment={})


def test_each_way_that_pictures_come(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        cameras:
          door: {topic: door/picture, format: json, field: a.b, time_field: at, method: pixelate, parameter: 12}
          gate: {address: "rtsp://anna:geheim@192.168.1.20/stream", trigger: gate/motion, trigger_payload: "ON"}
          desk: {webcam: 0, enabled: false}
          shed: {folder: uploads, interval: 2}
          yard: {frigate: yard_cam, frames: 2, cooldown: 0}
        frigate: {enabled: true, url: "http://192.168.1.10:5000"}
        bridge: {backend: "http://192.168.1.5:8090/", token: pf_geheim, topics: ["shots/{camera}/now"], id: attic}
        """,
    )
    assert [feed.way for feed in settings.cameras.values()] == ["topic", "address", "webcam", "folder", "frigate"]
    assert settings.cameras["desk"] == CameraFeed(webcam=0, enabled=False)
    assert settings.cameras["shed"].folder == Path("uploads")
    assert settings.bridge.backend == "http://192.168.1.5:8090"
    shown = str(settings.redacted())
    assert "geheim" not in shown
    assert "geheim" not in repr(settings)
    assert "192.168.1.20" in shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cameras: {a: {}}", "expected one of topic, address, webcam, folder, frigate"),
        ("cameras: {a: {topic: t, webcam: 0}}", "and only one"),
        ("cameras: {a: {topic: t/+}}", "without + and #"),
        ("cameras: {a: {topic: t, format: gif}}", "expected one of auto, raw, base64, json"),
        ("cameras: {a: {webcam: 0, format: raw}}", "belong to topic"),
        ("cameras: {a: {webcam: 0, trigger_payload: x}}", "needs trigger"),
        ("cameras: {a: {webcam: 0, interval: 0}}", "expected 0.02 to 3600"),
        ("cameras: {a: {webcam: 0, frames: 0}}", "expected 1 to 100"),
        ("cameras: {a: {webcam: 0, method: mosaic}}", "cameras.a.method: expected one of gaussian, pixelate, "),
        ("cameras: {a: {webcam: 0, parameter: 16}}", "an odd kernel size"),
        ("cameras: {a: {webcam: 0, method: none, parameter: 3}}", "Allowed: 1"),
        ("cameras: {a: {webcam: 0, least: 9}}", "least and most need adaptive: true"),
        ("cameras: {a: {webcam: 0, adaptive: true, least: 33, most: 9}}", "least not to be above most"),
        ("cameras: {a: {webcam: 0, adaptive: true, least: 8}}", "least: The privacy parameter"),
        ("cameras: {a: {webcam: 0, adaptive: true, most: 257}}", "most: The privacy parameter"),
        ("cameras: {a: {webcam: 0, adaptive: true, method: none}}", "adaptive: needs another method than none"),
        ("cameras: {a: {webcam: 0, target: 0.3}}", "0 for no advice, or r from 0.005 to 0.2"),
        ("privacy: {target: 0.001}", "0 for no advice, or r from 0.005 to 0.2"),
        ("privacy: {target: .nan}", "0 for no advice, or r from 0.005 to 0.2"),
        ("cameras: {a/b: {webcam: 0}}", "expected another name"),
        ("cameras: {a: {webcam: 0, adress: x}}", "cameras.a.adress: no such setting; did you mean address?"),
        (
            "cameras: {a: {address: 'http://169.254.169.254/x'}}",
            "cameras.a.address: a cloud's metadata",
        ),
        ("cameras: {a: {address: 'http://[::ffff:169.254.169.254]/x'}}", "cameras.a.address: a cloud's metadata"),
        ("cameras: {a: {address: 'http://metadata.google.internal/'}}", "cameras.a.address: expected rtsp"),
        ("cameras: {a: {address: 'rtsp://host/*'}}", "cameras.a.address: expected rtsp"),
        ("bridge: {topics: [shots]}", "bridge.topics.1: expected a topic with {camera} once"),
        ("bridge: {backend: 'ftp://host'}", "expected http"),
        ("bridge: {backend: 'http://anna:x@host:1'}", "no user"),
        ("bridge: {id: a/b}", "letters, digits"),
        ("bridge: {keep_seconds: 0}", "expected 0.5 to 600"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert problem in caught.value.message


def test_a_camera_has_the_privacy_settings_unless_its_own_are_set(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "privacy: {parameter: 33}\n"
        "cameras: {a: {webcam: 0}, b: {webcam: 1, parameter: 9}, c: {webcam: 2, method: none}}",
    )
    strengths = [feed.strength("gaussian", 33) for feed in settings.cameras.values()]
    assert strengths == [("gaussian", 33), ("gaussian", 9), ("none", 1)]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["bridge.backend", "cameras, bridge.topics"]),
        ("cameras: {a: {webcam: 0}}", ["bridge.backend"]),
        ("cameras: {a: {topic: t}}\nbridge: {backend: 'http://h:1'}", ["mqtt.host"]),
        ("cameras: {a: {webcam: 0, trigger: t}}\nbridge: {backend: 'http://h:1'}", ["mqtt.host"]),
        ("cameras: {a: {webcam: 0}}\nbridge: {backend: 'http://h:1'}", []),
        (
            "cameras: {a: {webcam: 0, adaptive: true, target: 0.03}}\nbridge: {backend: 'http://h:1'}",
            ["cameras.a.target", "cameras.a.adaptive"],
        ),
        ("cameras: {a: {webcam: 0, adaptive: true}}\nbridge: {backend: 'http://h:1'}\nmqtt: {host: h}", []),
        ("bridge: {backend: 'http://h:1', topics: ['{camera}']}\nmqtt: {host: h}", []),
    ],
)
def test_a_bridge_with_nothing_to_do_says_what_is_missing(tmp_path: Path, text: str, problems: list[str]) -> None:
    settings = load(tmp_path, text)
    try:
        check_standalone(settings)
        found: tuple[str, ...] = ()
    except SettingsError as error:
        found = error.problems
    assert [problem.partition(":")[0] for problem in found] == problems


def test_a_method_that_looks_for_faces_needs_its_weights(tmp_path: Path) -> None:
    cameras = "cameras: {{a: {{webcam: 0, method: background}}}}"
    text = "models_dir: {models}\nbridge: {{backend: 'http://192.168.1.5:8090'}}\n" + cameras
    with pytest.raises(SettingsError) as caught:
        check_standalone(load(tmp_path, text.format(models=tmp_path / "none")))
    assert "background: The weights yunet are missing" in str(caught.value)
    assert "face_detection_yunet_2023mar.onnx" in str(caught.value)
    check_standalone(load(tmp_path, text.format(models=weights.real().deepface_home)))
