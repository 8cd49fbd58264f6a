"""The published clients of DeepStack and CodeProject.AI, unchanged, at a backend with the real engines."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from support.backend_process import BackendProcess
from support.judges import Judge

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture
def sdk(judges: subprocess.Popen[str], backend: BackendProcess, key: str) -> Judge:
    """The package deepstack-sdk."""
    return Judge(process=judges, client="deepstack-sdk", port=backend.port, key=key)


@pytest.fixture
def python(judges: subprocess.Popen[str], backend: BackendProcess, key: str) -> Judge:
    """The package deepstack-python, which Home Assistant's integrations use."""
    return Judge(process=judges, client="deepstack-python", port=backend.port, key=key)


@pytest.fixture
def codeproject(judges: subprocess.Popen[str], backend: BackendProcess, key: str) -> Judge:
    """The package codeproject-ai-api, which Viseron uses; it has no field for a key."""
    return Judge(process=judges, client="codeproject-ai", host=f"x:{key}@127.0.0.1", port=backend.port, key=None)


def names(found: Any) -> list[str]:
    return [one["userid"] for one in found["detections"]]


class TestSdk:
    def test_a_life(self, sdk: Judge, people: dict[str, bytes]) -> None:
        assert sdk.call("listFaces") == {"list": []}
        assert sdk.call("registerFace", images=[people["president.jpg"], people["president2.jpg"]], userid="Ada L.")
        assert sdk.call("registerFace", images=[people["astronaut.png"]], userid="Eve")
        assert sdk.call("listFaces") == {"list": ["Ada L.", "Eve"]}

        (known,) = sdk.call("recognizeFace", image=people["president3.jpg"])["detections"]
        assert known["userid"] == "Ada L."
        assert 0.9 < known["confidence"] <= 1.0
        # Where the face is in the file, which is wider than what PrivFace looks at.
        middle = (known["x_min"] + known["x_max"]) / 2, (known["y_min"] + known["y_max"]) / 2
        assert middle == pytest.approx((776, 433), abs=40)

        (stranger,) = sdk.call("recognizeFace", image=people["visitor.jpg"], min_confidence=0)["detections"]
        assert (stranger["userid"], stranger["confidence"]) == ("unknown", 0)

        assert sdk.call("deleteFace", userid="Ada L.")
        assert sdk.call("listFaces") == {"list": ["Eve"]}
        assert names(sdk.call("recognizeFace", image=people["president3.jpg"])) == ["unknown"]

    def test_detection(self, sdk: Judge, people: dict[str, bytes]) -> None:
        (found,) = sdk.call("detectFace", image=people["visitor.jpg"])["detections"]
        assert set(found) == {"x_min", "y_min", "x_max", "y_max", "confidence"}
        assert found["confidence"] > 0.8

    def test_a_picture_without_a_face(self, sdk: Judge, blank: bytes) -> None:
        assert sdk.call("recognizeFace", image=blank) == {"detections": []}
        assert sdk.call("detectFace", image=blank) == {"detections": []}
        assert "Invalid image" in sdk.refused("registerFace", images=[blank], userid="Ada")
        assert sdk.call("listFaces") == {"list": []}

    def test_a_broken_picture(self, sdk: Judge, people: dict[str, bytes]) -> None:
        for data in (b"nonsense", people["president.jpg"][:4000]):
            assert "Invalid image" in sdk.refused("recognizeFace", image=data)
            assert "Invalid image" in sdk.refused("registerFace", images=[data], userid="Ada")

    def test_wrong_keys(self, sdk: Judge, identify_key: str, people: dict[str, bytes]) -> None:
        for wrong in ("pf_wrong", None):
            stranger = Judge(process=sdk.process, client=sdk.client, port=sdk.port, key=wrong)
            assert "401" in stranger.refused("recognizeFace", image=people["president.jpg"])
            assert "401" in stranger.refused("listFaces")
        guest = Judge(process=sdk.process, client=sdk.client, port=sdk.port, key=identify_key)
        assert names(guest.call("recognizeFace", image=people["president.jpg"])) == ["unknown"]
        assert "not enabled" in guest.refused("registerFace", images=[people["president.jpg"]], userid="Ada")


def test_the_package_of_home_assistants_integrations(python: Judge, people: dict[str, bytes]) -> None:
    assert python.call("register", name="Ada", image_bytes=people["president.jpg"]) == "face added"
    (known,) = python.call("recognize", image_bytes=people["president2.jpg"])
    assert (known["userid"], known["confidence"] > 0.9) == ("Ada", True)
    (stranger,) = python.call("recognize", image_bytes=people["visitor.jpg"])
    assert stranger["userid"] == "unknown"
    assert len(python.call("detect", image_bytes=people["visitor.jpg"])) == 1


def test_the_package_of_viseron_with_the_key_in_the_address(codeproject: Judge, people: dict[str, bytes]) -> None:
    assert codeproject.call("register", name="Ada", image_bytes=people["president.jpg"]) == "face added"
    assert codeproject.call("get_registered_faces") == ["Ada"]
    (known,) = codeproject.call("recognize", image_bytes=people["president2.jpg"])
    assert (known["userid"], known["confidence"] > 0.9) == ("Ada", True)
    (stranger,) = codeproject.call("recognize", image_bytes=people["visitor.jpg"])
    assert stranger["userid"] == "unknown"
