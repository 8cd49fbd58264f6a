"""Whole files from their publisher's address: impatient where nobody answers, resumed where a connection breaks."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from privface_backend.models.sources import SourceError

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
_ATTEMPTS: Final = 6
# What of a chunk has come when a connection breaks is lost.
_CHUNK: Final = 1 << 14

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and with how many there will be where that is known."""


class _InterruptedError(Exception):
    """The connection broke in the middle; what came is kept."""


class ImpatientAdapter(HTTPAdapter):
    """Gives up on a host that can't be reached within ``seconds``, names and all its addresses counted, for good.

    A time-out of ``requests`` holds for each address of a host and not for asking for its name, so that a
    network that drops packets would cost minutes.
    """

    def __init__(self, seconds: float = CONNECT_SECONDS) -> None:
        super().__init__()
        self._seconds = seconds
        self._reachable: dict[tuple[str, int], bool] = {}

    def send(  # noqa: PLR0917  # the signature of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = urlsplit(request.url or "")
        if url.hostname is not None and not select_proxy(request.url or "", dict(proxies or {})):
            place = (url.hostname, url.port or (443 if url.scheme == "https" else 80))
            if place not in self._reachable:
                self._reachable[place] = _connects(place, self._seconds)
            if not self._reachable[place]:
                raise requests.ConnectTimeout(f"no answer from {url.hostname} within {self._seconds:g} s")
        return super().send(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)


def _connects(place: tuple[str, int], seconds: float) -> bool:
    answered: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection(place, seconds).close()
        except OSError:
            return
        answered.append(True)

    # A resolver can't be interrupted, so it is left behind.
    thread = threading.Thread(target=connect, name="weights-connect", daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answered)


def open_session(connect_seconds: float = CONNECT_SECONDS) -> requests.Session:
    """A session for downloads; one for a whole run, so that an unreachable host is waited for once."""
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, ImpatientAdapter(connect_seconds))
    return session


def explain(error: requests.RequestException) -> str:
    """Why a request failed, in a few words."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate can't be verified"
    if isinstance(error, requests.ConnectTimeout):
        return "it can't be reached"
    if isinstance(error, requests.ReadTimeout):
        return "it does not answer"
    if isinstance(error, requests.ConnectionError):
        return "the connection failed"
    return type(error).__name__


class PartialFile:
    """A file on its way: what has come, and the server's mark (ETag or date) of the version that it belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_name(path.name + ".mark")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def mark(self) -> str | None:
        return self._mark.read_text("utf-8") if self._mark.exists() else None

    def restart(self, response: requests.Response) -> None:
        """Forget what has come; remember the version that comes now."""
        self.discard()
        tag = response.headers.get("ETag", "")
        mark = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
        if mark:
            self._mark.write_text(mark, "utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)


def download(
    session: requests.Session,
    url: str,
    part: PartialFile,
    *,
    progress: Progress,
    size: int | None = None,
    checked: bool = True,
    read_seconds: float = READ_SECONDS,
) -> None:
    """Bring the whole file at ``url`` into ``part``, from where an earlier attempt stopped.

    ``size``: what it must have. ``checked``: a checksum is compared afterwards, so that an attempt of which the
    server keeps no mark may be continued too.

    Raises:
        SourceError: ``part`` is kept where a later attempt can go on with it.
    """
    for _ in range(_ATTEMPTS):
        try:
            _receive(session, url, part, progress=progress, size=size, checked=checked, read_seconds=read_seconds)
            return
        except _InterruptedError:
            continue
        except requests.RequestException as error:
            raise SourceError(explain(error)) from error
    raise SourceError("the connection broke again and again")


def _receive(
    session: requests.Session,
    url: str,
    part: PartialFile,
    *,
    progress: Progress,
    size: int | None,
    checked: bool,
    read_seconds: float,
) -> None:
    have = part.size
    headers = _resume_headers(part, checked=checked)
    with session.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, read_seconds)) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and headers:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.discard()
            raise _InterruptedError
        if not response.ok:
            raise SourceError(f"it answers {response.status_code}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise SourceError("it answers with a web page instead of a file")
        if response.status_code == requests.codes.partial_content:
            if not re.match(rf"bytes {have}-", response.headers.get("Content-Range", "")):
                part.discard()
                raise _InterruptedError
        else:
            part.restart(response)
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else size
        if size is not None and total != size:
            part.discard()
            raise SourceError(f"it has {total} bytes instead of {size}")
        _append(response, part, have, total, progress)


def _resume_headers(part: PartialFile, *, checked: bool) -> dict[str, str]:
    have, mark = part.size, part.mark
    if not have or not (mark or checked):
        return {}
    return {"Range": f"bytes={have}-"} | ({"If-Range": mark} if mark else {})


def _append(response: requests.Response, part: PartialFile, have: int, total: int | None, progress: Progress) -> None:
    progress(have, total)
    with part.path.open("ab") as file:
        try:
            for chunk in response.iter_content(_CHUNK):
                have += len(chunk)
                if total is not None and have > total:
                    break
                file.write(chunk)
                progress(have, total)
        except requests.RequestException as error:
            raise _InterruptedError from error
    if total is not None and have > total:
        part.discard()
        raise SourceError("it sends more bytes than it should")
