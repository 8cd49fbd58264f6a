"""What is said of decisions over REST: who it was, who it wasn't, whom not to tell of; and why it was decided so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.protocol import Scope
from privface_backend.settings_sections import MemorySettings
from support.backend import Api, Reply, running
from support.remembered import add_visit, explain

EVENTS = "/api/v1/events"
PEOPLE = "/api/v1/people"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def correct(api: Api, event: str, **options: Any) -> Reply:
    options.setdefault("scope", Scope.ENROLL)
    return await api.call("POST", f"{EVENTS}/{event}/correction", pattern=f"{EVENTS}/{{event}}/correction", **options)


async def on_person(api: Api, method: str, person: str, action: str) -> Reply:
    return await api.call(
        method, f"{PEOPLE}/{person}{action}", pattern=f"{PEOPLE}/{{person}}{action}", scope=Scope.ENROLL
    )


async def test_that_was_not_ada_but_ben(api: Api) -> None:
    ada, ben = await api.create("Ada"), await api.create("Ben")
    event = await add_visit(api.backend.core, 1, person_id=ada, person="Ada")
    reply = await correct(api, event.event_id, json={"person_id": None})
    assert reply.status == 200
    assert reply.document == {"visit_id": "visit-1", "denied": [ada], "person_id": None, "face_id": None}
    assert [negative.person_id for negative in api.backend.core.index.snapshot.negatives] == [ada]
    reply = await correct(api, event.event_id, json={"person_id": ben})
    assert reply.document["person_id"] == ben
    faces = await api.call("GET", f"{PEOPLE}/{ben}/faces", pattern=f"{PEOPLE}/{{person}}/faces")
    assert [face["id"] for face in faces.document["faces"]] == [reply.document["face_id"]]
    removed = await on_person(api, "DELETE", ada, "/negatives")
    assert removed.document == {"person_id": ada, "negatives": 1}
    assert api.backend.core.index.snapshot.negatives == ()
    assert (await on_person(api, "DELETE", "nobody", "/negatives")).code == "person_not_found"


@pytest.mark.parametrize("body", [{}, {"person_id": ""}, {"person_id": 7}, {"person_id": ["x"]}, [], None])
async def test_who_it_was_must_be_said(api: Api, body: object) -> None:
    ada = await api.create("Ada")
    event = await add_visit(api.backend.core, 1, person_id=ada, person="Ada")
    reply = await correct(api, event.event_id, json=body)
    assert (reply.status, reply.code) == (400, "bad_request")
    assert api.backend.core.index.snapshot.negatives == ()


async def test_what_can_t_be_corrected(api: Api) -> None:
    core, ada = api.backend.core, await api.create("Ada")
    reply = await correct(api, "event-9", json={"person_id": None})
    assert (reply.status, reply.code) == (404, "event_not_found")
    event = await add_visit(core, 1, person_id=ada, person="Ada")
    reply = await correct(api, event.event_id, json={"person_id": "nobody"})
    assert (reply.status, reply.code) == (404, "person_not_found")
    await core.storage.call(SqliteGalleryStore(core.database).memory.purge, event.captured_at + timedelta(seconds=1))
    reply = await correct(api, event.event_id, json={"person_id": None})
    assert (reply.status, reply.code) == (410, "visit_not_found")


async def test_a_person_is_ignored_and_not_any_more(api: Api) -> None:
    ada = await api.create("Ada")
    ignored = await on_person(api, "POST", ada, "/ignore")
    assert (ignored.status, ignored.document["ignored"]) == (200, True)
    assert api.backend.core.index.snapshot.ignored == {ada}
    shown = await on_person(api, "DELETE", ada, "/ignore")
    assert (shown.status, shown.document["ignored"]) == (200, False)
    for method in ("POST", "DELETE"):
        reply = await on_person(api, method, "nobody", "/ignore")
        assert (reply.status, reply.code) == (404, "person_not_found")


async def test_an_event_says_why(api: Api) -> None:
    ada, ben = await api.create("Ada"), await api.create("Ben")
    await add_visit(api.backend.core, 1, explain(ada, ben))
    await add_visit(api.backend.core, 2)
    explanation = (await api.event("event-1"))["explanation"]
    assert [(entry["person_id"], entry["person"]) for entry in explanation["nearest"]] == [(ada, "Ada"), (ben, "Ben")]
    assert {**explanation, "nearest": []} == {**explain(), "nearest": []}
    assert (await api.event("event-2"))["explanation"] is None
    renamed = await api.call("PATCH", f"{PEOPLE}/{ada}", pattern=f"{PEOPLE}/{{person}}", json={"name": "Ada L."})
    assert renamed.status == 200
    assert (await api.event("event-1"))["explanation"]["nearest"][0]["person"] == "Ada L."
    receipt = await api.call("DELETE", f"{PEOPLE}/{ada}", pattern=f"{PEOPLE}/{{person}}")
    assert receipt.document["explanations"] == 1
    assert [entry["person"] for entry in (await api.event("event-1"))["explanation"]["nearest"]] == ["Ben"]


async def test_what_was_kept_is_gone_at_a_start_that_keeps_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        event = await add_visit(api.backend.core, 1)
        assert (await correct(api, event.event_id, json={"person_id": None})).status == 200
    async with running(tmp_path, memory=MemorySettings(hours=0)) as api:
        await api.backend.core.memory.purge()
        reply = await correct(api, event.event_id, json={"person_id": None})
        assert (reply.status, reply.code) == (410, "visit_not_found")
        assert (await api.event(event.event_id))["visit_id"] == "visit-1"
