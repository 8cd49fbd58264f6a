"""A user side in tests: with synthetic engines and a key of its own."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from privface_backend.domain.frames import Pixels
from privface_backend.pipeline.enrollment import FaceChoice
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protection.master import MasterKey
from privface_backend.sealed.engines import open_user_side
from privface_backend.sealed.user_side import UserSide
from privface_backend.settings import Settings
from privface_backend.settings_loading import load_settings
from support.backend import Api, Reply, picture, pixels

KEY = MasterKey(bytes(range(32)))
OTHER_KEY = MasterKey(bytes(range(1, 33)))

_MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n", "WebP": b"WEBPVP8", "GIF": b"GIF89a"}


@cache
def user_side(key: MasterKey = KEY) -> UserSide:
    """A user side with the synthetic engines."""
    return open_user_side(synthetic_settings(key), NoWeights())


def synthetic_settings(key: MasterKey) -> Settings:
    flags = {"engines.detector": "synthetic", "engines.recognizer": "synthetic", "sealed.key": key.to_text()}
    return load_settings(environment={}, flags={**flags, "data_dir": "/nowhere"})


def sealed_frame(*identities: int, key: MasterKey = KEY) -> dict[str, Any]:
    """The sealed frame of a picture with the drawn faces of ``identities``."""
    return user_side(key).look(pixels(*identities)).to_dict()


def sealed_enrollment(identity: int, key: MasterKey = KEY) -> dict[str, Any]:
    """The sealed enrollment of a picture with one drawn face."""
    return user_side(key).enroll(pixels(identity), picture(identity), FaceChoice()).to_dict()


async def send_frame(api: Api, camera: str, frame: Mapping[str, Any], **card: Any) -> Reply:
    return await api.call(
        "POST",
        f"/api/v1/cameras/{camera}/sealed",
        pattern="/api/v1/cameras/{camera}/sealed",
        json={"card": {"more": False, **card}, "frame": frame},
    )


async def enroll(api: Api, name: str, enrollment: Mapping[str, Any]) -> Reply:
    """Enroll under a name; a person of it is made where there is none."""
    people = (await api.call("GET", "/api/v1/people")).document["people"]
    known = next((person["id"] for person in people if person["name"] == name), None)
    if known is None:
        known = (await api.call("POST", "/api/v1/people", json={"name": name})).document["id"]
    return await api.call(
        "POST", f"/api/v1/people/{known}/sealed", pattern="/api/v1/people/{person}/sealed", json=enrollment
    )


def pictures_in(body: bytes, content_type: str) -> list[str]:
    """What of a body is, or may hold, a picture."""
    found = [content_type] if re.match(r"(image|video|multipart)/", content_type) else []
    texts = [body, *(_decoded(text) for text in re.findall(rb"[A-Za-z0-9+/]{64,}={0,2}", body))]
    for text in texts:
        found += [kind for kind, magic in _MAGIC.items() if magic in text]
    return found


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def jpeg_file(frame: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])).save(file, "JPEG", quality=92)
    return file.getvalue()
