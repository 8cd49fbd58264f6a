"""What is asked beside the pictures, and what of it can be used. Words name nothing: they are only shown again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import Anonymizer
from privface_backend.protocol import AppliedBy, ErrorCode, FrameCard, FrameSource, Privacy, Requestor

METHOD: Final = "gaussian"

_LONGEST_NUMBER: Final = 6
_LONGEST_CAMERA_NAME: Final = 64
_LONGEST: Final = {"file_name": 255, "requestor_id": 256, "requestor_type": 64, "request_id": 256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, beside the frames."""

    privacy: Privacy
    requestor: Requestor
    request_id: str

    def card(self, camera: str, source: FrameSource, now: datetime) -> FrameCard:
        return FrameCard(
            camera=camera,
            captured_at=now,
            source=source,
            requestor=self.requestor,
            request_id=self.request_id,
        )


def read_question(
    anonymizer: Anonymizer, *, privacy_parameter: str, requestor_id: str, requestor_type: str, request_id: str
) -> Question:
    """A question from its texts.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``, ``bad_request``.
    """
    privacy = Privacy(
        method=METHOD, parameter=_read_parameter(anonymizer, privacy_parameter), applied_by=AppliedBy.BACKEND
    )
    return Question(
        privacy=privacy,
        requestor=Requestor(
            id=_check_word("requestor_id", requestor_id), type=_check_word("requestor_type", requestor_type)
        ),
        request_id=_check_word("request_id", request_id),
    )


def _read_parameter(anonymizer: Anonymizer, text: str) -> int:
    """The privacy parameter: the blur's odd kernel size."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise PrivFaceError(
            ErrorCode.BAD_PRIVACY_PARAMETER, "That privacy parameter can't be used.", allowed=anonymizer.allowed
        )
    anonymizer.validate(int(text))
    return int(text)


def _check_word(name: str, text: str) -> str:
    longest = _LONGEST[name]
    if not text.isprintable() or len(text) > longest:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed=f"at most {longest} printable characters"
        )
    return text


def check_file_name(name: str) -> str:
    """A file's name, as it came.

    Raises:
        PrivFaceError: ``path_not_allowed``: it leads somewhere; ``bad_request``.
    """
    if ".." in name or "/" in name or "\\" in name or not name.strip(". "):
        raise PrivFaceError(
            ErrorCode.PATH_NOT_ALLOWED,
            "file_name is no path: it is a file's name, and leads nowhere.",
            allowed="a file's name without slashes and without ..",
        )
    return _check_word("file_name", name)


def camera_name(file_name: str) -> str:
    """The camera that a file's events are of."""
    return file_name[:_LONGEST_CAMERA_NAME].strip()
