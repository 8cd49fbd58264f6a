"""A line of the audit log: its canonical bytes, and the code that ties it to all lines before it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from privface_backend.audit.entries import Entry

NOTHING: Final = "0" * 64
"""What stands in the place of the mac of the line before the first one."""
_KEY_ID: Final = b"privface audit key"
_MAC_LENGTH: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line's place in the chain. ``seq`` counts from 1; 0 with ``NOTHING`` is the place before the first line."""

    seq: int = 0
    mac: str = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that can be read, which says nothing about whether it is genuine. ``data``: all of it."""

    seq: int
    previous: str
    mac: str
    key: str | None
    data: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> Place:
        return Place(seq=self.seq, mac=self.mac)

    @property
    def anchor(self) -> Place | None:
        """The place of the last line that was dropped, where this line tells of that."""
        anchor = self.data.get("anchor")
        if not isinstance(anchor, Mapping) or not isinstance(anchor.get("seq"), int) or not _is_mac(anchor.get("mac")):
            return None
        return Place(seq=anchor["seq"], mac=anchor["mac"])


class Sealer:
    """Makes and checks the lines' macs: HMAC-SHA256 with ``key`` over the previous mac and the line's canonical bytes.

    Without a key it is SHA-256 over the same, which finds damage and careless changes, but whoever can write the files
    and the database can make all of it anew. ``former``: keys that older lines were sealed with.
    """

    def __init__(self, key: bytes | None = None, former: Sequence[bytes] = ()) -> None:
        self._keys: Final = {_key_id(one): one for one in (*former, *(() if key is None else (key,)))}
        self.key_id: Final = None if key is None else _key_id(key)

    def seal(self, entry: Entry, before: Place, now: datetime) -> Line:
        """The line of ``entry`` that follows the one at ``before``."""
        body = entry.to_dict(now) | {"seq": before.seq + 1, "previous": before.mac}
        if self.key_id is not None:
            body["key"] = self.key_id
        mac = self._mac(body, before.mac, self.key_id)
        return Line(seq=before.seq + 1, previous=before.mac, mac=mac, key=self.key_id, data=body | {"mac": mac})

    def knows(self, line: Line) -> bool:
        """Whether the line's key is there, if it needs one."""
        return line.key is None or line.key in self._keys

    def is_genuine(self, line: Line) -> bool:
        """Whether the line's mac is right for what the line says."""
        body = {key: value for key, value in line.data.items() if key != "mac"}
        return self.knows(line) and hmac.compare_digest(self._mac(body, line.previous, line.key), line.mac)

    def _mac(self, body: Mapping[str, Any], previous: str, key_id: str | None) -> str:
        message = bytes.fromhex(previous) + canonical(body)
        if key_id is None:
            return hashlib.sha256(message).hexdigest()
        return hmac.digest(self._keys[key_id], message, "sha256").hex()


def canonical(data: Mapping[str, Any]) -> bytes:
    """JSON in one way only: sorted keys, ASCII, no spaces, so no text in it can end the line."""
    return json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def write_line(line: Line) -> bytes:
    return canonical(line.data) + b"\n"


def read_line(raw: bytes) -> Line | None:
    """The line in ``raw``, with or without the newline; None: it is none, or not written as PrivFace writes them."""
    text = raw.removesuffix(b"\n")
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or canonical(data) != text:
            return None
    except (ValueError, RecursionError):
        return None
    seq, previous, mac, key = (data.get(name) for name in ("seq", "previous", "mac", "key"))
    if type(seq) is not int or seq < 1 or not isinstance(key, str | None):
        return None
    if not isinstance(previous, str) or not isinstance(mac, str) or not (_is_mac(previous) and _is_mac(mac)):
        return None
    return Line(seq=seq, previous=previous, mac=mac, key=key, data=data)


def _key_id(key: bytes) -> str:
    """Tells keys apart without saying anything of them."""
    return hmac.digest(key, _KEY_ID, "sha256").hex()[:16]


def _is_mac(text: object) -> bool:
    return isinstance(text, str) and len(text) == _MAC_LENGTH and set(text) <= _HEX
