"""Enrolling a directory of real people and identifying them, blurred, with the default engines and weights."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from privface_backend.cli.exits import Exit
from support import weights
from support.cli import NO_BROKER
from support.faces import DATA, require_data
from support.here import Here

pytestmark = [pytest.mark.faces, pytest.mark.weights, pytest.mark.slow]

PROBES = 20


def manifest(household: str) -> Mapping[str, Sequence[Mapping[str, str]]]:
    """The household's pictures by role, evenly thinned."""
    with (require_data() / "home" / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["household"] == household]
    roles = {role: [row for row in rows if row["role"] == role] for role in ("enrol", "probe", "stranger")}
    return {role: found if role == "enrol" else found[:: max(1, len(found) // PROBES)] for role, found in roles.items()}


@pytest.mark.parametrize("household", ["lfw_public_figures", "caltech_ordinary_people"])
def test_a_household(tmp_path: Path, household: str) -> None:
    weights.real()
    home = Here(root=tmp_path, variables={"PRIVFACE_MODELS_DIR": str(weights.ROOT)})
    home.configure(NO_BROKER)
    pictures = manifest(household)
    for row in pictures["enrol"]:
        place = tmp_path / "people" / row["identity"] / Path(row["path"]).name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / "home" / row["path"], place)
    enrolled = home.run("enroll", "people", "--json")
    assert enrolled.code in {Exit.OK, Exit.UNFINISHED}, enrolled.err
    taken = [line for line in enrolled.lines if line["outcome"] == "enrolled"]
    assert len(taken) >= 0.9 * len(pictures["enrol"])

    files = [DATA / "home" / row["path"] for role in ("probe", "stranger") for row in pictures[role]]
    done = home.run("identify", *files, "--privacy", "17", "--json")
    assert (done.code, len(done.lines)) == (Exit.OK, len(files))
    named = {Path(line["file"]): {face["person"] for face in line["faces"]} - {None} for line in done.lines}
    right = sum(row["identity"] in named[DATA / "home" / row["path"]] for row in pictures["probe"])
    wrong = sum(bool(named[DATA / "home" / row["path"]]) for row in pictures["stranger"])
    assert right >= 0.7 * len(pictures["probe"]), f"{right} of {len(pictures['probe'])}"
    assert wrong <= 0.1 * len(pictures["stranger"]), f"{wrong} of {len(pictures['stranger'])}"
    assert {line["privacy"]["parameter"] for line in done.lines} == {17}
