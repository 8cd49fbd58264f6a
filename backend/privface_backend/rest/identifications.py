"""What is said about pictures and videos to whoever sent them: how they want it, and how far it has come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.recognition import Recognition, Timed
from privface_backend.pipeline.recording import Seen
from privface_backend.pipeline.sources import make_video
from privface_backend.plugins.ports import VideoLength
from privface_backend.protocol import ErrorCode, Event, FrameCard, Privacy
from privface_backend.rest.documents import read_card, read_flag
from privface_backend.rest.middleware import request_id
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import CARD_HEADER, Upload, UploadedFile

_CAMERA: Final = "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the query asks for. ``privacy``: how to anonymize what came clear; None: not said. ``progress``: lines that
    say how far it has come."""

    privacy: Privacy | None
    detail: bool
    publish: bool
    progress: bool = False

    @classmethod
    def read(cls, request: web.Request) -> Wish:
        query = request.query
        return cls(
            privacy=read_privacy(request.app[SERVICES].recognition, query.get("method"), query.get("privacy")),
            detail=read_flag(query, "detail"),
            publish=read_flag(query, "publish"),
            progress=read_flag(query, "progress"),
        )


def read_privacy(recognition: Recognition, method: str | None, parameter: str | None) -> Privacy | None:
    """How to anonymize, from the texts of a request. A method alone gets the strength of the default; None: neither.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``, saying what is allowed.
    """
    if method is None and parameter is None:
        return None
    default, engines = recognition.rules.default_privacy, recognition.process.engines
    anonymizer = engines.anonymizer(default.method if method is None else method)
    if parameter is None:
        sigma = engines.anonymizer(default.method).sigma(default.parameter)
        return replace(default, method=anonymizer.name, parameter=anonymizer.parameter_for(sigma))
    try:
        number = int(parameter)
    except ValueError:
        raise PrivFaceError(
            ErrorCode.BAD_PRIVACY_PARAMETER,
            "The privacy parameter is no whole number.",
            allowed=anonymizer.allowed,
        ) from None
    anonymizer.validate(number)
    return replace(default, method=anonymizer.name, parameter=number)


def describe(services: Services, timed: Timed, wish: Wish, *, file: str | None, frame: int = 0) -> dict[str, object]:
    document: dict[str, object] = timed.judgement.to_identification(file, frame, timed.latency_ms).to_dict()
    if wish.detail:
        document["detail"] = timed.judgement.detail(services.index.snapshot.names)
    return document


def event_ids(events: tuple[Event, ...]) -> list[str]:
    return [event.event_id for event in events]


def visit_ids(updates: tuple[VisitUpdate, ...]) -> list[str]:
    return [update.visit_id for update in updates]


def read_wanted_card(request: web.Request, upload: Upload, wish: Wish) -> FrameCard:
    """The card of the picture or of the video's first frame.

    Raises:
        PrivFaceError: ``bad_frame_card``; ``bad_request``: the anonymization was given twice; ``sealed``: so is the
            camera that it names.
    """
    card = _read_card(request, upload.value("card"))
    if card.privacy is not None and wish.privacy is not None:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "The anonymization was given twice.",
            allowed="method and privacy in the query, or privacy in the frame card",
        )
    return card


def check_announced_camera(request: web.Request) -> None:
    """Refuse a file before it is read where the card beside it, in the headers, names a sealed camera.

    Raises:
        PrivFaceError: ``sealed``, ``bad_frame_card``.
    """
    if (text := request.headers.get(CARD_HEADER)) is not None:
        _read_card(request, text)


def _read_card(request: web.Request, text: str | None) -> FrameCard:
    services = request.app[SERVICES]
    card = read_card(text, camera=_CAMERA, now=services.clock(), request_id=request_id(request))
    services.recognition.require_pictures(card.camera)
    return card


@dataclass(slots=True)
class VideoProgress:
    """How far a video has come: frames looked at, their time in the video in seconds, and how long it says it is."""

    frames: int = 0
    seconds: float = 0.0
    length: VideoLength = field(default_factory=lambda: VideoLength(frames=None, seconds=None))

    def take_length(self, length: VideoLength) -> None:
        self.length = length

    @property
    def percent(self) -> float | None:
        for done, whole in ((self.frames, self.length.frames), (self.seconds, self.length.seconds)):
            if whole:
                return min(100.0, round(100.0 * done / whole, 1))
        return None

    def to_dict(self) -> dict[str, object]:
        """``of`` and ``of_seconds``: as the file says, which may be wrong; None where it doesn't."""
        return {
            "frames": self.frames,
            "of": self.length.frames,
            "seconds": round(self.seconds, 3),
            "of_seconds": None if self.length.seconds is None else round(self.length.seconds, 3),
            "percent": self.percent,
        }


async def look_through(
    services: Services,
    file: UploadedFile,
    card: FrameCard,
    wish: Wish,
    progress: VideoProgress,
    *,
    patient: bool = False,
) -> AsyncGenerator[dict[str, object] | None, None]:
    """A video's frames one by one: what is said about each that has a face or made an event, None about another. The
    last frame comes once more where nothing was said at all, or where its end decided something.

    ``patient``: wait while the lane is full, rather than end.
    """
    default = wish.privacy or services.recognition.rules.default_privacy
    source = make_video(services.registry, services.settings.pipeline, file.data, card, progress.take_length)
    recording = services.intake.record() if wish.publish else None
    last: Seen | None = None
    said = False
    stream = services.intake.stream(source, claimed=card.privacy, default=default, patient=patient)
    async with aclosing(stream) as frames:
        async for seen in frames:
            last = seen if recording is None else recording.take(seen)
            progress.frames += 1
            progress.seconds = (seen.card.captured_at - card.captured_at).total_seconds()
            if last.timed.judgement.faces or last.events:
                said = True
                yield _frame_document(services, last, wish, file.name)
            else:
                yield None
    if last is not None and recording is not None:
        _, events = recording.end()
        last = replace(last, events=events)
    if last is not None and (not said or (recording is not None and last.events)):
        yield _frame_document(services, last, wish, file.name)


def _frame_document(services: Services, seen: Seen, wish: Wish, file: str | None) -> dict[str, object]:
    document = describe(services, seen.timed, wish, file=file, frame=seen.frame)
    if wish.publish:
        document["events"] = event_ids(seen.events)
    return document
