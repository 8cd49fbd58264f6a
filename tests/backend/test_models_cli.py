"""``privface models``: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from privface_backend.cli.invocation import Invocation
from privface_backend.cli.models import app
from privface_backend.errors import PrivFaceError
from privface_backend.models import store as store_module
from privface_backend.models.table import TABLE
from privface_backend.protocol import ErrorCode
from support.fileserver import FileServer, server
from support.small_weights import CONTENT, UNCHECKED, table_of

__all__ = ["server"]  # a fixture


def run(root: Path, *arguments: str, **flags: str) -> Result:
    called = Invocation(flags={"data_dir": str(root), "models_dir": str(root / "models")} | flags)
    return CliRunner().invoke(app, list(arguments), obj=called)


def objects(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, server: FileServer) -> FileServer:
    """A store of two small files on a server, in place of the real table."""
    table = table_of(server.add("/net.onnx", CONTENT))
    server.add("/free.h5", UNCHECKED)
    made = store_module.WeightsStore
    monkeypatch.setattr(store_module, "WeightsStore", lambda root: made(root, table))
    return server


def test_list_shows_every_entry(tmp_path: Path) -> None:
    shown = run(tmp_path, "list")
    assert shown.exit_code == 0
    lines = {line.split()[0]: line for line in shown.stdout.splitlines()[1:]}
    assert lines.keys() == TABLE.keys()
    assert "38,696,353" in lines["sface"]
    assert "deepface:SFace" in lines["sface"]
    assert "deepface:VGG-Face on TensorFlow" in lines["vgg-face-h5"]


def test_list_for_programs(tmp_path: Path) -> None:
    rows = {row["name"]: row for row in objects(run(tmp_path, "list", "--json"))}
    assert rows["yunet"] == {
        "name": "yunet",
        "file": "face_detection_yunet_2023mar.onnx",
        "size": 232_589,
        "sha256": TABLE["yunet"].sha256,
        "license": "MIT",
        "commercial": "yes",
        "status": "missing",
        "engines": ["opencv:yunet", "deepface:yunet", "background"],
    }


def test_fetch_then_verify(small: FileServer, tmp_path: Path) -> None:
    fetched = run(tmp_path, "fetch", "net")
    assert (fetched.exit_code, fetched.stdout) == (0, "net: fetched from 127.0.0.1\n")
    assert run(tmp_path, "fetch", "net").stdout == "net: is here\n"
    verified = run(tmp_path, "verify", "net", "--json")
    assert verified.exit_code == 0
    assert objects(verified) == [{"name": "net", "status": "present"}]
    (tmp_path / "models" / ".deepface" / "weights" / "net.onnx").write_bytes(b"changed")
    verified = run(tmp_path, "verify", "net", "free")
    assert verified.exit_code == 1
    assert "net: mismatched; it is not loaded; type: privface models fetch net\n" in verified.stdout
    assert "free: missing; type: privface models fetch free\n" in verified.stdout


def test_weights_that_come_first_leave_the_data_directory_to_its_owner(small: FileServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run(data, "fetch", "net").exit_code == 0
    assert data.stat().st_mode & 0o777 == 0o700
    elsewhere = tmp_path / "shared" / "models"
    assert run(tmp_path / "other", "fetch", "net", models_dir=str(elsewhere)).exit_code == 0
    assert not (tmp_path / "other").exists()


def test_fetch_for_programs(small: FileServer, tmp_path: Path) -> None:
    (row,) = objects(run(tmp_path, "fetch", "net", "--json"))
    assert row["path"] == str(tmp_path / "models" / ".deepface" / "weights" / "net.onnx")
    assert row["source"] == "127.0.0.1"


def test_fetch_all_needs_trust(small: FileServer, tmp_path: Path) -> None:
    refused = run(tmp_path, "fetch", "--all")
    assert isinstance(refused.exception, PrivFaceError)
    assert refused.exception.code is ErrorCode.WEIGHTS_MISMATCH
    assert run(tmp_path, "verify", "net").exit_code == 0
    assert run(tmp_path, "fetch", "--all", "--trust-first-use").exit_code == 0
    assert run(tmp_path, "verify", "net", "free").exit_code == 0


def test_the_defaults_are_those_of_the_configured_engines(tmp_path: Path) -> None:
    rows = objects(run(tmp_path, "verify", "--json"))
    assert [row["name"] for row in rows] == ["yunet", "sface"]
    flags = {"engines.recognizer": "deepface:VGG-Face", "engines.backend": "tensorflow"}
    rows = objects(run(tmp_path, "verify", "--json", **flags))
    assert [row["name"] for row in rows] == ["yunet", "vgg-face-h5"]


@pytest.mark.parametrize("arguments", [("fetch", "net", "--all"), ("fetch", "--all", "--default"), ("import",)])
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).exit_code == 2


def test_import_a_folder(small: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    empty = run(tmp_path, "import", str(folder))
    assert empty.exit_code == 1
    (folder / "anything").write_bytes(CONTENT)
    (folder / "free.h5").write_bytes(UNCHECKED)
    done = run(tmp_path, "import", str(folder), "--json")
    assert done.exit_code == 0
    assert objects(done) == [{"name": "net", "from": "anything"}]
    assert "add --trust-first-use" in done.stderr
    assert run(tmp_path, "verify", "net").exit_code == 0
    assert small.asked == []
