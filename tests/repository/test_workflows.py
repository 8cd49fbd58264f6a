"""The GitHub workflows: schema, pinned actions, least rights, and zizmor's audits."""

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
BIN = Path(sysconfig.get_path("scripts"))
USES = re.compile(r"^\s*-?\s*uses:\s*(\S+)(?:\s+#\s*(\S+))?$", re.MULTILINE)


def check(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def jobs() -> dict[str, dict[str, Any]]:
    return {name: job for path in WORKFLOWS for name, job in yaml.safe_load(path.read_text())["jobs"].items()}


def commands() -> str:
    return "\n".join(step.get("run", "") for job in jobs().values() for step in job["steps"])


def test_workflows_fit_their_schema_and_end() -> None:
    check(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    check(BIN / "check-jsonschema", "--builtin-schema", "custom.github-workflows-require-timeout", *WORKFLOWS)


def test_zizmor_finds_nothing() -> None:
    check(BIN / "zizmor", "--offline", "--persona", "pedantic", *WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    used = USES.findall(path.read_text())
    assert len(used) == path.read_text().count("uses:") > 0
    for action, version in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"v\d+\.\d+\.\d+|main|master", version), f"{action} # {version}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_right_and_a_job_may_only_read(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}


def test_an_action_has_one_commit_everywhere() -> None:
    used = {match[0] for path in WORKFLOWS for match in USES.findall(path.read_text())}
    assert len({action.split("@")[0] for action in used}) == len(used)


def test_what_must_run_runs() -> None:
    assert jobs()["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.14"]
    words = ("--quick", "component", "e2e", "node_red", "tensorflow")
    for command in ("scripts/lint", "docker compose up --build", *(f"scripts/test {word}" for word in words)):
        assert command in commands()
    for script in re.findall(r"\b(scripts/\w+)", commands()):
        assert (ROOT / script).exists()
    actions = " ".join(USES.findall(path.read_text()).__repr__() for path in WORKFLOWS)
    assert "home-assistant/actions/hassfest@" in actions
    assert "hacs/action@" in actions
