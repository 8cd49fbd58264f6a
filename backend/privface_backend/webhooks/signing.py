"""Signatures as in the Standard Webhooks specification, 1.0.0: HMAC-SHA256 over ``id.timestamp.body``."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Final

ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """A signature as its header has it, ``v1,`` and base64. ``timestamp``: whole seconds since 1970."""
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def signed_headers(key: bytes, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt: an attempt later has another time, and so another signature."""
    timestamp = int(now.timestamp())
    return {
        ID_HEADER: message_id,
        TIME_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(key, message_id, timestamp, body),
    }
