"""``privface show``: in words and as a picture for its owner alone, from a file or a camera, and of bad input."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from privface_backend.domain.exposure import GALLERY, SOURCE, TABLES, Exposure, exposure
from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import sigma_of_kernel
from privface_backend.protection.keys import KeyFolder
from privface_backend.protection.settings import default_folder
from privface_backend.storage.database import Database
from support import http_camera
from support.backend import ADA, BEN, encode, pixels
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.here import Here

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Here(root=tmp_path)
    made.configure(SYNTHETIC + NO_BROKER)
    return made


def put(home: Home, name: str, data: bytes) -> Path:
    path = home.root / name
    path.write_bytes(data)
    return path


def drawn(path: Path) -> Pixels:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


@pytest.mark.parametrize("method", TABLES)
def test_each_table_is_one_that_was_measured(method: str) -> None:
    table = TABLES[method]
    assert len(table) >= 5
    assert table[0] == Exposure(relative=0, found=TABLES["gaussian"][0].found, named=TABLES["gaussian"][0].named)
    assert all(low.relative < high.relative for low, high in pairwise(table))
    assert all(0 <= share <= 1 for row in table for share in (row.found, row.named))
    assert str(GALLERY) in SOURCE
    for row in table:
        found = exposure(method, row.relative)
        assert found is not None
        assert found == exposure(f"background+{method}", row.relative)
        assert found.found == pytest.approx(row.found)
        assert found.named == pytest.approx(row.named)
        assert not found.at_most
    beyond = exposure(method, 5.0)
    assert beyond is not None
    assert (beyond.found, beyond.named, beyond.at_most) == (table[-1].found, table[-1].named, True)
    low, high = table[2:4]
    between = exposure(method, (low.relative + high.relative) / 2)
    assert between is not None
    assert min(low.found, high.found) <= between.found <= max(low.found, high.found)


def test_of_another_method_nothing_is_known_but_of_what_is_clear() -> None:
    assert exposure("third-party", 0.02) is None
    assert exposure("none", 0.0) == TABLES["gaussian"][0]


def test_in_words_and_as_a_picture(home: Home) -> None:
    put(home, "door.png", encode(pixels(ADA, BEN)))
    done = home.run("show", "door.png", "-o", "seen.png")
    assert done.code == 0, done.err
    assert "face 2:" in done.out
    assert "gaussian  17: r = " in done.out
    assert "never anonymous" in done.out
    output = home.root / "seen.png"
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    height, width = drawn(output).shape[:2]
    assert (width, height) == (2 * 640 + 4, 2 * (360 + 26) + 4), "clear, half as strong, as set, twice as strong"


def test_as_json_each_face_has_its_own_r(home: Home) -> None:
    put(home, "door.png", encode(pixels(ADA, BEN)))
    (report,) = home.run("--json", "show", "door.png", "--parameter", "33").lines
    assert (report["method"], report["chosen"], report["advice"], report["output"]) == ("gaussian", 33, None, None)
    assert len(report["faces"]) == 2
    for face in report["faces"]:
        (chosen,) = [one for one in face["strengths"] if one["parameter"] == 33]
        assert chosen["relative"] == pytest.approx(sigma_of_kernel(33) / face["width"], abs=1e-3)
        found = [one["found"] for one in face["strengths"]]
        assert found == sorted(found, reverse=True)
    assert list(home.root.glob("*.png")) == [home.root / "door.png"]


@pytest.mark.parametrize("method", ["gaussian", "pixelate"])
def test_a_chosen_r_is_reached(home: Home, method: str) -> None:
    put(home, "door.png", encode(pixels(ADA)))
    (report,) = home.run("--json", "show", "door.png", "--relative", "0.05", "--method", method).lines
    (chosen,) = [one for one in report["faces"][0]["strengths"] if one["parameter"] == report["chosen"]]
    assert 0.05 <= chosen["relative"] <= 0.06


def test_the_clear_picture_can_be_left_out(home: Home) -> None:
    clear = pixels(ADA)
    put(home, "door.png", encode(clear))
    assert home.run("show", "door.png", "-o", "with.png").code == 0
    assert home.run("show", "door.png", "-o", "without.png", "--no-clear").code == 0
    with_clear, without = drawn(home.root / "with.png"), drawn(home.root / "without.png")
    assert without.shape == with_clear.shape
    blurred = cv2.GaussianBlur(clear, (17, 17), 0)
    # Well inside of the face, where neither box nor text is.
    rows, columns = slice(130, 190), slice(70, 130)
    first, second = (slice(156, 216), columns), (slice(156, 216), slice(644 + 70, 644 + 130))
    assert np.array_equal(with_clear[first], clear[rows, columns])
    assert np.array_equal(without[second], blurred[rows, columns])
    assert not np.array_equal(without[first], clear[rows, columns])
    assert (without[390:, 644:] == 255).all(), "nothing stands in the fourth place"


def test_an_older_picture_is_replaced_by_one_that_only_the_owner_reads(home: Home) -> None:
    put(home, "door.png", encode(pixels(ADA)))
    output = put(home, "seen.png", b"old")
    output.chmod(0o644)
    assert home.run("show", "door.png", "-o", output).code == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert not list(home.root.glob(".privface-*"))


def test_a_picture_that_lies_on_its_side_is_turned_as_its_exif_says(home: Home) -> None:
    upright = Image.fromarray(pixels(ADA)[:, :, ::-1])
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", quality=95, exif=exif)
    put(home, "phone.jpg", file.getvalue())
    (report,) = home.run("--json", "show", "phone.jpg").lines
    assert len(report["faces"]) == 1


def _bad(home: Home) -> dict[str, Path]:
    good = encode(pixels(ADA), ".jpg")
    return {
        "empty": put(home, "empty.png", encode(pixels())),
        "tiny": put(home, "tiny.png", encode(pixels(ADA)[:8, :8].copy())),
        "cut": put(home, "cut.jpg", good[: len(good) // 2]),
        "text": put(home, "text.png", b"no picture"),
        "missing": home.root / "missing.png",
    }


@pytest.mark.parametrize(
    ("name", "code", "ending"),
    [
        ("empty", "no_face", 1),
        ("tiny", "picture_unreadable", 1),
        ("cut", "picture_truncated", 1),
        ("text", "picture_format", 1),
        ("missing", "not_found", 2),
    ],
)
def test_a_picture_that_cannot_be_shown_leaves_none(home: Home, name: str, code: str, ending: int) -> None:
    done = home.run("--json", "show", _bad(home)[name], "-o", "seen.png")
    assert (done.error["code"], done.code) == (code, ending)
    assert not (home.root / "seen.png").exists()


@pytest.mark.parametrize(
    ("typed", "code", "allowed"),
    [
        ([], "bad_request", "a picture, --camera NAME"),
        (["door.png", "--parameter", "16"], "bad_privacy_parameter", "an odd kernel size"),
        (["door.png", "--parameter", "17", "--relative", "0.1"], "bad_request", "--parameter or --relative"),
        (["door.png", "--relative", "0"], "bad_request", "more than 0"),
        (["door.png", "--relative", "nan"], "bad_request", "more than 0"),
        (["door.png", "--method", "none"], "bad_privacy_parameter", "another method"),
        (["door.png", "-o", "seen.jpg"], "bad_request", "ends in .png"),
        (["door.png", "-o", "nowhere/seen.png"], "bad_request", "a directory that is there"),
        (["--camera", "nowhere"], "bad_request", "a picture's file beside --camera"),
    ],
)
def test_what_cannot_be_meant_is_said(home: Home, typed: list[str], code: str, allowed: str) -> None:
    put(home, "door.png", encode(pixels(ADA)))
    done = home.run("--json", "show", *typed)
    assert done.code == 2
    assert done.error["code"] == code
    assert allowed in done.error["allowed"]


async def test_from_a_cameras_own_address(home: Home) -> None:
    async with http_camera.camera(door=http_camera.snapshot(pixels(ADA))) as url:
        camera = f"cameras: {{door: {{address: '{url}/door', parameter: 25}}}}\n"
        home.configure(SYNTHETIC + NO_BROKER + camera)
        done = await asyncio.to_thread(home.run, "--json", "show", "--camera", "door", "-o", "seen.png")
    (report,) = done.lines
    assert (report["chosen"], len(report["faces"])) == (25, 1)
    assert (home.root / "seen.png").is_file()


async def test_a_camera_that_is_away_is_said(home: Home) -> None:
    home.configure(SYNTHETIC + NO_BROKER + "cameras: {door: {address: 'http://127.0.0.1:9/door'}}\n")
    done = await asyncio.to_thread(home.run, "--json", "show", "--camera", "door", "-o", "seen.png")
    assert done.error["code"] == "link_unreachable"
    assert not (home.root / "seen.png").exists()


def learned(home: Home, **entry: Any) -> None:
    """Put what a backend has learned of the camera ``door`` into the data directory."""

    home.data.mkdir(mode=0o700, exist_ok=True)
    database = Database(home.data / "privface.db", KeyFolder(default_folder()))
    counts = [0.0] * 14 + [30.0] + [0.0] * 9
    door = {"counts": counts, "last": 0.0, "target": 0.03, "kernel": 25} | entry
    database.set_meta("face_sizes", json.dumps({"longest": 640, "cameras": {"door": door}}))
    database.close()


@pytest.mark.parametrize(
    ("camera", "chosen"),
    [
        ("", 25),
        ("cameras: {door: {topic: t, adaptive: true}}\n", 25),
        ("cameras: {door: {topic: t, adaptive: true, most: 21}}\n", 21),
        ("cameras: {door: {topic: t, parameter: 33, adaptive: true}}\n", 33),
        ("cameras: {door: {topic: t, parameter: 9}}\n", 9),
    ],
)
def test_what_the_camera_uses_is_what_is_shown(home: Home, camera: str, chosen: int) -> None:
    home.configure(SYNTHETIC + NO_BROKER + camera)
    learned(home)
    put(home, "door.png", encode(pixels(ADA)))
    (report,) = home.run("--json", "show", "door.png", "--camera", "door").lines
    assert (report["chosen"], report["advice"]["kernel"], report["advice"]["faces"]) == (chosen, 25, 30)
    assert "Advised for door: k = 25, from 30 faces" in home.run("show", "door.png", "--camera", "door").out
