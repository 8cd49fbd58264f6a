"""A camera's address: RTSP, MJPEG (or another stream) over HTTP, or a snapshot that is fetched again and again.

The newest frame each time. An address can hold a password: it is in no log line, ``repr`` or error. Which
addresses may be opened is decided before (``pipeline.links``); here nothing else is reached: the connection goes
to the address that was checked, redirects are not followed, playlists are not played.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import av
import yarl
from av.container import InputContainer
from av.video.stream import VideoStream

from privface_backend.domain.frames import Frame, Pixels
from privface_backend.engines.sources.handover import hand_newest
from privface_backend.engines.sources.options import take_clock, take_option
from privface_backend.engines.sources.snapshots import Snapshots, open_snapshots
from privface_backend.engines.sources.upright import upright
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode, FrameCard

_LOGGER = logging.getLogger(__name__)

# What a camera sends: streams that hold all they play.
FORMATS: Final = "rtsp,rtp,mpjpeg,mjpeg,jpeg_pipe,mpegts,mov,mp4,matroska,webm,flv,h264,hevc,avi,mpeg,m4v"
# By scheme, what the stream's own connection is made of.
PROTOCOLS: Final = {
    "rtsp": "rtsp,rtp,tcp",
    "rtsps": "rtsp,rtsps,rtp,tcp,tls",
    "http": "http,tcp",
    "https": "https,http,tcp,tls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTimes:
    """Seconds: for connecting, between two frames, in all; and from one snapshot to the next."""

    connect: float = 10.0
    read: float = 10.0
    total: float = 30.0
    snapshot: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSource:
    """A camera link's frames; a frame's ``captured_at`` is when it came.

    ``peer``: the IP address to connect to instead of asking for the host's again; empty: ask.
    """

    address: str = field(repr=False)
    card: FrameCard = field(repr=False)
    peer: str = ""
    times: LinkTimes = field(default_factory=LinkTimes)
    max_pixels: int = 25_000_000
    max_bytes: int = 20 * 1024 * 1024
    clock: Callable[[], datetime]

    @property
    def name(self) -> str:
        return "link"

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """The newest frames, until the time is over or the camera ends it.

        Raises:
            PrivFaceError: ``link_unreachable``: no connection, or not one frame.
        """
        deadline = asyncio.get_running_loop().time() + self.times.total
        count = 0
        try:
            async with aclosing(self._pixels(deadline)) as stream:
                async for pixels in stream:
                    card = replace(self.card, captured_at=self.clock())
                    yield Frame(pixels=pixels, card=card, index=count)
                    count += 1
        except PrivFaceError as error:
            if count == 0:
                raise
            # What was seen stays seen: a link that breaks ends like one that is over.
            _LOGGER.warning("A camera link ended early after %d frames: %s", count, error.message)
        if count == 0:
            raise unreachable("The camera gave no frame in time.")

    async def _pixels(self, deadline: float) -> AsyncGenerator[Pixels, None]:
        if yarl.URL(self.address).scheme in {"http", "https"}:
            async with open_snapshots(self._snapshots()) as pictures:
                if pictures is not None:
                    async with aclosing(pictures.every(self.times.snapshot, deadline)) as polled:
                        async for pixels in polled:
                            yield pixels
                    return
        seconds = deadline - asyncio.get_running_loop().time()
        async with aclosing(hand_newest(self._read, "privface-link", seconds)) as stream:
            async for pixels in stream:
                yield pixels

    def _snapshots(self) -> Snapshots:
        return Snapshots(
            address=self.address,
            peer=self.peer,
            connect_seconds=self.times.connect,
            read_seconds=self.times.read,
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
        )

    def _read(self) -> Generator[Pixels, None, None]:
        with self._open() as container:
            stream = self._video_stream(container)
            with closing(_packets(container, stream)) as packets:
                for packet in packets:
                    yield from self._decode(packet)

    def _open(self) -> InputContainer:
        address, options = stream_options(self.address, self.peer, self.times.read)
        try:
            return av.open(address, mode="r", container_options=options, timeout=(self.times.connect, self.times.read))
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = _reason(error)
        # Outside of the block: the other error's text has the address in it.
        raise unreachable(f"The camera can't be reached: {reason}.")

    def _video_stream(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise unreachable("The camera's stream holds no video.")
        stream = container.streams.video[0]
        stream.codec_context.options = {"max_pixels": str(self.max_pixels)}
        return stream

    def _decode(self, packet: Any) -> Generator[Pixels, None, None]:
        try:
            decoded: list[Any] = list(packet.decode())
        except av.FFmpegError:
            # Before the first key frame nothing can be decoded; a lost packet damages the frames up to the next.
            return
        for picture in decoded:
            if picture.width * picture.height > self.max_pixels:
                raise unreachable("The camera's frames have too many pixels.")
            yield upright(picture)


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
    except (av.FFmpegError, OSError) as error:
        reason = _reason(error)
    else:
        return
    raise unreachable(f"The camera's stream broke: {reason}.")


def _reason(error: Exception) -> str:
    """What went wrong, in words that hold no address."""
    named = getattr(error, "strerror", None)
    return named.lower() if isinstance(named, str) and "//" not in named else type(error).__name__


def unreachable(message: str) -> PrivFaceError:
    return PrivFaceError(ErrorCode.LINK_UNREACHABLE, message)


def create(context: EngineContext) -> LinkSource:
    """Make the source.

    Options: ``address`` (text), ``card`` (FrameCard), ``peer`` (the host's checked IP address), ``seconds`` (whole
    number: when to end), ``connect_seconds``, ``read_seconds``, ``snapshot_seconds``, ``max_bytes`` (of a
    snapshot), ``max_pixels`` (of a frame), ``clock`` (gives aware times).
    """
    usual = LinkTimes()
    return LinkSource(
        address=take_option(context, "address", str),
        card=take_option(context, "card", FrameCard),
        peer=take_option(context, "peer", str, ""),
        times=LinkTimes(
            connect=float(take_option(context, "connect_seconds", (int, float), usual.connect)),
            read=float(take_option(context, "read_seconds", (int, float), usual.read)),
            total=float(take_option(context, "seconds", (int, float), usual.total)),
            snapshot=float(take_option(context, "snapshot_seconds", (int, float), usual.snapshot)),
        ),
        max_pixels=take_option(context, "max_pixels", int, 25_000_000),
        max_bytes=take_option(context, "max_bytes", int, 20 * 1024 * 1024),
        clock=take_clock(context),
    )
