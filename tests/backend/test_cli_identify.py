"""``privface identify`` as a process: lines, exit codes, and files that are no pictures."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from privface_backend.cli.exits import Exit
from support.backend import ADA, BEN, STRANGER, picture, pixels, video
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.faces import require_data
from support.here import Here

pytestmark = pytest.mark.slow

KEYS = {"file", "frame", "faces", "privacy", "engine", "latency_ms"}
FACE_KEYS = {"box", "outcome", "person", "score", "threshold", "reason"}
PRIVACY_KEYS = {"method", "parameter", "relative", "applied_by"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home where Ada and Ben are enrolled, with pictures."""
    made = Here(root=tmp_path_factory.mktemp("home"))
    made.configure(SYNTHETIC + NO_BROKER)
    for name, identity in (("Ada", ADA), ("Ben", BEN)):
        (made.root / "people" / name).mkdir(parents=True)
        (made.root / "people" / name / "1.png").write_bytes(picture(identity))
        (made.root / f"{name.lower()}.png").write_bytes(picture(identity, side=140))
    (made.root / "stranger.png").write_bytes(picture(STRANGER))
    (made.root / "both.png").write_bytes(picture(ADA, BEN))
    (made.root / "nobody.png").write_bytes(picture())
    done = made.run("enroll", "people")
    assert done.code == Exit.OK, done.err
    return made


def test_a_line_a_file_with_the_promised_keys(home: Home) -> None:
    done = home.run("identify", "ada.png", "stranger.png", "both.png", "nobody.png", "--json")
    assert (done.code, done.err) == (Exit.OK, "")
    assert [line["file"] for line in done.lines] == ["ada.png", "stranger.png", "both.png", "nobody.png"]
    for line in done.lines:
        assert line.keys() >= KEYS
        assert line["privacy"].keys() == PRIVACY_KEYS
        assert line["engine"] == {"detector": "synthetic", "recognizer": "synthetic"}
        assert line["latency_ms"]["total"] > 0
        assert all(face.keys() >= FACE_KEYS for face in line["faces"])
    ada, stranger, both, nobody = done.lines
    assert [(face["outcome"], face["person"], face["reason"]) for face in ada["faces"]] == [("known", "Ada", "ok")]
    assert [(face["outcome"], face["person"]) for face in stranger["faces"]] == [("unknown", None)]
    assert sorted(face["person"] for face in both["faces"]) == ["Ada", "Ben"]
    assert nobody["faces"] == []
    assert ada["faces"][0]["score"] > ada["faces"][0]["threshold"]
    assert all(0 <= side <= 1 for side in ada["faces"][0]["box"])


def test_the_privacy_asked_for_is_applied(home: Home) -> None:
    done = home.run("identify", "ada.png", "--method", "pixelate", "--privacy", "4", "--json")
    privacy = done.lines[0]["privacy"]
    assert (privacy["method"], privacy["parameter"], privacy["applied_by"]) == ("pixelate", 4, "backend")
    assert privacy["relative"] > 0
    (line,) = home.run("identify", "ada.png", "--privacy", "31", "--json").lines
    assert (line["privacy"]["method"], line["privacy"]["parameter"]) == ("gaussian", 31)
    (line,) = home.run("identify", "ada.png", "--method", "none", "--json").lines
    assert (line["privacy"]["parameter"], line["privacy"]["relative"]) == (1, 0.0)


@pytest.mark.parametrize("value", ["16", "-3", "0", "257", "9" * 30])
def test_a_privacy_parameter_that_does_not_fit(home: Home, value: str) -> None:
    done = home.run("identify", "ada.png", "--privacy", value)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert "allowed: an odd kernel size in pixels, 1 (no blur) to 255" in done.err


def test_a_wrong_parameter_is_refused_before_any_weights_are_fetched(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    home.configure("")
    done = home.run("identify", "a.jpg", "--privacy", "8", "--json")
    assert (done.code, done.error["code"]) == (Exit.USAGE, "bad_privacy_parameter")
    assert not (home.data / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--privacy", "x"], None),
        (["--method", "nonsense"], "engine_unknown"),
        (["--engine", "nonsense"], "engine_unknown"),
        (["--engine", "a+b+c+d"], "engine_unknown"),
    ],
)
def test_wrong_options(home: Home, arguments: list[str], code: str | None) -> None:
    done = home.run("identify", "ada.png", *arguments, "--json")
    assert done.code == Exit.USAGE
    if code is not None:
        assert done.error["code"] == code
        assert done.error["allowed"]


def test_engines_by_name(home: Home) -> None:
    for name in ("synthetic", "synthetic+synthetic", "synthetic+synthetic+five-point"):
        done = home.run("identify", "ada.png", "--engine", name, "--json")
        assert done.lines[0]["faces"][0]["person"] == "Ada"


def test_detail(home: Home) -> None:
    (line,) = home.run("identify", "ada.png", "--detail", "--json").lines
    (face,) = line["detail"]["faces"]
    assert [near["person"] for near in face["candidates"]] == ["Ada", "Ben"]
    assert line["detail"]["frame_size"] == [640, 360]
    assert "nearest: Ada" in home.run("identify", "ada.png", "--detail").out


def test_words_for_people(home: Home) -> None:
    done = home.run("identify", "ada.png", "stranger.png", "nobody.png", "missing.png")
    known, unknown, none, missing = done.out.splitlines()
    assert known.startswith("ada.png: known: Ada (")
    assert unknown.startswith("stranger.png: unknown (below_threshold: nearest ")
    assert none == "nobody.png: no face"
    assert missing == "missing.png: There is no such file. (not_found)"
    assert done.code == Exit.UNFINISHED


def test_files_that_can_not_be_read_stop_no_others(home: Home) -> None:
    bad = home.root / "bad"
    bad.mkdir()
    (bad / "text.jpg").write_text("This is no picture.")
    (bad / "empty.png").write_bytes(b"")
    (bad / "half.jpg").write_bytes((data := picture(ADA, kind=".jpg"))[: len(data) // 2])
    (bad / "bomb.png").write_bytes(_huge(10_000, 10_000))
    (bad / "folder.png").mkdir()
    (bad / "text.mp4").write_text("This is no video.")
    (bad / "large.png").write_bytes(picture(ADA) + bytes(21 * 1024 * 1024))
    paths = ["bad/missing.jpg", *(f"bad/{path.name}" for path in sorted(bad.iterdir()) if path.is_file())]
    done = home.run("identify", *paths, "ada.png", "--json")
    assert done.code == Exit.UNFINISHED
    codes = {line["file"]: line["error"]["code"] for line in done.lines if "error" in line}
    assert codes == {
        "bad/missing.jpg": "not_found",
        "bad/text.jpg": "picture_format",
        "bad/empty.png": codes["bad/empty.png"],
        "bad/half.jpg": "picture_truncated",
        "bad/bomb.png": "picture_too_large",
        "bad/text.mp4": "video_unreadable",
        "bad/large.png": "picture_too_large",
    }
    assert done.lines[-1]["faces"][0]["person"] == "Ada"


def _huge(width: int, height: int) -> bytes:
    """A PNG that says it is that large, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_endless_and_odd_files(home: Home) -> None:
    done = home.run("identify", "/dev/zero", "/dev/null", "--json")
    assert [line["error"]["code"] for line in done.lines] == ["picture_too_large", done.lines[1]["error"]["code"]]
    assert done.code == Exit.UNFINISHED


def test_a_name_that_is_no_text(home: Home) -> None:
    (home.root / "odd").mkdir()
    with open(bytes(home.root) + b"/odd/\xff\xfe.png", "wb") as file:  # noqa: PTH123  # a Path can't be made of bytes
        file.write(picture(ADA))
    done = home.run("identify", "odd", "--json")
    assert done.code == Exit.OK, done.err
    assert done.lines[0]["faces"][0]["person"] == "Ada"
    assert "known: Ada" in home.run("identify", "odd").out


def test_a_directory_is_walked(home: Home) -> None:
    folder = home.root / "walk"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    for name in ("b.PNG", "deep/a.png", ".c.png", "deep/.hidden/d.png"):
        (folder / name).write_bytes(picture(ADA))
    (folder / "notes.txt").write_text("no picture")
    done = home.run("identify", "walk", "--json")
    assert [line["file"] for line in done.lines] == ["walk/b.PNG", "walk/deep/a.png"]
    (home.root / "empty").mkdir()
    done = home.run("identify", "empty", "--json")
    assert (done.code, done.out, done.err) == (Exit.OK, "", "There are no pictures or videos.\n")


def test_a_video_gives_a_line_a_frame_with_a_face(home: Home) -> None:
    (home.root / "door.mp4").write_bytes(video([pixels(), pixels(ADA), pixels(ADA), pixels()]))
    (home.root / "empty.mp4").write_bytes(video([pixels(), pixels()]))
    done = home.run("identify", "door.mp4", "empty.mp4", "--json")
    assert done.code == Exit.OK
    found = [(line["file"], line["frame"], [face["person"] for face in line["faces"]]) for line in done.lines]
    assert found == [("door.mp4", 1, ["Ada"]), ("door.mp4", 2, ["Ada"]), ("empty.mp4", 1, [])]
    assert "door.mp4#1: known: Ada" in home.run("identify", "door.mp4").out


def test_a_video_over_the_limit(home: Home) -> None:
    (home.root / "long.mp4").write_bytes(video([pixels(ADA)] * 30))
    done = home.run("identify", "long.mp4", "--json", PRIVFACE_PIPELINE__VIDEO_SECONDS="1")
    assert (done.code, done.lines[-1]["error"]["code"]) == (Exit.UNFINISHED, "body_too_large")


@pytest.mark.faces
def test_real_videos_are_read(home: Home) -> None:
    clips = require_data() / "video"
    done = home.run("identify", clips / "no_face.mp4", clips / "noface_then_face.mov", "--json")
    assert done.code == Exit.OK
    assert {Path(line["file"]).name for line in done.lines} == {"no_face.mp4", "noface_then_face.mov"}
    assert all(face["person"] is None for line in done.lines for face in line["faces"])


def test_where_nobody_is_enrolled(home: Home) -> None:
    done = home.run("identify", "ada.png", "--data-dir", "another", "--json")
    assert done.lines[0]["faces"][0]["reason"] == "nobody_enrolled"
    assert done.code == Exit.OK


def test_on_a_terminal_a_video_shows_how_far_it_is(home: Home) -> None:
    (home.root / "film.mp4").write_bytes(video([pixels(ADA)] * 30))
    code, shown = home.run_on_terminal("identify", "film.mp4")
    assert code == Exit.OK
    assert "film.mp4" in shown
    assert "/30" in shown
