"""Videos made for tests: drawn frames in, a file's bytes out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any, cast

import av
import numpy as np

from privface_backend.domain.frames import Pixels
from privface_backend.engines.synthetic import draw_face, ground

# QuickTime's matrices: a quarter turn clockwise, and counterclockwise.
CLOCKWISE = (0, 1, -1, 0)
COUNTERCLOCKWISE = (0, -1, 1, 0)


def scene(*faces: int, width: int = 320, height: int = 240, side: int = 80) -> Pixels:
    """A gray picture with the drawn faces of these identities side by side."""
    pixels = ground(width, height)
    for place, identity in enumerate(faces):
        draw_face(pixels, identity, 20 + place * (side + 30), (height - side) // 2, side)
    return pixels


def encode(frames: Iterable[Pixels], *, kind: str = "mp4", codec: str = "libx264", rate: int = 10) -> bytes:
    """A video of these frames."""
    out = io.BytesIO()
    with av.open(out, mode="w", format=kind) as container:
        stream = cast("Any", container.add_stream(codec, rate=rate))
        stream.pix_fmt = "yuvj444p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, rate)
        if codec == "libx264":
            stream.options = {"crf": "12", "g": "5", "tune": "zerolatency"}
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode(None))
    return out.getvalue()


def decode(data: bytes) -> Sequence[Pixels]:
    """All frames of a video that isn't turned."""
    with av.open(io.BytesIO(data), mode="r") as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8) for frame in container.decode(video=0)]


def turn(data: bytes, matrix: Sequence[int]) -> bytes:
    """The same MP4 with another display matrix in its track's header."""
    # tkhd, version 0: the matrix stands 40 bytes after the version.
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    packed = b"".join(value.to_bytes(4, "big", signed=True) for value in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    return data[:start] + packed + data[start + 36 :]


def cut(data: bytes, packets: int) -> bytes:
    """The first frames of a video (a packet each), without coding them anew."""
    out = io.BytesIO()
    with av.open(io.BytesIO(data), mode="r") as whole, av.open(out, mode="w", format="mp4") as part:
        stream = whole.streams.video[0]
        copied = part.add_stream_from_template(stream)
        for packet in islice(whole.demux(stream), packets):
            packet.stream = copied
            part.mux(packet)
    return out.getvalue()
