"""GStreamer's RTSP server as a process of its own, and what it stamps on its frames."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from privface_backend.domain.frames import Pixels

SCRIPT: Final = Path(__file__).with_name("gstreamer_server.py")
# Debian's own: its packages of GStreamer's bindings are for no other Python.
PYTHON: Final = Path("/usr/bin/python3")
PACKAGES: Final = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav"
)
_SIDE, _BITS = 8, 28
OVER: Final = (1 << _BITS) - 1
"""The number of the grey frames after a clip."""
_SECONDS: Final = 30.0


class NoGStreamerError(Exception):
    """It can't be run here; the text says why."""


class GStreamerServer:
    """The server of one clip, at ``address``; see ``gstreamer_server.py`` for the options."""

    def __init__(self, clip: Path, *options: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [str(PYTHON), str(SCRIPT), str(clip), "--port", str(port), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._errors: list[str] = []
        threading.Thread(target=self._drain, daemon=True).start()
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            self.kill()
            raise NoGStreamerError(f"{''.join(self._errors).strip()[-300:]} (apt-get install {PACKAGES})")
        self.port = int(words[1])

    def _drain(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def tell(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def wait_until_over(self) -> None:
        """Until a clip that is played once has been."""
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@contextlib.contextmanager
def gstreamer_server(clip: Path, *options: str, port: int = 0) -> Iterator[GStreamerServer]:
    """The server for the length of the block.

    Raises:
        NoGStreamerError: it, or a part of it, isn't installed.
    """
    if not PYTHON.exists():
        raise NoGStreamerError(f"there is no {PYTHON}")
    server = GStreamerServer(clip, *options, port=port)
    try:
        yield server
    finally:
        server.kill()


def read_stamp(pixels: Pixels) -> tuple[int, float]:
    """The number of a frame, and how many seconds ago it was stamped."""
    number, milliseconds = (_read_row(pixels, row) for row in (0, 1))
    now = round(time.time() * 1000)
    return number, ((now - milliseconds) & ((1 << _BITS) - 1)) / 1000


def _read_row(pixels: Pixels, row: int) -> int:
    strip = pixels[row * _SIDE : (row + 1) * _SIDE, : _SIDE * _BITS]
    bits = strip.reshape(_SIDE, _BITS, _SIDE, 3).mean(axis=(0, 2, 3)) > 128
    return int("".join("1" if bit else "0" for bit in bits), 2)
