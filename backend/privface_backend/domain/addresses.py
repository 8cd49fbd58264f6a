"""Which network addresses and hosts' names are whose: this computer's, a cloud's metadata, the home's, everybody's."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

IPAddress = IPv4Address | IPv6Address

METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
METADATA_ADDRESSES: Final[frozenset[IPAddress]] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
# A host's own name for itself, as good as an address.
OWN_NAME: Final = "localhost"
# Names that public DNS doesn't give out: a page of another site can't be made to come from one (DNS rebinding).
_HOME_SUFFIXES: Final = (".localhost", ".local", ".lan", ".home", ".internal", ".home.arpa")
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def read_address(text: str) -> IPAddress | None:
    """The address that a text is; None where it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def read_host(text: str) -> str | None:
    """A host in lower case, without a last dot and without brackets; None where it is no plain name or address, or a
    cloud's name for its metadata."""
    if text.startswith("["):
        literal = read_address(text[1:-1])
        return None if literal is None or isinstance(literal, IPv4Address) else str(literal)
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if not host or len(host) > 253 or host in METADATA_NAMES or not all(map(_LABEL.fullmatch, labels)):
        return None
    # 127.1, 0177.0.0.1, 2130706433 and 0x7f.1 are addresses to some: only four plain numbers are one here.
    if _NUMBER.fullmatch(labels[-1]) and read_address(host) is None:
        return None
    return host


def is_home_name(name: str) -> bool:
    """Whether a host's name is one that public DNS doesn't give out."""
    return bool(name) and ("." not in name or name.endswith(_HOME_SUFFIXES))


def is_metadata(address: IPAddress) -> bool:
    """Whether a cloud's metadata, with its credentials, lies at an address."""
    return any(part in METADATA_ADDRESSES for part in (address, *_inside(address)))


def is_never_reached(address: IPAddress) -> bool:
    """Whether an address is no host's that anybody can mean: a link's or group's, a cloud's metadata, or nobody's."""
    if is_metadata(address):
        return True
    return any(
        part.is_link_local
        or part.is_multicast
        or part.is_unspecified
        or (isinstance(part, IPv4Address) and (part.is_reserved or part in _THIS_NETWORK))
        for part in (address, *_inside(address))
    )


def is_loopback(address: IPAddress) -> bool:
    """Whether an address is this computer's own."""
    return any(part.is_loopback for part in (address, *_inside(address)))


def is_private(address: IPAddress) -> bool:
    """Whether an address is only reached from inside: this computer, the home's network, a provider's."""
    return any(part.is_loopback or not part.is_global for part in (address, *_inside(address)))


def is_refused(address: IPAddress) -> bool:
    """Whether an address can't be a camera's: this computer, a link's or group's, a cloud's metadata."""
    return is_never_reached(address) or is_loopback(address)


def _inside(address: IPAddress) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    # ::1 lies among the compatible ones, and stands for itself.
    if address in _NAT64 or (address in _COMPATIBLE and not address.is_loopback):
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(inner for inner in found if inner is not None)
