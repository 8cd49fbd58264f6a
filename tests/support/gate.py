"""A door in front of a server: connections pass through while it is open, and are cut when it shuts."""

from __future__ import annotations

import asyncio
import contextlib

from support.ports import free_port


class Gate:
    """Forwards ``port`` to ``target`` while open. ``answers``: whether what the server says comes through."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.target = target
        self.answers = True
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Listen no more, and cut every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for visit in (visits := tuple(self._visits)):
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self._visits.add(visit)
        streams = [writer]
        try:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self.target)
                streams.append(back)
                pumps = {
                    asyncio.create_task(self._pump(reader, back, always=True)),
                    asyncio.create_task(self._pump(there, writer, always=False)),
                }
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._visits.discard(visit)
            for stream in streams:
                stream.close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, always: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if always or self.answers:
                    target.write(data)
                    await target.drain()
