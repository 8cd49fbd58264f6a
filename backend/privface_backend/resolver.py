"""Hosts' names and their addresses, as this computer finds them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The IP addresses of a host's name; empty, or an ``OSError``, where it has none."""


async def resolve_host(host: str) -> Sequence[str]:
    """The IP addresses of a host's name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
