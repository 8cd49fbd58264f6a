"""The weights store: only checked files are given out; importing; pins; two processes at once."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.models.weights import Status
from privface_backend.plugins.ports import Weights
from privface_backend.protocol import ErrorCode
from support.fileserver import FileServer, pack_zip, server
from support.small_weights import CONTENT, SHA256, UNCHECKED, table_of

__all__ = ["server"]  # a fixture


def put(store: WeightsStore, name: str, content: bytes) -> Path:
    path = store.file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def refused(store: WeightsStore, name: str) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as by_path:
        store.path(name)
    with pytest.raises(PrivFaceError) as by_digest:
        store.digest(name)
    assert by_path.value.code is by_digest.value.code
    return by_path.value


def test_it_is_the_port_that_engines_use(tmp_path: Path) -> None:
    weights: Weights = WeightsStore(tmp_path)
    assert weights.deepface_home == tmp_path


def test_missing_weights_say_what_to_type(tmp_path: Path) -> None:
    store = WeightsStore(tmp_path / "new", table_of())
    error = refused(store, "net")
    assert error.code is ErrorCode.WEIGHTS_MISSING
    assert "privface models fetch net\n" in error.message
    assert f"net.onnx (sha256 {SHA256})" in error.message
    assert "privface models import DIR" in error.message
    assert not (tmp_path / "new").exists()


def test_unknown_weights_name_the_known(tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as refused:
        WeightsStore(tmp_path, table_of()).path("yunnet")
    assert refused.value.allowed == "net, free"


@pytest.mark.parametrize("at", [0, len(CONTENT) // 2, len(CONTENT) - 1])
def test_a_changed_byte_is_refused(tmp_path: Path, at: int) -> None:
    store = WeightsStore(tmp_path, table_of())
    path = put(store, "net", CONTENT)
    assert store.path("net") == path
    assert store.status("net") is Status.PRESENT
    changed = bytearray(CONTENT)
    changed[at] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(0, 0))
    error = refused(store, "net")
    assert error.code is ErrorCode.WEIGHTS_MISMATCH
    assert "privface models fetch net" in error.message
    assert path.read_bytes() == changed


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!", b""])
def test_another_size_is_refused(tmp_path: Path, content: bytes) -> None:
    store = WeightsStore(tmp_path, table_of())
    put(store, "net", content)
    assert refused(store, "net").code is ErrorCode.WEIGHTS_MISMATCH


def test_a_file_is_read_once_and_by_verify_again(tmp_path: Path) -> None:
    store = WeightsStore(tmp_path, table_of())
    path = put(store, "net", CONTENT)
    assert store.digest("net") == SHA256
    before = path.stat()
    # Same size and time: what only reading can tell.
    path.write_bytes(bytes(len(CONTENT)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.path("net") == path
    assert store.verify() == {"net": Status.MISMATCHED}
    assert refused(store, "net").code is ErrorCode.WEIGHTS_MISMATCH


def test_a_changed_file_is_replaced_by_a_fetch(server: FileServer, tmp_path: Path) -> None:
    store = WeightsStore(tmp_path, table_of(server.add("/net.onnx", CONTENT)))
    put(store, "net", bytes(len(CONTENT)))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT


def test_a_file_without_a_checksum_is_never_taken_silently(server: FileServer, tmp_path: Path) -> None:
    server.add("/free.h5", UNCHECKED)
    store = WeightsStore(tmp_path, table_of(server.url("/net.onnx")))
    with pytest.raises(PrivFaceError, match="fetch --trust-first-use free"):
        store.fetch(["free"])
    assert server.asked == []
    put(store, "free", UNCHECKED)
    assert store.status("free") is Status.UNPINNED
    error = refused(store, "free")
    assert error.code is ErrorCode.WEIGHTS_MISMATCH
    assert error.details["status"] == "unpinned"
    with pytest.raises(PrivFaceError):
        store.fetch(["free"])


def test_a_trusted_file_is_held_to_its_first_sum(server: FileServer, tmp_path: Path) -> None:
    server.add("/free.h5", UNCHECKED)
    table = table_of(server.url("/net.onnx"))
    WeightsStore(tmp_path, table).fetch(["free"], trust_first_use=True)

    store = WeightsStore(tmp_path, table)
    path = store.path("free")
    assert path == tmp_path / ".deepface" / "weights" / "pack" / "free.h5"
    assert store.digest("free") == hashlib.sha256(UNCHECKED).hexdigest()

    path.write_bytes(UNCHECKED + b"!")
    assert refused(store, "free").code is ErrorCode.WEIGHTS_MISMATCH
    store.fetch(["free"])
    assert store.path("free").read_bytes() == UNCHECKED

    path.unlink()
    server.add("/free.h5", bytes(100_000))
    with pytest.raises(PrivFaceError, match="sha256 differs"):
        store.fetch(["free"], trust_first_use=True)
    assert not path.exists()


def test_a_file_that_lies_there_may_be_trusted(server: FileServer, tmp_path: Path) -> None:
    store = WeightsStore(tmp_path, table_of(server.url("/net.onnx")))
    put(store, "free", UNCHECKED)
    (fetched,) = store.fetch(["free"], trust_first_use=True)
    assert fetched.source is None
    assert store.digest("free") == hashlib.sha256(UNCHECKED).hexdigest()
    assert server.asked == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1, "pins": 3}', '{"version": 2, "pins": {}}'])
def test_pins_that_cannot_be_read_stop_the_store_and_stay(tmp_path: Path, content: str) -> None:
    store = WeightsStore(tmp_path, table_of())
    put(store, "free", UNCHECKED)
    put(store, "net", CONTENT)
    pins = tmp_path / "pins.json"
    pins.write_text(content)
    assert refused(store, "free").code is ErrorCode.WEIGHTS_MISMATCH
    with pytest.raises(PrivFaceError, match="it was left as it is"):
        store.fetch(["free"], trust_first_use=True)
    assert pins.read_text() == content
    assert store.status("net") is Status.PRESENT


def test_import_knows_a_file_by_its_sum(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "renamed.bin").write_bytes(CONTENT)
    (folder / "net.onnx").write_bytes(bytes(len(CONTENT)))
    store = WeightsStore(tmp_path / "store", table_of())
    done = store.import_folder(folder)
    assert done.files == {"net": str(Path("deep") / "renamed.bin")}
    assert store.path("net").read_bytes() == CONTENT
    assert (folder / "deep" / "renamed.bin").exists()


@pytest.mark.parametrize(
    ("name", "content", "label"),
    [
        ("some-1.0-py3-none-any.whl", pack_zip({"a/other": b"x", "a/x.bin": CONTENT}), ": a/x.bin"),
        ("net.zip", pack_zip({"net.onnx": CONTENT}), ": net.onnx"),
        ("net.onnx.bz2", bz2.compress(CONTENT), ""),
    ],
)
def test_import_looks_into_packed_files(tmp_path: Path, name: str, content: bytes, label: str) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / "broken.zip").write_bytes(b"PK")
    (folder / "broken.bz2").write_bytes(b"BZh9")
    store = WeightsStore(tmp_path / "store", table_of())
    assert store.import_folder(folder).files == {"net": name + label}
    assert store.path("net").read_bytes() == CONTENT


def test_import_takes_a_file_without_a_checksum_only_if_told(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "free.h5").write_bytes(UNCHECKED)
    store = WeightsStore(tmp_path / "store", table_of())
    done = store.import_folder(folder)
    assert (done.files, done.untrusted) == ({}, {"free": "free.h5"})
    assert store.status("free") is Status.MISSING
    assert store.import_folder(folder, trust_first_use=True).files == {"free": "free.h5"}
    assert store.digest("free") == hashlib.sha256(UNCHECKED).hexdigest()


def test_import_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as failed:
        WeightsStore(tmp_path, table_of()).import_folder(tmp_path / "gone")
    assert failed.value.code is ErrorCode.NOT_FOUND


FETCH = """
import logging, sys
from pathlib import Path
from privface_backend.models.store import WeightsStore
from privface_backend.models.weights import Commercial, Download, WeightsFile
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
root, url, size, sha256 = sys.argv[1:]
entry = WeightsFile(name="net", file="net.onnx", license="MIT", commercial=Commercial.YES, size=int(size),
                    sha256=sha256, sources=(Download(url=url),))
(done,) = WeightsStore(Path(root), {"net": entry}).fetch(["net"])
print("source", done.source, flush=True)
"""


def test_two_processes_download_a_file_once(server: FileServer, tmp_path: Path) -> None:
    gate = threading.Event()
    url = server.add("/net.onnx", CONTENT, gate=gate)

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-uc", FETCH, str(tmp_path), url, str(len(CONTENT)), SHA256]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert server.arrived.wait(30)
        with start() as second:
            assert second.stdout is not None
            assert first.stdout is not None
            waiting = next((line for line in second.stdout if "not acquired" in line), None)
            gate.set()
            assert waiting is not None
            assert "source 127.0.0.1" in first.stdout.read()
            assert "source None" in second.stdout.read()
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(server.requests("/net.onnx")) == 1


def test_pins_are_written_whole(tmp_path: Path) -> None:
    store = WeightsStore(tmp_path, table_of())
    put(store, "free", UNCHECKED)
    store.fetch(["free"], trust_first_use=True)
    written = json.loads((tmp_path / "pins.json").read_text("utf-8"))
    assert written == {"version": 1, "pins": {"free": hashlib.sha256(UNCHECKED).hexdigest()}}
    assert not (tmp_path / "pins.json.part").exists()
