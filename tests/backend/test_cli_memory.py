"""``privface strangers``, ``correct``, ``explain`` and ``people ignore``, on the data directory alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from privface_backend.cli.exits import Exit
from privface_backend.cli.explain import _WHY
from privface_backend.domain.people import Person
from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.protection.keys import KeyFolder
from privface_backend.protection.settings import default_folder
from privface_backend.protocol import Outcome, Phase, Reason, StrangerRef
from privface_backend.storage.database import Database
from privface_backend.storage.events import EventLog
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.gallery import make_person, make_stranger, make_visit
from support.here import Here
from support.mqtt import make_event
from support.remembered import explain

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    store: SqliteGalleryStore
    events: EventLog


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Here(root=tmp_path)
    made.configure(SYNTHETIC + NO_BROKER)
    return made


@contextlib.contextmanager
def disk(home: Home) -> Iterator[Disk]:
    database = Database(home.data / "privface.db", KeyFolder(default_folder()))
    yield Disk(store=SqliteGalleryStore(database), events=EventLog(database))
    database.close()


def remember(home: Home) -> tuple[Person, Person]:
    """Ada and Ben; an event that names Ada, one of stranger 2, and strangers 1 and 2."""
    ada, ben = make_person("Ada"), make_person("Ben [b]", after=1)
    with disk(home) as on:
        on.store.add_person(ada), on.store.add_person(ben)
        memory = on.store.memory
        strangers = [
            make_stranger(memory.next_stranger_number()),
            make_stranger(memory.next_stranger_number(), visits=3),
        ]
        for stranger in strangers:
            memory.put_stranger(stranger, new=True)
        memory.keep_visit(make_visit(1, person_id=ada.id))
        memory.keep_visit(make_visit(2, stranger_id=strangers[1].id))
        named = replace(make_event(1), visit_id="visit-1", person_id=ada.id, person="Ada")
        unknown = replace(
            make_event(2),
            visit_id="visit-2",
            person_id=None,
            person=None,
            outcome=Outcome.UNKNOWN,
            phase=Phase.CONFIRMED,
            reason=Reason.BELOW_THRESHOLD,
            stranger=StrangerRef(id=strangers[1].id, number=2, visit=3),
        )
        on.events.extend((named, unknown), {"event-2": explain(ada.id, ben.id, "gone")})
    return ada, ben


def test_strangers_are_listed_named_ignored_and_forgotten(home: Home) -> None:
    ada, _ = remember(home)
    listed = home.run("strangers", "list")
    assert listed.code == Exit.OK, listed.err
    first, second = listed.out.splitlines()
    assert first.startswith("stranger 1  (1 visit, last at door on 2026-11-23")
    assert second.startswith("stranger 2  (3 visits, ")
    found = home.run("strangers", "list", "--json").lines
    assert [(line["number"], line["visits"]) for line in found] == [(1, 1), (2, 3)]

    named = home.run("strangers", "name", "2", "ada", "--json")
    assert (named.lines[0]["id"], named.lines[0]["faces"]) == (ada.id, 1)
    ignored = home.run("strangers", "ignore", found[0]["id"])
    assert ignored.out.startswith("Ignored from now on, as Ignored 1 (id ")
    assert home.run("strangers", "list").out == "No stranger is remembered.\n"
    missing = home.run("strangers", "forget", "2", "--yes", "--json")
    assert (missing.code, missing.error["code"]) == (Exit.USAGE, "stranger_not_found")
    assert "ignored" in home.run("people", "list").out.splitlines()[-1]


def test_a_stranger_becomes_somebody_new_or_is_forgotten(home: Home) -> None:
    remember(home)
    named = home.run("strangers", "name", "1", "Grace Hopper")
    assert named.out.startswith("That is Grace Hopper from now on (id ")
    asked = home.run("strangers", "forget", "2", stdin="n\n")
    assert (asked.code, "Nobody was forgotten." in asked.err) == (Exit.UNFINISHED, True)
    assert home.run("strangers", "forget", "2", stdin="y\n").out == "Forgotten: stranger 2\n"
    with disk(home) as on:
        assert list(on.store.memory.strangers()) == []
        assert on.store.memory.visit("visit-2") is None
        assert [person.name for person in on.store.people()] == ["Ada", "Ben [b]", "Grace Hopper"]


def test_a_person_is_ignored_and_not_any_more(home: Home) -> None:
    remember(home)
    assert home.run("people", "ignore", "ada").out == "Ada is ignored from now on\n"
    assert home.run("people", "list").out.splitlines()[0].endswith(", ignored)")
    assert home.run("people", "unignore", "Ada", "--json").lines[0]["ignored"] is False
    nobody = home.run("people", "ignore", "Nobody", "--json")
    assert (nobody.code, nobody.error["code"]) == (Exit.USAGE, "person_not_found")


def test_that_was_not_ada_but_ben(home: Home) -> None:
    ada, ben = remember(home)
    denied = home.run("correct", "event-1")
    assert denied.code == Exit.OK, denied.err
    assert denied.out == "That was not Ada: what looks like this visit is not Ada from now on\n"
    said = home.run("correct", "event-1", "--person", "Ben [b]", "--json").lines[0]
    assert (said["person_id"], said["denied"]) == (ben.id, [ada.id])
    with disk(home) as on:
        assert [negative.person_id for negative in on.store.memory.negatives()] == [ada.id]
        assert [face.id for face in on.store.faces(ben.id)] == [said["face_id"]]
    assert "nothing to take back" in home.run("correct", "event-2").out
    missing = home.run("correct", "event-9", "--json")
    assert (missing.code, missing.error["code"]) == (Exit.USAGE, "event_not_found")
    with disk(home) as on:
        on.store.memory.remove_visits(ben.id)
    gone = home.run("correct", "event-1", "--json")
    assert (gone.code, gone.error["code"]) == (Exit.UNFINISHED, "visit_not_found")


def test_an_event_is_explained(home: Home) -> None:
    ada, ben = remember(home)
    told = home.run("explain", "event-2")
    assert told.code == Exit.OK, told.err
    for part in (
        "unknown (confirmed)",
        "Why: the nearest person is not near enough (below_threshold)",
        "Stranger 2, visit 3",
        "Faces: 3 seen, 1 of use",
        "08:15:30.125",
        "Ada",
        "Ben [b]",
        "said not to be them",
        "Lead over the next person: 0.10, needs 0.02",
        "Threshold: 0.47, measured on 451 strangers; 1 in 1,000 strangers reaches it among 8 people",
    ):
        assert part in told.out
    document = home.run("explain", "event-2", "--json").lines[0]
    assert document["event_id"] == "event-2"
    assert [entry["person"] for entry in document["explanation"]["nearest"]] == ["Ada", "Ben [b]"]
    assert [entry["person_id"] for entry in document["explanation"]["nearest"]] == [ada.id, ben.id]
    bare = home.run("explain", "event-1")
    assert "Ada (confirmed)" in bare.out
    assert "No more is kept of it." in bare.out
    missing = home.run("explain", "event-9")
    assert (missing.code, "(event_not_found)" in missing.err) == (Exit.USAGE, True)


def test_every_reason_has_words() -> None:
    assert set(_WHY) == {reason.value for reason in Reason} - {"unknown"}
