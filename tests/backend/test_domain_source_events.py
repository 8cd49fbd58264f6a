"""Tracks of source events: pictures cut around one object that moves, so that places mean nothing between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.faces import Vector
from privface_backend.domain.geometry import Box
from privface_backend.domain.tracks import PlacedFace, Track, TrackRules, assign_faces, measure_fit
from support.decisions import make_model
from support.visits import axis, towards

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RULES = TrackRules(likeness=make_model().likeness)
ADA, BEN = axis(0), axis(1)
VECTORS = {"ada": ADA, "like ada": towards(ADA, axis(9), 0.8), "ben": BEN, "unusable": None}

boxes = st.builds(Box, st.floats(0, 1100), st.floats(0, 600), st.floats(24, 300), st.floats(24, 300))
within_the_gap = st.floats(0, 8)
within_the_event_gap = st.floats(0, 60)
events = st.sampled_from(["a", "b", None])


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_track(box: Box, vector: Vector | None, source_event: str | None) -> Track:
    face = PlacedFace(box=box, vector=vector, source_event=source_event, alone=True)
    began = Track(id="track", box=box, first_at=at(0), last_at=at(0), source_event=source_event)
    return began.followed_by(face, at(0))


@settings(deadline=None)
@given(
    boxes, boxes, within_the_event_gap, st.sampled_from(["ada", "unusable"]), st.sampled_from(["like ada", "unusable"])
)
def test_the_only_face_of_a_source_event_joins_wherever_its_box_is(
    before: Box, now: Box, seconds: float, first: str, second: str
) -> None:
    track = make_track(before, VECTORS[first], "a")
    face = PlacedFace(box=now, vector=VECTORS[second], source_event="a", alone=True)
    assert assign_faces([track], [face], at(seconds), RULES) == {0: "track"}


@settings(deadline=None)
@given(boxes, within_the_gap, st.tuples(events, events), st.sampled_from(list(VECTORS)), st.booleans())
def test_a_frame_of_another_source_event_never_joins(
    box: Box, seconds: float, sources: tuple[str | None, str | None], second: str, alone: bool
) -> None:
    """At the very same place, and were it the same face: who looks alike must not take over a visit."""
    track = make_track(box, ADA, sources[0])
    face = PlacedFace(box=box, vector=VECTORS[second], source_event=sources[1], alone=alone)
    joined = assign_faces([track], [face], at(seconds), RULES)
    assert not joined or sources[0] == sources[1]


@settings(deadline=None)
@given(boxes, boxes, within_the_gap, st.tuples(events, events), st.booleans())
def test_another_person_never_joins_whatever_the_source_event(
    before: Box, now: Box, seconds: float, sources: tuple[str | None, str | None], alone: bool
) -> None:
    track = make_track(before, ADA, sources[0])
    face = PlacedFace(box=now, vector=BEN, source_event=sources[1], alone=alone)
    assert assign_faces([track], [face], at(seconds), RULES) == {}


@settings(deadline=None)
@given(boxes, boxes, st.floats(0, 10), st.sampled_from(list(VECTORS)), st.sampled_from(list(VECTORS)))
def test_without_source_events_being_alone_changes_nothing(
    before: Box, now: Box, seconds: float, first: str, second: str
) -> None:
    track = make_track(before, VECTORS[first], None)
    bare, told = (PlacedFace(box=now, vector=VECTORS[second], alone=flag) for flag in (False, True))
    assert measure_fit(track, told, at(seconds), RULES) == measure_fit(track, bare, at(seconds), RULES)


@settings(deadline=None)
@given(boxes, boxes, within_the_gap, st.sampled_from(list(VECTORS)), st.sampled_from(list(VECTORS)))
def test_of_several_faces_of_a_source_event_the_place_decides_as_without_one(
    before: Box, now: Box, seconds: float, first: str, second: str
) -> None:
    bare = make_track(before, VECTORS[first], None), PlacedFace(box=now, vector=VECTORS[second])
    told = make_track(before, VECTORS[first], "a"), PlacedFace(box=now, vector=VECTORS[second], source_event="a")
    assert measure_fit(*told, at(seconds), RULES) == measure_fit(*bare, at(seconds), RULES)


@pytest.mark.parametrize(("source", "longest"), [("a", 60), (None, 8)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_source_event_bridges_a_longer_gap(source: str | None, longest: float, sign: int) -> None:
    box = Box(100, 100, 80, 80)
    face = PlacedFace(box=box, vector=ADA, source_event=source, alone=True)
    track = make_track(box, ADA, source)
    assert assign_faces([track], [face], at(sign * longest), RULES) == {0: "track"}
    assert assign_faces([track], [face], at(sign * (longest + 0.1)), RULES) == {}
