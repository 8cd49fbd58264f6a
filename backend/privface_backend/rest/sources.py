"""Sources that a request asks for, made through the registry: REST knows no engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from privface_backend.plugins.ports import EngineContext, Source, VideoLength
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import FrameCard
from privface_backend.rest.services import Services

MEGABYTE = 1024 * 1024
MEGAPIXEL = 1_000_000


def make_source(services: Services, name: str, **options: object) -> Source:
    """The source called ``name``.

    Raises:
        PrivFaceError: ``engine_unknown``, ``engine_missing``, or what the source's factory raises.
    """
    context = EngineContext(weights=NoWeights(), options=options)
    return cast("Source", services.registry.create(EngineKind.SOURCE, name, context))


def make_video(
    services: Services, data: bytes, card: FrameCard, on_length: Callable[[VideoLength], None] | None = None
) -> Source:
    """The source of a video's frames, with the limits that are set. ``on_length`` is told how long it is."""
    limits = services.settings.pipeline
    return make_source(
        services,
        "video",
        data=data,
        card=card,
        max_bytes=limits.video_megabytes * MEGABYTE,
        max_seconds=limits.video_seconds,
        max_pixels=limits.picture_megapixels * MEGAPIXEL,
        **({} if on_length is None else {"on_length": on_length}),
    )
