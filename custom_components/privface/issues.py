"""What a user must mend, as entries of Home Assistant's repairs."""

from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .api import MIN_API_VERSION, ApiVersionError, ErrorCode, Info
from .const import DOMAIN

_SKEW = timedelta(seconds=10)
_KEYS = ("backend_too_old", "backend_too_new", "weights_missing", "enroll_again", "clock_skew", "engines_failed")
_WEIGHTS = frozenset({ErrorCode.WEIGHTS_MISSING, ErrorCode.WEIGHTS_MISMATCH, ErrorCode.WEIGHTS_UNREACHABLE})


@callback
def async_report_version(hass: HomeAssistant, entry: ConfigEntry, error: ApiVersionError) -> None:
    """Say which side has to be updated."""
    key = "backend_too_old" if error.too_old else "backend_too_new"
    _report(hass, entry, key, True, minimum=str(MIN_API_VERSION))


@callback
def async_review(hass: HomeAssistant, entry: ConfigEntry, info: Info, *, asked: datetime, answered: datetime) -> None:
    """Bring the entry's repairs in line with how its backend stands. ``asked``, ``answered``: when, by this clock."""
    for key in ("backend_too_old", "backend_too_new"):
        _report(hass, entry, key, False)
    missing = info.trouble in _WEIGHTS
    _report(hass, entry, "weights_missing", missing)
    code = "" if info.trouble is None else info.trouble.value
    _report(hass, entry, "engines_failed", info.trouble is not None and not missing, code=code)
    again = info.people_to_enroll_again
    _report(hass, entry, "enroll_again", again > 0, people=str(again))
    skew = _skew(info.time, asked, answered)
    _report(hass, entry, "clock_skew", abs(skew) > _SKEW, seconds=str(round(abs(skew.total_seconds()))))


@callback
def async_clear(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take all of the entry's repairs back."""
    for key in _KEYS:
        _report(hass, entry, key, False)


def _skew(backend: datetime | None, asked: datetime, answered: datetime) -> timedelta:
    """How far the backend's clock lies outside the time in which it can have answered; forward is positive."""
    if backend is None or asked <= backend <= answered:
        return timedelta()
    return backend - answered if backend > answered else backend - asked


def _report(hass: HomeAssistant, entry: ConfigEntry, key: str, wrong: bool, **placeholders: str) -> None:
    issue_id = f"{key}_{entry.entry_id}"
    if not wrong:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING if key == "clock_skew" else ir.IssueSeverity.ERROR,
        translation_key=key,
        translation_placeholders={"title": entry.title, **placeholders},
    )
