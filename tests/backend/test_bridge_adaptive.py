"""A bridge that follows the backend's advice, and stays within its owner's limits whatever a backend says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import hypothesis.strategies as st
import pytest
from hypothesis import given

from privface_backend.bridge.adaptive import Advised, Limits, follow, limits_of
from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.strength import Strength
from privface_backend.domain.privacy import sigma_of_kernel
from privface_backend.plugins.ports import Anonymizer, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from support import backend
from support.bridge import bridging, clear_picture, crossed, identify_token, jpeg, line, make_settings, publisher, until
from support.mosquitto import Mosquitto, needs_mosquitto
from support.reverse_proxy import RecordingProxy

pytestmark = needs_mosquitto

TOPIC = "privface/camera/door/advice/state"
ADVICE = {"camera": "door", "target": 0.03, "faces": 40, "widths": [40, 80, 120], "relative": [0.1, 0.05, 0.03]}
GAUSSIAN = Strength(method="gaussian", parameter=17)


def anonymizer(method: str) -> Anonymizer:
    made: Anonymizer = Registry().create(EngineKind.ANONYMIZER, method, EngineContext(weights=NoWeights()))
    return made


kernels = st.one_of(st.none(), st.integers(-10, 10_000))


@given(method=st.sampled_from(["gaussian", "pixelate"]), kernel=kernels, current=st.booleans(), data=st.data())
def test_nothing_that_a_backend_says_leaves_the_limits(
    method: str, kernel: int | None, current: bool, data: st.DataObject
) -> None:
    odd = st.integers(1, 60).map(lambda half: 2 * half + 1)
    own = Strength(method=method, parameter=data.draw(odd))
    least = data.draw(odd)
    limits = Limits(least=least, most=data.draw(odd.filter(lambda most: most >= least)))
    engine = anonymizer(method)
    used = follow(own, limits, Advised(kernel=kernel, current=current), engine)
    engine.validate(used.parameter)
    assert used.method == method
    assert limits.least <= used.parameter <= max(limits.most or 0, own.parameter)
    if not current:
        assert used.parameter >= own.parameter


@given(half=st.integers(1, 127))
def test_pixels_are_as_coarse_as_the_blur_is_strong(half: int) -> None:
    kernel, engine = 2 * half + 1, anonymizer("pixelate")
    used = follow(Strength(method="pixelate", parameter=2), Limits(least=2), Advised(kernel=kernel), engine)
    assert engine.sigma(used.parameter) >= sigma_of_kernel(kernel)
    assert engine.sigma(used.parameter - 1) < sigma_of_kernel(kernel)


def test_without_limits_of_its_own_a_camera_gets_only_stronger() -> None:
    feed, engine = CameraFeed(topic="t", adaptive=True), anonymizer("gaussian")
    limits = limits_of(feed, GAUSSIAN)
    assert [follow(GAUSSIAN, limits, Advised(kernel=kernel), engine).parameter for kernel in (3, 17, 33)] == [
        17,
        17,
        33,
    ]
    assert limits_of(CameraFeed(topic="t"), GAUSSIAN) is None
    assert limits_of(feed, Strength(method="none", parameter=1)) is None
    assert follow(GAUSSIAN, None, Advised(kernel=99), engine) == GAUSSIAN


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def client(broker: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    async with publisher(broker.port) as client:
        yield client


def feed_of(**options: Any) -> CameraFeed:
    return CameraFeed(topic="door", interval=0.02, adaptive=True, **{"least": 9, "most": 41, **options})


def said(**changes: object) -> str:
    return json.dumps(ADVICE | {"kernel": 25} | changes)


LIES = [
    said(kernel=1),
    said(kernel=3),
    said(kernel=255),
    said(kernel=256),
    said(kernel=10**30),
    said(kernel=-17),
    said(kernel=17.5),
    said(kernel=True),
    said(kernel="17"),
    said(kernel=None),
    said(widths=[]),
    '{"kernel": NaN}',
    '{"kernel": 1e999}',
    "[]",
    "{",
    "17",
    "[" * 5000,
    "x" * 100_000,
]


async def test_a_bridge_follows_within_its_limits_and_no_lie_leads_it_out(
    tmp_path: Path, broker: Mosquitto, client: aiomqtt.Client
) -> None:
    data = jpeg(clear_picture())
    async with backend.running(tmp_path) as api, RecordingProxy(api.url) as proxy:
        settings = make_settings(
            tmp_path, proxy.url, port=broker.port, token=identify_token(api), cameras={"door": feed_of()}
        )
        async with bridging(settings) as bridge:
            door = line(bridge, "door")

            async def send() -> int:
                before = door.counts.sent
                await client.publish("door", data)
                await until(lambda: door.counts.sent == before + 1)
                return int(crossed(proxy)[-1].card["privacy"]["parameter"])

            async def advise(payload: str, expected: int) -> None:
                await client.publish(TOPIC, payload, qos=1, retain=True)
                await until(lambda: door.strength.parameter == expected)

            assert await send() == 17, "no advice: as configured"
            for kernel, expected in ((11, 11), (25, 25), (3, 9), (255, 41)):
                await advise(said(kernel=kernel), expected)
                assert await send() == expected
            for lie in LIES:
                await advise(said(kernel=33), 33)
                await client.publish(TOPIC, lie, qos=1, retain=True)
                await client.publish("privface/camera/door/enabled/state", "ON", qos=1)
                assert 9 <= await send() <= 41
            await advise(said(kernel=33), 33)
            await client.publish(TOPIC, b"", qos=1, retain=True)
            await until(lambda: door.strength.parameter == 17)
            assert await send() == 17
    assert all(9 <= one.card["privacy"]["parameter"] <= 41 for one in crossed(proxy))


async def test_a_backend_that_is_away_leaves_the_stronger_one(
    tmp_path: Path, broker: Mosquitto, client: aiomqtt.Client
) -> None:
    settings = make_settings(tmp_path, "http://127.0.0.1:9", port=broker.port, cameras={"door": feed_of()})
    async with bridging(settings) as bridge:
        door = line(bridge, "door")
        for kernel, away in ((11, 17), (33, 33)):
            await client.publish("privface/status", "online", qos=1)
            await client.publish(TOPIC, said(kernel=kernel), qos=1, retain=True)
            await until(lambda wanted=kernel: door.strength.parameter == wanted)
            await client.publish("privface/status", "offline", qos=1)
            # The next line's advice is held to the same, as a broker keeps what was said last.
            await client.publish(TOPIC, said(kernel=kernel, faces=41), qos=1, retain=True)
            await until(lambda wanted=away: door.strength.parameter == wanted)
            await client.publish("privface/status", "online", qos=1)
            await until(lambda wanted=kernel: door.strength.parameter == wanted)
        await client.publish("privface/status", "offline", qos=1, retain=True)
        await client.publish(TOPIC, said(kernel=11), qos=1, retain=True)
    async with bridging(settings) as bridge:
        await client.publish("privface/camera/door/enabled/state", "OFF", qos=1)
        await until(lambda: not line(bridge, "door").gate.enabled)
        assert line(bridge, "door").strength.parameter == 17, "a broker that remembers is no backend"


async def test_a_camera_that_is_not_adaptive_follows_nothing(
    tmp_path: Path, broker: Mosquitto, client: aiomqtt.Client
) -> None:
    plain = CameraFeed(topic="door", interval=0.02)
    settings = make_settings(tmp_path, "http://127.0.0.1:9", port=broker.port, cameras={"door": plain})
    async with bridging(settings) as bridge:
        await client.publish(TOPIC, said(kernel=99), qos=1, retain=True)
        await client.publish("privface/camera/door/enabled/state", "OFF", qos=1)
        await until(lambda: not line(bridge, "door").gate.enabled)
        assert line(bridge, "door").strength == GAUSSIAN


def test_limits_are_of_the_owners_method() -> None:
    own = Strength(method="pixelate", parameter=10)
    feed = CameraFeed(topic="t", method="pixelate", adaptive=True, least=4, most=12)
    limits = limits_of(feed, own)
    used = [follow(own, limits, Advised(kernel=kernel), anonymizer("pixelate")).parameter for kernel in (3, 17, 99)]
    assert used == [4, 11, 12]
    assert replace(own, parameter=4) == follow(own, limits, Advised(kernel=1), anonymizer("pixelate"))
