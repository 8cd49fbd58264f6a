"""The component follows the backend's advice as the bridge does, and takes no lie for one."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis.strategies as st
import pytest
from aiohttp import web
from hypothesis import given

from privface_backend.bridge import adaptive
from privface_backend.bridge.strength import Strength
from privface_backend.plugins.ports import Anonymizer, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import Scope
from privface_backend.rest.uploads import CARD_HEADER
from support.backend import ADA, picture, running, serve
from support.component import load_package

api: Any = load_package("api")
anonymize: Any = load_package("anonymize")

GOOD = {"kernel": 25, "target": 0.03, "faces": 40, "widths": [40, 80, 120], "relative": [0.1, 0.05, 0.03]}
HELLO = {"type": "hello", "version": "9.9", "api_version": 1, "min_api_version": 1, "instance_id": "an-id"}
LIES: list[Any] = [
    None,
    [],
    "17",
    17,
    {},
    GOOD | {"kernel": 24},
    GOOD | {"kernel": 257},
    GOOD | {"kernel": 10**40},
    GOOD | {"kernel": -3},
    GOOD | {"kernel": 17.0},
    GOOD | {"kernel": True},
    GOOD | {"kernel": math.nan},
    GOOD | {"kernel": math.inf},
    GOOD | {"widths": [1]},
    GOOD | {"relative": {}},
    GOOD | {"target": math.nan},
]


def engine(method: str) -> Anonymizer:
    made: Anonymizer = Registry().create(EngineKind.ANONYMIZER, method, EngineContext(weights=NoWeights()))
    return made


odd = st.integers(1, 49).map(lambda half: 2 * half + 1)
kernels: Any = st.one_of(
    st.none(),
    st.integers(-5, 400),
    st.floats(),
    st.booleans(),
    st.integers(),
    st.integers(0, 127).map(lambda n: 2 * n + 1),
)


@given(
    method=st.sampled_from(list(anonymize.METHODS)),
    own=odd,
    ends=st.tuples(odd, odd),
    kernel=kernels,
    current=st.booleans(),
)
def test_it_follows_as_the_bridge_does_and_never_leaves_the_limits(
    method: str, own: int, ends: tuple[int, int], kernel: Any, current: bool
) -> None:
    least, most = sorted(ends)
    limits = anonymize.Limits(least=least, most=most)
    strength = anonymize.Strength(method=method, parameter=own)
    used = anonymize.follow(strength, limits, kernel, current=current)
    anonymize.METHODS[method].validate(used.parameter)
    assert used.method == method
    assert least <= used.parameter <= max(most, own)
    if not current:
        assert used.parameter >= own
    assert anonymize.follow(strength, None, kernel, current=current) == strength
    if type(kernel) is int or kernel is None:
        ours = adaptive.follow(
            Strength(method=method, parameter=own),
            adaptive.Limits(least=least, most=most),
            adaptive.Advised(kernel=kernel, current=current),
            engine(method),
        )
        assert used.parameter == ours.parameter


class Listener:
    """Keeps what it is told of advice."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.cameras: list[Any] = []

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None

    def snapshot(self, snapshot: Any) -> None:
        self.cameras = list(snapshot.cameras)

    def advice(self, camera: str, advice: Any) -> None:
        self.told.append((camera, advice))

    def disconnected(self, error: Any) -> None:
        raise EOFError(str(error.code))


async def listen(url: str, token: str) -> Listener:
    """All that a backend says until it hangs up."""
    listener = Listener()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(EOFError):
            await api.PrivFaceClient(session, url, token).listen(listener)
    return listener


async def test_a_lie_is_no_advice_and_hides_nothing_else() -> None:
    cameras = [{"camera": f"camera {number}", "advice": lie} for number, lie in enumerate(LIES)]

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(HELLO)
        shown = [{"camera": "honest", "advice": GOOD, "enabled": False}, *cameras]
        await socket.send_json({"type": "snapshot", "people": [], "cameras": shown, "events": []})
        await socket.send_json({"type": "advice", "camera": "honest", "advice": GOOD})
        for lie in LIES:
            await socket.send_str(json.dumps({"type": "advice", "camera": "door", "advice": lie}))
        await socket.send_json({"type": "advice", "camera": 7, "advice": GOOD})
        await socket.send_json({"type": "advice", "camera": "door"})
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/api/v1/stream", stream)
    async with serve(app, "127.0.0.1", 0) as port:
        listener = await listen(f"http://127.0.0.1:{port}", "pf_any")
    honest, *others = listener.cameras
    assert (honest.advice.kernel, honest.enabled) == (25, False)
    assert len(others) == len(LIES)
    assert all(camera.advice is None for camera in others)
    assert listener.told[0][1].kernel == 25
    assert listener.told[1:] == [("door", None)] * (len(LIES) + 1)


async def test_a_real_backends_advice_arrives(tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    async with running(tmp_path) as backend:
        for number in range(20):
            card = {
                "captured_at": (start + timedelta(minutes=number)).isoformat(),
                "privacy": {"method": "gaussian", "parameter": 3, "applied_by": "client"},
                "more": False,
            }
            headers = {"Content-Type": "image/png", CARD_HEADER: json.dumps(card)}
            await backend.frame("door", picture(ADA), headers=headers)
        shown = (await backend.call("GET", "/api/v1/cameras")).document["cameras"][0]["advice"]
        client = api.PrivFaceClient(backend.session, backend.url, backend.tokens[Scope.IDENTIFY])
        seen: list[Any] = []

        class Once(Listener):
            def snapshot(self, snapshot: Any) -> None:
                seen.extend(snapshot.cameras)
                raise EOFError

        with pytest.raises(EOFError):
            await client.listen(Once())
    assert seen[0].advice.to_dict() == shown
