"""The search by level against a slow reference, and the decision."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from privface_backend.domain.thresholds import threshold_curve

from privface_backend.domain.faces import normalized
from privface_backend.domain.matching import (
    Candidate,
    Contract,
    LevelMatchedGallery,
    Template,
    ThresholdCurve,
    decide,
    represent_face,
)
from privface_backend.domain.privacy import CLEAR, LADDER, PrivacyLevel
from privface_backend.protocol import Outcome, Reason
from support.gallery import make_vector

STEP = 0.0025
DIMENSION = 16


def template(person: str, face: str, level: PrivacyLevel, seed: int) -> Template:
    return Template(person_id=person, face_id=face, level=level, vector=make_vector(seed, DIMENSION))


def unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / max(length, 1e-12) for value in vector]


def slow_face(templates: Sequence[Template], method: str, relative: float) -> list[float]:
    """What stands for a face: half its clear (or lightest) template, half what is at the probe's strength, linear
    between rungs."""
    clear = next((t for t in templates if t.level.relative <= 0), None)
    of_method = [t for t in templates if t.level.method == method]
    rungs = [t for t in (of_method or templates) if t.level.relative > 0]
    rungs = sorted([*([clear] if clear else []), *rungs], key=lambda t: (t.level.relative, t.level.method))
    weaker = [t for t in rungs if t.level.relative <= relative]
    stronger = [t for t in rungs if t.level.relative >= relative]
    if not weaker:
        between = list(map(float, rungs[0].vector))
    elif not stronger:
        between = list(map(float, rungs[-1].vector))
    else:
        low, high = weaker[-1], stronger[0]
        span = high.level.relative - low.level.relative
        share = (relative - low.level.relative) / span if span else 1.0
        between = [(1 - share) * float(a) + share * float(b) for a, b in zip(low.vector, high.vector, strict=True)]
    between = unit(between)
    first = list(map(float, rungs[0].vector if clear is None else clear.vector))
    return unit([a + b for a, b in zip(first, between, strict=True)])


def slow_search(
    templates: Sequence[Template], probe: Sequence[float], level: PrivacyLevel
) -> dict[str, tuple[float, str]]:
    relative = round(level.relative / STEP) * STEP
    people: dict[str, dict[str, list[Template]]] = {}
    for item in templates:
        people.setdefault(item.person_id, {}).setdefault(item.face_id, []).append(item)
    found = {}
    for person, faces in people.items():
        vectors = {face: slow_face(group, level.method, relative) for face, group in faces.items()}
        scores = {face: sum(a * b for a, b in zip(v, probe, strict=True)) for face, v in vectors.items()}
        mean = unit([sum(column) for column in zip(*vectors.values(), strict=True)])
        best = max(scores, key=lambda face: scores[face])
        found[person] = ((scores[best] + sum(a * b for a, b in zip(mean, probe, strict=True))) / 2, best)
    return found


@st.composite
def galleries(draw: st.DrawFn) -> list[Template]:
    seeds = itertools.count(draw(st.integers(0, 10**6)) * 1000)
    made = []
    for person in range(draw(st.integers(1, 5))):
        for face in range(draw(st.integers(1, 4))):
            levels = draw(
                st.lists(st.sampled_from(LADDER), min_size=0, max_size=4, unique=True).map(
                    lambda rungs: [PrivacyLevel("gaussian", rung) for rung in rungs]
                )
            )
            levels += [PrivacyLevel("pixelate", 0.03)] * draw(st.booleans())
            levels += [CLEAR] * (draw(st.booleans()) or not levels)
            made += [template(f"p{person}", f"p{person}f{face}", level, next(seeds)) for level in levels]
    return made


PROBES = st.builds(
    PrivacyLevel,
    st.sampled_from(["gaussian", "pixelate", "mosaic"]),
    st.one_of(st.sampled_from(LADDER), st.floats(0.001, 0.2)),
) | st.just(CLEAR)


@settings(max_examples=150, deadline=None)
@given(galleries(), PROBES, st.integers(0, 10**6))
def test_the_search_is_the_slow_one(templates: list[Template], level: PrivacyLevel, seed: int) -> None:
    probe = make_vector(seed, DIMENSION)
    found = LevelMatchedGallery(templates).search(probe, level)
    wanted = slow_search(templates, [float(value) for value in probe], level)
    assert {candidate.person_id for candidate in found} == set(wanted)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    for candidate in found:
        score, face = wanted[candidate.person_id]
        assert candidate.score == pytest.approx(score, abs=1e-5)
        assert candidate.face_id == face
        assert -1 - 1e-5 <= candidate.score <= 1 + 1e-5


@settings(max_examples=50, deadline=None)
@given(galleries(), PROBES, st.randoms(use_true_random=False))
def test_the_order_of_templates_is_of_no_matter(
    templates: list[Template], level: PrivacyLevel, chance: random.Random
) -> None:
    probe = make_vector(7, DIMENSION)
    shuffled = list(templates)
    chance.shuffle(shuffled)
    one = {c.person_id: c for c in LevelMatchedGallery(templates).search(probe, level)}
    other = {c.person_id: c for c in LevelMatchedGallery(shuffled).search(probe, level)}
    assert one.keys() == other.keys()
    for person, candidate in one.items():
        assert candidate.score == pytest.approx(other[person].score, abs=1e-5)
        assert candidate.face_id == other[person].face_id


@pytest.mark.parametrize("level", [CLEAR, PrivacyLevel("gaussian", 0.02), PrivacyLevel("gaussian", 0.1)])
def test_a_probe_that_is_what_was_enrolled_scores_one(level: PrivacyLevel) -> None:
    ladder = [CLEAR, *(PrivacyLevel("gaussian", rung) for rung in LADDER)]
    same = make_vector(1, DIMENSION)
    ada = [Template(person_id="ada", face_id="a", level=rung, vector=same) for rung in ladder]
    others = [template("ben", f"b{face}", rung, 100 + face) for face in range(5) for rung in ladder]
    best, *_ = LevelMatchedGallery([*others, *ada]).search(same, level)
    assert best.person_id == "ada"
    assert best.face_id == "a"
    assert best.score == pytest.approx(1.0, abs=1e-6)


def test_at_a_rung_only_that_rung_and_the_clear_one_count() -> None:
    rungs = {rung: template("a", "f", PrivacyLevel("gaussian", rung), n) for n, rung in enumerate(LADDER)}
    clear = template("a", "f", CLEAR, 99)
    found = represent_face([*rungs.values(), clear], PrivacyLevel("gaussian", 0.03))
    assert found == pytest.approx(normalized(rungs[0.03].vector + clear.vector), abs=1e-6)


def test_without_a_clear_template_the_lightest_takes_its_place() -> None:
    low, high = (template("a", "f", PrivacyLevel("gaussian", rung), n) for n, rung in enumerate((0.02, 0.04)))
    for relative in (0.0, 0.01, 0.02):
        assert represent_face([high, low], PrivacyLevel("gaussian", relative)) == pytest.approx(low.vector, abs=1e-6)
    for relative in (0.04, 0.1):
        found = represent_face([high, low], PrivacyLevel("gaussian", relative))
        assert found == pytest.approx(normalized(low.vector + high.vector), abs=1e-6)
    between = normalized(low.vector + high.vector)
    middle = represent_face([low, high], PrivacyLevel("gaussian", 0.03))
    assert middle == pytest.approx(normalized(low.vector + between), abs=1e-6)


def test_the_lightest_of_the_probe_s_method_comes_first() -> None:
    fine = template("a", "f", PrivacyLevel("pixelate", 0.01), 1)
    low, high = (template("a", "f", PrivacyLevel("gaussian", rung), n) for n, rung in ((2, 0.02), (3, 0.04)))
    found = represent_face([fine, low, high], PrivacyLevel("gaussian", 0.04))
    assert found == pytest.approx(normalized(low.vector + high.vector), abs=1e-6)


def test_a_candidate_says_how_light_the_lightest_template_of_its_face_is() -> None:
    blurred = [template("a", "light", PrivacyLevel("gaussian", rung), n) for n, rung in enumerate((0.05, 0.03))]
    cells = [template("a", "light", PrivacyLevel("pixelate", 0.01), 2)]
    strong = [template("a", "strong", PrivacyLevel("gaussian", 0.08), 3)]
    clear = [template("b", "clear", level, 4 + n) for n, level in enumerate((CLEAR, PrivacyLevel("gaussian", 0.05)))]
    gallery = LevelMatchedGallery([*blurred, *cells, *strong, *clear])
    seen = {}
    for seed in range(20):
        for method in ("gaussian", "pixelate"):
            for candidate in gallery.search(make_vector(seed, DIMENSION), PrivacyLevel(method, 0.05)):
                seen[method, candidate.face_id] = candidate.lightest
    assert seen == {
        ("gaussian", "light"): 0.03,
        ("gaussian", "strong"): 0.08,
        ("gaussian", "clear"): 0.0,
        ("pixelate", "light"): 0.01,
        ("pixelate", "strong"): 0.08,
        ("pixelate", "clear"): 0.0,
    }


def test_another_method_s_rungs_serve_where_there_are_none_of_its_own() -> None:
    gaussian = template("a", "f", PrivacyLevel("gaussian", 0.03), 1)
    pixelated = template("a", "f", PrivacyLevel("pixelate", 0.03), 2)
    probe = PrivacyLevel("pixelate", 0.03)
    assert represent_face([gaussian], probe) == pytest.approx(gaussian.vector, abs=1e-6)
    assert represent_face([gaussian, pixelated], probe) == pytest.approx(pixelated.vector, abs=1e-6)


def test_an_empty_gallery() -> None:
    assert LevelMatchedGallery(()).search(make_vector(1, DIMENSION), CLEAR) == ()
    assert len(LevelMatchedGallery(())) == 0


def test_many_levels_keep_few_matrices() -> None:
    gallery = LevelMatchedGallery([template("a", "f", CLEAR, 1)])
    for step in range(200):
        gallery.search(make_vector(2, DIMENSION), PrivacyLevel("gaussian", step * STEP))
    assert len(gallery._matrices) <= 16


def candidates(*scores: float) -> tuple[Candidate, ...]:
    return tuple(Candidate(person_id=str(n), face_id=str(n), score=score) for n, score in enumerate(scores))


@pytest.mark.parametrize(
    ("scores", "outcome", "reason"),
    [
        ((), Outcome.UNKNOWN, Reason.NOBODY_ENROLLED),
        ((0.5,), Outcome.KNOWN, Reason.OK),
        ((0.49,), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((0.6, 0.5), Outcome.KNOWN, Reason.OK),
        ((0.6, 0.55), Outcome.UNKNOWN, Reason.SMALL_MARGIN),
        ((0.6, 0.6), Outcome.UNKNOWN, Reason.SMALL_MARGIN),
        ((0.3, 0.29), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((math.nan,), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((math.nan, math.nan), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((0.9, math.nan), Outcome.UNKNOWN, Reason.SMALL_MARGIN),
    ],
)
def test_decide(scores: tuple[float, ...], outcome: Outcome, reason: Reason) -> None:
    decision = decide(candidates(*scores), threshold=0.5, margin=0.075)
    assert (decision.outcome, decision.reason) == (outcome, reason)
    assert decision.person_id == ("0" if outcome is Outcome.KNOWN else None)
    assert decision.threshold == 0.5


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.floats(0, 1), st.floats(0, 0.5))
def test_nobody_is_named_below_the_threshold_or_without_a_lead(
    scores: list[float], threshold: float, margin: float
) -> None:
    ranked = candidates(*sorted(scores, reverse=True))
    decision = decide(ranked, threshold=threshold, margin=margin)
    named = decision.person_id is not None
    leads = len(ranked) == 1 or ranked[0].score - ranked[1].score >= margin
    assert named == (ranked[0].score >= threshold and leads)


def curve_of(recognizer: str, verification: float, alignment: str = "five-point/five/arcface") -> ThresholdCurve:
    contract = Contract(recognizer=recognizer, weights_digest="0", dimension=8, alignment=alignment)
    return threshold_curve(contract, verification)


STRENGTHS = [step / 1000 for step in range(200)]


@given(st.floats(0.0, 0.95))
def test_thresholds_of_other_recognizers_rise_from_the_published_one_and_stay_below_one(verification: float) -> None:
    curve = curve_of("deepface:Other", verification)
    values = [curve.at(relative) for relative in STRENGTHS]
    assert values[0] == pytest.approx(verification)
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(values))
    assert max(values) < 1


def test_thresholds_of_sface_are_its_own_with_its_own_alignment_only() -> None:
    measured = [curve_of("deepface:SFace", 0.9).at(relative) for relative in STRENGTHS]
    assert measured == sorted(measured)
    assert measured[0] < 0.9
    assert measured[-1] < 1
    assert curve_of("deepface:SFace", 0.9, "eyes/five/arcface").at(0) == pytest.approx(0.9)


def test_a_curve_is_linear_between_its_points_and_level_outside() -> None:
    curve = ThresholdCurve(points={0.1: 0.6, 0.0: 0.4})
    assert [curve.at(r) for r in (-1, 0, 0.05, 0.1, 9)] == pytest.approx([0.4, 0.4, 0.5, 0.6, 0.6])


def test_a_threshold_rises_with_the_lightest_template_for_strong_probes() -> None:
    curve = ThresholdCurve(points={0.0: 0.4, 0.1: 0.6}, rise=2.0, light=0.02, onset=(0.03, 0.05))
    assert [curve.at(0.1, lightest) for lightest in (0.0, 0.02, 0.04, 0.08)] == pytest.approx([0.6, 0.6, 0.64, 0.72])
    assert [curve.at(r, 0.06) for r in (0.0, 0.03, 0.04, 0.05)] == pytest.approx([0.4, 0.46, 0.52, 0.58])
    assert curve.at(0.1, 1.0) == 0.99


def test_a_raised_curve_is_raised_everywhere_and_stays_below_one() -> None:
    curve = ThresholdCurve(points={0.0: 0.4, 0.1: 0.6}, rise=2.0, light=0.02, onset=(0.03, 0.05))
    assert curve.raised(0.1).at(0.1, 0.04) == pytest.approx(curve.at(0.1, 0.04) + 0.1)
    assert curve.raised(-0.1).at(0.0) == pytest.approx(0.3)
    assert curve.raised(0.9).at(0.1) == 0.99


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["deepface:SFace", "deepface:Other"]), st.floats(0.0, 0.95))
def test_shipped_thresholds_rise_with_the_lightest_template(recognizer: str, verification: float) -> None:
    curve = curve_of(recognizer, verification)
    for relative in STRENGTHS[::10]:
        values = [curve.at(relative, lightest) for lightest in STRENGTHS[::10]]
        assert values == sorted(values)
        assert values[0] == curve.at(relative)
        assert max(values) < 1


def test_a_template_shows_no_vector() -> None:
    assert "vector" not in repr(template("a", "f", CLEAR, 1))
