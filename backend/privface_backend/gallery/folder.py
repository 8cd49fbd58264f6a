"""Enrolling people from a directory of pictures, once or for as long as it is watched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Final

import watchfiles

from privface_backend.domain.consent import Consent
from privface_backend.domain.people import clean_name
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.consent_file import read_consent
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.listing import LONGEST_PICTURE, FolderListing, FolderPicture, list_folder, read_picture
from privface_backend.gallery.service import GalleryService
from privface_backend.protocol import ErrorCode

_LOGGER: Final = logging.getLogger(__name__)

Represent = Callable[[bytes], Awaitable[RepresentedFace]]

# Not worth another try while the file stays the same. A truncated picture is: it may still be being copied, and
# the clocks of some file systems are too coarse to tell.
_LASTING: Final = frozenset(
    {
        ErrorCode.NO_FACE,
        ErrorCode.SEVERAL_FACES,
        ErrorCode.FACE_TOO_SMALL,
        ErrorCode.FACE_TOO_BLURRY,
        ErrorCode.PICTURE_TOO_LARGE,
        ErrorCode.BAD_NAME,
    }
)
_STORAGE: Final = frozenset({ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_FAILED, ErrorCode.GALLERY_CORRUPT})


class FileOutcome(StrEnum):
    """What became of a picture of the directory."""

    ENROLLED = "enrolled"
    ALREADY = "already"
    REFUSED = "refused"
    HELD_BACK = "held_back"
    REMOVED = "removed"


_NOTHING_NEW: Final = frozenset({FileOutcome.ALREADY, FileOutcome.HELD_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One picture, done. ``position`` of ``total`` for a progress bar; a removed one has none.

    ``skipped``: how many other files of the directory were left alone.
    """

    path: str = field(repr=False)
    outcome: FileOutcome
    position: int = 0
    total: int = 0
    skipped: int = 0
    person_id: str | None = None
    error: PrivFaceError | None = None

    def to_dict(self) -> dict[str, object]:
        """The report as the command line prints it."""
        return {
            "file": self.path,
            "outcome": self.outcome.value,
            "person_id": self.person_id,
            "error": None if self.error is None else self.error.to_dict(),
        }


@dataclass(slots=True, kw_only=True)
class FolderMemory:
    """What is known about files that haven't changed since: their digests, and why some were last refused."""

    digests: dict[tuple[int, ...], str] = field(default_factory=dict, repr=False)
    refused: dict[tuple[str, tuple[int, ...]], PrivFaceError] = field(default_factory=dict, repr=False)

    def keep_only(self, pictures: Sequence[FolderPicture]) -> None:
        """Forget the files that are gone or have changed."""
        stamps = {picture.stamp for picture in pictures}
        self.digests = {stamp: digest for stamp, digest in self.digests.items() if stamp in stamps}
        self.refused = {key: error for key, error in self.refused.items() if key[1] in stamps}


async def sync_folder(
    folder: Path,
    gallery: GalleryService,
    represent: Represent,
    *,
    prune: bool = False,
    memory: FolderMemory | None = None,
    longest: int = LONGEST_PICTURE,
) -> AsyncGenerator[FileReport, None]:
    """Enroll the pictures of a directory that aren't yet; report on each one as it is done.

    ``prune``: faces that came from this directory and whose pictures it no longer has are removed; never where a
    part of it can't be read, or no picture is left: that is rather a disk that isn't mounted. Pictures of people who
    were forgotten are held back. With a ``memory``
    unchanged files are neither read again nor, when refused for the same reason before, reported again. It ends
    with the first picture that the storage can't take.

    Raises:
        PrivFaceError: ``not_found``: there is no such directory; ``storage_full`` or ``storage_failed``.
    """
    await gallery.people()
    sync = _Sync(gallery, represent, memory or FolderMemory(), longest, _Place(folder, await gallery.held_back()))
    listing = await asyncio.to_thread(list_folder, folder)
    sync.memory.keep_only(listing.pictures)
    for position, picture in enumerate(listing.pictures, start=1):
        before = sync.memory.refused.get((picture.name, picture.stamp))
        outcome, person_id, error = await sync.enroll(picture, listing.folder_id)
        if error is None or before is None or error.code is not before.code:
            yield FileReport(
                path=picture.path,
                outcome=outcome,
                position=position,
                total=len(listing.pictures),
                skipped=listing.skipped,
                person_id=person_id,
                error=error,
            )
        if error is not None and error.code in _STORAGE:
            return
    if prune and listing.pictures and listing.is_complete:
        async for path, person_id in sync.prune(listing):
            yield FileReport(path=path, outcome=FileOutcome.REMOVED, skipped=listing.skipped, person_id=person_id)


@dataclass(frozen=True, slots=True)
class _Place:
    """The directory, and the sha256 of the pictures that are not enrolled from it."""

    folder: Path
    held_back: AbstractSet[str]


class _Sync:
    """One run through a directory."""

    def __init__(
        self,
        gallery: GalleryService,
        represent: Represent,
        memory: FolderMemory,
        longest: int,
        place: _Place,
    ) -> None:
        self.memory: Final = memory
        self._place: Final = place
        self._gallery: Final = gallery
        self._represent: Final = represent
        self._longest: Final = longest
        self._seen: Final[set[tuple[str, str]]] = set()
        self._unread: Final[set[str]] = set()

    async def enroll(
        self, picture: FolderPicture, folder_id: str
    ) -> tuple[FileOutcome, str | None, PrivFaceError | None]:
        """Enroll one picture, or say why not."""
        key = (picture.name, picture.stamp)
        error = self.memory.refused.get(key)
        if error is None or error.code not in _LASTING:
            try:
                outcome, person_id = await self._enroll(picture, folder_id)
            except PrivFaceError as refusal:
                error = self.memory.refused[key] = refusal
            else:
                self.memory.refused.pop(key, None)
                return outcome, person_id, None
        self._unread.add(picture.path)
        return FileOutcome.REFUSED, None, error

    async def _enroll(self, picture: FolderPicture, folder_id: str) -> tuple[FileOutcome, str | None]:
        name = clean_name(picture.name)
        known = self.memory.digests.get(picture.stamp)
        if known is not None:
            if (before := self._settled(name, known)) is not None:
                return before
            # Without one, a file that hasn't changed is not read again in vain.
            await self._consent(picture, name)
        data, digest = await asyncio.to_thread(_read, picture, self._longest)
        self.memory.digests[picture.stamp] = digest
        if (before := self._settled(name, digest)) is not None:
            return before
        consent = await self._consent(picture, name)
        represented = await self._represent(data)
        # Only now: a refused picture leaves no person without faces behind.
        person = await self._gallery.ensure_person(name)
        if consent is not None:
            await self._gallery.set_consent(person.id, consent)
        self._seen.add((person.id, digest))
        try:
            await self._gallery.add_face(
                person.id, represented, source=picture.path, picture_digest=digest, folder=folder_id
            )
        except PrivFaceError as error:
            if error.code is not ErrorCode.CONFLICT:
                raise
            return FileOutcome.ALREADY, person.id
        return FileOutcome.ENROLLED, person.id

    async def _consent(self, picture: FolderPicture, name: str) -> Consent | None:
        """The consent that lies beside a picture of somebody who has none on record.

        Raises:
            PrivFaceError: ``consent_missing``.
        """
        named, parts = self._gallery.people_named(name), PurePath(picture.path).parts
        if len(parts) > 1 and (not named or named[0].consent is None):
            found = await asyncio.to_thread(read_consent, self._place.folder / parts[0], self._gallery.today())
            if found is not None:
                return found
        self._gallery.check_consent(name)
        return None

    def _settled(self, name: str, digest: str) -> tuple[FileOutcome, str | None] | None:
        """What a picture is that needs no look: enrolled, or of somebody who was forgotten."""
        if (person_id := self._enrolled(name, digest)) is not None:
            return FileOutcome.ALREADY, person_id
        return (FileOutcome.HELD_BACK, None) if digest in self._place.held_back else None

    def _enrolled(self, name: str, digest: str) -> str | None:
        """The person of that name who has a face from this picture."""
        for person in self._gallery.people_named(name):
            if self._gallery.is_enrolled(person.id, digest):
                self._seen.add((person.id, digest))
                return person.id
        return None

    async def prune(self, listing: FolderListing) -> AsyncIterator[tuple[str, str]]:
        """Remove the faces whose pictures are gone: path and person of each."""
        for face in self._gallery.snapshot.faces:
            gone = (face.person_id, face.picture_digest) not in self._seen and face.source not in self._unread
            if face.folder == listing.folder_id and gone:
                try:
                    await self._gallery.remove_face(face.id)
                except PrivFaceError as error:
                    # Somebody else has just removed it.
                    if error.code is not ErrorCode.FACE_NOT_FOUND:
                        raise
                yield face.source, face.person_id


def _read(picture: FolderPicture, longest: int) -> tuple[bytes, str]:
    data = read_picture(picture, longest)
    return data, sha256(data).hexdigest()


async def watch_folder(
    folder: Path,
    gallery: GalleryService,
    represent: Represent,
    *,
    prune: bool = False,
    longest: int = LONGEST_PICTURE,
    debounce: float = 1.0,
    rescan: float = 60.0,
    force_polling: bool | None = None,
) -> AsyncGenerator[FileReport, None]:
    """``sync_folder`` now, after each change and every ``rescan`` seconds; what was already enrolled isn't reported.

    It runs until it is closed. A directory that isn't there (yet, or any more) is waited for.
    """
    memory = FolderMemory()
    level, held_back = logging.WARNING, 0
    async with contextlib.aclosing(_Watch(folder, debounce, rescan, force_polling).occasions()) as occasions:
        async for _ in occasions:
            reports = sync_folder(folder, gallery, represent, prune=prune, memory=memory, longest=longest)
            try:
                outcomes: Counter[FileOutcome] = Counter()
                async with contextlib.aclosing(reports):
                    async for report in reports:
                        outcomes[report.outcome] += 1
                        if report.outcome not in _NOTHING_NEW:
                            yield report
                level = logging.WARNING
                if outcomes[FileOutcome.HELD_BACK] != held_back:
                    held_back = outcomes[FileOutcome.HELD_BACK]
                    _LOGGER.info("The watched folder has %d pictures of people who were forgotten", held_back)
            except PrivFaceError as error:
                _LOGGER.log(level, "The watched folder could not be enrolled from: %s", error.code)
                level = logging.DEBUG


class _Watch:
    """When it is time to look at a directory again."""

    def __init__(self, folder: Path, debounce: float, rescan: float, force_polling: bool | None) -> None:
        self._folder: Final = folder
        self._debounce: Final = debounce
        self._rescan: Final = rescan
        self._force_polling = force_polling

    async def occasions(self) -> AsyncGenerator[None, None]:
        """Once at first, and then each time that it may have changed."""
        missing = False
        while True:
            identity = await asyncio.to_thread(_identity, self._folder)
            if identity is None:
                if not missing:
                    _LOGGER.warning("The watched folder is not there; waiting for it")
                missing = True
                await asyncio.sleep(self._debounce)
                continue
            if missing:
                _LOGGER.info("The watched folder is there again")
            missing = False
            yield
            try:
                async with contextlib.aclosing(self._changes(identity)) as changes:
                    async for _ in changes:
                        yield
            except FileNotFoundError:
                continue
            except OSError as error:
                # The system's watches are used up, or its kernel has none.
                _LOGGER.warning("The folder can't be watched, it is looked through instead: %s", error.strerror)
                self._force_polling = True
                await asyncio.sleep(self._debounce)

    async def _changes(self, identity: tuple[int, int]) -> AsyncGenerator[None, None]:
        """Each change, until the directory is gone or another one stands in its place."""
        # Nobody told of what changed before the watching began: the first, short wait ends with a look.
        looked = float("-inf")
        async for changes in watchfiles.awatch(
            self._folder,
            watch_filter=None,
            debounce=int(self._debounce * 4000),
            step=max(1, int(self._debounce * 500)),
            rust_timeout=max(1, int(self._debounce * 1000)),
            yield_on_timeout=True,
            force_polling=self._force_polling,
            ignore_permission_denied=True,
        ):
            # A directory made anew may get the old one's number.
            removed = (watchfiles.Change.deleted, str(self._folder)) in changes
            if removed or await asyncio.to_thread(_identity, self._folder) != identity:
                return
            if changes or time.monotonic() - looked >= self._rescan:
                looked = time.monotonic()
                yield


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if folder.is_dir() else None
