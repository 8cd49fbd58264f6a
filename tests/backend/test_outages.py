"""Why somebody can't be reached: the words for what really happens on sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import trustme

from privface_backend.outages import explain
from support.ports import free_port

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def say_something_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"220 mail server ready\r\n\r\n")
    await writer.drain()
    writer.close()


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
    await writer.drain()
    writer.close()


@asynccontextmanager
async def server(handle: Handle, certificate: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=certificate)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def words(address: str) -> str:
    timeout = aiohttp.ClientTimeout(total=1.0 if "slow" in address else 20.0)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        with pytest.raises((aiohttp.ClientError, OSError, TimeoutError, ValueError)) as caught:
            async with session.get(address) as response:
                await response.read()
    return explain(caught.value)


@pytest.mark.parametrize(
    ("handle", "address", "said"),
    [
        (hang_up, "http://127.0.0.1:{}/", "it hung up"),
        (break_off, "http://127.0.0.1:{}/", "it hung up"),
        (say_nothing, "http://127.0.0.1:{}/slow", "it took too long"),
        (say_something_else, "http://127.0.0.1:{}/", "it doesn't speak HTTP as it should"),
        (say_something_else, "https://127.0.0.1:{}/", "it speaks no TLS, or not with us"),
    ],
)
async def test_what_answers_badly(handle: Handle, address: str, said: str) -> None:
    async with server(handle) as port:
        assert await words(address.format(port)) == said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listens(host: str) -> None:
    assert await words(f"http://{host}:{free_port()}/") == "connection refused"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://nobody.invalid/", "its name is not known"),
        ("http://host:99999999/", "its address can't be used"),
        ("ftp://127.0.0.1/", "its address can't be used"),
    ],
)
async def test_nobody_is_asked(address: str, said: str) -> None:
    assert await words(address) == said


async def test_a_certificate_that_nobody_trusts() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with server(hang_up, context) as port:
        assert await words(f"https://127.0.0.1:{port}/") == "its certificate is not trusted"


def test_what_is_not_known_is_said_without_its_text() -> None:
    assert explain(ValueError("http://anna:secret@host/")) == "the connection failed"
    assert explain(OSError("http://anna:secret@host/")) == "the connection failed"
