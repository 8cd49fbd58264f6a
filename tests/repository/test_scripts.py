"""The scripts: runnable, clean, and passing arguments on as the README says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("test", "314", "ha", "hass", "nodered", "tensorflow")
PROGRAMS = ("apt-get", "chromium", "mosquitto", "mosquitto_pub", "node", "npm")
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci/run"]


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without the caller's PRIVFACE_ settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")}
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("script", SCRIPTS, ids=by_name)
def test_a_script_is_executable_bash_that_stops_at_errors(script: Path) -> None:
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert run("bash", "-n", script).stderr == ""


def test_shellcheck_finds_nothing() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here; Debian's package of that name has it")
    found = run("shellcheck", *SCRIPTS)
    assert found.returncode == 0, found.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The real scripts/run, an installer that says it was called, and a privface that repeats what it got."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/run", tmp_path / "scripts/run")
    for path, body in {
        "scripts/install": 'echo "installed ${1##*/} ${*:2}" >&2',
        ".venv/bin/privface": 'printf "%s\\n" "${!PRIVFACE_@}=$PRIVFACE_MODELS_DIR" "$@"',
    }.items():
        (tmp_path / path).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / path).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([], ["serve"]),
        (["--demo"], ["demo"]),
        (["--demo", "--port", "0"], ["demo", "--port", "0"]),
        (["enroll", "a folder", "--person", "Ada L."], ["enroll", "a folder", "--person", "Ada L."]),
        (["--data-dir", "d", "identify", "--demo"], ["--data-dir", "d", "identify", "--demo"]),
        (["--data-dir", "d"], ["--data-dir", "d"]),
        ([""], [""]),
    ],
)
def test_run_passes_its_arguments_on(clone: Path, given: list[str], passed_on: list[str]) -> None:
    started = run(clone / "scripts/run", *given)
    assert started.stdout.split("\n")[:-1] == [f"PRIVFACE_MODELS_DIR={clone}/.cache/models", *passed_on]
    assert started.stderr == "installed .venv \n"


def test_run_leaves_a_chosen_weights_folder_and_keeps_its_own_variables(clone: Path) -> None:
    started = run(clone / "scripts/run", PRIVFACE_MODELS_DIR="/elsewhere", PRIVFACE_EXTRAS="dlib", PRIVFACE_PYTHON="p")
    assert started.stdout.split() == ["PRIVFACE_MODELS_DIR=/elsewhere", "serve"]


def test_run_installs_the_extras_that_are_asked_for(clone: Path) -> None:
    assert run(clone / "scripts/run", PRIVFACE_EXTRAS="dlib tensorflow").stderr == "installed .venv dlib tensorflow\n"


def test_the_interpreter_is_new_enough() -> None:
    chosen = run(ROOT / "scripts/python")
    assert chosen.returncode == 0, chosen.stderr
    version = run(chosen.stdout.strip(), "-c", "import sys; print(sys.version_info >= (3, 11))")
    assert version.stdout == "True\n"


def test_the_chosen_interpreter_is_the_only_candidate() -> None:
    assert run(ROOT / "scripts/python", PRIVFACE_PYTHON=sys.executable).stdout.strip() == sys.executable


def test_no_interpreter_is_a_clear_message() -> None:
    missing = run(ROOT / "scripts/python", "3.11", PRIVFACE_PYTHON=sys.executable)
    assert missing.returncode == 1
    assert "PrivFace needs Python 3.11 or later, below 3.11" in missing.stderr
    assert run(ROOT / "scripts/python", PRIVFACE_PYTHON="/no/such/python").returncode == 1


def test_an_unknown_extra_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    refused = run(ROOT / "scripts/install", tmp_path / "venv", "no-such-extra")
    assert refused.returncode == 2
    assert "no-such-extra" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_a_lock_that_is_not_there_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    refused = run(ROOT / "scripts/install", tmp_path / "venv", "no/such.lock")
    assert refused.returncode == 2
    assert "no/such.lock" in refused.stderr
    assert not (tmp_path / "venv").exists()


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """The real scripts/test, among programs that say that they were called."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/test", tmp_path / "scripts/test")
    say = 'echo "${0##*/} $*"'
    pytest_says = f'case $1 in -m) echo "${{0%/bin*}}: ${{*:2}}"; exit "${{STATUS:-0}}" ;; --version) {say} ;; esac'
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "tests/node_red").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests/node_red" / name).write_text("{}\n")
    for path, body in {
        "scripts/install": f'{say} "on ${{PRIVFACE_PYTHON:-the default}}"',
        "scripts/lint": say,
        "scripts/python": "echo default",
        "scripts/python314": "echo cpython314",
        **{f".venv-{name}/bin/python": pytest_says for name in ENVIRONMENTS},
        ".venv-ha/bin/coverage": say,
        **{f"bin/{name}": say for name in PROGRAMS},
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / path).chmod(0o755)
    return tmp_path


def say_suites(tested: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """The exit code of scripts/test, and the environments whose tests ran, lint and coverage among them."""
    ran = run(tested / "scripts/test", *arguments, PATH=f"{tested}/bin:{os.environ['PATH']}", **environment)
    words = [line.split()[0].rstrip(":") for line in ran.stdout.splitlines()]
    return ran.returncode, [word for word in words if word.startswith(".venv") or word in {"lint", "coverage"}]


@pytest.mark.parametrize(
    ("given", "suites"),
    [
        ([], ["lint", ".venv-test", ".venv-314", ".venv-ha", "coverage", ".venv-hass", ".venv-nodered"]),
        (["-k", "word"], ["lint", ".venv-test", ".venv-314", ".venv-ha", ".venv-hass", ".venv-nodered"]),
        (["--quick"], ["lint", ".venv-test"]),
        (["backend"], [".venv-test"]),
        (["backend314"], [".venv-314"]),
        (["component"], [".venv-ha", "coverage"]),
        (["e2e", "-x"], [".venv-hass"]),
        (["node_red"], [".venv-nodered"]),
        (["tensorflow"], [".venv-tensorflow"]),
    ],
)
def test_a_word_chooses_the_tests(tested: Path, given: list[str], suites: list[str]) -> None:
    assert say_suites(tested, *given) == (0, suites)


def test_options_reach_pytest(tested: Path) -> None:
    ran = run(tested / "scripts/test", "component", "-k", "two words", PATH=f"{tested}/bin:{os.environ['PATH']}")
    assert ".venv-ha: pytest -n 3 --dist loadfile tests/component -k two words" in ran.stdout.splitlines()


def test_failures_stop_it_and_no_match_does_not(tested: Path) -> None:
    assert say_suites(tested, "--quick", STATUS="1") == (1, ["lint", ".venv-test"])
    assert say_suites(tested, "backend", STATUS="5") == (5, [".venv-test"])
    assert say_suites(tested, "-k", "e2e_only", STATUS="5")[0] == 0


def test_node_red_is_installed_once_for_a_lock(tested: Path) -> None:
    npm = tested / "bin/npm"
    npm.write_text('#!/usr/bin/env bash\necho "npm $*" >>"$CALLS"\n')
    calls = tested / "calls"
    for _ in range(2):
        assert say_suites(tested, "node_red", CALLS=str(calls)) == (0, [".venv-nodered"])
    assert len(calls.read_text().splitlines()) == 1
    (tested / "tests/node_red/package-lock.json").write_text('{"new": 1}\n')
    say_suites(tested, "node_red", CALLS=str(calls))
    (first, second) = calls.read_text().splitlines()
    assert first == second
    assert first.startswith("npm ci --prefix .cache/node-red --ignore-scripts ")


def test_without_npm_or_a_network_the_node_red_tests_are_left_out_with_a_word(tested: Path) -> None:
    (tested / "bin/npm").write_text("#!/usr/bin/env bash\nexit 1\n")
    ran = run(tested / "scripts/test", "node_red", PATH=f"{tested}/bin:{os.environ['PATH']}")
    assert ran.returncode == 0
    assert "No Node-RED tests: it can't be installed here" in ran.stderr
    assert ".venv-nodered" not in ran.stdout
    assert not (tested / ".cache/node-red/installed.json").exists()


def test_an_environment_without_its_stamp_is_not_current(tmp_path: Path) -> None:
    """With no usable interpreter the installer stops, so it did try to make the environment."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    tried = run(ROOT / "scripts/install", tmp_path / "venv", PRIVFACE_PYTHON="/no/such/python")
    assert tried.returncode == 1
    assert "PrivFace needs Python" in tried.stderr


def test_a_current_environment_is_left_alone() -> None:
    stamp = ROOT / ".venv-test/.privface-stamp"
    if not stamp.exists():
        pytest.skip("the tests run from an environment that scripts/test did not make")
    before = stamp.stat().st_mtime_ns
    again = run(
        *(ROOT / "scripts/install", ROOT / ".venv-test", "test", "dlib", "evaluate", "attack"),
        PRIVFACE_PYTHON="/no/such/python",
    )
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert stamp.stat().st_mtime_ns == before
