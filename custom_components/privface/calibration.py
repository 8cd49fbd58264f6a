"""Suggesting a calibration as a repair, where it makes sense, and never again for a gallery where it was dismissed."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .anonymize import METHODS
from .api import Calibration, ClientError, Info, PrivFaceClient
from .camera_settings import CameraSettings
from .const import CONF_PARAMETER, DOMAIN, SUBENTRY_CAMERA

_LOGGER = logging.getLogger(__name__)
ISSUE: Final = "calibrate"
LEAST_PEOPLE: Final = 2
"""So many people must have two faces or more: with one alone nothing is known of strangers."""
LEAST_FACES: Final = 2 * LEAST_PEOPLE
_APART: Final = 0.25
"""By how much a camera's strength must differ from the chosen one before anybody is told."""
_EXACT: Final = 1e-9

# Why it is suggested: the first step of the repair has a text for each.
MISSING: Final = "missing"
WEAKER: Final = "weaker"
STRONGER: Final = "stronger"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraChange:
    """What a chosen strength comes to for one camera of the entry. ``times``: its strength now over the chosen one."""

    subentry_id: str
    title: str
    before: int
    after: int
    times: float


def find_changes(entry: ConfigEntry, calibration: Calibration) -> tuple[CameraChange, ...]:
    """For the cameras of this entry whose faces' width is known, by title; their parameter may be right already."""
    return tuple(sorted(_find_changes(entry, calibration), key=lambda change: change.title))


def _find_changes(entry: ConfigEntry, calibration: Calibration) -> Iterator[CameraChange]:
    if calibration.chosen is None:
        return
    for subentry_id, settings in _cameras(entry):
        width = calibration.face_widths.get(settings.name)
        if width is not None:
            method = METHODS[settings.strength.method]
            sigma = calibration.chosen.relative * width
            fitting = [
                parameter
                for parameter in range(method.minimum, method.useful + 1, method.step)
                if method.sigma(parameter) <= sigma + _EXACT
            ]
            yield CameraChange(
                subentry_id=subentry_id,
                title=settings.title,
                before=settings.strength.parameter,
                # Where even the weakest is too strong, it is that: nothing leaves clear.
                after=max(fitting, default=method.minimum),
                times=method.sigma(settings.strength.parameter) / sigma,
            )


def _cameras(entry: ConfigEntry) -> Iterator[tuple[str, CameraSettings]]:
    for subentry_id, subentry in entry.subentries.items():
        if subentry.subentry_type == SUBENTRY_CAMERA:
            yield subentry_id, CameraSettings.from_subentry(subentry)


def find_reason(entry: ConfigEntry, calibration: Calibration) -> str | None:
    """Why to suggest a calibration; None: there is no reason."""
    if calibration.searchable < LEAST_PEOPLE:
        return None
    if not any(settings.name in calibration.face_widths for _, settings in _cameras(entry)):
        return None
    if not calibration.current:
        return MISSING
    changes = [change for change in find_changes(entry, calibration) if change.before != change.after]
    if any(change.times > 1 + _APART for change in changes):
        return WEAKER
    return STRONGER if any(change.times < 1 - _APART for change in changes) else None


async def async_review_calibration(hass: HomeAssistant, entry: ConfigEntry, client: PrivFaceClient, info: Info) -> None:
    """Bring the suggestion in line with what the backend says now; if it says nothing, all stays as it is."""
    if not info.ready or info.faces < LEAST_FACES or not any(_cameras(entry)):
        async_clear(hass, entry)
        return
    try:
        calibration = await client.calibration()
    except ClientError as error:
        # A backend of an older version has none; everything else shows elsewhere.
        _LOGGER.debug("Nothing is known of a calibration (%s)", error.code)
        return
    async_suggest(hass, entry, calibration)


@callback
def async_suggest(hass: HomeAssistant, entry: ConfigEntry, calibration: Calibration) -> None:
    """Suggest a calibration, or take the suggestion back."""
    reason = find_reason(entry, calibration)
    issue_id = f"{_prefix(entry)}{calibration.gallery}"
    for other in _issues(hass, entry):
        if other.issue_id != issue_id or (reason is None and other.dismissed_version is None):
            ir.async_delete_issue(hass, DOMAIN, other.issue_id)
    if reason is not None:
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            data={"entry_id": entry.entry_id, "reason": reason},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=ISSUE,
            translation_placeholders={"title": entry.title},
        )


@callback
def async_clear(hass: HomeAssistant, entry: ConfigEntry, *, dismissed: bool = False) -> None:
    """Take the suggestion back. ``dismissed``: that it was dismissed is forgotten, too."""
    for issue in _issues(hass, entry):
        if dismissed or issue.dismissed_version is None:
            ir.async_delete_issue(hass, DOMAIN, issue.issue_id)


def _prefix(entry: ConfigEntry) -> str:
    return f"{ISSUE}_{entry.entry_id}_"


def _issues(hass: HomeAssistant, entry: ConfigEntry) -> list[ir.IssueEntry]:
    prefix = _prefix(entry)
    return [
        issue
        for (domain, issue_id), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue_id.startswith(prefix)
    ]


@callback
def async_apply(hass: HomeAssistant, entry: ConfigEntry, changes: tuple[CameraChange, ...]) -> None:
    """Set the cameras; in force with each one's next look. One that was removed meanwhile is left out."""
    for change in changes:
        if subentry := entry.subentries.get(change.subentry_id):
            data = {**subentry.data, CONF_PARAMETER: change.after}
            hass.config_entries.async_update_subentry(entry, subentry, data=data)
