"""What settings must satisfy together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from privface_backend.bridge.settings import MOST_CAMERAS
from privface_backend.domain.cameras import camera_name_problem
from privface_backend.domain.privacy import CLEAR_METHOD
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.settings import Settings
from privface_backend.settings_file import Name
from privface_backend.settings_sections import PrivacySettings


def problems_of(settings: Settings, given: Mapping[Name, Any]) -> Iterator[tuple[Name, str]]:
    """Which settings don't fit the others, and why. ``given``: those that were given, by name."""
    yield from _mqtt_problems(settings.mqtt)
    yield from ((("frigate", key), text) for key, text in settings.frigate.problems())
    yield from ((("protection", key), text) for key, text in settings.protection.problems(settings.data_dir))
    yield from _engine_problems(settings, given)
    yield from _camera_problems(settings)
    yield from _sealed_problems(settings)


def _mqtt_problems(mqtt: MqttSettings) -> Iterator[tuple[Name, str]]:
    for problem in mqtt.problems():
        names, _, text = problem.partition(": ")
        first, *others = names.split(", ")
        yield tuple(first.split(".")), f"with {others[0]}: {text}" if others else text
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(mqtt, key)
        if path is not None and not path.is_file():
            yield ("mqtt", key), "there is no such file"


def _engine_problems(settings: Settings, given: Mapping[Name, Any]) -> Iterator[tuple[Name, str]]:
    """What is wrong with the names of engines, and with the privacy parameter; the defaults need no look."""
    if not any(name[0] in {"engines", "privacy"} for name in given):
        return
    from privface_backend.models.store import WeightsStore  # noqa: PLC0415  # those who set no engine needn't wait
    from privface_backend.plugins.ports import EngineContext  # noqa: PLC0415  # as above
    from privface_backend.plugins.registry import Registry  # noqa: PLC0415  # as above
    from privface_backend.plugins.spec import EngineKind  # noqa: PLC0415  # as above

    registry = Registry()
    for kind in (EngineKind.DETECTOR, EngineKind.RECOGNIZER, EngineKind.ALIGNER):
        if getattr(settings.engines, kind) not in registry.names(kind):
            yield ("engines", kind.value), f"expected one of {', '.join(registry.names(kind))}"
    privacy = settings.privacy
    if privacy.method not in (methods := registry.names(EngineKind.ANONYMIZER)):
        yield ("privacy", "method"), f"expected one of {', '.join(methods)}"
    elif (privacy.method, privacy.parameter) != ((usual := PrivacySettings()).method, usual.parameter):
        context = EngineContext(weights=WeightsStore(settings.models_dir))
        try:
            registry.create(EngineKind.ANONYMIZER, privacy.method, context).validate(privacy.parameter)
        except PrivFaceError as error:
            key = "parameter" if ("privacy", "parameter") in given else "method"
            yield ("privacy", key), f"{error.message} Allowed as privacy.parameter: {error.allowed}"


def _camera_name_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    for name in settings.cameras:
        if problem := camera_name_problem(name):
            yield ("cameras", name), f"expected another name: {problem}"


def _camera_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    """What is wrong with the cameras' names, and with how their pictures are to be anonymized."""
    if not settings.cameras:
        return
    from privface_backend.plugins.ports import EngineContext  # noqa: PLC0415  # those who set no camera needn't wait
    from privface_backend.plugins.registry import Registry  # noqa: PLC0415  # as above
    from privface_backend.plugins.spec import EngineKind  # noqa: PLC0415  # as above
    from privface_backend.plugins.weightless import NoWeights  # noqa: PLC0415  # as above

    registry, context = Registry(), EngineContext(weights=NoWeights())
    methods = registry.names(EngineKind.ANONYMIZER)
    if len(settings.cameras) > MOST_CAMERAS:
        yield ("cameras",), f"expected at most {MOST_CAMERAS} cameras"
    yield from _camera_name_problems(settings)
    for name, feed in settings.feeds.items():
        key = ("cameras", name)
        method, parameter = feed.strength(settings.privacy.method, settings.privacy.parameter)
        if feed.frigate is not None and not settings.frigate.enabled:
            yield (*key, "frigate"), "needs frigate.enabled: true, and where Frigate is"
        if method not in methods:
            yield (*key, "method"), f"expected one of {', '.join(methods)}"
            continue
        if feed.adaptive and method == CLEAR_METHOD:
            yield (*key, "adaptive"), "needs another method than none"
        anonymizer = registry.create(EngineKind.ANONYMIZER, method, context)
        for option, value in (("parameter", parameter), *feed.limits()):
            try:
                anonymizer.validate(value)
            except PrivFaceError as error:
                yield (*key, option), error.explanation


def _sealed_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    """What is wrong with sealed mode: a sealed backend that is to take pictures, a bridge that is to seal inside of a
    backend, cameras that a bridge can't seal by themselves, a key where the backend's data lies."""
    bridged = settings.feeds or settings.bridge.topics or settings.frigate.enabled
    if settings.privacy.sealed and bridged and not settings.bridge.backend:
        yield (
            ("privacy", "sealed"),
            "with cameras, bridge.topics or frigate: a sealed backend takes no pictures; `privface bridge` seals them",
        )
    if settings.privacy.sealed and settings.gallery.folder is not None:
        yield (
            ("privacy", "sealed"),
            "with gallery.folder: a sealed backend takes no pictures; enroll with `privface seal enroll`",
        )
    if settings.mqtt.sealed_frames and not settings.sealed_cameras:
        text = "expected a sealed backend or camera, as no other takes them"
        yield ("mqtt", "sealed_frames"), f"without privacy.sealed, or a camera with sealed: {text}"
    if settings.bridge.sealed and not settings.bridge.backend:
        yield ("bridge", "sealed"), "without bridge.backend: expected the address of a sealed backend elsewhere"
    yield from _sealed_camera_problems(settings)
    yield from ((("sealed", key), text) for key, text in settings.sealed.problems(settings.data_dir))


def _sealed_camera_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    """A camera's name tells the backend what to refuse; whoever seals its pictures has settings of its own."""
    sealed = [name for name, feed in settings.cameras.items() if feed.sealed]
    text = "`privface bridge` seals all of its cameras, with bridge.sealed, or none"
    for name in sealed if settings.bridge.backend else ():
        yield ("cameras", name, "sealed"), f"with bridge.backend: belongs into the backend's own settings; {text}"
    for name in settings.feeds if sealed and not settings.privacy.sealed else ():
        if name in settings.sealed_cameras:
            yield ("cameras", name), "expected another name: a sealed camera has it, but for case or accents"
