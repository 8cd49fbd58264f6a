"""The flows of the entry, against real backends: each to its end, and out of each error."""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_MQTT,
    SOURCE_USER,
    SOURCE_ZEROCONF,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from component.flow_texts import COMPONENT, checking_texts, read_texts
from custom_components.privface.address import normalize_url
from custom_components.privface.api import PrivFaceClient
from custom_components.privface.const import DOMAIN
from support.backend_process import BackendProcess
from support.ports import free_port

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
type Start = Callable[..., Awaitable[str]]

ID = "1f8a2a6e-54f0-4d4b-9e55-000000000001"
OTHER_ID = "1f8a2a6e-54f0-4d4b-9e55-000000000002"
OLD = "pf_old"
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def texts() -> Iterator[None]:
    with checking_texts():
        yield


@pytest.fixture(autouse=True)
def setup_entry() -> Iterator[AsyncMock]:
    """Entries are made, but not set up: that has tests of its own."""
    with (
        patch("custom_components.privface.async_setup_entry", return_value=True) as setup,
        patch("custom_components.privface.async_unload_entry", return_value=True),
    ):
        yield setup


@pytest.fixture
def info(backend: BackendProcess) -> dict[str, Any]:
    """What the real backend says of itself."""
    said: dict[str, Any] = backend.call("GET", "/api/v1/info")
    return said


@pytest.fixture
async def serve(socket_enabled: None) -> AsyncIterator[Start]:
    """Starts HTTP servers that answer everything in one way; gives their addresses."""
    servers = []

    async def start(answer: Answer, context: ssl.SSLContext | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        server = TestServer(app, host="127.0.0.1", scheme="https" if context else "http")
        servers.append(server)
        if context:
            expect_refused_handshakes()
        await server.start_server(ssl=context)
        return str(server.make_url("/")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


def expect_refused_handshakes() -> None:
    """A client that refuses the certificate is an error to the server, and the server shares its loop with the test."""
    loop = asyncio.get_running_loop()
    handle = loop.get_exception_handler()
    assert handle is not None

    def handle_others(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not context["message"].startswith("Error on transport creation"):
            handle(loop, context)

    loop.set_exception_handler(handle_others)


def say(info: Mapping[str, Any], **changes: Any) -> Answer:
    """Answer as a backend does that ``info`` describes, with ``changes`` to it, and that knows nobody."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"people": []} if request.path.endswith("/people") else {**info, **changes})

    return answer


def refuse(status: int, code: str) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"error": {"code": code, "message": "No."}}, status=status)

    return answer


async def show_page(_request: web.Request) -> web.Response:
    return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")


def make_context(directory: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "privface")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def make_entry(hass: HomeAssistant, url: str, instance_id: str, token: str = OLD, **more: Any) -> MockConfigEntry:
    data = {"url": url, "token": token, "verify_ssl": True}
    entry = MockConfigEntry(domain=DOMAIN, title="PrivFace", unique_id=instance_id, data=data, **more)
    entry.add_to_hass(hass)
    return entry


def announce(url: str, instance_id: str | None, path: str = "/") -> ZeroconfServiceInfo:
    """What Home Assistant makes of the announcement of a backend at ``url``."""
    host, port = re.fullmatch(r"http://\[?(.+?)\]?:(\d+)", url).groups()  # type: ignore[union-attr]  # a test's own
    return ZeroconfServiceInfo(
        ip_address=ip_address(host),
        ip_addresses=[ip_address(host)],
        port=int(port),
        hostname="home.local.",
        type="_privface._tcp.local.",
        name="PrivFace 1f8a2a._privface._tcp.local.",
        properties={"instance_id": instance_id, "version": "0.1.0", "api_version": "1", "path": path},
    )


def publish(payload: object) -> MqttServiceInfo:
    """What Home Assistant makes of a message on the discovery topic."""
    text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    topic = f"privface/discovery/{ID}"
    return MqttServiceInfo(
        topic=topic, payload=text, qos=0, retain=True, subscribed_topic="privface/discovery/#", timestamp=0.0
    )


async def begin(hass: HomeAssistant, source: str = SOURCE_USER, data: Any = None) -> Any:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": source}, data=data)


async def answer(hass: HomeAssistant, result: Any, values: dict[str, Any]) -> Any:
    result = await hass.config_entries.flow.async_configure(result["flow_id"], values)
    await hass.async_block_till_done()
    return result


# By hand


async def test_user_adds_backend(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any], setup_entry: AsyncMock
) -> None:
    result = await begin(hass)
    assert (result["type"], result["step_id"], result["errors"]) == (FlowResultType.FORM, "user", {})
    result = await answer(hass, result, {"url": f" 127.0.0.1:{backend.port}/ ", "token": f" {token}\n"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "PrivFace"
    assert result["data"] == {"url": backend.url, "token": token, "verify_ssl": True}
    assert result["result"].unique_id == info["instance_id"]
    assert len(setup_entry.mock_calls) == 1


async def test_user_recovers_from_each_error(
    hass: HomeAssistant,
    *,
    backend: BackendProcess,
    token: str,
    info: dict[str, Any],
    serve: Start,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limited = await hass.async_add_executor_job(backend.create_token, "identify")
    tls = await serve(say(info), make_context(tmp_path))
    wrong = (
        ({"url": f"http://127.0.0.1:{free_port()}", "token": token}, {"base": "cannot_connect"}),
        ({"url": backend.url, "token": "pf_wrong"}, {"base": "invalid_auth"}),
        ({"url": backend.url, "token": ""}, {"base": "invalid_auth"}),
        ({"url": backend.url, "token": "pf_…"}, {"base": "invalid_auth"}),
        ({"url": backend.url, "token": "pf_a\npf_b"}, {"base": "invalid_auth"}),
        ({"url": backend.url, "token": limited.text}, {"base": "forbidden"}),
        ({"url": await serve(show_page), "token": token}, {"base": "not_privface"}),
        ({"url": f"{backend.url}/api", "token": token}, {"base": "not_privface"}),
        ({"url": await serve(say(info, api_version=0, min_api_version=0)), "token": token}, {"base": "too_old"}),
        ({"url": await serve(say(info, api_version=9, min_api_version=9)), "token": token}, {"base": "too_new"}),
        ({"url": await serve(refuse(429, "too_many_attempts")), "token": token}, {"base": "too_many_attempts"}),
        ({"url": await serve(refuse(500, "internal")), "token": token}, {"base": "unknown"}),
        ({"url": tls, "token": token}, {"base": "tls"}),
        ({"url": "two words", "token": token}, {"url": "invalid_url"}),
        ({"url": "http://me:secret@127.0.0.1", "token": token}, {"url": "url_credentials"}),
    )
    result = await begin(hass)
    for values, errors in wrong:
        result = await answer(hass, result, values)
        assert (result["type"], result["errors"]) == (FlowResultType.FORM, errors), values
    assert "(internal)" in caplog.text

    result = await answer(hass, result, {"url": tls, "token": token, "verify_ssl": False})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"url": tls, "token": token, "verify_ssl": False}


async def test_user_recovers_from_what_nobody_foresaw(
    hass: HomeAssistant, backend: BackendProcess, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"url": backend.url, "token": token}
    result = await begin(hass)
    # Nothing real brings the client to it: that is what makes it unforeseen.
    with patch.object(PrivFaceClient, "info", side_effect=RuntimeError("a mistake of ours")):
        result = await answer(hass, result, values)
    assert result["errors"] == {"base": "unknown"}
    assert "a mistake of ours" in caplog.text

    result = await answer(hass, result, values)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_user_adds_backend_without_tokens(hass: HomeAssistant, info: dict[str, Any], serve: Start) -> None:
    url = await serve(say(info, instance_id=ID))
    result = await answer(hass, await begin(hass), {"url": url})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"url": url, "token": "", "verify_ssl": True}


@pytest.mark.parametrize("listening", [True, False])
async def test_user_finds_backend_configured(
    hass: HomeAssistant,
    *,
    backend: BackendProcess,
    token: str,
    info: dict[str, Any],
    listening: bool,
    setup_entry: AsyncMock,
) -> None:
    entry = make_entry(hass, CLOSED, info["instance_id"])
    assert await hass.config_entries.async_setup(entry.entry_id)
    listener = AsyncMock()
    if listening:
        entry.add_update_listener(listener)
    result = await answer(hass, await begin(hass), {"url": backend.url, "token": token, "verify_ssl": False})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert dict(entry.data) == {"url": backend.url, "token": token, "verify_ssl": False}
    # Either the listener takes the change in, or the entry is set up again.
    assert (len(listener.mock_calls), len(setup_entry.mock_calls)) == ((1, 1) if listening else (0, 2))


async def test_user_mends_entry_that_failed_by_adding_it_again(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any], setup_entry: AsyncMock
) -> None:
    entry = make_entry(hass, backend.url, info["instance_id"], state=ConfigEntryState.SETUP_ERROR)
    result = await answer(hass, await begin(hass), {"url": backend.url, "token": token})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert dict(entry.data) == {"url": backend.url, "token": token, "verify_ssl": True}
    assert len(setup_entry.mock_calls) == 1
    assert entry.state is ConfigEntryState.LOADED


async def test_user_adds_ignored_backend(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any]
) -> None:
    MockConfigEntry(domain=DOMAIN, unique_id=info["instance_id"], source=SOURCE_IGNORE, data={}).add_to_hass(hass)
    result = await answer(hass, await begin(hass), {"url": backend.url, "token": token})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert dict(entry.data) == {"url": backend.url, "token": token, "verify_ssl": True}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("privface", "http://privface:8090"),
        (" privface.local/ ", "http://privface.local:8090"),
        ("privface:80", "http://privface"),
        ("192.168.1.20:8091", "http://192.168.1.20:8091"),
        ("192.168.1.20/faces/", "http://192.168.1.20:8090/faces"),
        ("::1", "http://[::1]:8090"),
        ("[fd00::20]:8091", "http://[fd00::20]:8091"),
        ("http://privface", "http://privface"),
        ("HTTPS://Home.Example.com/privface/?a=b#c", "https://home.example.com/privface"),
        ("https://home.example.com:8443", "https://home.example.com:8443"),
        ("http://münchen.local", "http://xn--mnchen-3ya.local"),
    ],
)
def test_address_is_normalized(text: str, url: str) -> None:
    assert normalize_url(text) == url
    assert normalize_url(url) == url


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "invalid_url"),
        ("http://", "invalid_url"),
        ("ftp://privface", "invalid_url"),
        ("two words", "invalid_url"),
        ("privface:99999", "invalid_url"),
        ("privface:0", "invalid_url"),
        ("privface:port", "invalid_url"),
        ("http:///privface", "invalid_url"),
        ("http://priv%20face", "invalid_url"),
        ("me@privface", "url_credentials"),
        ("https://me:secret@privface", "url_credentials"),
        ("https://:secret@privface", "url_credentials"),
    ],
)
def test_bad_address_is_refused(text: str, key: str) -> None:
    with pytest.raises(ValueError, match=f"^{key}$"):
        normalize_url(text)


# Discovered


@pytest.mark.parametrize("source", [SOURCE_ZEROCONF, SOURCE_MQTT])
async def test_discovered_backend_is_added(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any], source: str
) -> None:
    found = {"instance_id": info["instance_id"], "url": f"{backend.url}/", "version": "0.1.0", "api_version": 1}
    data = publish(found) if source == SOURCE_MQTT else announce(backend.url, info["instance_id"])
    result = await begin(hass, source, data)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "discovery_confirm")
    assert result["description_placeholders"] == {"url": backend.url}
    assert list(result["data_schema"].schema) == ["token"]
    (progress,) = hass.config_entries.flow.async_progress()
    assert progress["context"]["title_placeholders"] == {"name": f"127.0.0.1:{backend.port}"}

    result = await answer(hass, result, {"token": "pf_wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    result = await answer(hass, result, {"token": token})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"url": backend.url, "token": token, "verify_ssl": True}
    assert result["result"].unique_id == info["instance_id"]


async def test_discovery_asks_about_certificate_for_https(
    hass: HomeAssistant, info: dict[str, Any], serve: Start, tmp_path: Path
) -> None:
    url = await serve(say(info, instance_id=ID), make_context(tmp_path))
    result = await begin(hass, SOURCE_MQTT, publish({"instance_id": ID, "url": url}))
    assert list(result["data_schema"].schema) == ["token", "verify_ssl"]
    result = await answer(hass, result, {"token": "pf_right"})
    assert result["errors"] == {"base": "tls"}
    result = await answer(hass, result, {"token": "pf_right", "verify_ssl": False})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"url": url, "token": "pf_right", "verify_ssl": False}


async def test_discovered_address_must_lead_to_what_was_announced(
    hass: HomeAssistant, info: dict[str, Any], serve: Start
) -> None:
    answers = iter((OTHER_ID, ID))

    async def change(request: web.Request) -> web.StreamResponse:
        current = {} if request.path.endswith("/people") else {"instance_id": next(answers)}
        return await say(info, **current)(request)

    result = await begin(hass, SOURCE_ZEROCONF, announce(await serve(change), ID))
    result = await answer(hass, result, {"token": "pf_right"})
    assert result["errors"] == {"base": "another_backend"}
    result = await answer(hass, result, {"token": "pf_right"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == ID


async def test_discovery_with_path_and_ipv6(hass: HomeAssistant) -> None:
    result = await begin(hass, SOURCE_ZEROCONF, announce("http://[fd00::20]:8091", ID, "/faces/"))
    assert result["description_placeholders"] == {"url": "http://[fd00::20]:8091/faces"}


async def test_same_backend_is_discovered_once(hass: HomeAssistant) -> None:
    await begin(hass, SOURCE_ZEROCONF, announce(CLOSED, ID))
    result = await begin(hass, SOURCE_MQTT, publish({"instance_id": ID, "url": CLOSED}))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_in_progress")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        (SOURCE_MQTT, publish("")),
        (SOURCE_MQTT, publish(b"\xff")),
        (SOURCE_MQTT, publish("{")),
        (SOURCE_MQTT, publish([ID, CLOSED])),
        (SOURCE_MQTT, publish({"url": CLOSED})),
        (SOURCE_MQTT, publish({"instance_id": 7, "url": CLOSED})),
        (SOURCE_MQTT, publish({"instance_id": "", "url": CLOSED})),
        (SOURCE_MQTT, publish({"instance_id": "x" * 65, "url": CLOSED})),
        (SOURCE_MQTT, publish({"instance_id": ID})),
        (SOURCE_MQTT, publish({"instance_id": ID, "url": 7})),
        (SOURCE_MQTT, publish({"instance_id": ID, "url": "file:///etc/passwd"})),
        (SOURCE_MQTT, publish({"instance_id": ID, "url": "http://me:secret@127.0.0.1"})),
        (SOURCE_ZEROCONF, announce(CLOSED, None)),
    ],
)
async def test_what_describes_no_backend_is_left_alone(hass: HomeAssistant, source: str, data: Any) -> None:
    result = await begin(hass, source, data)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "invalid_discovery_info")


@pytest.mark.parametrize("source", [SOURCE_ZEROCONF, SOURCE_MQTT])
@pytest.mark.parametrize("listening", [True, False])
async def test_entry_follows_backend_that_moved(
    hass: HomeAssistant,
    *,
    backend: BackendProcess,
    token: str,
    info: dict[str, Any],
    source: str,
    listening: bool,
    setup_entry: AsyncMock,
) -> None:
    old = f"http://127.0.0.1:{free_port()}"
    entry = make_entry(hass, old, info["instance_id"], token)
    assert await hass.config_entries.async_setup(entry.entry_id)
    listener = AsyncMock()
    if listening:
        entry.add_update_listener(listener)
    found = {"instance_id": info["instance_id"], "url": backend.url}
    data = publish(found) if source == SOURCE_MQTT else announce(backend.url, info["instance_id"])
    result = await begin(hass, source, data)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "discovery_moved")
    assert result["description_placeholders"] == {"title": "PrivFace", "old": old, "url": backend.url}
    assert entry.data["url"] == old, "nobody has confirmed it"

    result = await answer(hass, result, {})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "address_changed")
    assert dict(entry.data) == {"url": backend.url, "token": token, "verify_ssl": True}
    assert (len(listener.mock_calls), len(setup_entry.mock_calls)) == ((1, 1) if listening else (0, 2))


@pytest.mark.parametrize("source", [SOURCE_ZEROCONF, SOURCE_MQTT])
async def test_token_goes_nowhere_unconfirmed(
    hass: HomeAssistant, info: dict[str, Any], serve: Start, source: str
) -> None:
    tokens: list[str | None] = []

    async def listen(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers.get("Authorization"))
        return await say(info, instance_id=ID)(request)

    foreign = await serve(listen)
    old = f"http://127.0.0.1:{free_port()}"
    entry = make_entry(hass, old, ID)
    data = publish({"instance_id": ID, "url": foreign}) if source == SOURCE_MQTT else announce(foreign, ID)
    result = await begin(hass, source, data)
    await hass.async_block_till_done()
    assert result["step_id"] == "discovery_moved"
    again = await begin(hass, SOURCE_MQTT, publish({"instance_id": ID, "url": f"{foreign}/again"}))
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_in_progress")
    assert tokens == [], "nobody has confirmed the address"
    assert entry.data["url"] == old

    await answer(hass, result, {})
    assert set(tokens) == {f"Bearer {OLD}"}


async def test_confirmed_address_must_lead_to_the_backend(
    hass: HomeAssistant, info: dict[str, Any], serve: Start
) -> None:
    answers = iter((refuse(401, "unauthenticated"), say(info, instance_id=OTHER_ID), say(info, instance_id=ID)))
    current = say(info)

    async def change(request: web.Request) -> web.StreamResponse:
        nonlocal current
        if not request.path.endswith("/people"):
            current = next(answers)
        return await current(request)

    old = f"http://127.0.0.1:{free_port()}"
    new = await serve(change)
    entry = make_entry(hass, old, ID)
    result = await begin(hass, SOURCE_ZEROCONF, announce(new, ID))
    for error in ("invalid_auth", "another_backend"):
        result = await answer(hass, result, {})
        assert (result["step_id"], result["errors"]) == ("discovery_moved", {"base": error})
        assert entry.data["url"] == old
    result = await answer(hass, result, {})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "address_changed")
    assert dict(entry.data) == {"url": new, "token": OLD, "verify_ssl": True}


async def test_entry_removed_while_its_new_address_is_asked_about(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any]
) -> None:
    entry = make_entry(hass, f"http://127.0.0.1:{free_port()}", info["instance_id"])
    result = await begin(hass, SOURCE_ZEROCONF, announce(backend.url, info["instance_id"]))
    assert result["step_id"] == "discovery_moved"
    await hass.config_entries.async_remove(entry.entry_id)
    result = await answer(hass, result, {})
    assert result["step_id"] == "discovery_confirm"
    result = await answer(hass, result, {"token": token})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("configured", [True, False])
async def test_ignoring_removes_no_entry(hass: HomeAssistant, configured: bool) -> None:
    entry = make_entry(hass, f"http://127.0.0.1:{free_port()}", ID) if configured else None
    result = await begin(hass, SOURCE_ZEROCONF, announce(CLOSED, ID))
    assert result["step_id"] == ("discovery_moved" if configured else "discovery_confirm")
    await begin(hass, SOURCE_IGNORE, {"unique_id": ID, "title": "PrivFace"})
    assert hass.config_entries.flow.async_progress() == []
    (left,) = hass.config_entries.async_entries(DOMAIN)
    if entry:
        assert left is entry
    else:
        assert left.source == SOURCE_IGNORE


async def test_entry_keeps_address_that_works(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any], serve: Start
) -> None:
    entry = make_entry(hass, backend.url, info["instance_id"], token)
    asked = AsyncMock(side_effect=say(info))
    result = await begin(hass, SOURCE_ZEROCONF, announce(await serve(asked), info["instance_id"]))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.data["url"] == backend.url
    assert not asked.mock_calls, "the token must not go where nobody sent it"


@pytest.mark.parametrize(
    ("there", "asks"),
    [
        ("refuses", False),
        ("fails", False),
        ("another", True),
        ("page", True),
        ("wrong path", True),
    ],
)
async def test_only_an_address_that_leads_elsewhere_is_asked_about(
    hass: HomeAssistant, info: dict[str, Any], serve: Start, there: str, *, asks: bool
) -> None:
    answers = {
        "refuses": refuse(401, "unauthenticated"),
        "fails": refuse(500, "internal"),
        "another": say(info, instance_id=OTHER_ID),
        "page": show_page,
        "wrong path": refuse(404, "not_found"),
    }
    old = await serve(answers[there])
    entry = make_entry(hass, old, ID)
    result = await begin(hass, SOURCE_ZEROCONF, announce(CLOSED, ID))
    assert (result.get("step_id"), result.get("reason")) == (
        ("discovery_moved", None) if asks else (None, "already_configured")
    )
    assert entry.data["url"] == old


async def test_entry_never_leaves_https(hass: HomeAssistant, info: dict[str, Any], serve: Start) -> None:
    old = f"https://127.0.0.1:{free_port()}"
    entry = make_entry(hass, old, ID)
    asked = AsyncMock(side_effect=say(info, instance_id=ID))
    result = await begin(hass, SOURCE_ZEROCONF, announce(await serve(asked), ID))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.data["url"] == old
    assert not asked.mock_calls


async def test_entry_that_waits_is_tried_again_when_its_backend_is_discovered(
    hass: HomeAssistant, setup_entry: AsyncMock
) -> None:
    entry = make_entry(hass, CLOSED, ID, state=ConfigEntryState.SETUP_RETRY)
    result = await begin(hass, SOURCE_ZEROCONF, announce(CLOSED, ID))
    await hass.async_block_till_done()
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert len(setup_entry.mock_calls) == 1
    assert entry.state is ConfigEntryState.LOADED


async def test_ignored_backend_stays_ignored(hass: HomeAssistant) -> None:
    MockConfigEntry(domain=DOMAIN, unique_id=ID, source=SOURCE_IGNORE, data={}).add_to_hass(hass)
    result = await begin(hass, SOURCE_ZEROCONF, announce(CLOSED, ID))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


# Another token, another address


@pytest.mark.parametrize("state", ["listening", "failed", "unchanged"])
async def test_reauthentication(
    hass: HomeAssistant, own_backend: BackendProcess, state: str, setup_entry: AsyncMock
) -> None:
    token = await hass.async_add_executor_job(own_backend.create_token)
    info = await hass.async_add_executor_job(own_backend.call, "GET", "/api/v1/info")
    old = token.text if state == "unchanged" else "pf_revoked"
    entry = make_entry(hass, own_backend.url, info["instance_id"], old)
    listener = AsyncMock()
    if state == "failed":
        entry.mock_state(hass, ConfigEntryState.SETUP_ERROR)
    else:
        assert await hass.config_entries.async_setup(entry.entry_id)
        entry.add_update_listener(listener)
        setup_entry.reset_mock()

    result = await entry.start_reauth_flow(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "reauth_confirm")
    result = await answer(hass, result, {"token": "pf_wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    await hass.async_add_executor_job(own_backend.stop)
    result = await answer(hass, result, {"token": token.text})
    assert result["errors"] == {"base": "cannot_connect"}
    await hass.async_add_executor_job(own_backend.start)
    result = await answer(hass, result, {"token": token.text})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    assert dict(entry.data) == {"url": own_backend.url, "token": token.text, "verify_ssl": True}
    # The listener takes the change in; where there is none, or no change, the entry is set up again.
    assert (len(listener.mock_calls), len(setup_entry.mock_calls)) == ((1, 0) if state == "listening" else (0, 1))
    assert entry.state is ConfigEntryState.LOADED


async def test_reauthentication_with_another_backend(hass: HomeAssistant, backend: BackendProcess, token: str) -> None:
    entry = make_entry(hass, backend.url, OTHER_ID)
    result = await answer(hass, await entry.start_reauth_flow(hass), {"token": token})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "unique_id_mismatch")
    assert entry.data["token"] == OLD


async def test_reconfiguration(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any], setup_entry: AsyncMock
) -> None:
    entry = make_entry(hass, CLOSED, info["instance_id"])
    result = await entry.start_reconfigure_flow(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "reconfigure")
    suggested = {str(key): (key.description or {}).get("suggested_value") for key in result["data_schema"].schema}
    assert suggested == {"url": CLOSED, "token": None, "verify_ssl": True}, "the token stays where it is"

    result = await answer(hass, result, {"url": "two words", "token": token, "verify_ssl": True})
    assert result["errors"] == {"url": "invalid_url"}
    result = await answer(hass, result, {"url": backend.url, "token": "", "verify_ssl": True})
    assert result["errors"] == {"base": "invalid_auth"}, "an empty field means the present token, which is wrong"
    result = await answer(hass, result, {"url": backend.url, "token": token, "verify_ssl": False})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert dict(entry.data) == {"url": backend.url, "token": token, "verify_ssl": False}
    assert len(setup_entry.mock_calls) == 1


async def test_reconfiguration_keeps_token(
    hass: HomeAssistant, backend: BackendProcess, token: str, info: dict[str, Any]
) -> None:
    entry = make_entry(hass, CLOSED, info["instance_id"], token)
    result = await answer(hass, await entry.start_reconfigure_flow(hass), {"url": backend.url, "token": " "})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert dict(entry.data) == {"url": backend.url, "token": token, "verify_ssl": True}


async def test_reconfiguration_to_another_backend(hass: HomeAssistant, backend: BackendProcess, token: str) -> None:
    entry = make_entry(hass, CLOSED, OTHER_ID)
    values = {"url": backend.url, "token": token}
    result = await answer(hass, await entry.start_reconfigure_flow(hass), values)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "unique_id_mismatch")
    assert entry.data["url"] == CLOSED


# Options


async def test_options(hass: HomeAssistant) -> None:
    entry = make_entry(hass, CLOSED, ID)
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "init")
    assert result["data_schema"]({}) == {"present_seconds": 60, "stranger_seconds": 60, "picture_seconds": 600}

    right = {"present_seconds": 10.0, "stranger_seconds": 3600.0, "picture_seconds": 0.0}
    for wrong in ({"present_seconds": 9}, {"stranger_seconds": 3601}, {"picture_seconds": 86401},
                  {"picture_seconds": -1}, {"present_seconds": 10.5}, {"present_seconds": "nan"}):  # fmt: skip
        with pytest.raises(InvalidData):
            await hass.config_entries.options.async_configure(result["flow_id"], right | wrong)
    result = await hass.config_entries.options.async_configure(result["flow_id"], right)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert dict(entry.options) == {"present_seconds": 10, "stranger_seconds": 3600, "picture_seconds": 0}
    assert all(type(seconds) is int for seconds in entry.options.values())

    result = await hass.config_entries.options.async_init(entry.entry_id)
    suggested = {str(key): key.description["suggested_value"] for key in result["data_schema"].schema}
    assert suggested == entry.options


# What is shown, what is not, and the texts


async def test_cameras_can_be_added_and_changed(hass: HomeAssistant) -> None:
    assert make_entry(hass, CLOSED, ID).supported_subentry_types == {"camera": {"supports_reconfigure": True}}


async def test_forms_reach_the_browser(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    entry = make_entry(hass, CLOSED, ID)
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()

    response = await client.post("/api/config/config_entries/flow", json={"handler": DOMAIN})
    form = await response.json()
    fields = {field["name"]: field for field in form["data_schema"]}
    assert list(fields) == ["url", "token", "verify_ssl"]
    assert fields["token"]["selector"]["text"]["type"] == "password"
    assert fields["verify_ssl"]["default"] is True

    response = await client.post("/api/config/config_entries/options/flow", json={"handler": entry.entry_id})
    form = await response.json()
    for field in form["data_schema"]:
        assert field["selector"]["number"]["unit_of_measurement"] == "s"
        assert field["selector"]["number"]["mode"] == "box"


async def test_no_secret_reaches_the_log(
    hass: HomeAssistant,
    backend: BackendProcess,
    info: dict[str, Any],
    serve: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "pf_5ecret"
    urls = (
        f"http://me:{secret}@127.0.0.1:{backend.port}",
        backend.url,
        f"http://127.0.0.1:{free_port()}",
        await serve(show_page),
        await serve(refuse(500, "internal")),
        await serve(say(info, api_version=9, min_api_version=9)),
    )
    entry = make_entry(hass, f"http://127.0.0.1:{free_port()}", info["instance_id"], secret)
    flows = [await begin(hass), await entry.start_reauth_flow(hass), await entry.start_reconfigure_flow(hass)]
    for url in urls:
        for flow in flows:
            with_url = {} if flow["step_id"] == "reauth_confirm" else {"url": url}
            result = await answer(hass, flow, {"token": secret, **with_url})
            assert result["errors"]
    with patch.object(PrivFaceClient, "info", side_effect=RuntimeError("a mistake of ours")):
        assert (await answer(hass, flows[0], {"url": backend.url, "token": secret}))["errors"] == {"base": "unknown"}
    for url in (urls[0], backend.url):
        await begin(hass, SOURCE_MQTT, publish({"instance_id": info["instance_id"], "url": url}))
    result = await answer(hass, flows[0], {"url": await serve(say(info, instance_id=OTHER_ID)), "token": secret})
    assert result["type"] is FlowResultType.CREATE_ENTRY

    assert "a mistake of ours" in caplog.text
    assert "5ecret" not in caplog.text


def test_texts_have_a_use() -> None:
    texts = read_texts()
    source = "".join(
        (COMPONENT / name).read_text("utf-8")
        for name in ("address.py", "contact.py", "config_flow.py", "camera_flow.py")
    )
    from_home_assistant = {"already_configured", "unique_id_mismatch"}
    for flow in (texts["config"], texts["config_subentries"]["camera"]):
        for key in (flow["error"].keys() | flow["abort"].keys()) - from_home_assistant:
            assert f'"{key}"' in source, key
        for step in flow["step"]:
            assert f"async_step_{step}(" in source, step
