"""Every place of the database that can hold a person, or what was made of their face, one by one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from privface_backend.domain.consent import Consent
from privface_backend.domain.matching import Template
from privface_backend.domain.privacy import CLEAR
from privface_backend.storage.database import Database
from privface_backend.storage.erasures import Erasures, Receipt
from support.gallery import (
    CONTRACT,
    OTHER_CONTRACT,
    START,
    OpenGallery,
    make_remembered,
    make_represented,
    make_stranger,
    make_vector,
    make_visit,
    open_gallery,
)
from support.keys import KEYS
from support.mqtt import make_event
from support.traces import slices, traces_in

NAME = "Ada Unforgettable"


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[OpenGallery]:
    async with open_gallery(tmp_path / "privface.db") as opened:
        yield opened


def vectors(*seeds: int) -> set[bytes]:
    """Of what ``make_remembered`` and ``make_represented`` make of these seeds."""
    return slices([make_vector(1000 * seed + step).tolist() for seed in seeds for step in range(11)])


def tables(gallery: OpenGallery, person_id: str) -> set[str]:
    """The tables that have a person's id somewhere."""
    names = [name for (name,) in gallery.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    everything = {name: gallery.database.rows("SELECT * FROM " + name) for name in names}  # noqa: S608  # of the schema
    return {name for name, rows in everything.items() if person_id in str(rows)}


async def test_everything_at_once_leaves_the_receipt_alone(gallery: OpenGallery, tmp_path: Path) -> None:
    service, memory = gallery.service, gallery.memory
    ada, grace = await service.create_person(NAME), await service.create_person("Grace")
    await service.set_consent(ada.id, Consent(given_on=date(2026, 11, 1), note=f"{NAME} signed"))
    await memory.set_ignored(ada.id, True)
    await service.add_face(ada.id, make_represented(1), source=f"{NAME}/1.jpg", picture_digest="1", folder="f" * 16)
    await service.add_face(grace.id, make_represented(9))
    (enrolled,) = await service.faces(ada.id)
    vector = make_vector(7, OTHER_CONTRACT.dimension)
    other = Template(face_id=enrolled.id, person_id=ada.id, level=CLEAR, vector=vector)
    gallery.store.add_face(enrolled, OTHER_CONTRACT, [other])
    # A visit that was Grace's until somebody said that it was Ada's: Grace got a negative example, Ada a face.
    await memory.keep_visit(make_visit(2, person_id=grace.id))
    await memory.correct("visit-2", ada.id)
    # A stranger of several visits, one of which was said to be Ada's: what was merged of it stays with the stranger.
    stranger = make_stranger(1, visits=2, faces=make_remembered(3))
    await memory.put_stranger(stranger, new=True)
    await memory.keep_visit(make_visit(3, stranger_id=stranger.id))
    await memory.keep_visit(make_visit(4, stranger_id=stranger.id))
    await memory.correct("visit-3", ada.id)
    # A visit that was Ada's until somebody said that it was Grace's: that one is Grace's.
    await memory.keep_visit(make_visit(5, person_id=ada.id))
    await memory.correct("visit-5", grace.id)
    named = replace(make_event(1), visit_id="visit-5", person_id=ada.id, person=NAME)
    taken_back = replace(make_event(2), visit_id="visit-5", person_id=grace.id, person="Grace", corrects="event-1")
    nameless = replace(make_event(3), visit_id="visit-3", person_id=None, person=None)
    others = replace(make_event(4), visit_id="visit-9", person_id=None, person=None)
    nearest = [{"person_id": person.id, "score": 0.4} for person in (ada, grace)]
    gallery.events.extend((named, taken_back, nameless, others), {"event-4": {"nearest": nearest}})
    sightings = [{"person_id": one.id, "camera": "door"} for one in (ada, grace)]
    gallery.database.set_meta("sightings", json.dumps(sightings))

    receipt = await service.forget(ada.id)
    assert receipt.counts == {
        "faces": 3,
        "templates": 11 + 1 + 2 + 2,
        "events": 2,
        "visits": 3,
        "negatives": 1,
        "others_negatives": 1,
        "strangers": 1,
        "explanations": 1,
        "corrections": 1,
        "cached": 0,
        "folder_pictures": 1,
        "held_back": 1,
    }
    assert dict(receipt.templates_by_contract) == {CONTRACT.key: 15, OTHER_CONTRACT.key: 1}
    assert tables(gallery, ada.id) == {"erasures"}
    left = [event.event_id for event in gallery.events.list()]
    assert left == ["event-4", "event-2"]
    assert [event.corrects for event in gallery.events.list()] == [None, None]
    assert gallery.events.explanation("event-4") == {"nearest": nearest[1:]}
    assert json.loads(gallery.database.get_meta("sightings") or "") == sightings[1:]
    assert not gallery.store.memory.strangers()
    assert [visit.id for visit in gallery.store.memory.visits()] == ["visit-5"]
    assert not traces_in(tmp_path, [NAME, "Unforgettable"], vectors(1, 2, 3))


async def test_a_copy_that_was_rounded_is_still_a_copy(gallery: OpenGallery) -> None:
    ada, grace = await gallery.service.create_person(NAME), await gallery.service.create_person("Grace")
    visit = make_visit(2, person_id=grace.id)
    await gallery.memory.keep_visit(visit)
    await gallery.memory.correct("visit-2", ada.id)
    rounded = tuple(replace(face, vector=(face.vector + np.float32(1e-6)).astype(np.float32)) for face in visit.faces)
    (negative,) = gallery.store.memory.negatives()
    gallery.store.memory.add_negative(replace(negative, faces=rounded))
    assert (await gallery.service.forget(ada.id)).counts["others_negatives"] == 1
    assert not gallery.store.memory.negatives()


async def test_the_file_is_rewritten_by_whoever_is_there_when_the_one_who_forgot_could_not(
    gallery: OpenGallery, tmp_path: Path
) -> None:
    ada = await gallery.service.create_person(NAME)
    await gallery.service.add_face(ada.id, make_represented(1))
    other = Database(gallery.database.path, KEYS)
    receipt = Receipt(person_id=ada.id, forgotten_at=START - timedelta(hours=1), counts={"faces": 1})
    with other.transaction(durable=True) as connection:
        # As one that was killed before it came to that has left it.
        connection.execute("DELETE FROM people")
        Erasures(other).add(receipt)
    other.close()
    assert Erasures(gallery.database).get(ada.id) == receipt
    await gallery.service.poll()
    found = Erasures(gallery.database).get(ada.id)
    assert found is not None
    assert found.rewritten_at is not None
    assert not traces_in(tmp_path, ["Unforgettable"], vectors(1))


async def test_a_reader_puts_the_rewriting_off_and_the_receipt_says_so(gallery: OpenGallery) -> None:
    ada = await gallery.service.create_person(NAME)
    other = Database(gallery.database.path, KEYS)
    reading = other._connection
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM people").fetchall()
    receipt = await gallery.service.forget(ada.id)
    assert (receipt.rewritten_at, receipt.to_dict()["file"]) == (None, {"state": "due", "at": None})
    reading.execute("COMMIT")
    other.close()
    # A clock that ticks a second with each look: it is tried again after half a minute.
    for _ in range(60):
        await gallery.service.poll()
    found = Erasures(gallery.database).get(ada.id)
    assert found is not None
    assert found.rewritten_at is not None
