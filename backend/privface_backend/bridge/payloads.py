"""What a message on a camera's topic holds: a picture as it is, in base64, or in a field of a JSON object. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, WireError, from_wire_time

_PICTURE_STARTS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_DATA_URI: Final = re.compile(rb"data:[\w.+/-]{0,100}(?:;[\w=.-]{1,100}){0,4},", re.ASCII)
_USUAL_FIELDS: Final = ("image", "picture", "snapshot", "data", "jpeg", "frame", "thumbnail")
_USUAL_TIMES: Final = ("captured_at", "timestamp", "time", "ts")
# Above this a number is a time in milliseconds: in seconds it would be the year 5138.
_MILLISECONDS: Final = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A picture's file, and when it was taken, where the message says so."""

    data: bytes = field(repr=False)
    taken_at: datetime | None = None


def open_payload(
    payload: bytes,
    *,
    kind: str = "auto",
    path: str | None = None,
    time_path: str | None = None,
) -> Payload:
    """Take a message apart.

    ``kind``: raw, base64, json, or auto, which looks at it. ``path``, ``time_path``: the fields of a JSON object with
    the picture (base64) and its time, with dots between the names of objects inside of each other; None: usual names.

    Raises:
        PrivFaceError: ``picture_format``: there is no JPEG or PNG in it.
    """
    match _detect(payload) if kind == "auto" else kind:
        case "raw":
            return Payload(data=_checked(payload))
        case "base64":
            return Payload(data=_checked(_from_base64(payload)))
        case _:
            return _open_json(payload, path, time_path)


def _detect(payload: bytes) -> str:
    if payload.startswith(_PICTURE_STARTS):
        return "raw"
    return "json" if payload[:64].lstrip().startswith(b"{") else "base64"


def _open_json(payload: bytes, path: str | None, time_path: str | None) -> Payload:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        raise _refuse("The message is no JSON.") from None
    if not isinstance(document, Mapping):
        raise _refuse("The message is no JSON object.")
    found = _first(document, _USUAL_FIELDS) if path is None else _at(document, path)
    if not isinstance(found, str):
        raise _refuse("The message has no picture in that field.")
    taken = _first(document, _USUAL_TIMES) if time_path is None else _at(document, time_path)
    return Payload(data=_checked(_from_base64(found.encode("utf-8", "replace"))), taken_at=_read_time(taken))


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(name)
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document


def _first(document: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((document[name] for name in names if name in document), None)


def _read_time(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > _MILLISECONDS:
        value = value / 1000
    try:
        return None if value is None else from_wire_time(value, "time")
    except WireError:
        return None


def _from_base64(text: bytes) -> bytes:
    """The bytes of base64 with or without ``data:…,`` in front, of either alphabet, padded or not."""
    if match := _DATA_URI.match(text):
        text = text[match.end() :]
    text = b"".join(text.split()).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=_alphabet(text), validate=True)
    except (binascii.Error, ValueError):
        raise _refuse("The message is no base64.") from None


def _alphabet(text: bytes) -> bytes | None:
    return b"-_" if b"-" in text or b"_" in text else None


def _checked(data: bytes) -> bytes:
    if not data.startswith(_PICTURE_STARTS):
        raise _refuse("The message holds no JPEG or PNG.")
    return data


def _refuse(message: str) -> PrivFaceError:
    return PrivFaceError(ErrorCode.PICTURE_FORMAT, message, allowed="a JPEG or PNG: as it is, in base64, or in JSON")
