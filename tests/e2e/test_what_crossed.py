"""What all tests before these have sent to the backend, and made Home Assistant log. They run last, by their name."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.household import ADA, ENROLLED, PARAMETER, Household
from support.stage import TESTS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_clear_crossed(household: Household, backend_python: Path, tmp_path: Path) -> None:
    stage = household.stage
    await stage.look(ADA)
    stage.proxy.save(tmp_path / "recording.json")
    verdict = _judge(backend_python, tmp_path / "recording.json", stage.clear)
    assert verdict["findings"] == []
    frames = [picture for picture in verdict["pictures"] if picture["target"].endswith("/frames")]
    assert [frame["of"] for frame in frames] == stage.shown
    assert {frame["parameter"] for frame in frames} == {PARAMETER}
    versions = [picture for picture in verdict["pictures"] if picture["target"].endswith("/faces")]
    assert {version["of"] for version in versions} == set(ENROLLED.values())
    assert len(frames) + len(versions) == len(verdict["pictures"])
    for picture in ENROLLED.values():
        parameters = [version["parameter"] for version in versions if version["of"] == picture]
        assert parameters[0] == PARAMETER
        assert parameters == sorted(set(parameters))
        assert len(parameters) > 3


async def test_a_clear_picture_would_be_found(household: Household, backend_python: Path, tmp_path: Path) -> None:
    stage = household.stage
    await stage.look(ADA)
    frame = stage.frames[-1]
    blurred = frame.body
    start, end = blurred.index(b"\xff\xd8\xff"), blurred.rindex(b"\xff\xd9") + 2
    frame.body = blurred[:start] + (stage.clear / ADA).read_bytes() + blurred[end:]
    try:
        stage.proxy.save(tmp_path / "recording.json")
    finally:
        frame.body = blurred
    findings = _judge(backend_python, tmp_path / "recording.json", stage.clear)["findings"]
    assert any(f"holds bytes of {ADA}" in finding for finding in findings), findings
    assert any(f"is no clear one blurred with {PARAMETER}" in finding for finding in findings), findings


def _judge(python: Path, recording: Path, clear: Path) -> dict[str, Any]:
    """What support.crossing says of a recording."""
    command = [str(python), "-m", "support.crossing", str(recording), str(clear)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


async def test_the_log_is_clean(household: Household) -> None:
    own = [line for line in household.stage.home.log.splitlines() if "privface" in line]
    assert not [line for line in own if re.search(r" (ERROR|CRITICAL) ", line)]
    assert not [line for line in own if line.lstrip().startswith("File ")], "a traceback"
    from_us = [line for line in own if "[custom_components.privface" in line]
    assert from_us, "the component logs nothing at all"
    names = re.compile(rf"\b({'|'.join(ENROLLED)})\b", re.IGNORECASE)
    assert not [line for line in from_us if names.search(line)]
