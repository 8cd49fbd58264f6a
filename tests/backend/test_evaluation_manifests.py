"""Manifests and folders: what can be read, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.manifests import (
    Role,
    choose_household,
    read_folder,
    read_households,
    read_pairs,
)
from privface_backend.protocol import ErrorCode

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a manifest beside the pictures a.jpg to d.jpg."""
    for name in "abcd":
        (tmp_path / f"{name}.jpg").touch()

    def write_file(text: str) -> Path:
        path = tmp_path / "set.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def test_households(write: Write, tmp_path: Path) -> None:
    path = write(
        "\ufeffsource,path,identity,role,household\n"
        "x,a.jpg,Ada,enrol,one\nx,b.jpg,Ada,probe,one\nx,c.jpg,Eve,stranger,one\n"
        "x,a.jpg,Ada,enrol,two\nx,d.jpg,Ada,probe,two\n"
    )
    one, two = read_households(path)
    assert (one.name, two.name, one.leave_out) == ("one", "two", False)
    assert [picture.path for picture in one.of(Role.STRANGER)] == [tmp_path / "c.jpg"]
    assert choose_household([one, two], ["two"]) == [two]
    with pytest.raises(PrivFaceError) as caught:
        choose_household([one, two], ["three"])
    assert (caught.value.code, caught.value.allowed) == (ErrorCode.NOT_FOUND, "one, two")


def test_a_household_without_a_name_is_called_like_its_file(write: Write) -> None:
    (one,) = read_households(write("path,identity,role\na.jpg,Ada,enrol\nb.jpg,Ada,probe\n"))
    assert one.name == "set"


@pytest.mark.parametrize(
    ("text", "message", "allowed"),
    [
        ("path,person,role\n", "line 1: the header has no column identity", "path, identity, role"),
        ("Path,Identity,Role\n", "line 1: the header has no column path, identity, role", "spelled like this"),
        ("", "line 1: the header has no column path", "path, identity, role"),
        ("path,identity,role\n", "no line below its header", ""),
        ("path,identity,role\na.jpg,Secret,enrolled\n", "line 2, column role", "enrol, probe, stranger"),
        ("path,identity,role\na.jpg,Secret,enrol\nno.jpg,Secret,probe\n", "line 3, column path", "relative"),
        ("path,identity,role\na.jpg,,enrol\n", "line 2, column identity", "a value"),
        ("path,identity,role\na.jpg,Secret\n", "line 2, column role", "as many cells"),
        ("path,identity,role\na.jpg,Secret,probe\n", "no picture in the role enrol", "enrol and probe"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_place(write: Write, text: str, message: str, allowed: str) -> None:
    with pytest.raises(PrivFaceError, match=message) as caught:
        read_households(write(text))
    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert allowed in (caught.value.allowed or "")
    assert "set.csv" in caught.value.message
    assert "Secret" not in caught.value.message


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as caught:
        read_households(tmp_path / "no.csv")
    assert caught.value.code is ErrorCode.NOT_FOUND
    (tmp_path / "no.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(PrivFaceError) as caught:
        read_households(tmp_path / "no.csv")
    assert caught.value.code is ErrorCode.BAD_REQUEST


def test_pairs(write: Write) -> None:
    path = write(
        "path_a,path_b,same,protocol,identity_a,identity_b\n"
        "a.jpg,b.jpg,1,x,Ada,Ada\na.jpg,c.jpg,0,x,Ada,Eve\na.jpg,d.jpg,false,y,,\n"
    )
    first, second = read_pairs(path)
    assert [(pair.same, pair.first, pair.second) for pair in first.pairs] == [
        (True, "Ada", "Ada"),
        (False, "Ada", "Eve"),
    ]
    # Pictures of two people in one folder are still of two people.
    assert second.pairs[0].first != second.pairs[0].second
    with pytest.raises(PrivFaceError, match="line 2, column same"):
        read_pairs(write("path_a,path_b,same\na.jpg,b.jpg,yes\n"))


def test_a_folder(tmp_path: Path) -> None:
    for name in ("Ada/1.jpg", "Ada/2.png", "Ben/1.jpg", "Ben/.hidden.jpg", "Ben/note.txt", "strangers/Eve/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "strangers/x.jpg").touch()
    household = read_folder(tmp_path)
    assert household.leave_out
    assert [picture.identity for picture in household.of(Role.ENROLL)] == ["Ada", "Ada", "Ben"]
    # Ben's only picture can't be enrolled and searched for.
    assert [picture.identity for picture in household.of(Role.PROBE)] == ["Ada", "Ada"]
    assert [picture.identity for picture in household.of(Role.STRANGER)] == ["strangers/Eve", "strangers/x.jpg"]


def test_a_folder_without_strangers_or_without_probes(tmp_path: Path) -> None:
    (tmp_path / "Ada").mkdir()
    (tmp_path / "Ada/1.jpg").touch()
    with pytest.raises(PrivFaceError, match="two pictures"):
        read_folder(tmp_path)
    (tmp_path / "Ada/2.jpg").touch()
    assert [picture.identity for picture in read_folder(tmp_path).of(Role.STRANGER)] == ["Ada", "Ada"]
