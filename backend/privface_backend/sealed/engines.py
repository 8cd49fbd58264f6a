"""The user side's engines and key, made of the settings."""

from __future__ import annotations

import asyncio
from typing import Final

from privface_backend.domain.quality import QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.process import Engines, Process
from privface_backend.plugins.ports import EngineContext, Weights
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protection.settings import open_user_key
from privface_backend.protocol import ErrorCode
from privface_backend.sealed.user_side import UserSide
from privface_backend.settings import Settings
from privface_backend.tasks import fetch_weights

# The same weights, and the same numbers, without DeepFace.
_LIGHT: Final = {"deepface:SFace": "opencv:sface"}
# Enrollment blurs its ladder of templates; a frame is looked at as it is.
_ANONYMIZERS: Final = ("none", "gaussian")


async def prepare_user_side(settings: Settings) -> UserSide:
    """``open_user_side`` with the weights of ``models_dir``; those that are missing are fetched first.

    Raises:
        PrivFaceError: as ``open_user_side``; ``weights_unreachable``.
    """
    weights = WeightsStore(settings.models_dir)
    await fetch_weights(weights, user_weights(settings))
    return await asyncio.to_thread(open_user_side, settings, weights)


def user_weights(settings: Settings, registry: Registry | None = None) -> tuple[str, ...]:
    """The names, in the weights store, of what the user side's engines need."""
    registry = registry or Registry()
    return tuple(name for kind, engine in _chosen(settings) for name in registry.spec(kind, engine).weights)


def open_user_side(settings: Settings, weights: Weights, registry: Registry | None = None) -> UserSide:
    """Make the engines and open the user side's key, which is made where there is none.

    Raises:
        PrivFaceError: ``engine_missing``, ``engine_failed``, ``weights_missing``, ``weights_mismatch``,
            ``key_missing``, ``storage_failed``.
    """
    process = Process(
        engines=_make_engines(settings, weights, registry or Registry()),
        bar=QualityBar(smallest=settings.decision.smallest_face),
        longest=settings.pipeline.working_size,
    )
    return UserSide(process, open_user_key(settings.sealed).current(), settings.privacy.ladder)


def _chosen(settings: Settings) -> tuple[tuple[EngineKind, str], ...]:
    engines = settings.engines
    return (
        (EngineKind.DETECTOR, engines.detector),
        (EngineKind.ALIGNER, engines.aligner),
        (EngineKind.RECOGNIZER, _LIGHT.get(engines.recognizer, engines.recognizer)),
    )


def _make_engines(settings: Settings, weights: Weights, registry: Registry) -> Engines:
    context = EngineContext(weights=weights, options={"backend": settings.engines.backend})
    try:
        detector, aligner, recognizer = (registry.create(kind, name, context) for kind, name in _chosen(settings))
        anonymizers = {name: registry.create(EngineKind.ANONYMIZER, name, context) for name in _ANONYMIZERS}
    except PrivFaceError:
        raise
    except Exception as error:
        # Third parties' engines and the runtimes below them raise what they like.
        message = f"The engines can't be made: {type(error).__name__}: {error}"
        raise PrivFaceError(ErrorCode.ENGINE_FAILED, message) from error
    return Engines(detector=detector, aligner=aligner, recognizer=recognizer, anonymizers=anonymizers)
