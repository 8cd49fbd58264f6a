"""The actions: identify, enroll, forget, rename, people."""

import contextlib
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import probatio as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonValueType

from .anonymize import AnonymizationError, AnonymizedPicture, anonymize, anonymize_versions
from .api import (
    ClientError,
    ErrorCode,
    FrameCard,
    FrameSource,
    Person,
    Privacy,
    UnavailableError,
    to_wire_time,
)
from .claims import describe_privacy
from .const import DOMAIN
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .enrollment import enrollment_strengths
from .household import RESERVED
from .looks import CameraLooks
from .pictures import (
    PictureError,
    async_camera_picture,
    async_file_picture,
    async_image_picture,
    async_media_picture,
    entity_of_media,
)

ATTR_ENTRY: Final = "config_entry_id"
ATTR_PERSON: Final = "person"
ATTR_NAME: Final = "name"
ATTR_ENTITY: Final = "entity_id"
ATTR_MEDIA: Final = "media"
ATTR_FILE: Final = "file"
ATTR_LARGEST: Final = "largest"
_ACTION_CAMERA: Final = "action"

_SOURCES: Final = (ATTR_ENTITY, ATTR_MEDIA, ATTR_FILE)
_ENTRY: Final = {vol.Optional(ATTR_ENTRY): cv.string}
_MEDIA: Final = vol.Schema({vol.Required("media_content_id"): cv.string}, extra=vol.ALLOW_EXTRA)
_SOURCE: Final = {
    vol.Optional(ATTR_ENTITY): cv.entity_domain(["camera", "image"]),
    vol.Optional(ATTR_MEDIA): _MEDIA,
    vol.Optional(ATTR_FILE): cv.string,
}
_NAME: Final = vol.All(cv.string, vol.Length(min=1, max=100))
_IDENTIFY: Final = vol.Schema({**_ENTRY, **_SOURCE})
_ENROLL: Final = vol.Schema(
    {**_ENTRY, **_SOURCE, vol.Required(ATTR_PERSON): _NAME, vol.Optional(ATTR_LARGEST, default=False): cv.boolean}
)
_FORGET: Final = vol.Schema({**_ENTRY, vol.Required(ATTR_PERSON): _NAME})
_RENAME: Final = vol.Schema({**_ENTRY, vol.Required(ATTR_PERSON): _NAME, vol.Required(ATTR_NAME): _NAME})
_PEOPLE: Final = vol.Schema(_ENTRY)


@callback
def async_register_actions(hass: HomeAssistant) -> None:
    """Register all actions, for administrators: they show any camera and file to recognition, and tell names."""
    for name, action, schema, response in (
        ("identify", _identify, _IDENTIFY, SupportsResponse.ONLY),
        ("enroll", _enroll, _ENROLL, SupportsResponse.OPTIONAL),
        ("forget", _forget, _FORGET, SupportsResponse.OPTIONAL),
        ("rename", _rename, _RENAME, SupportsResponse.OPTIONAL),
        ("people", _people, _PEOPLE, SupportsResponse.ONLY),
    ):
        async_register_admin_service(hass, DOMAIN, name, _reported(action), schema, response)


type _Action = Callable[[ServiceCall], Awaitable[ServiceResponse]]


def _reported(action: _Action) -> Callable[[ServiceCall], Any]:
    """The action, with what goes wrong told in the user's language."""

    async def run(call: ServiceCall) -> ServiceResponse:
        try:
            return await action(call)
        except PictureError as error:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key=error.key) from None
        except AnonymizationError as error:
            raise _translated(str(error.code), error.allowed) from None
        except UnavailableError:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="unavailable") from None
        except ClientError as error:
            raise _translated(error.code.value, error.allowed) from None

    return run


# Codes whose text says all; of others the code is given.
_TOLD: Final = frozenset(
    {
        "no_face",
        "several_faces",
        "face_too_small",
        "face_too_blurry",
        "person_not_found",
        "person_exists",
        "bad_name",
        "conflict",
        "consent_missing",
        "picture_unreadable",
        "picture_truncated",
        "picture_too_large",
        "picture_format",
        "anonymizer_failed",
        "weights_missing",
        "overloaded",
        "forbidden",
        "unauthenticated",
        "storage_full",
    }
)


def _translated(code: str, allowed: str | None) -> HomeAssistantError:
    if code in _TOLD:
        return ServiceValidationError(translation_domain=DOMAIN, translation_key=code)
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="refused",
        translation_placeholders={"code": code, "allowed": allowed or "-"},
    )


def _coordinator(call: ServiceCall) -> PrivFaceCoordinator:
    """The coordinator of the entry that the call means; of the only one where it names none."""
    entries: list[PrivFaceConfigEntry] = call.hass.config_entries.async_entries(DOMAIN)
    wanted = call.data.get(ATTR_ENTRY)
    if wanted is not None:
        entries = [entry for entry in entries if entry.entry_id == wanted]
    loaded = [entry for entry in entries if entry.state is ConfigEntryState.LOADED]
    if not loaded:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_loaded")
    if len(loaded) > 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="several_entries")
    return loaded[0].runtime_data.coordinator


async def _take_picture(call: ServiceCall) -> bytes:
    given = [key for key in _SOURCES if key in call.data]
    if len(given) != 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="one_source")
    source = call.data[given[0]]
    _refuse_unwanted(call)
    if given == [ATTR_FILE]:
        return await async_file_picture(call.hass, source)
    if given == [ATTR_MEDIA]:
        return await async_media_picture(call.hass, source["media_content_id"])
    if source.startswith("camera."):
        return await async_camera_picture(call.hass, source)
    return await async_image_picture(call.hass, source)


def _cameras(coordinator: PrivFaceCoordinator) -> list[CameraLooks]:
    return list(coordinator.config_entry.runtime_data.looks.values())


def _entity_id(call: ServiceCall) -> str | None:
    """The entity that the picture is from, given as such or as a media source's."""
    entity_id: str | None = call.data.get(ATTR_ENTITY)
    return entity_id or entity_of_media(call.data.get(ATTR_MEDIA, {}).get("media_content_id", ""))


def _refuse_unwanted(call: ServiceCall) -> None:
    """Take no picture of a camera whose recognition is off, or that is sealed at the backend."""
    wanted, coordinator = _entity_id(call), _coordinator(call)
    for settings in (looks.settings for looks in _cameras(coordinator)):
        if settings.entity_id != wanted:
            continue
        if not settings.recognition:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="recognition_off")
        if coordinator.data.is_sealed(settings.name):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="sealed")


def _usable_name(name: str) -> str:
    """The name as the backend keeps it; those that states say something else by are refused."""
    normal = unicodedata.normalize("NFC", " ".join(name.split()))
    if normal.casefold() in RESERVED:
        raise _translated(ErrorCode.BAD_NAME.value, None)
    return normal


async def _identify(call: ServiceCall) -> ServiceResponse:
    coordinator, captured_at = _coordinator(call), dt_util.utcnow()
    used = {looks.settings.entity_id: looks.strength for looks in _cameras(coordinator)}
    strength = used.get(_entity_id(call) or "") or enrollment_strengths(used.values())[0]
    clear = await _take_picture(call)
    longest = coordinator.longest
    picture = await call.hass.async_add_executor_job(lambda: anonymize(clear, strength, longest=longest))
    card = FrameCard(
        camera=_ACTION_CAMERA,
        captured_at=captured_at,
        privacy=_privacy(picture),
        source=FrameSource.HOMEASSISTANT,
        trigger="action",
    )
    found: dict[str, Any] = (await coordinator.client.identify(picture.data, card)).to_dict()
    return found


async def _enroll(call: ServiceCall) -> ServiceResponse:
    coordinator = _coordinator(call)
    name = _usable_name(call.data[ATTR_PERSON])
    used = [looks.strength for looks in _cameras(coordinator)]
    strengths, longest = enrollment_strengths(used), coordinator.longest
    clear = await _take_picture(call)
    pictures = await call.hass.async_add_executor_job(lambda: anonymize_versions(clear, strengths, longest=longest))
    client = coordinator.client
    person, is_new = await _ensure_person(coordinator, name)
    try:
        enrolled = await client.enroll(
            person.id,
            [(picture.data, _privacy(picture)) for picture in pictures],
            largest=call.data[ATTR_LARGEST],
        )
    except ClientError:
        if is_new:
            # A person without a face is of no use to anybody.
            with contextlib.suppress(ClientError):
                await client.forget_person(person.id)
        raise
    await coordinator.async_request_refresh()
    return {"person_id": person.id, "person": person.name, "faces": enrolled.faces, "new": is_new}


def _privacy(picture: AnonymizedPicture) -> Privacy:
    return describe_privacy(picture.strength)


async def _forget(call: ServiceCall) -> ServiceResponse:
    coordinator = _coordinator(call)
    person = await _find_person(coordinator, call.data[ATTR_PERSON])
    receipt = await coordinator.client.forget_person(person.id)
    await coordinator.async_request_refresh()
    return {
        "person_id": person.id,
        "faces": receipt.faces,
        "templates": receipt.templates,
        "events": receipt.events,
        "folder_pictures": receipt.folder_pictures,
    }


async def _rename(call: ServiceCall) -> ServiceResponse:
    coordinator = _coordinator(call)
    person = await _find_person(coordinator, call.data[ATTR_PERSON])
    renamed = await coordinator.client.rename_person(person.id, _usable_name(call.data[ATTR_NAME]))
    return {"person_id": renamed.id, "person": renamed.name}


async def _people(call: ServiceCall) -> ServiceResponse:
    coordinator = _coordinator(call)
    household, now = coordinator.household, dt_util.utcnow()
    people: list[JsonValueType] = [
        {
            "person_id": person.id,
            "person": person.name,
            "faces": person.faces,
            "present": household.is_present(person.id, now),
            **_last(coordinator, person.id),
        }
        for person in await coordinator.client.people()
    ]
    return {"people": people}


def _last(coordinator: PrivFaceCoordinator, person_id: str) -> Mapping[str, str | None]:
    person = coordinator.household.people.get(person_id)
    last = person.last if person else None
    return {
        "camera": last.camera if last else None,
        "last_seen": to_wire_time(last.captured_at) if last else None,
    }


async def _find_person(coordinator: PrivFaceCoordinator, wanted: str) -> Person:
    """The person of that id or, case apart, that name."""
    people = await coordinator.client.people()
    name = unicodedata.normalize("NFC", " ".join(wanted.split())).casefold()
    found = [person for person in people if person.id == wanted] or [
        person for person in people if person.name.casefold() == name
    ]
    if len(found) > 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="several_people")
    if not found:
        raise _translated(ErrorCode.PERSON_NOT_FOUND.value, None)
    return found[0]


async def _ensure_person(coordinator: PrivFaceCoordinator, name: str) -> tuple[Person, bool]:
    """The person of that id or name, and whether they are new."""
    try:
        return await _find_person(coordinator, name), False
    except ServiceValidationError as error:
        if error.translation_key != ErrorCode.PERSON_NOT_FOUND.value:
            raise
    return await coordinator.client.create_person(name), True
