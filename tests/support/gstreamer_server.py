"""An RTSP server on GStreamer: a clip at its own pace, each frame stamped with its number and the time of day.

Run by Debian's Python, which has GStreamer's bindings, with nothing of this project. Prints ``port N`` once it listens.
On its stdin it takes ``stall`` (send nothing more), ``go`` and ``size WIDTH HEIGHT``.

    gstreamer_server.py CLIP [--port N] [--login USER PASSWORD] [--size WIDTH HEIGHT] [--once] [--blank SECONDS]

``--blank``: grey frames before the clip and after it, as of a camera that plays on. Those before have the number 0,
those after the highest that there is; the clip's own are numbered from 0.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  # versions come first

SIDE, BITS = 8, 28
ELEMENTS = ("decodebin", "videoscale", "appsrc", "x264enc", "rtph264pay", "avdec_h264", "qtdemux")
LAUNCH = (
    "( appsrc name=src is-live=true format=time do-timestamp=true ! videoconvert ! "
    "x264enc tune=zerolatency speed-preset=ultrafast pass=quant quantizer=20 key-int-max=25 bframes=0 "
    "sliced-threads=false threads=1 ! "
    "rtph264pay name=pay0 pt=96 config-interval=-1 mtu=32000 )"
)


class Clip:
    """Decodes a clip, frame by frame, over and over or once."""

    def __init__(self, path: str, size: tuple[int, int] | None, *, once: bool, blank: float) -> None:
        self._once = once
        self.number = 0
        self._pipeline = Gst.parse_launch(
            "filesrc name=file ! decodebin ! videoconvert ! videoscale ! capsfilter name=wanted ! "
            "appsink name=frames sync=false max-buffers=4"
        )
        self._pipeline.get_by_name("file").set_property("location", path)
        self.resize(size)
        self._frames = self._pipeline.get_by_name("frames")
        self._pipeline.set_state(Gst.State.PLAYING)
        self._waiting = self._frames.emit("pull-sample")
        shape = self._waiting.get_caps().get_structure(0)
        _, above, below = shape.get_fraction("framerate")
        self.rate = above / below if above else 25.0
        self._before = self._after = round(blank * self.rate)
        self._first = self._waiting

    def resize(self, size: tuple[int, int] | None) -> None:
        scaled = "" if size is None else f",width={size[0]},height={size[1]}"
        caps = Gst.Caps.from_string(f"video/x-raw,format=I420{scaled}")
        self._pipeline.get_by_name("wanted").set_property("caps", caps)

    def next(self) -> tuple[Any, Any] | None:
        """The next frame's caps and stamped buffer; None: it is over."""
        if self._before > 0:
            self._before -= 1
            return self._stamped(self._first, 0, blank=True)
        sample, self._waiting = self._waiting or self._frames.emit("pull-sample"), None
        if sample is None:
            if self._after > 0:
                self._after -= 1
                return self._stamped(self._first, (1 << BITS) - 1, blank=True)
            if self._once:
                return None
            self._pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 0)
            sample = self._frames.emit("pull-sample")
        self.number += 1
        return self._stamped(sample, self.number - 1)

    @staticmethod
    def _stamped(sample: Any, number: int, *, blank: bool = False) -> tuple[Any, Any]:
        caps, buffer = sample.get_caps(), sample.get_buffer()
        _, width = caps.get_structure(0).get_int("width")
        size = buffer.get_size()
        data = bytearray(b"\x80" * size if blank else buffer.extract_dup(0, size))
        stride = (width + 3) // 4 * 4
        stamp(data, stride, 0, number)
        stamp(data, stride, 1, round(time.time() * 1000))
        return caps, Gst.Buffer.new_wrapped(bytes(data))


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def stamp(data: bytearray, stride: int, row: int, value: int) -> None:
    """Write the low bits of a number as black and white squares."""
    line = b"".join((b"\xeb" if value >> bit & 1 else b"\x10") * SIDE for bit in reversed(range(BITS)))
    for y in range(row * SIDE, (row + 1) * SIDE):
        data[y * stride : y * stride + len(line)] = line


class Feed:
    """Feeds the clip to whoever watches, at its own pace."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._source: Any = None
        self._began, self._sent = 0.0, 0
        self.is_stalled = False

    def configure(self, _factory: Any, media: Any) -> None:
        self._source = media.get_element().get_child_by_name("src")
        self._began, self._sent = time.monotonic(), 0
        media.connect("unprepared", self._end)

    def _end(self, _media: Any) -> None:
        self._source = None

    def tick(self) -> bool:
        if self._source is None:
            return True
        while self._source is not None and time.monotonic() >= self._began + self._sent / self._clip.rate:
            self._sent += 1
            if self.is_stalled:
                continue
            found = self._clip.next()
            if found is None:
                self._source.emit("end-of-stream")
                self._source = None
                say("over")
                return True
            self._source.set_property("caps", found[0])
            self._source.emit("push-buffer", found[1])
        return True


def require_login(server: Any, factory: Any, user: str, password: str) -> None:
    """Let in whoever has the login, by digest."""
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)
    server.set_auth(auth)


def follow(clip: Clip, feed: Feed, loop: Any) -> None:
    """Do what stdin says; its end is the end."""
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "size":
            clip.resize((int(numbers[0]), int(numbers[1])))
        else:
            feed.is_stalled = word == "stall"
    loop.quit()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("--port", default="0")
    parser.add_argument("--login", nargs=2)
    parser.add_argument("--size", nargs=2, type=int)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--blank", type=float, default=0.0)
    given = parser.parse_args()
    Gst.init(None)
    if missing := [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]:
        sys.exit(f"GStreamer has no {', '.join(missing)}")
    clip = Clip(given.clip, given.size and (given.size[0], given.size[1]), once=given.once, blank=given.blank)
    feed, loop = Feed(clip), GLib.MainLoop()
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH)
    factory.set_shared(True)
    factory.connect("media-configure", feed.configure)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(given.port)
    if given.login:
        require_login(server, factory, *given.login)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    say(f"port {server.get_bound_port()}")
    GLib.timeout_add(5, feed.tick)
    threading.Thread(target=follow, args=(clip, feed, loop), daemon=True).start()
    loop.run()


main()
