"""What can go wrong between a picture and its anonymized version."""

from __future__ import annotations

from typing import Final

PICTURE_UNREADABLE: Final = "picture_unreadable"
PICTURE_TRUNCATED: Final = "picture_truncated"
PICTURE_TOO_LARGE: Final = "picture_too_large"
PICTURE_FORMAT: Final = "picture_format"
BAD_PRIVACY_PARAMETER: Final = "bad_privacy_parameter"
ANONYMIZER_FAILED: Final = "anonymizer_failed"


class AnonymizationError(Exception):
    """There is no anonymized picture. ``code``: why, in the words of the protocol.

    ``message`` holds nothing of the picture or of another library's text; ``allowed`` says what would be accepted.
    """

    def __init__(self, code: str, message: str, *, allowed: str | None = None) -> None:
        """Keep what a caller can tell its user."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.allowed = allowed
