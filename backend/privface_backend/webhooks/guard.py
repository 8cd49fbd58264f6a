"""Where a webhook may go. The address that is connected to is the one that was checked, at each connection.

Whoever wrote the configuration means the address that they wrote, one of the home's too. A name is different: its
addresses come from somewhere else, and can change.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from privface_backend.domain.addresses import (
    OWN_NAME,
    IPAddress,
    is_home_name,
    is_loopback,
    is_never_reached,
    is_private,
    read_address,
    read_host,
)
from privface_backend.resolver import Resolve


class RefusedAddressError(OSError):
    """The host's addresses are not to be sent to; the text says why, without naming them."""


class GuardedResolver(AbstractResolver):
    """Gives the addresses of a name that may be connected to."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        _ = family
        found = [read_address(text.partition("%")[0]) for text in await self._resolve(host)]
        addresses = allowed_addresses(
            host, (address for address in found if address is not None), allow_private=self._allow_private
        )
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is open."""


def _result(host: str, address: IPAddress, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def allowed_addresses(name: str, found: Iterable[IPAddress], *, allow_private: bool) -> tuple[IPAddress, ...]:
    """Those of a name's addresses that may be connected to, once each; none where it has none at all.

    Raises:
        RefusedAddressError: none of them may.
    """
    addresses = tuple(dict.fromkeys(found))
    allowed = tuple(address for address in addresses if _is_allowed(name, address, allow_private=allow_private))
    if addresses and not allowed:
        private = any(is_private(address) and not is_never_reached(address) for address in addresses)
        hint = "; allow_private: true allows it" if private else ""
        raise RefusedAddressError(f"the name's address is one that nothing is sent to{hint}")
    return allowed


def _is_allowed(name: str, address: IPAddress, *, allow_private: bool) -> bool:
    if is_never_reached(address):
        return False
    if allow_private or name == OWN_NAME or name.endswith(f".{OWN_NAME}"):
        return True
    return not is_loopback(address) if is_home_name(name) else not is_private(address)


def check_literal(url: URL) -> None:
    """Look at an address whose host is an IP address: those are not resolved.

    Raises:
        RefusedAddressError: nothing is ever sent to it, or its host is spelled in a way that readers disagree about.
    """
    text = url.raw_host or ""
    host = read_host(f"[{text}]" if ":" in text else text)
    address = None if host is None else read_address(host)
    if url.scheme not in {"http", "https"} or host is None or (address is not None and is_never_reached(address)):
        raise RefusedAddressError("the address is one that nothing is sent to")
