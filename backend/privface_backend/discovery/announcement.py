"""Announces REST on the home network by zeroconf (mDNS), while it listens on an address that others reach.

The only module that imports zeroconf, which takes a while: whoever starts it imports it late, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from privface_backend import __version__
from privface_backend.protocol import API_VERSION, ZEROCONF_TYPE

_LOGGER: Final = logging.getLogger(__name__)
# It logs every socket that fails, with every attempt. What matters is logged here, once.
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)

_CHECK_SECONDS: Final = 30.0
_GOODBYE_SECONDS: Final = 2.0


class _NoMulticastError(Exception):
    """The network takes no multicast."""


# RuntimeError: what zeroconf raises where an address is gone by the time that it looks for its network.
_FAILURES: Final = (OSError, zeroconf.Error, RuntimeError, TimeoutError, _NoMulticastError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is announced."""

    instance_id: str
    port: int

    def service(self, addresses: tuple[str, ...]) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            ZEROCONF_TYPE,
            f"PrivFace {self.instance_id[:6]}.{ZEROCONF_TYPE}",
            port=self.port,
            properties={
                "instance_id": self.instance_id,
                "version": __version__,
                "api_version": str(API_VERSION),
                "path": "/",
            },
            parsed_addresses=list(addresses),
            server=f"privface-{self.instance_id}.local.",
        )


async def keep_announced(
    announcement: Announcement,
    find_addresses: Callable[[], tuple[str, ...]],
    *,
    check_seconds: float = _CHECK_SECONDS,
) -> None:
    """Announce on the networks of the addresses that ``find_addresses`` gives, until cancelled; then say goodbye.

    Follows when they change. A network that fails or isn't there is one warning, and tried again.
    """
    failing = False
    while True:
        addresses = find_addresses()
        try:
            async with announced(announcement, addresses) as name:
                _LOGGER.info("Announced on the network as %s at %s", name, ", ".join(addresses))
                failing = False
                while find_addresses() == addresses:  # noqa: ASYNC110  # nobody tells us when they change
                    await asyncio.sleep(check_seconds)
                continue
        except _FAILURES as error:
            level = logging.DEBUG if failing else logging.WARNING
            _LOGGER.log(
                level, "PrivFace can't be announced on the network (%s); trying again from time to time", _why(error)
            )
            failing = True
        await asyncio.sleep(check_seconds)


@contextlib.asynccontextmanager
async def announced(announcement: Announcement, addresses: tuple[str, ...]) -> AsyncIterator[str]:
    """Announce for the length of the block; gives the name, which has a number where another has it already.

    Raises:
        OSError, zeroconf.Error, RuntimeError, TimeoutError: the network doesn't do.
    """
    if not addresses:
        raise _NoMulticastError("there is no network")
    network = AsyncZeroconf(interfaces=list(addresses))
    try:
        await network.zeroconf.async_wait_for_start()
        if not network.zeroconf.engine.senders:
            raise _NoMulticastError("the network takes no multicast")
        service = announcement.service(addresses)
        told = await network.async_register_service(service, allow_name_change=True)
        await told
        yield service.name.removesuffix(f".{ZEROCONF_TYPE}")
    finally:
        with contextlib.suppress(*_FAILURES):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await network.async_close()


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
