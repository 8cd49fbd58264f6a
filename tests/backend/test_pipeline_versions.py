"""From versions of one picture, anonymized by the sender, to one face: where it is looked for, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import pytest

from privface_backend.domain.frames import Pixels
from privface_backend.engines.synthetic import draw_face, ground
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice
from privface_backend.pipeline.process import Process
from privface_backend.pipeline.versions import RepresentedVersions, Version, enroll_versions
from privface_backend.plugins.ports import MosaicAnonymizer
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy
from support.backend import ADA, BEN, pixels
from support.process import make_process, recording

# In the last no drawn face of 80 pixels is found any more.
KERNELS = (9, 25, 45, 201)


def sent(kernel: int, method: str = "gaussian") -> Privacy:
    return Privacy(method=method, parameter=kernel, applied_by=AppliedBy.CLIENT)


def blurred(kernel: int, frame: Pixels | None = None) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels(ADA, side=80) if frame is None else frame, (kernel, kernel), 0), np.uint8)


def version(frame: Pixels, claimed: Privacy | None) -> Version:
    return Version(load=lambda: frame, claimed=claimed)


def versions(kernels: Sequence[int] = KERNELS) -> list[Version]:
    return [version(blurred(kernel), sent(kernel)) for kernel in kernels]


def enrolled(
    given: Sequence[Version], process: Process | None = None, choice: FaceChoice | None = None
) -> RepresentedVersions:
    return enroll_versions(process or make_process(), given, choice=choice or FaceChoice(), bar=EnrollmentBar())


def refusal(given: Sequence[Version], process: Process | None = None, choice: FaceChoice | None = None) -> ErrorCode:
    with pytest.raises(PrivFaceError) as error:
        enrolled(given, process, choice)
    return error.value.code


def fail(code: ErrorCode) -> Pixels:
    raise PrivFaceError(code, "It can't be read.")


def unreadable(kernel: int) -> Version:
    return Version(load=partial(fail, ErrorCode.PICTURE_TRUNCATED), claimed=sent(kernel))


@pytest.mark.parametrize("order", [KERNELS, KERNELS[::-1], (45, 9, 201, 25)])
def test_the_face_of_the_sharpest_version_aligns_all(order: Sequence[int]) -> None:
    process, detector, recognizer = recording(make_process())
    assert not process.engines.detector.detect(blurred(KERNELS[-1]))
    detector.shown.clear()
    done = enrolled(versions(order), process)
    assert not done.refused
    assert done.face.contract == process.engines.contract
    [looked_at] = detector.shown
    assert (looked_at == blurred(9)).all()
    [found] = make_process().engines.detector.detect(blurred(9))
    sigma = process.engines.anonymizer("gaussian").sigma
    wanted = {sigma(kernel) / found.width: blurred(kernel) for kernel in KERNELS}
    assert [level.method for level, _ in done.face.vectors] == ["gaussian"] * len(KERNELS)
    assert {level.relative for level, _ in done.face.vectors} == set(wanted)
    for (level, _), crop in zip(done.face.vectors, recognizer.shown, strict=True):
        assert (process.engines.aligner.align(wanted[level.relative], found, process.template) == crop).all()


def test_the_sharpest_is_that_of_the_smallest_sigma_whatever_the_method() -> None:
    process, detector, _ = recording(make_process())
    mosaic = process.engines.anonymizer("pixelate")
    assert isinstance(mosaic, MosaicAnonymizer)
    cells = mosaic.apply(pixels(ADA), 4)
    assert mosaic.sigma(4) < process.engines.anonymizer("gaussian").sigma(25)
    done = enrolled([version(blurred(25), sent(25)), version(cells, sent(4, "pixelate"))], process)
    [looked_at] = detector.shown
    assert (looked_at == mosaic.smooth(cells, 4)).all()
    assert [level.method for level, _ in done.face.vectors] == ["pixelate", "gaussian"]


def test_sizes_may_differ() -> None:
    half = np.asarray(cv2.resize(pixels(ADA, side=80), (320, 180), interpolation=cv2.INTER_AREA), np.uint8)
    for large, small in (((9, 25), (9,)), ((25,), (9, 25))):
        process, _, recognizer = recording(make_process())
        given = [version(blurred(kernel), sent(kernel)) for kernel in large]
        given += [version(blurred(kernel, half), sent(kernel)) for kernel in small if kernel not in large]
        given += [version(blurred(kernel, half), sent(kernel)) for kernel in small if kernel in large]
        done = enrolled(given, process)
        assert len(done.face.vectors) == len(recognizer.shown) == 3
        whole, *others = (vector for _, vector in done.face.vectors)
        assert all(float(whole @ other) > 0.95 for other in others)
    [at_whole] = enrolled(versions([9])).face.vectors
    [at_half] = enrolled([version(blurred(9, half), sent(9))]).face.vectors
    assert at_half[0].relative == pytest.approx(2 * at_whole[0].relative, rel=0.05)


@pytest.mark.parametrize(("width", "height"), [(321, 180), (213, 120), (640, 361)])
def test_a_size_that_was_rounded_is_of_the_same_picture(width: int, height: int) -> None:
    other = np.asarray(cv2.resize(pixels(ADA, side=80), (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    done = enrolled([*versions([9]), version(blurred(11, other), sent(11))])
    first, second = (vector for _, vector in done.face.vectors)
    assert float(first @ second) > 0.9


@pytest.mark.parametrize(("width", "height"), [(360, 640), (640, 480), (640, 364)])
def test_versions_of_other_shapes_are_refused(width: int, height: int) -> None:
    other = np.asarray(cv2.resize(pixels(ADA, side=80), (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    assert refusal([*versions([9]), version(blurred(25, other), sent(25))]) is ErrorCode.BAD_REQUEST


def nobody() -> Pixels:
    return ground(640, 360)


def several() -> Pixels:
    return pixels(ADA, BEN, kernel=9)


def tiny() -> Pixels:
    return pixels(ADA, side=24, kernel=9)


@pytest.mark.parametrize(
    ("load", "code"),
    [
        (nobody, ErrorCode.NO_FACE),
        (several, ErrorCode.SEVERAL_FACES),
        (tiny, ErrorCode.FACE_TOO_SMALL),
        (partial(fail, ErrorCode.PICTURE_FORMAT), ErrorCode.PICTURE_FORMAT),
    ],
)
def test_why_the_sharpest_is_refused_is_the_error(load: Callable[[], Pixels], code: ErrorCode) -> None:
    assert refusal([*versions([25, 45]), Version(load=load, claimed=sent(9))]) is code


def test_a_version_that_is_sharper_than_it_says_is_refused() -> None:
    clear = version(pixels(ADA, side=80), sent(9))
    assert refusal([clear, *versions([25, 45])]) is ErrorCode.NOT_ANONYMIZED
    done = enrolled([*versions([9, 25]), version(blurred(9), sent(45))])
    assert [(place, error.code) for place, error in done.refused.items()] == [(2, ErrorCode.NOT_ANONYMIZED)]
    assert len(enrolled([clear, *versions([25])], make_process(check_claims=False)).face.vectors) == 2


def test_the_face_is_chosen_in_the_sharpest_version() -> None:
    frame = ground(640, 360)
    draw_face(frame, ADA, 20, 80, 160)
    draw_face(frame, BEN, 300, 80, 180)
    given = [version(blurred(kernel, frame), sent(kernel)) for kernel in (9, 25)]
    largest = enrolled(given, choice=FaceChoice(largest=True)).face.vectors[0][1]
    by_box = enrolled(given, choice=FaceChoice(box=(300 / 640, 80 / 360, 180 / 640, 0.5))).face.vectors[0][1]
    ben = enrolled([version(blurred(9, pixels(BEN, side=180)), sent(9))]).face.vectors[0][1]
    assert float(largest @ ben) > 0.99
    assert float(by_box @ ben) > 0.99


def test_other_versions_that_can_not_be_used_are_left_out() -> None:
    given = [unreadable(201), version(blurred(25), sent(24)), *versions([17]), version(pixels(ADA), None)]
    done = enrolled([*given, version(blurred(25), sent(25)), version(blurred(25), sent(25))])
    assert [(place, error.code) for place, error in done.refused.items()] == [
        (0, ErrorCode.PICTURE_TRUNCATED),
        (1, ErrorCode.BAD_PRIVACY_PARAMETER),
        (3, ErrorCode.NOT_ANONYMIZED),
    ]
    # The one that came twice counts once.
    assert len(done.face.vectors) == 2


@pytest.mark.parametrize(
    ("claimed", "code"),
    [
        (None, ErrorCode.NOT_ANONYMIZED),
        (Privacy(parameter=17), ErrorCode.NOT_ANONYMIZED),
        (Privacy(parameter=17, applied_by=AppliedBy.BACKEND), ErrorCode.NOT_ANONYMIZED),
        (sent(16), ErrorCode.BAD_PRIVACY_PARAMETER),
        (sent(17, "mosaic"), ErrorCode.BAD_PRIVACY_PARAMETER),
    ],
)
def test_nothing_that_can_be_used(claimed: Privacy | None, code: ErrorCode) -> None:
    process, detector, _ = recording(make_process())
    assert refusal([version(blurred(17), claimed), version(blurred(25), None)], process) is code
    assert not detector.shown


def test_it_shows_no_vector_and_no_pixel() -> None:
    assert "array" not in repr(enrolled(versions()))
    assert "array" not in repr(versions())
