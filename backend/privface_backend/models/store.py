"""The weights store: a folder of checked files, laid out so that DeepFace finds them under its own names."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from privface_backend.errors import PrivFaceError
from privface_backend.models.digests import Digest, digest_file, digest_stream
from privface_backend.models.folder import Candidate, candidates
from privface_backend.models.pins import Pins
from privface_backend.models.refusals import by_hand, refusal
from privface_backend.models.sources import SourceError, describe_source
from privface_backend.models.table import TABLE
from privface_backend.models.weights import Status, WeightsFile
from privface_backend.protocol import ErrorCode

if TYPE_CHECKING:
    from privface_backend.models.fetching import Fetcher

_LOG: Final = logging.getLogger(__name__)

FetchProgress = Callable[[str, int, int | None], None]
"""Called with the name of the weights, the bytes that are there, and how many there will be where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One file after ``fetch``. ``source``: where it came from; None: it was there."""

    name: str
    path: Path
    sha256: str
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What ``import_folder`` did. ``files``: name → where it lay. ``untrusted``: known by their file's name only."""

    files: Mapping[str, str]
    untrusted: Mapping[str, str]


class WeightsStore:
    """Implements ``plugins.ports.Weights``. Synchronous; ``path`` and ``digest`` may be called on any thread.

    ``root`` is what DeepFace gets as ``DEEPFACE_HOME``. Nothing is written before ``fetch`` or ``import_folder``.
    """

    def __init__(self, root: Path, table: Mapping[str, WeightsFile] = TABLE, *, fetcher: Fetcher | None = None) -> None:
        self._root = root
        self._folder = root / ".deepface" / "weights"
        self._incoming = root / ".incoming"
        self._table = table
        self._fetcher = fetcher
        self._pins = Pins(root / "pins.json")
        self._digests: dict[tuple[Path, int, int], str] = {}
        self._lock = threading.Lock()

    @property
    def table(self) -> Mapping[str, WeightsFile]:
        return self._table

    @property
    def deepface_home(self) -> Path:
        return self._root

    def entry(self, name: str) -> WeightsFile:
        """What is known of the weights called ``name``.

        Raises:
            PrivFaceError: ``bad_request``, with the names that exist.
        """
        if name not in self._table:
            raise PrivFaceError(
                ErrorCode.BAD_REQUEST, f"There are no weights called {name!r}.", allowed=", ".join(self._table)
            )
        return self._table[name]

    def file(self, name: str) -> Path:
        """Where the file lies, or would lie."""
        return self._folder / self.entry(name).file

    def expected(self, name: str) -> str | None:
        """The sha256 that the file must have: the published one, else the one that the user trusted."""
        return self.entry(name).sha256 or self._pins.get(name)

    def status(self, name: str) -> Status:
        """How the file stands; its bytes are read once for each size and time of change."""
        entry, path = self.entry(name), self.file(name)
        if not path.is_file():
            return Status.MISSING
        expected = self.expected(name)
        if expected is None:
            return Status.UNPINNED
        if entry.size not in (None, path.stat().st_size) or self._digest(path) != expected:
            return Status.MISMATCHED
        return Status.PRESENT

    def path(self, name: str) -> Path:
        """The verified file.

        Raises:
            PrivFaceError: ``weights_missing`` or ``weights_mismatch``, saying what to type.
        """
        with self._storage():
            status = self.status(name)
        if status is Status.PRESENT:
            return self.file(name)
        raise self._refusal(name, status)

    def digest(self, name: str) -> str:
        """The sha256 of the verified file.

        Raises:
            PrivFaceError: as ``path``.
        """
        return self._digest(self.path(name))

    def verify(self, names: Iterable[str] | None = None) -> dict[str, Status]:
        """Read the files again, whatever was read before; without ``names`` all that are there."""
        with self._lock:
            self._digests.clear()
        found = {name: self.status(name) for name in (self._table if names is None else names)}
        return {name: status for name, status in found.items() if names is not None or status is not Status.MISSING}

    def fetch(
        self, names: Iterable[str], progress: FetchProgress | None = None, *, trust_first_use: bool = False
    ) -> Sequence[Fetched]:
        """Bring the files that are not there. One that fails does not keep the others from coming.

        ``trust_first_use``: take a file without a published checksum as it is, and hold to it from now on.

        Raises:
            PrivFaceError: of the one that failed; ``weights_unreachable`` where several did.
        """
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            self.entry(name)
        done, failures = [], {}
        from privface_backend.models.fetching import Fetcher  # noqa: PLC0415  # most commands need no HTTP client

        fetcher = self._fetcher or Fetcher()
        for name in wanted:
            try:
                done.append(self._fetch(name, fetcher, progress or _ignore, trust=trust_first_use))
            except PrivFaceError as error:
                failures[name] = error
        if len(failures) == 1:
            raise next(iter(failures.values()))
        if failures:
            raise PrivFaceError(
                ErrorCode.WEIGHTS_UNREACHABLE,
                "\n".join(error.message for error in failures.values()),
                details={"failed": list(failures), "fetched": [item.name for item in done]},
            )
        return done

    def import_folder(self, folder: Path, *, trust_first_use: bool = False) -> Imported:
        """Copy every file that belongs here out of ``folder`` and below, packed ones and wheels' members too.

        A file is known by its sha256 whatever its name; one without a published checksum by its name, and taken
        only with ``trust_first_use``.

        Raises:
            PrivFaceError: ``not_found``, ``storage_full`` or ``storage_failed``.
        """
        if not folder.is_dir():
            raise PrivFaceError(ErrorCode.NOT_FOUND, f"There is no folder {folder}.")
        files: dict[str, str] = {}
        untrusted: dict[str, str] = {}
        with self._storage():
            for candidate in candidates(folder):
                name = self._recognize(candidate)
                if name is None or name in files:
                    continue
                if self.expected(name) is None and not trust_first_use:
                    untrusted[name] = candidate.label
                elif self._import(name, candidate):
                    files[name] = candidate.label
        return Imported(files=files, untrusted={name: at for name, at in untrusted.items() if name not in files})

    def _recognize(self, candidate: Candidate) -> str | None:
        by_name = [name for name, entry in self._table.items() if PurePosixPath(entry.file).name == candidate.name]
        known = {sum_: name for name in self._table if (sum_ := self.expected(name)) is not None}
        sizes = {entry.size for entry in self._table.values()}
        if candidate.whole or by_name or candidate.size in sizes:
            try:
                with candidate.open() as stream:
                    found = digest_stream(stream)
            except (OSError, EOFError):
                return None
            if found.sha256 in known:
                return known[found.sha256]
        return next((name for name in by_name if self.expected(name) is None), None)

    def _import(self, name: str, candidate: Candidate) -> bool:
        with self._hold(name):
            if self.status(name) is Status.PRESENT:
                return True
            part = self._incoming / f"{name}.import"
            with candidate.open() as stream, part.open("wb") as file:
                found = digest_stream(stream, file.write)
            try:
                self._admit(name, part, found)
            except SourceError:
                return False
            return True

    def _fetch(self, name: str, fetcher: Fetcher, progress: FetchProgress, *, trust: bool) -> Fetched:
        with self._storage(), self._hold(name):
            status = self.status(name)
            if status is Status.UNPINNED and trust:
                self._pins.set(name, self._digest(self.file(name)))
                status = Status.PRESENT
            if status is Status.PRESENT:
                return Fetched(name=name, path=self.file(name), sha256=self.digest(name), source=None)
            if self.expected(name) is None and not trust:
                raise self._refusal(name, Status.UNPINNED)
            return self._try_sources(name, fetcher, progress)

    def _try_sources(self, name: str, fetcher: Fetcher, progress: FetchProgress) -> Fetched:
        entry, checked = self.entry(name), self.expected(name) is not None
        target = self._incoming / f"{name}.new"
        tried = []
        for source in entry.sources:
            try:
                fetcher.fetch(
                    entry,
                    source,
                    target,
                    checked=checked,
                    progress=lambda done, total: progress(name, done, total),
                )
                found = digest_file(target)
                self._admit(name, target, found)
            except SourceError as error:
                target.unlink(missing_ok=True)
                tried.append(f"{describe_source(source)}: {error}")
                _LOG.info("weights %s: %s", name, tried[-1])
            else:
                return Fetched(name=name, path=self.file(name), sha256=found.sha256, source=describe_source(source))
        raise PrivFaceError(
            ErrorCode.WEIGHTS_UNREACHABLE,
            f"{name} could not be fetched ({'; '.join(tried)}). {by_hand(entry, self.expected(name))}",
            details={"weights": name, "tried": tried},
        )

    def _admit(self, name: str, part: Path, found: Digest) -> None:
        """Move a file to where it is loaded from, if it is the right one; else it is deleted."""
        expected, path = self.expected(name), self.file(name)
        if expected not in (None, found.sha256):
            part.unlink()
            raise SourceError("what it sends is another file (its sha256 differs)")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)
        _sync_folder(path.parent)
        if expected is None:
            self._pins.set(name, found.sha256)

    def _digest(self, path: Path) -> str:
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._digests:
                self._digests[key] = digest_file(path).sha256
            return self._digests[key]

    @contextmanager
    def _hold(self, name: str) -> Iterator[None]:
        """One process at a time works on a file."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        with FileLock(self._incoming / f"{name}.lock"):
            yield

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise PrivFaceError(
                ErrorCode.STORAGE_FULL if full else ErrorCode.STORAGE_FAILED,
                f"The weights folder {self._root} can't be used: {error.strerror or type(error).__name__}.",
            ) from error

    def _refusal(self, name: str, status: Status) -> PrivFaceError:
        return refusal(self.entry(name), self.expected(name), self.file(name), status)


def _ignore(_name: str, _done: int, _total: int | None) -> None:
    pass


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
