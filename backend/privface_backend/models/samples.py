"""Pictures of public people for a demonstration: members of archives in the Python package index, by sha256.

Official portraits and a NASA photograph, all in the public domain.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag, urljoin

import requests

from privface_backend.errors import PrivFaceError
from privface_backend.models.digests import digest_file
from privface_backend.models.downloads import CONNECT_SECONDS, READ_SECONDS, explain, open_session
from privface_backend.models.sources import SourceError
from privface_backend.models.wheels import PackageIndex, RangesRefusedError, RemoteFile, extract_member
from privface_backend.protocol import ErrorCode

_JSON: Final = "application/vnd.pypi.simple.v1+json"
_ACCEPT: Final = f"{_JSON}, text/html;q=0.1"
_LONGEST: Final = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleArchive:
    """An archive in the index, and the pictures in it: our name for each, its member, its sha256."""

    package: str
    filename: str
    sha256: str
    members: Mapping[str, tuple[str, str]] = field(default_factory=dict)


_PORTRAITS: Final = "face_recognition-1.3.0/tests/test_images"

ARCHIVES: Final = (
    SampleArchive(
        package="face-recognition",
        filename="face_recognition-1.3.0.tar.gz",
        sha256="5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        members={
            "president.jpg": (
                f"{_PORTRAITS}/obama.jpg",
                "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
            ),
            "president2.jpg": (
                f"{_PORTRAITS}/obama2.jpg",
                "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
            ),
            "president3.jpg": (
                f"{_PORTRAITS}/obama3.jpg",
                "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
            ),
            "visitor.jpg": (
                f"{_PORTRAITS}/biden.jpg",
                "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
            ),
        },
    ),
    SampleArchive(
        package="scikit-image",
        filename="scikit_image-0.25.2-cp312-cp312-win_amd64.whl",
        sha256="bdd2b8c1de0849964dbc54037f36b4e9420157e67e45a8709a80d727f52c7da2",
        members={
            "astronaut.png": (
                "skimage/data/astronaut.png",
                "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            )
        },
    ),
)


def fetch_samples(
    folder: Path, archives: tuple[SampleArchive, ...] = ARCHIVES, index_url: Callable[[], str] | None = None
) -> dict[str, Path]:
    """The pictures by name; those that are not in ``folder`` yet are fetched, and none is used unchecked.

    Raises:
        PrivFaceError: ``weights_unreachable``: the package index can't be reached, or gave other bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for archive in archives:
        missing = {name for name, (_, sha256) in archive.members.items() if not _is(folder / name, sha256)}
        if missing:
            try:
                _fetch(archive, missing, folder, (index_url or PackageIndex().simple_url)())
            except (SourceError, requests.RequestException, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
                reason = explain(error) if isinstance(error, requests.RequestException) else str(error)
                raise PrivFaceError(
                    ErrorCode.WEIGHTS_UNREACHABLE,
                    f"The demonstration's pictures can't be had from {archive.package} in the package index: {reason}.",
                ) from None
        found |= {name: folder / name for name in archive.members}
    return found


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and digest_file(path).sha256 == sha256


def _fetch(archive: SampleArchive, names: set[str], folder: Path, index: str) -> None:
    with open_session() as session:
        url = _locate(session, index, archive)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            for name in sorted(names):
                member, sha256 = archive.members[name]
                target = Path(part) / name
                if archive.filename.endswith(".whl"):
                    _from_wheel(session, url, member, target)
                else:
                    _from_sdist(session, url, archive, member, target)
                if not _is(target, sha256):
                    raise SourceError("it holds other bytes than expected")
                target.replace(folder / name)


def _locate(session: requests.Session, index: str, archive: SampleArchive) -> str:
    """The archive's address, from the index' page of the package (PEP 691, or PEP 503)."""
    page = f"{index.rstrip('/')}/{archive.package}/"
    response = session.get(page, headers={"Accept": _ACCEPT}, timeout=(CONNECT_SECONDS, READ_SECONDS))
    response.raise_for_status()
    if _JSON in response.headers.get("Content-Type", ""):
        files = {str(file["filename"]): str(file["url"]) for file in json.loads(response.content)["files"]}
    else:
        links = re.findall(r'href="([^"]+)"', response.text)
        files = {urldefrag(link).url.rpartition("/")[2]: urldefrag(link).url for link in links}
    if archive.filename not in files:
        raise SourceError("the file is not there any more")
    return str(urljoin(response.url, files[archive.filename]))


def _from_wheel(session: requests.Session, url: str, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(RemoteFile(session, url)) as remote:
            extract_member(remote, member, target, size=None, progress=lambda _done, _total: None)
    except RangesRefusedError:
        whole = target.with_suffix(".whl")
        _download(session, url, whole)
        with zipfile.ZipFile(whole) as local:
            extract_member(local, member, target, size=None, progress=lambda _done, _total: None)


def _from_sdist(session: requests.Session, url: str, archive: SampleArchive, member: str, target: Path) -> None:
    whole = target.parent / archive.filename
    if not whole.exists():
        _download(session, url, whole)
        if digest_file(whole).sha256 != archive.sha256:
            raise SourceError("it holds other bytes than expected")
    with tarfile.open(whole) as packed:
        source = packed.extractfile(member)
        if source is None:
            raise SourceError("the picture is not in it")
        target.write_bytes(source.read(_LONGEST))


def _download(session: requests.Session, url: str, target: Path) -> None:
    with session.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response:
        response.raise_for_status()
        with target.open("wb") as file:
            for chunk in response.iter_content(1 << 20):
                file.write(chunk)
