"""Pictures from what Home Assistant knows: cameras, image entities, media and files. Clear, and never kept."""

import asyncio
import time
from pathlib import Path
from typing import Final

import aiohttp
from homeassistant.components import camera, image, media_source
from homeassistant.components.media_player import async_process_play_media_url
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.aiohttp_client import async_get_clientsession

CAMERA_SECONDS: Final = 10
_MEDIA_SECONDS: Final = 30
_LONGEST: Final = 20 * 1024 * 1024


class PictureError(Exception):
    """There is no picture. ``key``: why, as a translation key."""

    def __init__(self, key: str) -> None:
        """Keep the key only: what went wrong elsewhere may quote an address."""
        super().__init__(key)
        self.key = key


async def async_camera_picture(hass: HomeAssistant, entity_id: str) -> bytes:
    """The present picture of a camera entity.

    Raises:
        PictureError: ``camera_unavailable``, ``camera_slow``, ``camera_failed``.
    """
    state = hass.states.get(entity_id)
    if state is None or state.state == "unavailable":
        raise PictureError("camera_unavailable")
    started = time.monotonic()
    try:
        return (await camera.async_get_image(hass, entity_id, timeout=CAMERA_SECONDS)).content
    except HomeAssistantError:
        slow = time.monotonic() - started >= CAMERA_SECONDS
        raise PictureError("camera_slow" if slow else "camera_failed") from None
    except Exception:  # noqa: BLE001  # another integration's camera may raise anything
        raise PictureError("camera_failed") from None


async def async_image_picture(hass: HomeAssistant, entity_id: str) -> bytes:
    """The picture of an image entity.

    Raises:
        PictureError: ``image_unavailable``.
    """
    try:
        return (await image.async_get_image(hass, entity_id)).content
    except Exception:  # noqa: BLE001  # another integration's entity may raise anything
        raise PictureError("image_unavailable") from None


async def async_file_picture(hass: HomeAssistant, name: str) -> bytes:
    """A file in one of the directories that Home Assistant may read.

    Raises:
        PictureError: ``path_not_allowed``, ``file_not_found``, ``file_too_large``.
    """
    path = Path(name)

    def read() -> bytes:
        try:
            if not hass.config.is_allowed_path(name):
                raise PictureError("path_not_allowed")
            with path.open("rb") as file:
                return _checked(file.read(_LONGEST + 1))
        except OSError, ValueError:
            raise PictureError("file_not_found") from None

    return await hass.async_add_executor_job(read)


async def async_media_picture(hass: HomeAssistant, media_id: str) -> bytes:
    """What a media source has under that id.

    Raises:
        PictureError: ``media_unavailable``, ``file_too_large``, or what cameras and image entities raise.
    """
    if entity_id := entity_of_media(media_id):
        take = async_camera_picture if entity_id.startswith("camera.") else async_image_picture
        return await take(hass, entity_id)
    try:
        media = await media_source.async_resolve_media(hass, media_id, None)
    except HomeAssistantError:
        raise PictureError("media_unavailable") from None
    if media.path is not None:
        return await hass.async_add_executor_job(_read_media, media.path)
    try:
        # Local addresses are signed for this one look.
        return await _async_download(async_get_clientsession(hass), async_process_play_media_url(hass, media.url))
    except HomeAssistantError, aiohttp.ClientError, TimeoutError:
        raise PictureError("media_unavailable") from None


def entity_of_media(media_id: str) -> str | None:
    """The camera or image entity that a media id stands for: its media would be a stream, or an address of its own."""
    for domain in ("camera", "image"):
        entity_id = media_id.removeprefix(f"media-source://{domain}/")
        if entity_id != media_id and entity_id.startswith(f"{domain}."):
            return entity_id
    return None


def _read_media(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _checked(file.read(_LONGEST + 1))
    except OSError:
        raise PictureError("media_unavailable") from None


async def _async_download(session: aiohttp.ClientSession, url: str) -> bytes:
    async with asyncio.timeout(_MEDIA_SECONDS), session.get(url) as response:
        response.raise_for_status()
        data = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            data += chunk
            _checked(data)
        return bytes(data)


def _checked[Data: (bytes, bytearray)](data: Data) -> Data:
    if len(data) > _LONGEST:
        raise PictureError("file_too_large")
    return data
