"""Which camera links a request may name: the allow-list, and what no list can allow.

Pure: names are resolved by the function that is passed in. A link is taken apart by one strict rule and put
together again from its parts, so that whoever opens it reads it as it was read here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote

from privface_backend.domain.addresses import OWN_NAME, IPAddress, is_metadata, is_refused, read_address, read_host
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.protocol import ErrorCode
from privface_backend.resolver import Resolve
from privface_backend.settings_sections import LinkSettings

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
_WEBCAM: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebcamLink:
    """A camera of this computer."""

    index: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLink:
    """A camera's address, with its login; ``peer``: the checked IP address; ``name``: to show, without secrets."""

    address: str = field(repr=False)
    peer: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
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
class _Entry:
    """One entry of the allow-list."""

    parts: _Parts
    prefix: bool

    def matches(self, link: _Parts) -> bool:
        own = self.parts
        if (own.scheme, own.host, own.port) != (link.scheme, link.host, link.port):
            return False
        if None not in (own.login, link.login) and own.login != link.login:
            return False
        return link.rest.startswith(own.rest) if self.prefix else link.rest == own.rest


class LinkPolicy:
    """Decides about links.

    An entry with a login lends it to a request that names the address without one, so that requests hold no
    passwords.
    """

    def __init__(self, settings: LinkSettings, resolve: Resolve) -> None:
        """Take the allow-list over.

        Raises:
            SettingsError: with every entry, by its place, that can't be used.
        """
        self._webcams: Final = frozenset(settings.webcams)
        self._resolve: Final = resolve
        self._entries: Final = _read_entries(settings.allow)

    async def check(self, link: str) -> WebcamLink | AddressLink:
        """What to open for a link that a request names.

        Raises:
            PrivFaceError: ``link_not_allowed``; ``link_unreachable``: its host's name has no address.
        """
        if _WEBCAM.fullmatch(link):
            if int(link) not in self._webcams:
                raise _not_allowed()
            return WebcamLink(index=int(link), name=f"webcam-{int(link)}")
        parts = _take_apart(link)
        matching = [entry for entry in self._entries if parts is not None and entry.matches(parts)]
        if parts is None or not matching:
            raise _not_allowed()
        entry = next((entry for entry in matching if entry.parts.login == parts.login), matching[0])
        peer = await _find_peer(parts, self._resolve)
        login = parts.login if parts.login is not None else entry.parts.login
        return AddressLink(address=parts.to_address(login), peer=peer, name=self._name(entry))

    def _name(self, entry: _Entry) -> str:
        """The entry's host; with its number in the list where several have that host. A path can be a password."""
        same = [number for number, other in enumerate(self._entries, 1) if other.parts.host == entry.parts.host]
        if len(same) == 1:
            return entry.parts.host[:48]
        return f"{entry.parts.host[:48]}-{self._entries.index(entry) + 1}"


async def owner_link(address: str, resolve: Resolve) -> AddressLink:
    """What to open for an address that the owner configured: what the address is read as, and where it may lead, is as
    strict as for a request; the configuration itself is the list. ``name`` is its host.

    Raises:
        PrivFaceError: ``link_not_allowed``; ``link_unreachable``: its host's name has no address (yet).
    """
    parts = _take_apart(address)
    # A star at the end means something in links.allow only.
    if parts is None or address.endswith("*"):
        raise _not_allowed("rtsp, rtsps, http or https://host/path")
    peer = await _find_peer(parts, resolve)
    return AddressLink(address=parts.to_address(parts.login), peer=peer, name=parts.host[:48])


async def _find_peer(parts: _Parts, resolve: Resolve) -> str:
    """The host's address, all of its addresses being allowed."""
    literal = parts.literal
    if literal is not None:
        # The owner named it, letter by letter: it is meant, unless nobody can mean it.
        if is_metadata(literal):
            raise _not_allowed()
        return str(literal)
    try:
        found = [ip_address(text.partition("%")[0]) for text in await resolve(parts.host)]
    except (OSError, ValueError):
        found = []
    if not found:
        raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, "The camera's host has no address.")
    own = parts.host == OWN_NAME and all(address.is_loopback for address in found)
    if not own and any(is_refused(address) for address in found):
        raise _not_allowed("a host outside of this computer; to mean this computer, write its IP address")
    return str(found[0])


def _take_apart(text: str) -> _Parts | None:
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
    return _Parts(scheme=scheme, login=match["login"], host=host, port=port, rest=rest)


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


def _read_entries(allow: Sequence[str]) -> tuple[_Entry, ...]:
    problems: list[str] = []
    entries: list[_Entry] = []
    for number, text in enumerate(allow, 1):
        prefix = text.endswith("*")
        parts = _take_apart(text.removesuffix("*"))
        # A star that stands for more than a path would allow other ports or hosts too.
        inside_path = text.count("/") >= 3
        if parts is None or "*" in text.removesuffix("*") or (prefix and not inside_path):
            problems.append(
                f"links.allow: entry {number}: expected rtsp, rtsps, http or https://host/path, or a prefix of one "
                "that ends in * after the host's slash"
            )
        elif parts.literal is not None and is_metadata(parts.literal):
            problems.append(f"links.allow: entry {number}: a cloud's metadata address is never opened")
        else:
            entries.append(_Entry(parts=parts, prefix=prefix))
    if problems:
        raise SettingsError(problems)
    return tuple(entries)


def _not_allowed(
    allowed: str = "an address that the setting links.allow lists, or a camera index that links.webcams lists",
) -> PrivFaceError:
    return PrivFaceError(ErrorCode.LINK_NOT_ALLOWED, "This camera link is not allowed.", allowed=allowed)
