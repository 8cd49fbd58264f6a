"""The frames of a video, held in memory or in a file: every one, in order, upright. Nothing is written to disk."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final, cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.handover import hand_each
from privface_backend.engines.sources.options import take_limit, take_option
from privface_backend.engines.sources.upright import upright
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext, VideoLength
from privface_backend.protocol import ErrorCode, FrameCard

# Containers that hold all they play. Playlists (HLS, DASH, concat) name files and addresses that would be opened.
CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,h264,hevc,m4v"
_USUAL_RATE: Final = 25
_MOST_FRAMES_A_SECOND: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What is taken in: ``bytes`` of the file, ``seconds`` of video (each None: any), ``pixels`` of one frame."""

    bytes: int | None = 64 * 1024 * 1024
    seconds: float | None = 600.0
    pixels: int = 25_000_000


def _ignore_length(_length: VideoLength) -> None:
    """For whom it makes no difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """A video's frames. ``data``: the file's bytes, or the path of the file, which is read as it goes along. ``card``
    is the first frame's; a later one's ``captured_at`` has the frame's time added."""

    data: bytes | Path = field(repr=False)
    card: FrameCard = field(repr=False)
    limits: VideoLimits
    on_length: Callable[[VideoLength], None] = field(default=_ignore_length, repr=False)

    @property
    def name(self) -> str:
        return "video"

    def frames(self) -> AsyncGenerator[Frame, None]:
        """Every frame.

        Raises:
            PrivFaceError: ``video_unreadable``, ``video_without_frames``, ``body_too_large`` (bytes or seconds),
                ``picture_too_large``, ``not_found``.
        """
        return hand_each(self._read, "privface-video")

    def _read(self) -> Generator[Frame, None, None]:
        with closing(self._open_file()) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if self.limits.bytes is not None and size > self.limits.bytes:
                raise _too_large("The video's file is too large.", f"at most {self.limits.bytes} bytes")
            with _open(file) as container:
                stream = _video_stream(container)
                self._check_header(container, stream)
                self.on_length(_length(container, stream))
                yield from self._decode(container, stream)

    def _open_file(self) -> IO[bytes]:
        if isinstance(self.data, bytes):
            return io.BytesIO(self.data)
        try:
            file = self.data.open("rb")
        except FileNotFoundError:
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such file.") from None
        except OSError as error:
            raise PrivFaceError(ErrorCode.VIDEO_UNREADABLE, f"The file can't be read: {error.strerror}.") from None
        if file.seekable():
            return file
        file.close()
        raise _unreadable()

    def _check_header(self, container: InputContainer, stream: VideoStream) -> None:
        for seconds in _seconds(container, stream):
            self._check_seconds(seconds)
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
        if self.limits.seconds is not None and seconds > self.limits.seconds:
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


def _open(file: IO[bytes]) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
    try:
        return av.open(file, mode="r", container_options=options, io_open=_refuse_to_open)
    except (av.FFmpegError, EOFError, OSError, ValueError):
        pass
    raise _unreadable()


def _video_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        # PyAV gives none for what FFmpeg has no decoder for, whatever its types say.
        if getattr(stream, "codec_context", None) is None:
            raise _unreadable()
        return stream
    raise _without_frames()


def _seconds(container: InputContainer, stream: VideoStream) -> list[float]:
    """How long a video is, as its file says in one place or two."""
    found = [] if container.duration is None else [container.duration / av.time_base]
    if stream.duration is not None and stream.time_base is not None:
        found.append(float(stream.duration * stream.time_base))
    return found


def _length(container: InputContainer, stream: VideoStream) -> VideoLength:
    seconds = next((one for one in reversed(_seconds(container, stream)) if one > 0), None)
    frames = stream.frames
    if frames <= 0 and seconds is not None and stream.average_rate:
        frames = round(seconds * stream.average_rate)
    return VideoLength(frames=frames if frames > 0 else None, seconds=seconds)


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

    Options: ``data`` (bytes, the file) or ``path`` (Path: a file that the owner named), ``card`` (FrameCard of the
    first frame), ``max_bytes``, ``max_seconds`` (None: any), ``max_pixels`` (of one frame; whole numbers),
    ``on_length`` (takes a VideoLength).
    """
    usual, options = VideoLimits(), context.options
    on_length = options.get("on_length", _ignore_length)
    if not callable(on_length):
        raise TypeError("the source's option on_length must take lengths")
    return VideoSource(
        data=take_option(context, "path", Path) if "path" in options else take_option(context, "data", bytes),
        card=take_option(context, "card", FrameCard),
        limits=VideoLimits(
            bytes=take_limit(context, "max_bytes", usual.bytes),
            seconds=take_limit(context, "max_seconds", usual.seconds),
            pixels=take_option(context, "max_pixels", int, usual.pixels),
        ),
        on_length=cast("Callable[[VideoLength], None]", on_length),
    )
