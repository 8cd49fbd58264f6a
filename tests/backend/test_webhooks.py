"""Webhooks: signatures, what is sent, where it may go, settings; and the snippets of ``docs/EVENTS.md``."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from privface_backend.errors import SettingsError
from privface_backend.protocol import Outcome, Phase, StrangerRef
from privface_backend.settings_loading import load_settings
from privface_backend.settings_push import WebhookSettings, read_key
from privface_backend.webhooks.guard import GuardedResolver, RefusedAddressError, allowed_addresses, check_literal
from privface_backend.webhooks.messages import MOST_BYTES, event_message, is_wanted, trial_message
from privface_backend.webhooks.signing import sign, signed_headers
from support.mqtt import make_event

PAGE = (Path(__file__).parents[2] / "docs" / "EVENTS.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PLAIN = "häuschen-am-see-17"
HOOK = WebhookSettings(url="http://192.168.1.5:1880/privface", secret=SECRET)


def test_the_specifications_own_example() -> None:
    signature = sign(read_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def snippet(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def python_verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)  # noqa: S102  # the documentation's own words
    return bool(names["verify"](secret, headers, body))


def node_red_verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """The function node, as Node-RED calls it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js isn't installed.")
    given = json.dumps({"code": snippet("javascript"), "secret": secret, "headers": headers,
                        "body": base64.b64encode(body).decode()})  # fmt: skip  # one argument
    script = """
        const given = JSON.parse(process.argv[1]);
        const run = new Function("msg", "env", "crypto", given.code);
        const msg = {payload: Buffer.from(given.body, "base64"), req: {headers: given.headers}, res: {}};
        const out = run(msg, {get: () => given.secret}, require("crypto"));
        console.log(JSON.stringify([out[0], out[1].statusCode]));
    """
    done = subprocess.run([node, "-e", script, given], capture_output=True, text=True, timeout=60, check=True)
    event, status = json.loads(done.stdout)
    assert (event is not None, status) in {(True, 204), (False, 401)}
    assert event is None or event["payload"]["event_id"] == "event-1"
    return event is not None


@pytest.mark.parametrize("verify", [python_verify, node_red_verify])
@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_the_documented_snippets(verify: Any, secret: str) -> None:
    body = event_message(replace(make_event(1), person="Zoë"), names=True).body
    headers = signed_headers(read_key(secret), "event-1", datetime.now(UTC), body)
    assert verify(secret, headers, body)
    assert not verify(secret[:-2] + "Aw", headers, body)
    assert not verify(secret, headers, body.replace(b"known", b"Known"))
    assert not verify(secret, headers | {"webhook-id": "event-2"}, body)
    rotated = "v1,aGVsbG8= " + headers["webhook-signature"]
    assert verify(secret, headers | {"webhook-signature": rotated}, body)
    old = signed_headers(read_key(secret), "event-1", datetime.fromtimestamp(time.time() - 600, UTC), body)
    assert not verify(secret, old, body)


def test_an_event_as_it_is_sent() -> None:
    event = make_event(7)
    message = event_message(event, names=True)
    assert (message.id, message.expires_at) == (event.event_id, event.expires_at)
    document = json.loads(message.body)
    assert document.keys() == {"type", "timestamp", "data"}
    assert (document["type"], document["timestamp"]) == ("event.known", event.to_dict()["ts"])
    assert document["data"] == event.to_dict()
    assert "Anna" not in repr(message)


def test_without_names_nothing_says_who_it_was() -> None:
    event = replace(make_event(7), stranger=StrangerRef(id="7b1d", number=3, visit=2))
    whole, less = (json.loads(event_message(event, names=names).body)["data"] for names in (True, False))
    assert less.keys() == whole.keys()
    assert {key for key in whole if whole[key] != less[key]} == {"person", "person_id", "stranger"}
    for secret in (event.person, event.person_id, "7b1d"):
        assert str(secret) not in event_message(event, names=False).body.decode()


def test_the_largest_event_fits() -> None:
    event = make_event(1)
    largest = replace(event, person="\N{PILE OF POO}" * 256, camera="\N{PILE OF POO}" * 64, request_id="ä" * 256)
    assert not event_message(largest, names=True).too_large
    assert event_message(replace(event, person="x" * MOST_BYTES), names=True).too_large


def test_a_test_says_that_it_is_one() -> None:
    now = datetime.now(UTC)
    message = trial_message(now)
    document = json.loads(message.body)
    assert (document["type"], document["data"]["test"], message.expires_at) == ("test", True, now)
    assert trial_message(now).id != message.id


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, True),
        ({"outcomes": ("unknown",)}, False),
        ({"outcomes": ("unknown", "known")}, True),
        ({"phases": ("provisional",)}, False),
        ({"cameras": ("door", "yard")}, True),
        ({"cameras": ("yard",)}, False),
    ],
)
def test_which_events_a_hook_wants(settings: dict[str, Any], wanted: bool) -> None:
    assert is_wanted(make_event(1), replace(HOOK, **settings)) is wanted


def test_by_default_the_unusable_is_not_sent() -> None:
    event = replace(make_event(1), outcome=Outcome.UNUSABLE)
    assert not is_wanted(event, HOOK)
    assert is_wanted(replace(event, outcome=Outcome.UNKNOWN, phase=Phase.PROVISIONAL), HOOK)


PUBLIC, OTHER, HOME, OWN, LINK, CLOUD = (
    ip_address(text)
    for text in ("93.184.216.34", "2606:4700::1111", "192.168.1.5", "127.0.0.1", "fe80::1", "169.254.169.254")
)


@pytest.mark.parametrize(
    ("name", "found", "allow_private", "allowed"),
    [
        ("hooks.example.com", [PUBLIC, OTHER], False, (PUBLIC, OTHER)),
        ("hooks.example.com", [PUBLIC, PUBLIC], False, (PUBLIC,)),
        ("hooks.example.com", [PUBLIC, OWN, HOME], False, (PUBLIC,)),
        ("hooks.example.com", [HOME], False, None),
        ("hooks.example.com", [HOME], True, (HOME,)),
        ("hooks.example.com", [OWN], False, None),
        ("hooks.example.com", [OWN], True, (OWN,)),
        ("hooks.example.com", [LINK, CLOUD], True, None),
        ("nodered", [HOME], False, (HOME,)),
        ("nodered.lan", [LINK, HOME], False, (HOME,)),
        ("nodered.lan", [OWN], False, None),
        ("nodered.lan", [OWN], True, (OWN,)),
        ("nodered.lan", [CLOUD], True, None),
        ("localhost", [OWN], False, (OWN,)),
        ("hook.localhost", [OWN], False, (OWN,)),
        ("localhost", [CLOUD], False, None),
        ("nowhere.example", [], False, ()),
    ],
)
def test_where_a_name_may_lead(name: str, found: Any, allow_private: bool, allowed: Any) -> None:
    if allowed is None:
        with pytest.raises(RefusedAddressError) as caught:
            allowed_addresses(name, found, allow_private=allow_private)
        assert not any(str(address) in str(caught.value) for address in found)
    else:
        assert allowed_addresses(name, found, allow_private=allow_private) == allowed


async def test_the_resolver_gives_checked_addresses_and_asks_each_time() -> None:
    answers: list[Sequence[str]] = [["93.184.216.34", "127.0.0.1"], ["127.0.0.1"], ["fe80::1%eth0"], []]

    async def resolve(_host: str) -> Sequence[str]:
        return answers.pop(0)

    resolver = GuardedResolver(resolve, allow_private=False)
    (result,) = await resolver.resolve("hooks.example.com", 443)
    assert (result["host"], result["port"], result["hostname"]) == ("93.184.216.34", 443, "hooks.example.com")
    for _ in range(2):
        with pytest.raises(RefusedAddressError):
            await resolver.resolve("hooks.example.com", 443)
    assert await resolver.resolve("hooks.example.com", 443) == []


@pytest.mark.parametrize("address", ["http://169.254.169.254/", "http://[fe80::1]/", "http://127.1/", "ftp://x/",
                                     "http://224.0.0.1/", "http://[::ffff:169.254.169.254]/"])  # fmt: skip  # a list
def test_addresses_that_nothing_is_sent_to(address: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedAddressError):
        check_literal(URL(address))
    with pytest.raises(SettingsError, match=r"webhooks\.1\.url"):
        load(tmp_path, url=address, secret=SECRET)


@pytest.mark.parametrize(
    "address",
    ["http://192.168.1.5:1880/x", "http://127.0.0.1/", "http://[fd00::1]:8080/", "http://localhost:1/", "https://h.example/?a=b"],
)  # fmt: skip  # a list
def test_addresses_that_an_owner_may_mean(address: str, tmp_path: Path) -> None:
    check_literal(URL(address))
    assert load(tmp_path, url=address, secret=SECRET).url == address


def load(directory: Path, **hook: Any) -> WebhookSettings:
    config = directory / "privface.yaml"
    config.write_text(json.dumps({"webhooks": [hook]}), encoding="utf-8")
    (found,) = load_settings(config=config, environment={}).webhooks
    return found


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"secret": "short"}, "secret: expected at least 16 characters"),
        ({"secret": "whsec_" + "A" * 16}, "secret: expected 24 to 64 bytes in base64 after whsec_"),
        ({"secret": "whsec_hunter2!hunter2!hunter2!hunter2!"}, "secret: expected 24 to 64 bytes in base64"),
        ({"secret": None}, "secret: is missing"),
        ({"url": "hunter2"}, "url: expected http:// or https://"),
        ({"url": "http://hunter2/#x"}, "url: expected http:// or https://"),
        ({"outcomes": ["hunter2"]}, "outcomes: expected some of known, unknown, unusable"),
        ({"outcomes": []}, "outcomes: expected some of"),
        ({"phases": ["unknown"]}, "phases: expected some of provisional, confirmed"),
        ({"attempts": 0}, "attempts: expected 1 to 100"),
        ({"waiting": 0}, "waiting: expected 1 to 10000"),
        ({"seconds": 600}, "seconds: expected 0.5 to 60"),
    ],
)
def test_wrong_settings(tmp_path: Path, wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **({"url": "http://localhost/", "secret": SECRET} | wrong))
    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_hook_shows_no_secrets(tmp_path: Path) -> None:
    hook = load(tmp_path, url="http://ada:hunter2@192.168.1.5:1880/hunter2?key=hunter2", secret="hunter2" * 3)
    assert hook.place == "http://192.168.1.5:1880"
    settings = load_settings(config=tmp_path / "privface.yaml", environment={})
    for shown in (repr(settings), json.dumps(settings.redacted(), default=str)):
        assert "hunter2" not in shown
    assert settings.redacted()["webhooks"][0]["url"] == "http://192.168.1.5:1880/***"
