"""``privface enroll``, ``people`` and ``token`` as processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from privface_backend.cli.exits import Exit
from support.backend import ADA, BEN, picture
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.here import Here

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Here(root=tmp_path)
    made.configure(SYNTHETIC + NO_BROKER)
    return made


def put(home: Home, path: str, *identities: int) -> None:
    (home.root / path).parent.mkdir(parents=True, exist_ok=True)
    (home.root / path).write_bytes(picture(*identities))


def test_a_directory_of_people(home: Home) -> None:
    put(home, "people/Ada/1.png", ADA)
    put(home, "people/Ben 2.png", BEN)
    put(home, "people/Ada/nobody.png")
    done = home.run("enroll", "people", "--json")
    assert done.code == Exit.UNFINISHED
    reports = {line["file"]: (line["outcome"], (line["error"] or {}).get("code")) for line in done.lines}
    assert reports == {
        "Ada/1.png": ("enrolled", None),
        "Ada/nobody.png": ("refused", "no_face"),
        "Ben 2.png": ("enrolled", None),
    }
    (home.root / "people/Ada/nobody.png").unlink()
    again = home.run("enroll", "people")
    assert again.code == Exit.OK
    assert again.out.splitlines()[-1] == "2 already; 2 people in the gallery"
    assert [line["name"] for line in home.run("people", "list", "--json").lines] == ["Ada", "Ben"]


def test_prune(home: Home) -> None:
    put(home, "people/Ada/1.png", ADA)
    put(home, "people/Ben/1.png", BEN)
    home.run("enroll", "people")
    (home.root / "people/Ben/1.png").unlink()
    done = home.run("enroll", "people", "--prune", "--json")
    assert [line["outcome"] for line in done.lines] == ["already", "removed"]


def test_single_pictures(home: Home) -> None:
    put(home, "Ada_1.png", ADA)
    put(home, "b.png", BEN)
    assert home.run("enroll", "Ada_1.png", "--json").lines[0]["outcome"] == "enrolled"
    done = home.run("enroll", "b.png", "missing.png", "--person", "Ben", "--json")
    assert [(line["outcome"], (line["error"] or {}).get("code")) for line in done.lines] == [
        ("enrolled", None),
        ("refused", "not_found"),
    ]
    assert done.code == Exit.UNFINISHED
    assert home.run("enroll", "b.png", "--person", "Ben", "--json").lines[0]["outcome"] == "already"
    assert [line["name"] for line in home.run("people", "list", "--json").lines] == ["Ada", "Ben"]


def test_a_directory_for_one_person(home: Home) -> None:
    put(home, "shots/1.png", ADA)
    put(home, "shots/.hidden.png", BEN)
    (home.root / "shots/notes.txt").write_text("no picture")
    done = home.run("enroll", "shots", "--person", "Ada")
    assert done.code == Exit.OK
    assert done.out.splitlines()[-1] == "1 enrolled; 1 person in the gallery"


def test_one_of_several_faces(home: Home) -> None:
    put(home, "both.png", ADA, BEN)
    done = home.run("enroll", "both.png", "--person", "Ben")
    assert done.code == Exit.UNFINISHED
    assert "(several_faces)" in done.out
    assert home.run("people", "list", "--json").lines == []
    assert home.run("enroll", "both.png", "--person", "Ben", "--box", "0.34,0.22,0.25,0.45").code == Exit.OK
    put(home, "ben.png", BEN)
    assert home.run("identify", "ben.png", "--json").lines[0]["faces"][0]["person"] == "Ben"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--box", "1,2,3"], "expected X,Y,W,H"),
        (["--person", " "], "(bad_name)"),
        (["--person", "x" * 99], "(bad_name)"),
    ],
)
def test_wrong_options(home: Home, arguments: list[str], words: str) -> None:
    put(home, "ada.png", ADA)
    done = home.run("enroll", "ada.png", *arguments)
    assert done.code == Exit.USAGE
    assert words in done.err


def test_an_empty_directory(home: Home) -> None:
    (home.root / "people").mkdir()
    done = home.run("enroll", "people")
    assert (done.code, done.out) == (Exit.OK, "no pictures found; 0 people in the gallery\n")


def test_people(home: Home) -> None:
    put(home, "ada.png", ADA)
    home.run("enroll", "ada.png", "--person", "Ada")
    assert home.run("people", "add", "Zoë", "--json").lines[0]["name"] == "Zoë"
    assert home.run("people", "add", "zoë").code == Exit.USAGE
    assert home.run("people", "rename", "Zoë", "Zoe").out == "Now called Zoe\n"
    (face,) = home.run("people", "faces", "Ada", "--json").lines
    assert face["source"] == "ada.png"
    assert home.run("people", "remove-face", face["id"]).out == "Removed\n"
    assert home.run("people", "remove-face", face["id"]).code == Exit.USAGE
    assert home.run("people", "faces", "Nobody").code == Exit.USAGE


def test_forget(home: Home) -> None:
    put(home, "people/Ada/1.png", ADA)
    home.run("enroll", "people")
    kept = home.run("people", "forget", "Ada", stdin="n\n")
    assert kept.code == Exit.UNFINISHED
    assert "Forget Ada, all templates" in kept.err
    assert home.run("people", "forget", "Nobody", "--yes").code == Exit.USAGE
    done = home.run("people", "forget", "Ada", stdin="y\n")
    assert done.code == Exit.OK
    assert done.out.startswith("Forgotten: 1 faces, ")
    assert "They are yours to delete" in done.out
    assert home.run("people", "list", "--json").lines == []


def test_tokens(home: Home) -> None:
    (made,) = home.run("token", "create", "--name", "panel", "--scope", "identify", "--scope", "enroll", "--json").lines
    assert made["scopes"] == ["identify", "enroll"]
    listed = home.run("token", "list", "--json")
    (line,) = listed.lines
    assert (line["name"], line["scopes"]) == ("panel", ["enroll", "identify"])
    assert made["token"] not in listed.out
    assert "panel" in home.run("token", "list").out
    assert home.run("token", "revoke", line["id"]).out == "Revoked\n"
    assert home.run("token", "revoke", line["id"]).code == Exit.USAGE
    wrong = home.run("token", "create", "--name", "x", "--scope", "everything")
    assert wrong.code == Exit.USAGE
    assert "allowed: identify, enroll, admin" in wrong.err
