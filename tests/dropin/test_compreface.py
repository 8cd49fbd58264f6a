"""CompreFace's published client, unchanged, at a backend with the real engines."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from support.backend_process import BackendProcess
from support.judges import Judge

pytestmark = [pytest.mark.weights, pytest.mark.slow]

EVERYTHING = {
    "limit": 2,
    "det_prob_threshold": 0.8,
    "prediction_count": 2,
    "face_plugins": "calculator,age,gender,landmarks,mask",
    "status": True,
}


@pytest.fixture
def sdk(judges: subprocess.Popen[str], backend: BackendProcess, key: str) -> Judge:
    """The package compreface-sdk."""
    return Judge(process=judges, client="compreface", port=backend.port, key=key)


def test_subjects(sdk: Judge) -> None:
    assert sdk.call("subjects.list") == {"subjects": []}
    assert sdk.call("subjects.add", subject="Ada L.") == {"subject": "Ada L."}
    assert sdk.call("subjects.add", subject="Ada L.")["code"] == 43
    assert sdk.call("subjects.update", subject="Ada L.", new_name="Eve") == {"updated": True}
    assert sdk.call("subjects.list") == {"subjects": ["Eve"]}
    assert sdk.call("subjects.delete", subject="Nobody")["code"] == 42
    assert sdk.call("subjects.delete", subject="Eve") == {"subject": "Eve"}
    assert sdk.call("subjects.delete_all") == {"deleted": 0}


def test_examples(sdk: Judge, people: dict[str, bytes]) -> None:
    added = [
        sdk.call("collection.add", image_path=people[name], subject="Ada L.", options={"det_prob_threshold": 0.8})
        for name in ("president.jpg", "president2.jpg")
    ]
    assert [one["subject"] for one in added] == ["Ada L."] * 2
    listed = sdk.call("collection.list")
    assert listed["faces"] == added
    assert listed["total_elements"] == 2

    (same,) = sdk.call("collection.verify", image_path=people["president3.jpg"], image_id=added[0]["image_id"])[
        "result"
    ]
    assert same["similarity"] > 0.9
    (other,) = sdk.call("collection.verify", image_path=people["visitor.jpg"], image_id=added[0]["image_id"])["result"]
    assert other["similarity"] < 0.35

    assert sdk.call("collection.delete", image_id=added[0]["image_id"]) == added[0]
    assert sdk.call("collection.delete", image_id=added[0]["image_id"])["code"] == 11
    assert sdk.call("collection.delete_all", subject="Ada L.") == {"deleted": 1}
    assert sdk.call("collection.list")["faces"] == []
    assert sdk.call("subjects.list") == {"subjects": ["Ada L."]}


def test_recognition(sdk: Judge, people: dict[str, bytes]) -> None:
    for name, subject in (("president.jpg", "Ada"), ("astronaut.png", "Eve")):
        sdk.call("collection.add", image_path=people[name], subject=subject)

    (known,) = sdk.call("recognition.recognize", image_path=people["president2.jpg"])["result"]
    assert set(known) == {"box", "subjects"}
    (subject,) = known["subjects"]
    assert (subject["subject"], subject["similarity"] > 0.9) == ("Ada", True)

    # As Viseron reads it: the first subject, and a threshold of its own.
    (stranger,) = sdk.call("recognition.recognize", image_path=people["visitor.jpg"])["result"]
    assert stranger["subjects"][0]["subject"] == "unknown"
    assert stranger["subjects"][0]["similarity"] < 0.35


def test_recognition_with_all_that_can_be_asked(sdk: Judge, people: dict[str, bytes]) -> None:
    for name, subject in (("president.jpg", "Ada"), ("astronaut.png", "Eve")):
        sdk.call("collection.add", image_path=people[name], subject=subject)
    # Given with the call, and with the client.
    for judge, options in ((sdk, {"options": EVERYTHING}), (replace(sdk, options=EVERYTHING), {})):
        answer = judge.call("recognition.recognize", image_path=people["president3.jpg"], **options)
        (known,) = answer["result"]
        assert set(known) == {"box", "subjects", "landmarks", "execution_time"}
        assert [one["subject"] for one in known["subjects"]] == ["Ada", "Eve"]
        assert known["subjects"][1]["similarity"] < 0.35
        assert len(known["landmarks"]) == 5
        assert answer["plugins_versions"] == {"detector": "opencv:yunet", "calculator": "deepface:SFace"}


def test_detection_and_verification(sdk: Judge, people: dict[str, bytes]) -> None:
    (found,) = sdk.call("detection.detect", image_path=people["visitor.jpg"])["result"]
    assert found["box"]["probability"] > 0.8
    for target, same in (("president2.jpg", True), ("visitor.jpg", False)):
        answer = sdk.call(
            "verification.verify", source_image_path=people["president.jpg"], target_image_path=people[target]
        )
        (match,) = answer["result"][0]["face_matches"]
        assert match["similarity"] > 0.9 if same else match["similarity"] < 0.35


def test_a_picture_without_a_face(sdk: Judge, blank: bytes) -> None:
    expected = {"message": "No face is found in the given image", "code": 28}
    assert sdk.call("recognition.recognize", image_path=blank) == expected
    assert sdk.call("detection.detect", image_path=blank) == expected
    assert sdk.call("collection.add", image_path=blank, subject="Ada")["code"] == 28
    assert sdk.call("subjects.list") == {"subjects": []}


def test_a_broken_picture(sdk: Judge, people: dict[str, bytes]) -> None:
    for data in (b"nonsense", people["president.jpg"][:4000]):
        assert sdk.call("recognition.recognize", image_path=data)["code"] == 21
        assert sdk.call("collection.add", image_path=data, subject="Ada")["code"] == 21


def test_wrong_keys(sdk: Judge, identify_key: str, people: dict[str, bytes]) -> None:
    stranger = replace(sdk, key="00000000-0000-4000-8000-000000000000")
    assert stranger.call("recognition.recognize", image_path=people["president.jpg"])["code"] == 10
    assert stranger.call("subjects.list")["code"] == 10
    guest = replace(sdk, key=identify_key)
    assert "result" in guest.call("recognition.recognize", image_path=people["president.jpg"])
    assert set(guest.call("collection.add", image_path=people["president.jpg"], subject="Ada")) == {"message", "code"}
    assert sdk.call("subjects.list") == {"subjects": []}
