"""Particular facts about the aligners."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Affine, Box, Points, Size, similarity_transform
from privface_backend.engines.aligners.deepface import letterbox
from privface_backend.engines.recognizers.templates import arcface_template, box_template, dlib_template
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import CropTemplate, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from support import faces
from support.engines import engine, face_of

TEMPLATES = [arcface_template(), dlib_template(), box_template(Size(160, 160)), box_template(Size(47, 55))]

templates = st.sampled_from(TEMPLATES)
angles = st.floats(-math.pi, math.pi)
scales = st.floats(0.05, 20)
shifts = st.floats(-2000, 2000)


def similarity(angle: float, scale: float, x: float, y: float) -> Affine:
    turned = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.hstack([turned, [[x], [y]]])


def moved(matrix: Affine, points: Points) -> Points:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


@given(template=templates, count=st.sampled_from([2, 5]), angle=angles, scale=scales, shift=st.tuples(shifts, shifts))
@settings(deadline=None)
def test_a_turn_a_scale_and_a_shift_are_found_again(
    template: CropTemplate, count: int, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    points = template.landmarks[:count]
    shown = moved(similarity(angle, scale, *shift), points)
    back = similarity_transform(shown, points)
    np.testing.assert_allclose(moved(back, shown), points, atol=0.05)
    assert math.sqrt(np.linalg.det(back[:, :2])) == pytest.approx(1 / scale, rel=1e-2)


@given(
    template=templates,
    count=st.sampled_from([2, 5]),
    points=st.lists(st.tuples(shifts, shifts), min_size=5, max_size=5, unique=True),
)
@settings(deadline=None)
def test_never_mirrors_a_face_nor_stretches_it(
    template: CropTemplate, count: int, points: list[tuple[float, float]]
) -> None:
    shown = np.asarray(points[:count], np.float32)
    try:
        linear = similarity_transform(shown, template.landmarks[:count])[:, :2]
    except ValueError:
        assert np.ptp(shown, axis=0).max() < 1e-3
        return
    determinant = np.linalg.det(linear)
    assert determinant >= 0
    np.testing.assert_allclose(linear @ linear.T, determinant * np.eye(2), atol=1e-6 + 1e-6 * determinant)


@given(template=templates, angle=angles, scale=st.floats(0.6, 2.5))
@settings(max_examples=40, deadline=None)
def test_a_face_that_is_turned_and_scaled_gives_the_same_crop(
    template: CropTemplate, angle: float, scale: float
) -> None:
    """The crop of a picture that was warped, against the crop of the picture itself."""
    upright = smooth_picture(600)
    landmarks = template.landmarks + np.float32(300) - template.landmarks.mean(axis=0)
    matrix = similarity(angle, scale, 0.0, 0.0)
    matrix[:, 2] = 300 - matrix[:, :2] @ np.array([300.0, 300.0])
    turned = np.asarray(cv2.warpAffine(upright, matrix, (600, 600), flags=cv2.INTER_LINEAR), np.uint8)
    aligner = engine(EngineKind.ALIGNER, "five-point")
    first = aligner.align(upright, face(landmarks), template)
    second = aligner.align(turned, face(moved(matrix, landmarks)), template)
    # A crop reaches at most 110 pixels from the middle, times 2.5: inside the picture that was warped.
    assert np.abs(first.astype(np.int16) - second).mean() < 3


@given(template=templates, angle=st.floats(-0.8, 0.8), distance=st.floats(20, 90))
@settings(max_examples=40, deadline=None)
def test_eyes_alone_come_to_the_templates_eyes(template: CropTemplate, angle: float, distance: float) -> None:
    half = np.array([math.cos(angle), math.sin(angle)]) * distance / 2
    eyes = np.asarray([100 - half, 100 + half], np.float32)
    pixels = np.zeros((200, 200, 3), np.uint8)
    for (x, y), channel in zip(eyes.tolist(), (0, 2), strict=True):
        cv2.circle(pixels, (round(x * 16), round(y * 16)), round(distance * 16 / 8), color(channel), -1, shift=4)
    crop = engine(EngineKind.ALIGNER, "five-point").align(pixels, face(eyes), template)
    for channel, wanted in zip((0, 2), template.landmarks[:2], strict=True):
        rows, columns = np.nonzero(crop[:, :, channel] > 127)
        np.testing.assert_allclose([columns.mean(), rows.mean()], wanted, atol=1.5)


def test_landmarks_that_fall_together_are_replaced_by_the_box() -> None:
    aligner = engine(EngineKind.ALIGNER, "five-point")
    pixels = smooth_picture(300)
    for template in TEMPLATES:
        by_box = aligner.align(pixels, face(None), template)
        for count in (2, 5):
            for value in (150.0, math.nan):
                together = np.full((count, 2), value, np.float32)
                np.testing.assert_array_equal(aligner.align(pixels, face(together), template), by_box)


@pytest.mark.faces
@pytest.mark.weights
def test_the_box_alone_comes_near_to_five_points() -> None:
    """What the aligner does for detectors without landmarks, on faces that look ahead."""
    aligner, recognizer = engine(EngineKind.ALIGNER, "five-point"), engine(EngineKind.RECOGNIZER, "deepface:SFace")
    alike = []
    for picture in faces.pictures(faces.LFW, 12):
        found = face_of(picture)
        crops = [
            aligner.align(picture, shown, recognizer.template)
            for shown in (found, DetectedFace(box=found.box, score=found.score))
        ]
        first, second = recognizer.represent(crops)
        alike.append(float(first @ second))
    assert np.median(alike) > recognizer.verification_threshold


def box_of(area: Mapping[str, Any]) -> Box:
    """DeepFace's facial area as a box."""
    return Box(*(float(area[side]) for side in ("x", "y", "w", "h")))


def deepfaces_faces(picture: Pixels) -> list[dict[str, Any]]:
    # Made first, so that DeepFace's own object is the one that has its weights from the shared store.
    engine(EngineKind.DETECTOR, "deepface:yunet")
    extract = importlib.import_module("deepface.DeepFace").extract_faces
    return list(
        extract(
            picture,
            detector_backend="yunet",
            align=True,
            color_face="bgr",
            normalize_face=False,
            enforce_detection=True,
        )
    )


@pytest.mark.faces
@pytest.mark.weights
@pytest.mark.parametrize("source", [faces.LFW, faces.CALTECH])
def test_deepfaces_aligner_cuts_what_deepface_cuts(source: str) -> None:
    """The same pixels, not one level apart, from the box and the eyes that DeepFace says it found."""
    aligner = engine(EngineKind.ALIGNER, "deepface")
    template = box_template(Size(112, 112))
    resize = importlib.import_module("deepface.modules.preprocessing").resize_image
    compared = 0
    for picture in faces.pictures(source, 8):
        for theirs in deepfaces_faces(picture):
            area = theirs["facial_area"]
            if area["left_eye"] is None or area["x"] <= 0 or area["y"] <= 0:
                continue  # DeepFace clips what it reports, not what it cuts
            if theirs["face"].shape[:2] != (area["h"], area["w"]):
                continue
            eyes = np.asarray([area["right_eye"], area["left_eye"]], np.float32)
            shown = DetectedFace(box=box_of(area), score=0.9, landmarks=eyes)
            ours = aligner.align(picture, shown, template)
            expected = np.rint(resize(theirs["face"], (112, 112))[0] * 255)
            np.testing.assert_array_equal(ours, expected)
            compared += 1
    assert compared >= 6


@pytest.mark.faces
@pytest.mark.weights
def test_deepfaces_aligner_on_our_detection_comes_near_to_deepface() -> None:
    """DeepFace pads the frame before it detects, so its box is another one by some pixels, and the crop with it."""
    aligner, detector = engine(EngineKind.ALIGNER, "deepface"), engine(EngineKind.DETECTOR, "deepface:yunet")
    recognizer = engine(EngineKind.RECOGNIZER, "deepface:SFace")
    resize = importlib.import_module("deepface.modules.preprocessing").resize_image
    alike, apart = [], []
    for picture in faces.pictures(faces.LFW, 12):
        found = detector.detect(picture)[0]
        overlaps = [found.box.overlap(box_of(theirs["facial_area"])) for theirs in deepfaces_faces(picture)]
        assert max(overlaps) > 0.85
        theirs = deepfaces_faces(picture)[int(np.argmax(overlaps))]
        expected = np.rint(resize(theirs["face"], (112, 112))[0] * 255).astype(np.uint8)
        ours = aligner.align(picture, found, recognizer.template)
        apart.append(float(np.abs(ours.astype(np.int16) - expected).mean()))
        first, second = recognizer.represent([ours, expected])
        alike.append(float(first @ second))
    assert np.median(apart) < 10
    assert np.median(alike) > 0.9


@given(height=st.integers(1, 400), width=st.integers(1, 400), size=st.sampled_from([(112, 112), (47, 55), (224, 224)]))
@settings(max_examples=60, deadline=None)
def test_letterboxes_as_deepface_does(height: int, width: int, size: tuple[int, int]) -> None:
    engine(EngineKind.ALIGNER, "deepface")
    resize = importlib.import_module("deepface.modules.preprocessing").resize_image
    crop = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    factor = min(size[1] / height, size[0] / width)
    if min(int(height * factor), int(width * factor)) < 1:
        return  # DeepFace fails on a strip as narrow as this
    expected = np.rint(resize(crop, (size[1], size[0]))[0] * 255)
    ours = letterbox(crop, Size(*size))
    if crop.max() > 1:
        np.testing.assert_array_equal(ours, expected)


def test_an_empty_crop_is_letterboxed_black() -> None:
    for shape in ((0, 10, 3), (10, 0, 3), (0, 0, 3)):
        crop = letterbox(np.empty(shape, np.uint8), Size(112, 112))
        assert crop.shape == (112, 112, 3)
        assert not crop.any()


def test_deepfaces_aligner_needs_no_weights(tmp_path: Path) -> None:
    context = EngineContext(weights=WeightsStore(tmp_path))
    assert Registry().create(EngineKind.ALIGNER, "deepface", context).name == "deepface"


def color(channel: int) -> tuple[int, int, int]:
    return (255 * (channel == 0), 255 * (channel == 1), 255 * (channel == 2))


def face(landmarks: Points | None) -> DetectedFace:
    return DetectedFace(box=Box(100.0, 90.0, 100.0, 120.0), score=0.9, landmarks=landmarks)


def smooth_picture(side: int) -> Pixels:
    """Noise without detail finer than about 10 pixels, so that interpolation costs little."""
    noise = np.random.default_rng(11).integers(0, 256, (side, side, 3), dtype=np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), 10), np.float64)
    stretched = (blurred - blurred.min()) / (blurred.max() - blurred.min()) * 255
    return np.asarray(stretched, np.uint8)
