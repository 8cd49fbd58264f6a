"""A real HTTP server on loopback for files: with ranges, breaking connections, silence, and a package index."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Served:
    """One file and how it is served. ``drops``: after how many bytes each of the next answers breaks off."""

    content: bytes
    ranges: bool = True
    etag: str | None = None
    drops: list[int] = field(default_factory=list)
    status: int | None = None
    content_type: str = "application/octet-stream"
    gate: threading.Event | None = None


@dataclass(frozen=True)
class Asked:
    """One request, and how many bytes of a body went out for it."""

    path: str
    range: str | None
    if_range: str | None
    sent: int


class FileServer:
    """``files`` may be changed while it runs; ``asked`` are the requests so far."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[Asked] = []
        self.arrived = threading.Event()
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def add(self, path: str, content: bytes, **how: Any) -> str:
        self.files[path] = Served(content, **how)
        return self.url(path)

    def add_wheel(self, package: str, version: str, members: Mapping[str, bytes], **how: Any) -> str:
        """A wheel in the index at ``/simple/``. Returns its sha256."""
        file = f"{package}-{version}-py3-none-any.whl"
        info = f"{package}-{version}.dist-info"
        wheel = pack_zip(
            {
                **members,
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
                f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": b"",
            }
        )
        sha256 = hashlib.sha256(wheel).hexdigest()
        self.add(f"/packages/{file}", wheel, **how)
        page = f'<html><body><a href="/packages/{file}#sha256={sha256}">{file}</a></body></html>'
        self.add(f"/simple/{package}/", page.encode(), content_type="text/html")
        return sha256

    def sent(self, path: str) -> int:
        return sum(asked.sent for asked in self.asked if asked.path == path)

    def requests(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]


def pack_zip(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: FileServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that it has in http.server
        pass

    def do_GET(self) -> None:
        wanted, if_range = self.headers.get("Range"), self.headers.get("If-Range")
        served = self.files.files.get(self.path)
        sent = 0
        try:
            sent = self._answer(served, wanted, if_range)
        finally:
            self.files.asked.append(Asked(self.path, wanted, if_range, sent))

    def _answer(self, served: Served | None, wanted: str | None, if_range: str | None) -> int:
        self.files.arrived.set()
        if served is not None and served.gate is not None:
            served.gate.wait(30)
        if served is None or served.status is not None:
            self.send_response(404 if served is None or served.status is None else served.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return 0
        start, end = 0, len(served.content)
        if wanted and served.ranges and if_range in (None, served.etag):
            start, end = _span(wanted, end)
            if start >= len(served.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(served.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return 0
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(served.content)}")
        else:
            self.send_response(200)
        if served.etag is not None:
            self.send_header("ETag", served.etag)
        self.send_header("Content-Type", served.content_type)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        body = served.content[start:end]
        if served.drops:
            body = body[: served.drops.pop(0)]
            self.close_connection = True
        try:
            self.wfile.write(body)
        except OSError:
            return 0
        return len(body)


def _span(wanted: str, size: int) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    assert found is not None, wanted
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


@contextmanager
def serving() -> Iterator[FileServer]:
    """A server of its own, gone afterwards."""
    files = FileServer()
    handler = type("Handler", (_Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    files.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield files
    finally:
        for served in files.files.values():
            if served.gate is not None:
                served.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as files:
        yield files
