"""Which camera links a request may name."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.addresses import is_refused
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.pipeline.links import AddressLink, LinkPolicy, WebcamLink, owner_link
from privface_backend.protocol import ErrorCode
from privface_backend.settings_sections import LinkSettings

CAMERA = "192.168.1.20"
HOSTS = {
    "good.example": [CAMERA],
    "cam.lan": [CAMERA],
    "cam6.lan": ["fd12::20"],
    "evil.example": ["203.0.113.9"],
    "localhost": ["127.0.0.1", "::1"],
    "inside.lan": ["127.0.0.1"],
    "half.lan": [CAMERA, "127.0.0.1"],
    "mapped.lan": ["::ffff:127.0.0.1"],
    "linklocal.lan": ["fe80::1%eth0"],
    "cloud.lan": ["169.254.169.254"],
    "cloud6.lan": ["fd00:ec2::254"],
    "zero.lan": ["0.0.0.0"],  # noqa: S104  # an address to refuse, not to bind to
    "group.lan": ["224.0.0.251"],
    "nat64.lan": ["64:ff9b::7f00:1"],
    "sixtofour.lan": ["2002:7f00:1::"],
}

CAMERAS = {"good.example", "cam.lan", "cam6.lan", "evil.example", "localhost"}


async def resolve(host: str) -> Sequence[str]:
    if host not in HOSTS:
        raise OSError("no such host")
    return HOSTS[host]


def policy(*allow: str, webcams: tuple[int, ...] = ()) -> LinkPolicy:
    return LinkPolicy(LinkSettings(allow=allow, webcams=webcams), resolve)


async def refusal(checked: LinkPolicy, link: str) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as caught:
        await checked.check(link)
    return caught.value


async def address(checked: LinkPolicy, link: str) -> AddressLink:
    found = await checked.check(link)
    assert isinstance(found, AddressLink)
    return found


@pytest.mark.parametrize(
    ("entry", "link", "opened"),
    [
        ("rtsp://cam.lan/stream1", "rtsp://cam.lan/stream1", "rtsp://cam.lan/stream1"),
        ("rtsp://cam.lan/stream1", "RTSP://CAM.LAN.:554/stream1", "rtsp://cam.lan/stream1"),
        ("RTSP://Cam.Lan:554/stream1", "rtsp://cam.lan/stream1", "rtsp://cam.lan/stream1"),
        ("http://cam.lan:8080/*", "http://cam.lan:8080/a/b?c=d", "http://cam.lan:8080/a/b?c=d"),
        ("http://cam.lan", "http://cam.lan/", "http://cam.lan/"),
        ("https://cam.lan/snap*", "https://cam.lan:443/snapshot.jpg", "https://cam.lan/snapshot.jpg"),
        ("rtsps://cam6.lan/*", "rtsps://cam6.lan/x", "rtsps://cam6.lan/x"),
        ("rtsp://192.168.1.20/*", "rtsp://192.168.1.20/live", "rtsp://192.168.1.20/live"),
        ("rtsp://[fd12::20]/*", "rtsp://[FD12:0::20]/live", "rtsp://[fd12::20]/live"),
        ("rtsp://cam.lan/*", "rtsp://user:p%40ss@cam.lan/live", "rtsp://user:p%40ss@cam.lan/live"),
        ("rtsp://user:secret@cam.lan/*", "rtsp://cam.lan/live", "rtsp://user:secret@cam.lan/live"),
        ("rtsp://user:secret@cam.lan/*", "rtsp://user:secret@cam.lan/live", "rtsp://user:secret@cam.lan/live"),
        ("http://127.0.0.1:1984/*", "http://127.0.0.1:1984/api/stream", "http://127.0.0.1:1984/api/stream"),
        ("http://localhost:1984/*", "http://localhost:1984/api/stream", "http://localhost:1984/api/stream"),
        ("rtsp://[::1]:8554/*", "rtsp://[0:0::1]:8554/cam", "rtsp://[::1]:8554/cam"),
        ("rtsp://169.254.7.7/cam", "rtsp://169.254.7.7/cam", "rtsp://169.254.7.7/cam"),
    ],
)
async def test_an_allowed_address_is_put_together_from_its_parts(entry: str, link: str, opened: str) -> None:
    found = await address(policy(entry), link)
    assert found.address == opened


async def test_the_peer_is_the_address_that_was_checked() -> None:
    assert (await address(policy("rtsp://cam.lan/*"), "rtsp://cam.lan/live")).peer == CAMERA
    assert (await address(policy("rtsp://cam6.lan/*"), "rtsp://cam6.lan/live")).peer == "fd12::20"


async def opened_or_code(checked: LinkPolicy, link: str) -> AddressLink | WebcamLink | ErrorCode:
    try:
        return await checked.check(link)
    except PrivFaceError as error:
        return error.code


SPELLINGS_OF_LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0",
    "0.0.0.0",  # noqa: S104  # an address to refuse, not to bind to
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[fe80::1%25eth0]",
    "localhost",
    "LOCALHOST.",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
]

METADATA = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[FD00:EC2:0::254]",
    "100.100.100.200",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
]

TRICKS = [
    "http://good.example@evil.example/",
    "http://good.example:80@evil.example/",
    "http://good.example%2f@evil.example/",
    "http://good.example#@evil.example/",
    "http://good.example?@evil.example/",
    "http://good.example\\@evil.example/",
    "http://evil.example\\good.example/",
    "http://evil.example#good.example/",
    "http://a@b@good.example/",
    "http://good.example.evil.example/",
    "http://evilgood.example/",
    "http://good.example:0/",
    "http://good.example:99999/",
    "http://good.example:8080/",
    "http://good.example:80:80/",
    "http://good.example..//",
    "http://good..example/",
    "http://.good.example/",
    "http://good%2eexample/",
    "http://good.example /",
    " http://good.example/",
    "http://good.example/\n",
    "http://good.example/\r\nHost: evil.example",
    "http://good.example/%0d%0aX: y",
    "http://good.example/\x00",
    "http://good.example/%00",
    "http://good.example/%zz",
    "http://g\u043e\u043ed.example/",
    "http://good.ex\u00admple/",
    "http://xn--/",
    "http:good.example/",
    "http:/good.example/",
    "http:///good.example/",
    "//good.example/",
    "good.example/",
    "http://",
    "",
    "https://good.example/",
    "ftp://good.example/",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "file:/etc/passwd",
    "/etc/passwd",
    "../../etc/passwd",
    "concat:/etc/passwd|/etc/hosts",
    "subfile,,start,0,end,99,,:/etc/passwd",
    "crypto:http://good.example/",
    "tcp://good.example:80",
    "udp://224.0.0.1:1234",
    "rtmp://good.example/live",
    "gopher://good.example/",
    "data:image/jpeg;base64,AAAA",
    "pipe:0",
    "/dev/video0",
    "http://good.example/../x",
    "http://good.example/live/../../x",
    "http://good.example/live/..",
    "http://good.example/%2e%2e/x",
    "http://good.example/%2E./x",
    "http://good.example/.%2e%2fx",
    "http://good.example/%252e%252e/x",
    "http://good.example/%25252e%25252e%25252fx",
    "http://good.example/..%5cx",
    "http://good.example/..;/x",
    "http://good.example/live?file=../../etc/passwd",
    "http://good.example/" + "a" * 3000,
    "1",
    "-1",
    "00",
    "0x0",
    "1e3",
    "9" * 400,
    "\u0661",
]


@pytest.mark.parametrize("link", TRICKS)
async def test_a_trick_is_refused_and_not_echoed(link: str) -> None:
    error = await refusal(policy("http://good.example/*", "rtsp://good.example/*", webcams=(0,)), link)
    assert error.code is ErrorCode.LINK_NOT_ALLOWED
    assert "links.allow" in (error.allowed or "")
    told = str(error.to_dict())
    assert not any(part in told for part in ("evil", "etc", "passwd", "good.example"))


@pytest.mark.parametrize("host", [*SPELLINGS_OF_LOOPBACK, *METADATA])
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
async def test_this_computer_and_metadata_are_refused_in_every_spelling(scheme: str, host: str) -> None:
    checked = policy("http://good.example/*", "rtsp://good.example/*")
    for link in (f"{scheme}://{host}/", f"{scheme}://{host}:80/latest/meta-data/", f"{scheme}://good.example@{host}/"):
        assert (await refusal(checked, link)).code is ErrorCode.LINK_NOT_ALLOWED


@pytest.mark.parametrize("host", [host for host in SPELLINGS_OF_LOOPBACK if host not in {"127.0.0.1", "127.0.0.1."}])
async def test_an_entry_for_loopback_allows_its_own_spelling_alone(host: str) -> None:
    checked = policy("http://127.0.0.1:1984/*")
    assert (await refusal(checked, f"http://{host}:1984/")).code is ErrorCode.LINK_NOT_ALLOWED


@pytest.mark.parametrize(
    "host",
    [
        "inside.lan",
        "half.lan",
        "mapped.lan",
        "linklocal.lan",
        "cloud.lan",
        "cloud6.lan",
        "zero.lan",
        "group.lan",
        "nat64.lan",
        "sixtofour.lan",
    ],
)
async def test_a_name_that_leads_to_a_refused_address_is_refused_although_listed(host: str) -> None:
    error = await refusal(policy(f"http://{host}/*"), f"http://{host}/x")
    assert error.code is ErrorCode.LINK_NOT_ALLOWED
    assert host not in str(error.to_dict())


async def test_localhost_is_this_computer_or_refused() -> None:
    async def poisoned(host: str) -> Sequence[str]:
        return ["169.254.169.254"]

    checked = LinkPolicy(LinkSettings(allow=("http://localhost:1984/*",)), poisoned)
    assert (await refusal(checked, "http://localhost:1984/x")).code is ErrorCode.LINK_NOT_ALLOWED


async def test_a_name_without_address_is_unreachable() -> None:
    error = await refusal(policy("http://gone.lan/*"), "http://gone.lan/x")
    assert error.code is ErrorCode.LINK_UNREACHABLE


async def test_what_is_not_listed_is_never_resolved() -> None:
    async def forbidden(host: str) -> Sequence[str]:
        raise AssertionError(host)

    checked = LinkPolicy(LinkSettings(allow=("http://cam.lan/*",)), forbidden)
    assert (await refusal(checked, "http://evil.example/x")).code is ErrorCode.LINK_NOT_ALLOWED


async def test_a_prefix_ends_where_it_ends() -> None:
    checked = policy("http://cam.lan/live/*")
    assert (await address(checked, "http://cam.lan/live/1")).address == "http://cam.lan/live/1"
    for link in ("http://cam.lan/liv", "http://cam.lan/live", "http://cam.lan/admin", "http://cam.lan:81/live/1"):
        assert (await refusal(checked, link)).code is ErrorCode.LINK_NOT_ALLOWED


async def test_an_entrys_login_is_not_lent_to_another_login() -> None:
    error = await refusal(policy("rtsp://user:secret@cam.lan/*"), "rtsp://other:word@cam.lan/live")
    assert error.code is ErrorCode.LINK_NOT_ALLOWED


async def test_no_login_in_a_name_or_repr() -> None:
    found = await address(
        policy("http://cam.lan/*", "http://user:secret@evil.example/a", "rtsp://evil.example/*"),
        "http://user:secret@evil.example/a",
    )
    assert found.name == "evil.example-2"
    assert "secret" not in repr(found)
    link = await address(policy("http://cam.lan/*"), "http://cam.lan/?user=admin&password=secret")
    assert (link.name, "secret" in repr(link)) == ("cam.lan", False)


async def test_webcams_by_index() -> None:
    checked = policy(webcams=(0, 2))
    assert await checked.check("2") == WebcamLink(index=2, name="webcam-2")
    assert (await refusal(checked, "1")).code is ErrorCode.LINK_NOT_ALLOWED
    assert (await refusal(policy(), "0")).code is ErrorCode.LINK_NOT_ALLOWED


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "http://*",
        "http://cam*",
        "http://*.lan/x",
        "http://cam.lan*",
        "http://cam.lan:80*",
        "http://cam.lan:*/x",
        "http://cam.lan/*/x",
        "http*://cam.lan/x",
        "http://*@cam.lan/x",
        "file:///srv/*",
        "cam.lan/x",
        "http://cam.lan/../*",
        "http://2130706433/*",
        "http://k\u00fcche.lan/x",
        "http://169.254.169.254/*",
        "http://[fd00:ec2::254]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://metadata.google.internal/*",
        "",
    ],
)
def test_an_entry_that_cannot_be_meant_is_a_problem_by_its_number(entry: str) -> None:
    with pytest.raises(SettingsError) as caught:
        policy("rtsp://user:secret@cam.lan/*", entry)
    assert len(caught.value.problems) == 1
    assert "links.allow.2: " in caught.value.problems[0]
    assert "secret" not in str(caught.value)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_every_ipv4_rule_holds_for_its_ipv6_forms(found: IPv4Address | IPv6Address) -> None:
    if isinstance(found, IPv4Address):
        for form in (f"::ffff:{found}", f"64:ff9b::{found}", str(IPv6Address((0x2002 << 112) | (int(found) << 80)))):
            assert is_refused(ip_address(form)) or not is_refused(found)
    assert is_refused(found) or not (found.is_loopback or found.is_link_local or found.is_multicast)


@given(st.text(max_size=60), st.sampled_from(["http://", "rtsp://", "http://good.example", "http://good.example/", ""]))
async def test_whatever_is_asked_only_the_listed_host_is_opened(text: str, start: str) -> None:
    asked: list[str] = []

    async def note(host: str) -> Sequence[str]:
        asked.append(host)
        return [CAMERA]

    checked = LinkPolicy(LinkSettings(allow=("http://good.example/*", "rtsp://good.example/*")), note)
    for link in (start + text, start + quote(text), f"http://{text}@good.example/", f"http://good.example/{text}"):
        found = await opened_or_code(checked, link)
        if found is ErrorCode.LINK_NOT_ALLOWED:
            continue
        assert isinstance(found, AddressLink)
        assert found.address.partition("://")[2].partition("/")[0].rpartition("@")[2] == "good.example"
        assert ".." not in found.address.split("/")
    assert set(asked) <= {"good.example"}


@pytest.mark.parametrize(
    ("configured", "opened", "peer", "name"),
    [
        ("rtsp://cam.lan/stream1", "rtsp://cam.lan/stream1", CAMERA, "cam.lan"),
        ("RTSP://user:p%40ss@CAM.lan:554/s?x=1", "rtsp://user:p%40ss@cam.lan/s?x=1", CAMERA, "cam.lan"),
        ("http://cam6.lan:8080", "http://cam6.lan:8080/", "fd12::20", "cam6.lan"),
        ("rtsp://127.0.0.1:8554/live", "rtsp://127.0.0.1:8554/live", "127.0.0.1", "127.0.0.1"),
        ("rtsp://localhost/live", "rtsp://localhost/live", "127.0.0.1", "localhost"),
    ],
)
async def test_an_address_that_the_owner_configured(configured: str, opened: str, peer: str, name: str) -> None:
    link = await owner_link(configured, resolve)
    assert (link.address, link.peer, link.name) == (opened, peer, name)
    assert "p%40ss" not in repr(link)


@pytest.mark.parametrize(
    "configured",
    [
        "",
        "0",
        "porch",
        "file:///etc/passwd",
        "ftp://cam.lan/x",
        "rtsp://cam.lan/*",
        "rtsp://cam.lan/../x",
        "rtsp://cam.lan/%2e%2e/x",
        "rtsp://user:pass:word@cam.lan/x",
        "http://2130706433/",
        "http://169.254.169.254/latest",
        "http://metadata.google.internal/",
        *(
            f"rtsp://{host}/live"
            for host in HOSTS
            if host.split(".")[0] in {"inside", "half", "mapped", "cloud", "cloud6"}
        ),
        *(f"rtsp://{host}/live" for host in sorted(HOSTS.keys() - CAMERAS)),
    ],
)
async def test_an_owners_address_is_read_as_strictly(configured: str) -> None:
    with pytest.raises(PrivFaceError) as caught:
        await owner_link(configured, resolve)
    assert caught.value.code is ErrorCode.LINK_NOT_ALLOWED


async def test_an_owners_host_may_have_no_address_yet() -> None:
    with pytest.raises(PrivFaceError) as caught:
        await owner_link("rtsp://later.lan/live", resolve)
    assert caught.value.code is ErrorCode.LINK_UNREACHABLE
