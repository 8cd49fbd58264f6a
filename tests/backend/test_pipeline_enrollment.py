"""From a picture to templates: which face, how good it must be, and at which levels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import CLEAR, LADDER, sigma_of_kernel
from privface_backend.engines.synthetic import draw_face, ground
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll, measure_sharpness
from privface_backend.pipeline.process import Process
from privface_backend.plugins.ports import MosaicAnonymizer
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy
from support.backend import ADA, BEN, pixels
from support.process import make_process, recording


def enrolled(
    frame: Pixels,
    *,
    process: Process | None = None,
    claimed: Privacy | None = None,
    choice: FaceChoice | None = None,
) -> RepresentedFace:
    return enroll(
        process or make_process(),
        frame,
        claimed=claimed,
        choice=choice or FaceChoice(),
        bar=EnrollmentBar(),
    )


def refusal(
    frame: Pixels, *, process: Process | None = None, claimed: Privacy | None = None, choice: FaceChoice | None = None
) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as error:
        enrolled(frame, process=process, claimed=claimed, choice=choice)
    return error.value


def test_a_clear_picture_gives_the_clear_template_and_the_ladder() -> None:
    process = make_process()
    face = enrolled(pixels(ADA), process=process)
    levels = [level for level, _ in face.vectors]
    assert levels[0] == CLEAR
    assert [level.method for level in levels[1:]] == ["gaussian"] * (len(levels) - 1)
    strengths = [level.relative for level in levels[1:]]
    assert strengths == sorted(set(strengths))
    width = 160
    step = (sigma_of_kernel(5) - sigma_of_kernel(3)) / width
    assert len(strengths) == len(LADDER)
    for strength, wanted in zip(strengths, LADDER, strict=True):
        assert strength == pytest.approx(wanted, abs=step / 2 + 1e-9)
    assert face.contract == process.engines.contract
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) for _, vector in face.vectors)


def test_a_small_face_gives_each_distinct_rung_once() -> None:
    levels = [level for level, _ in enrolled(pixels(ADA, side=40)).vectors]
    assert len(levels) == len(set(levels)) < len(LADDER) + 1
    assert sum(level.is_clear for level in levels) == 1


def test_each_rung_is_made_of_the_picture_blurred_that_much() -> None:
    process, _, recognizer = recording(make_process())
    face = enrolled(pixels(ADA), process=process)
    found = process.engines.detector.detect(pixels(ADA))[0]
    for (level, _), crop in zip(face.vectors, recognizer.shown, strict=True):
        kernel = process.engines.anonymizer("gaussian").parameter_for(level.relative * found.width)
        blurred = np.asarray(cv2.GaussianBlur(pixels(ADA), (kernel, kernel), 0), np.uint8)
        assert (process.engines.aligner.align(blurred, found, process.template) == crop).all()


@pytest.mark.parametrize("sender", [AppliedBy.CLIENT, AppliedBy.BRIDGE])
@pytest.mark.parametrize(("method", "parameter"), [("gaussian", 17), ("pixelate", 8)])
def test_an_anonymized_picture_gives_the_template_of_its_level(sender: AppliedBy, method: str, parameter: int) -> None:
    process, _, recognizer = recording(make_process())
    anonymizer = process.engines.anonymizer(method)
    frame = anonymizer.apply(pixels(ADA), parameter)
    shown = anonymizer.smooth(frame, parameter) if isinstance(anonymizer, MosaicAnonymizer) else frame
    found = process.engines.detector.detect(shown)[0]
    claimed = Privacy(method=method, parameter=parameter, applied_by=sender)
    ((level, _),) = enrolled(frame, process=process, claimed=claimed).vectors
    (crop,) = recognizer.shown
    assert (process.engines.aligner.align(shown, found, process.template) == crop).all()
    assert level.method == method
    assert level.relative == pytest.approx(anonymizer.sigma(parameter) / found.width)


def test_require_client() -> None:
    process, detector, _ = recording(make_process(require_client=True))
    for claimed in (None, Privacy(parameter=17)):
        assert refusal(pixels(ADA), process=process, claimed=claimed).code is ErrorCode.NOT_ANONYMIZED
    assert not detector.shown
    claimed = Privacy(parameter=9, applied_by=AppliedBy.CLIENT)
    assert len(enrolled(pixels(ADA, kernel=9), process=process, claimed=claimed).vectors) == 1
    # What its card says must be true.
    assert refusal(pixels(ADA), process=process, claimed=claimed).code is ErrorCode.NOT_ANONYMIZED


def test_a_bad_claim_is_refused() -> None:
    claimed = Privacy(parameter=8, applied_by=AppliedBy.CLIENT)
    assert refusal(pixels(ADA), claimed=claimed).code is ErrorCode.BAD_PRIVACY_PARAMETER


def test_no_face() -> None:
    assert refusal(ground(640, 360)).code is ErrorCode.NO_FACE


def test_several_faces_are_shown_largest_first_and_can_be_chosen() -> None:
    frame = ground(640, 360)
    draw_face(frame, ADA, 20, 80, 160)
    draw_face(frame, BEN, 300, 80, 180)
    error = refusal(frame)
    assert error.code is ErrorCode.SEVERAL_FACES
    boxes: Any = error.details["boxes"]
    assert boxes == [
        [round(300 / 640, 4), round(80 / 360, 4), round(180 / 640, 4), round(180 / 360, 4)],
        [round(20 / 640, 4), round(80 / 360, 4), round(160 / 640, 4), round(160 / 360, 4)],
    ]
    largest = enrolled(frame, choice=FaceChoice(largest=True)).vectors[0][1]
    by_box = [enrolled(frame, choice=FaceChoice(box=(box[0], box[1], box[2], box[3]))).vectors[0][1] for box in boxes]
    assert (largest == by_box[0]).all()
    ben = enrolled(pixels(BEN, side=180)).vectors[0][1]
    ada = enrolled(pixels(ADA)).vectors[0][1]
    assert float(by_box[0] @ ben) > 0.99
    assert float(by_box[1] @ ada) > 0.99
    elsewhere = refusal(frame, choice=FaceChoice(box=(0.9, 0.9, 0.1, 0.1)))
    assert elsewhere.code is ErrorCode.NO_FACE


def test_a_face_that_is_much_larger_is_the_subject() -> None:
    frame = ground(640, 360)
    draw_face(frame, ADA, 20, 20, 300)
    draw_face(frame, BEN, 400, 20, 100)
    assert float(enrolled(frame).vectors[0][1] @ enrolled(pixels(ADA, side=280)).vectors[0][1]) > 0.99


def test_too_small() -> None:
    error = refusal(pixels(ADA, side=28))
    assert error.code is ErrorCode.FACE_TOO_SMALL
    assert error.details == {"width": 28.0}
    assert enrolled(pixels(ADA, side=32)).vectors


def test_too_small_counts_at_the_working_size() -> None:
    frame = ground(2560, 1440)
    draw_face(frame, ADA, 100, 100, 100)
    assert refusal(frame).code is ErrorCode.FACE_TOO_SMALL


def test_too_blurred() -> None:
    blurred = np.asarray(cv2.GaussianBlur(pixels(ADA), (61, 61), 0), np.uint8)
    assert refusal(blurred).code is ErrorCode.FACE_TOO_BLURRY


def test_sharpness() -> None:
    assert measure_sharpness(ground(64, 64)) == 0
    noise = np.random.default_rng(1).integers(0, 255, (112, 112, 3), dtype=np.uint8)
    assert measure_sharpness(noise) > measure_sharpness(np.asarray(cv2.GaussianBlur(noise, (5, 5), 0), np.uint8)) > 0


def test_it_shows_no_vector() -> None:
    assert "array" not in repr(enrolled(pixels(ADA)))
