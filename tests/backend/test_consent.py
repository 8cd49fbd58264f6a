"""Consent, and the person's data for the person: over REST, on the command line, and by the drop-in routes."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import aiohttp
import pytest

from privface_backend.cli.exits import Exit
from privface_backend.protocol import Scope
from privface_backend.settings_sections import DropInSettings, EnrollmentSettings
from support.backend import ADA, BEN, STRANGER, Api, form, picture, running
from support.cli import NO_BROKER, SYNTHETIC
from support.here import Here
from support.remembered import add_stranger

ONE = "/api/v1/people/{person}"
CONSENT = f"{ONE}/consent"
STRICT = EnrollmentSettings(require_consent=True)


async def put_consent(api: Api, person: str, **document: object) -> tuple[int, object]:
    reply = await api.call("PUT", f"/api/v1/people/{person}/consent", pattern=CONSENT, json=document)
    return reply.status, reply.document


async def test_nobody_is_enrolled_without_one_where_that_is_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path, enrollment=STRICT) as api:
        person = await api.create("Ada")
        refused = await api.enroll(person, picture(ADA))
        assert (refused.status, refused.code) == (409, "consent_missing")
        assert "/api/v1/people/{id}/consent" in refused.document["error"]["allowed"]
        status, answer = await put_consent(api, person, date="2026-11-01", note="signed  on paper")
        assert (status, answer) == (
            200,
            {"consent": {"date": "2026-11-01", "note": "signed on paper", "withdrawn_at": None}},
        )
        enrolled = await api.enroll(person, picture(ADA))
        assert enrolled.status == 201
        shown = (await api.call("GET", f"/api/v1/people/{person}", pattern=ONE)).document
        assert (shown["consent"], shown["consent_withdrawn"]) == ("2026-11-01", False)
        assert "signed" not in json.dumps(shown)


async def test_who_takes_it_back_is_not_enrolled_any_more_whatever_is_set(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        person = await api.create("Ada", ADA)
        path = f"/api/v1/people/{person}/consent"
        none = await api.call("GET", path, pattern=CONSENT)
        assert none.document == {"consent": None}
        reply = await api.call("DELETE", path, pattern=CONSENT)
        assert (reply.status, reply.code) == (409, "consent_missing")
        await put_consent(api, person, date="2026-11-01")
        reply = await api.call("DELETE", path, pattern=CONSENT)
        assert reply.document["consent"]["withdrawn_at"] is not None
        assert (await api.call("DELETE", path, pattern=CONSENT)).document == reply.document
        refused = await api.enroll(person, picture(BEN))
        assert (refused.code, "forget" in refused.document["error"]["allowed"]) == ("consent_missing", True)
        assert (await put_consent(api, person, date="2026-11-02"))[0] == 200
        assert (await api.enroll(person, picture(BEN))).status == 201


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"date": "2999-01-01"},
        {"date": "yesterday"},
        {"date": 20261101},
        {"date": "20261101"},
        {"date": "2026-W01-1"},
    ]
    + [{"date": "2026-11-01", "note": note} for note in ("a" * 501, "a\x00b", 7)],
)
async def test_what_is_no_consent(tmp_path: Path, document: dict[str, object]) -> None:
    async with running(tmp_path, ready=False) as api:
        person = await api.create("Ada")
        status, answer = await put_consent(api, person, **document)
        assert status == 400, answer


async def test_strangers_and_drop_in_routes_are_held_to_it_too(tmp_path: Path) -> None:
    dropin = DropInSettings(deepstack=True, compreface=True)
    async with running(tmp_path, enrollment=STRICT, dropin=dropin) as api:
        stranger = await add_stranger(api.backend.core)
        for what in ("person", "ignore"):
            reply = await api.call(
                "POST",
                f"/api/v1/strangers/{stranger.id}/{what}",
                pattern=f"/api/v1/strangers/{{stranger}}/{what}",
                json={"name": "Ada"},
            )
            assert (reply.status, reply.code) == (409, "consent_missing"), what
        assert not (await api.call("GET", "/api/v1/people")).document["people"]
        token = api.tokens[Scope.ENROLL]
        fields = {"userid": "Ada", "api_key": token}
        data = aiohttp.FormData()
        for key, value in fields.items():
            data.add_field(key, value)
        data.add_field("image", picture(ADA), filename="ada.png")
        async with api.session.post(f"{api.url}/v1/vision/face/register", data=data) as answer:
            assert answer.status >= 400 or not (await answer.json())["success"]
        async with api.session.post(
            f"{api.url}/api/v1/recognition/faces?subject=Ada", data=form(picture(ADA)), headers={"x-api-key": token}
        ) as answer:
            assert answer.status >= 400
        assert not (await api.call("GET", "/api/v1/people")).document["people"]


async def test_the_export_has_all_that_is_kept_and_needs_an_administrator(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        person = await api.create("Ada", ADA)
        await put_consent(api, person, date="2026-11-01", note="on paper")
        await api.frame("door", picture(ADA))
        await api.frame("hall", picture(STRANGER))
        await api.logged(2)
        path, pattern = f"/api/v1/people/{person}/export", f"{ONE}/export"
        refused = await api.call("GET", path, pattern=pattern, scope=Scope.ENROLL)
        assert (refused.status, refused.code) == (403, "forbidden")
        document = (await api.call("GET", path, pattern=pattern)).document
        assert document["person"]["name"] == "Ada"
        assert document["person"]["consent"]["note"] == "on paper"
        (face,) = document["faces"]
        assert face["picture_sha256"] == hashlib.sha256(picture(ADA)).hexdigest()
        assert [event["camera"] for event in document["events"]] == ["door"]
        assert "vector" not in json.dumps(document)
        with_vectors = (await api.call("GET", f"{path}?templates=1", pattern=pattern)).document
        (again,) = with_vectors["faces"]
        assert {len(template["vector"]) for template in again["templates"]} == {face["templates"][0]["dimension"]}


async def test_the_receipt_can_be_asked_for_later(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        person = await api.create("Ada", ADA)
        receipt = (await api.call("DELETE", f"/api/v1/people/{person}", pattern=ONE)).document
        assert receipt["complete"]
        assert (receipt["file"]["state"], receipt["service"]["state"]) == ("rewritten", "cleared")
        path, pattern = f"/api/v1/receipts/{person}", "/api/v1/receipts/{person}"
        assert (await api.call("GET", path, pattern=pattern)).document == receipt
        assert (await api.call("GET", "/api/v1/receipts")).document == {"receipts": [receipt]}
        nobody = await api.call("GET", "/api/v1/receipts/nobody", pattern=pattern)
        assert (nobody.status, nobody.code) == (404, "person_not_found")


def test_the_commands(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    home.configure(SYNTHETIC + NO_BROKER)
    assert home.run("people", "add", "Ada", "--consent", "2026-11-01", "--note", "on paper").code == Exit.OK
    assert home.run("people", "consent", "Ada").out == "Ada agreed on 2026-11-01: on paper\n"
    assert home.run("people", "consent", "Ada", "--date", "2999-01-01").code == Exit.USAGE
    assert home.run("people", "consent", "Ada", "--note", "only").code == Exit.USAGE
    file = tmp_path / "ada.json"
    done = home.run("people", "export", "Ada", "--output", file)
    assert done.out.endswith("0 faces, 0 events, 0 visits, 0 negative examples\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["person"]["consent"]["date"] == "2026-11-01"
    assert home.run("people", "export", "Ada", "--output", file).code == Exit.USAGE
    assert json.loads(home.run("people", "export", "Ada").out)["format"] == "privface-person-1"
    taken_back = home.run("people", "consent", "Ada", "--withdraw").out
    assert "privface people forget" in taken_back
    forgotten = home.run("people", "forget", "Ada", "--yes")
    assert "written anew without them" in forgotten.out
    assert "Service and broker: nothing left" in forgotten.out
    (line,) = home.run("people", "receipts").out.splitlines()
    assert line.endswith("complete")
    assert "Ada" not in line
