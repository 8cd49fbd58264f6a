"""Whose an address or a host's name is."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from privface_backend.domain.addresses import (
    is_home_name,
    is_loopback,
    is_metadata,
    is_never_reached,
    is_private,
    is_refused,
    read_host,
)

METADATA = ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"]
NOBODYS = ["0.0.0.1", "::", "169.254.1.2", "fe80::1", "224.0.0.251", "ff02::1", "255.255.255.255", "240.0.0.1"]
OWN = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"]
HOME = ["192.168.1.5", "10.0.0.7", "172.18.0.3", "fd12::7", "100.64.0.1"]
EVERYBODYS = ["93.184.216.34", "2606:4700::1111"]


@pytest.mark.parametrize("text", METADATA)
def test_metadata_is_metadata_however_it_is_spelled(text: str) -> None:
    assert is_metadata(ip_address(text))
    assert is_never_reached(ip_address(text))
    assert is_refused(ip_address(text))


@pytest.mark.parametrize("text", NOBODYS)
def test_what_is_no_hosts_is_never_reached(text: str) -> None:
    assert is_never_reached(ip_address(text))
    assert is_refused(ip_address(text))


@pytest.mark.parametrize("text", OWN)
def test_this_computers_own(text: str) -> None:
    address = ip_address(text)
    assert (is_loopback(address), is_private(address), is_never_reached(address)) == (True, True, False)
    assert is_refused(address)


@pytest.mark.parametrize("text", HOME)
def test_the_homes(text: str) -> None:
    address = ip_address(text)
    assert (is_loopback(address), is_private(address), is_refused(address)) == (False, True, False)


@pytest.mark.parametrize("text", EVERYBODYS)
def test_everybodys(text: str) -> None:
    address = ip_address(text)
    assert (is_private(address), is_refused(address)) == (False, False)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM.", "example.com"),
        ("node_red", "node_red"),
        ("192.168.1.5", "192.168.1.5"),
        ("[::1]", "::1"),
        ("127.1", None),
        ("0x7f.1", None),
        ("2130706433", None),
        ("[127.0.0.1]", None),
        ("metadata.google.internal", None),
        ("-x.example", None),
        ("a..b", None),
        ("exämple.com", None),
        ("", None),
    ],
)
def test_a_host_is_read_in_one_way_only(text: str, host: str | None) -> None:
    assert read_host(text) == host


@pytest.mark.parametrize(
    ("name", "at_home"),
    [
        ("nodered", True),
        ("hub.lan", True),
        ("x.home.arpa", True),
        ("hooks.example.com", False),
        ("lan.example", False),
        ("", False),
    ],
)
def test_names_that_public_dns_does_not_give_out(name: str, at_home: bool) -> None:
    assert is_home_name(name) is at_home
