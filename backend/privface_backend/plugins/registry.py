"""Which engines exist, which can run here, and how one is made."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.plugins.builtin import BUILTIN
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.spec import EngineKind, EngineSpec
from privface_backend.protocol import ErrorCode

ENTRY_POINT_GROUP: Final = "privface.engines"


def _third_party() -> Iterable[EngineSpec]:
    """Specs that installed packages declare: each entry point names an ``EngineSpec`` or a tuple of them."""
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        declared = entry.load()
        yield from (declared,) if isinstance(declared, EngineSpec) else declared


class Registry:
    """The engines by kind and name. A third party can't take a built-in's name."""

    def __init__(self, specs: Iterable[EngineSpec] | None = None) -> None:
        self._specs: dict[tuple[EngineKind, str], EngineSpec] = {}
        for spec in (*BUILTIN, *_third_party()) if specs is None else specs:
            self._specs.setdefault((spec.kind, spec.name), spec)

    def all(self, kind: EngineKind | None = None) -> tuple[EngineSpec, ...]:
        return tuple(spec for spec in self._specs.values() if kind in (None, spec.kind))

    def names(self, kind: EngineKind) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.all(kind))

    def spec(self, kind: EngineKind, name: str) -> EngineSpec:
        """The engine called ``name``.

        Raises:
            PrivFaceError: ``engine_unknown``, with the names that exist.
        """
        try:
            return self._specs[kind, name]
        except KeyError:
            raise PrivFaceError(
                ErrorCode.ENGINE_UNKNOWN,
                f"There is no {kind} of that name.",
                allowed=", ".join(self.names(kind)),
            ) from None

    @staticmethod
    def missing(spec: EngineSpec) -> tuple[str, ...]:
        """The modules that the engine needs and that are not installed; nothing is imported."""
        return tuple(module for module in spec.needs if find_spec(module) is None)

    def create(
        self, kind: EngineKind, name: str, context: EngineContext, options: Mapping[str, object] | None = None
    ) -> Any:
        """Import and make an engine.

        Raises:
            PrivFaceError: ``engine_unknown``, ``engine_missing``, or what the weights store raises.
        """
        spec = self.spec(kind, name)
        if missing := self.missing(spec):
            how = f"pip install 'privface-backend[{spec.extra}]'" if spec.extra else "pip install " + " ".join(missing)
            raise PrivFaceError(
                ErrorCode.ENGINE_MISSING,
                f"The {kind} {name} needs {', '.join(missing)}, which is not installed: {how}",
            )
        module, _, attribute = spec.factory.partition(":")
        factory = getattr(importlib.import_module(module), attribute)
        if options:
            context = replace(context, options={**context.options, **options})
        return factory(context, **spec.arguments)
