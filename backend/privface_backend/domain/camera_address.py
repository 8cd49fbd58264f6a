"""Addresses of cameras, read by one strict rule, so that whoever opens one reads it as it was read here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from privface_backend.domain.addresses import IPAddress, is_metadata, read_address, read_host

LONGEST: Final = 2048
PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}

# Printable ASCII without what readers of addresses disagree about: quotes, brackets, backslash, fragment.
_ADDRESS: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://"
    r"(?:(?P<login>[^@/?\[\]:]+(?::[^@/?\[\]:]*)?)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>/.*)?"
)
_PRINTABLE: Final = re.compile(r"[!$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]+")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraAddress:
    """An address taken apart: scheme and host in lower case, the port always there, ``rest`` from the slash on."""

    scheme: str
    login: str | None = field(repr=False)
    host: str
    port: int
    rest: str = field(repr=False)

    @property
    def literal(self) -> IPAddress | None:
        """The host, where it is an IP address."""
        return read_address(self.host)

    def to_address(self, login: str | None) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{'' if login is None else login + '@'}{host}{port}{self.rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedAddress:
    """An address that requests may name; ``prefix``: and all that begin with it."""

    address: CameraAddress
    prefix: bool

    def matches(self, link: CameraAddress) -> bool:
        own = self.address
        if (own.scheme, own.host, own.port) != (link.scheme, link.host, link.port):
            return False
        if None not in (own.login, link.login) and own.login != link.login:
            return False
        return link.rest.startswith(own.rest) if self.prefix else link.rest == own.rest


def read_camera_address(text: str) -> CameraAddress:
    """The address that the owner set for a camera.

    Raises:
        ValueError: saying what is expected.
    """
    # A star at the end means something in links.allow only.
    address = None if text.endswith("*") else take_apart(text)
    if address is None:
        raise ValueError("expected rtsp, rtsps, http or https://host/path")
    _check_host(address)
    return address


def read_allowed_address(text: str) -> AllowedAddress:
    """An entry of ``links.allow``.

    Raises:
        ValueError: saying what is expected.
    """
    prefix = text.endswith("*")
    address = take_apart(text.removesuffix("*"))
    # A star that stands for more than a path would allow other ports or hosts too.
    inside_path = text.count("/") >= 3
    if address is None or "*" in text.removesuffix("*") or (prefix and not inside_path):
        raise ValueError(
            "expected rtsp, rtsps, http or https://host/path, or a prefix of one that ends in * after the host's slash"
        )
    _check_host(address)
    return AllowedAddress(address=address, prefix=prefix)


def _check_host(address: CameraAddress) -> None:
    if address.literal is not None and is_metadata(address.literal):
        raise ValueError("a cloud's metadata address is never opened")


def take_apart(text: str) -> CameraAddress | None:
    """The parts of an address; None where it isn't one, or is spelled in a way that readers disagree about."""
    if len(text) > LONGEST or not _PRINTABLE.fullmatch(text) or _ESCAPE.search(text):
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    scheme, host = match["scheme"].lower(), read_host(match["host"])
    if scheme not in PORTS or host is None:
        return None
    port = PORTS[scheme] if match["port"] is None else int(match["port"])
    rest = match["rest"] or "/"
    if not 1 <= port <= 65535 or _climbs(rest):
        return None
    return CameraAddress(scheme=scheme, login=match["login"], host=host, port=port, rest=rest)


def _climbs(rest: str) -> bool:
    """Whether a path or query has a part that leads upward, however often it was escaped."""
    for _ in range(5):
        if any(part in {".", ".."} for part in re.split(r"[/\\?&=;]", rest)) or "\\" in rest:
            return True
        if any(ord(character) < 32 for character in rest):
            return True
        again = unquote(rest)
        if again == rest:
            return False
        rest = again
    return True
