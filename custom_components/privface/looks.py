"""A camera's looks: when to take a picture, anonymizing it, sending it, and how that went.

One look is one picture. What triggers looks is set in the camera's subentry: an interval, entities, a person's wish.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from homeassistant.const import STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.event import async_call_later, async_track_state_change_event, async_track_time_interval
from homeassistant.util import dt as dt_util

from .anonymize import AnonymizationError, AnonymizedPicture, Strength, anonymize, follow
from .api import (
    ClientError,
    ErrorCode,
    FaceResult,
    FrameAnswer,
    FrameCard,
    FrameSource,
    Outcome,
    UnavailableError,
)
from .camera_settings import CameraSettings
from .claims import describe_privacy
from .const import CONF_RECOGNITION, DEFAULT_PICTURE, DOMAIN, OPTION_PICTURE
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .pictures import PictureError, async_camera_picture

_LOGGER = logging.getLogger(__name__)
_BUSY: Final = "busy"
_MANUAL: Final = "manual"

# Why the last look came out as it did: the states of the diagnostic sensor. What the backend adds later is "other".
REASONS: Final = (
    "ok",
    "no_face",
    "recognition_off",
    "condition",
    "cooldown",
    "camera_unavailable",
    "camera_slow",
    "camera_failed",
    "picture_unreadable",
    "picture_truncated",
    "picture_too_large",
    "picture_format",
    "bad_privacy_parameter",
    "anonymizer_failed",
    "backend_unavailable",
    "unauthenticated",
    "forbidden",
    "not_anonymized",
    "sealed",
    "camera_disabled",
    "weights_missing",
    "overloaded",
    "superseded",
    "timeout",
    "other",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFace:
    """The anonymized picture that last showed a face, as it was sent, and where the face is (fractions of it)."""

    picture: bytes = field(repr=False)
    box: tuple[float, float, float, float]
    captured_at: datetime


class CameraLooks:
    """All looks of one camera, from the moment that its entry is loaded until it isn't."""

    def __init__(
        self, hass: HomeAssistant, entry: PrivFaceConfigEntry, coordinator: PrivFaceCoordinator, subentry_id: str
    ) -> None:
        """Take what is needed; nothing happens before ``async_start``."""
        self.hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._subentry_id = subentry_id
        self._picture_seconds: float = entry.options.get(OPTION_PICTURE, DEFAULT_PICTURE)
        self._callbacks: list[CALLBACK_TYPE] = []
        self._stops: list[CALLBACK_TYPE] = []
        self._task: asyncio.Task[None] | None = None
        self._cool_until = 0.0
        self._troubled = False
        self._forget_timer: CALLBACK_TYPE | None = None
        self._stopped = False
        self.keeps_pictures = False
        self.sent = 0
        self.skipped = 0
        self.reason: str | None = None
        self.latency_ms: float | None = None
        self.last_face: LastFace | None = None

        self._settings = CameraSettings.from_subentry(entry.subentries[subentry_id])

    @property
    def settings(self) -> CameraSettings:
        """What is set now; what was set last, once the camera is removed."""
        if subentry := self._entry.subentries.get(self._subentry_id):
            self._settings = CameraSettings.from_subentry(subentry)
        return self._settings

    @property
    def enabled(self) -> bool:
        """Whether the camera may be looked through at all."""
        return self.settings.recognition

    @property
    def strength(self) -> Strength:
        """How strongly the next picture is anonymized: as set, or as the backend advises within the user's limits."""
        settings, coordinator = self.settings, self._coordinator
        kernel = coordinator.advised_kernel(settings.name)
        return follow(settings.strength, settings.limits, kernel, current=coordinator.is_connected)

    @callback
    def async_start(self) -> None:
        """Look from now on whenever something triggers it."""
        settings = self.settings
        if settings.interval > 0:
            every = timedelta(seconds=settings.interval)
            self._stops.append(async_track_time_interval(self.hass, self._async_tick, every, cancel_on_shutdown=True))
        if settings.triggers:
            self._stops.append(async_track_state_change_event(self.hass, settings.triggers, self._async_triggered))

    @callback
    def async_stop(self) -> None:
        """End what runs, and drop the picture."""
        for stop in self._stops:
            stop()
        self._stops.clear()
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        self._forget_face()

    @callback
    def async_listen(self, changed: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call ``changed`` after each look. Returns how to stop it."""
        self._callbacks.append(changed)
        return lambda: self._callbacks.remove(changed)

    @callback
    def async_enable(self, *, enabled: bool) -> None:
        """Switch recognition on or off, in the camera's settings; off ends what runs, and nothing more leaves."""
        subentry = self._entry.subentries[self._subentry_id]
        data = {**subentry.data, CONF_RECOGNITION: enabled}
        self.hass.config_entries.async_update_subentry(self._entry, subentry, data=data)
        if not enabled:
            if self._task is not None:
                self._task.cancel()
            self._forget_face()
        self.async_tell()

    @callback
    def async_look_now(self) -> None:
        """Look because somebody wants it, whatever condition and cool-down say.

        Raises:
            ServiceValidationError: recognition is switched off.
        """
        if not self.enabled:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="recognition_off")
        if not self._busy:
            self._start_burst(_MANUAL, self.settings.burst)

    @callback
    def _async_tick(self, _now: datetime) -> None:
        if reason := self._obstacle():
            self._note(reason)
        else:
            self._start_burst("interval", 1)

    @callback
    def _async_triggered(self, event: Event[EventStateChangedData]) -> None:
        if not _is_trigger(event):
            return
        reason = self._obstacle() or ("cooldown" if time.monotonic() < self._cool_until else None)
        if reason:
            self._note(reason)
            return
        settings = self.settings
        self._cool_until = time.monotonic() + settings.cooldown
        # Which entity it was stays here: its name may tell of rooms and people.
        self._start_burst("trigger", settings.burst)

    def _may_look(self, trigger: str) -> bool:
        """Whether a look that was allowed when it began still is.

        Home Assistant's way to a camera's picture swallows the cancellation of who waits for it.
        """
        allowed = self.enabled and not self._stopped
        return allowed and (trigger == _MANUAL or self._condition_holds())

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def _obstacle(self) -> str | None:
        """Why not to look now."""
        if not self.enabled:
            return "recognition_off"
        if not self._condition_holds():
            return "condition"
        if self._busy:
            return _BUSY
        return None if self._coordinator.is_connected else "backend_unavailable"

    def _condition_holds(self) -> bool:
        settings = self.settings
        if not settings.condition:
            return True
        state = self.hass.states.get(settings.condition)
        return state is not None and state.state in settings.condition_states

    def _start_burst(self, trigger: str, frames: int) -> None:
        self._task = self._entry.async_create_background_task(
            self.hass, self._burst(trigger, frames), f"PrivFace looks through {self.settings.name}"
        )

    async def _burst(self, trigger: str, frames: int) -> None:
        loop = self.hass.loop
        for frame in range(frames):
            if not self._may_look(trigger):
                return
            started = loop.time()
            more = frame + 1 < frames
            await self._look(trigger, more=more)
            if more:
                await asyncio.sleep(max(0.0, self.settings.spacing - (loop.time() - started)))

    async def _look(self, trigger: str, *, more: bool = False) -> None:
        """Take, anonymize and send one picture; ``more``: another one follows. Whatever fails, nothing clear leaves."""
        settings, captured_at, started = self.settings, dt_util.utcnow(), time.monotonic()
        if self._coordinator.data.is_sealed(settings.name):
            # It would be refused; none leaves for that.
            self._failed(ErrorCode.SEALED.value)
            return
        try:
            clear = await async_camera_picture(self.hass, settings.entity_id)
            picture = await self.hass.async_add_executor_job(self._anonymize, clear, self.strength)
            if not self._may_look(trigger):
                return
            card = _make_card(settings, picture, captured_at, trigger, more=more)
            answer = await self._coordinator.client.send_frame(settings.name, picture.data, card)
        except PictureError as error:
            if self._may_look(trigger):
                self._failed(error.key)
        except AnonymizationError as error:
            self._failed(str(error.code))
        except ClientError as error:
            self._failed(_reason(error))
        else:
            self.sent += 1
            self.latency_ms = (time.monotonic() - started) * 1000
            self._keep_face(answer, picture, captured_at)
            self._recovered("ok" if answer.identification.faces else "no_face")

    def _anonymize(self, clear: bytes, strength: Strength) -> AnonymizedPicture:
        return anonymize(clear, strength, longest=self._coordinator.longest)

    def _failed(self, reason: str) -> None:
        self.skipped += 1
        if not self._troubled and reason != "backend_unavailable":
            self._troubled = True
            _LOGGER.warning("No picture of %s can be sent (%s); trying again", self.settings.entity_id, reason)
        else:
            _LOGGER.debug("No picture of %s can be sent (%s)", self.settings.entity_id, reason)
        self._note(reason)

    def _recovered(self, reason: str) -> None:
        if self._troubled:
            self._troubled = False
            _LOGGER.info("Pictures of %s can be sent again", self.settings.entity_id)
        self._note(reason)

    def _note(self, reason: str) -> None:
        if reason == _BUSY:
            # The look under way says how it went.
            return
        self.reason = reason if reason in REASONS else "other"
        self.async_tell()

    @callback
    def async_tell(self) -> None:
        """Tell all who listen that something may have changed."""
        for changed in tuple(self._callbacks):
            changed()

    def _keep_face(self, answer: FrameAnswer, picture: AnonymizedPicture, captured_at: datetime) -> None:
        faces = answer.identification.faces
        if not faces or not self.keeps_pictures or self._picture_seconds <= 0:
            return
        self._forget_face()
        self.last_face = LastFace(picture=picture.data, box=max(faces, key=_weight).box, captured_at=captured_at)
        self._forget_timer = async_call_later(self.hass, self._picture_seconds, self._async_expire_face)

    @callback
    def _async_expire_face(self, _now: datetime) -> None:
        self._forget_timer = None
        self._forget_face()
        self.async_tell()

    def _forget_face(self) -> None:
        self.last_face = None
        if self._forget_timer is not None:
            self._forget_timer()
            self._forget_timer = None


def _reason(error: ClientError) -> str:
    away = isinstance(error, UnavailableError) and error.code is not ErrorCode.TIMEOUT
    return "backend_unavailable" if away else error.code.value


def _is_trigger(event: Event[EventStateChangedData]) -> bool:
    """Whether a change means that something happened: a sensor goes on, an event or a button fires."""
    old, new = event.data["old_state"], event.data["new_state"]
    if old is None or new is None or new.state in (STATE_UNAVAILABLE, STATE_UNKNOWN) or old.state == new.state:
        return False
    if old.state == STATE_UNAVAILABLE:
        # It is back, and shows what it showed before.
        return False
    if new.domain in ("event", "button", "input_button"):
        return True
    return new.state == STATE_ON


def _make_card(
    settings: CameraSettings, picture: AnonymizedPicture, captured_at: datetime, trigger: str, *, more: bool
) -> FrameCard:
    return FrameCard(
        camera=settings.name,
        captured_at=captured_at,
        privacy=describe_privacy(picture.strength),
        source=FrameSource.HOMEASSISTANT,
        trigger=trigger,
        more=more,
    )


def _weight(face: FaceResult) -> tuple[bool, bool, float]:
    """The face to show: a stranger's before a known one, which has a name; else the largest."""
    _x, _y, width, height = face.box
    return face.outcome is Outcome.UNKNOWN, face.outcome is Outcome.KNOWN, width * height
