"""Strangers over REST: list, name, ignore, forget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from privface_backend.protocol import Scope, StrangerRef
from support.backend import ADA, Api, Reply, running
from support.gallery import make_remembered
from support.remembered import add_stranger, add_visit

STRANGERS = "/api/v1/strangers"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def on_stranger(api: Api, method: str, stranger: object, action: str = "", **options: Any) -> Reply:
    options.setdefault("scope", Scope.ENROLL)
    return await api.call(
        method, f"{STRANGERS}/{stranger}{action}", pattern=f"{STRANGERS}/{{stranger}}{action}", **options
    )


async def numbers(api: Api) -> list[int]:
    reply = await api.call("GET", STRANGERS, scope=Scope.IDENTIFY)
    assert reply.status == 200
    return [stranger["number"] for stranger in reply.document["strangers"]]


async def test_strangers_are_listed_and_forgotten(api: Api) -> None:
    assert await numbers(api) == []
    first = await add_stranger(api.backend.core)
    second = await add_stranger(api.backend.core, visits=3, camera="garden")
    listed = (await api.call("GET", STRANGERS)).document["strangers"]
    assert [stranger["id"] for stranger in listed] == [first.id, second.id]
    assert (listed[1]["number"], listed[1]["visits"], listed[1]["camera"]) == (2, 3, "garden")
    assert (await on_stranger(api, "DELETE", first.id)).status == 204
    assert await numbers(api) == [2]
    assert (await on_stranger(api, "DELETE", 2)).status == 204
    gone = await on_stranger(api, "DELETE", 2)
    assert (gone.status, gone.code) == (404, "stranger_not_found")
    # Their numbers are nobody else's.
    assert (await add_stranger(api.backend.core)).number == 3


async def test_a_stranger_is_given_a_name(api: Api) -> None:
    stranger = await add_stranger(api.backend.core)
    await add_visit(api.backend.core, 1, stranger=StrangerRef(id=stranger.id, number=1, visit=1))
    named = await on_stranger(api, "POST", stranger.id, "/person", json={"name": "Grace"})
    assert (named.status, named.document["name"], named.document["faces"]) == (200, "Grace", 1)
    assert await numbers(api) == []
    people = (await api.call("GET", "/api/v1/people")).document["people"]
    assert people == [named.document]
    again = await on_stranger(api, "POST", stranger.id, "/person", json={"name": "Grace"})
    assert (again.status, again.code) == (404, "stranger_not_found")


async def test_a_stranger_is_somebody_who_is_enrolled(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    await add_stranger(api.backend.core)
    taken = await on_stranger(api, "POST", 1, "/person", json={"name": "ADA"})
    assert (taken.status, taken.code) == (409, "person_exists")
    assert taken.document["error"]["details"]["person_id"] == ada
    nobody = await on_stranger(api, "POST", 1, "/person", json={"person_id": "nobody"})
    assert (nobody.status, nobody.code) == (404, "person_not_found")
    assert await numbers(api) == [1]
    named = await on_stranger(api, "POST", 1, "/person", json={"person_id": ada, "name": None})
    assert (named.document["id"], named.document["faces"]) == (ada, 2)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_request"),
        ({"name": 7}, "bad_request"),
        ({"person_id": ["x"]}, "bad_request"),
        ({"name": "Grace", "person_id": "x"}, "bad_request"),
        ({"name": ""}, "bad_name"),
        ([], "bad_request"),
    ],
)
async def test_who_it_is_must_be_said(api: Api, body: object, code: str) -> None:
    await add_stranger(api.backend.core)
    assert (await on_stranger(api, "POST", 1, "/person", json=body)).code == code
    assert await numbers(api) == [1]


async def test_a_stranger_is_ignored(api: Api) -> None:
    await add_stranger(api.backend.core)
    ignored = await on_stranger(api, "POST", 1, "/ignore")
    assert (ignored.status, ignored.document["name"], ignored.document["ignored"]) == (200, "Ignored 1", True)
    assert await numbers(api) == []
    assert api.backend.core.index.snapshot.ignored == {ignored.document["id"]}
    assert (await on_stranger(api, "POST", 1, "/ignore")).code == "stranger_not_found"


async def test_a_stranger_of_other_engines_can_only_be_forgotten(api: Api) -> None:
    core = api.backend.core
    other = "another|0000000000000000|128|five-point"
    await add_stranger(core, contract=other, faces=make_remembered(1))
    for action, body in (("/person", {"name": "Grace"}), ("/ignore", None)):
        reply = await on_stranger(api, "POST", 1, action, json=body)
        assert (reply.status, reply.code) == (409, "contract_mismatch")
    assert (await on_stranger(api, "DELETE", 1)).status == 204
