"""Carries out the requests that come from the distributed hash table, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from privface_backend.audit.acts import Doing
from privface_backend.audit.entries import Act, By
from privface_backend.dht.files import read_file
from privface_backend.dht.messages import Answering, DhtRequest
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.links import LinkPolicy
from privface_backend.pipeline.pictures import is_video
from privface_backend.pipeline.sources import MEGABYTE
from privface_backend.protocol import ErrorCode, FrameSource
from privface_backend.sifis.looking import Frames, Means, anonymizer_of, begin_sightings, look, look_at_file, open_link
from privface_backend.sifis.questions import Question, camera_name, check_file_name, read_question
from privface_backend.sifis.sightings import Sightings

_LOGGER: Final = logging.getLogger(__name__)
_REMEMBERED: Final = 1024
_LONGEST_SHOWN: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """Frames that are about to be looked at. ``shown``: what they are of, without secrets."""

    shown: str
    frames: Frames
    live: bool


class Send(Protocol):
    """Sends a message; ``people``: the ids of those whom it names."""

    def __call__(self, text: str, /, *, people: frozenset[str] = ...) -> None: ...


class DhtRequests:
    """Takes requests in and answers them through ``send``. One that comes again, as when a node tells what it has kept,
    is not carried out again."""

    def __init__(self, means: Means, policy: LinkPolicy, send: Send) -> None:
        self._means: Final = means
        self._policy: Final = policy
        self._send: Final = send
        self._waiting: Final[deque[DhtRequest]] = deque()
        self._known: Final[deque[tuple[str, str]]] = deque(maxlen=_REMEMBERED)
        self._wake: Final = asyncio.Event()

    def take(self, request: DhtRequest) -> None:
        """Take a request in, to be carried out when those before it are done; too many are refused."""
        key = (request.requestor_id, request.request_id)
        if request.request_id and key in self._known:
            return
        if len(self._waiting) >= self._means.settings.dht.waiting:
            error = PrivFaceError(ErrorCode.OVERLOADED, "Too many requests wait already.")
            self._send(_answering(request).refusal(error, {}, 0, 0))
            return
        self._known.append(key)
        self._waiting.append(request)
        self._wake.set()

    async def run(self) -> None:
        """Carry out what waits, until cancelled."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            await self._answer(self._waiting.popleft())

    async def _answer(self, request: DhtRequest) -> None:
        sightings = begin_sightings(self._means, "")
        answering = _answering(request)
        try:
            async with self._means.audit.act(_doing(request)):
                question = self._read(request)
                opened = await self._open(request, question)
                answering = _answering(request, opened.shown)
                await self._look(answering, opened, sightings)
        except PrivFaceError as error:
            _LOGGER.info("A request from the DHT was not carried out: %s", error.code)
            text = answering.refusal(error, sightings.labels(), sightings.frames_total, sightings.unknown)
        except Exception as error:  # noqa: BLE001  # the next request must not suffer; its text could quote anything
            _LOGGER.error("A request from the DHT failed: %s", type(error).__name__)  # noqa: TRY400  # as above
            internal = PrivFaceError(ErrorCode.INTERNAL, "Something went wrong inside PrivFace.")
            text = answering.refusal(internal, {}, sightings.frames_total, 0)
        else:
            text = answering.result(sightings.labels(), sightings.frames_total, sightings.unknown)
        self._send(text, people=sightings.people())

    def _read(self, request: DhtRequest) -> Question:
        return read_question(
            anonymizer_of(self._means),
            privacy_parameter=request.privacy_parameter,
            requestor_id=request.requestor_id,
            requestor_type=request.requestor_type,
            request_id=request.request_id,
        )

    async def _open(self, request: DhtRequest, question: Question) -> _Opened:
        if request.camera:
            shown, frames = await open_link(self._means, self._policy, request.target, question)
            return _Opened(shown=shown, frames=frames, live=True)
        name, settings = check_file_name(request.target), self._means.settings
        card = question.card(camera_name(name), FrameSource.UPLOAD, self._means.clock())
        self._means.recognition.require_pictures(card.camera)
        limit = max(settings.pipeline.video_megabytes, settings.pipeline.picture_megabytes) * MEGABYTE
        data = await asyncio.to_thread(read_file, settings.dht.folder, name, limit)
        frames = look_at_file(self._means, data, video=is_video(data, name), card=card, question=question)
        return _Opened(shown=name, frames=frames, live=False)

    async def _look(self, answering: Answering, opened: _Opened, sightings: Sightings) -> None:
        every = self._means.settings.dht.frames_every

        def tell(frame: int) -> None:
            if frame % every == 0:
                text = answering.frame_result(frame, sightings.take_recent_labels(), sightings.unknown)
                self._send(text, people=sightings.people())

        await look(self._means, opened.frames, sightings, live=opened.live, each=tell)


def _doing(request: DhtRequest) -> Doing:
    return Doing(
        act=Act.IDENTIFY,
        operation="dht camera" if request.camera else "dht file",
        by=By.DHT,
        requestor_id=request.requestor_id,
        requestor_type=request.requestor_type,
        request_id=request.request_id,
        names_files=not request.camera,
    )


def _answering(request: DhtRequest, shown: str | None = None) -> Answering:
    """``shown``: none where it was not opened: a file's name is shown as it was given, a link could hold a password."""
    given = "" if request.camera else request.target[:_LONGEST_SHOWN]
    return Answering(request=request, shown=given if shown is None else shown)
