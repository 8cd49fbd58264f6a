"""What was said of a clip against what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.truth import ClipDecision, Visit, read_truth, score_clip
from privface_backend.protocol import ErrorCode, Outcome, Phase

RATE = 10


def visit(identity: str, start: int, end: int, *, stranger: bool = False) -> Visit:
    return Visit(identity=identity, stranger=stranger, start_frame=start, end_frame=end, start_s=start / RATE)


def said(frame: int, person: str | None = None, *, phase: Phase = Phase.CONFIRMED, faces: int = 1) -> ClipDecision:
    outcome = Outcome.UNKNOWN if person is None else Outcome.KNOWN
    return ClipDecision(frame=frame, seconds=frame / RATE, outcome=outcome, phase=phase, person=person, faces=faces)


ADA, BEN = visit("Ada", 10, 20), visit("Ben", 30, 40)
STRANGER = visit("Eve", 50, 60, stranger=True)


def test_right_wrong_missed_and_how_soon() -> None:
    told = [said(12), said(14, "Ada", faces=4), said(18, "Ada", faces=8), said(31, "Ada")]
    score = score_clip([ADA, BEN, visit("Cay", 70, 80)], told).to_dict()
    assert (score["visits"], score["right"], score["wrong"], score["missed"]) == (3, 1, 1, 1)
    assert (score["seconds_to_name"], score["faces_to_name"], score["unknown"]) == (0.4, 4, 1)


def test_a_stranger_named_and_a_name_where_nobody_is() -> None:
    score = score_clip([STRANGER], [said(55, "Ada"), said(2, "Ada")]).to_dict()
    assert (score["strangers"], score["strangers_named"], score["names_of_nobody"]) == (1, 1, 1)
    assert score["false_names"] == 2


def test_a_stranger_is_not_named_rightly_by_their_own_name() -> None:
    assert score_clip([STRANGER], [said(55, "Eve")]).to_dict()["strangers_named"] == 1


def test_of_two_people_the_stranger_is_blamed_for_the_wrong_name() -> None:
    together = [visit("Ada", 0, 9), visit("Eve", 0, 9, stranger=True)]
    score = score_clip(together, [said(5, "Ada"), said(5, "Ben")]).to_dict()
    assert (score["right"], score["wrong"], score["strangers_named"]) == (1, 0, 1)


def test_what_is_provisional_counts_only_where_it_is_asked_for() -> None:
    told = [said(12, "Ben", phase=Phase.PROVISIONAL), said(15, "Ada")]
    assert score_clip([ADA], told).to_dict()["right"] == 1
    both = score_clip([ADA], told, phases=(Phase.PROVISIONAL, Phase.CONFIRMED)).to_dict()
    assert (both["right"], both["wrong"]) == (0, 1)


def test_what_comes_late_is_of_the_visit_before_while_no_other_has_begun() -> None:
    assert score_clip([ADA, BEN], [said(23, "Ada")]).to_dict()["names_of_nobody"] == 1
    late = score_clip([ADA, BEN], [said(23, "Ada"), said(31, "Ben")], grace=15).to_dict()
    assert (late["right"], late["names_of_nobody"]) == (2, 0)
    next_one = score_clip([ADA, BEN], [said(31, "Ada")], grace=15).to_dict()
    assert (next_one["right"], next_one["wrong"]) == (0, 1)


VISITS = st.lists(
    st.builds(
        lambda name, start, length, stranger: visit(name, start, start + length, stranger=stranger),
        st.sampled_from(["Ada", "Ben", "Eve"]),
        st.integers(0, 30),
        st.integers(0, 10),
        st.booleans(),
    ),
    max_size=6,
)
DECISIONS = st.lists(st.builds(said, st.integers(0, 45), st.sampled_from([None, "Ada", "Ben", "Eve"])), max_size=20)


@given(VISITS, DECISIONS, st.integers(0, 5))
def test_every_false_name_is_counted_once(visits: Sequence[Visit], told: Sequence[ClipDecision], grace: int) -> None:
    score = score_clip(visits, told, grace=grace)
    false = sum(
        decision.person is not None
        and not any(
            one.identity == decision.person and not one.stranger and one.start_frame <= decision.frame
            for one in present(visits, decision.frame, grace)
        )
        for decision in told
    )
    assert score.to_dict()["false_names"] == false
    summary = score.to_dict()
    assert summary["right"] + summary["wrong"] + summary["missed"] == summary["visits"]
    assert summary["visits"] + summary["strangers"] == len(visits)


def present(visits: Sequence[Visit], frame: int, grace: int) -> Sequence[Visit]:
    now = [one for one in visits if one.start_frame <= frame <= one.end_frame]
    return now or [one for one in visits if one.end_frame < frame <= one.end_frame + grace]


@given(VISITS)
def test_who_is_named_at_once_is_never_missed(visits: Sequence[Visit]) -> None:
    members = [one for one in visits if not one.stranger]
    score = score_clip(members, [said(one.start_frame, one.identity) for one in members]).to_dict()
    assert (score["missed"], score["wrong"], score["false_names"]) == (0, 0, 0)


def test_a_truth_file(tmp_path: Path) -> None:
    file = tmp_path / "a_truth.csv"
    file.write_text(
        "start_frame,end_frame,start_s,end_s,identity,more\n10,20,1.0,2.0,STRANGER:Eve,x\n30,40,3,4,Ben,y\n"
    )
    assert read_truth(file) == (
        Visit(identity="Eve", stranger=True, start_frame=10, end_frame=20, start_s=1.0),
        Visit(identity="Ben", stranger=False, start_frame=30, end_frame=40, start_s=3.0),
    )
    file.write_text("start_frame,end_frame,start_s,identity\n10,9,1.0,Ada\n")
    with pytest.raises(PrivFaceError, match=r"a_truth.csv, line 2, column end_frame") as caught:
        read_truth(file)
    assert caught.value.code is ErrorCode.BAD_REQUEST
