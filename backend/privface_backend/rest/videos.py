"""Videos that are looked at while nobody waits: begun, asked about, cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.auditing import told_at_the_end
from privface_backend.rest.documents import read_number
from privface_backend.rest.identifications import (
    VideoProgress,
    Wish,
    check_announced_camera,
    look_through,
    read_wanted_card,
)
from privface_backend.rest.identify import CARD_PARAMETER, FRAME_ERRORS, WISH_PARAMETERS, upload_body
from privface_backend.rest.operations import API, Answer, Operation, Parameter, answer_json, component
from privface_backend.rest.services import SERVICES
from privface_backend.rest.uploads import read_upload

_LOGGER: Final = logging.getLogger(__name__)

Looks = AsyncGenerator[dict[str, object] | None, None]


class VideoState(StrEnum):
    """How a video stands."""

    WAITING = "waiting"
    LOOKING = "looking"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRules:
    """What is held: videos that aren't done; done ones, and for how many seconds; frames of each that are told of, and
    how many of them in one answer."""

    unfinished: int = 4
    finished: int = 8
    seconds: float = 600.0
    frames: int = 5000
    page: int = 200


@dataclass(slots=True, kw_only=True)
class _Video:
    """``told``: what is said about each frame, as JSON; ``left_out``: how many more there were."""

    id: str
    progress: VideoProgress
    state: VideoState = VideoState.WAITING
    told: list[bytes] = field(default_factory=list, repr=False)
    left_out: int = 0
    error: PrivFaceError | None = None
    task: asyncio.Task[None] | None = None

    def to_dict(self, after: int, most: int) -> dict[str, object]:
        """The video as it goes out, with at most so many frames after the first ones."""
        page = self.told[after : after + most]
        return {
            "id": self.id,
            "state": self.state.value,
            "progress": self.progress.to_dict(),
            "frames": [json.loads(line) for line in page],
            "next": after + len(page),
            "left_out": self.left_out,
            "error": None if self.error is None else self.error.to_dict(),
        }


class Videos:
    """The videos of one service; one at a time is looked at, so that cameras go on."""

    def __init__(self, rules: VideoRules | None = None) -> None:
        self._rules: Final = rules or VideoRules()
        self._videos: Final[dict[str, _Video]] = {}
        self._turn: Final = asyncio.Lock()

    def begin(self, looks: Looks, progress: VideoProgress) -> str:
        """Take a video in; ``check_room`` comes before. Its id."""
        video = _Video(id=uuid4().hex, progress=progress)
        self._videos[video.id] = video
        video.task = asyncio.create_task(self._look(video, looks), name=f"video {video.id}")
        return video.id

    def check_room(self) -> None:
        """Refuse a further one, before it is read.

        Raises:
            PrivFaceError: ``overloaded``.
        """
        unfinished = sum(video.task is not None for video in self._videos.values())
        if unfinished >= self._rules.unfinished:
            raise PrivFaceError(
                ErrorCode.OVERLOADED,
                "Too many videos are waiting.",
                allowed=f"at most {self._rules.unfinished} that aren't done",
            )

    def describe(self, video_id: str, after: int) -> dict[str, object]:
        """The video as it goes out, with a page of its frames after the first ones.

        Raises:
            PrivFaceError: ``not_found``.
        """
        return self._get(video_id).to_dict(after, self._rules.page)

    def _get(self, video_id: str) -> _Video:
        video = self._videos.get(video_id)
        if video is None:
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such video, or no longer.")
        return video

    async def remove(self, video_id: str) -> None:
        """Stop looking at it, if it isn't done, and forget it.

        Raises:
            PrivFaceError: ``not_found``.
        """
        video = self._get(video_id)
        del self._videos[video_id]
        await _cancel(video)

    async def close(self, _app: web.Application) -> None:
        """Stop everything: the backend is stopping."""
        await asyncio.gather(*(_cancel(video) for video in self._videos.values()))
        self._videos.clear()

    async def _look(self, video: _Video, looks: Looks) -> None:
        try:
            async with contextlib.aclosing(looks), self._turn:
                video.state = VideoState.LOOKING
                async for document in looks:
                    if document is not None:
                        self._tell(video, document)
            video.state = VideoState.DONE
        except PrivFaceError as error:
            video.state, video.error = VideoState.FAILED, error
        except Exception as error:  # noqa: BLE001  # the last resort: who asks gets a code, the log the kind
            _LOGGER.error("A video could not be looked at: %s", type(error).__name__)  # noqa: TRY400  # its text may quote
            video.state = VideoState.FAILED
            video.error = PrivFaceError(ErrorCode.INTERNAL, "Something went wrong inside PrivFace.")
        finally:
            video.task = None
            self._forget_later(video)

    def _tell(self, video: _Video, document: dict[str, object]) -> None:
        if len(video.told) < self._rules.frames:
            video.told.append(json.dumps(document).encode())
        else:
            video.left_out += 1

    def _forget_later(self, video: _Video) -> None:
        asyncio.get_running_loop().call_later(self._rules.seconds, self._videos.pop, video.id, None)
        finished = [one.id for one in self._videos.values() if one.task is None]
        for video_id in finished[: -self._rules.finished]:
            del self._videos[video_id]


async def _cancel(video: _Video) -> None:
    if video.task is not None:
        video.task.cancel()
        await asyncio.wait([video.task])


VIDEOS: Final = web.AppKey("videos", Videos)


async def begin_video(request: web.Request) -> web.Response:
    services, wish = request.app[SERVICES], Wish.read(request)
    videos = request.app[VIDEOS]
    videos.check_room()
    check_announced_camera(request)
    upload = await read_upload(request)
    file = upload.one_file()
    if not file.is_video:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "That is no video.", allowed="a video; a picture goes to POST /api/v1/identify"
        )
    card = read_wanted_card(request, upload, wish)
    # Others may have come while this one was being read.
    videos.check_room()
    progress = VideoProgress()
    looks = look_through(services, file, card, wish, progress, patient=True)
    video_id = videos.begin(told_at_the_end(request, looks), progress)
    # Relative to this address, so that it holds behind a proxy, too.
    return web.json_response(videos.describe(video_id, 0), status=202, headers={"Location": f"videos/{video_id}"})


async def get_video(request: web.Request) -> web.Response:
    after = read_number(request.query, "after", least=0, most=1_000_000_000) or 0
    return web.json_response(request.app[VIDEOS].describe(request.match_info["video"], after))


async def cancel_video(request: web.Request) -> web.Response:
    await request.app[VIDEOS].remove(request.match_info["video"])
    return web.Response(status=204)


_ID: Final = Parameter(name="video", place="path", description="The video's id.")
_VIDEO: Final[Any] = component("Video")

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{API}/videos",
        handler=begin_video,
        tag="Recognition",
        summary="Begin to look at a video",
        description=(
            "Answers at once with the id to ask about; nothing of the video is written to disk. One video is looked at "
            "at a time, at most four wait or are looked at. What was found stays for ten minutes after the end, of the "
            "last eight videos at most."
        ),
        scope=Scope.IDENTIFY,
        parameters=(*WISH_PARAMETERS, CARD_PARAMETER),
        body=upload_body("video/*"),
        answers={202: answer_json(_VIDEO, "It waits for its turn.")},
        errors=(*FRAME_ERRORS, ErrorCode.ENGINE_MISSING),
    ),
    Operation(
        method="GET",
        path=f"{API}/videos/{{video}}",
        handler=get_video,
        tag="Recognition",
        summary="How far a video has come, and what was found",
        description=(
            "The frames are those with a face, as they are found, 200 at most in one answer: ask for further ones with "
            "after, which next holds. All has been told when the state is done or failed and no frames come. Whoever "
            "has the id and a token may ask."
        ),
        scope=Scope.IDENTIFY,
        parameters=(
            _ID,
            Parameter(
                name="after",
                description="How many of the frames to leave out, at the beginning.",
                schema={"type": "integer", "minimum": 0, "default": 0},
            ),
        ),
        answers={200: answer_json(_VIDEO, "The video.")},
        errors=(ErrorCode.NOT_FOUND, ErrorCode.BAD_REQUEST),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/videos/{{video}}",
        handler=cancel_video,
        tag="Recognition",
        summary="Stop looking at a video, and forget what was found",
        description="It is stopped when this is answered. Events that went out stay.",
        scope=Scope.IDENTIFY,
        parameters=(_ID,),
        answers={204: Answer(description="It is stopped and forgotten.")},
        errors=(ErrorCode.NOT_FOUND,),
    ),
)
