"""What the memory of every gallery store must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from privface_backend.domain.faces import Vector
from privface_backend.domain.memory import RememberedFace
from privface_backend.domain.privacy import CLEAR
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import GalleryStore, VisitMemory
from privface_backend.protocol import ErrorCode
from support.gallery import (
    CONTRACT,
    OTHER_CONTRACT,
    START,
    make_negative,
    make_person,
    make_remembered,
    make_stranger,
    make_vector,
    make_visit,
    plain,
)


@pytest.fixture
def memory(store: GalleryStore) -> VisitMemory:
    return store.memory


def test_a_new_memory_is_empty(memory: VisitMemory) -> None:
    assert memory.visit("visit-1") is None
    assert list(memory.strangers()) == []
    assert list(memory.negatives()) == []
    assert memory.purge(START) == 0


def test_a_visit_comes_back_bit_for_bit(store: GalleryStore, memory: VisitMemory) -> None:
    ada, stranger = make_person(), make_stranger()
    store.add_person(ada)
    memory.put_stranger(stranger, new=True)
    for visit in (make_visit(1), make_visit(2, person_id=ada.id), make_visit(3, stranger_id=stranger.id)):
        assert memory.keep_visit(visit)
        found = memory.visit(visit.id)
        assert found is not None
        assert plain(found) == plain(visit)


def test_a_visit_kept_again_takes_the_older_one_s_place(store: GalleryStore, memory: VisitMemory) -> None:
    ada = make_person()
    store.add_person(ada)
    memory.keep_visit(make_visit(1, faces=make_remembered(1, levels=4)))
    memory.keep_visit(make_visit(2))
    again = make_visit(1, faces=make_remembered(7), person_id=ada.id, last_seen=START + timedelta(seconds=5))
    assert memory.keep_visit(again)
    found, other = memory.visit("visit-1"), memory.visit("visit-2")
    assert found is not None
    assert other is not None
    assert plain(found) == plain(again)
    assert plain(other) == plain(make_visit(2))


def test_a_visit_of_who_is_gone_is_not_kept(memory: VisitMemory) -> None:
    assert not memory.keep_visit(make_visit(1, person_id="nobody"))
    assert not memory.keep_visit(make_visit(1, stranger_id="nobody"))
    assert memory.visit("visit-1") is None


def broken_faces() -> list[tuple[RememberedFace, ...]]:
    def face(vector: Vector, weight: float = 1.0) -> RememberedFace:
        return RememberedFace(level=CLEAR, weight=weight, vector=vector)

    return [
        (face(make_vector(1, 64)),),
        (face(np.full(CONTRACT.dimension, np.nan, np.float32)),),
        (face(make_vector(1), 0.0),),
        (face(make_vector(1), float("nan")),),
    ]


@pytest.mark.parametrize("faces", broken_faces())
def test_faces_that_are_none_are_refused(
    store: GalleryStore, memory: VisitMemory, faces: tuple[RememberedFace, ...]
) -> None:
    ada = make_person()
    store.add_person(ada)
    calls: tuple[Callable[[], object], ...] = (
        lambda: memory.keep_visit(make_visit(1, faces=faces)),
        lambda: memory.put_stranger(make_stranger(faces=faces), new=True),
        lambda: memory.add_negative(make_negative(ada, faces=faces)),
    )
    for keep in calls:
        with pytest.raises(PrivFaceError) as error:
            keep()
        assert error.value.code is ErrorCode.ENGINE_FAILED
    assert memory.visit("visit-1") is None
    assert list(memory.strangers()) == []
    assert list(memory.negatives()) == []


def test_two_faces_of_one_level_are_refused_whole(memory: VisitMemory) -> None:
    first, _ = make_remembered(1)
    with pytest.raises(PrivFaceError) as error:
        memory.keep_visit(make_visit(1, faces=(first, first)))
    assert error.value.code is ErrorCode.CONFLICT
    assert memory.visit("visit-1") is None


def test_no_number_is_given_twice(memory: VisitMemory) -> None:
    assert [memory.next_stranger_number() for _ in range(3)] == [1, 2, 3]
    stranger = make_stranger(3)
    memory.put_stranger(stranger, new=True)
    memory.remove_stranger(stranger.id)
    memory.purge(START + timedelta(days=1))
    assert memory.next_stranger_number() == 4


def test_strangers_come_back_by_number_and_of_a_contract(memory: VisitMemory) -> None:
    later, first = make_stranger(12), make_stranger(3, last_seen=START + timedelta(days=1), visits=4)
    other = make_stranger(5, contract=OTHER_CONTRACT.key, faces=make_remembered(5, OTHER_CONTRACT))
    for stranger in (later, first, other):
        assert memory.put_stranger(stranger, new=True)
    assert [plain(found) for found in memory.strangers()] == [plain(first), plain(other), plain(later)]
    assert [plain(found) for found in memory.strangers(CONTRACT)] == [plain(first), plain(later)]
    assert [plain(found) for found in memory.strangers(OTHER_CONTRACT)] == [plain(other)]


def test_a_stranger_changes_but_one_who_is_gone_does_not_come_back(memory: VisitMemory) -> None:
    stranger = make_stranger(1, faces=make_remembered(1, levels=4))
    assert not memory.put_stranger(stranger)
    assert memory.put_stranger(stranger, new=True)
    memory.keep_visit(make_visit(1, stranger_id=stranger.id))
    again = replace(stranger, visits=2, camera="garden", faces=make_remembered(4))
    assert memory.put_stranger(again)
    assert [plain(found) for found in memory.strangers()] == [plain(again)]
    assert memory.visit("visit-1") is not None
    assert memory.remove_stranger(stranger.id)
    assert not memory.put_stranger(again)
    assert list(memory.strangers()) == []


def test_a_number_is_one_stranger_s(memory: VisitMemory) -> None:
    stranger = make_stranger(1)
    memory.put_stranger(stranger, new=True)
    with pytest.raises(PrivFaceError) as error:
        memory.put_stranger(make_stranger(1), new=True)
    assert error.value.code is ErrorCode.CONFLICT
    assert [plain(found) for found in memory.strangers()] == [plain(stranger)]


def test_a_new_stranger_who_is_put_twice_is_one(memory: VisitMemory) -> None:
    stranger = make_stranger(7)
    for visits in (1, 2):
        assert memory.put_stranger(replace(stranger, visits=visits), new=True)
    assert [plain(found) for found in memory.strangers()] == [plain(replace(stranger, visits=2))]


def test_a_number_that_was_put_counts_as_given(memory: VisitMemory) -> None:
    assert memory.last_stranger_number() == 0
    stranger = make_stranger(7)
    memory.put_stranger(stranger, new=True)
    memory.put_stranger(make_stranger(3), new=True)
    memory.remove_stranger(stranger.id)
    assert memory.last_stranger_number() == 7
    assert memory.next_stranger_number() == 8
    assert memory.last_stranger_number() == 8


def test_a_stranger_goes_with_their_visits(memory: VisitMemory) -> None:
    gone, other = make_stranger(1), make_stranger(2)
    for seed, stranger in enumerate((gone, other)):
        memory.put_stranger(stranger, new=True)
        memory.keep_visit(make_visit(seed, stranger_id=stranger.id))
    assert memory.remove_stranger(gone.id)
    assert not memory.remove_stranger(gone.id)
    assert [found.id for found in memory.strangers()] == [other.id]
    assert memory.visit("visit-0") is None
    assert memory.visit("visit-1") is not None


def test_an_heir_gets_the_visits(store: GalleryStore, memory: VisitMemory) -> None:
    ada, stranger = make_person(), make_stranger()
    store.add_person(ada)
    memory.put_stranger(stranger, new=True)
    visit = make_visit(1, stranger_id=stranger.id)
    memory.keep_visit(visit)
    assert memory.remove_stranger(stranger.id, heir=ada.id)
    found = memory.visit(visit.id)
    assert found is not None
    assert plain(found) == plain(replace(visit, stranger_id=None, person_id=ada.id))


def test_negative_examples(store: GalleryStore, memory: VisitMemory) -> None:
    ada, grace = make_person("Ada"), make_person("Grace")
    store.add_person(ada), store.add_person(grace)
    second = make_negative(ada, 2, created_at=START + timedelta(seconds=1))
    first = make_negative(ada, 1)
    theirs = make_negative(grace, 3, created_at=START + timedelta(seconds=2))
    foreign = make_negative(
        grace,
        created_at=START + timedelta(seconds=3),
        contract=OTHER_CONTRACT.key,
        faces=make_remembered(4, OTHER_CONTRACT),
    )
    for negative in (second, first, theirs, foreign):
        assert memory.add_negative(negative)
    assert [plain(found) for found in memory.negatives()] == [plain(one) for one in (first, second, theirs, foreign)]
    assert [found.id for found in memory.negatives(CONTRACT)] == [first.id, second.id, theirs.id]
    assert not memory.add_negative(make_negative(make_person()))
    assert memory.add_negative(replace(first, faces=make_remembered(9)))
    assert memory.remove_negative(second.id)
    assert not memory.remove_negative(second.id)
    assert [plain(found) for found in memory.negatives(CONTRACT)] == [
        plain(replace(first, faces=make_remembered(9))),
        plain(theirs),
    ]
    assert memory.remove_negatives(grace.id) == 2
    assert memory.remove_negatives(grace.id) == 0
    assert [found.id for found in memory.negatives()] == [first.id]


def test_what_names_a_person_goes_with_them(store: GalleryStore, memory: VisitMemory) -> None:
    ada, grace = make_person("Ada"), make_person("Grace")
    for seed, person in enumerate((ada, grace)):
        store.add_person(person)
        memory.keep_visit(make_visit(seed, person_id=person.id))
        memory.add_negative(make_negative(person, seed))
    memory.keep_visit(make_visit(5))
    assert store.remove_person(ada.id)
    assert memory.visit("visit-0") is None
    assert [found.person_id for found in memory.negatives()] == [grace.id]
    assert memory.remove_visits(grace.id) == 1
    assert memory.remove_visits(grace.id) == 0
    assert memory.visit("visit-1") is None
    assert memory.visit("visit-5") is not None


def test_purging_takes_what_was_last_seen_before(store: GalleryStore, memory: VisitMemory) -> None:
    ada = make_person()
    store.add_person(ada)
    memory.add_negative(make_negative(ada))
    for number in range(6):
        moment = START + timedelta(minutes=number)
        memory.keep_visit(make_visit(number, last_seen=moment, person_id=ada.id))
        memory.put_stranger(make_stranger(number, last_seen=moment), new=True)
    assert memory.purge(START + timedelta(minutes=4)) == 8
    assert memory.purge(START + timedelta(minutes=4)) == 0
    assert [memory.visit(f"visit-{number}") is None for number in range(6)] == [True] * 4 + [False] * 2
    assert [found.number for found in memory.strangers()] == [4, 5]
    assert len(memory.negatives()) == 1


def test_the_revision_counts_strangers_and_examples_and_nothing_else(store: GalleryStore, memory: VisitMemory) -> None:
    ada, stranger = make_person(), make_stranger()
    store.add_person(ada)
    negative = make_negative(ada)
    gallery = store.revision()
    changes: tuple[Callable[[], object], ...] = (
        lambda: memory.put_stranger(stranger, new=True),
        lambda: memory.put_stranger(stranger),
        lambda: memory.purge(START + timedelta(seconds=1)),
        lambda: memory.put_stranger(stranger, new=True),
        lambda: memory.remove_stranger(stranger.id),
        lambda: memory.add_negative(negative),
        lambda: memory.remove_negative(negative.id),
        lambda: memory.add_negative(negative),
        lambda: memory.remove_negatives(ada.id),
    )
    for change in changes:
        before = memory.revision()
        change()
        assert memory.revision() == before + 1
    before = memory.revision()
    memory.keep_visit(make_visit(1))
    memory.next_stranger_number()
    memory.purge(START + timedelta(days=1))
    memory.remove_negatives(ada.id)
    memory.remove_stranger(stranger.id)
    assert (memory.revision(), store.revision()) == (before, gallery)
