"""The one object that takes the backend's word in: a poll for how it stands, a stream for everything that happens."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from . import issues
from .anonymize import WORKING_SIZE
from .api import (
    Advice,
    ApiVersionError,
    AuthenticationError,
    CameraState,
    ClientError,
    ErrorCode,
    Event,
    ForbiddenError,
    Hello,
    Info,
    Person,
    PersonState,
    PrivFaceClient,
    Snapshot,
)
from .calibration import async_review_calibration
from .const import CONF_KEY, DEFAULT_PRESENT, DEFAULT_STRANGER, DOMAIN, EVENT_TYPE, OPTION_PRESENT, OPTION_STRANGER
from .household import Household

if TYPE_CHECKING:
    from .looks import CameraLooks

_LOGGER = logging.getLogger(__name__)
_POLL = timedelta(seconds=60)
_FIRST_SNAPSHOT_SECONDS = 10.0
_VERSION_RETRY_SECONDS = 300.0
_REMEMBERED_EVENTS = 256
_MOST_ADVICE = 256


@dataclass(kw_only=True)
class PrivFaceData:
    """What belongs to a loaded entry. ``looks``: by the id of the camera's subentry."""

    coordinator: PrivFaceCoordinator
    looks: dict[str, CameraLooks]

    def title(self, camera: str) -> str:
        """What the user calls the camera that the backend knows by this name."""
        titles = {settings.name: settings.title for settings in (looks.settings for looks in self.looks.values())}
        return titles.get(camera, camera)


type PrivFaceConfigEntry = ConfigEntry[PrivFaceData]


class PrivFaceCoordinator(DataUpdateCoordinator[Info]):
    """How the backend stands (``data``), who is where (``household``), and who wants to hear of events."""

    config_entry: PrivFaceConfigEntry

    def __init__(self, hass: HomeAssistant, entry: PrivFaceConfigEntry, client: PrivFaceClient) -> None:
        """Take a client; nothing is asked yet."""
        super().__init__(hass, _LOGGER, config_entry=entry, name="PrivFace", update_interval=_POLL)
        self.client = client
        self.household = Household(
            present=timedelta(seconds=entry.options.get(OPTION_PRESENT, DEFAULT_PRESENT)),
            stranger=timedelta(seconds=entry.options.get(OPTION_STRANGER, DEFAULT_STRANGER)),
        )
        self.is_connected = False
        self._first_snapshot: asyncio.Future[None] = hass.loop.create_future()
        self._event_callbacks: list[Callable[[Event], None]] = []
        self._told: dict[str, Event] = {}
        self._advice: dict[str, Advice] = {}
        self._cancel_timer: CALLBACK_TYPE | None = None

    @property
    def instance_id(self) -> str:
        """The backend's id, which makes ids of devices and entities unique."""
        return self.config_entry.unique_id or self.config_entry.entry_id

    @property
    def available(self) -> bool:
        """Whether what is shown comes from a backend that can be reached."""
        return self.is_connected

    @property
    def longest(self) -> int:
        """The longest side in pixels that pictures are brought down to before they are anonymized.

        The backend may ask for less, never for more: at a larger size the same parameter would hide less.
        """
        return min(self.data.working_size, WORKING_SIZE)

    async def async_start(self) -> None:
        """Follow the backend from now on; returns after the first snapshot.

        Raises:
            ConfigEntryNotReady: none came.
            ConfigEntryAuthFailed: the token is refused.
        """
        self.config_entry.async_on_unload(self._async_cancel_timer)
        self.config_entry.async_create_background_task(self.hass, self._async_follow(), "PrivFace stream")
        try:
            async with asyncio.timeout(_FIRST_SNAPSHOT_SECONDS):
                await self._first_snapshot
        except TimeoutError:
            raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="no_snapshot") from None

    @override
    async def _async_update_data(self) -> Info:
        if self._first_snapshot.done() and not self.is_connected:
            # The stream tells when it is back: asking as well would only make a second line in the log.
            raise UpdateFailed(translation_domain=DOMAIN, translation_key="unavailable")
        asked = dt_util.utcnow()
        try:
            info = await self.client.info()
        except (AuthenticationError, ForbiddenError) as error:
            raise ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key="bad_token") from error
        except ApiVersionError as error:
            issues.async_report_version(self.hass, self.config_entry, error)
            raise UpdateFailed(translation_domain=DOMAIN, translation_key=version_key(error)) from error
        except ClientError as error:
            if error.code is ErrorCode.LOCKED:
                await self._async_hand_over_key()
                key = "opening" if CONF_KEY in self.config_entry.data else "locked"
                raise UpdateFailed(translation_domain=DOMAIN, translation_key=key) from error
            raise UpdateFailed(translation_domain=DOMAIN, translation_key="unavailable") from error
        issues.async_review(self.hass, self.config_entry, info, asked=asked, answered=dt_util.utcnow())
        await async_review_calibration(self.hass, self.config_entry, self.client, info)
        return info

    async def _async_hand_over_key(self) -> None:
        """Open a backend that waits for its master key, where the entry keeps it."""
        if (key := self.config_entry.data.get(CONF_KEY)) is None:
            return
        try:
            await self.client.hand_over_key(key)
        except ClientError as error:
            _LOGGER.debug("The master key was not handed over (%s)", error.code)

    async def _async_follow(self) -> None:
        """Listen for good; a token that is refused asks the user for another one."""
        while True:
            try:
                await self.client.listen(self)
            except AuthenticationError, ForbiddenError:
                if self._first_snapshot.done():
                    self.config_entry.async_start_reauth(self.hass)
                self._give_up(ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key="bad_token"))
                return
            except ApiVersionError as error:
                issues.async_report_version(self.hass, self.config_entry, error)
                self._give_up(ConfigEntryNotReady(translation_domain=DOMAIN, translation_key=version_key(error)))
                await asyncio.sleep(_VERSION_RETRY_SECONDS)

    def _give_up(self, error: HomeAssistantError) -> None:
        """Let whoever waits for the first snapshot know that it won't come."""
        if not self._first_snapshot.done():
            self._first_snapshot.set_exception(error)

    @callback
    def async_listen_events(self, event_callback: Callable[[Event], None]) -> CALLBACK_TYPE:
        """Call ``event_callback`` with every event that is still worth something. Returns how to stop it."""
        self._event_callbacks.append(event_callback)
        return lambda: self._event_callbacks.remove(event_callback)

    # What follows is what the stream calls: see api.StreamListener.

    @callback
    def connected(self, hello: Hello) -> None:
        """Note that the stream stands; the snapshot comes next."""
        _LOGGER.debug("Connected to backend %s", hello.version)

    @callback
    def snapshot(self, snapshot: Snapshot) -> None:
        """Take over everything; what happened while the stream was away, and still counts, is told."""
        now = dt_util.utcnow()
        first = not self._first_snapshot.done()
        self.household.take_snapshot(snapshot, now)
        self._advice = {camera.camera: camera.advice for camera in snapshot.cameras if camera.advice is not None}
        self.is_connected = True
        if first:
            self._first_snapshot.set_result(None)
        elif not self.last_update_success:
            # It says that the backend is back.
            self.config_entry.async_create_background_task(self.hass, self.async_refresh(), "PrivFace refresh")
        # Before events are told: those of an entity that comes back from unavailable trigger nothing.
        self.async_changed()
        for event in reversed(snapshot.events):
            if first:
                self._remember(event)
            else:
                self._tell(event, now)
        self.async_changed()

    @callback
    def event(self, event: Event) -> None:
        """Take one event."""
        now = dt_util.utcnow()
        self.household.take_event(event, now)
        self._tell(event, now)
        self.async_changed()

    @callback
    def person_state(self, state: PersonState) -> None:
        """Take where a person was last seen."""
        self.household.take_state(state, dt_util.utcnow())
        self.async_changed()

    @callback
    def camera_state(self, state: CameraState) -> None:
        """Take whether strangers are still before a camera; by this home's own hold times, as all else."""
        self.household.take_camera(state, dt_util.utcnow())
        self.async_changed()

    @callback
    def people(self, people: tuple[Person, ...]) -> None:
        """Take over who is enrolled."""
        self.household.set_people(people)
        self.async_changed()

    @callback
    def advice(self, camera: str, advice: Advice | None) -> None:
        """Take how strongly a camera's frames should be anonymized."""
        if advice is None:
            self._advice.pop(camera, None)
        elif camera in self._advice or len(self._advice) < _MOST_ADVICE:
            self._advice[camera] = advice
        self.async_changed()

    def advised_kernel(self, camera: str) -> int | None:
        """The kernel size that the backend advised last for a camera; None: it advises nothing."""
        advice = self._advice.get(camera)
        return None if advice is None else advice.kernel

    @callback
    def disconnected(self, error: ClientError) -> None:
        """Show that the backend is away: said once."""
        self.is_connected = False
        if CONF_KEY in self.config_entry.data:
            # It may have started again, and wait for its key; the refusal of a stream doesn't say so.
            self.config_entry.async_create_background_task(self.hass, self._async_hand_over_key(), "PrivFace key")
        if not self.last_update_success:
            _LOGGER.debug("The backend is still away (%s)", error.code)
            return
        # A poll that fails while this stands says nothing more.
        self.last_update_success = False
        _LOGGER.warning("The backend can't be reached (%s); trying again until it can", error.code)
        self.async_update_listeners()

    def corrected(self, event: Event) -> dict[str, str | None] | None:
        """What the event takes back, in the person's name of now; None: nothing, or it isn't known any more."""
        wrong = self._told.get(event.corrects or "")
        if wrong is None:
            return None
        person = self.household.people.get(wrong.person_id or "")
        return {
            "outcome": wrong.outcome.value,
            "person_id": None if person is None else person.person_id,
            "person": None if person is None else person.name,
        }

    def _remember(self, event: Event) -> None:
        self._told[event.event_id] = event
        if len(self._told) > _REMEMBERED_EVENTS:
            del self._told[next(iter(self._told))]

    def _tell(self, event: Event, now: datetime) -> None:
        if event.event_id in self._told:
            return
        self._remember(event)
        if event.expires_at <= now:
            _LOGGER.debug("An event came too late to tell")
            return
        corrected = self.corrected(event)
        self.hass.bus.async_fire(EVENT_TYPE, event.to_dict() | ({} if corrected is None else {"corrected": corrected}))
        for event_callback in tuple(self._event_callbacks):
            event_callback(event)

    @callback
    def async_changed(self) -> None:
        """Let everybody look again, now and when time alone changes something."""
        self.async_update_listeners()
        self._async_cancel_timer()
        now = dt_util.utcnow()
        if change := self.household.next_change(now):
            self._cancel_timer = async_track_point_in_utc_time(self.hass, self._async_time_passed, change)

    @callback
    def _async_time_passed(self, _now: datetime) -> None:
        self._cancel_timer = None
        self.async_changed()

    @callback
    def _async_cancel_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None


def version_key(error: ApiVersionError) -> str:
    """The key of the text that says which side is too old."""
    return "backend_too_old" if error.too_old else "backend_too_new"
