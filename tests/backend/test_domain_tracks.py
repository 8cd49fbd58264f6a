"""Tracks: two people who cross, gaps, order of arrival, and faces without an embedding."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.geometry import Box
from privface_backend.domain.tracks import RECENT, PlacedFace, Track, TrackRules, assign_faces, measure_fit
from support.decisions import make_model
from support.visits import axis, towards

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RULES = TrackRules(likeness=make_model().likeness)
ADA, BEN = axis(0), axis(1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def box(x: float, side: float = 100.0) -> Box:
    return Box(x, 200, side, side)


def wobble(vector: Vector, seed: int, likeness: float = 0.85) -> Vector:
    noise = np.zeros_like(vector)
    noise[8:] = np.random.default_rng(seed).standard_normal(len(vector) - 8)
    return towards(vector, normalized(noise), likeness)


def track(name: str, x: float, vector: Vector | None, *, seconds: float = 0.0) -> Track:
    began = Track(id=name, box=box(x), first_at=at(seconds), last_at=at(seconds))
    return began.followed_by(PlacedFace(box=box(x), vector=vector), at(seconds))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(20, 120), st.floats(0.05, 0.3), st.randoms(use_true_random=False))
def test_two_people_who_cross_keep_their_tracks(seed: int, step: float, pause: float, chance: random.Random) -> None:
    left, right = track("ada", 100, wobble(ADA, seed)), track("ben", 1000, wobble(BEN, seed + 1))
    tracks = {"ada": left, "ben": right}
    frame = 0
    while 100 + frame * step <= 1000:
        frame += 1
        faces = {
            "ada": PlacedFace(box=box(100 + frame * step), vector=wobble(ADA, seed + 2 * frame)),
            "ben": PlacedFace(box=box(1000 - frame * step), vector=wobble(BEN, seed + 2 * frame + 1)),
        }
        order = list(faces)
        chance.shuffle(order)
        moment = at(frame * pause)
        assigned = assign_faces(list(tracks.values()), [faces[name] for name in order], moment, RULES)
        assert {index: order[index] for index in range(2)} == dict(assigned)
        tracks = {name: tracks[name].followed_by(faces[name], moment) for name in order}


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1100), st.sampled_from([None, 0, 1, 2])), max_size=6),
    st.lists(st.tuples(st.floats(0, 1100), st.sampled_from([None, 0, 1, 2])), max_size=6),
    st.floats(0, 10),
)
def test_no_two_faces_share_a_track(
    known: list[tuple[float, int | None]], seen: list[tuple[float, int | None]], seconds: float
) -> None:
    def vector(number: int | None) -> Vector | None:
        return None if number is None else axis(number)

    tracks = [track(f"track {place}", x, vector(number)) for place, (x, number) in enumerate(known)]
    faces = [PlacedFace(box=box(x), vector=vector(number)) for x, number in seen]
    assigned = assign_faces(tracks, faces, at(seconds), RULES)
    assert len(set(assigned.values())) == len(assigned)
    assert set(assigned) <= set(range(len(faces)))
    fits = {one.id: one for one in tracks}
    assert all(measure_fit(fits[name], faces[place], at(seconds), RULES) > 0 for place, name in assigned.items())
    if seconds > 8:
        assert not assigned


@pytest.mark.parametrize(("seconds", "same"), [(0.2, True), (3.0, True), (7.9, True), (8.1, False), (-8.1, False)])
def test_a_gap_is_bridged_by_the_embedding_up_to_its_length(seconds: float, same: bool) -> None:
    known = track("ada", 500, ADA)
    found = assign_faces([known], [PlacedFace(box=box(520), vector=wobble(ADA, 1))], at(seconds), RULES)
    assert (found == {0: "ada"}) is same


def test_somebody_else_at_the_same_place_is_another() -> None:
    known = track("ada", 500, ADA)
    assert assign_faces([known], [PlacedFace(box=box(500), vector=BEN)], at(0.2), RULES) == {}


@pytest.mark.parametrize(("x", "seconds", "same"), [(510, 0.2, True), (900, 0.2, False), (510, 7, False)])
def test_without_an_embedding_only_a_near_place_counts(x: float, seconds: float, same: bool) -> None:
    for vector in (ADA, None):
        known = track("ada", 500, vector)
        assert (assign_faces([known], [PlacedFace(box=box(x))], at(seconds), RULES) == {0: "ada"}) is same


def test_where_embeddings_don_t_tell_the_place_does() -> None:
    """Under strong blur all faces resemble each other."""
    blurred = TrackRules(likeness=make_model(pairs=0.6).likeness)
    left, right = track("left", 100, towards(axis(5), ADA, 0.9)), track("right", 600, towards(axis(5), BEN, 0.9))
    faces = [PlacedFace(box=box(x), vector=towards(axis(5), axis(3), 0.9)) for x in (610, 110)]
    assert assign_faces([left, right], faces, at(0.2), blurred) == {0: "right", 1: "left"}


@settings(deadline=None)
@given(st.permutations(range(12)))
def test_a_track_spans_its_faces_in_whatever_order_they_come(order: list[int]) -> None:
    made = Track(id="ada", box=box(0), first_at=at(order[0]), last_at=at(order[0]))
    for number in order:
        made = made.followed_by(PlacedFace(box=box(number), vector=wobble(ADA, number)), at(number))
    assert (made.first_at, made.last_at) == (at(0), at(11))
    assert made.box == box(11)
    assert len(made.recent) == RECENT
    assert made.apart(at(5)) == timedelta()
    assert made.apart(at(13)) == made.apart(at(-2)) == timedelta(seconds=2)
