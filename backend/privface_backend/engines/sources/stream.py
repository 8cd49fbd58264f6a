"""A camera's stream as FFmpeg reads it: packets in, decoded pictures out. Runs on a thread of its own.

An address can hold a password: it is in no log line, ``repr`` or error. Nothing but that address is reached: the
connection goes to the peer that was checked, redirects are not followed, playlists are not played.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import av
import yarl
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from privface_backend.engines.sources.decoding import Decoding
from privface_backend.errors import PrivFaceError
from privface_backend.outages import explain
from privface_backend.protocol import ErrorCode

# What a camera sends: streams that hold all they play.
FORMATS: Final = "rtsp,rtp,mpjpeg,mjpeg,jpeg_pipe,mpegts,mov,mp4,matroska,webm,flv,h264,hevc,avi,mpeg,m4v"
# By scheme, what the stream's own connection is made of.
PROTOCOLS: Final = {
    "rtsp": "rtsp,rtp,tcp",
    "rtsps": "rtsp,rtsps,rtp,tcp,tls",
    "http": "http,tcp",
    "https": "https,http,tcp,tls",
}
# How many times the usual patience the first picture gets: it may have to wait for the camera's next key frame.
_FIRST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStream:
    """One connection. ``peer``: the IP address to connect to instead of asking for the host's; empty: ask."""

    address: str = field(repr=False)
    peer: str
    connect_seconds: float
    read_seconds: float
    max_pixels: int
    decoding: Decoding = field(repr=False)

    def read(self) -> Generator[VideoFrame, None, None]:
        """The decoded pictures, until the camera ends it.

        Raises:
            PrivFaceError: ``link_unreachable``.
        """
        with self._open() as container:
            stream = _video_stream(container)
            decoder = self.decoding.open(stream, self.max_pixels)
            with closing(_packets(container, stream)) as packets:
                yield from self._decode_all(packets, decoder)

    def _open(self) -> InputContainer:
        address, options = stream_options(self.address, self.peer, self.read_seconds)
        try:
            return av.open(
                address, mode="r", container_options=options, timeout=(self.connect_seconds, self.read_seconds)
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = _reason(error)
        # Outside of the block: the other error's text has the address in it.
        raise unreachable(f"The camera can't be reached: {reason}.")

    def _decode_all(
        self, packets: Generator[Any, None, None], decoder: VideoCodecContext
    ) -> Generator[VideoFrame, None, None]:
        came_at, patience = time.monotonic(), _FIRST * self.read_seconds
        for packet in packets:
            for picture in _decode(packet, decoder):
                if picture.width * picture.height > self.max_pixels:
                    raise unreachable("The camera's frames have too many pixels.")
                yield picture
                came_at, patience = time.monotonic(), self.read_seconds
            if time.monotonic() - came_at > patience:
                if patience > self.read_seconds:
                    self.decoding.no_frame_came()
                raise unreachable("The camera sends no picture that can be decoded.")


def _decode(packet: Any, decoder: VideoCodecContext) -> list[VideoFrame]:
    try:
        return list(decoder.decode(packet))
    except (av.FFmpegError, ValueError):
        # Before the first key frame nothing can be decoded; a lost packet damages the frames up to the next.
        return []


def _video_stream(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise unreachable("The camera's stream holds no video.")
    stream = container.streams.video[0]
    # PyAV gives none for what FFmpeg has no decoder for, whatever its types say.
    if getattr(stream, "codec_context", None) is None:
        raise unreachable("The camera's video is in a format that can't be decoded.")
    return stream


def stream_options(address: str, peer: str, read_seconds: float) -> tuple[str, dict[str, str]]:
    """The address to give to FFmpeg, with the host replaced by ``peer`` where that is possible, and its options."""
    url = yarl.URL(address, encoded=True)
    options = {
        "protocol_whitelist": PROTOCOLS[url.scheme],
        "format_whitelist": FORMATS,
        "fflags": "nobuffer",
        "flags": "low_delay",
        # What the stream is made of is known from little; its frame rate, which takes long, isn't asked for.
        "fpsprobesize": "0",
        "analyzeduration": "1000000",
    }
    if url.scheme in {"rtsp", "rtsps"}:
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    else:
        # An empty proxy keeps the one of the environment out.
        options |= {"max_redirects": "0", "http_proxy": "", "rw_timeout": str(round(read_seconds * 1_000_000))}
    if url.scheme == "https":
        options["tls_verify"] = "1"
        if authorities := ssl.get_default_verify_paths().cafile:
            options["ca_file"] = authorities
    # A certificate, or its server's choice of one, needs the name.
    if peer and url.scheme in {"rtsp", "http"}:
        if url.scheme == "http":
            options["headers"] = f"Host: {url.host_port_subcomponent}\r\n"
        address = str(_with_host(url, peer))
    return address, options


def _with_host(url: yarl.URL, host: str) -> yarl.URL:
    bracketed = f"[{host}]" if ":" in host else host
    user = "" if url.raw_user is None else url.raw_user
    password = "" if url.raw_password is None else f":{url.raw_password}"
    login = f"{user}{password}@" if user or password else ""
    port = "" if url.explicit_port is None else f":{url.explicit_port}"
    return yarl.URL(f"{url.scheme}://{login}{bracketed}{port}{url.raw_path_qs}", encoded=True)


def _packets(container: InputContainer, stream: VideoStream) -> Generator[Any, None, None]:
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = _reason(error)
    else:
        return
    raise unreachable(f"The camera's stream broke: {reason}.")


def _reason(error: Exception) -> str:
    """What went wrong, in words that hold no address."""
    if isinstance(error, av.error.ExitError):
        return "nothing came in time"
    named = getattr(error, "strerror", None)
    return named.lower() if isinstance(named, str) and "//" not in named else explain(error)


def unreachable(message: str) -> PrivFaceError:
    return PrivFaceError(ErrorCode.LINK_UNREACHABLE, message)
