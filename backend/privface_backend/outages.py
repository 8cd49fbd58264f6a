"""Why somebody on the network couldn't be reached, in plain words without addresses."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

import aiohttp

_BY_NUMBER: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "it hung up",
    errno.ECONNABORTED: "it hung up",
    errno.EPIPE: "it hung up",
    errno.ETIMEDOUT: "it took too long",
    errno.ENETUNREACH: "there is no way to it",
    errno.EHOSTUNREACH: "there is no way to it",
    errno.ENETDOWN: "there is no way to it",
    errno.EADDRNOTAVAIL: "there is no way to it",
}
# The first that fits: a class stands before those that it is made of.
_BY_CLASS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((TimeoutError,), "it took too long"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), "its name is not known"),
    ((aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError), "its certificate is not trusted"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "it speaks no TLS, or not with us"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), "its address can't be used"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionResetError), "it hung up"),
    ((aiohttp.ClientResponseError,), "it doesn't speak HTTP as it should"),
)


def explain(error: BaseException) -> str:
    """Why a connection or a request failed, as it can stand behind a colon or in brackets."""
    for classes, words in _BY_CLASS:
        if isinstance(error, classes):
            return words
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    return "the connection failed"
