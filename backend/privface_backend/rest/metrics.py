"""Figures for Prometheus. Cameras are the only names among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import psutil
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from privface_backend.pipeline.recognition import Timed
from privface_backend.protocol import ErrorCode, Outcome, Reason, Scope
from privface_backend.rest.operations import TEXT, Answer, Operation
from privface_backend.rest.services import Services

METRICS: Final = web.AppKey("metrics", CollectorRegistry)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGES: Final = frozenset({"queue", "decode", "anonymize", "detect", "represent", "verify", "total"})
_NO_LABEL: Final = re.compile(r"[^\w .-]")


class FrameMetrics:
    """Counts and measures every frame; told of them by ``Recognition``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._frames: Final = Counter("privface_frames", "Frames that were looked at", registry=registry)
        self._faces: Final = Counter("privface_faces", "Faces that were found", registry=registry)
        self._decisions: Final = Counter(
            "privface_decisions", "Decisions about faces", ("outcome", "reason"), registry=registry
        )
        self._skipped: Final = Counter(
            "privface_skipped", "Frames that were not looked at", ("reason",), registry=registry
        )
        self._stages: Final = Histogram(
            "privface_stage_seconds", "Seconds of one frame in a stage", ("stage",), registry=registry, buckets=_SECONDS
        )
        for outcome in (Outcome.KNOWN, Outcome.UNKNOWN):
            self._decisions.labels(outcome, Reason.OK if outcome is Outcome.KNOWN else Reason.BELOW_THRESHOLD)
        for code in (ErrorCode.OVERLOADED, ErrorCode.SUPERSEDED, ErrorCode.CAMERA_DISABLED):
            self._skipped.labels(code)

    def looked(self, timed: Timed) -> None:
        self._frames.inc()
        self._faces.inc(len(timed.judgement.faces))
        for face in timed.judgement.faces:
            self._decisions.labels(face.result.outcome, face.result.reason).inc()
        for stage, milliseconds in timed.latency_ms.items():
            if stage in _STAGES:
                self._stages.labels(stage).observe(milliseconds / 1000)

    def skipped(self, code: ErrorCode) -> None:
        self._skipped.labels(code).inc()


class StateMetrics:
    """What can be read off the parts at any moment."""

    def __init__(self, services: Services) -> None:
        self._services: Final = services
        self._process: Final = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        services, snapshot = self._services, self._services.index.snapshot
        yield _gauge("privface_ready", "1: the engines are ready", int(services.recognition.ready))
        yield _gauge("privface_lane_depth", "Frames that wait or are looked at", services.lane.depth)
        yield _gauge(
            "privface_resident_memory_bytes", "Resident memory of the process", self._process.memory_info().rss
        )
        yield _gauge("privface_people", "People who are enrolled", len(snapshot.people))
        yield _gauge("privface_enrolled_faces", "Faces that are enrolled", len(snapshot.faces))
        yield _gauge("privface_templates", "Templates of the contracts in use", services.gallery.indexes.templates)
        yield _gauge("privface_listeners", "Listeners on the websocket and the event stream", services.bus.listening)
        audit = services.audit.counters
        yield CounterMetricFamily("privface_audit_lines", "Lines of the audit log", value=audit.written)
        yield CounterMetricFamily("privface_audit_failed", "Acts without a line in it", value=audit.failed)
        yield from self._cameras()
        yield from self._outbox()
        yield from self._webhooks()

    def _cameras(self) -> Iterator[Metric]:
        frames = CounterMetricFamily("privface_camera_frames", "Frames of a camera", labels=("camera", "skipped"))
        by_label: dict[str, tuple[int, int]] = {}
        for camera in self._services.cameras.all():
            label = camera_label(camera.name)
            looked, skipped = by_label.get(label, (0, 0))
            by_label[label] = (looked + camera.frames, skipped + camera.skipped)
        for label, (looked, skipped) in by_label.items():
            frames.add_metric((label, "no"), looked)
            frames.add_metric((label, "yes"), skipped)
        yield frames

    def _outbox(self) -> Iterator[Metric]:
        broker = self._services.broker
        if broker is None:
            return
        counts = broker.counters
        yield _gauge("privface_outbox_events", "Events that wait for the broker", counts.waiting)
        dropped = CounterMetricFamily("privface_outbox_dropped", "Events that never reached it", labels=("reason",))
        dropped.add_metric(("expired",), counts.dropped_expired)
        dropped.add_metric(("overflow",), counts.dropped_overflow)
        yield dropped
        yield CounterMetricFamily("privface_broker_published", "Messages published", value=counts.published)
        yield CounterMetricFamily("privface_broker_reconnects", "Connections after the first", value=counts.reconnects)

    def _webhooks(self) -> Iterator[Metric]:
        """By the webhook's number in the configuration, from 1: its address can be a secret."""
        hooks = self._services.webhooks()
        if not hooks:
            return
        events = CounterMetricFamily("privface_webhook_events", "Events for a webhook", labels=("webhook", "result"))
        waiting = GaugeMetricFamily("privface_webhook_waiting", "Events that wait for a webhook", labels=("webhook",))
        for number, counts in enumerate(hooks, start=1):
            events.add_metric((str(number), "sent"), counts.sent)
            events.add_metric((str(number), "failed"), counts.failed)
            events.add_metric((str(number), "dropped"), counts.dropped)
            waiting.add_metric((str(number),), counts.waiting)
        yield events
        yield waiting


def camera_label(name: str) -> str:
    """A camera's name as a label: letters, digits, space, dot, dash and underscore."""
    return _NO_LABEL.sub("_", name)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def register_metrics(registry: CollectorRegistry, services: Services) -> None:
    """Put all figures into ``registry``."""
    services.recognition.observe(FrameMetrics(registry))
    registry.register(StateMetrics(services))


async def show_metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(request.app[METRICS]), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/metrics",
        handler=show_metrics,
        tag="Service",
        summary="Figures for Prometheus",
        description="Prometheus sends the token with authorization.credentials in its scrape configuration.",
        scope=Scope.IDENTIFY,
        answers={200: Answer(description="Prometheus' text format.", content={TEXT: {"type": "string"}})},
    ),
)
