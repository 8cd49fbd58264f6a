"""What can go wrong between a client and a backend.

Two groups. The caller's mistakes, which trying again won't mend: ``RefusedError``, ``AddressError``,
``AuthenticationError``, ``ForbiddenError``, ``ApiVersionError``. Expected failures, which may pass by themselves:
``UnavailableError``, ``NotPrivFaceError``. Their texts hold no token, no name of a person and no address.
"""

from __future__ import annotations

from collections.abc import Mapping

from .protocol import ErrorCode


class ClientError(Exception):
    """The root. ``allowed`` says what would have been accepted; ``details`` are further facts for programs."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        allowed: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Take what the backend said, or words of the client's own."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.allowed = allowed
        self.details: Mapping[str, object] = details or {}


class RefusedError(ClientError):
    """The backend understood, and said no: ``code`` is its own."""


class AddressError(RefusedError, ValueError):
    """The address given can't be that of a backend."""

    def __init__(self) -> None:
        """Say what an address looks like."""
        super().__init__(
            ErrorCode.BAD_REQUEST,
            "That is no address of a backend.",
            allowed="http://HOST:PORT or https://HOST, with a path if need be, without user, query and fragment",
        )


class AuthenticationError(ClientError):
    """There is no token, or it is wrong or was revoked."""


class ForbiddenError(ClientError):
    """The token lacks a scope."""


class ApiVersionError(ClientError):
    """The two don't speak the same version. ``too_old``: the backend is the one to update; else the client is."""

    def __init__(self, *, too_old: bool) -> None:
        """Say which side is behind."""
        super().__init__(
            ErrorCode.API_VERSION,
            "The backend is too old for this client." if too_old else "The backend is too new for this client.",
        )
        self.too_old = too_old


class UnavailableError(ClientError):
    """The backend can't be reached, didn't answer in time, or hung up. ``tls``: its certificate or encryption can't
    be accepted. The code is ``timeout`` or ``link_unreachable``."""

    def __init__(self, message: str, *, code: ErrorCode = ErrorCode.LINK_UNREACHABLE, tls: bool = False) -> None:
        """Say how it failed."""
        super().__init__(code, message)
        self.tls = tls


class NotPrivFaceError(ClientError):
    """Something answers at the address, but not as a backend does."""

    def __init__(self, message: str = "What answers there is no PrivFace backend.") -> None:
        """Say what is odd about the answer."""
        super().__init__(ErrorCode.UNKNOWN, message)
