"""Imports point one way, and heavy packages come with the engines that need them only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import privface_backend

PACKAGE: Final = Path(privface_backend.__file__).parent
MODULES: Final = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")

# From the bottom up. A part may import itself and whatever stands in a line above its own; what shares a line are
# neighbors that know nothing of each other.
ORDER: Final = (
    ("protocol",),
    ("errors",),
    ("domain",),
    ("protection",),
    ("plugins", "storage", "settings_file", "resolver", "outages"),
    ("settings_push", "settings_sections"),
    ("webhooks",),
    ("engines", "models"),
    ("audit",),
    ("settings", "settings_values", "events", "tasks"),
    ("settings_rules",),
    ("settings_loading",),
    ("gallery",),
    ("pipeline",),
    ("sifis", "calibration", "sealed"),
    ("rest", "mqtt", "dht", "discovery", "evaluation"),
    ("bridge",),
    ("frigate",),
    ("core", "advising"),
    ("starting",),
    ("app",),
    ("handover",),
    ("server",),
    ("cli",),
    ("__main__",),
)

# The settings hold each part's own, frozen dataclasses that import nothing but errors.
EXCEPTIONS: Final = {
    ("settings", "privface_backend.mqtt.settings"),
    ("settings", "privface_backend.frigate.settings"),
    ("settings", "privface_backend.bridge.settings"),
    ("settings_values", "privface_backend.bridge.settings"),
    ("settings_rules", "privface_backend.bridge.settings"),
    ("settings_rules", "privface_backend.mqtt.settings"),
}

# What may be imported beside the standard library and PrivFace itself.
THIRD_PARTIES: Final[dict[str, frozenset[str]]] = {
    "protocol": frozenset(),
    "errors": frozenset(),
    "domain": frozenset({"numpy"}),
    "plugins": frozenset(),
}

HEAVY: Final = frozenset(
    {"deepface", "dlib", "homeassistant", "jax", "keras", "onnxruntime", "optax", "tensorflow", "tf_keras", "torch"}
)

# What is trained here is no engine.
TRAINING: Final = {"evaluation/attacks/network": {"jax", "optax"}}


def rank(part: str) -> int:
    for at, parts in enumerate(ORDER):
        if part in parts:
            return at
    pytest.fail(f"{part} has no place in the order of imports")


def part_of(module: Path) -> str:
    inside = module.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(module: Path) -> Iterator[str]:
    """Every module that is imported anywhere in the file, under ``TYPE_CHECKING`` and in functions too."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in {module.name}"
            assert node.module is not None
            if node.module == "privface_backend":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def inner_imports(module: Path) -> Iterator[tuple[str, str]]:
    """Which part of PrivFace each import reaches, and the import."""
    for name in imports(module):
        head, _, rest = name.partition(".")
        if head == "privface_backend" and rest and rest != "__version__":
            yield rest.partition(".")[0], name


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").as_posix()


def outside(module: Path) -> set[str]:
    """The packages of others that a module imports."""
    return {name.partition(".")[0] for name in imports(module)} - {"privface_backend"} - sys.stdlib_module_names


def test_imports_point_downward() -> None:
    upward = [
        f"{name_of(module)} imports {name}"
        for module in MODULES
        for reached, name in inner_imports(module)
        if reached != part_of(module)
        and rank(reached) >= rank(part_of(module))
        and (part_of(module), name) not in EXCEPTIONS
    ]
    assert not upward


def test_engines_are_imported_by_the_registry_only() -> None:
    named = [
        f"{name_of(module)} imports {name}"
        for module in MODULES
        for reached, name in inner_imports(module)
        if reached == "engines" and part_of(module) != "engines"
    ]
    assert not named


def test_the_lower_parts_import_few_packages() -> None:
    for module in MODULES:
        few = THIRD_PARTIES.get(part_of(module))
        assert few is None or outside(module) <= few, name_of(module)


def test_heavy_packages_are_imported_by_engines_only() -> None:
    heavy = {name_of(module): outside(module) & HEAVY for module in MODULES if part_of(module) != "engines"}
    assert {name: found for name, found in heavy.items() if found} == TRAINING


def test_the_protocol_imports_the_standard_library_only() -> None:
    assert {name.partition(".")[0] for name in imports(PACKAGE / "protocol.py")} <= sys.stdlib_module_names


def test_engines_and_their_likes_are_looked_at() -> None:
    """That the tests above saw the modules that they are about."""
    parts = {part_of(module) for module in MODULES}
    assert {"protocol", "errors", "domain", "plugins", "engines", "models", "mqtt", "pipeline"} <= parts
    assert any(True for module in MODULES if part_of(module) == "engines" for _ in inner_imports(module))


@pytest.mark.parametrize("module", ["app", "rest", "mqtt", "plugins.registry", "pipeline.process", "settings"])
def test_heavy_packages_do_not_come_along(module: str) -> None:
    code = (
        f"import sys, privface_backend.{module}\n"
        f"print('imported', *sorted(name for name in {sorted(HEAVY)!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["imported"]
