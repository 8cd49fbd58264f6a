"""One frame's way: what the engines are shown, and that nothing goes on clear when anonymizing fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.frames import Pixels
from privface_backend.domain.matching import LevelMatchedGallery, Template
from privface_backend.domain.privacy import CLEAR, PrivacyLevel, sigma_of_kernel
from privface_backend.domain.ranking import Ranking
from privface_backend.engines.synthetic import draw_face, ground
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.index import GallerySnapshot
from privface_backend.pipeline.identification import Judgement, judge
from privface_backend.pipeline.process import Look, Process, Stopwatch
from privface_backend.plugins.ports import Anonymizer, MosaicAnonymizer
from privface_backend.protocol import AppliedBy, ErrorCode, Outcome, Privacy, Reason
from support.backend import ADA, BEN, STRANGER, pixels
from support.decisions import make_model
from support.process import make_process, recording

DEFAULT = Privacy(parameter=17)


def large() -> Pixels:
    frame = ground(1600, 900)
    draw_face(frame, ADA, 100, 100, 400)
    draw_face(frame, BEN, 900, 200, 320)
    return frame


def anonymize(process: Process, frame: Pixels, claimed: Privacy | None = None) -> Pixels:
    return process.anonymize(frame, claimed, DEFAULT, Stopwatch()).pixels


@pytest.mark.parametrize("kernel", [1, 3, 9, 17, 51, 255])
def test_the_backend_blurs_as_opencv_does_at_the_working_size(kernel: int) -> None:
    frame = large()
    resized = cv2.resize(frame, (640, 360), interpolation=cv2.INTER_AREA)
    wanted = cv2.GaussianBlur(resized, (kernel, kernel), 0)
    done = make_process().anonymize(frame, None, Privacy(parameter=kernel), Stopwatch())
    assert (done.pixels == wanted).all()
    assert done.privacy == Privacy(parameter=kernel, applied_by=AppliedBy.BACKEND)


@pytest.mark.parametrize("claimed", [None, Privacy(parameter=31), Privacy(parameter=31, applied_by=AppliedBy.BACKEND)])
def test_the_engines_see_blurred_pixels_only(claimed: Privacy | None) -> None:
    frame = large()
    process, detector, recognizer = recording(make_process())
    done = process.anonymize(frame, claimed, DEFAULT, Stopwatch())
    look = process.look(done, Stopwatch())
    kernel = 17 if claimed is None else 31
    resized = cv2.resize(frame, (640, 360), interpolation=cv2.INTER_AREA)
    blurred = np.asarray(cv2.GaussianBlur(resized, (kernel, kernel), 0), np.uint8)
    assert len(look.faces) == 2
    assert [shown.tobytes() for shown in detector.shown] == [blurred.tobytes()]
    crops = [process.engines.aligner.align(blurred, seen.face, process.template) for seen in look.faces]
    assert [crop.tobytes() for crop in recognizer.shown] == [crop.tobytes() for crop in crops]


@pytest.mark.parametrize("sender", [None, AppliedBy.CLIENT])
def test_the_engines_see_a_mosaic_without_the_edges_of_its_cells(sender: AppliedBy | None) -> None:
    process, detector, recognizer = recording(make_process())
    mosaic = process.engines.anonymizer("pixelate")
    assert isinstance(mosaic, MosaicAnonymizer)
    resized = np.asarray(cv2.resize(large(), (640, 360), interpolation=cv2.INTER_AREA), np.uint8)
    cells = mosaic.apply(resized, 6)
    claimed = Privacy(method="pixelate", parameter=6, applied_by=sender or AppliedBy.BACKEND)
    done = process.anonymize(large() if sender is None else cells, claimed, DEFAULT, Stopwatch())
    np.testing.assert_array_equal(done.pixels, cells)
    look = process.look(done, Stopwatch())
    smooth = mosaic.smooth(cells, 6)
    assert [shown.tobytes() for shown in detector.shown] == [smooth.tobytes()]
    crops = [process.engines.aligner.align(smooth, seen.face, process.template) for seen in look.faces]
    assert [crop.tobytes() for crop in recognizer.shown] == [crop.tobytes() for crop in crops]
    assert [seen.level.method for seen in look.faces] == ["pixelate"] * 2


@pytest.mark.parametrize("sender", [AppliedBy.CLIENT, AppliedBy.BRIDGE])
def test_what_the_sender_anonymized_is_not_blurred_again(sender: AppliedBy) -> None:
    frame = cv2.GaussianBlur(large(), (31, 31), 0)
    claimed = Privacy(parameter=31, applied_by=sender, relative=0.5)
    process, detector, _ = recording(make_process())
    done = process.anonymize(np.asarray(frame, np.uint8), claimed, DEFAULT, Stopwatch())
    look = process.look(done, Stopwatch())
    assert (detector.shown[0] == frame).all()
    assert look.privacy.applied_by is sender
    # What the sender says of r is not believed: it is measured.
    assert look.privacy.relative == pytest.approx(sigma_of_kernel(31) / look.faces[0].face.width, rel=0.3)


@pytest.mark.parametrize(
    "claimed",
    [None, Privacy(parameter=31), Privacy(applied_by=AppliedBy.BACKEND), Privacy(applied_by=AppliedBy.UNKNOWN)],
)
def test_require_client_refuses_what_came_clear(claimed: Privacy | None) -> None:
    process, detector, _ = recording(make_process(require_client=True))
    with pytest.raises(PrivFaceError) as error:
        anonymize(process, large(), claimed)
    assert error.value.code is ErrorCode.NOT_ANONYMIZED
    assert not detector.shown
    blurred = np.asarray(cv2.GaussianBlur(large(), (31, 31), 0), np.uint8)
    assert anonymize(process, blurred, Privacy(parameter=31, applied_by=AppliedBy.CLIENT)).shape == (900, 1600, 3)


@pytest.mark.parametrize(
    "privacy",
    [
        Privacy(parameter=16),
        Privacy(parameter=0),
        Privacy(parameter=257),
        Privacy(parameter=-1),
        Privacy(method="magic"),
    ],
)
def test_bad_parameters_are_refused_not_fixed(privacy: Privacy) -> None:
    for claimed in (privacy, replace(privacy, applied_by=AppliedBy.CLIENT)):
        with pytest.raises(PrivFaceError) as error:
            anonymize(make_process(), large(), claimed)
        assert error.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
        assert error.value.allowed


class BadAnonymizer:
    """Wraps a real one, and spoils what it does."""

    name = "gaussian"
    allowed = "anything"

    def __init__(self, spoil: Callable[[Pixels], Pixels]) -> None:
        self._spoil = spoil

    def validate(self, parameter: int) -> None:
        pass

    def sigma(self, parameter: int) -> float:
        return sigma_of_kernel(parameter)

    def parameter_for(self, sigma: float) -> int:  # noqa: ARG002  # the port's signature
        return 17

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:  # noqa: ARG002  # the port's signature
        return self._spoil(pixels)


def fail(_pixels: Pixels) -> Pixels:
    raise RuntimeError("secret")


@pytest.mark.parametrize(
    "spoil",
    [
        fail,
        lambda pixels: pixels[:-1],
        lambda pixels: pixels[:, :, 0],
        lambda pixels: pixels.astype(np.float32),
        lambda _pixels: None,
    ],
    ids=["raises", "smaller", "gray", "floats", "nothing"],
)
def test_it_fails_closed(spoil: Callable[[Pixels], Pixels]) -> None:
    bad: Anonymizer = BadAnonymizer(spoil)
    process, detector, _ = recording(make_process())
    process = replace(process, engines=replace(process.engines, anonymizers={"gaussian": bad}))
    with pytest.raises(PrivFaceError) as error:
        anonymize(process, large())
    assert error.value.code is ErrorCode.ANONYMIZER_FAILED
    assert "secret" not in str(error.value.to_dict())
    assert not detector.shown


def test_a_small_frame_is_not_enlarged_and_not_changed() -> None:
    frame = pixels(ADA)
    before = frame.copy()
    assert anonymize(make_process(), frame).shape == frame.shape
    assert (frame == before).all()


def test_unusable_faces_are_not_represented() -> None:
    frame = ground(640, 360)
    draw_face(frame, ADA, 20, 20, 160)
    draw_face(frame, BEN, 300, 20, 12)
    process, _, recognizer = recording(make_process())
    frame_seen = process.anonymize(frame, None, Privacy(parameter=1), Stopwatch())
    look = process.look(frame_seen, Stopwatch())
    assert sorted(seen.reason for seen in look.faces) == [Reason.OK, Reason.TOO_SMALL]
    assert len(recognizer.shown) == 1
    assert [seen.vector is None for seen in look.faces] == [seen.reason is not Reason.OK for seen in look.faces]


def snapshot_of(process: Process, *identities: int) -> GallerySnapshot:
    templates = []
    for identity in identities:
        frame = process.anonymize(pixels(identity), None, Privacy(parameter=1), Stopwatch())
        vector = process.look(frame, Stopwatch()).faces[0].vector
        assert vector is not None
        templates.append(
            Template(face_id=f"face {identity}", person_id=f"person {identity}", level=CLEAR, vector=vector)
        )
    return GallerySnapshot(
        gallery=LevelMatchedGallery(templates),
        names={template.person_id: f"Name {template.person_id}" for template in templates},
        sources={template.face_id: f"{template.face_id}.jpg" for template in templates},
        templates=tuple(templates),
    )


def judged_by(process: Process, look: Look, snapshot: GallerySnapshot, model: ScoreModel) -> Judgement:
    rules = DecisionRules()
    ranking = Ranking(snapshot.templates, model, rules)
    return judge(look, snapshot, ranking, rules=rules, engine=process.engines.names)


def test_known_unknown_and_unusable_in_one_frame() -> None:
    process = make_process()
    frame = pixels(ADA, STRANGER)
    draw_face(frame, BEN, 500, 20, 16)
    look = process.look(process.anonymize(frame, None, Privacy(parameter=9), Stopwatch()), Stopwatch())
    model = make_model(strangers=0.5, deviation=0.1)
    judged = judged_by(process, look, snapshot_of(process, ADA, BEN), model)
    found = {face.result.outcome: face for face in judged.faces}
    assert len(found) == len(judged.faces) == 3
    known, unknown, unusable = (found[outcome] for outcome in (Outcome.KNOWN, Outcome.UNKNOWN, Outcome.UNUSABLE))
    assert (known.result.person_id, known.result.person) == (f"person {ADA}", f"Name person {ADA}")
    assert known.source == f"face {ADA}.jpg"
    # The household's other people move it a little.
    usual = model.threshold(0.001, 2, known.observed.level.relative)
    assert known.result.threshold == pytest.approx(usual, abs=0.031)
    assert unknown.result.person_id is unknown.result.person is unknown.source is None
    assert unknown.result.score is not None
    assert unusable.result.reason is Reason.TOO_SMALL
    assert unusable.result.score is unusable.result.threshold is None
    assert unusable.result.person_id is None
    detail = judged.detail({})
    assert detail["frame_size"] == [640, 360]


def test_who_was_enrolled_under_strong_blur_needs_a_higher_score() -> None:
    process = make_process()
    look = process.look(process.anonymize(pixels(ADA), None, Privacy(parameter=33), Stopwatch()), Stopwatch())
    [observed] = look.faces
    assert observed.vector is not None
    strong = PrivacyLevel("gaussian", 0.06)
    model = make_model(strangers=0.2, deviation=0.05, rise=2.0, light=0.01, onset=(0.0, 0.01))
    flat = model.threshold(0.001, 1, 0.0)
    thresholds = []
    for levels in ((CLEAR, strong), (strong,)):
        templates = [Template(face_id="face", person_id="ada", level=level, vector=observed.vector) for level in levels]
        snapshot = replace(snapshot_of(process), templates=tuple(templates))
        [face] = judged_by(process, look, snapshot, model).faces
        assert face.result.outcome is Outcome.KNOWN
        thresholds.append(face.result.threshold)
    assert thresholds == pytest.approx([flat, flat + 0.1])


def test_nobody_enrolled() -> None:
    process = make_process()
    look = process.look(process.anonymize(pixels(ADA), None, DEFAULT, Stopwatch()), Stopwatch())
    judged = judged_by(process, look, snapshot_of(process), make_model())
    assert [face.result.reason for face in judged.faces] == [Reason.NOBODY_ENROLLED]
    assert judged.to_identification(None, 0, {}).to_dict()["reason"] == "ok"


def test_the_stopwatch_adds_up() -> None:
    ticks = iter(range(100))
    watch = Stopwatch(clock=lambda: float(next(ticks)))
    with watch.stage("one"):
        pass
    with pytest.raises(ZeroDivisionError), watch.stage("one"):
        _ = 1 / 0
    assert watch.milliseconds() == {"one": 2000.0}
