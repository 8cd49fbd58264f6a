"""What all tests before these have sent to the backend, and made Home Assistant log. They run last, by their name."""

import re
from pathlib import Path

import pytest

from support.household import ADA, ENROLLED, PARAMETER, Household
from support.verdict import judge_crossing

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_clear_crossed(household: Household, backend_python: Path, tmp_path: Path) -> None:
    stage = household.stage
    await stage.look(ADA)
    verdict = judge_crossing(backend_python, stage.proxy, stage.clear, tmp_path)
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
    frame.body = blurred.replace(frame.picture, (stage.clear / ADA).read_bytes())
    try:
        findings = judge_crossing(backend_python, stage.proxy, stage.clear, tmp_path)["findings"]
    finally:
        frame.body = blurred
    assert any(f"holds bytes of {ADA}" in finding for finding in findings), findings
    assert any(f"is no clear one blurred with {PARAMETER}" in finding for finding in findings), findings


async def test_the_log_is_clean(household: Household) -> None:
    own = [line for line in household.stage.home.log.splitlines() if "privface" in line]
    assert not [line for line in own if re.search(r" (ERROR|CRITICAL) ", line)]
    assert not [line for line in own if line.lstrip().startswith("File ")], "a traceback"
    from_us = [line for line in own if "[custom_components.privface" in line]
    assert from_us, "the component logs nothing at all"
    names = re.compile(rf"\b({'|'.join(ENROLLED)})\b", re.IGNORECASE)
    assert not [line for line in from_us if names.search(line)]
