"""Forgetting somebody in another process than the service: what is left of them in files, and on a real broker."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.backend_process import ADA, BEN, SECONDS, SYNTHETIC, BackendProcess, DrawnPictures
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import until, watching
from support.traces import slices, traces, traces_in

pytestmark = [*needs_mosquitto, pytest.mark.slow]

ZOE, BENNO = "Zoë Unforgettable", "Benno Unmistakable"
WORDS = ("Unforgettable", "Zoë Unforgettable", "zoe-unforgettable")
BENNOS_WORDS = ("Unmistakable", "benno-unmistakable")
MARKER = "zz/marker"


def settings(broker: Mosquitto, folder: Path) -> Mapping[str, str]:
    return {
        **SYNTHETIC,
        "mqtt__enabled": "true",
        "mqtt__host": "127.0.0.1",
        "mqtt__port": str(broker.port),
        "mqtt__home_assistant": "true",
        "mqtt__double_take": "true",
        "gallery__folder": str(folder),
        "decision__hold_seconds": "3600",
    }


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def names(backend: BackendProcess) -> set[str]:
    return {person["name"] for person in backend.people()}


def export(backend: BackendProcess, name: str) -> dict[str, Any]:
    file = backend.directory / f"export {len(name)}.json"
    backend.run("people", "export", name, "--templates", "--output", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return document


def vectors(document: Mapping[str, Any]) -> set[bytes]:
    kept = [template for face in document["faces"] for template in face["templates"]]
    kept += [template for visit in document["visits"] for template in visit["templates"]]
    return slices([template["vector"] for template in kept])


async def retained(broker: Mosquitto) -> dict[str, bytes]:
    """All that a client is given that comes now."""
    async with watching(broker.port, "zz/#") as publisher:
        await publisher.client.publish(MARKER, b"here", qos=1, retain=True)
    async with watching(broker.port, "#") as late:
        await until(lambda: late.on(MARKER) and late.on("privface/status"))
        # What comes after the marker came, was sent for another subscription's sake: there is none.
        return {message.topic: message.payload for message in late.seen if message.retained}


def left_on(kept: Mapping[str, bytes], words: tuple[str, ...]) -> list[str]:
    return [topic for topic, payload in kept.items() if traces(topic.encode() + b"\n" + payload, words, set())]


def test_the_scan_finds_what_it_looks_for(tmp_path: Path) -> None:
    vector = [0.1 * step for step in range(32)]
    (tmp_path / "odd").write_bytes(b"x" + b"".join(sorted(slices([vector]))[:1]))
    for place, form in enumerate((ZOE.encode(), ZOE.encode("utf-16-le"), json.dumps(ZOE).encode())):
        (tmp_path / f"word {place}").write_bytes(b"\x00" + form)
    (tmp_path / "clean").write_bytes(b"nothing")
    found = traces_in(tmp_path, WORDS, slices([vector]))
    assert set(found) == {"odd", "word 0", "word 1", "word 2"}
    assert found["odd"] == ["a template"]


@pytest.mark.timeout(600)
def test_nothing_is_left_of_who_was_forgotten(tmp_path: Path) -> None:
    python = Path(sys.executable)
    pictures = DrawnPictures(tmp_path / "clear", python)
    folder = tmp_path / "people"
    for name, identity in ((ZOE, ADA), (BENNO, BEN)):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(pictures(identity))
    store = tmp_path / "broker"
    store.mkdir()
    broker = Mosquitto(store, extra=("persistence true", f"persistence_location {store}/"))
    backend = BackendProcess(tmp_path / "backend", python=python, settings=settings(broker, folder))
    with broker:
        try:
            _forget_beside_the_service(backend, broker, pictures, folder)
            _forget_without_the_service(backend, broker)
        finally:
            backend.stop(signal.SIGKILL)
        broker.stop()
    assert (store / "mosquitto.db").is_file()
    assert not traces((store / "mosquitto.db").read_bytes(), (*WORDS, *BENNOS_WORDS), set())


def _forget_beside_the_service(
    backend: BackendProcess, broker: Mosquitto, pictures: DrawnPictures, folder: Path
) -> None:
    backend.start()
    wait_for(lambda: names(backend) == {ZOE, BENNO})
    for identity in (ADA, BEN):
        backend.send_frame("door", pictures(identity), more=False)
    wait_for(lambda: len(left_on(asyncio.run(retained(broker)), WORDS)) >= 3)
    wait_for(lambda: len(backend.call("GET", "/api/v1/events")["events"]) == 2)
    document = export(backend, ZOE)
    assert document["person"]["name"] == ZOE
    assert [event["person"] for event in document["events"]] == [ZOE]
    theirs = vectors(document)
    assert len(theirs) > 300

    (receipt,) = backend.run("people", "forget", ZOE, "--yes")
    assert ZOE not in json.dumps(receipt, ensure_ascii=False)
    assert receipt["complete"], receipt
    assert (receipt["faces"], receipt["events"], receipt["visits"], receipt["held_back"]) == (1, 1, 1, 1)
    assert receipt["service"]["retained"] >= 1
    assert not left_on(asyncio.run(retained(broker)), WORDS)
    assert not traces_in(backend.data, WORDS, theirs)

    # The folder is looked through again, and their picture still lies there.
    (folder / BENNO / "2.jpg").write_bytes(pictures(BEN, shade=120))
    wait_for(lambda: [person["faces"] for person in backend.people()] == [2])
    assert names(backend) == {BENNO}
    assert not traces_in(backend.data, WORDS, theirs)
    # Somebody who comes now is a stranger, whom this drawn picture gives the same vector.
    assert backend.send_frame("hall", pictures(ADA), more=False)["faces"][0]["outcome"] == "unknown"
    assert not traces_in(backend.data, WORDS, set())


def _forget_without_the_service(backend: BackendProcess, broker: Mosquitto) -> None:
    theirs = vectors(export(backend, BENNO))
    backend.stop(signal.SIGKILL)
    assert left_on(asyncio.run(retained(broker)), BENNOS_WORDS)
    (receipt,) = backend.run("people", "forget", BENNO, "--yes")
    assert (receipt["complete"], receipt["service"]["state"], receipt["file"]["state"]) == (False, "due", "rewritten")
    assert not traces_in(backend.data, BENNOS_WORDS, theirs)
    backend.start()
    path = f"/api/v1/receipts/{receipt['person_id']}"
    wait_for(lambda: backend.call("GET", path)["complete"])
    assert not left_on(asyncio.run(retained(broker)), (*WORDS, *BENNOS_WORDS))
    backend.stop()
    for words in (WORDS, BENNOS_WORDS):
        assert not traces_in(backend.directory, words, theirs)
