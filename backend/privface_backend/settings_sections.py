"""The sections of the settings that belong to no part alone: frozen, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from privface_backend.domain.frames import WORKING_SIZE
from privface_backend.domain.privacy import EPSILON, LADDER, SENSITIVITY
from privface_backend.domain.strength_advice import DEFAULT_TARGET
from privface_backend.protocol import DEFAULT_PORT, Privacy


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where REST listens. ``require_token`` off leaves the door open to all who reach the port."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    require_token: bool = True
    body_megabytes: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which engines, by name, and what DeepFace runs on."""

    detector: str = "opencv:yunet"
    recognizer: str = "deepface:SFace"
    aligner: str = "five-point"
    backend: str = "onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """How a frame is anonymized that came clear, and at which strengths r enrollment makes templates. ``epsilon``,
    ``sensitivity``: of a method that adds noise; ``check_claims``: see that frames are what their cards say;
    ``target``: the r that cameras are advised for the near faces; 0: nothing is advised; ``sealed``: no picture is
    taken at all, of whatever camera, only what a user side sealed."""

    method: str = "gaussian"
    parameter: int = 17
    epsilon: float = EPSILON
    sensitivity: int = SENSITIVITY
    require_client: bool = False
    check_claims: bool = True
    ladder: tuple[float, ...] = LADDER
    sealed: bool = False
    target: float = DEFAULT_TARGET

    @property
    def default(self) -> Privacy:
        """How a frame is anonymized whose card says nothing."""
        return Privacy(method=self.method, parameter=self.parameter, epsilon=self.epsilon, sensitivity=self.sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """Sizes and limits of what is looked at. ``working_size``: a frame's longest side, in pixels."""

    working_size: int = WORKING_SIZE
    waiting: int = 32
    picture_megabytes: int = 20
    picture_megapixels: int = 25
    video_megabytes: int = 64
    video_seconds: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class GallerySettings:
    """The people. ``folder``: a directory to enroll from and to watch; ``prune``: forget what is deleted there."""

    folder: Path | None = None
    prune: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentSettings:
    """Who may be enrolled. ``require_consent``: only who has a consent on record."""

    require_consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSettings:
    """When somebody is named. ``naming``: how readily; ``caution`` is added to every threshold; ``margin`` is the lead
    over the next person; ``settle_seconds``: how long another frame is waited for before what there is must do;
    ``gap_seconds``: after how long without a face a visit is over."""

    naming: str = "balanced"
    caution: float = 0.0
    margin: float = 0.02
    smallest_face: float = 20.0
    settle_seconds: float = 1.5
    gap_seconds: float = 8.0
    event_seconds: int = 30
    hold_seconds: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """The embedded broker, used when no other is configured. ``port``: None takes 1883, or another if that is taken."""

    embedded: bool = True
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySettings:
    """How others find REST. ``url``: the address that is told over MQTT; empty: this computer's."""

    zeroconf: bool = True
    mqtt: bool = True
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Camera addresses that a request may name: ``allow`` holds whole addresses, or prefixes that end in ``*``;
    ``webcams`` the indexes of this computer's cameras."""

    allow: tuple[str, ...] = ()
    webcams: tuple[int, ...] = ()
    seconds: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AncestorSettings:
    """The routes of SIFIS-Home's service. ``without_token``: never, loopback (this computer only) or always."""

    enabled: bool = True
    without_token: str = "loopback"  # noqa: S105  # where the token may be missing, no token
    database_path: str = "/app/database"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropInSettings:
    """The routes of other engines, for programs that speak to those: ``deepstack`` (CodeProject.AI's, too) and
    ``compreface``. ``without_token``: where recognizing needs no token: never, loopback (this computer only) or always;
    changing who is enrolled always needs one."""

    deepstack: bool = False
    compreface: bool = False
    without_token: str = "never"  # noqa: S105  # where the token may be missing, no token


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long events are kept. ``unknown_days``: those that name nobody, None: as long as the others;
    ``purge_hours``: how often what is too old is removed."""

    event_days: int = 30
    unknown_days: int | None = None
    purge_hours: int = 24

    @property
    def nameless_days(self) -> int:
        """How long events that name nobody are kept."""
        return self.event_days if self.unknown_days is None else self.unknown_days


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """How long a visit's templates are kept, for strangers who come back and for corrections; 0: not at all."""

    hours: float = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The audit log. ``megabytes``: of one file; ``days``: how long lines are kept, in at most ``files`` files;
    ``required``: an act whose line can't be written is refused."""

    megabytes: int = 8
    days: int = 365
    files: int = 100
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged: ``level`` as Python names it."""

    level: str = "info"
