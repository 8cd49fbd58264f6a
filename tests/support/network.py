"""Two hosts on a network of their own: network stacks that only a cable joins, apart from this computer's network.

    with two_hosts() as (one, other):
        with one.entered():
            subprocess.Popen(…)  # listens on one's addresses

What is started, and every socket that is made, inside of ``entered`` belongs to that host for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import aiohttp

Result = TypeVar("Result")

_OWN: Final = "/proc/thread-self/ns/net"
_CABLE: Final = "lan"
_PREFIX: Final = "192.168.77"


class NoNetworkError(Exception):
    """No hosts can be made here; the text says why."""


class Host:
    """A network stack with a loopback and one end of the cable."""

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be on this host with the present thread, for the length of the block."""
        own = os.open(_OWN, os.O_RDONLY)
        try:
            _enter(self._namespace)
            yield
        finally:
            _enter(own)
            os.close(own)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do something that blocks on this host, in a thread."""

        def run() -> Result:
            with self.entered():
                return work()

        return await asyncio.to_thread(run)

    def connector(self) -> aiohttp.TCPConnector:
        """What connects from this host, for a session of aiohttp."""
        return aiohttp.TCPConnector(socket_factory=self._make_socket)

    def _make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        with self.entered():
            return socket.socket(family, kind, protocol)

    def move(self, number: int) -> None:
        """Have the address ``192.168.77.number``, and no other."""
        self.ip("address", "flush", "dev", _CABLE, "scope", "global")
        self.ip("address", "add", f"{_PREFIX}.{number}/24", "dev", _CABLE)
        # Without a way out, multicast needs to be told its way; it is gone with the address.
        self.ip("route", "replace", "224.0.0.0/4", "dev", _CABLE)

    def ip(self, *arguments: str) -> None:
        """Run the command of that name here."""
        with self.entered():
            _run_ip(*arguments)


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Hosts at 192.168.77.1 and .2, joined for the length of the block, and as long as something runs on them.

    Raises:
        NoNetworkError: this computer, or its user, can't.
    """
    if shutil.which("ip") is None:
        raise NoNetworkError("there is no ip command (apt-get install iproute2)")
    with _new_namespace() as first, _new_namespace() as second:
        one, other = Host(first), Host(second)
        one.ip("link", "set", "lo", "up")
        other.ip("link", "set", "lo", "up")
        _join(first, second)
        for number, host in enumerate((one, other), 1):
            host.ip("link", "set", _CABLE, "up")
            host.move(number)
        yield one, other


@contextlib.contextmanager
def _new_namespace() -> Iterator[int]:
    """A network namespace, which is there while something uses it."""
    own = os.open(_OWN, os.O_RDONLY)
    try:
        _enter_a_new_one()
        made = os.open(_OWN, os.O_RDONLY)
        _enter(own)
    except OSError as error:
        raise NoNetworkError(f"this user may make no network namespace ({error.strerror}); root may") from error
    finally:
        os.close(own)
    try:
        yield made
    finally:
        os.close(made)


def _enter(namespace: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(namespace, os.CLONE_NEWNET)
    else:
        raise NoNetworkError("this Python can't change between network namespaces; 3.12 can")


def _enter_a_new_one() -> None:
    if sys.version_info >= (3, 12):
        os.unshare(os.CLONE_NEWNET)
    else:
        raise NoNetworkError("this Python can't make network namespaces; 3.12 can")


def _join(first: int, second: int) -> None:
    """Lay a cable between two namespaces."""
    one, other = (("name", _CABLE, "netns", f"/proc/self/fd/{end}") for end in (first, second))
    _run_ip("link", "add", *one, "type", "veth", "peer", *other, namespaces=(first, second))


def _run_ip(*arguments: str, namespaces: tuple[int, ...] = ()) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, pass_fds=namespaces)
    if done.returncode:
        raise NoNetworkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
