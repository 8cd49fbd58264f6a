"""Enrolling from a directory: whose pictures are whose, what is skipped, and what a watched one does."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePath

import pytest
import watchfiles

from privface_backend.domain.consent import Consent
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.folder import FileOutcome, FileReport, FolderMemory, sync_folder, watch_folder
from privface_backend.gallery.held_back import digests_in
from privface_backend.gallery.listing import list_folder, name_of
from privface_backend.gallery.service import EnrollmentRules, GalleryService
from privface_backend.protocol import ErrorCode
from privface_backend.storage.erasures import Erasures
from support.gallery import OTHER_CONTRACT, START, OpenGallery, make_represented, open_gallery
from support.mqtt import until


class Represent:
    """Stands in for the pipeline: pictures here are texts that say what is in them."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def __call__(self, data: bytes) -> RepresentedFace:
        self.seen.append(data)
        word = data.split(b" ")[0].decode()
        if word != "face":
            raise PrivFaceError(ErrorCode(word), "That is no picture to enroll.")
        return make_represented(len(data) + sum(data))


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[OpenGallery]:
    async with open_gallery(tmp_path / "data" / "privface.db") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    return made


def put(folder: Path, path: str, content: str | None = None) -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"face {path}" if content is None else content)
    return file


async def names(service: GalleryService) -> dict[str, int]:
    return {person.name: person.faces for person in await service.people()}


async def sync(
    folder: Path, gallery: OpenGallery, represent: Represent | None = None, **options: object
) -> list[FileReport]:
    reports = sync_folder(folder, gallery.service, represent or Represent(), **options)  # type: ignore[arg-type]  # theirs
    return [report async for report in reports]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Ada/any.jpg", "Ada"),
        ("Ada/2024/summer/1.jpg", "Ada"),
        ("Ada.jpg", "Ada"),
        ("Ada_1.jpg", "Ada"),
        ("Ada-22.png", "Ada"),
        ("Ada (3).jpg", "Ada"),
        ("Ada(3).jpg", "Ada"),
        ("Ada 4.jpg", "Ada"),
        ("Ada Lovelace_10.webp", "Ada Lovelace"),
        ("Ada_Lovelace.jpg", "Ada_Lovelace"),
        ("R2D2.jpg", "R2D2"),
        ("7.jpg", "7"),
        ("Łukasz-1.JPG", "Łukasz"),
        ("李小龍 (2).jpg", "李小龍"),
    ],
)
def test_whose_picture_it_is(path: str, name: str) -> None:
    assert name_of(PurePath(path)) == name


async def test_folders_and_flat_files_mixed(folder: Path, gallery: OpenGallery) -> None:
    for path in ("Ada/1.jpg", "Ada/deep/er/2.png", "Ada_3.jpg", "Grace.jpeg", "Grace (2).WEBP", "Zoe\u0308.bmp"):
        put(folder, path)
    reports = await sync(folder, gallery)
    assert {report.outcome for report in reports} == {FileOutcome.ENROLLED}
    assert [(report.position, report.total) for report in reports] == [(number, 6) for number in range(1, 7)]
    assert await names(gallery.service) == {"Ada": 3, "Grace": 2, "Zoë": 1}
    assert sorted(gallery.service.snapshot.sources.values()) == sorted(report.path for report in reports)
    assert len({face.folder for face in gallery.service.snapshot.faces}) == 1


async def test_what_is_no_picture_is_skipped_and_counted(folder: Path, gallery: OpenGallery) -> None:
    put(folder, "Ada.jpg")
    for path in (".hidden.jpg", "notes.txt", "Ada/Thumbs.db", "Ada/.DS_Store", "video.mp4"):
        put(folder, path)
    put(folder, ".git/Ada.jpg")
    put(folder, "Ada/.thumbnails/1.jpg")
    (report,) = await sync(folder, gallery)
    assert (report.path, report.outcome, report.skipped) == ("Ada.jpg", FileOutcome.ENROLLED, 5)


async def test_links_are_followed_only_inside(folder: Path, tmp_path: Path, gallery: OpenGallery) -> None:
    outside = put(tmp_path, "elsewhere/secret.jpg")
    put(folder, "Ada/1.jpg")
    (folder / "Mallory.jpg").symlink_to(outside)
    (folder / "Eve").symlink_to(outside.parent, target_is_directory=True)
    (folder / "Grace.jpg").symlink_to(folder / "Ada" / "1.jpg")
    (folder / "Loop.jpg").symlink_to(folder / "Loop.jpg")
    (folder / "Circle").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "Pipe.jpg")
    reports = await sync(folder, gallery)
    assert {report.path for report in reports} == {"Ada/1.jpg", "Grace.jpg"}
    assert await names(gallery.service) == {"Ada": 1, "Grace": 1}
    assert reports[0].skipped == 3


async def test_a_file_that_becomes_a_link_is_not_read(folder: Path, tmp_path: Path, gallery: OpenGallery) -> None:
    outside = put(tmp_path, "secret.jpg")
    put(folder, "Ada.jpg")
    put(folder, "Mallory.jpg")

    class Swapping(Represent):
        async def __call__(self, data: bytes) -> RepresentedFace:
            (folder / "Mallory.jpg").unlink(missing_ok=True)
            (folder / "Mallory.jpg").symlink_to(outside)
            return await super().__call__(data)

    represent = Swapping()
    reports = await sync(folder, gallery, represent)
    assert [report.outcome for report in reports] == [FileOutcome.ENROLLED, FileOutcome.REFUSED]
    assert represent.seen == [b"face Ada.jpg"]


async def test_a_second_time_nothing_is_done_again(folder: Path, gallery: OpenGallery) -> None:
    for path in ("Ada/1.jpg", "Grace.jpg"):
        put(folder, path)
    await sync(folder, gallery)
    put(folder, "Ada/copy.jpg", "face Ada/1.jpg")
    represent = Represent()
    reports = await sync(folder, gallery, represent)
    assert [report.outcome for report in reports] == [FileOutcome.ALREADY] * 3
    assert represent.seen == []
    assert await names(gallery.service) == {"Ada": 1, "Grace": 1}


async def test_with_another_recognizer_everything_is_done_again(folder: Path, tmp_path: Path) -> None:
    put(folder, "Ada/1.jpg")
    async with open_gallery(tmp_path / "privface.db") as gallery:
        await sync(folder, gallery)
    async with open_gallery(tmp_path / "privface.db", OTHER_CONTRACT) as gallery:

        async def represent(_data: bytes) -> RepresentedFace:
            return make_represented(1, OTHER_CONTRACT)

        reports = [report async for report in sync_folder(folder, gallery.service, represent)]
        assert [report.outcome for report in reports] == [FileOutcome.ENROLLED]
        assert (await gallery.service.statistics()).stale_faces == 0
        assert await names(gallery.service) == {"Ada": 1}


async def test_refused_pictures_say_why_and_make_nobody(folder: Path, gallery: OpenGallery) -> None:
    codes = ("no_face", "several_faces", "face_too_small", "face_too_blurry", "picture_truncated", "picture_format")
    for code in codes:
        put(folder, f"{code.replace('_', ' ')}.jpg", f"{code} here")
    put(folder, "Ada.jpg")
    put(folder, f"{'x' * 65}/1.jpg")
    (folder / os.fsdecode(b"\xff\xfe.jpg")).write_text("face")
    (folder / "Ada").mkdir()
    (folder / "Ada" / os.fsdecode(b"\xff.jpg")).write_text("face with an odd file name")
    reports = await sync(folder, gallery)
    found = Counter(report.error.code.value for report in reports if report.error is not None)
    assert found == Counter([*codes, "bad_name", "bad_name"])
    assert all(report.outcome is FileOutcome.REFUSED for report in reports if report.error is not None)
    assert await names(gallery.service) == {"Ada": 2}
    assert reports[0].to_dict().keys() == {"file", "outcome", "person_id", "error"}


async def test_a_picture_of_too_many_bytes_is_not_read(folder: Path, gallery: OpenGallery) -> None:
    put(folder, "Ada.jpg", "face " + "x" * 1000)
    represent = Represent()
    (report,) = await sync(folder, gallery, represent, longest=100)
    assert report.error is not None
    assert report.error.code is ErrorCode.PICTURE_TOO_LARGE
    assert represent.seen == []


async def test_a_missing_directory(tmp_path: Path, gallery: OpenGallery) -> None:
    file = put(tmp_path, "file.jpg")
    for path in (tmp_path / "nowhere", file):
        with pytest.raises(PrivFaceError) as error:
            await sync(path, gallery)
        assert error.value.code is ErrorCode.NOT_FOUND


async def test_faces_whose_pictures_are_gone_go_only_when_pruned(folder: Path, gallery: OpenGallery) -> None:
    for path in ("Ada/1.jpg", "Ada/2.jpg", "Grace.jpg"):
        put(folder, path)
    await sync(folder, gallery)
    ada = await gallery.service.person("Ada")
    await gallery.service.add_face(ada.id, make_represented(77), source="sent.jpg", picture_digest="sent")
    (folder / "Ada" / "1.jpg").unlink()
    await sync(folder, gallery)
    assert await names(gallery.service) == {"Ada": 3, "Grace": 1}
    reports = await sync(folder, gallery, prune=True)
    assert [(report.path, report.person_id) for report in reports if report.outcome is FileOutcome.REMOVED] == [
        ("Ada/1.jpg", ada.id)
    ]
    assert {face.source for face in await gallery.service.faces(ada.id)} == {"Ada/2.jpg", "sent.jpg"}


async def test_pruning_knows_moved_and_rewritten_pictures(folder: Path, gallery: OpenGallery) -> None:
    for path in ("Ada/1.jpg", "Ada/2.jpg", "Ada/3.jpg"):
        put(folder, path)
    await sync(folder, gallery)
    (folder / "Ada" / "1.jpg").rename(folder / "Ada" / "moved.jpg")
    (folder / "Grace").mkdir()
    (folder / "Ada" / "2.jpg").rename(folder / "Grace" / "2.jpg")
    put(folder, "Ada/3.jpg", "face of another day")
    reports = await sync(folder, gallery, prune=True)
    assert Counter(report.outcome for report in reports) == {
        FileOutcome.ALREADY: 1,
        FileOutcome.ENROLLED: 2,
        FileOutcome.REMOVED: 2,
    }
    assert await names(gallery.service) == {"Ada": 2, "Grace": 1}


async def test_an_empty_or_half_readable_directory_prunes_nothing(
    folder: Path, gallery: OpenGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "Ada/1.jpg")
    put(folder, "Grace/1.jpg")
    await sync(folder, gallery)
    shutil.rmtree(folder)
    os.makedirs(folder)  # noqa: PTH103  # of pathlib's, the linter thinks that it blocks
    assert await sync(folder, gallery, prune=True) == []
    put(folder, "Ada/1.jpg")
    put(folder, "Grace/1.jpg", "picture_truncated while it is copied anew")
    scandir = os.scandir

    def failing(path: str) -> object:
        if str(path).endswith("Grace"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        assert not list_folder(folder).is_complete
        await sync(folder, gallery, prune=True)
    assert await names(gallery.service) == {"Ada": 1, "Grace": 1}
    await sync(folder, gallery, prune=True)
    assert await names(gallery.service) == {"Ada": 1, "Grace": 1}


async def test_another_directory_s_pictures_are_left_alone(folder: Path, tmp_path: Path, gallery: OpenGallery) -> None:
    put(folder, "Ada/1.jpg")
    other = tmp_path / "other"
    put(other, "Grace/1.jpg")
    await sync(folder, gallery, prune=True)
    await sync(other, gallery, prune=True)
    assert await names(gallery.service) == {"Ada": 1, "Grace": 1}


async def test_a_memory_spares_reading_and_repeating(folder: Path, gallery: OpenGallery) -> None:
    put(folder, "Ada.jpg")
    put(folder, "Eve.jpg", "no_face at all")
    half = put(folder, "Grace.jpg", "picture_truncated so far")
    memory, represent = FolderMemory(), Represent()
    assert len(await sync(folder, gallery, represent, memory=memory)) == 3
    again = await sync(folder, gallery, represent, memory=memory)
    assert [report.path for report in again] == ["Ada.jpg"]
    # What has no face has none; what is half a picture is tried again even if it looks the same.
    assert Counter(represent.seen)[b"no_face at all"] == 1
    assert Counter(represent.seen)[b"picture_truncated so far"] == 2
    half.write_text("face of Grace, whole")
    outcomes = {report.path: report.outcome for report in await sync(folder, gallery, represent, memory=memory)}
    assert outcomes == {"Ada.jpg": FileOutcome.ALREADY, "Grace.jpg": FileOutcome.ENROLLED}


async def test_it_ends_where_the_disk_does(folder: Path, gallery: OpenGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        put(folder, f"Ada/{number}.jpg")
    gallery.database._connection.execute("PRAGMA max_page_count=1")
    pages = gallery.database.rows("PRAGMA page_count")[0][0]
    gallery.database._connection.execute(f"PRAGMA max_page_count={pages}").fetchall()
    reports = await sync(folder, gallery, prune=True)
    refusal = reports[-1].error
    assert refusal is not None
    assert refusal.code is ErrorCode.STORAGE_FULL
    assert len(reports) == 1
    gallery.database._connection.execute("PRAGMA max_page_count=100000").fetchall()
    assert [report.outcome for report in await sync(folder, gallery)] == [FileOutcome.ENROLLED] * 3


@asynccontextmanager
async def watching(
    folder: Path, gallery: OpenGallery, represent: Represent | None = None, **options: object
) -> AsyncIterator[list[FileReport]]:
    reports: list[FileReport] = []

    async def watch() -> None:
        settings = {"prune": True, "debounce": 0.05, "rescan": 3600.0, **options}
        stream = watch_folder(folder, gallery.service, represent or Represent(), **settings)  # type: ignore[arg-type]  # theirs
        async with aclosing(stream):
            async for report in stream:
                reports.append(report)  # noqa: PERF401  # the test looks at it as it grows

    task = asyncio.create_task(watch())
    try:
        yield reports
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def has(gallery: OpenGallery, **people: int) -> Callable[[], bool]:
    return lambda: {person.name: person.faces for person in gallery.service.snapshot.people} == people


@pytest.mark.parametrize("force_polling", [False, True])
async def test_a_watched_directory_follows_what_happens(
    folder: Path, gallery: OpenGallery, force_polling: bool
) -> None:
    put(folder, "Ada/1.jpg")
    async with watching(folder, gallery, force_polling=force_polling) as reports:
        await until(has(gallery, Ada=1))
        put(folder, "Ada/2.jpg")
        await until(has(gallery, Ada=2))
        put(folder, "Grace/deep/1.jpg")
        await until(has(gallery, Ada=2, Grace=1))
        (folder / "Ada" / "1.jpg").unlink()
        await until(has(gallery, Ada=1, Grace=1))
        # Written elsewhere and moved into place, as copying programs do.
        put(folder, ".part", "face of Grace again").rename(folder / "Grace" / "2.jpg")
        await until(has(gallery, Ada=1, Grace=2))
    assert {report.outcome for report in reports} == {FileOutcome.ENROLLED, FileOutcome.REMOVED}


async def test_a_half_copied_picture_is_tried_again(folder: Path, gallery: OpenGallery) -> None:
    async with watching(folder, gallery) as reports:
        with (folder / "Ada.jpg").open("w") as file:
            file.write("picture_truncated so far")
            file.flush()
            await until(lambda: [report.outcome for report in reports] == [FileOutcome.REFUSED])
            file.seek(0)
            file.truncate()
            file.write("face of Ada, whole")
        await until(has(gallery, Ada=1))


async def test_a_directory_that_vanishes_and_comes_back(
    folder: Path, gallery: OpenGallery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "privface_backend.gallery.folder")
    put(folder, "Ada/1.jpg")
    async with watching(folder, gallery):
        await until(has(gallery, Ada=1))
        away = folder.with_name("away")
        shutil.move(folder, away)
        await until(lambda: "waiting for it" in caplog.text)
        assert has(gallery, Ada=1)()
        shutil.move(away, folder)
        await until(lambda: "there again" in caplog.text)
        put(folder, "Grace.jpg")
        await until(has(gallery, Ada=1, Grace=1))
        shutil.rmtree(folder)
        await until(lambda: caplog.text.count("waiting for it") == 2)
        put(folder, "Ada/1.jpg")
        put(folder, "Grace.jpg")
        put(folder, "Edsger.jpg")
        await until(has(gallery, Ada=1, Grace=1, Edsger=1))
    assert "Ada" not in caplog.text


async def test_a_directory_that_is_not_there_yet(folder: Path, gallery: OpenGallery) -> None:
    later = folder / "later"
    async with watching(later, gallery):
        put(later, "Ada.jpg")
        await until(has(gallery, Ada=1))


async def test_where_the_system_can_t_watch_it_is_looked_through(
    folder: Path, gallery: OpenGallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    awatch = watchfiles.awatch

    def without_watches(*paths: Path, force_polling: bool | None = None, **options: object) -> object:
        if not force_polling:
            raise OSError(28, "No space left on device")
        return awatch(*paths, force_polling=force_polling, **options)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(watchfiles, "awatch", without_watches)
    async with watching(folder, gallery):
        await until(lambda: "can't be watched" in caplog.text)
        put(folder, "Ada.jpg")
        await until(has(gallery, Ada=1))


async def test_no_change_is_missed_for_longer_than_a_rescan(
    folder: Path, gallery: OpenGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(*_paths: Path, **_options: object) -> AsyncIterator[set[object]]:
        while True:
            await asyncio.sleep(0.01)
            yield set()

    monkeypatch.setattr(watchfiles, "awatch", deaf)
    async with watching(folder, gallery, rescan=0.05):
        put(folder, "Ada.jpg")
        await until(has(gallery, Ada=1))
        put(folder, "Grace.jpg")
        await until(has(gallery, Ada=1, Grace=1))


async def test_who_was_forgotten_does_not_come_back_from_the_directory(folder: Path, tmp_path: Path) -> None:
    for path in ("Ada/1.jpg", "Ada/2.jpg", "Ben/1.jpg"):
        put(folder, path)
    rules = EnrollmentRules(folder=folder)
    async with open_gallery(tmp_path / "data" / "privface.db", rules=rules) as gallery:
        await sync(folder, gallery)
        # It lies there, but was not enrolled when Ada was forgotten.
        put(folder, "ada/3.jpg")
        receipt = await gallery.service.forget((await gallery.service.person("Ada")).id)
        assert (receipt.counts["folder_pictures"], receipt.counts["held_back"]) == (2, 3)
        represent = Represent()
        put(folder, "Ben/2.jpg")
        reports = await sync(folder, gallery, represent)
        assert Counter(report.outcome for report in reports) == {
            FileOutcome.HELD_BACK: 3,
            FileOutcome.ALREADY: 1,
            FileOutcome.ENROLLED: 1,
        }
        assert await names(gallery.service) == {"Ben": 2}
        assert len(represent.seen) == 1
        # A picture that has changed, or is new, was put there since.
        put(folder, "Ada/2.jpg", "face another")
        await sync(folder, gallery)
        assert await names(gallery.service) == {"Ada": 1, "Ben": 2}
        await gallery.storage.call(Erasures(gallery.database).release, digests_in(folder))
        await sync(folder, gallery)
        assert await names(gallery.service) == {"Ada": 3, "Ben": 2}


async def test_a_consent_beside_the_pictures_is_put_on_record(folder: Path, tmp_path: Path) -> None:
    put(folder, "Ada/1.jpg"), put(folder, "Ada/consent.txt", "2026-11-01\nsigned on\npaper\n")
    put(folder, "Ben/1.jpg"), put(folder, "Ben/consent.txt", "yes, of course")
    put(folder, "Cleo/1.jpg"), put(folder, "Cleo/consent.txt", "2999-01-01")
    put(folder, "Dan.jpg"), put(folder, "consent.txt", "2026-11-01")
    put(folder, "Eve/1.jpg")
    (folder / "Eve" / "consent.txt").symlink_to(folder / "Ada" / "consent.txt")
    rules = EnrollmentRules(require_consent=True)
    async with open_gallery(tmp_path / "data" / "privface.db", rules=rules) as gallery:
        represent = Represent()
        reports = await sync(folder, gallery, represent)
        refused = {report.path: report.error.code for report in reports if report.error is not None}
        assert refused == dict.fromkeys(("Ben/1.jpg", "Cleo/1.jpg", "Dan.jpg", "Eve/1.jpg"), ErrorCode.CONSENT_MISSING)
        assert represent.seen == [b"face Ada/1.jpg"]
        assert await names(gallery.service) == {"Ada": 1}
        consent = (await gallery.service.person("Ada")).consent
        assert consent == Consent(given_on=date(2026, 11, 1), note="signed on paper")
        # What is on record is not replaced by the file.
        await gallery.service.set_consent((await gallery.service.person("Ada")).id, withdrawn(consent))
        put(folder, "Ada/2.jpg")
        reports = await sync(folder, gallery)
        assert {report.path for report in reports if report.error is not None} == {*refused, "Ada/2.jpg"}
        assert await names(gallery.service) == {"Ada": 1}


def withdrawn(consent: Consent) -> Consent:
    return replace(consent, withdrawn_at=START)
