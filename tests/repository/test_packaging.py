"""What is shipped and locked: declarations and lock files agree, and no file names a machine or a registry."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend"
with (BACKEND / "pyproject.toml").open("rb") as project_file:
    PYPROJECT = tomllib.load(project_file)
PROJECT = PYPROJECT["project"]
LOCKS = sorted(BACKEND.glob("requirements*.lock"))
# Those of environments that the backend isn't in: Home Assistant's, other engines' clients', Node-RED's tests'.
OTHER_LOCKS = sorted((ROOT / "tests").glob("*/requirements.lock"))
OWN_NAME = canonicalize_name(PROJECT["name"])


def pins(name: str) -> dict[str, Version]:
    """What a lock holds; that of the extra ``serve``, which the others add to, is ``requirements.lock``."""
    return read_pins(BACKEND / (f"requirements-{name}.lock" if name not in {"", "serve"} else "requirements.lock"))


def read_pins(path: Path) -> dict[str, Version]:
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return {package: Version(version) for package, version in found}


def declared() -> list[tuple[str, Requirement]]:
    named = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"], **PYPROJECT["dependency-groups"]}
    return [(name, Requirement(text)) for name, texts in named.items() for text in texts]


def test_every_extra_and_group_has_its_lock() -> None:
    names = {*PROJECT["optional-dependencies"], *PYPROJECT["dependency-groups"]} - {"serve"}
    assert {path.name for path in LOCKS} == {"requirements.lock", *(f"requirements-{name}.lock" for name in names)}


@pytest.mark.parametrize(("lock", "requirement"), declared(), ids=str)
def test_a_lock_satisfies_what_is_declared(lock: str, requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    if name == OWN_NAME:
        for extra in requirement.extras:
            assert pins(extra).items() <= (pins("") | pins(lock)).items()
        return
    base = {} if lock in {"build", "bridge"} else pins("")
    assert (base | pins(lock))[name] in requirement.specifier, "scripts/lock writes the locks again"


def test_the_bridges_lock_is_complete_and_small() -> None:
    locked = pins("bridge")
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier
    assert not {"deepface", "onnxruntime", "amqtt", "tensorflow", "zeroconf"} & locked.keys()


def test_locks_that_are_installed_together_agree() -> None:
    together: dict[str, Version] = {}
    for path in LOCKS:
        if path.name != "requirements-build.lock":
            name = path.stem.removeprefix("requirements").removeprefix("-")
            for package, version in pins(name).items():
                assert together.setdefault(package, version) == version, (path.name, package)


@pytest.mark.parametrize("path", OTHER_LOCKS, ids=lambda path: path.parent.name)
def test_a_lock_satisfies_its_requirements(path: Path) -> None:
    lines = path.with_suffix(".in").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if not line.startswith("#")]
    assert requirements
    for requirement in requirements:
        found = read_pins(path)[canonicalize_name(requirement.name)]
        assert found in requirement.specifier, "scripts/lock writes the locks again"


def test_both_sides_are_checked_by_the_same_mypy() -> None:
    (component,) = (path for path in OTHER_LOCKS if path.parent.name == "component")
    for package in ("mypy", "types-pyyaml"):
        assert read_pins(component)[package] == pins("test")[package]


def test_the_component_is_tested_on_the_home_assistant_that_it_needs() -> None:
    oldest = Version(json.loads((ROOT / "hacs.json").read_text())["homeassistant"])
    for tests in ("component", "e2e"):
        assert read_pins(ROOT / "tests" / tests / "requirements.lock")["homeassistant"] >= oldest


@pytest.mark.parametrize("path", [*LOCKS, *OTHER_LOCKS], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_locked_file_has_a_hash_and_no_address(path: Path) -> None:
    text = path.read_text()
    entries = [entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if "==" in entry]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_one_opencv_only() -> None:
    """Two wheels that carry cv2/ overwrite each other's files."""
    locked = {
        package for path in LOCKS for package in re.findall(r"^(opencv[a-z-]*)==", path.read_text(), re.MULTILINE)
    }
    assert locked == {"opencv-contrib-python-headless"}


def test_the_license_is_the_same_everywhere() -> None:
    assert (BACKEND / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")


def test_the_console_script_is_the_command() -> None:
    assert PROJECT["scripts"] == {"privface": "privface_backend.cli:main"}


def test_hacs_knows_what_it_needs_and_no_other_key() -> None:
    # The keys that HACS documents for integrations.
    known = {
        "name", "content_in_root", "zip_release", "filename", "hide_default_branch", "country", "homeassistant", "hacs",
        "persistent_directory",
    }  # fmt: skip
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert hacs["name"] == "PrivFace"
    assert re.fullmatch(r"20\d\d\.\d{1,2}\.\d+", hacs["homeassistant"])
    assert hacs.keys() <= known


def test_tracked_files_name_no_machine_and_no_registry() -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git clone with files")
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("detsohnohtyp"[::-1], "org"),
            ("npmjs", "org"),
            ("deb", "debian", "org"),
        )
    ]
    places = [
        "/".join(("", *parts, "")) for parts in (("work", "main"), ("work", "shared"), ("tmp", "x"), ("opt", "wheels"))
    ]
    forbidden = re.compile("|".join(map(re.escape, hosts + places)).encode())
    named = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            named += [f"{name}: {match.group().decode()}" for match in forbidden.finditer(path.read_bytes())]
    assert named == []
