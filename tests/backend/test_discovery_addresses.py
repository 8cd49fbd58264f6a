"""At which addresses others reach what listens: which are announced, and what is told to those behind a broker."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from privface_backend.discovery.addresses import Listening, announced_addresses, url_towards

EVERYWHERE = Listening("0.0.0.0", 8090)  # noqa: S104  # named, not bound to
OWN = announced_addresses(EVERYWHERE)
needs_network = pytest.mark.skipif(not OWN, reason="this computer is in no network")


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_address_and_port_are_those_of_the_socket(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"this computer has no {host}")
        assert Listening.of(listener) == Listening(host, listener.getsockname()[1])
        assert not Listening.of(listener).everywhere


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "fe80::1", "fe80::1%eth0"])
def test_what_others_can_not_reach_is_not_announced(host: str) -> None:
    assert announced_addresses(Listening(host, 8090)) == ()


@pytest.mark.parametrize("host", ["192.168.1.5", "169.254.3.4", "10.0.0.1", "fd00::5", "2001:db8::5"])
def test_one_address_is_announced_as_it_is(host: str) -> None:
    assert announced_addresses(Listening(host, 8090)) == (host,)


@needs_network
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # named, not bound to
def test_of_all_addresses_one_that_others_reach_is_announced(host: str) -> None:
    addresses = announced_addresses(Listening(host, 8090))
    assert addresses == OWN
    for address in addresses:
        known = ipaddress.ip_address(address)
        assert not known.is_loopback
        assert not known.is_unspecified
        with socket.create_server((address, 0)) as listener:
            assert listener.getsockname()[0] == address


@pytest.mark.parametrize(
    ("host", "broker", "url"),
    [
        ("127.0.0.1", "192.168.1.9", "http://127.0.0.1:8090"),
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8090"),
        ("::1", "127.0.0.1", "http://[::1]:8090"),
        ("192.168.1.5", "127.0.0.1", "http://192.168.1.5:8090"),
        ("fd00::5", "192.168.1.9", "http://[fd00::5]:8090"),
        ("0.0.0.0", "127.0.0.1", "http://127.0.0.1:8090"),  # noqa: S104  # named, not bound to
        ("0.0.0.0", "localhost", "http://127.0.0.1:8090"),  # noqa: S104  # named, not bound to
        ("0.0.0.0", "::1", None),  # noqa: S104  # named, not bound to
        ("::", "127.0.0.1", "http://127.0.0.1:8090"),
        ("::", "localhost", "http://127.0.0.1:8090"),
    ],
)
async def test_the_url_is_one_that_the_broker_s_side_reaches(host: str, broker: str, url: str | None) -> None:
    assert await url_towards(Listening(host, 8090), broker, 1883) == url


@needs_network
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # named, not bound to
async def test_the_url_has_the_address_of_the_broker_s_network(host: str) -> None:
    assert await url_towards(Listening(host, 8090), OWN[0], 1883) == f"http://{OWN[0]}:8090"


async def test_a_broker_without_an_address_gives_no_url() -> None:
    assert await url_towards(EVERYWHERE, "no address at all", 1883) is None
