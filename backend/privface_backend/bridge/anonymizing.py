"""From what a camera gave to what may leave: decoded within limits, brought down, anonymized. It fails closed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from privface_backend.bridge.payloads import open_payload
from privface_backend.bridge.pictures import AnyPicture, PayloadPicture, Picture, PixelPicture
from privface_backend.bridge.strength import Strength, at_least
from privface_backend.domain.frames import WORKING_SIZE, Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.anonymizing import anonymize
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.plugins.ports import Anonymizer, EngineContext, Weights
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import AppliedBy, ErrorCode, FrameCard, Privacy

AHEAD: Final = timedelta(seconds=2)
"""How far ahead of this clock another one's times may be to be believed."""


class StalePictureError(Exception):
    """The picture shows what was, not what is."""


class PreparedPicture(Protocol):
    """What may leave: what a ``Deliver`` packs, and the card that goes with it."""

    @property
    def content(self) -> Any: ...

    @property
    def card(self) -> FrameCard: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizedPicture:
    """What may leave: pixels at the working size, and the card that says what was done to them."""

    pixels: Pixels = field(repr=False)
    card: FrameCard = field(repr=False)

    @property
    def content(self) -> Pixels:
        """What is packed to be sent."""
        return self.pixels


class Workshop:
    """Anonymizes pictures, on any thread. ``keep``: how old a picture may become; ``weights``: of methods that look for
    faces; ``noise``: epsilon and sensitivity, of methods that add noise."""

    def __init__(
        self,
        *,
        registry: Registry,
        limits: PictureLimits,
        keep: timedelta,
        longest: int = WORKING_SIZE,
        weights: Weights | None = None,
        noise: Privacy | None = None,
    ) -> None:
        self._registry: Final = registry
        self._weights: Final = weights or NoWeights()
        self._noise: Final = noise or Privacy()
        self._keep: Final = keep
        self._longest: Final = longest
        self._anonymizers: Final[dict[str, Anonymizer]] = {}
        self.limits: Final = limits

    def anonymizer(self, method: str) -> Anonymizer:
        """The anonymizer called ``method``.

        Raises:
            PrivFaceError: ``engine_unknown``, ``engine_missing``.
        """
        if method not in self._anonymizers:
            context = EngineContext(weights=self._weights)
            self._anonymizers[method] = self._registry.create(EngineKind.ANONYMIZER, method, context)
        return self._anonymizers[method]

    def prepare(self, picture: AnyPicture, own: Strength, kernel: int | None) -> PreparedPicture:
        """Make of a clear picture one that may leave, at strength ``own`` or, if that is stronger, at ``kernel``.

        Raises:
            StalePictureError: it is too old, or nothing proves that it isn't.
            PrivFaceError: it can't be read, is too large, or couldn't be anonymized.
        """
        if isinstance(picture, PayloadPicture):
            picture = self._open(picture)
        anonymizer = self.anonymizer(own.method)
        strength = at_least(own, kernel, anonymizer)
        wanted = replace(self._noise, method=strength.method, parameter=strength.parameter)
        done = anonymize(self._decode(picture), anonymizer, wanted, AppliedBy.BRIDGE, self._longest)
        return AnonymizedPicture(pixels=done.pixels, card=make_card(picture, done.privacy))

    def _open(self, picture: PayloadPicture) -> Picture:
        opened = open_payload(picture.payload, kind=picture.format, path=picture.field, time_path=picture.time_field)
        return Picture(
            camera=picture.camera,
            data=opened.data,
            captured_at=self._date(picture, opened.taken_at),
            source=picture.source,
            source_event_id=picture.source_event_id,
            trigger=picture.trigger,
            more=picture.more,
        )

    def _date(self, picture: PayloadPicture, taken_at: datetime | None) -> datetime:
        """When it was taken: as the message says, unless that is in the future; else when it came.

        Raises:
            StalePictureError: it is too old, or it was retained and nothing proves that it isn't.
        """
        if taken_at is not None and picture.captured_at - taken_at > self._keep:
            raise StalePictureError
        believed = taken_at is not None and taken_at <= picture.captured_at + AHEAD
        if picture.retained and not believed:
            raise StalePictureError
        return taken_at if taken_at is not None and believed else picture.captured_at

    def _decode(self, picture: Picture | PixelPicture) -> Pixels:
        if isinstance(picture, Picture):
            return decode_picture(picture.data, self.limits, self._longest)
        height, width = picture.pixels.shape[:2]
        if height * width > self.limits.pixels:
            raise PrivFaceError(
                ErrorCode.PICTURE_TOO_LARGE,
                "The picture has too many pixels.",
                allowed=f"at most {self.limits.pixels} pixels",
            )
        return picture.pixels


def make_card(picture: Picture | PixelPicture, privacy: Privacy) -> FrameCard:
    """The card of what was made of a picture. ``privacy``: what was done to it."""
    return FrameCard(
        camera=picture.camera,
        captured_at=picture.captured_at,
        privacy=privacy,
        source=picture.source,
        source_event_id=picture.source_event_id,
        trigger=picture.trigger,
        more=picture.more,
    )
