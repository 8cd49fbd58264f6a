"""PrivFace's errors: one root, a stable code on each, one table from code to HTTP status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from privface_backend.protocol import ErrorCode


class PrivFaceError(Exception):
    """Something that a caller can meet and understand.

    ``message`` goes out to the caller: it never holds pixels, names or embeddings. ``allowed`` says
    what would have been accepted; ``details`` are further facts for programs.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        allowed: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.allowed = allowed
        self.details: Mapping[str, object] = details or {}

    @property
    def explanation(self) -> str:
        """The message, and what is allowed, as sentences."""
        if self.allowed is None:
            return self.message
        stop = "" if self.message.endswith((".", "!", "?")) else "."
        return f"{self.message}{stop} Allowed: {self.allowed}"

    def to_dict(self) -> dict[str, object]:
        """The error as it goes out: ``{"code", "message", "allowed"?, "details"?}``."""
        out: dict[str, object] = {"code": self.code.value, "message": self.message}
        if self.allowed is not None:
            out["allowed"] = self.allowed
        if self.details:
            out["details"] = dict(self.details)
        return out


class SettingsError(PrivFaceError):
    """The configuration can't be used. ``problems`` has one line for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            ErrorCode.SETTINGS_INVALID,
            "The configuration can't be used:\n" + "\n".join(f"  - {problem}" for problem in problems),
            details={"problems": list(problems)},
        )
        self.problems = tuple(problems)


HTTP_STATUS: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.API_VERSION: 400,
    ErrorCode.BAD_FRAME_CARD: 400,
    ErrorCode.BAD_PRIVACY_PARAMETER: 400,
    ErrorCode.NOT_ANONYMIZED: 422,
    ErrorCode.SEALED: 422,
    ErrorCode.ANONYMIZER_FAILED: 500,
    ErrorCode.PICTURE_UNREADABLE: 400,
    ErrorCode.PICTURE_TRUNCATED: 400,
    ErrorCode.PICTURE_TOO_LARGE: 413,
    ErrorCode.PICTURE_FORMAT: 415,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.VIDEO_UNREADABLE: 400,
    ErrorCode.VIDEO_WITHOUT_FRAMES: 400,
    ErrorCode.LINK_NOT_ALLOWED: 403,
    ErrorCode.LINK_UNREACHABLE: 502,
    ErrorCode.PATH_NOT_ALLOWED: 403,
    ErrorCode.NO_FACE: 422,
    ErrorCode.SEVERAL_FACES: 422,
    ErrorCode.FACE_TOO_SMALL: 422,
    ErrorCode.FACE_TOO_BLURRY: 422,
    ErrorCode.PERSON_NOT_FOUND: 404,
    ErrorCode.PERSON_EXISTS: 409,
    ErrorCode.BAD_NAME: 400,
    ErrorCode.CONSENT_MISSING: 409,
    ErrorCode.FACE_NOT_FOUND: 404,
    ErrorCode.EVENT_NOT_FOUND: 404,
    ErrorCode.STRANGER_NOT_FOUND: 404,
    ErrorCode.VISIT_NOT_FOUND: 410,
    ErrorCode.TOO_FEW_FACES: 422,
    ErrorCode.NOT_CALIBRATED: 409,
    ErrorCode.CONTRACT_MISMATCH: 409,
    ErrorCode.ENGINE_UNKNOWN: 400,
    ErrorCode.ENGINE_MISSING: 501,
    ErrorCode.ENGINE_FAILED: 500,
    ErrorCode.WEIGHTS_MISSING: 503,
    ErrorCode.WEIGHTS_MISMATCH: 503,
    ErrorCode.WEIGHTS_UNREACHABLE: 503,
    ErrorCode.OVERLOADED: 503,
    ErrorCode.SUPERSEDED: 409,
    ErrorCode.STORAGE_FULL: 507,
    ErrorCode.STORAGE_FAILED: 500,
    ErrorCode.AUDIT_FAILED: 503,
    ErrorCode.GALLERY_CORRUPT: 500,
    ErrorCode.GALLERY_TOO_NEW: 500,
    ErrorCode.KEY_MISSING: 503,
    ErrorCode.LOCKED: 503,
    ErrorCode.SETTINGS_INVALID: 500,
    ErrorCode.PORT_IN_USE: 500,
    ErrorCode.BROKER_UNREACHABLE: 502,
    ErrorCode.BROKER_REFUSED: 502,
    ErrorCode.CAMERA_DISABLED: 409,
    ErrorCode.TIMEOUT: 504,
    ErrorCode.TOO_MANY_ATTEMPTS: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNKNOWN: 500,
}


def http_status(code: ErrorCode) -> int:
    """The HTTP status that answers with ``code``."""
    return HTTP_STATUS[code]
