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

from privface_backend.domain.addresses import OWN_NAME, is_metadata, is_refused
from privface_backend.domain.camera_address import AllowedAddress, CameraAddress, read_allowed_address, take_apart
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.protocol import ErrorCode
from privface_backend.resolver import Resolve
from privface_backend.settings_sections import LinkSettings

_WEBCAM: Final = re.compile(r"0|[1-9][0-9]{0,2}")


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
        parts = take_apart(link)
        matching = [entry for entry in self._entries if parts is not None and entry.matches(parts)]
        if parts is None or not matching:
            raise _not_allowed()
        entry = next((entry for entry in matching if entry.address.login == parts.login), matching[0])
        peer = await _find_peer(parts, self._resolve)
        login = parts.login if parts.login is not None else entry.address.login
        return AddressLink(address=parts.to_address(login), peer=peer, name=self._name(entry))

    def _name(self, entry: AllowedAddress) -> str:
        """The entry's host; with its number in the list where several have that host. A path can be a password."""
        same = [number for number, other in enumerate(self._entries, 1) if other.address.host == entry.address.host]
        if len(same) == 1:
            return entry.address.host[:48]
        return f"{entry.address.host[:48]}-{self._entries.index(entry) + 1}"


async def owner_link(address: str, resolve: Resolve) -> AddressLink:
    """What to open for an address that the owner configured: what the address is read as, and where it may lead, is as
    strict as for a request; the configuration itself is the list. ``name`` is its host.

    Raises:
        PrivFaceError: ``link_not_allowed``; ``link_unreachable``: its host's name has no address (yet).
    """
    parts = take_apart(address)
    # A star at the end means something in links.allow only.
    if parts is None or address.endswith("*"):
        raise _not_allowed("rtsp, rtsps, http or https://host/path")
    peer = await _find_peer(parts, resolve)
    return AddressLink(address=parts.to_address(parts.login), peer=peer, name=parts.host[:48])


async def _find_peer(parts: CameraAddress, resolve: Resolve) -> str:
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


def _read_entries(allow: Sequence[str]) -> tuple[AllowedAddress, ...]:
    problems: list[str] = []
    entries: list[AllowedAddress] = []
    for number, text in enumerate(allow, 1):
        try:
            entries.append(read_allowed_address(text))
        except ValueError as error:
            problems.append(f"links.allow.{number}: {error}")
    if problems:
        raise SettingsError(problems)
    return tuple(entries)


def _not_allowed(
    allowed: str = "an address that the setting links.allow lists, or a camera index that links.webcams lists",
) -> PrivFaceError:
    return PrivFaceError(ErrorCode.LINK_NOT_ALLOWED, "This camera link is not allowed.", allowed=allowed)
