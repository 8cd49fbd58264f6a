"""At which addresses others reach what listens here."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import psutil

# Where zeroconf's packets go: the way there is the way to the home network.
_MULTICAST: Final = ("224.0.0.251", 5353)


@dataclass(frozen=True, slots=True)
class Listening:
    """An address and port that are listened on, as the socket has them."""

    host: str
    port: int

    @classmethod
    def of(cls, listener: socket.socket) -> Self:
        host, port, *_ = listener.getsockname()
        return cls(host, port)

    @property
    def everywhere(self) -> bool:
        """Whether this stands for all of the computer's addresses."""
        return ipaddress.ip_address(self.host).is_unspecified

    @property
    def families(self) -> tuple[int, ...]:
        """The families of addresses that it is reached by; what listens on all of IPv6's has IPv4's, too."""
        version = ipaddress.ip_address(self.host).version
        return (socket.AF_INET,) if version == 4 else (socket.AF_INET, socket.AF_INET6)

    def url(self, address: str) -> str:
        return f"http://{f'[{address}]' if ':' in address else address}:{self.port}"


def announced_addresses(listening: Listening) -> tuple[str, ...]:
    """Those that others on the home network reach it at; none while there is no network, or only this computer does.

    Where all addresses are listened on, that is the one by which this computer goes to its network: others, of
    containers and tunnels, lead nowhere from elsewhere. Without a way out, any that the computer has.
    """
    if not listening.everywhere:
        return (listening.host,) if _reachable(listening.host) else ()
    own = _source(socket.AF_INET, _MULTICAST)
    if own is not None and _reachable(own):
        return (own,)
    return tuple(address for address in _own_addresses(listening.families) if _reachable(address))


async def url_towards(listening: Listening, host: str, port: int) -> str | None:
    """The address of REST for whoever reaches ``host`` (a broker); None: there is none in the same network."""
    if not listening.everywhere:
        return listening.url(listening.host)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    usable = [entry for entry in found if entry[0] in listening.families]
    for peer_family, *_, peer in sorted(usable, key=lambda entry: listening.families.index(entry[0])):
        own = _source(peer_family, peer)
        if own is not None and not _link_local_v6(own):
            return listening.url(own)
    return None


def _source(family: int, peer: tuple[object, ...]) -> str | None:
    """The address that this computer would send from to ``peer``. Nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(peer)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _own_addresses(families: Sequence[int]) -> list[str]:
    """The addresses of ``families`` in all networks that are up."""
    states = psutil.net_if_stats()
    return [
        item.address
        for name, items in psutil.net_if_addrs().items()
        if name in states and states[name].isup
        for item in items
        if item.family in families
    ]


def _reachable(address: str) -> bool:
    return not ipaddress.ip_address(address).is_loopback and not _link_local_v6(address)


def _link_local_v6(address: str) -> bool:
    """Whether others would need to know by which of their networks: a URL can't say that."""
    known = ipaddress.ip_address(address)
    return known.version == 6 and known.is_link_local
