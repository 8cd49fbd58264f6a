"""Fetching whole files: resuming, checking, the next source where one fails."""

from __future__ import annotations

import bz2
import errno
import hashlib
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from privface_backend.errors import PrivFaceError
from privface_backend.models.downloads import open_session
from privface_backend.models.fetching import Fetcher
from privface_backend.models.store import WeightsStore
from privface_backend.models.weights import Commercial, Download, Packing, Source, Status, WeightsFile
from privface_backend.protocol import ErrorCode
from support.fileserver import FileServer, pack_zip, server

__all__ = ["server"]  # a fixture

CHUNK = 1 << 14
CONTENT = random.Random(1).randbytes(300_000)  # noqa: S311  # any bytes will do


def entry(*sources: Source, checked: bool = True) -> WeightsFile:
    return WeightsFile(
        name="net",
        file="net.onnx",
        license="MIT",
        commercial=Commercial.YES,
        sources=sources,
        size=len(CONTENT) if checked else None,
        sha256=hashlib.sha256(CONTENT).hexdigest() if checked else None,
    )


def open_store(root: Path, *sources: Source, checked: bool = True) -> WeightsStore:
    fetcher = Fetcher(session=open_session(connect_seconds=1), read_seconds=0.5)
    return WeightsStore(root, {"net": entry(*sources, checked=checked)}, fetcher=fetcher)


def left_over(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".incoming").iterdir() if path.suffix != ".lock")


def test_a_file_is_fetched_to_where_deepface_looks_for_it(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT)
    steps: list[tuple[str, int, int | None]] = []
    store = open_store(tmp_path, Download(url=url))
    (fetched,) = store.fetch(["net"], lambda *step: steps.append(step))
    assert fetched.source == "127.0.0.1"
    assert store.path("net") == tmp_path / ".deepface" / "weights" / "net.onnx"
    assert store.path("net").read_bytes() == CONTENT
    assert store.digest("net") == hashlib.sha256(CONTENT).hexdigest()
    assert store.deepface_home == tmp_path
    assert steps[-1] == ("net", len(CONTENT), len(CONTENT))
    assert left_over(tmp_path) == []


def test_a_file_that_is_there_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT)
    open_store(tmp_path, Download(url=url)).fetch(["net"])
    (again,) = open_store(tmp_path, Download(url=url)).fetch(["net"])
    assert again.source is None
    assert len(server.requests("/net.onnx")) == 1


def test_a_broken_connection_is_resumed(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT, etag='"v1"', drops=[6 * CHUNK, 3 * CHUNK])
    open_store(tmp_path, Download(url=url)).fetch(["net"])
    first, second, third = server.requests("/net.onnx")
    assert (first.range, second.range, third.range) == (None, f"bytes={6 * CHUNK}-", f"bytes={9 * CHUNK}-")
    assert second.if_range == '"v1"'
    assert server.sent("/net.onnx") == len(CONTENT)


def test_a_later_fetch_goes_on_where_an_earlier_one_stopped(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT, drops=[6 * CHUNK, *[0] * 20])
    with pytest.raises(PrivFaceError) as failed:
        open_store(tmp_path, Download(url=url)).fetch(["net"])
    assert failed.value.code is ErrorCode.WEIGHTS_UNREACHABLE
    server.files["/net.onnx"].drops.clear()
    store = open_store(tmp_path, Download(url=url))
    store.fetch(["net"])
    assert server.requests("/net.onnx")[-1].range == f"bytes={6 * CHUNK}-"
    assert store.path("net").read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def test_a_part_of_another_version_is_not_continued(server: FileServer, tmp_path: Path) -> None:
    other = bytes(len(CONTENT))
    url = server.add("/net.onnx", other, etag='"old"', drops=[6 * CHUNK, *[0] * 20])
    with pytest.raises(PrivFaceError):
        open_store(tmp_path, Download(url=url)).fetch(["net"])
    server.add("/net.onnx", CONTENT, etag='"new"')
    store = open_store(tmp_path, Download(url=url))
    store.fetch(["net"])
    assert server.requests("/net.onnx")[-1].if_range == '"old"'
    assert server.requests("/net.onnx")[-1].sent == len(CONTENT)
    assert store.path("net").read_bytes() == CONTENT


def test_an_unchecked_part_without_a_mark_is_begun_anew(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT, drops=[100_000])
    store = open_store(tmp_path, Download(url=url), checked=False)
    store.fetch(["net"], trust_first_use=True)
    assert [asked.range for asked in server.requests("/net.onnx")] == [None, None]
    assert store.path("net").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT, ranges=False, drops=[100_000])
    store = open_store(tmp_path, Download(url=url))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT


def test_a_complete_part_is_taken(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", CONTENT, drops=[6 * CHUNK, *[0] * 20])
    with pytest.raises(PrivFaceError):
        open_store(tmp_path, Download(url=url)).fetch(["net"])
    (part,) = (tmp_path / ".incoming").glob("*.part")
    part.write_bytes(CONTENT)
    server.files["/net.onnx"].drops.clear()
    store = open_store(tmp_path, Download(url=url))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert server.requests("/net.onnx")[-1].sent == 0


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"content": bytes(len(CONTENT))}, id="bytes"),
        pytest.param({"content": CONTENT + b"more"}, id="size"),
        pytest.param({"content": CONTENT, "status": 404}, id="missing"),
        pytest.param({"content": b"<html>Sign in</html>", "content_type": "text/html; charset=utf-8"}, id="page"),
    ],
)
def test_a_source_that_sends_something_else_is_left_for_the_next(
    server: FileServer, tmp_path: Path, wrong: dict[str, object]
) -> None:
    bad = server.add("/bad", **wrong)  # type: ignore[arg-type]  # a row of the table above
    good = server.add("/good", CONTENT)
    store = open_store(tmp_path, Download(url=bad), Download(url=good))
    store.fetch(["net"])
    assert server.requests("/bad")
    assert store.path("net").read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def test_wrong_bytes_never_get_the_final_name(server: FileServer, tmp_path: Path) -> None:
    url = server.add("/net.onnx", bytes(len(CONTENT)))
    store = open_store(tmp_path, Download(url=url))
    with pytest.raises(PrivFaceError) as failed:
        store.fetch(["net"])
    assert failed.value.code is ErrorCode.WEIGHTS_UNREACHABLE
    assert "privface models import DIR" in failed.value.message
    assert hashlib.sha256(CONTENT).hexdigest() in failed.value.message
    assert store.status("net") is Status.MISSING
    assert left_over(tmp_path) == []


def test_a_server_that_never_answers_is_left_for_the_next(server: FileServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/net.onnx"
        good = server.add("/good", CONTENT)
        store = open_store(tmp_path, Download(url=hanging), Download(url=good))
        store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """A place that takes no further connection and does not say so, like a network that drops packets."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()


def test_an_unreachable_host_is_waited_for_once(black_hole: tuple[str, int]) -> None:
    session = open_session(connect_seconds=0.5)
    url = "http://{}:{}/".format(*black_hole)
    begun = time.monotonic()
    for _ in range(5):
        with pytest.raises(requests.ConnectTimeout):
            session.get(url, timeout=30)
    assert 0.5 <= time.monotonic() - begun < 2


def test_a_closed_port_is_left_for_the_next(server: FileServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = f"http://127.0.0.1:{gone.getsockname()[1]}/net.onnx"
    good = server.add("/good", CONTENT)
    store = open_store(tmp_path, Download(url=closed), Download(url=good))
    store.fetch(["net"])
    assert store.status("net") is Status.PRESENT


def test_packed_files_are_unpacked(server: FileServer, tmp_path: Path) -> None:
    packed = bz2.compress(CONTENT)
    url = server.add("/net.onnx.bz2", packed, drops=[6 * CHUNK])
    store = open_store(tmp_path / "bz2", Download(url=url, packing=Packing.BZ2))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert server.sent("/net.onnx.bz2") == len(packed)

    url = server.add("/net.zip", pack_zip({"README": b"hello", "net.onnx": CONTENT}))
    store = open_store(tmp_path / "zip", Download(url=url, packing=Packing.ZIP))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert left_over(tmp_path / "zip") == left_over(tmp_path / "bz2") == []


@pytest.mark.parametrize("packing", [Packing.BZ2, Packing.ZIP])
def test_what_cannot_be_unpacked_is_not_kept(server: FileServer, tmp_path: Path, packing: Packing) -> None:
    bad = server.add("/bad", b"BZh9 or PK, but not really")
    good = server.add("/good", CONTENT)
    store = open_store(tmp_path, Download(url=bad, packing=packing), Download(url=good))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_explained(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = open_store(tmp_path / "file", Download(url=server.add("/net.onnx", CONTENT)))
    with pytest.raises(PrivFaceError) as failed:
        store.fetch(["net"])
    assert failed.value.code is ErrorCode.STORAGE_FAILED


def test_a_full_disk_is_explained(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = open_store(tmp_path, Download(url=server.add("/net.onnx", CONTENT)))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PrivFaceError) as failed:
        store.fetch(["net"])
    monkeypatch.undo()
    assert failed.value.code is ErrorCode.STORAGE_FULL
    assert store.status("net") is Status.MISSING
    store.fetch(["net"])
    assert store.status("net") is Status.PRESENT


def test_one_that_fails_does_not_keep_the_others_from_coming(server: FileServer, tmp_path: Path) -> None:
    good = entry(Download(url=server.add("/good", CONTENT)))
    table = {name: replace(good, name=name, file=name) for name in ("a", "b", "c")}
    for name in ("a", "b"):
        table[name] = replace(table[name], sources=(Download(url=server.url("/nowhere")),))
    store = WeightsStore(tmp_path, table)
    with pytest.raises(PrivFaceError) as failed:
        store.fetch(["a", "b", "c"])
    assert failed.value.details == {"failed": ["a", "b"], "fetched": ["c"]}
    assert store.status("c") is Status.PRESENT
