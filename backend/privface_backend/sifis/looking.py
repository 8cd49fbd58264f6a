"""Carries a question out: from a file or a camera link to what was seen.

What a question names is never opened unless it is allowed: a camera link must be on the list. The blur with the
question's privacy parameter comes before everything else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from privface_backend.audit.acts import note_camera
from privface_backend.audit.auditor import Auditor
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.index import GalleryIndex
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.intake import Intake
from privface_backend.pipeline.links import AddressLink, LinkPolicy, WebcamLink
from privface_backend.pipeline.recognition import Recognition
from privface_backend.pipeline.recording import Seen
from privface_backend.pipeline.sources import MEGABYTE, MEGAPIXEL, make_source, make_video
from privface_backend.plugins.ports import Anonymizer, Source
from privface_backend.plugins.registry import Registry
from privface_backend.protocol import ErrorCode, FrameCard, FrameSource
from privface_backend.settings import Settings
from privface_backend.sifis.questions import METHOD, Question
from privface_backend.sifis.sightings import Sightings

Frames = AsyncGenerator[Seen, None]


class Means(Protocol):
    """The parts of a running backend that carrying out a question takes."""

    @property
    def settings(self) -> Settings: ...

    @property
    def clock(self) -> Callable[[], datetime]: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def recognition(self) -> Recognition: ...

    @property
    def intake(self) -> Intake: ...

    @property
    def cameras(self) -> Cameras: ...

    @property
    def audit(self) -> Auditor: ...

    @property
    def index(self) -> GalleryIndex: ...


def anonymizer_of(means: Means) -> Anonymizer:
    """The one that a question's privacy parameter is for."""
    return means.recognition.process.engines.anonymizer(METHOD)


async def open_link(means: Means, policy: LinkPolicy, text: str, question: Question) -> tuple[str, Frames]:
    """A camera's name and its frames, for as long as ``links.seconds`` says.

    Raises:
        PrivFaceError: ``link_not_allowed``, ``link_unreachable``, ``camera_disabled``; ``sealed``, before anything is
            opened.
    """
    link = await policy.check(text)
    note_camera(link.name)
    if not means.cameras.get(link.name).enabled:
        raise PrivFaceError(ErrorCode.CAMERA_DISABLED, "Recognition is switched off for this camera.")
    means.recognition.require_pictures(link.name)
    source = _make_link_source(means, link, question.card(link.name, FrameSource.LINK, means.clock()))
    return link.name, means.intake.stream(source, claimed=None, default=question.privacy)


def _make_link_source(means: Means, link: WebcamLink | AddressLink, card: FrameCard) -> Source:
    settings = means.settings
    until = {"card": card, "seconds": settings.links.seconds, "clock": means.clock}
    if isinstance(link, WebcamLink):
        return make_source(means.registry, "webcam", index=link.index, **until)
    return make_source(
        means.registry,
        "link",
        address=link.address,
        peer=link.peer,
        max_bytes=settings.pipeline.picture_megabytes * MEGABYTE,
        max_pixels=settings.pipeline.picture_megapixels * MEGAPIXEL,
        **until,
    )


async def look_at_file(means: Means, data: bytes, *, video: bool, card: FrameCard, question: Question) -> Frames:
    """Every frame of a video, or the one picture."""
    if not video:
        timed = await means.recognition.identify(data, default=question.privacy, camera=card.camera)
        yield Seen(timed=timed, card=replace(card, more=False))
        return
    source = make_video(means.registry, means.settings.pipeline, data, card)
    async with aclosing(means.intake.stream(source, claimed=None, default=question.privacy)) as frames:
        async for seen in frames:
            yield seen


def begin_sightings(means: Means, file: str, *, detailed: bool = False) -> Sightings:
    """Where what is seen in ``file`` is gathered."""
    return Sightings(
        file=file,
        database_path=means.settings.sifis.database_path,
        detailed=detailed,
        snapshot=means.index.snapshot,
    )


async def look(
    means: Means,
    frames: Frames,
    sightings: Sightings,
    *,
    live: bool,
    each: Callable[[int], None] = lambda _frame: None,
) -> None:
    """Gather all that is seen; where it breaks off, what was seen until then. ``live``: the frames show what is before
    a camera now; ``each``: called with the number of every frame that was gathered.

    Raises:
        PrivFaceError: what reading the frames and recognition raise.
    """
    recording = means.intake.record(live=live)
    async with aclosing(frames):
        try:
            async for seen in frames:
                sightings.take(recording.take(seen))
                each(seen.frame)
        finally:
            sightings.follow(recording.end()[0])
