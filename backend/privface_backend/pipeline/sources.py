"""Sources that somebody asks for, made through the registry: who asks knows no engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from privface_backend.plugins.ports import EngineContext, Source, VideoLength
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import FrameCard
from privface_backend.settings_sections import PipelineSettings

MEGABYTE: Final = 1024 * 1024
MEGAPIXEL: Final = 1_000_000


def make_source(registry: Registry, name: str, **options: object) -> Source:
    """The source called ``name``.

    Raises:
        PrivFaceError: ``engine_unknown``, ``engine_missing``, or what the source's factory raises.
    """
    context = EngineContext(weights=NoWeights(), options=options)
    return cast("Source", registry.create(EngineKind.SOURCE, name, context))


def make_video(
    registry: Registry,
    limits: PipelineSettings,
    data: bytes,
    card: FrameCard,
    on_length: Callable[[VideoLength], None] | None = None,
) -> Source:
    """The source of a video's frames, with the limits that are set. ``on_length`` is told how long it is."""
    return make_source(
        registry,
        "video",
        data=data,
        card=card,
        max_bytes=limits.video_megabytes * MEGABYTE,
        max_seconds=limits.video_seconds,
        max_pixels=limits.picture_megapixels * MEGAPIXEL,
        **({} if on_length is None else {"on_length": on_length}),
    )
