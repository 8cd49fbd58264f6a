"""Who may do what: bearer tokens with scopes, and where none is asked for, requests from this network only."""

from __future__ import annotations

import base64
import ipaddress
import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from privface_backend.domain.addresses import is_home_name
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.auditing import admit, note_token
from privface_backend.rest.services import SERVICES
from privface_backend.storage.tokens import TokenInfo

_BURST: Final = 10
_SECONDS_EACH: Final = 6.0
_ADDRESSES: Final = 1024
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::\d+)?")


class AttemptLimit:
    """A token bucket an address for failed attempts: ten at once, then one every six seconds.

    A right token always passes, so that nobody can lock a home out by failing from its address; tokens are too long
    to be guessed at any rate.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, address: str) -> int:
        """Count a failure; 0, or the seconds to wait where there were too many."""
        key, now = _network(address), self._clock()
        full_at = max(self._full_at.pop(key, now), now)
        wait = full_at + _SECONDS_EACH - (now + _BURST * _SECONDS_EACH)
        self._full_at[key] = full_at if wait > 0 else full_at + _SECONDS_EACH
        if len(self._full_at) > _ADDRESSES:
            self._full_at.popitem(last=False)
        return max(0, math.ceil(wait))


ATTEMPTS: Final = web.AppKey("attempts", AttemptLimit)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request may do. ``token`` is None where none is asked for."""

    scopes: frozenset[Scope]
    token: str | None = None

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def __repr__(self) -> str:
        return f"Grant({', '.join(sorted(self.scopes))})"


def bearer_token(request: web.Request) -> str | None:
    """The token in the Authorization header; "" where the header holds something else."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def basic_token(request: web.Request) -> str | None:
    """The token in the Authorization header of a caller whose settings have room for an address only, as
    ``http://any:TOKEN@host``; None where there is none."""
    scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password or user


async def authorize(request: web.Request, scope: Scope) -> Grant:
    """Let the request pass if its token allows ``scope``.

    Raises:
        PrivFaceError: ``unauthenticated``, ``forbidden``, ``too_many_attempts``, ``audit_failed``.
    """
    if not request.app[SERVICES].settings.server.require_token:
        check_home(request)
        await admit(request)
        return Grant(frozenset({Scope.ADMIN}))
    return await grant_token(request, bearer_token(request), scope)


async def grant_token(request: web.Request, token: str | None, scope: Scope) -> Grant:
    """What ``token`` allows, if that includes ``scope``.

    Raises:
        PrivFaceError: ``unauthenticated``, ``forbidden``, ``too_many_attempts``, ``audit_failed``.
    """
    if token is None:
        raise PrivFaceError(
            ErrorCode.UNAUTHENTICATED,
            "A token is needed.",
            allowed="the header Authorization: Bearer pf_…; `privface token create` makes one",
        )
    info = await _verify(request, token)
    if info is None:
        if wait := request.app[ATTEMPTS].take(request.remote or ""):
            raise PrivFaceError(
                ErrorCode.TOO_MANY_ATTEMPTS,
                "Too many wrong tokens came from this address.",
                details={"retry_after": wait},
            )
        raise PrivFaceError(ErrorCode.UNAUTHENTICATED, "The token is wrong or was revoked.")
    note_token(request, info.id)
    grant = Grant(info.scopes, token)
    if not grant.allows(scope):
        raise PrivFaceError(
            ErrorCode.FORBIDDEN, "The token doesn't allow that.", allowed=f"a token with the scope {scope}"
        )
    await admit(request)
    return grant


async def still_allowed(request: web.Request, grant: Grant) -> bool:
    """Whether the grant's token still exists."""
    return grant.token is None or await _verify(request, grant.token) is not None


async def _verify(request: web.Request, token: str) -> TokenInfo | None:
    # What is no text that we made is not worth a look at the disk.
    if not token.isascii() or not token.isprintable() or not 0 < len(token) <= 256:
        return None
    services = request.app[SERVICES]
    return await services.storage.call(services.tokens.verify, token)


def check_home(request: web.Request) -> None:
    """Refuse a request without token that a web page of elsewhere may have sent.

    Raises:
        PrivFaceError: ``forbidden``: it names a public host, or comes from a page of another origin.
    """
    host = _host_name(request.headers.get(hdrs.HOST, ""))
    origin = request.headers.get(hdrs.ORIGIN)
    own = origin is None or urlsplit(origin).netloc.lower() == request.headers.get(hdrs.HOST, "").lower()
    if not own or not _is_at_home(host):
        raise PrivFaceError(
            ErrorCode.FORBIDDEN, "Without a token, only programs at home are served, no pages of other sites."
        )


def may_lack_token(request: web.Request, without_token: str) -> bool:
    """Whether the request needs no token where callers exist that know none: ``never``, ``loopback`` (from this
    computer; a browser's page is never local) or ``always``."""
    if without_token == "loopback":  # noqa: S105  # where the token may be missing, no token
        return is_local(request) and not any(name.lower().startswith("sec-fetch-") for name in request.headers)
    return without_token == "always"  # noqa: S105  # where the token may be missing, no token


def is_local(request: web.Request) -> bool:
    """Whether the request was sent on this computer, to this computer, and not passed on by a proxy or a web page."""
    if any(header in request.headers for header in ("Forwarded", "X-Forwarded-For", "X-Real-IP", hdrs.ORIGIN)):
        return False
    return _is_loopback(request.remote or "") and _is_loopback(_host_name(request.headers.get(hdrs.HOST, "")))


def _host_name(host: str) -> str:
    match = _HOST.fullmatch(host.strip().lower())
    return match[1].strip("[]").rstrip(".") if match else ""


def _is_at_home(name: str) -> bool:
    return _address(name) is not None or is_home_name(name)


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _network(address: str) -> str:
    """One home's addresses count as one: an IPv6 home has 2^64 of them."""
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
