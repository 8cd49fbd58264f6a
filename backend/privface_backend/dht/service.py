"""The distributed hash table's part of a running backend: the link, and the requests that come over it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Final

from privface_backend.dht.link import DhtLink
from privface_backend.dht.messages import DhtRequest
from privface_backend.dht.requests import DhtRequests
from privface_backend.pipeline.links import LinkPolicy
from privface_backend.resolver import resolve_host
from privface_backend.sifis.looking import Means


class Dht:
    """The link and the requests; ``ready`` is set when the engines are there.

    Raises:
        SettingsError: ``links.allow`` can't be used.
    """

    def __init__(self, means: Means, ready: asyncio.Event) -> None:
        policy = LinkPolicy(means.settings.links, resolve_host)
        self._ready: Final = ready
        self.link: Final = DhtLink(means.settings.dht, self._take, means.clock)
        self._requests: Final = DhtRequests(means, policy, self.link.send)

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """The background loops by name."""
        yield "dht", self.link.run()
        yield "dht requests", self._carry_out()

    def _take(self, request: DhtRequest) -> None:
        self._requests.take(request)

    async def _carry_out(self) -> None:
        await self._ready.wait()
        await self._requests.run()
