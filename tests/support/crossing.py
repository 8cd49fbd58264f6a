"""Judges what crossed from Home Assistant to the backend: a recording of ``support.reverse_proxy`` against clear files.

    python -m support.crossing RECORDING.json CLEAR_DIRECTORY   prints {"pictures": […], "findings": […]}

Every body must be one that is known: a small JSON document, or a form whose files are pictures. Every picture must
equal what ``cv2.GaussianBlur`` makes of a clear file that the component's own code brought to the working size.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from support.component import load_package

Pixels = npt.NDArray[np.uint8]

# What the component calls, and whether a picture may go there. Over the websocket it says nothing.
_NAME: Final = r"[A-Za-z0-9_-]{1,64}"
ROUTES: Final = {
    r"GET /api/v1/(info|people|stream)": False,
    r"POST /api/v1/people": False,
    rf"(PATCH|DELETE) /api/v1/people/{_NAME}": False,
    rf"POST /api/v1/people/{_NAME}/faces": True,
    rf"POST /api/v1/cameras/{_NAME}/frames": True,
}
WEAKEST: Final = 17
LONGEST_DOCUMENT: Final = 500
"""Bytes: no picture of a face fits, in whatever coding."""
MARGIN: Final = 4
"""How many times more detail the clear picture must have."""
RUN: Final = 64
"""Bytes of a clear file in a row that are no coincidence."""

_NECESSARY: Final = frozenset({0xD8, 0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9})
_FIELDS: Final = {"card", "cards", "versions", "choose"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """A clear file: its bytes, and its pixels (RGB) at the working size."""

    name: str
    data: bytes = field(repr=False)
    pixels: Pixels = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that crossed. ``of``: the clear file that it was made from, None where there is none such."""

    target: str
    of: str | None
    parameter: int
    detail: float
    clear_detail: float


@dataclass(slots=True)
class Verdict:
    """What crossed, in order, and what is wrong with it."""

    pictures: list[Picture] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def judge(recording: Sequence[Mapping[str, str]], clear: Sequence[Clear], *, applied_by: str = "client") -> Verdict:
    """Look at everything that went in. ``applied_by``: who must have anonymized it."""
    verdict, index = Verdict(), _index(clear)
    for number, exchange in enumerate(recording):
        target, body = f"{exchange['method']} {exchange['target']}", base64.b64decode(exchange["body"])
        allowed = next((picture for route, picture in ROUTES.items() if re.fullmatch(route, target)), None)
        if allowed is None:
            verdict.findings.append(f"{number}: {target} is no route of the component's")
        if found := _find_clear(body, index):
            verdict.findings.append(f"{number}: {target} holds bytes of {found}")
        try:
            for data, privacy in _pictures(exchange["content_type"], body, pictures=bool(allowed)):
                _check_claim(verdict, f"{number}: {target}", privacy, applied_by)
                _judge_picture(verdict, f"{number}: {target}", data, privacy, clear)
        except (ValueError, LookupError, OSError) as error:
            verdict.findings.append(f"{number}: {target}: {error}")
    return verdict


def _pictures(content_type: str, body: bytes, *, pictures: bool) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    """The pictures of a body, each with the ``privacy`` of its card.

    Raises:
        ValueError: the body is none of those that are known.
    """
    if not content_type.startswith("multipart/form-data"):
        _check_document(body)
        return
    if not pictures:
        raise ValueError("a form where none goes")
    files, cards = [], []
    for name, data in _parts(content_type, body):
        if name == "file":
            files.append(data)
        elif name not in _FIELDS:
            raise ValueError(f"an unknown field {name}")
        elif name == "cards":
            cards += [_read_card(card) for card in json.loads(data)]
        elif name == "card":
            cards.append(_read_card(json.loads(data)))
        else:
            _check_document(data)
    if len(files) != len(cards) or not files:
        raise ValueError(f"{len(files)} pictures with {len(cards)} cards")
    yield from zip(files, cards, strict=True)


def _read_card(card: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(json.dumps(card)) > 2 * LONGEST_DOCUMENT:
        raise ValueError("a card that is too long for one")
    privacy: Mapping[str, Any] = card["privacy"]
    return privacy


def _check_document(data: bytes) -> None:
    if len(data) > LONGEST_DOCUMENT:
        raise ValueError(f"a document of {len(data)} bytes")
    if data:
        json.loads(data)


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """A form's fields, by name; every byte of the body must belong to one."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    start, *parts, end = body.split(b"--" + (boundary[1].encode() if boundary else b"\x00"))
    if start or end not in (b"--\r\n", b"--"):
        raise ValueError("bytes outside of the form's fields")
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([a-z]+)"', head)
        if not part.startswith(b"\r\n") or not data.endswith(b"\r\n") or name is None or len(head) > 400:
            raise ValueError("a field that can't be read")
        yield name[1].decode(), data.removesuffix(b"\r\n")


def _check_claim(verdict: Verdict, where: str, privacy: Mapping[str, Any], applied_by: str) -> None:
    blurred = privacy.get("method") == "gaussian" and int(privacy.get("parameter", 0)) >= WEAKEST
    if privacy.get("applied_by") != applied_by or not blurred:
        verdict.findings.append(f"{where}: the card doesn't say that the picture was blurred: {dict(privacy)}")


def _judge_picture(
    verdict: Verdict, where: str, data: bytes, privacy: Mapping[str, Any], clear: Sequence[Clear]
) -> None:
    parameter = int(privacy.get("parameter", 0))
    verdict.findings += [f"{where}: {text}" for text in _odd_segments(data)]
    pixels = _decode(data)
    source = next((one for one in clear if _equals(pixels, one, parameter)), None)
    detail, clear_detail = _detail(pixels), 0.0 if source is None else _detail(source.pixels)
    if source is None:
        verdict.findings.append(f"{where}: the picture is no clear one blurred with {parameter}")
    elif detail * MARGIN > clear_detail:
        verdict.findings.append(f"{where}: the picture has too much detail ({detail:.0f} of {clear_detail:.0f})")
    verdict.pictures.append(
        Picture(
            target=where.partition(": ")[2],
            of=None if source is None else source.name,
            parameter=parameter,
            detail=detail,
            clear_detail=clear_detail,
        )
    )


def _equals(pixels: Pixels, clear: Clear, parameter: int) -> bool:
    if parameter < 1 or parameter % 2 == 0 or pixels.shape != clear.pixels.shape:
        return False
    blurred = np.asarray(cv2.GaussianBlur(clear.pixels, (parameter, parameter), 0), dtype=np.uint8)
    load_package("anonymize")
    encoded: bytes = import_module("privface_anonymize.jpeg").encode_picture(blurred)
    return np.array_equal(pixels, _decode(encoded))


def _decode(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _detail(pixels: Pixels) -> float:
    """The variance of the Laplacian."""
    return float(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def _odd_segments(data: bytes) -> Iterator[str]:
    """What a JPEG holds beside what decoding takes."""
    place, marker = 2, 0xD8
    while marker != 0xDA:
        if data[place : place + 1] != b"\xff":
            yield "the picture is no JPEG"
            return
        marker = data[place + 1]
        if marker not in _NECESSARY:
            yield f"the picture has a segment {marker:#x}"
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    if data.find(b"\xff\xd9", place) != len(data) - 2:
        yield "the picture has something after its end"


# A run of 64 bytes of a file holds one of its aligned blocks of 32.
_BLOCK: Final = RUN // 2


def _index(clear: Sequence[Clear]) -> dict[bytes, tuple[Clear, int]]:
    """Where the aligned blocks of the clear files' coded data are from; those of few different bytes are left out."""
    return {
        block: (one, place)
        for one in clear
        for place in range(_coded_from(one.data), len(one.data) - _BLOCK, _BLOCK)
        if len(set(block := one.data[place : place + _BLOCK])) > _BLOCK // 2
    }


def _coded_from(data: bytes) -> int:
    """Where the headers end: their tables are those of many files."""
    marker = b"IDAT" if data.startswith(b"\x89PNG") else b"\xff\xda"
    return max(0, data.find(marker)) + len(marker) + 12


def _find_clear(body: bytes, index: Mapping[bytes, tuple[Clear, int]]) -> str | None:
    """The clear file of which ``body`` holds a run."""
    for place in range(len(body) - _BLOCK + 1):
        if (hit := index.get(body[place : place + _BLOCK])) and _run(body, place, *hit) >= RUN:
            return hit[0].name
    return None


def _run(data: bytes, place: int, clear: Clear, start: int) -> int:
    """How many bytes around these two places are equal."""
    length = _BLOCK
    while data[place + length : place + length + 1] == clear.data[start + length : start + length + 1] != b"":
        length += 1
    back = 0
    while place > back and start > back and data[place - back - 1] == clear.data[start - back - 1]:
        back += 1
    return length + back


@cache
def read_clear(path: Path) -> Clear:
    """A clear file, brought to the working size by the component's own code."""
    component, data = load_package("anonymize"), path.read_bytes()
    pixels = import_module("privface_anonymize.pictures").decode_picture(
        data, import_module("privface_anonymize.work").WORKING_SIZE
    )
    assert component.METHODS["gaussian"].default == WEAKEST
    return Clear(name=path.name, data=data, pixels=np.ascontiguousarray(pixels))


if __name__ == "__main__":
    found = judge(
        json.loads(Path(sys.argv[1]).read_text()), [read_clear(path) for path in sorted(Path(sys.argv[2]).iterdir())]
    )
    sys.stdout.write(json.dumps(asdict(found)))
