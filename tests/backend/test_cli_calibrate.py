"""``privface calibrate``, with synthetic engines: the table and the words, JSON, the plot, and setting cameras."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import pytest

from privface_backend.cli.exits import Exit
from privface_backend.engines.synthetic import draw_face, ground
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.here import Here

WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None
from privface_backend.cli import main
sys.exit(main())
"""

pytestmark = pytest.mark.slow


def draw(path: Path, identity: int, side: int) -> None:
    frame = ground(640, 360)
    draw_face(frame, identity, 200, 80, side)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), frame)


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Ada and Ben with three pictures each, Cleo with one."""
    home = Here(root=tmp_path_factory.mktemp("home"))
    home.configure(SYNTHETIC + NO_BROKER)
    for name, identity, sides in (("Ada", 1, (120, 140, 160)), ("Ben", 2, (120, 140, 160)), ("Cleo", 5, (140,))):
        for side in sides:
            draw(home.root / f"people/{name}/{side}.png", identity, side)
    assert home.run("enroll", "people").code == Exit.OK
    return home


def ask(run: dict[str, Any], method: str, path: str, body: object = None) -> Any:
    """The JSON that the running service answers."""
    request = urllib.request.Request(  # noqa: S310  # this computer's own service
        f"{run['url']}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {run['token']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # this computer's own service
        return json.load(answer)


def test_the_curve_in_words(household: Home) -> None:
    done = household.run("calibrate")
    assert done.code == Exit.OK, done.err
    lines = done.out.splitlines()
    assert lines[0] == "7 faces of 3 people; each is searched among the others."
    (marked,) = (line for line in lines if "<-" in line)
    assert marked.split()[:5] == ["0.065", "6", "of", "6", "100"]
    assert marked.endswith("<- the strongest that keeps 90 %")
    assert sum("too blurred to be used" in line for line in lines) == 2
    assert "At r = 0.065 PrivFace still knew 6 of 6 faces (100 %) and took 0 for another of you." in lines
    assert "It gave 0 of 7 strangers a name." in lines
    assert "the true share may be as low as 61 %" in done.out
    assert "With one picture only, nobody can be searched for: Cleo." in lines
    assert "expect less at the door" in done.out


def test_the_curve_as_json_and_as_a_plot(household: Home) -> None:
    done = household.run("calibrate", "--floor", "0.8", "--plot", "curve.png", "--json")
    assert done.code == Exit.OK, done.err
    (document,) = done.lines
    assert (document["schema"], document["floor"], document["chosen"]) == (1, 0.8, 0.065)
    assert (document["cameras"], document["applied"]) == (None, None)
    assert document["enrolled"]["single"] == 1
    assert all(level["tpir"][1] <= level["tpir"][0] <= level["tpir"][2] for level in document["levels"])
    drawn = cv2.imread(str(household.root / "curve.png"))
    assert drawn is not None
    assert drawn.shape[1] > 1000
    assert not any(name in done.out for name in ("Ada", "Ben", "Cleo"))


def test_cameras_of_the_running_service_are_set(household: Home) -> None:
    with household.serve() as (_, run):
        for name in ("door", "garden"):
            ask(run, "PATCH", f"/api/v1/cameras/{name}", {"enabled": True})
        shown = household.run("calibrate")
        assert "  door: 17 now; too few faces were seen there; give their width: --face-width PIXELS" in shown.out
        refused = household.run("calibrate", "--apply", "--camera", "nowhere", "--json")
        assert (refused.code, refused.error["code"]) == (Exit.USAGE, "not_found")
        left = household.run("calibrate", "--apply")
        assert left.code == Exit.OK, left.err
        assert left.out.count("Not set: ") == 2
        done = household.run("calibrate", "--apply", "--face-width", "100", "--camera", "garden")
        assert "Set: garden: 17 -> 41" in done.out.splitlines(), done.out + done.err
        cameras = ask(run, "GET", "/api/v1/cameras")["cameras"]
        assert {camera["camera"]: camera["parameter"] for camera in cameras} == {"door": None, "garden": 41}
        # The service has the same result, though another process made it.
        told = ask(run, "GET", "/api/v1/calibration")
        assert (told["current"], told["result"]["chosen"]) == (True, 0.065)
        (line,) = household.run("calibrate", "--apply", "--face-width", "100", "--json").lines
        assert [(one["camera"], one["parameter"]) for one in line["applied"]] == [("door", 41), ("garden", 41)]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["--floor", "0.3"], Exit.USAGE, "bad_request"),
        (["--floor", "90"], Exit.USAGE, "bad_request"),
        (["--face-width", "1"], Exit.USAGE, "bad_request"),
        (["--apply"], Exit.NETWORK, "timeout"),
        (["--plot", "nowhere/curve.png"], Exit.STORAGE, "storage_failed"),
    ],
)
def test_what_cannot_be_done(household: Home, arguments: list[str], code: Exit, error: str) -> None:
    done = household.run("calibrate", *arguments, "--json")
    assert (done.code, done.error["code"]) == (code, error)


def test_without_matplotlib_only_the_plot_is_missing(household: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MATPLOTLIB, "calibrate", "--plot", "curve.png", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env=household.environment,
        cwd=household.root,
        check=False,
    )
    assert done.returncode == Exit.ENGINES
    assert json.loads(done.stdout)["error"]["code"] == "engine_missing"
    assert "evaluate" in done.stdout


def test_a_household_that_cannot_be_calibrated(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    home.configure(SYNTHETIC + NO_BROKER)
    empty = home.run("calibrate", "--json")
    assert (empty.code, empty.error["code"]) == (Exit.UNFINISHED, "too_few_faces")
    # Two people whom nothing tells apart.
    for name in ("Ada", "Twin"):
        for side in (120, 140):
            draw(home.root / f"people/{name}/{side}.png", 1, side)
    assert home.run("enroll", "people").code == Exit.OK
    done = home.run("calibrate")
    assert done.code == Exit.OK
    assert "No blur keeps 90 % of the faces known (not even of clear pictures)." in done.out
    with home.serve():
        refused = home.run("calibrate", "--apply", "--face-width", "100")
    assert refused.code == Exit.UNFINISHED
    assert "(not_calibrated)" in refused.err
