"""A small RTSP server: one stream, an MPEG transport stream over the connection itself (interleaved)."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

_PAYLOAD = 7 * 188
MPEG_TS = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"


@dataclass(slots=True)
class RtspServer:
    """``stream``: the bytes that are played over and over; empty: nothing is sent. ``requests``: what was asked;
    ``described``: what it says that it plays."""

    stream: bytes
    port: int = 0
    requests: list[str] = field(default_factory=list)
    open_connections: int = 0
    described: str = MPEG_TS

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        playing: asyncio.Task[None] | None = None
        try:
            while request := await _read_request(reader):
                self.requests.append(request)
                writer.write(self._answer(request).encode())
                if request.startswith("PLAY"):
                    playing = asyncio.create_task(self._play(writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
            writer.close()
            self.open_connections -= 1

    def _answer(self, request: str) -> str:
        sequence = next(line.partition(":")[2].strip() for line in request.split("\r\n") if line.startswith("CSeq"))
        head = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 1\r\n"
        if request.startswith("DESCRIBE"):
            kind = f"Content-Type: application/sdp\r\nContent-Length: {len(self.described)}"
            return f"{head}{kind}\r\n\r\n{self.described}"
        if request.startswith("SETUP"):
            return f"{head}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        return f"{head}Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        number = 0
        with contextlib.suppress(ConnectionError):
            while self.stream:
                for packet in _packets(self.stream):
                    header = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 900, 1)
                    writer.write(b"$\x00" + struct.pack(">H", len(header) + len(packet)) + header + packet)
                    await writer.drain()
                    number += 1
                await asyncio.sleep(0.01)


def _packets(stream: bytes) -> Sequence[bytes]:
    return [stream[start : start + _PAYLOAD] for start in range(0, len(stream), _PAYLOAD)]


async def _read_request(reader: asyncio.StreamReader) -> str:
    """The next request; packets that the client sends in between are skipped. Empty: the client has gone."""
    while (first := await reader.read(1)) == b"$":
        _, size = struct.unpack(">BH", await reader.readexactly(3))
        await reader.readexactly(size)
    return "" if not first else (first + await reader.readuntil(b"\r\n\r\n")).decode()


@contextlib.asynccontextmanager
async def rtsp_server(stream: bytes) -> AsyncIterator[RtspServer]:
    served = RtspServer(stream)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
