"""Which decoder a stream gets: a device of this computer's where that works, else software."""

from __future__ import annotations

import logging
from typing import Any, Final

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

_LOGGER = logging.getLogger(__name__)

AUTO: Final = "auto"
OFF: Final = "off"
# A device that FFmpeg has decoders of their own for, rather than a type of device.
V4L2: Final = "v4l2m2m"
# What is tried by itself. Others are slow, or known to give broken pictures on some machines: they must be asked for.
_TRIED: Final = ("vaapi", "cuda", "videotoolbox", "d3d11va")


def check_hardware(hardware: str) -> str:
    """Refuse a word that is none.

    Raises:
        PrivFaceError: ``bad_request``, saying what is allowed.
    """
    allowed = (AUTO, OFF, V4L2, *sorted(hwdevices_available()))
    if hardware not in allowed:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "There is no such hardware for decoding.", allowed=", ".join(allowed)
        )
    return hardware


class Decoding:
    """Makes the decoders of one source's streams. A device that failed isn't tried again for it."""

    def __init__(self, hardware: str = OFF) -> None:
        self._hardware: Final = hardware
        self._failed: Final[set[str]] = set()
        self._told = False
        self._device = ""

    def open(self, stream: VideoStream, max_pixels: int) -> VideoCodecContext:
        """The decoder for a stream's packets, whose frames have at most so many pixels."""
        # Holds for a picture's true size too, which is known once its data is read: before memory is taken for it.
        options = {"max_pixels": str(max_pixels)}
        stream.codec_context.options = options
        for device in self._devices():
            try:
                context = _make(device, stream)
            except (av.FFmpegError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
                self._failed.add(device)
                _LOGGER.debug("%s can't decode %s here: %s", device, stream.codec_context.name, type(error).__name__)
                continue
            context.options = options
            self._device = device
            return context
        self._tell_of_software()
        return stream.codec_context

    def no_frame_came(self) -> None:
        """The last stream gave none: its device isn't trusted any more."""
        if self._device:
            _LOGGER.debug("%s gave no frame", self._device)
            self._failed.add(self._device)
            self._device = ""

    def _devices(self) -> list[str]:
        if self._hardware == OFF:
            return []
        available = hwdevices_available()
        wanted = [one for one in _TRIED if one in available] if self._hardware == AUTO else [self._hardware]
        return [device for device in wanted if device not in self._failed]

    def _tell_of_software(self) -> None:
        if self._told or self._hardware == OFF:
            return
        self._told = True
        asked = self._hardware != AUTO
        _LOGGER.log(
            logging.WARNING if asked else logging.DEBUG,
            "Video is decoded in software: %s",
            f"{self._hardware} doesn't work here" if asked else "no device for it works here",
        )


def _make(device: str, stream: VideoStream) -> VideoCodecContext:
    own = stream.codec_context
    make: Any = av.CodecContext.create
    if device == V4L2:
        context = make(f"{own.name}_{V4L2}", "r")
    else:
        # Falls back by itself for a stream that the device can't decode.
        context = make(own.name, "r", HWAccel(device, allow_software_fallback=True))
    context.extradata = own.extradata
    if device == V4L2:
        # Whether there is such a device shows now only.
        context.open()
    made: VideoCodecContext = context
    return made
