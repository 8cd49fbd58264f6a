"""The judge of what crosses from Home Assistant to the backend finds what it is there to find."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from PIL import Image

from support import golden
from support.component import load_package
from support.crossing import Clear, Verdict, judge, read_clear

component = load_package("anonymize")

BOUNDARY: Final = "b0undary"
FRAMES: Final = "/api/v1/cameras/front_door/frames"


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Clear:
    path = tmp_path_factory.mktemp("clear") / "clear.jpg"
    Image.fromarray(golden.picture()).save(path, "JPEG", quality=95)
    return read_clear(path)


def blurred(clear: Clear, parameter: int = 17) -> bytes:
    data: bytes = component.anonymize(clear.data, component.Strength(method="gaussian", parameter=parameter)).data
    return data


def card(parameter: int = 17, applied_by: str = "client") -> dict[str, Any]:
    return {"camera": "c", "privacy": {"method": "gaussian", "parameter": parameter, "applied_by": applied_by}}


def form(*parts: tuple[str, bytes], after: bytes = b"") -> dict[str, str]:
    body = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in parts
    )
    body += f"--{BOUNDARY}--\r\n".encode() + after
    return request("POST", FRAMES, body, f"multipart/form-data; boundary={BOUNDARY}")


def request(method: str, target: str, body: bytes = b"", content_type: str = "application/json") -> dict[str, str]:
    return {
        "method": method,
        "target": target,
        "content_type": content_type,
        "body": base64.b64encode(body).decode(),
    }


def frame(data: bytes, said: Mapping[str, Any] | None = None) -> dict[str, str]:
    return form(("card", json.dumps(said or card()).encode()), ("file", data))


def findings(clear: Clear, *recording: Mapping[str, str]) -> Sequence[str]:
    return judge(recording, [clear]).findings


def test_what_the_component_sends_is_in_order(clear: Clear) -> None:
    versions = form(
        ("versions", b"1"),
        ("cards", json.dumps([card(17), card(33)]).encode()),
        ("file", blurred(clear, 17)),
        ("file", blurred(clear, 33)),
    ) | {"target": "/api/v1/people/a1/faces"}
    socket = request("GET", "/api/v1/stream", content_type="")
    named = request("POST", "/api/v1/people", b'{"name": "Ada"}')
    verdict: Verdict = judge([socket, named, versions, frame(blurred(clear))], [clear])
    assert verdict.findings == []
    assert [(picture.of, picture.parameter) for picture in verdict.pictures] == [
        ("clear.jpg", 17),
        ("clear.jpg", 33),
        ("clear.jpg", 17),
    ]


def test_a_clear_file_is_found(clear: Clear) -> None:
    found = findings(clear, frame(clear.data))
    assert any("holds bytes of clear.jpg" in text for text in found)
    assert any("is no clear one blurred with 17" in text for text in found)


def test_a_clear_picture_that_was_coded_anew_is_found(clear: Clear) -> None:
    out = io.BytesIO()
    Image.fromarray(clear.pixels).save(out, "JPEG", quality=80)
    (text,) = findings(clear, frame(out.getvalue()))
    assert text.endswith("is no clear one blurred with 17")


@pytest.mark.parametrize("said", [card(33), card(3), card(17, "backend"), card(0)])
def test_a_card_that_says_something_else_is_found(clear: Clear, said: Mapping[str, Any]) -> None:
    assert findings(clear, frame(blurred(clear), said))


def test_too_weak_a_blur_is_found(clear: Clear) -> None:
    assert any("card doesn't say" in text for text in findings(clear, frame(blurred(clear, 3), card(3))))


def test_a_run_of_the_clear_file_is_found_anywhere(clear: Clear) -> None:
    middle = len(clear.data) // 2
    for run in (clear.data[middle + 7 : middle + 71], clear.data[middle : middle + 500]):
        body = b'{"name": "' + run + b'"}'
        assert any("holds bytes of" in text for text in findings(clear, request("POST", "/api/v1/people", body)))


def test_what_hides_behind_a_picture_is_found(clear: Clear) -> None:
    (text,) = findings(clear, frame(blurred(clear) + b"more"))
    assert text.endswith("after its end")
    comment = b"\xff\xfe\x00\x06note"
    data = blurred(clear)
    (text,) = findings(clear, frame(data[:2] + comment + data[2:]))
    assert text.endswith("segment 0xfe")


@pytest.mark.parametrize(
    "exchange",
    [
        request("GET", "/api/v1/events"),
        request("GET", "/api/v1/info?picture=abc"),
        request("POST", "/api/v1/identify"),
        request("WEBSOCKET", "/api/v1/stream", b"{}"),
        request("POST", "/api/v1/people", b'{"name": "' + b"a" * 600 + b'"}'),
        request("POST", "/api/v1/people", b"\x00\x01\x02"),
        form(("thumbnail", b"abc")),
        form(("card", b"{}"), after=b"more"),
        form(("card", json.dumps(card()).encode())),
        form(("card", json.dumps(card() | {"note": "a" * 2000}).encode()), ("file", b"abc")),
        frame(b"no picture"),
    ],
)
def test_what_nobody_foresaw_is_found(clear: Clear, exchange: Mapping[str, str]) -> None:
    assert findings(clear, exchange)
