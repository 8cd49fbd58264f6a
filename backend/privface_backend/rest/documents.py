"""JSON from outside: bodies, frame cards, query parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar

from aiohttp import web

from privface_backend.audit.acts import note_card
from privface_backend.domain.cameras import LONGEST_CAMERA_NAME, camera_name_problem
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, FrameCard, WireError, from_wire_time
from privface_backend.rest.uploads import read_limited

_DOCUMENT_BYTES: Final = 64 * 1024
_AHEAD: Final = timedelta(minutes=5)
_FLAGS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}

E = TypeVar("E", bound=StrEnum)


def parse_object(text: str | bytes, what: str, code: ErrorCode = ErrorCode.BAD_REQUEST) -> dict[str, Any]:
    """A JSON object. Numbers are finite, and texts can be written as UTF-8.

    Raises:
        PrivFaceError: ``code``.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise PrivFaceError(code, f"{what} is no JSON that can be read.", allowed="a JSON object") from None
    if not isinstance(value, dict):
        raise PrivFaceError(code, f"{what} is no JSON object.", allowed="a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Raises:
        PrivFaceError: ``bad_request``, ``body_too_large``.
    """
    return parse_object(await read_limited(request, _DOCUMENT_BYTES), "The request's body")


def read_card(text: str | None, *, camera: str, now: datetime, request_id: str) -> FrameCard:
    """A frame card from its JSON; what it leaves out is filled in. None: an empty card.

    Raises:
        PrivFaceError: ``bad_frame_card``.
    """
    data = {} if not text else parse_object(text, "The frame card", ErrorCode.BAD_FRAME_CARD)
    try:
        card = FrameCard.from_dict(data, camera=camera, received_at=now)
    except WireError as error:
        raise PrivFaceError(
            ErrorCode.BAD_FRAME_CARD,
            "The frame card can't be used.",
            allowed=f"{error.key}: {error.expected}",
        ) from None
    check_camera_name(card.camera, ErrorCode.BAD_FRAME_CARD)
    if card.captured_at > now + _AHEAD:
        raise PrivFaceError(
            ErrorCode.BAD_FRAME_CARD,
            "The frame was taken in the future: one of the two clocks is wrong.",
            allowed=f"captured_at: at most {_AHEAD.seconds // 60} minutes ahead of the backend's clock",
        )
    card = card if card.request_id else replace(card, request_id=request_id)
    note_card(card)
    return card


def check_camera_name(name: str, code: ErrorCode = ErrorCode.BAD_REQUEST) -> str:
    """A camera's name, as it came.

    Raises:
        PrivFaceError: ``code``.
    """
    if camera_name_problem(name) is not None:
        raise PrivFaceError(
            code,
            "That can't be a camera's name.",
            allowed=f"1 to {LONGEST_CAMERA_NAME} characters without slashes and control characters",
        )
    return name


def read_flag(values: Mapping[str, str], name: str) -> bool:
    """A switch: 1 or 0, true or false, yes or no.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    try:
        return _FLAGS[values.get(name, "0").lower()]
    except KeyError:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{name} can't be understood.", allowed="1 or 0") from None


def read_number(values: Mapping[str, str], name: str, *, least: int, most: int) -> int | None:
    """A whole number between ``least`` and ``most``; None where it isn't there.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    text = values.get(name)
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed=f"a whole number, {least} to {most}"
        )
    return number


def read_choice(values: Mapping[str, str], name: str, kind: type[E]) -> E | None:
    """One of an enum's values.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    text = values.get(name)
    allowed = [member.value for member in kind]
    if text is not None and text not in allowed:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed=", ".join(allowed))
    return None if text is None else kind(text)


def read_moment(values: Mapping[str, str], name: str) -> datetime | None:
    """A time with an offset.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    text = values.get(name)
    if text is None:
        return None
    try:
        # A plus sign that nobody quoted arrives as a space.
        return from_wire_time(text.replace(" ", "+"), name)
    except WireError as error:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed=error.expected) from None
