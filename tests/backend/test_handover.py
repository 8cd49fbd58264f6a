"""A backend that waits for its master key: what answers meanwhile, who may hand it over, and when it opens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privface_backend.protection.master import MasterKey
from support.waiting_backend import WaitingBackend

KEY = MasterKey.generate()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[WaitingBackend]:
    waiting = WaitingBackend(tmp_path, Path(sys.executable))
    try:
        yield waiting
    finally:
        waiting.close()


def test_it_opens_with_the_key_and_with_no_other(backend: WaitingBackend) -> None:
    said = backend.start()
    assert "master key" in said[0]
    assert backend.token.startswith("pf_")
    assert not (backend.directory / "data" / "privface.db").exists()
    status, answer = backend.ask("GET", "/api/v1/people")
    assert (status, answer["error"]["code"]) == (503, "locked")
    assert backend.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert backend.ask("GET", "/readyz") == (503, {"ready": False, "reasons": ["key: locked"]})
    status, answer = backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}, token="pf_wrong")
    assert (status, answer["error"]["code"]) == (401, "unauthenticated")
    for wrong in ({"key": KEY.to_text()[:-1]}, {"key": 7}, {}):
        status, answer = backend.ask("PUT", "/api/v1/key", wrong)
        assert (status, answer["error"]["code"]) == (400, "bad_request")
        assert KEY.to_text()[:-1] not in json.dumps(answer)
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}) == (200, {"key": KEY.id})
    backend.until_open()
    assert backend.ask("POST", "/api/v1/people", {"name": "Ada"})[0] == 201
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}) == (200, {"key": KEY.id})
    other = MasterKey.generate().to_text()
    assert backend.ask("PUT", "/api/v1/key", {"key": other})[1]["error"]["code"] == "conflict"
    assert backend.stop() == 0
    on_disk = b"".join(path.read_bytes() for path in backend.directory.rglob("*") if path.is_file())
    assert KEY.to_text().encode() not in on_disk
    assert KEY.secret not in on_disk

    # The tokens of before are right though the database is locked.
    backend.start()
    assert backend.ask("GET", "/api/v1/people")[0] == 503
    status, answer = backend.ask("PUT", "/api/v1/key", {"key": other})
    assert (status, answer["error"]["code"], answer["error"]["details"]["key"]) == (503, "key_missing", KEY.id)
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}, token="pf_wrong")[0] == 401
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()})[0] == 200
    backend.until_open()
    assert [person["name"] for person in backend.ask("GET", "/api/v1/people")[1]["people"]] == ["Ada"]


def test_it_ends_when_it_is_told_to_while_it_waits(backend: WaitingBackend) -> None:
    backend.start()
    assert backend.stop() == 0
    assert not (backend.directory / "data" / "privface.db").exists()
