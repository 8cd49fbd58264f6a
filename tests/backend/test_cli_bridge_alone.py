"""With the extra ``bridge`` alone, ``privface bridge`` and ``privface doctor`` start."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from privface_backend.cli.exits import Exit
from support.backend import ADA, picture
from support.cli import Home

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOCKED = re.findall(
    r"^([a-z0-9._-]+)==", (ROOT / "backend" / "requirements-bridge.lock").read_text(encoding="utf-8"), re.MULTILINE
)
# Python as it is where the bridge alone is installed: no other package can be found.
WITHOUT_THE_REST = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        head = name.partition(".")[0]
        if head in sys.stdlib_module_names or head.startswith("_") or head == "privface_backend" or head in ALLOWED:
            return super().find_spec(name, path, target)
        return None

ALLOWED = set(ALLOWED_MODULES)
sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder and "editable" not in repr(finder)]
sys.meta_path.append(Finder)
sys.path.insert(0, BACKEND)
from privface_backend.cli.application import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(root=tmp_path)


@pytest.fixture
def bridge_alone(home: Home) -> Any:
    """Runs a command where nothing but the extra ``bridge`` is installed."""
    modules = [
        module for module, of in metadata.packages_distributions().items() if {_plain(one) for one in of} & set(LOCKED)
    ]
    head = f"ALLOWED_MODULES = {modules!r}\nBACKEND = {str(ROOT / 'backend')!r}\n"
    script = home.root / "alone.py"
    script.write_text(head + WITHOUT_THE_REST, encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", str(script), *arguments],
            env=home.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_with_its_extra_alone_doctor_and_bridge_start(home: Home, bridge_alone: Any) -> None:
    home.configure("bridge: {backend: 'http://127.0.0.1:9'}\ncameras: {a: {address: 'http://127.0.0.1:9/x'}}\n")
    done = bridge_alone("doctor", "--json")
    assert done.returncode == Exit.UNFINISHED, done.stderr
    verdicts = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert verdicts["installed"]["verdict"] == "ok"
    assert {name for name, check in verdicts.items() if check["verdict"] == "problem"} == {"backend", "camera a"}
    assert "detector" not in verdicts
    home.configure("")
    refused = bridge_alone("bridge")
    assert refused.returncode == Exit.USAGE
    assert "bridge.backend" in refused.stderr
    other = bridge_alone("serve")
    assert other.returncode == Exit.ENGINES
    assert "pip install 'privface-backend[serve]'" in other.stderr
    assert bridge_alone("--help").returncode == Exit.OK


def test_with_its_extra_alone_sealed_mode_has_all_that_it_needs(home: Home, bridge_alone: Any) -> None:
    home.configure("engines: {detector: synthetic, recognizer: synthetic}\n")
    (home.root / "ada.png").write_bytes(picture(ADA))
    asked = bridge_alone("seal", "identify", str(home.root / "ada.png"), "--url", "http://127.0.0.1:9", "--json")
    # The picture was looked at, and sealed; then the backend wasn't there.
    assert (asked.returncode, json.loads(asked.stdout)["error"]["code"]) == (Exit.NETWORK, "timeout"), asked.stderr
    home.configure(
        f"bridge: {{backend: 'http://127.0.0.1:9', sealed: true}}\nsealed: {{key_file: '{home.root}'}}\n"
        "engines: {detector: synthetic, recognizer: synthetic}\ncameras: {a: {folder: pictures}}\n"
    )
    refused = bridge_alone("bridge", "--json")
    assert json.loads(refused.stdout)["error"]["code"] == "key_missing", refused.stderr
