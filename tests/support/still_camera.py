"""Home Assistant's generic camera on a still picture that a test's own server gives."""

from __future__ import annotations

from typing import Final

from support.hass import HomeAssistant

FRAME_SECONDS: Final = 0.01
"""For so long the camera's integration gives the same picture again."""


async def add_still_camera(home: HomeAssistant, url: str, name: str) -> str:
    """Add a camera that asks ``url`` for each picture; the entity, ``camera.`` and its name."""
    advanced = {"framerate": 1 / FRAME_SECONDS, "verify_ssl": True}
    entry = await home.add_entry("generic", {"still_image_url": url, "advanced": advanced}, {"confirmed_ok": True})
    registered = await home.command("config/entity_registry/list")
    (entity_id,) = (one["entity_id"] for one in registered if one["config_entry_id"] == entry["entry_id"])
    wanted = f"camera.{name.lower().replace(' ', '_')}"
    await home.command("config/entity_registry/update", entity_id=entity_id, new_entity_id=wanted, name=name)
    return wanted
