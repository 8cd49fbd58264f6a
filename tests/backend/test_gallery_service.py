"""The people, as the rest of PrivFace sees them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privface_backend.domain.matching import LevelMatchedGallery
from privface_backend.domain.people import EnrolledFace
from privface_backend.domain.privacy import CLEAR, PrivacyLevel
from privface_backend.engines.galleries.memory import MemoryGalleryStore
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.gallery.service import GalleryService
from privface_backend.protocol import ErrorCode
from support.gallery import (
    CONTRACT,
    LEVELS,
    OTHER_CONTRACT,
    OpenGallery,
    make_face,
    make_person,
    make_represented,
    make_templates,
    make_vector,
    open_gallery,
    ticking_clock,
)
from support.mqtt import make_event


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[OpenGallery]:
    async with open_gallery(tmp_path / "privface.db") as opened:
        yield opened


@pytest.fixture
def service(gallery: OpenGallery) -> GalleryService:
    return gallery.service


async def refused(coroutine: object) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as error:
        await coroutine  # type: ignore[misc]  # whatever the test calls
    return error.value


async def test_people_are_found_by_id_and_by_name(service: GalleryService) -> None:
    zoe = await service.create_person("  Zoë   Quist ")
    assert zoe.name == "Zoë Quist"
    for key in (zoe.id, "Zoë Quist", "ZOE\u0308 QUIST", " zoë  quist "):
        assert (await service.person(key)).id == zoe.id
    assert (await refused(service.person("Zoe Quist"))).code is ErrorCode.PERSON_NOT_FOUND


async def test_a_second_person_of_a_name_must_be_meant(service: GalleryService) -> None:
    first = await service.create_person("Zoë")
    error = await refused(service.create_person("zoe\u0308"))
    assert error.code is ErrorCode.PERSON_EXISTS
    assert error.details["person_id"] == first.id
    second = await service.create_person("Zoë", allow_duplicate=True)
    error = await refused(service.person("Zoë"))
    assert error.code is ErrorCode.CONFLICT
    assert error.details["person_ids"] == [first.id, second.id]
    assert (await service.person(second.id)).id == second.id
    assert (await service.ensure_person("Zoë")).id == first.id


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "a\x00b", "\u202eevil", "\ud800"])
async def test_names_that_can_t_be_used(service: GalleryService, name: str) -> None:
    assert (await refused(service.create_person(name))).code is ErrorCode.BAD_NAME
    assert (await refused(service.ensure_person(name))).code is ErrorCode.BAD_NAME
    assert await service.people() == ()


async def test_many_at_once_make_one_person(service: GalleryService) -> None:
    people = await asyncio.gather(*(service.ensure_person("Ada") for _ in range(20)))
    assert len({person.id for person in people}) == 1
    assert len(await service.people()) == 1


async def test_renaming(service: GalleryService) -> None:
    ada, grace = await service.create_person("Ada"), await service.create_person("Grace")
    renamed = await service.rename(ada.id, "Ada L.")
    assert (renamed.id, renamed.name) == (ada.id, "Ada L.")
    assert service.snapshot.names[ada.id] == "Ada L."
    assert (await service.rename(ada.id, "ADA L.")).name == "ADA L."
    assert (await refused(service.rename(ada.id, "grace"))).code is ErrorCode.PERSON_EXISTS
    assert (await service.rename(ada.id, "Grace", allow_duplicate=True)).name == "Grace"
    assert (await refused(service.rename("nobody", "Nobody"))).code is ErrorCode.PERSON_NOT_FOUND
    assert (await refused(service.rename(grace.id, ""))).code is ErrorCode.BAD_NAME


async def test_an_enrolled_face_is_found_at_once_and_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery:
        ada = await gallery.service.create_person("Ada")
        grace = await gallery.service.create_person("Grace")
        face = await gallery.service.add_face(ada.id, make_represented(1), source="Ada/1.jpg", picture_digest="d1")
        await gallery.service.add_face(grace.id, make_represented(2))
        searched = gallery.service.snapshot
    async with open_gallery(path) as gallery:
        reloaded = gallery.service.snapshot
    for snapshot in (searched, reloaded):
        for step, level in enumerate(LEVELS):
            ranked = snapshot.gallery.search(make_vector(1000 + step), level)
            assert ranked[0].person_id == ada.id
            assert ranked[0].face_id == face.id
        assert snapshot.names == {ada.id: "Ada", grace.id: "Grace"}
        assert snapshot.sources[face.id] == "Ada/1.jpg"
        assert [person.faces for person in snapshot.people] == [1, 1]
        assert snapshot.pictures[ada.id, "d1"] == face.id


async def test_taking_one_face_in_is_like_reading_everything(gallery: OpenGallery) -> None:
    service = gallery.service
    for number in range(4):
        person = await service.ensure_person(f"Person {number % 2}")
        await service.add_face(person.id, make_represented(number), source=f"{number}.jpg", picture_digest=f"d{number}")
    index = GalleryIndex()
    await gallery.storage.call(index.use_contract, gallery.store, CONTRACT)
    one, other = service.snapshot, index.snapshot
    assert (one.names, one.sources, one.people, one.faces) == (other.names, other.sources, other.people, other.faces)
    assert (one.pictures, one.contracts, one.revision) == (other.pictures, other.contracts, other.revision)
    for seed in range(10):
        probe, level = make_vector(seed), LEVELS[seed]
        assert one.gallery.search(probe, level) == other.gallery.search(probe, level)


async def test_a_picture_is_enrolled_once(service: GalleryService) -> None:
    ada = await service.create_person("Ada")
    assert not service.is_enrolled(ada.id, "d1")
    await service.add_face(ada.id, make_represented(), picture_digest="d1")
    assert service.is_enrolled(ada.id, "d1")
    assert not service.is_enrolled(ada.id, "")
    assert (await refused(service.add_face(ada.id, make_represented(), picture_digest="d1"))).code is ErrorCode.CONFLICT
    grace = await service.create_person("Grace")
    await service.add_face(grace.id, make_represented(), picture_digest="d1")


async def test_another_recognizer_needs_the_pictures_again(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery:
        ada = await gallery.service.create_person("Ada")
        first = await gallery.service.add_face(ada.id, make_represented(), picture_digest="d1")
    async with open_gallery(path, OTHER_CONTRACT) as gallery:
        service = gallery.service
        statistics = await service.statistics()
        assert (statistics.faces, statistics.templates, statistics.stale_faces) == (1, 0, 1)
        assert statistics.to_dict()["contracts"] == {CONTRACT.key: len(LEVELS)}
        assert len(service.snapshot.gallery) == 0
        assert not service.is_enrolled(ada.id, "d1")
        again = await service.add_face(ada.id, make_represented(1, OTHER_CONTRACT), picture_digest="d1")
        assert again.id == first.id
        assert service.is_enrolled(ada.id, "d1")
        assert (await service.statistics()).stale_faces == 0
        assert [person.faces for person in await service.people()] == [1]
        error = await refused(service.add_face(ada.id, make_represented()))
        assert error.code is ErrorCode.CONTRACT_MISMATCH
        assert error.allowed == OTHER_CONTRACT.key


async def test_templates_that_are_none_are_refused(service: GalleryService) -> None:
    ada = await service.create_person("Ada")
    short = RepresentedFace(contract=CONTRACT, vectors=((CLEAR, make_vector(1, 64)),))
    broken = RepresentedFace(contract=CONTRACT, vectors=((CLEAR, np.full(128, np.nan, np.float32)),))
    for represented in (short, broken, RepresentedFace(contract=CONTRACT, vectors=())):
        assert (await refused(service.add_face(ada.id, represented))).code is ErrorCode.ENGINE_FAILED
    assert await service.faces(ada.id) == ()


async def test_two_vectors_of_one_level_count_as_the_first(service: GalleryService) -> None:
    ada = await service.create_person("Ada")
    level = PrivacyLevel("gaussian", 0.02)
    vectors = ((CLEAR, make_vector(1)), (level, make_vector(2)), (level, make_vector(3)))
    await service.add_face(ada.id, RepresentedFace(contract=CONTRACT, vectors=vectors))
    stored = {template.level: template.vector for template in service.snapshot.templates}
    assert np.array_equal(stored[level], make_vector(2))


async def test_removing_a_face(service: GalleryService) -> None:
    ada = await service.create_person("Ada")
    one = await service.add_face(ada.id, make_represented(1), picture_digest="1")
    two = await service.add_face(ada.id, make_represented(2), picture_digest="2")
    await service.remove_face(one.id)
    assert await service.faces(ada.id) == (two,)
    assert len(service.snapshot.gallery) == 1
    assert (await refused(service.remove_face(one.id))).code is ErrorCode.FACE_NOT_FOUND
    assert (await refused(service.faces("nobody"))).code is ErrorCode.PERSON_NOT_FOUND
    assert (await refused(service.add_face("nobody", make_represented()))).code is ErrorCode.PERSON_NOT_FOUND


async def test_forgetting_gives_a_receipt_and_takes_the_events_along(gallery: OpenGallery) -> None:
    service = gallery.service
    ada, grace = await service.create_person("Ada Unforgettable"), await service.create_person("Grace")
    await service.add_face(ada.id, make_represented(1), source="a.jpg", picture_digest="1", folder="f" * 16)
    await service.add_face(ada.id, make_represented(2), picture_digest="2")
    await service.add_face(grace.id, make_represented(3))
    for number, person in enumerate((ada, ada, grace)):
        gallery.events.append(replace(make_event(number), person_id=person.id, person=person.name))
    before = {vector for (vector,) in gallery.database.rows("SELECT vector FROM templates")}
    receipt = await service.forget(ada.id)
    assert receipt.person_id == ada.id
    assert receipt.counts == {
        "faces": 2,
        "templates": 2 * len(LEVELS),
        "events": 2,
        "visits": 0,
        "negatives": 0,
        "others_negatives": 0,
        "strangers": 0,
        "explanations": 0,
        "corrections": 0,
        "cached": 0,
        "folder_pictures": 1,
        "held_back": 1,
    }
    assert dict(receipt.templates_by_contract) == {CONTRACT.key: 2 * len(LEVELS)}
    assert receipt.rewritten_at is not None
    assert receipt.cleared_at is None
    assert [person.id for person in await service.people()] == [grace.id]
    assert len(service.snapshot.gallery) == 1
    assert gallery.events.count() == 1
    held = b"".join(file.read_bytes() for file in gallery.database.path.parent.glob("privface.db*"))
    assert b"Unforgettable" not in held
    left = {vector for (vector,) in gallery.database.rows("SELECT vector FROM templates")}
    assert len(left) == len(LEVELS)
    assert all(vector in held for vector in left)
    assert not any(vector in held for vector in before - left)
    assert (await refused(service.forget(ada.id))).code is ErrorCode.PERSON_NOT_FOUND


async def test_who_listens_is_told_once_a_change(service: GalleryService) -> None:
    told: list[int] = []
    stop = service.on_change(lambda: told.append(len(service.snapshot.people)))
    ada = await service.create_person("Ada")
    await service.poll()
    await service.add_face(ada.id, make_represented())
    await service.forget(ada.id)
    assert told == [1, 1, 0]
    stop()
    await service.create_person("Grace")
    assert told == [1, 1, 0]


async def test_people_are_there_before_the_engines_are(tmp_path: Path, gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person("Ada")
    await gallery.service.add_face(ada.id, make_represented())
    index = GalleryIndex()
    service = GalleryService(
        store=gallery.store, storage=gallery.storage, indexes=GalleryIndexes(index), clock=ticking_clock()
    )
    assert [person.id for person in await service.people()] == [ada.id]
    assert len(index.snapshot.gallery) == 0
    assert (await refused(service.add_face(ada.id, make_represented(2)))).code is ErrorCode.CONTRACT_MISMATCH
    await service.use_contract(CONTRACT)
    assert len(index.snapshot.gallery) == 1


async def test_the_lane_reads_whole_snapshots_while_they_change(gallery: OpenGallery) -> None:
    service, stop = gallery.service, threading.Event()
    wrong: list[str] = []
    searched = [0]

    def lane() -> None:
        while not stop.is_set():
            snapshot = gallery.index.snapshot
            ranked = snapshot.gallery.search(make_vector(searched[0]), LEVELS[searched[0] % len(LEVELS)])
            wrong.extend(c.person_id for c in ranked if c.person_id not in snapshot.names)
            wrong.extend(c.face_id for c in ranked if c.face_id not in snapshot.sources)
            searched[0] += 1

    thread = threading.Thread(target=lane)
    thread.start()
    try:
        for number in range(25):
            person = await service.create_person(f"Person {number}")
            await service.add_face(person.id, make_represented(number))
            if number % 3 == 0:
                await service.forget(person.id)
    finally:
        stop.set()
        thread.join()
    assert wrong == []
    assert searched[0] > 0


async def test_a_caller_that_is_cancelled_leaves_store_and_index_alike(gallery: OpenGallery) -> None:
    service = gallery.service
    entered, leave = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        leave.wait(10)

    blocking = asyncio.create_task(gallery.storage.call(block))
    await asyncio.to_thread(entered.wait, 10)
    creating = asyncio.create_task(service.create_person("Ada"))
    await asyncio.sleep(0)
    creating.cancel()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await blocking
    await service.poll()
    stored = await gallery.storage.call(gallery.store.people)
    assert tuple(stored) == await service.people()


def test_nothing_private_shows_in_a_snapshot() -> None:
    index = GalleryIndex(CONTRACT)
    assert isinstance(index.snapshot.gallery, LevelMatchedGallery)
    shown = repr(replace(index.snapshot, names={"id": "Ada"}, sources={"face": "Ada/1.jpg"}))
    assert "Ada" not in shown


def test_a_change_between_two_reads_is_taken_in_whole() -> None:
    ada, grace = make_person("Ada"), make_person("Grace")

    class Changing(MemoryGalleryStore):
        """Another process writes after the people were read, and before their faces are."""

        def faces(self, person_id: str | None = None) -> Sequence[EnrolledFace]:
            if self.add_person(grace, allow_duplicate=False):
                face = make_face(grace)
                self.add_face(face, CONTRACT, make_templates(face))
            return super().faces(person_id)

    store = Changing()
    store.add_person(ada)
    index = GalleryIndex(CONTRACT)
    assert index.refresh_if_changed(store)
    assert set(index.snapshot.names.values()) == {"Ada", "Grace"}
    assert len(index.snapshot.gallery) == len(index.snapshot.faces) == 1
    assert not index.refresh_if_changed(store)
