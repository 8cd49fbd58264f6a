"""Leave-one-out over made-up households whose right answer is known, and against the evaluation's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from privface_backend.calibration import measuring
from privface_backend.calibration.applying import applicable
from privface_backend.calibration.curve import Calibration, Level, LevelNote
from privface_backend.calibration.measuring import Household, describe_enrolled, measure, method_of
from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.matching import Contract
from privface_backend.domain.memory import NegativeExample, RememberedFace
from privface_backend.domain.privacy import CLEAR, LADDER, PrivacyLevel
from privface_backend.domain.quality import QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.household import Plan, evaluate_own
from privface_backend.evaluation.identification import Measuring
from privface_backend.evaluation.intervals import Bootstrap
from privface_backend.evaluation.scoring import GalleryKind, ScoringRules
from privface_backend.protocol import ErrorCode
from support.calibrating import DIMENSION, LEVELS, axis, identical, make_household, make_templates, recognizable_up_to
from support.decisions import make_model

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def calibrate(household: Household, floor: float = 0.9) -> Calibration:
    method, sampled, levels = measure(household)
    return Calibration(
        made_at=NOW,
        enrolled=describe_enrolled(household),
        method=method,
        floor=floor,
        sampled=sampled,
        levels=levels,
    )


def by_strength(levels: Sequence[Level]) -> Mapping[float, Level]:
    return {level.relative: level for level in levels}


@pytest.mark.parametrize("limit", [0.01, 0.03, 0.05])
def test_people_who_are_apart_are_known_up_to_where_they_are(limit: float) -> None:
    made = calibrate(make_household(make_templates([4, 3, 5], recognizable_up_to(limit))))
    for level in made.levels:
        assert (level.probes, level.strangers, level.mistaken, level.named) == (12, 12, 0, 0)
        assert level.known == (12 if level.relative <= limit else 0), level.relative
    assert made.chosen is not None
    assert made.chosen.relative == limit


def test_people_who_look_the_same_are_refused() -> None:
    made = calibrate(make_household(make_templates([3, 3], identical)))
    assert [level.known for level in made.levels] == [0] * len(made.levels)
    assert made.chosen is None
    with pytest.raises(PrivFaceError) as caught:
        applicable(made)
    assert caught.value.code is ErrorCode.NOT_CALIBRATED


def test_where_only_clear_faces_keep_the_floor_nothing_is_applied() -> None:
    made = calibrate(make_household(make_templates([3, 3], recognizable_up_to(0.0))))
    assert made.chosen is not None
    assert made.chosen.relative == 0
    with pytest.raises(PrivFaceError) as caught:
        applicable(made)
    assert caught.value.code is ErrorCode.NOT_CALIBRATED


def test_what_cameras_would_call_too_blurry_is_never_chosen() -> None:
    made = calibrate(make_household(make_templates([4, 4], recognizable_up_to(1.0))))
    levels = by_strength(made.levels)
    assert made.chosen is levels[0.065]
    for strength in (0.08, 0.1):
        assert (levels[strength].note, levels[strength].known) == (LevelNote.TOO_BLURRY, 0)
        assert levels[strength].smoothed is None


def test_a_person_with_one_face_is_searched_for_as_a_stranger_only() -> None:
    household = make_household(make_templates([3, 1, 2], recognizable_up_to(0.05)))
    enrolled = describe_enrolled(household)
    assert (enrolled.people, enrolled.faces, enrolled.searchable, enrolled.single, enrolled.probes) == (3, 6, 2, 1, 5)
    for level in measure(household)[2]:
        assert (level.probes, level.strangers) == (5, 6)


def test_one_person_alone_has_no_strangers() -> None:
    made = calibrate(make_household(make_templates([4], recognizable_up_to(0.05))))
    assert {(level.probes, level.strangers, level.fpir) for level in made.levels} == {(4, 0, None)}
    assert made.chosen is not None


@pytest.mark.parametrize("faces", [[], [1], [1, 1, 1]])
def test_a_household_of_single_faces_is_refused(faces: list[int]) -> None:
    with pytest.raises(PrivFaceError) as caught:
        measure(make_household(make_templates(faces, recognizable_up_to(0.05))))
    assert caught.value.code is ErrorCode.TOO_FEW_FACES


def test_a_dip_between_two_good_levels_is_smoothed() -> None:
    def draw(person: int, face: int, level: PrivacyLevel) -> Vector:
        good = recognizable_up_to(0.04)(person, face, level)
        # One of ten faces is not itself at one level in the middle.
        return axis(40) if (person, face, level.relative) == (0, 0, 0.025) else good

    made = calibrate(make_household(make_templates([5, 5], draw)), floor=0.95)
    levels = by_strength(made.levels)
    assert (levels[0.025].known, levels[0.03].known) == (9, 10)
    assert levels[0.025].smoothed == levels[0.04].smoothed == pytest.approx(29 / 30)
    assert made.chosen is levels[0.04]
    assert calibrate(make_household(make_templates([5, 5], draw)), floor=0.97).chosen is not levels[0.04]


def test_the_ignored_are_compared_with_but_asked_for_by_nobody() -> None:
    templates = make_templates([3, 3, 2], recognizable_up_to(0.05))
    household = make_household(templates, ignored=frozenset({"person 2"}))
    enrolled = describe_enrolled(household)
    assert (enrolled.people, enrolled.probes) == (2, 6)
    level = by_strength(measure(household)[2])[0.05]
    assert (level.probes, level.known, level.strangers) == (6, 6, 6)


def test_negative_examples_count_as_they_do_at_the_door() -> None:
    templates = make_templates([3, 3], recognizable_up_to(0.05))
    denied = NegativeExample(
        id="denied",
        person_id="person 0",
        contract="synthetic|0|64|five-point",
        created_at=NOW,
        faces=(RememberedFace(level=CLEAR, weight=1.0, vector=axis(0)),),
    )
    plain = by_strength(measure(make_household(templates))[2])[0.02]
    told = by_strength(measure(make_household(templates, examples=[denied]))[2])[0.02]
    assert (plain.known, told.known) == (6, 3)


def test_templates_as_senders_make_them_are_found_near_their_level() -> None:
    """Of widths of all kinds, without a clear one: each stands for the level of the ladder that is next to it."""
    levels = [PrivacyLevel("pixelate", strength) for strength in (0.027, 0.038, 0.053, 0.075)]
    templates = make_templates([3, 3], recognizable_up_to(0.06), levels)
    made = calibrate(make_household(templates))
    found = by_strength(made.levels)
    assert method_of(templates) == made.method == "pixelate"
    assert (found[0.0].probes, found[0.0].note) == (0, LevelNote.FEW_PROBES)
    assert [strength for strength, level in found.items() if level.probes] == [0.025, 0.04, 0.05, 0.08]
    assert {level.probes for level in made.levels} == {0, 6}
    assert made.chosen is found[0.05]


def test_a_level_that_few_faces_have_is_not_chosen() -> None:
    templates = make_templates([4, 4], recognizable_up_to(1.0))
    kept = [one for one in templates if one.level.relative <= 0.04 or one.face_id in {"face 0.0", "face 0.1"}]
    made = calibrate(make_household(kept))
    assert by_strength(made.levels)[0.05].note is LevelNote.FEW_PROBES
    assert made.chosen is not None
    assert made.chosen.relative == 0.04


def test_of_a_large_gallery_some_faces_of_everybody_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_PROBES", 6)
    made = calibrate(make_household(make_templates([5, 5, 2], recognizable_up_to(0.05))))
    assert made.sampled
    assert {level.probes for level in made.levels} == {6}
    assert {level.strangers for level in made.levels} == {6}


def test_it_can_be_ended() -> None:
    calls = 0

    def proceed() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise PrivFaceError(ErrorCode.TIMEOUT, "enough")

    with pytest.raises(PrivFaceError):
        measure(make_household(make_templates([3, 3], recognizable_up_to(0.05))), proceed)
    assert calls == 3


def test_the_gallery_is_another_once_faces_or_rules_change() -> None:
    draw = recognizable_up_to(0.05)
    household = make_household(make_templates([3, 2], draw))
    same = describe_enrolled(household).gallery
    assert describe_enrolled(replace(household, revision=9, templates=household.templates[::-1])).gallery == same
    others = [
        make_household(make_templates([3, 3], draw)),
        replace(household, rules=DecisionRules(caution=0.05)),
        replace(household, contract="other"),
        replace(household, ignored=frozenset({"person 1"})),
    ]
    assert len({same, *(describe_enrolled(other).gallery for other in others)}) == 5


def test_a_calibration_is_read_as_it_was_written() -> None:
    made = calibrate(make_household(make_templates([4, 3, 1], recognizable_up_to(0.05)), revision=7))
    read = Calibration.from_dict(made.to_dict())
    assert read.to_dict() == made.to_dict()
    assert read.chosen is not None
    assert read.chosen.relative == 0.05


def draw_noisily(person: int, face: int, level: PrivacyLevel) -> Vector:
    """People who come nearer to each other, and whose faces scatter more, the stronger the blur."""
    rng = np.random.default_rng([person, face])
    shared, own, noise = axis(63), axis(person), rng.standard_normal(DIMENSION)
    blur = level.relative / 0.1
    return normalized((1 - 0.6 * blur) * own + 0.6 * blur * shared + (0.12 + 0.18 * blur) * noise / 2)


@pytest.mark.parametrize("whitened", [False, True])
def test_it_counts_as_the_evaluation_of_the_own_gallery_does(*, whitened: bool) -> None:
    """Two programs over the same templates, with nothing in common but the decision."""
    contract = Contract(recognizer="other", weights_digest="0" * 64, dimension=DIMENSION, alignment="x")
    templates = make_templates([4, 3, 5, 1, 2], draw_noisily)
    rules = ScoringRules(contract=contract, verification_threshold=0.36, decision=DecisionRules(caution=0.1))
    model = make_some_model(whitened=whitened)
    plan = Plan(
        engine="synthetic",
        privacies=(),
        galleries=(GalleryKind.MATCHED,),
        measuring=Measuring(rules=rules, bar=QualityBar(), bootstrap=Bootstrap(rounds=10), fpirs=(0.01,)),
        advance=lambda: None,
        refuse=lambda _path, _error: None,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("privface_backend.evaluation.scoring.score_model", lambda *_: model)
        runs = list(evaluate_own("own", templates, LADDER, plan))
    household = make_household(templates, model=model, rules=rules.decision, strongest=1.0)
    levels = measure(household)[2]
    assert len(runs) == len(levels) == len(LEVELS)
    for run, level in zip(runs, levels, strict=True):
        assert run.named is not None
        assert level.known / level.probes == pytest.approx(run.named.tpir.value)
        assert level.named / level.strangers == pytest.approx(run.named.fpir.value)
        assert level.mistaken / level.probes == pytest.approx(run.named.wrong)
    assert len({level.known for level in levels}) > 2


def make_some_model(*, whitened: bool) -> ScoreModel:
    if not whitened:
        return make_model()
    matrix = np.diag(np.linspace(0.5, 1.5, DIMENSION)).astype(np.float32)
    return make_model().whitened_by(matrix)
