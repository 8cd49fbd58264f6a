"""The parts of the Home Assistant component that run without Home Assistant."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

COMPONENT = Path(__file__).parents[2] / "custom_components" / "privface"


@functools.cache
def load_package(name: str) -> ModuleType:
    """The component's package ``name``, imported under a name of its own: its parent needs Home Assistant."""
    folder = COMPONENT / name
    spec = importlib.util.spec_from_file_location(
        f"privface_{name}", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
