"""``privface evaluate`` on households of drawn faces, with synthetic engines."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from privface_backend.cli.exits import Exit
from support import weights
from support.cli import NO_BROKER, SYNTHETIC
from support.faces import DATA, require_data
from support.here import Here, draw_picture
from support.videos import encode, scene

pytestmark = pytest.mark.slow

KEYS = {
    "set", "engine", "method", "parameter", "relative", "gallery", "enrolled", "enrolled_pictures", "probes",
    "strangers", "pairs", "fta", "fte", "rank1", "tpir", "named", "accuracy", "accuracy_deviation", "eer", "fmr",
    "fnmr", "fnmr_at_fmr", "intervals", "visits",
}  # fmt: skip
WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None
from privface_backend.cli import main
sys.exit(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Here:
    made = Here(root=tmp_path)
    made.configure(SYNTHETIC + NO_BROKER)
    return made


def write_household(root: Path) -> Path:
    """Three people with two pictures to enroll and two probes each, and six strangers; one probe shows nobody."""
    rows = ["path,identity,role,household"]
    for person in range(3):
        for seed in range(4):
            name = draw_picture(root / f"{person}-{seed}.png", person, seed)
            rows.append(f"{name},Person {person},{'enrol' if seed < 2 else 'probe'},home")
    rows += [f"{draw_picture(root / f'{one}.png', one)},{one},stranger,home" for one in range(10, 16)]
    empty = np.full((240, 320, 3), 128, dtype=np.uint8)
    assert cv2.imwrite(str(root / "empty.png"), empty)
    rows.append("empty.png,Person 0,probe,home")
    manifest = root / "set.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest


def files_below(folder: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def runs_of(home: Here, *arguments: str | Path) -> Sequence[dict[str, Any]]:
    done = home.run("evaluate", *arguments, "--json")
    assert done.code == Exit.OK, done.err
    (document,) = done.lines
    assert document["schema"] == 1
    assert all(run.keys() == KEYS for run in document["runs"])
    return list(document["runs"])


def test_a_household_in_every_gallery(home: Here) -> None:
    manifest = write_household(home.root)
    galleries = [part for kind in ("clear", "matched", "sent", "baseline", "sealed") for part in ("--gallery", kind)]
    runs = runs_of(home, "household", "--manifest", manifest, "--parameter", "1,9", *galleries)
    about = [(run["gallery"], run["parameter"]) for run in runs]
    assert about == [(kind, k) for kind in ("clear", "matched", "sent", "baseline", "sealed") for k in (1, 9)]
    for run in runs:
        assert (run["set"], run["engine"], run["method"]) == ("home", "synthetic+synthetic+five-point", "gaussian")
        assert (run["enrolled"], run["enrolled_pictures"], run["probes"], run["strangers"]) == (3, 6, 7, 6)
        assert (run["fta"], run["fte"]) == (pytest.approx(1 / 13, abs=1e-5), 0)
        # The picture of nobody is a miss; all others are told apart.
        assert run["rank1"] == run["tpir"]["0.01"][0] == run["named"]["tpir"][0] == pytest.approx(6 / 7, abs=1e-5)
        assert set(run["tpir"]) == {"0.01", "0.001"}
        assert run["named"]["fpir"][0] == run["named"]["wrong"] == run["eer"] == 0
        assert run["accuracy"] is run["pairs"] is run["visits"] is None
    assert runs[0]["relative"] == 0 < runs[1]["relative"]


def test_the_second_run_reads_what_the_first_kept(home: Here) -> None:
    manifest = write_household(home.root)
    wanted = ("household", "--manifest", manifest, "--parameter", "9")
    first = runs_of(home, *wanted)
    kept = files_below(home.data / "evaluation-cache")
    # A look at each of 13 pictures, a ladder of each of 6.
    assert len(kept) == 19
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    assert runs_of(home, *wanted) == first
    assert files_below(home.data / "evaluation-cache") == kept
    next(iter(kept)).write_bytes(b"broken")
    assert runs_of(home, *wanted) == first
    assert files_below(home.data / "evaluation-cache") == kept
    assert home.run("evaluate", "clear-cache", "--json").lines == [{"removed": 19}]
    assert not (home.data / "evaluation-cache").exists()
    runs_of(home, *wanted, "--no-cache")
    assert not (home.data / "evaluation-cache").exists()


def test_a_folder_leaves_each_picture_out(home: Here) -> None:
    for person in range(3):
        for seed in range(3):
            draw_picture(home.root / f"people/P{person}/{seed}.png", person, seed)
    (run,) = runs_of(home, "household", "--folder", "people", "--parameter", "1", "--cache", "kept")
    assert (run["set"], run["probes"], run["strangers"], run["enrolled_pictures"]) == ("people", 9, 9, 9)
    assert (run["rank1"], run["named"]["tpir"][0], run["named"]["fpir"][0]) == (1, 1, 0)
    assert files_below(home.root / "kept")
    # One person's pictures of two people: the probe must not find itself.
    draw_picture(home.root / "people/P0/odd.png", 40)
    (odd,) = runs_of(home, "household", "--folder", "people", "--parameter", "1", "--cache", "kept")
    assert odd["named"]["tpir"][0] == pytest.approx(0.9)


def test_the_own_gallery(home: Here) -> None:
    for person in range(3):
        for seed in range(2):
            draw_picture(home.root / f"people/P{person}/{seed}.png", person, seed)
    assert home.run("enroll", "people").code == Exit.OK
    runs = runs_of(home, "household", "--own")
    # Clear, and the strengths of the ladder that an 80-pixel face can have.
    assert [run["parameter"] for run in runs] == [None] * len(runs)
    assert [run["method"] for run in runs] == ["none", *["gaussian"] * (len(runs) - 1)]
    strengths = [run["relative"] for run in runs]
    assert strengths == sorted(strengths)
    assert len(runs) > 5
    for run in runs:
        assert (run["probes"], run["strangers"], run["rank1"], run["named"]["fpir"][0]) == (6, 6, 1, 0)


def test_an_own_gallery_of_single_pictures_is_refused(home: Here) -> None:
    for person in range(2):
        draw_picture(home.root / f"people/P{person}.png", person)
    home.run("enroll", "people")
    done = home.run("evaluate", "household", "--own", "--json")
    assert (done.code, done.error["code"]) == (Exit.USAGE, "bad_request")


def test_pairs(home: Here) -> None:
    rows = ["path_a,path_b,same,identity_a,identity_b"]
    for person in range(12):
        first, second = (draw_picture(home.root / f"{person}-{seed}.png", person, seed) for seed in range(2))
        rows += [f"{first},{second},1,{person},{person}", f"{first},{(person + 1) % 12}-1.png,0,{person},{person + 1}"]
    (home.root / "pairs.csv").write_text("\n".join(rows))
    galleries = ("--gallery", "sent", "--gallery", "baseline")
    runs = runs_of(home, "pairs", "--pairs", "pairs.csv", "--parameter", "1", "--parameter", "9", *galleries)
    assert [(run["gallery"], run["parameter"]) for run in runs] == [
        ("sent", 1), ("sent", 9), ("baseline", 1), ("baseline", 9),
    ]  # fmt: skip
    for run in runs:
        assert (run["set"], run["pairs"], run["accuracy"], run["eer"]) == ("pairs", 24, 1, 0)
        assert (run["fmr"][0], run["fnmr"][0], run["fnmr_at_fmr"]["0.01"][0]) == (0, 0, 0)
        assert run["tpir"] is run["rank1"] is run["enrolled"] is None


def frames(*faces: int | None, each: int = 12) -> Iterator[Any]:
    """A clip at 10 frames a second: each person for a while, None for an empty room."""
    for face in faces:
        for _ in range(each):
            yield scene() if face is None else scene(face)


def test_clips(home: Here) -> None:
    for person in range(2):
        for seed in range(2):
            draw_picture(home.root / f"enrol/P{person}/{seed}.png", person, seed)
    # A gap is longer than the 8 seconds after which a visit is over.
    gap = [None] * 8
    (home.root / "door.mp4").write_bytes(encode(frames(0, *gap, 20, *gap, 1)))
    (home.root / "door_truth.csv").write_text(
        "start_frame,end_frame,start_s,identity\n0,11,0,P0\n108,119,10.8,STRANGER:X\n216,227,21.6,P1\n"
    )
    (home.root / "hall.mp4").write_bytes(encode(frames(0)))
    (home.root / "clips.csv").write_text("file,who\ndoor.mp4,\nhall.mp4,P1 alone\n")
    wanted = ("clips", "--clips", "clips.csv", "--parameter", "1", "--gallery", "matched", "--gallery", "baseline")
    runs = runs_of(home, *wanted)
    assert [(run["set"], run["gallery"]) for run in runs] == [
        ("door.mp4", "matched"), ("door.mp4", "baseline"), ("hall.mp4", "matched"), ("hall.mp4", "baseline"),
    ]  # fmt: skip
    for run in runs[:2]:
        said = run["visits"]["confirmed"]
        assert (said["visits"], said["right"], said["missed"], said["named"]) == (2, 2, 0, ["P0", "P1"])
        assert (said["strangers"], said["strangers_named"], said["false_names"]) == (1, 0, 0)
        assert 0 <= said["seconds_to_name"] < 3
    # Only P1 is said to be there.
    assert runs[2]["visits"]["confirmed"]["false_names"] >= 1
    assert runs[2]["visits"]["confirmed"]["visits"] is None
    kept = files_below(home.data)
    assert runs_of(home, *wanted) == runs
    assert files_below(home.data).keys() == kept.keys()


def test_the_table_the_file_and_the_plots(home: Here) -> None:
    pytest.importorskip("matplotlib")
    manifest = write_household(home.root)
    done = home.run(
        "evaluate",
        "household",
        "--manifest",
        manifest,
        "--parameter",
        "1,17",
        "--output",
        "out.json",
        "--plots",
        "plots",
    )
    assert done.code == Exit.OK, done.err
    assert "TPIR at 1 %" in done.out
    assert "85.7 (" in done.out
    document = json.loads((home.root / "out.json").read_text())
    assert [run["parameter"] for run in document["runs"]] == [1, 17]
    for kind in ("roc", "det", "privacy"):
        plot = cv2.imread(str(home.root / f"plots/home-{kind}.png"))
        assert plot is not None
        assert plot.std() > 5
        assert f"home-{kind}.png" in done.out


def test_without_matplotlib_only_plots_are_refused(home: Here) -> None:
    manifest = write_household(home.root)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_MATPLOTLIB, "evaluate", "household", "--manifest", str(manifest)]
        return subprocess.run(
            [*command, "--parameter", "1", *arguments],
            capture_output=True, text=True, env=home.environment, cwd=home.root, check=False,
        )  # fmt: skip

    refused = run("--plots", "plots")
    assert refused.returncode == Exit.ENGINES
    assert "privface-backend[evaluate]" in refused.stderr
    assert not (home.data / "evaluation-cache").exists()
    assert run().returncode == Exit.OK


def test_a_picture_that_cannot_be_read_is_said_and_left_out(home: Here) -> None:
    manifest = write_household(home.root)
    (home.root / "2-3.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = home.run("evaluate", "household", "--manifest", manifest, "--parameter", "1,9", "--json")
    assert done.code == Exit.UNFINISHED
    assert done.err.count("2-3.png") == 1
    assert [run["probes"] for run in done.lines[0]["runs"]] == [6, 6]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["household"], Exit.USAGE),
        (["household", "--own", "--folder", "x"], Exit.USAGE),
        (["household", "--folder", "nowhere"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--gallery", "all"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--parameter", "16"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--parameter", "many"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--method", "fog"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--engine", "a+b+c+d"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--household", "other"], Exit.USAGE),
        (["household", "--manifest", "set.csv", "--fpir", "1"], Exit.USAGE),
        (["pairs", "--pairs", "set.csv"], Exit.USAGE),
        (["clips", "--clips", "set.csv"], Exit.USAGE),
    ],
)
def test_wrong_usage(home: Here, arguments: Sequence[str], code: Exit) -> None:
    write_household(home.root)
    done = home.run("evaluate", *arguments)
    assert done.code == code, done.err
    assert "Traceback" not in done.err


def test_other_methods_take_the_parameters_that_they_can(home: Here) -> None:
    manifest = write_household(home.root)
    methods = ("--method", "none", "--method", "pixelate")
    runs = runs_of(home, "household", "--manifest", manifest, *methods)
    assert [(run["method"], run["parameter"]) for run in runs] == [
        ("none", 1), *(("pixelate", cell) for cell in (1, 9, 17, 25, 33)),
    ]  # fmt: skip


def test_the_noise_of_the_settings_is_what_is_measured(home: Here) -> None:
    """A lot, hardly any, and a lot again, which what was kept of the second doesn't answer."""
    manifest = write_household(home.root)
    wanted = ("household", "--manifest", manifest, "--method", "pixelate+noise", "--parameter", "2")
    runs: list[dict[str, Any]] = []
    for epsilon in (0.1, 1000, 0.1):
        home.configure(SYNTHETIC + NO_BROKER + f"privacy: {{epsilon: {epsilon}}}\n")
        runs += runs_of(home, *wanted)
    assert runs[0] == runs[2]
    assert runs[1]["rank1"] == pytest.approx(6 / 7, abs=1e-5)
    assert runs[0]["rank1"] < runs[1]["rank1"]


@pytest.mark.faces
@pytest.mark.weights
def test_real_people(home: Here) -> None:
    """Blurred with k = 17, four people are still told from ten strangers, from a gallery of either kind."""
    weights.real()
    home.configure(f"models_dir: {weights.ROOT}\n{NO_BROKER}")
    chosen = ["path,identity,role"]
    with (require_data() / "home" / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["household"] == "lfw_public_figures"]
    people = sorted({row["identity"] for row in rows if row["role"] == "enrol"})[:4]
    for role, each in (("enrol", 2), ("probe", 3)):
        for person in people:
            chosen += [
                f"{DATA / 'home' / row['path']},{person},{role}"
                for row in [row for row in rows if (row["identity"], row["role"]) == (person, role)][:each]
            ]
    strangers = [row for row in rows if row["role"] == "stranger"][::15]
    chosen += [f"{DATA / 'home' / row['path']},{row['identity']},stranger" for row in strangers]
    (home.root / "set.csv").write_text("\n".join(chosen), encoding="utf-8")
    galleries = ("--gallery", "matched", "--gallery", "baseline")
    runs = runs_of(home, "household", "--manifest", "set.csv", "--parameter", "17", *galleries)
    for run in runs:
        assert (run["enrolled"], run["probes"], run["strangers"], run["fta"]) == (4, 12, 10, 0)
        assert run["tpir"]["0.01"][0] >= 0.9
        assert run["named"]["fpir"][0] <= 0.1
        assert 0.02 < run["relative"] < 0.05
