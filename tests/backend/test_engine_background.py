"""What is left of a picture of which only the faces are kept, on real ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from privface_backend.bridge.anonymizing import Workshop
from privface_backend.bridge.pictures import Picture
from privface_backend.bridge.strength import Strength
from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import PrivacyLevel, base_method
from privface_backend.engines.anonymizers.background import FLAT, MARGIN
from privface_backend.errors import PrivFaceError
from privface_backend.models.checked import FOLDER, CheckedWeights
from privface_backend.models.table import TABLE
from privface_backend.pipeline.anonymizing import anonymize
from privface_backend.pipeline.claims.check import check_claim
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.plugins.ports import EngineContext, FaceKeeper, NoisyAnonymizer
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import AppliedBy, ErrorCode, FrameSource, Privacy
from support import faces, weights
from support.backend import encode
from support.engines import engine, face_of
from support.process import make_process

METHODS = {
    "background": ("gaussian", 17),
    "background+gaussian": ("gaussian", 17),
    "background+pixelate": ("pixelate", 10),
    "background+pixelate+noise": ("pixelate+noise", 16),
}


def keeper(name: str) -> FaceKeeper:
    found = engine(EngineKind.ANONYMIZER, name)
    assert isinstance(found, FaceKeeper)
    return found


def room() -> Pixels:
    """A picture without a face."""
    return np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", METHODS)
def test_the_blur_that_comes_last_judges_the_parameter(name: str) -> None:
    method, parameter = METHODS[name]
    ours, blur = keeper(name), engine(EngineKind.ANONYMIZER, method)
    assert ours.allowed == blur.allowed
    assert ours.sigma(parameter) == blur.sigma(parameter)
    assert ours.parameter_for(4.0) == blur.parameter_for(4.0)
    assert base_method(name) == method
    assert isinstance(ours, NoisyAnonymizer) == isinstance(blur, NoisyAnonymizer)
    with pytest.raises(PrivFaceError) as caught:
        ours.apply(room(), 0)
    assert caught.value.allowed == blur.allowed


@pytest.mark.parametrize("name", ["background", "background+pixelate"])
def test_a_face_is_kept_and_nothing_far_from_it(name: str) -> None:
    method, parameter = METHODS[name]
    for picture in faces.pictures(faces.LFW, 4):
        face = face_of(picture).box
        frame = np.zeros((500, 900, 3), np.uint8)
        frame[:, 600:] = room()[0, 0] | 64
        frame[100:350, 100:350] = picture
        done = anonymize(frame, keeper(name), Privacy(method=name, parameter=parameter), AppliedBy.BRIDGE, 900)
        assert done.privacy.kept is not None
        assert done.privacy.kept >= 1, "some pictures show two people"
        assert (done.pixels[:, 500:] == FLAT).all(), "what is beside the face is gone, and can't be told"
        middle = (100 + round(face.y + face.height / 2), 100 + round(face.x + face.width / 2))
        blurred = engine(EngineKind.ANONYMIZER, method).apply(frame, parameter)
        near = slice(middle[0] - 8, middle[0] + 8), slice(middle[1] - 8, middle[1] + 8)
        np.testing.assert_array_equal(done.pixels[near], blurred[near])


def test_the_region_is_the_box_with_its_margin() -> None:
    (picture,) = faces.pictures(faces.LFW, 1)
    face = face_of(picture).box
    region = next(box for box in keeper("background").find(picture) if box.overlap(face) > 0.1)
    assert (region.width, region.height) == pytest.approx(
        ((1 + 2 * MARGIN) * face.width, (1 + 2 * MARGIN) * face.height), rel=0.02
    )


@pytest.mark.parametrize("name", METHODS)
def test_without_a_face_the_frame_is_flat_and_says_so(name: str) -> None:
    method, parameter = METHODS[name]
    done = anonymize(room(), keeper(name), Privacy(method=name, parameter=parameter), AppliedBy.BRIDGE)
    assert done.privacy.kept == 0
    if method != "pixelate+noise":
        assert (done.pixels == FLAT).all()
    assert Privacy.from_dict(done.privacy.to_dict()) == done.privacy
    assert "kept" not in Privacy().to_dict(), "where nothing is taken away nothing is said"


def test_a_region_may_reach_over_the_edge() -> None:
    (picture,) = faces.pictures(faces.LFW, 1)
    face = face_of(picture).box
    cut = np.ascontiguousarray(picture[:, round(face.x) :])
    done = anonymize(cut, keeper("background"), Privacy(method="background", parameter=3), AppliedBy.BRIDGE)
    assert done.pixels.shape == cut.shape


def test_faces_are_compared_as_those_of_the_blur() -> None:
    """Templates that were enrolled blurred are there for what was cut out besides."""
    process = make_process()
    face = face_of(faces.pictures(faces.LFW, 1)[0])
    process.engines.anonymizers["background+pixelate"] = keeper("background+pixelate")  # type: ignore[index]  # a dict here
    level = process.level(Privacy(method="background+pixelate", parameter=10), face)
    assert level == PrivacyLevel("pixelate", level.relative)


@pytest.mark.parametrize("weights_of", [NoWeights(), "empty", "damaged"], ids=["none", "empty", "damaged"])
def test_without_its_detector_nothing_comes_out(weights_of: NoWeights | str, tmp_path: Path) -> None:
    if weights_of == "damaged":
        path = tmp_path / FOLDER / TABLE["yunet"].file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"something else")
    store = CheckedWeights(tmp_path) if isinstance(weights_of, str) else weights_of
    made = Registry().create(EngineKind.ANONYMIZER, "background", EngineContext(weights=store))
    with pytest.raises(PrivFaceError) as caught:
        anonymize(room(), made, Privacy(method="background", parameter=17), AppliedBy.BRIDGE)
    expected = ErrorCode.WEIGHTS_MISMATCH if weights_of == "damaged" else ErrorCode.WEIGHTS_MISSING
    assert caught.value.code is expected
    if isinstance(weights_of, str):
        assert "privface models fetch yunet" in caught.value.message


def test_the_bridges_weights_are_the_stores() -> None:
    store = weights.real()
    checked = CheckedWeights(store.deepface_home)
    assert checked.path("yunet") == store.path("yunet")
    assert checked.digest("yunet") == store.digest("yunet")


def test_several_threads_share_one_detector() -> None:
    pictures = faces.pictures(faces.LFW, 6)
    alone = [keeper("background").apply(picture, 9) for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda picture: keeper("background").apply(picture, 9), [*pictures] * 3))
    for one, other in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_bridge_says_how_many_faces_it_kept() -> None:
    """With its own weights, from a camera's JPEG to the card."""
    workshop = Workshop(
        registry=Registry(),
        limits=PictureLimits(),
        keep=timedelta(seconds=10),
        weights=CheckedWeights(weights.real().deepface_home),
        noise=Privacy(epsilon=2.0, sensitivity=4),
    )
    own = Strength(method="background+pixelate+noise", parameter=16)
    kept = []
    for pixels in (faces.pictures(faces.LFW, 1)[0], room()):
        picture = Picture(
            camera="door", data=encode(pixels, ".jpg"), captured_at=datetime.now(UTC), source=FrameSource.MQTT
        )
        done = workshop.prepare(picture, own, None)
        assert done.card.privacy is not None
        assert (done.card.privacy.epsilon, done.card.privacy.sensitivity) == (2.0, 4)
        check_claim(done.content, own.method, own.parameter)
        kept.append(done.card.privacy.kept)
    assert kept[0]
    assert kept[1] == 0
