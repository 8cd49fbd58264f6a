"""The link to a real Mosquitto over TLS, with and without a client certificate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiomqtt
import pytest
import trustme

from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttProtocol, MqttSettings
from privface_backend.mqtt.status import LinkState
from support.mosquitto import Mosquitto, ServerCertificate, needs_mosquitto
from support.mqtt import FAST, PATIENCE, make_event, running, until, watching

pytestmark = needs_mosquitto


@dataclass(frozen=True)
class Certificates:
    """A CA, what it signed, and another CA that signed nothing here."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    other_ca: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    files = Certificates(
        *(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key", "other"))
    )
    server, client = ca.issue_cert("127.0.0.1", "localhost"), ca.issue_cert("privface@home.example")
    ca.cert_pem.write_to_path(str(files.ca))
    trustme.CA().cert_pem.write_to_path(str(files.other_ca))
    for issued, certificate, key in (
        (server, files.server, files.server_key),
        (client, files.client, files.client_key),
    ):
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
    return files


def start_broker(folder: Path, files: Certificates, *, require_client: bool) -> Mosquitto:
    shown = ServerCertificate(
        ca_file=files.ca, cert_file=files.server, key_file=files.server_key, require_client=require_client
    )
    return Mosquitto(folder, certificate=shown)


@pytest.fixture(scope="module")
def broker(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with start_broker(tmp_path_factory.mktemp("mosquitto"), certificates, require_client=False) as broker:
        yield broker


@pytest.fixture(scope="module")
def strict(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker that wants a certificate of its clients."""
    with start_broker(tmp_path_factory.mktemp("strict"), certificates, require_client=True) as broker:
        yield broker


def settings(broker: Mosquitto, files: Certificates, protocol: MqttProtocol = MqttProtocol.AUTO) -> MqttSettings:
    return MqttSettings(port=broker.port, tls=True, ca_file=files.ca, protocol=protocol, timeout=PATIENCE)


@pytest.mark.parametrize("protocol", [MqttProtocol.V5, MqttProtocol.V311])
async def test_events_go_over_tls(broker: Mosquitto, certificates: Certificates, protocol: MqttProtocol) -> None:
    trusted = aiomqtt.TLSParameters(ca_certs=str(certificates.ca))
    link = MqttLink(settings(broker, certificates, protocol), backoff=FAST)
    async with watching(broker.port, "privface/event", tls_params=trusted) as watcher, running(link):
        link.publish_event(make_event(1))
        await until(lambda: watcher.seen)
        assert link.status.version is protocol


async def test_a_broker_that_another_ca_signed_is_not_trusted(
    broker: Mosquitto, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    link = MqttLink(replace(settings(broker, certificates), ca_file=certificates.other_ca), backoff=FAST)
    async with running(link):
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert "not trusted" in link.status.reason
        assert "ca_file" in link.status.reason
    assert "connected to" not in caplog.text


async def test_a_certificate_of_another_name_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    ca, cert_file, key_file = trustme.CA(), tmp_path / "elsewhere.pem", tmp_path / "elsewhere-key.pem"
    issued = ca.issue_cert("elsewhere.example")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(cert_file))
    issued.private_key_pem.write_to_path(str(key_file))
    shown = ServerCertificate(ca_file=tmp_path / "ca.pem", cert_file=cert_file, key_file=key_file)
    with Mosquitto(tmp_path, certificate=shown) as broker:
        chosen = replace(settings(broker, certificates), ca_file=tmp_path / "ca.pem")
        async with running(MqttLink(chosen, backoff=FAST)) as link:
            await until(lambda: link.status.state is LinkState.UNREACHABLE)
            assert "not trusted" in link.status.reason


async def test_without_checking_any_certificate_will_do(broker: Mosquitto, certificates: Certificates) -> None:
    link = MqttLink(
        replace(settings(broker, certificates), ca_file=certificates.other_ca, tls_insecure=True), backoff=FAST
    )
    async with running(link):
        await link.wait_connected(PATIENCE)


async def test_a_client_certificate_lets_us_in(strict: Mosquitto, certificates: Certificates) -> None:
    chosen = replace(settings(strict, certificates), cert_file=certificates.client, key_file=certificates.client_key)
    async with running(MqttLink(chosen, backoff=FAST)) as link:
        link.publish_event(make_event(1))
        await link.wait_connected(PATIENCE)
        await until(lambda: link.counters.published == 1)


async def test_without_a_client_certificate_we_are_told_so(strict: Mosquitto, certificates: Certificates) -> None:
    async with running(MqttLink(replace(settings(strict, certificates), timeout=0.3), backoff=FAST)) as link:
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert "client certificate" in link.status.reason


async def test_a_missing_file_is_said(broker: Mosquitto, certificates: Certificates, tmp_path: Path) -> None:
    async with running(
        MqttLink(replace(settings(broker, certificates), ca_file=tmp_path / "no"), backoff=FAST)
    ) as link:
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert "ca_file" in link.status.reason


async def test_a_plain_connection_to_a_tls_port_is_told_so(broker: Mosquitto) -> None:
    async with running(MqttLink(MqttSettings(port=broker.port, timeout=0.3), backoff=FAST)) as link:
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert "does it want TLS" in link.status.reason


async def test_tls_to_a_plain_port_is_told_so(tmp_path: Path, certificates: Certificates) -> None:
    with Mosquitto(tmp_path) as plain:
        async with running(MqttLink(settings(plain, certificates), backoff=FAST)) as link:
            await until(lambda: link.status.state is LinkState.UNREACHABLE)
            assert "speak TLS" in link.status.reason
