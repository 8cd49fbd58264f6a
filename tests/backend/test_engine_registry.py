"""Which engines exist and which can run here, without importing any."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from types import ModuleType

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.builtin import BUILTIN
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import ENTRY_POINT_GROUP, Registry
from privface_backend.plugins.spec import EngineKind, EngineSpec
from privface_backend.protocol import ErrorCode
from support import weights

HEAVY = ("cv2", "deepface", "dlib", "onnxruntime", "tensorflow", "torch", "PIL", "av", "aiomqtt")


def context() -> EngineContext:
    return EngineContext(weights=WeightsStore(weights.ROOT))


def test_probing_what_exists_imports_no_engine() -> None:
    code = (
        "import sys\n"
        "from privface_backend.plugins.registry import Registry\n"
        "registry = Registry()\n"
        "found = [registry.missing(spec) for spec in registry.all()]\n"
        f"print(len(found), *(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(len(BUILTIN))]


def test_built_in_names_are_unique() -> None:
    keys = [(spec.kind, spec.name) for spec in BUILTIN]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("kind", EngineKind)
def test_an_unknown_name_is_answered_with_those_that_exist(kind: EngineKind) -> None:
    registry = Registry()
    with pytest.raises(PrivFaceError) as caught:
        registry.create(kind, "no-such-engine", context())
    assert caught.value.code is ErrorCode.ENGINE_UNKNOWN
    assert caught.value.allowed == ", ".join(registry.names(kind))
    assert all(name in str(caught.value.allowed) for name in registry.names(kind))


def test_a_missing_module_is_named_with_what_to_type() -> None:
    spec = EngineSpec(
        kind=EngineKind.DETECTOR, name="absent", factory="nowhere.at.all:create", needs=("sys", "no_such_module_here")
    )
    registry = Registry([spec])
    assert registry.missing(spec) == ("no_such_module_here",)
    with pytest.raises(PrivFaceError) as caught:
        registry.create(EngineKind.DETECTOR, "absent", context())
    assert caught.value.code is ErrorCode.ENGINE_MISSING
    assert caught.value.message.endswith("pip install no_such_module_here")


def test_a_missing_extra_is_named_with_what_to_type() -> None:
    spec = EngineSpec(
        kind=EngineKind.DETECTOR, name="absent", factory="nowhere:create", needs=("no_such_module_here",), extra="wings"
    )
    with pytest.raises(PrivFaceError) as caught:
        Registry([spec]).create(EngineKind.DETECTOR, "absent", context())
    assert caught.value.code is ErrorCode.ENGINE_MISSING
    assert caught.value.message.endswith("pip install 'privface-backend[wings]'")


def test_every_built_in_that_is_not_installed_says_what_to_type() -> None:
    registry = Registry()
    absent = [spec for spec in registry.all() if registry.missing(spec)]
    for spec in absent:
        with pytest.raises(PrivFaceError) as caught:
            registry.create(spec.kind, spec.name, context())
        assert caught.value.code is ErrorCode.ENGINE_MISSING
        assert "pip install" in caught.value.message
        assert all(module in caught.value.message for module in registry.missing(spec))


class Declared(metadata.EntryPoint):
    """An entry point of a package that is only made up."""

    def load(self) -> object:
        return DECLARED[self.name]


def _spec(name: str, factory: str) -> EngineSpec:
    return EngineSpec(kind=EngineKind.ANONYMIZER, name=name, factory=factory)


THIEF = _spec("gaussian", "third_party_engines:create")
OWN = _spec("own", "third_party_engines:create")
FURTHER = _spec("further", "third_party_engines:create")
DECLARED = {"one": OWN, "several": (THIEF, FURTHER)}


@pytest.fixture
def third_parties(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package with two entry points, one of which takes a built-in's name."""
    module = ModuleType("third_party_engines")
    module.__dict__["create"] = lambda received: ("made by a third party", received)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = metadata.EntryPoints(
        Declared(name=name, value="third_party_engines", group=ENTRY_POINT_GROUP) for name in DECLARED
    )
    monkeypatch.setattr(metadata, "entry_points", entries.select)
    return module


def test_third_parties_add_engines(third_parties: ModuleType) -> None:
    registry = Registry()
    assert {"own", "further"} <= set(registry.names(EngineKind.ANONYMIZER))
    made, received = registry.create(EngineKind.ANONYMIZER, "own", context(), {"strength": 3})
    assert made == "made by a third party"
    assert received.options == {"strength": 3}


def test_third_parties_cannot_take_a_built_ins_name(third_parties: ModuleType) -> None:
    registry = Registry()
    assert registry.spec(EngineKind.ANONYMIZER, "gaussian").factory.startswith("privface_backend.")
    assert len(registry.names(EngineKind.ANONYMIZER)) == len(set(registry.names(EngineKind.ANONYMIZER)))
