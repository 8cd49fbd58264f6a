"""The bridge of a sealed backend: from a clear picture to what may leave, which is no picture. It fails closed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from privface_backend.bridge.anonymizing import Workshop, make_card
from privface_backend.bridge.deliver import Answer
from privface_backend.bridge.http import API, HttpDeliver
from privface_backend.bridge.pictures import AnyPicture, PayloadPicture
from privface_backend.bridge.strength import Strength
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import AppliedBy, ErrorCode, FrameCard, to_wire_time
from privface_backend.sealed.frames import SealedFrame, sealed_privacy
from privface_backend.sealed.user_side import UserSide


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPicture:
    """What was seen in a picture, and the card that says how it was sealed."""

    content: SealedFrame = field(repr=False)
    card: FrameCard = field(repr=False)


class SealingWorkshop(Workshop):
    """Seals pictures, on any thread. A picture without a face becomes a frame that says so."""

    def __init__(self, side: UserSide, **parts: Any) -> None:
        """``parts``: those of a ``Workshop``."""
        super().__init__(**parts)
        self._side: Final = side

    def prepare(self, picture: AnyPicture, own: Strength, kernel: int | None) -> SealedPicture:  # noqa: ARG002  # nothing is blurred
        """Make of a clear picture a sealed frame; how strongly to blur is of no account.

        Raises:
            StalePictureError: it is too old, or nothing proves that it isn't.
            PrivFaceError: it can't be read, is too large, or couldn't be looked at.
        """
        if isinstance(picture, PayloadPicture):
            picture = self._open(picture)
        frame = self._side.look(self._decode(picture))
        return SealedPicture(content=frame, card=make_card(picture, sealed_privacy(AppliedBy.BRIDGE)))


class SealedDeliver(HttpDeliver):
    """Sends sealed frames, and nothing else."""

    def pack(self, content: Any) -> dict[str, Any]:
        """Make of a sealed frame what ``send`` takes.

        Raises:
            PrivFaceError: ``sealed``: it is none.
        """
        if not isinstance(content, SealedFrame):
            raise PrivFaceError(ErrorCode.SEALED, "Nothing that isn't sealed leaves.")
        return content.to_dict()

    async def send(self, card: FrameCard, packed: Any) -> Answer:
        path = f"{self._url}{API}/cameras/{quote(card.camera, safe='')}/sealed"
        # Written just before it goes, as what is known of the backend's clock may be new.
        captured_at = to_wire_time(self.backend_clock.to_backend(card.captured_at))
        document = {"card": {**card.to_dict(), "captured_at": captured_at}, "frame": packed}
        data = await asyncio.to_thread(json.dumps, document)
        payload = aiohttp.StringPayload(data, content_type="application/json")
        return await self._ask("POST", path, payload, self._judge)
