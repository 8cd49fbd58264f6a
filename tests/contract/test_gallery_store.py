"""What every gallery store must do. A third party's runs it through the same registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from privface_backend.domain.matching import Contract, LevelMatchedGallery
from privface_backend.domain.privacy import CLEAR
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protocol import ErrorCode
from support.gallery import (
    CONTRACT,
    LEVELS,
    OTHER_CONTRACT,
    make_face,
    make_person,
    make_stranger,
    make_templates,
    make_visit,
)


def code_of(error: pytest.ExceptionInfo[PrivFaceError]) -> ErrorCode:
    return error.value.code


def test_a_new_store_is_empty(store: GalleryStore) -> None:
    assert list(store.people()) == []
    assert list(store.faces()) == []
    assert list(store.templates(CONTRACT)) == []
    assert dict(store.contracts()) == {}


def test_people_come_oldest_first_with_their_counts(store: GalleryStore) -> None:
    younger, older = make_person("Younger", after=5), make_person("Older")
    for person in (younger, older):
        assert store.add_person(person)
    for picture in ("1.jpg", "2.jpg"):
        face = make_face(younger, picture=picture)
        store.add_face(face, CONTRACT, make_templates(face))
    assert list(store.people()) == [older, replace(younger, faces=2)]


@pytest.mark.parametrize(
    "name", ["Ada", "Zoë", "Łukasz Żółć", "李小龍", "محمد", "O'Brien; DROP TABLE people", "👩‍🚀", "ß"]
)
def test_any_name_comes_back_as_it_was(store: GalleryStore, name: str) -> None:
    person = make_person(name)
    store.add_person(person)
    assert [found.name for found in store.people()] == [name]


def test_two_people_may_share_a_name_unless_that_is_refused(store: GalleryStore) -> None:
    assert store.add_person(make_person("Zoë"))
    assert store.add_person(make_person("Zoë"))
    assert not store.add_person(make_person("ZOE\u0308"), allow_duplicate=False)
    assert store.add_person(make_person("Zoe"), allow_duplicate=False)
    assert len(store.people()) == 3


def test_an_id_is_given_once(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    with pytest.raises(PrivFaceError) as error:
        store.add_person(replace(person, name="Somebody else"))
    assert code_of(error) is ErrorCode.CONFLICT
    assert [found.name for found in store.people()] == [person.name]


def test_renaming(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    assert store.rename_person(person.id, "Grace")
    assert list(store.people()) == [replace(person, name="Grace")]
    assert not store.rename_person("nobody", "Grace")


def test_ignoring(store: GalleryStore) -> None:
    ada, grace = make_person("Ada"), make_person("Grace", after=1)
    store.add_person(ada), store.add_person(grace)
    before = store.revision()
    assert store.set_ignored(ada.id, True)
    assert list(store.people()) == [replace(ada, ignored=True), grace]
    assert store.revision() != before
    assert store.rename_person(ada.id, "Ada L.")
    before = store.revision()
    assert store.set_ignored(ada.id, True)
    assert store.revision() == before
    assert [person.ignored for person in store.people()] == [True, False]
    assert store.set_ignored(ada.id, False)
    assert not store.set_ignored("nobody", True)
    assert [person.ignored for person in store.people()] == [False, False]
    store.set_ignored(ada.id, True)
    assert store.remove_person(ada.id)
    assert list(store.people()) == [grace]


def test_templates_come_back_bit_for_bit(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    face = make_face(person, picture="1.jpg")
    stored = make_templates(face)
    store.add_face(face, CONTRACT, stored)
    found = {template.level: template for template in store.templates(CONTRACT)}
    assert set(found) == set(LEVELS)
    for template in stored:
        again = found[template.level]
        assert (again.face_id, again.person_id) == (face.id, person.id)
        assert again.vector.dtype == np.float32
        assert np.array_equal(again.vector, template.vector)
    assert list(store.faces()) == [face]
    assert dict(store.contracts()) == {CONTRACT.key: len(LEVELS)}


def test_what_is_stored_can_be_searched(store: GalleryStore) -> None:
    people = [make_person(name, after=number) for number, name in enumerate(("Ada", "Grace", "Edsger"))]
    for seed, person in enumerate(people):
        store.add_person(person)
        face = make_face(person)
        store.add_face(face, CONTRACT, make_templates(face, seed))
    probe = make_templates(make_face(people[1]), 1)[0].vector
    ranked = LevelMatchedGallery(store.templates(CONTRACT)).search(probe, CLEAR)
    assert ranked[0].person_id == people[1].id
    assert ranked[0].score == pytest.approx(1.0, abs=1e-5)


def test_templates_of_another_contract_stay_apart(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    face = make_face(person, picture="1.jpg")
    store.add_face(face, CONTRACT, make_templates(face))
    store.add_face(face, OTHER_CONTRACT, make_templates(face, 2, OTHER_CONTRACT))
    assert len(store.faces()) == 1
    assert {template.vector.shape for template in store.templates(CONTRACT)} == {(CONTRACT.dimension,)}
    assert {template.vector.shape for template in store.templates(OTHER_CONTRACT)} == {(OTHER_CONTRACT.dimension,)}
    third = Contract(recognizer="third", weights_digest="2" * 64, dimension=128, alignment="five-point")
    assert list(store.templates(third)) == []
    assert dict(store.contracts()) == {CONTRACT.key: len(LEVELS), OTHER_CONTRACT.key: len(LEVELS)}


def test_a_face_is_added_once_for_a_contract(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    face = make_face(person)
    store.add_face(face, CONTRACT, make_templates(face))
    with pytest.raises(PrivFaceError) as error:
        store.add_face(face, CONTRACT, make_templates(face))
    assert code_of(error) is ErrorCode.CONFLICT
    assert dict(store.contracts()) == {CONTRACT.key: len(LEVELS)}


def test_one_picture_gives_a_person_one_face(store: GalleryStore) -> None:
    ada, grace = make_person("Ada"), make_person("Grace")
    for person in (ada, grace):
        store.add_person(person)
        face = make_face(person, picture="both.jpg")
        store.add_face(face, CONTRACT, make_templates(face))
    again = make_face(ada, picture="both.jpg")
    with pytest.raises(PrivFaceError) as error:
        store.add_face(again, CONTRACT, make_templates(again))
    assert code_of(error) is ErrorCode.CONFLICT
    for unnamed in (make_face(ada), make_face(ada)):
        store.add_face(unnamed, CONTRACT, make_templates(unnamed))
    assert len(store.faces(ada.id)) == 3


def test_a_face_of_nobody_is_refused(store: GalleryStore) -> None:
    face = make_face(make_person())
    with pytest.raises(PrivFaceError) as error:
        store.add_face(face, CONTRACT, make_templates(face))
    assert code_of(error) is ErrorCode.PERSON_NOT_FOUND
    assert list(store.faces()) == []


def test_adding_is_all_or_nothing(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    face = make_face(person)
    twice = make_templates(face)
    revision = store.revision()
    with pytest.raises(PrivFaceError):
        store.add_face(face, CONTRACT, (*twice, twice[3]))
    assert list(store.faces()) == []
    assert list(store.templates(CONTRACT)) == []
    assert store.revision() == revision


def test_removing_a_person_takes_faces_and_templates_along(store: GalleryStore) -> None:
    ada, grace = make_person("Ada"), make_person("Grace")
    for seed, person in enumerate((ada, grace)):
        store.add_person(person)
        face = make_face(person, picture=f"{person.name}.jpg")
        store.add_face(face, CONTRACT, make_templates(face, seed))
    assert store.remove_person(ada.id)
    assert not store.remove_person(ada.id)
    assert [person.id for person in store.people()] == [grace.id]
    assert {face.person_id for face in store.faces()} == {grace.id}
    assert {template.person_id for template in store.templates(CONTRACT)} == {grace.id}


def test_removing_a_face(store: GalleryStore) -> None:
    person = make_person()
    store.add_person(person)
    first, second = make_face(person, picture="1.jpg"), make_face(person, picture="2.jpg", after=1)
    for face in (first, second):
        store.add_face(face, CONTRACT, make_templates(face))
    assert store.remove_face(first.id)
    assert not store.remove_face(first.id)
    assert list(store.faces(person.id)) == [second]
    assert {template.face_id for template in store.templates(CONTRACT)} == {second.id}
    store.add_face(first, CONTRACT, make_templates(first))
    assert list(store.faces(person.id)) == [first, second]


def test_the_revision_counts_changes_and_nothing_else(store: GalleryStore) -> None:
    person = make_person()
    face = make_face(person)
    changes = (
        lambda: store.add_person(person),
        lambda: store.rename_person(person.id, "Grace"),
        lambda: store.add_face(face, CONTRACT, make_templates(face)),
        lambda: store.remove_face(face.id),
        lambda: store.remove_person(person.id),
    )
    for change in changes:
        before = store.revision()
        change()
        assert store.revision() != before
    before = store.revision()
    store.people(), store.faces(), store.templates(CONTRACT), store.contracts()
    store.remove_person(person.id)
    store.rename_person(person.id, "Nobody")
    assert store.revision() == before


def test_a_transaction_holds_whole_or_not_at_all(store: GalleryStore) -> None:
    ada, grace = make_person("Ada"), make_person("Grace")
    store.add_person(ada)
    face, visit = make_face(ada), make_visit(1, person_id=ada.id)
    store.add_face(face, CONTRACT, make_templates(face))
    store.memory.keep_visit(visit)

    def change() -> None:
        with store.transaction():
            store.add_person(grace)
            store.set_ignored(ada.id, True)
            store.memory.put_stranger(make_stranger(), new=True)
            store.remove_person(ada.id)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        change()
    assert list(store.people()) == [replace(ada, faces=1)]
    assert len(store.templates(CONTRACT)) == len(LEVELS)
    assert store.memory.visit(visit.id) is not None
    assert store.memory.strangers() == ()
    with store.transaction():
        store.add_person(grace)
        store.remove_person(ada.id)
    assert list(store.people()) == [grace]
    assert store.memory.visit(visit.id) is None


def test_what_failed_inside_a_transaction_leaves_nothing_and_the_rest_holds(store: GalleryStore) -> None:
    ada = make_person("Ada")
    with store.transaction():
        store.add_person(ada)
        face = make_face(ada)
        twice = make_templates(face)
        with pytest.raises(PrivFaceError):
            store.add_face(face, CONTRACT, (*twice, twice[3]))
    assert list(store.people()) == [ada]
    assert list(store.templates(CONTRACT)) == []
