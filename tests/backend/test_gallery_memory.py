"""What is remembered of visits, as the rest of PrivFace sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from privface_backend.domain.privacy import CLEAR
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.memory import MemoryService
from privface_backend.protocol import ErrorCode
from support.gallery import (
    CONTRACT,
    LEVELS,
    OTHER_CONTRACT,
    START,
    OpenGallery,
    make_remembered,
    make_represented,
    make_stranger,
    make_vector,
    make_visit,
    open_gallery,
    plain,
)
from support.mqtt import make_event


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[OpenGallery]:
    async with open_gallery(tmp_path / "privface.db") as opened:
        yield opened


@pytest.fixture
def memory(gallery: OpenGallery) -> MemoryService:
    return gallery.memory


def numbers(gallery: OpenGallery) -> list[int]:
    return [stranger.number for stranger in gallery.service.snapshot.strangers]


def denied(gallery: OpenGallery) -> list[str]:
    return [negative.person_id for negative in gallery.service.snapshot.negatives]


async def refused(coroutine: object) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as error:
        await coroutine  # type: ignore[misc]  # whatever the test calls
    return error.value


async def test_a_stranger_is_taken_in_without_reading_the_templates_again(gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person("Ada")
    await gallery.service.add_face(ada.id, make_represented())
    people: list[str] = []
    memory: list[int] = []
    gallery.service.on_change(lambda: people.append("changed"))
    gallery.memory.on_change(lambda: memory.append(len(gallery.service.snapshot.strangers)))
    before = gallery.service.snapshot
    number = await gallery.memory.next_stranger_number()
    stranger = make_stranger(number)
    assert await gallery.memory.put_stranger(stranger, new=True)
    again = replace(stranger, visits=2)
    assert await gallery.memory.put_stranger(again)
    assert await gallery.memory.keep_visit(make_visit(1, stranger_id=stranger.id))
    now = gallery.service.snapshot
    assert now.strangers == (again,)
    assert now.gallery is before.gallery
    assert not await gallery.service.poll()
    assert (people, memory) == ([], [1, 1])


async def test_another_process_sees_it_at_its_next_look(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as server, open_gallery(path, None) as command:
        ada = await server.service.create_person("Ada")
        await server.service.add_face(ada.id, make_represented())
        stranger = make_stranger(await server.memory.next_stranger_number())
        await server.memory.put_stranger(stranger, new=True)
        await server.memory.keep_visit(make_visit(1, person_id=ada.id))
        searched = server.service.snapshot.gallery
        told: list[int] = []
        server.memory.on_change(lambda: told.append(len(server.service.snapshot.negatives)))
        # The command line has no engines, and so no contract.
        await command.memory.correct("visit-1", None)
        assert await server.service.poll()
        (negative,) = server.service.snapshot.negatives
        assert (negative.person_id, told) == (ada.id, [1])
        assert server.service.snapshot.gallery is searched
        await command.memory.set_ignored(ada.id, True)
        assert await server.service.poll()
        assert server.service.snapshot.ignored == {ada.id}
        person = await command.memory.name_stranger("1", name="Grace")
        assert await server.service.poll()
        assert numbers(server) == []
        assert server.service.snapshot.names[person.id] == "Grace"
        # What the server still holds of the stranger does not bring them back.
        assert not await server.memory.put_stranger(replace(stranger, visits=2))
        assert not await server.memory.keep_visit(make_visit(2, stranger_id=stranger.id))
        assert await server.memory.strangers() == ()


async def test_memory_of_another_contract_stays_out_of_the_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery:
        ada = await gallery.service.create_person("Ada")
        await gallery.memory.put_stranger(make_stranger(1), new=True)
        await gallery.memory.keep_visit(make_visit(1, person_id=ada.id))
        await gallery.memory.keep_visit(make_visit(2, person_id=ada.id))
        await gallery.memory.correct("visit-1", None)
    async with open_gallery(path, OTHER_CONTRACT) as gallery:
        snapshot = gallery.service.snapshot
        assert (snapshot.strangers, snapshot.negatives) == ((), ())
        assert [stranger.number for stranger in await gallery.memory.strangers()] == [1]
        for call in (
            gallery.memory.name_stranger("1", name="Grace"),
            gallery.memory.ignore_stranger("1"),
            gallery.memory.correct("visit-2", ada.id),
        ):
            error = await refused(call)
            assert (error.code, error.allowed) == (ErrorCode.CONTRACT_MISMATCH, OTHER_CONTRACT.key)
        assert [person.name for person in await gallery.service.people()] == ["Ada"]
        await gallery.memory.forget_stranger("1")


async def test_that_was_not_ada(gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person("Ada")
    visit = make_visit(1, person_id=ada.id)
    await gallery.memory.keep_visit(visit)
    correction = await gallery.memory.correct(visit.id, None)
    assert correction.to_dict() == {"visit_id": visit.id, "denied": [ada.id], "person_id": None, "face_id": None}
    (negative,) = gallery.service.snapshot.negatives
    assert (negative.person_id, negative.contract) == (ada.id, CONTRACT.key)
    assert plain(negative)[1] == plain(visit)[1]
    # Said twice, it is one example; there is nobody left to deny then.
    assert (await gallery.memory.correct(visit.id, None)).denied == ()
    assert len(gallery.service.snapshot.negatives) == 1
    assert await gallery.memory.forget_negatives(ada.id) == 1
    assert denied(gallery) == []
    assert (await refused(gallery.memory.forget_negatives("nobody"))).code is ErrorCode.PERSON_NOT_FOUND


async def test_that_was_grace(gallery: OpenGallery) -> None:
    ada, grace = await gallery.service.create_person("Ada"), await gallery.service.create_person("Grace")
    visit = make_visit(1, person_id=ada.id)
    await gallery.memory.keep_visit(visit)
    correction = await gallery.memory.correct(visit.id, grace.id)
    assert (correction.denied, correction.person_id) == ((ada.id,), grace.id)
    (face,) = await gallery.service.faces(grace.id)
    assert (face.id, face.source, face.folder) == (correction.face_id, "", "")
    stored = {template.level: template.vector.tobytes() for template in gallery.service.snapshot.templates}
    assert stored == {remembered.level: remembered.vector.tobytes() for remembered in visit.faces}
    ranked = gallery.service.snapshot.gallery.search(make_vector(1000), CLEAR)
    assert ranked[0].person_id == grace.id
    again = await gallery.memory.correct(visit.id, grace.id)
    assert (again.denied, again.face_id) == ((), face.id)


async def test_what_was_said_wrongly_is_said_again(gallery: OpenGallery) -> None:
    ada, grace = await gallery.service.create_person("Ada"), await gallery.service.create_person("Grace")
    await gallery.memory.keep_visit(make_visit(1, person_id=ada.id))
    await gallery.memory.correct("visit-1", grace.id)
    correction = await gallery.memory.correct("visit-1", ada.id)
    assert correction.denied == (grace.id,)
    assert [negative.person_id for negative in gallery.service.snapshot.negatives] == [grace.id]
    assert await gallery.service.faces(grace.id) == ()
    assert [face.id for face in await gallery.service.faces(ada.id)] == [correction.face_id]
    await gallery.memory.correct("visit-1", None)
    assert await gallery.service.faces(ada.id) == ()
    assert {negative.person_id for negative in gallery.service.snapshot.negatives} == {ada.id, grace.id}


async def test_an_event_s_own_person_is_denied_too(gallery: OpenGallery) -> None:
    ada, grace = await gallery.service.create_person("Ada"), await gallery.service.create_person("Grace")
    gallery.events.append(replace(make_event(1), visit_id="visit-1", person_id=ada.id, person="Ada"))
    # The visit went on, and somebody else was named.
    await gallery.memory.keep_visit(make_visit(1, person_id=grace.id))
    correction = await gallery.memory.correct_event("event-1", None)
    assert set(correction.denied) == {ada.id, grace.id}
    assert (await refused(gallery.memory.correct_event("event-2", None))).code is ErrorCode.EVENT_NOT_FOUND


async def test_corrections_that_can_t_be(gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person("Ada")
    assert (await refused(gallery.memory.correct("visit-1", ada.id))).code is ErrorCode.VISIT_NOT_FOUND
    await gallery.memory.keep_visit(make_visit(1, person_id=ada.id))
    assert (await refused(gallery.memory.correct("visit-1", "nobody"))).code is ErrorCode.PERSON_NOT_FOUND
    assert denied(gallery) == []


async def test_a_stranger_becomes_a_new_person(gallery: OpenGallery) -> None:
    memory, stranger = gallery.memory, make_stranger(12, faces=make_remembered(1, levels=3), visits=3)
    await memory.put_stranger(stranger, new=True)
    await memory.keep_visit(make_visit(1, stranger_id=stranger.id))
    person = await memory.name_stranger("12", name="  Grace   Hopper ")
    assert (person.name, person.faces, person.ignored) == ("Grace Hopper", 1, False)
    assert numbers(gallery) == []
    ranked = gallery.service.snapshot.gallery.search(make_vector(1001), LEVELS[1])
    assert ranked[0].person_id == person.id
    assert (await refused(memory.stranger(stranger.id))).code is ErrorCode.STRANGER_NOT_FOUND
    # The visit is the person's now: that was not Grace.
    assert (await memory.correct("visit-1", None)).denied == (person.id,)
    assert await memory.next_stranger_number() == 13


async def test_a_stranger_becomes_a_person_who_is_there(gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person("Ada")
    await gallery.service.add_face(ada.id, make_represented())
    stranger = make_stranger(1)
    await gallery.memory.put_stranger(stranger, new=True)
    for call, code in (
        (gallery.memory.name_stranger(stranger.id), ErrorCode.BAD_REQUEST),
        (gallery.memory.name_stranger(stranger.id, name="Ada", person_id=ada.id), ErrorCode.BAD_REQUEST),
        (gallery.memory.name_stranger(stranger.id, name="ADA"), ErrorCode.PERSON_EXISTS),
        (gallery.memory.name_stranger(stranger.id, name="\x00"), ErrorCode.BAD_NAME),
        (gallery.memory.name_stranger(stranger.id, person_id="nobody"), ErrorCode.PERSON_NOT_FOUND),
        (gallery.memory.name_stranger("7", name="Grace"), ErrorCode.STRANGER_NOT_FOUND),
    ):
        assert (await refused(call)).code is code
    assert numbers(gallery) == [stranger.number]
    person = await gallery.memory.name_stranger(stranger.id, person_id=ada.id)
    assert (person.id, person.faces) == (ada.id, 2)
    assert numbers(gallery) == []


async def test_a_stranger_is_ignored(gallery: OpenGallery) -> None:
    await gallery.memory.put_stranger(make_stranger(12), new=True)
    person = await gallery.memory.ignore_stranger("12")
    assert (person.name, person.ignored, person.faces) == ("Ignored 12", True, 1)
    assert gallery.service.snapshot.ignored == {person.id}
    shown = await gallery.memory.set_ignored(person.id, False)
    assert shown.to_dict()["ignored"] is False
    assert gallery.service.snapshot.ignored == frozenset()
    assert (await refused(gallery.memory.set_ignored("nobody", True))).code is ErrorCode.PERSON_NOT_FOUND


async def test_a_stranger_s_only_visit_that_was_ada_s_leaves_no_stranger(gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person("Ada")
    once, often = make_stranger(1), make_stranger(2, visits=3)
    for seed, stranger in enumerate((once, often)):
        await gallery.memory.put_stranger(stranger, new=True)
        await gallery.memory.keep_visit(make_visit(seed, stranger_id=stranger.id))
        correction = await gallery.memory.correct(f"visit-{seed}", ada.id)
        assert correction.denied == ()
    assert numbers(gallery) == [2]
    assert len(await gallery.service.faces(ada.id)) == 2
    # Both visits are Ada's now.
    await gallery.memory.forget_stranger(often.id)
    assert (await gallery.memory.correct("visit-1", None)).denied == (ada.id,)


def sealed_vectors(gallery: OpenGallery) -> set[bytes]:
    """What is remembered of faces, as it stands on the disk."""
    return {vector for (vector,) in gallery.database.rows("SELECT vector FROM remembered")}


async def test_nothing_of_a_forgotten_stranger_stays_on_the_disk(gallery: OpenGallery) -> None:
    stays, gone = make_stranger(1), make_stranger(2)
    for seed, stranger in enumerate((stays, gone), 1):
        await gallery.memory.put_stranger(stranger, new=True)
        await gallery.memory.keep_visit(make_visit(seed + 10, stranger_id=stranger.id))
    before = sealed_vectors(gallery)
    await gallery.memory.forget_stranger("2")
    assert numbers(gallery) == [1]
    held = b"".join(file.read_bytes() for file in gallery.database.path.parent.glob("privface.db*"))
    left = sealed_vectors(gallery)
    assert 0 < len(left) < len(before)
    assert all(vector in held for vector in left)
    assert not any(vector in held for vector in before - left)
    assert gone.id.encode() not in held
    assert (await refused(gallery.memory.forget_stranger("2"))).code is ErrorCode.STRANGER_NOT_FOUND


async def test_forgetting_a_person_takes_all_that_is_remembered_of_them(gallery: OpenGallery) -> None:
    ada, grace = await gallery.service.create_person("Ada"), await gallery.service.create_person("Grace")
    await gallery.memory.keep_visit(make_visit(1, person_id=ada.id))
    await gallery.memory.keep_visit(make_visit(2, person_id=ada.id))
    await gallery.memory.correct("visit-1", grace.id)
    nearest = [{"person_id": person.id, "score": 0.4} for person in (ada, grace)]
    unknown = replace(make_event(1), person_id=None, person=None)
    gallery.events.extend((unknown,), {"event-1": {"faces": [], "nearest": nearest}})
    before = sealed_vectors(gallery)
    receipt = await gallery.service.forget(ada.id)
    assert {key: receipt.counts[key] for key in ("visits", "negatives", "explanations", "events")} == {
        "visits": 1,
        "negatives": 1,
        "explanations": 1,
        "events": 0,
    }
    assert denied(gallery) == []
    assert gallery.events.explanation("event-1") == {"faces": [], "nearest": nearest[1:]}
    held = b"".join(file.read_bytes() for file in gallery.database.path.parent.glob("privface.db*"))
    left = sealed_vectors(gallery)
    assert 0 < len(left) < len(before)
    assert all(vector in held for vector in left)
    assert not any(vector in held for vector in before - left)


async def test_time_is_over(tmp_path: Path) -> None:
    # The clock ticks a second with each look at it.
    async with open_gallery(tmp_path / "privface.db", keeping=timedelta(seconds=10)) as gallery:
        ada = await gallery.service.create_person("Ada")
        await gallery.memory.put_stranger(make_stranger(1), new=True)
        await gallery.memory.put_stranger(make_stranger(2, last_seen=START + timedelta(hours=1)), new=True)
        await gallery.memory.keep_visit(make_visit(1, person_id=ada.id))
        assert await gallery.memory.purge() == 0
        before = sealed_vectors(gallery)
        while not (purged := await gallery.memory.purge()):
            assert numbers(gallery) == [1, 2]
        assert purged == 2
        assert numbers(gallery) == [2]
        assert (await refused(gallery.memory.correct("visit-1", None))).code is ErrorCode.VISIT_NOT_FOUND
        held = b"".join(file.read_bytes() for file in gallery.database.path.parent.glob("privface.db*"))
        left = sealed_vectors(gallery)
        assert 0 < len(left) < len(before)
        assert not any(vector in held for vector in before - left)


async def test_nothing_is_kept_where_nothing_is_to_be(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery:
        await gallery.memory.put_stranger(make_stranger(1), new=True)
        await gallery.memory.keep_visit(make_visit(1))
    async with open_gallery(path, keeping=timedelta(0)) as gallery:
        assert not gallery.memory.keeps
        await gallery.service.create_person("Ada")  # the clock ticks
        assert await gallery.memory.purge() == 2
        assert not await gallery.memory.put_stranger(make_stranger(2), new=True)
        assert not await gallery.memory.keep_visit(make_visit(2))
        assert await gallery.memory.strangers() == ()


async def test_nothing_private_shows(gallery: OpenGallery) -> None:
    assert "vector" not in repr(make_stranger(1))
    assert "vector" not in repr(make_visit(1))
    await gallery.memory.put_stranger(make_stranger(1), new=True)
    assert "array" not in repr(gallery.service.snapshot)
