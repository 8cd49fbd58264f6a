"""What is told of acts that no request stands for: pictures of a directory, commands over MQTT, a start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from privface_backend.audit.entries import Act, By, Entry
from privface_backend.errors import PrivFaceError


class Picture(Protocol):
    """What became of a picture of a directory."""

    @property
    def outcome(self) -> str: ...

    @property
    def person_id(self) -> str | None: ...

    @property
    def error(self) -> PrivFaceError | None: ...


def of_picture(picture: Picture, by: By) -> Entry:
    """A picture that was enrolled or refused, or whose face was removed."""
    removed = picture.outcome == "removed"
    return Entry(
        act=Act.FORGET if removed else Act.ENROLL,
        operation="remove_picture" if removed else "enroll_picture",
        by=by,
        outcome=str(picture.outcome) if picture.error is None else picture.error.code.value,
        subjects=() if picture.person_id is None else (picture.person_id,),
    )


def of_command(camera: str, switches: bool) -> Entry:
    """A command over MQTT that sets a camera: ``switches``: on or off, else its privacy parameter."""
    operation = "set_enabled" if switches else "set_privacy"
    return Entry(act=Act.CONFIGURATION, operation=operation, by=By.MQTT, camera=camera)


def of_start(settings: Mapping[str, Any]) -> Entry:
    """The service starts with these settings, of which nothing but a digest is told: whether they changed shows."""
    text = json.dumps(settings, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Entry(act=Act.CONFIGURATION, operation="start", by=By.SERVICE, settings=digest)


def of_key(operation: str, by: By, token_id: str | None = None) -> Entry:
    """A token was made or revoked."""
    return Entry(act=Act.KEY, operation=operation, by=by, subjects=() if token_id is None else (token_id,))
