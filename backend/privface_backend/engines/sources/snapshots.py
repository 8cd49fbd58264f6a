"""A camera's snapshot address: one picture a request, fetched again and again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from privface_backend.domain.frames import Pixels
from privface_backend.engines.sources.stills import decode_still
from privface_backend.errors import PrivFaceError
from privface_backend.outages import explain
from privface_backend.protocol import ErrorCode

_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Where snapshots are and what is taken in. ``peer``: the IP address to connect to; empty: ask for the host's."""

    address: str = field(repr=False)
    peer: str
    connect_seconds: float
    read_seconds: float
    max_bytes: int
    max_pixels: int


class _Pinned(AbstractResolver):
    """Every host is at one address: the one that was checked."""

    def __init__(self, peer: str) -> None:
        self._peer: Final = peer

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        _ = family
        return [
            ResolveResult(
                hostname=host,
                host=self._peer,
                port=port,
                family=socket.AF_INET6 if ":" in self._peer else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


class SnapshotPoll:
    """Fetches the pictures; made by ``open_snapshots``."""

    def __init__(self, session: aiohttp.ClientSession, snapshots: Snapshots) -> None:
        url = yarl.URL(snapshots.address, encoded=True)
        self._session: Final = session
        self._snapshots: Final = snapshots
        self._url: Final = url.with_user(None)
        self._login: Final = None if url.user is None else (url.user, url.password or "")
        self._basic: str | None = None
        self._digest: Final = () if self._login is None else (aiohttp.DigestAuthMiddleware(*self._login),)

    async def is_picture(self) -> bool:
        """Whether one request is answered with one picture, rather than with a stream.

        Raises:
            PrivFaceError: ``link_unreachable``.
        """
        async with self._get() as response:
            return response.content_type.startswith("image/")

    async def every(self, seconds: float, deadline: float | None) -> AsyncGenerator[Pixels, None]:
        """A picture every so many seconds, until ``deadline``; None: for ever.

        Raises:
            PrivFaceError: ``link_unreachable``.
        """
        loop = asyncio.get_running_loop()
        while deadline is None or loop.time() < deadline:
            following = loop.time() + seconds
            data = await self._fetch()
            pixels = await loop.run_in_executor(None, decode_still, data, self._snapshots.max_pixels)
            if pixels is None:
                raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, "The camera's snapshot is no picture that can be read.")
            yield pixels
            await asyncio.sleep(max(0.0, min(following, deadline or following) - loop.time()))

    @asynccontextmanager
    async def _get(self) -> AsyncIterator[aiohttp.ClientResponse]:
        problem = "The camera's snapshot can't be read."
        try:
            async with self._request() as response:
                if response.status == 401 and self._login is not None and self._basic is None and _asks_basic(response):
                    self._basic = aiohttp.encode_basic_auth(*self._login)
                else:
                    _check_status(response)
                    yield response
                    return
            async with self._request() as response:
                _check_status(response)
                yield response
                return
        except TimeoutError:
            problem = "The camera doesn't answer in time."
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = f"The camera can't be reached: {explain(error)}."
        # Outside of the block: the other error's text has the address in it.
        raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, problem)

    def _request(self) -> aiohttp.client._RequestContextManager:
        if self._basic is None:
            return self._session.get(self._url, allow_redirects=False, middlewares=self._digest)
        headers = {aiohttp.hdrs.AUTHORIZATION: self._basic}
        return self._session.get(self._url, allow_redirects=False, headers=headers)

    async def _fetch(self) -> bytes:
        async with self._get() as response:
            data = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                data += chunk
                if len(data) > self._snapshots.max_bytes:
                    raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, "The camera's snapshot is too large.")
            return bytes(data)


def _asks_basic(response: aiohttp.ClientResponse) -> bool:
    return any(value.lower().startswith("basic") for value in response.headers.getall("WWW-Authenticate", ()))


def _check_status(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise PrivFaceError(
            ErrorCode.LINK_UNREACHABLE,
            "The camera refused the request.",
            details={"status": response.status},
        )


@asynccontextmanager
async def open_snapshots(snapshots: Snapshots) -> AsyncIterator[SnapshotPoll | None]:
    """The poll for the length of the block; None where the address gives a stream.

    Raises:
        PrivFaceError: ``link_unreachable``.
    """
    connector = aiohttp.TCPConnector(resolver=_Pinned(snapshots.peer) if snapshots.peer else None, limit=1)
    timeout = aiohttp.ClientTimeout(
        total=snapshots.connect_seconds + snapshots.read_seconds,
        connect=snapshots.connect_seconds,
        sock_read=snapshots.read_seconds,
    )
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        poll = SnapshotPoll(session, snapshots)
        picture = await poll.is_picture()
        yield poll if picture else None
