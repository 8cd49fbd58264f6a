"""``privface audit``, and that every command is in the audit log or says and changes nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from privface_backend.cli.acts import ACTS, NO_ACTS, TOLD_IN_PARTS
from privface_backend.cli.application import app
from privface_backend.cli.exits import Exit
from support.backend import ADA, STRANGER, picture
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.here import Here

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Here(root=tmp_path)
    home.configure(SYNTHETIC + NO_BROKER)
    return home


def every_command() -> Iterator[str]:
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        yield from [name] if inner is None else (f"{name} {one}" for one in inner)


def test_every_command_is_an_act_or_none() -> None:
    told = set(ACTS) | TOLD_IN_PARTS
    assert set(every_command()) == told | NO_ACTS
    assert not told & NO_ACTS


def shown(home: Home, *arguments: str) -> list[dict[str, Any]]:
    ended = home.run("audit", "show", "--json", "--last", "500", *arguments)
    assert ended.code == Exit.OK, ended.err
    return ended.lines


def test_what_was_typed_is_in_the_log_without_names(home: Home) -> None:
    pictures = home.root / "pictures" / "Adelheid"
    pictures.mkdir(parents=True)
    (pictures / "one.png").write_bytes(picture(ADA))
    (home.root / "look.png").write_bytes(picture(ADA, STRANGER))
    assert home.run("enroll", str(pictures.parent)).code == Exit.OK
    assert home.run("identify", str(home.root / "look.png")).code == Exit.OK
    (person,) = home.run("--json", "people", "list").lines
    assert home.run("people", "rename", "Adelheid", "Adelgunde").code == Exit.OK
    assert home.run("people", "export", "Adelgunde").code == Exit.OK
    assert home.run("people", "consent", "Adelgunde", "--date", "2026-11-01").code == Exit.OK
    assert home.run("people", "forget", "nobody", "--yes").code == Exit.USAGE
    assert home.run("people", "forget", "Adelgunde").code == Exit.UNFINISHED
    assert home.run("people", "forget", "Adelgunde", "--yes").code == Exit.OK
    token = home.run("--json", "token", "create", "--name", "panel")
    (token_id,) = (one["id"] for one in home.run("--json", "token", "list").lines)
    assert home.run("token", "revoke", token_id).code == Exit.OK
    assert home.run("token", "revoke", token_id).code == Exit.USAGE

    lines = shown(home)
    said = [(line["act"], line["operation"], line["outcome"], line.get("subjects", [])) for line in lines]
    ada = person["id"]
    assert said == [
        ("enroll", "enroll_picture", "enrolled", [ada]),
        ("identify", "identify", "known", [ada]),
        ("list", "people list", "ok", []),
        ("enroll", "people rename", "ok", [ada]),
        ("export", "people export", "ok", [ada]),
        ("enroll", "people consent", "ok", [ada]),
        ("forget", "people forget", "person_not_found", []),
        ("forget", "people forget", "ended_early", []),
        ("forget", "people forget", "ok", [ada]),
        ("key", "token create", "ok", [token_id]),
        ("list", "token list", "ok", []),
        ("key", "token revoke", "ok", [token_id]),
        ("key", "token revoke", "bad_request", []),
    ]
    assert {line["by"] for line in lines} == {"command line"}
    assert lines[1]["count"] == 2
    written = b"".join(path.read_bytes() for path in (home.data / "audit").iterdir())
    for secret in (b"Adel", b"panel", b"vector", json.loads(token.out)["token"].encode()):
        assert secret not in written


def test_show_chooses_lines(home: Home) -> None:
    for _ in range(3):
        home.run("people", "list")
    home.run("people", "add", "Ada")
    assert [line["seq"] for line in shown(home, "--act", "enroll")] == [4]
    (line,) = shown(home, "--act", "enroll")
    # Each look at the log has become a line itself.
    assert [one["seq"] for one in shown(home, "--person", line["subjects"][0])] == [4]
    assert shown(home, "--since", line["time"])[0]["seq"] == 4
    ended = home.run("audit", "show", "--last", "2")
    head, *rows = ended.out.splitlines()
    assert head.split() == ["seq", "time", "act", "operation", "by", "outcome", "about"]
    assert len(rows) == 2
    assert "audit show" in rows[0]
    assert home.run("audit", "show", "--act", "export").out == "There are no such lines.\n"
    for wrong in (("--act", "look"), ("--since", "yesterday"), ("--last", "0")):
        assert home.run("audit", "show", *wrong).code == Exit.USAGE


def test_verify_says_what_is_wrong_and_where(home: Home) -> None:
    empty = home.run("audit", "verify")
    assert (empty.code, empty.out) == (Exit.OK, "There are no lines yet.\n")
    for name in ("Ada", "Ben", "Cleo", "Dora"):
        assert home.run("people", "add", name).code == Exit.OK
    whole = home.run("audit", "verify")
    assert whole.code == Exit.OK
    assert whole.out.splitlines()[-1] == "The audit log is whole."
    end = whole.out.splitlines()[0].rpartition(" ")[2]
    assert home.run("audit", "verify", "--expect", end).code == Exit.OK
    assert home.run("audit", "verify", "--expect", "2:" + "0" * 64).code == Exit.UNFINISHED
    assert home.run("audit", "verify", "--expect", "what").code == Exit.USAGE

    path = home.data / "audit" / "audit-000001.jsonl"
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([kept[0], kept[1].replace(b'"ok"', b'"no"'), kept[3]]))
    broken = home.run("audit", "verify")
    assert broken.code == Exit.UNFINISHED
    assert broken.out.splitlines() == [
        "changed: 2 (audit-000001.jsonl, line 2): it is not as it was written",
        "removed: 3: is not there",
        f"3 lines, 1 to 4. End: {end}",
        "The audit log is not whole.",
    ]
    document = home.run("--json", "audit", "verify").lines[0]
    assert document["whole"] is False
    assert [(one["wrong"], one["seq"], one["file"], one["line"]) for one in document["findings"]] == [
        ("changed", 2, "audit-000001.jsonl", 2),
        ("removed", 3, None, None),
    ]


def test_the_service_tells_of_its_start_and_its_tokens(home: Home) -> None:
    with home.serve() as (child, run):
        connection = http.client.HTTPConnection("127.0.0.1", run["port"])
        connection.request("GET", "/api/v1/people", headers={"Authorization": f"Bearer {run['token']}"})
        assert connection.getresponse().status == 200
        connection.close()
        assert child.end() == Exit.OK
    listed, *keys = (*shown(home, "--act", "list"), *shown(home, "--act", "key"))
    assert (listed["by"], listed["operation"]) == ("rest", "list_people")
    assert [line["operation"] for line in keys] == ["run_token", "first_token"]
    assert listed["token"] == keys[0]["subjects"][0]
    (start,) = shown(home, "--act", "configuration")
    assert len(start["settings"]) == 16


def test_a_required_line_that_cannot_be_written_refuses_the_command(home: Home) -> None:
    home.configure(SYNTHETIC + NO_BROKER + "audit: {required: true}\n")
    assert home.run("people", "add", "Ada").code == Exit.OK
    assert [line["outcome"] for line in shown(home, "--act", "enroll")] == ["begun", "ok"]
    for path in sorted((home.data / "audit").iterdir()):
        path.unlink()
    (home.data / "audit").rmdir()
    (home.data / "audit").write_text("in the way")
    refused = home.run("--json", "people", "add", "Ben")
    assert refused.code == Exit.STORAGE
    assert refused.error["code"] == "audit_failed"
    home.configure(SYNTHETIC + NO_BROKER)
    told = home.run("--json", "people", "list")
    assert [one["name"] for one in told.lines] == ["Ada"]
    assert "Acts have no line in the audit log" in told.err
    assert len(told.err.splitlines()) == 1
