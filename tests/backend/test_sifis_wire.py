"""What recognition sees over the ancestor's routes: blurred pixels, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import cv2
import numpy as np
import pytest
import yarl

from privface_backend.app import Backend, open_backend
from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.gallery.folder import sync_folder
from privface_backend.rest.application import create_application
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.settings import Settings
from privface_backend.settings_sections import EngineSettings, LinkSettings
from support import weights
from support.backend import ADA, BEN, STRANGER, form, make_settings, picture, pixels, serve
from support.faces import require_data
from support.recording import RecordingRegistry
from support.rtsp import rtsp_server
from support.videos import cut, decode, encode

pytestmark = pytest.mark.slow

ID = "33466553786f48cb72faad7b2fb9d0952c97"
TAIL = f"{ID}/NSSD/2023061906001633466553786f48cb72faad7b2fb9d0952c97"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service, and what its engines got."""

    backend: Backend
    engines: RecordingRegistry
    url: str

    async def post(self, address: str, data: bytes | None = None) -> Any:
        body = None if data is None else form(data, path="/app/database")
        async with (
            aiohttp.ClientSession() as session,
            session.post(yarl.URL(self.url + address, encoded=True), data=body) as response,
        ):
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def enroll(self, folder: Path) -> None:
        core = self.backend.core
        reports = [report async for report in sync_folder(folder, core.gallery, core.recognition.represent)]
        assert reports
        self.engines.clear()


@asynccontextmanager
async def serving(settings: Settings, *, record: bool = True) -> AsyncIterator[Service]:
    engines = RecordingRegistry()
    async with open_backend(settings, registry=engines if record else None) as backend:
        await backend.engines_ready()
        app = create_application(backend.services, more_routes=ancestor_routes(settings))
        async with serve(app, "127.0.0.1", 0) as port:
            yield Service(backend=backend, engines=engines, url=f"http://127.0.0.1:{port}")


def blurred(frame: Pixels, k: int) -> Pixels:
    """What the ancestor's blur makes of a frame that was brought to the working size."""
    size = working_size(Size(frame.shape[1], frame.shape[0]))
    if (size.width, size.height) != frame.shape[1::-1]:
        frame = np.asarray(cv2.resize(frame, (size.width, size.height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.GaussianBlur(frame, (k, k), 0), dtype=np.uint8)


def check_only_blurred(engines: RecordingRegistry, frames: Sequence[Pixels], k: int) -> None:
    """The detector got each frame blurred, bit by bit, and every crop was cut from one of those."""
    assert len(engines.detected) == len(frames)
    for got, frame in zip(engines.detected, frames, strict=True):
        np.testing.assert_array_equal(got, blurred(frame, k))
        assert not np.array_equal(got, frame)
    seen = {picture.tobytes() for picture in engines.detected}
    assert engines.represented
    # A crop that turns out to be of no use is not represented.
    assert len(engines.aligned) >= len(engines.represented)
    assert all(picture.tobytes() in seen for picture in engines.aligned)


@pytest.mark.parametrize("k", [9, 17])
async def test_an_uploaded_video(tmp_path: Path, k: int) -> None:
    large = [np.ascontiguousarray(np.kron(pixels(ADA, number), np.ones((2, 2, 1), np.uint8))) for number in range(4)]
    async with serving(make_settings(tmp_path)) as service:
        await service.post(f"/check_directory/sample.mp4/{k}/{TAIL}", data := encode(large))
        check_only_blurred(service.engines, decode(data), k)


async def test_an_uploaded_picture(tmp_path: Path) -> None:
    async with serving(make_settings(tmp_path)) as service:
        await service.post(f"/check_directory/sample.png/17/{TAIL}", picture(ADA, BEN))
        check_only_blurred(service.engines, [pixels(ADA, BEN)], 17)


async def test_a_camera_link(tmp_path: Path) -> None:
    data = encode([pixels(ADA, STRANGER)] * 20, kind="mpegts")
    frames = {blurred(frame, 17).tobytes() for frame in decode(data)}
    async with rtsp_server(data) as camera:
        link = f"rtsp://127.0.0.1:{camera.port}/live"
        async with serving(make_settings(tmp_path, links=LinkSettings(allow=(link,), seconds=2))) as service:
            await service.post(f"/cam_face_recognition/{quote(link, safe='')}/17/{TAIL}")
            engines = service.engines
    assert engines.detected
    assert engines.represented
    # A player may conceal what is missing where the stream starts over; each complete frame is bit-equal.
    assert sum(got.tobytes() in frames for got in engines.detected) > 0.8 * len(engines.detected)
    sharpest = max(sharpness(np.frombuffer(frame, np.uint8).reshape(360, 640, 3)) for frame in frames)
    assert all(sharpness(got) < 1.2 * sharpest for got in engines.detected)
    assert sharpness(pixels(ADA, STRANGER)) > 5 * sharpest


def sharpness(frame: Pixels) -> float:
    return float(np.asarray(cv2.Laplacian(frame, cv2.CV_64F)).var())


def real_settings(directory: Path) -> Settings:
    """The default engines; skips without their weights."""
    store = weights.real()
    return replace(make_settings(directory), models_dir=store.deepface_home, engines=EngineSettings())


@pytest.mark.faces
@pytest.mark.weights
async def test_the_sample_call_names_the_right_people_and_nobody_else(tmp_path: Path) -> None:
    video = require_data() / "video"
    async with serving(real_settings(tmp_path)) as service:
        await service.enroll(video / "enrol")
        expected = {"single_face_door.mp4": {"P1"}, "head-pose-face-detection-female.mp4": {"W1"}, "no_face.mp4": set()}
        for name, people in expected.items():
            service.engines.clear()
            data = await asyncio.to_thread((video / name).read_bytes)
            labels = await service.post(f"/check_directory/{name}/17/{TAIL}", data)
            paths = [path.removeprefix("/app/database/") for path in labels.values()]
            assert {path.partition("/")[0] for path in paths} == people
            assert all((video / "enrol" / path).is_file() for path in paths)
            if people:
                check_only_blurred(service.engines, decode(data), 17)


@pytest.mark.faces
@pytest.mark.weights
async def test_people_from_behind_are_nobody(tmp_path: Path) -> None:
    video = require_data() / "video"
    async with serving(real_settings(tmp_path), record=False) as service:
        await service.enroll(video / "enrol")
        name = "one-by-one-person-detection.mp4"
        data = cut(await asyncio.to_thread((video / name).read_bytes), 130)
        answer = await service.post(f"/check_directory/{name}/17/{TAIL}?detail=1", data)
    assert answer["labels"] == {}
    assert answer["frames_total"] == len(decode(data)) >= 120
    assert answer["frames_with_faces"] > 0
