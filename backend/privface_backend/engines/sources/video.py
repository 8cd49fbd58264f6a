"""The frames of a video that is held in memory: every one, in order, upright. Nothing is written to disk."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.handover import hand_each
from privface_backend.engines.sources.options import take_option
from privface_backend.engines.sources.upright import upright
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode, FrameCard

# Containers that hold all they play. Playlists (HLS, DASH, concat) name files and addresses that would be opened.
CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,h264,hevc,m4v"
_USUAL_RATE: Final = 25
_MOST_FRAMES_A_SECOND: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What is taken in: ``bytes`` of the file, ``seconds`` of video, ``pixels`` of one frame."""

    bytes: int = 64 * 1024 * 1024
    seconds: float = 600.0
    pixels: int = 25_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """A video's frames. ``card`` is the first frame's; a later one's ``captured_at`` has the frame's time added."""

    data: bytes = field(repr=False)
    card: FrameCard = field(repr=False)
    limits: VideoLimits

    @property
    def name(self) -> str:
        return "video"

    def frames(self) -> AsyncGenerator[Frame, None]:
        """Every frame.

        Raises:
            PrivFaceError: ``video_unreadable``, ``video_without_frames``, ``body_too_large`` (bytes or seconds),
                ``picture_too_large``.
        """
        return hand_each(self._read, "privface-video")

    def _read(self) -> Generator[Frame, None, None]:
        if len(self.data) > self.limits.bytes:
            raise _too_large("The video's file is too large.", f"at most {self.limits.bytes} bytes")
        with _open(self.data) as container:
            stream = _video_stream(container)
            self._check_header(container, stream)
            yield from self._decode(container, stream)

    def _check_header(self, container: InputContainer, stream: VideoStream) -> None:
        if container.duration is not None:
            self._check_seconds(container.duration / av.time_base)
        if stream.duration is not None and stream.time_base is not None:
            self._check_seconds(float(stream.duration * stream.time_base))
        self._check_pixels(stream.codec_context.width, stream.codec_context.height)
        # Holds for a picture's true size too, which is known once its data is read: before memory is taken for it.
        stream.codec_context.options = {"max_pixels": str(self.limits.pixels)}

    def _decode(self, container: InputContainer, stream: VideoStream) -> Generator[Frame, None, None]:
        index, damaged = 0, False
        start: float | None = None
        rate = float(stream.average_rate or _USUAL_RATE)
        for packet in container.demux(stream):
            try:
                decoded: list[Any] = list(packet.decode())
            except av.FFmpegError:
                # Like a player: what can't be decoded is left out.
                damaged = True
                continue
            for picture in decoded:
                if start is None and picture.pts is not None:
                    start = picture.time
                # A raw stream has no times: its frames follow each other at its rate.
                seconds = index / rate if picture.pts is None else max(0.0, picture.time - (start or 0.0))
                yield self._frame(picture, index, seconds)
                index += 1
        if index == 0:
            raise _unreadable() if damaged else _without_frames()

    def _frame(self, picture: VideoFrame, index: int, seconds: float) -> Frame:
        self._check_pixels(picture.width, picture.height)
        # False times are bounded by the number of frames.
        self._check_seconds(max(seconds, index / _MOST_FRAMES_A_SECOND))
        card = replace(self.card, captured_at=self.card.captured_at + timedelta(seconds=seconds))
        return Frame(pixels=upright(picture), card=card, index=index)

    def _check_seconds(self, seconds: float) -> None:
        if seconds > self.limits.seconds:
            raise _too_large("The video is too long.", f"at most {self.limits.seconds:g} seconds")

    def _check_pixels(self, width: int, height: int) -> None:
        if width * height > self.limits.pixels:
            raise PrivFaceError(
                ErrorCode.PICTURE_TOO_LARGE,
                "The video's frames have too many pixels.",
                allowed=f"at most {self.limits.pixels} pixels",
                details={"width": width, "height": height},
            )


def _refuse_to_open(*_arguments: object) -> io.BytesIO:
    raise PermissionError("a video names no other file")


def _open(data: bytes) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
    try:
        return av.open(io.BytesIO(data), mode="r", container_options=options, io_open=_refuse_to_open)
    except (av.FFmpegError, EOFError, OSError, ValueError):
        pass
    raise _unreadable()


def _video_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise _without_frames()


def _unreadable() -> PrivFaceError:
    return PrivFaceError(
        ErrorCode.VIDEO_UNREADABLE, "That is no video that can be read.", allowed="MP4, MOV, MKV, WebM, AVI, MPEG"
    )


def _without_frames() -> PrivFaceError:
    return PrivFaceError(ErrorCode.VIDEO_WITHOUT_FRAMES, "There is no frame in the video.")


def _too_large(message: str, allowed: str) -> PrivFaceError:
    return PrivFaceError(ErrorCode.BODY_TOO_LARGE, message, allowed=allowed)


def create(context: EngineContext) -> VideoSource:
    """Make the source.

    Options: ``data`` (bytes, the file), ``card`` (FrameCard of the first frame), ``max_bytes``, ``max_seconds``,
    ``max_pixels`` (of one frame; whole numbers).
    """
    usual = VideoLimits()
    return VideoSource(
        data=take_option(context, "data", bytes),
        card=take_option(context, "card", FrameCard),
        limits=VideoLimits(
            bytes=take_option(context, "max_bytes", int, usual.bytes),
            seconds=take_option(context, "max_seconds", int, int(usual.seconds)),
            pixels=take_option(context, "max_pixels", int, usual.pixels),
        ),
    )
