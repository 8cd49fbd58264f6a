"""A household that uses PrivFace: the entry, a camera called Front door, two people, and automations that count."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from support.stage import CAMERA, Stage

PARAMETER: Final = 17
ENROLLED: Final = {"Ada": "president.jpg", "Ben": "astronaut.png"}
# What the camera can show: Ada twice, and somebody who isn't enrolled.
ADA: Final = "president2.jpg"
ADA_AGAIN: Final = "president3.jpg"
STRANGER: Final = "visitor.jpg"
FACE: Final = "event.front_door_face"
PEOPLE_NOW: Final = "sensor.front_door_people_now"
CONNECTED: Final = "binary_sensor.privface_connectivity"

_CAMERA: Final = {"camera_entity": CAMERA, "name": "Front door", "method": "gaussian"}
_LOOKS: Final = {"interval": 0, "frames": {"burst": 1, "spacing": 1, "cooldown": 0}}
_IN_TIME: Final = "{{ as_datetime(trigger.to_state.attributes.expires_at) > now() }}"


@dataclass(kw_only=True)
class Household:
    """A stage whose Home Assistant knows PrivFace."""

    stage: Stage
    entry_id: str

    async def remember(self, *, seconds: int) -> None:
        """Change for how long people count."""
        times = {"present_seconds": seconds, "stranger_seconds": seconds, "picture_seconds": 600}
        result = await self.stage.home.answer_flow("options/flow", {"handler": self.entry_id}, times)
        assert result["type"] == "create_entry", result
        await self.stage.home.until_state(CONNECTED, "on")

    async def counts(self) -> dict[str, int]:
        """How often each automation ran."""
        states = await self.stage.home.states()
        return {name: int(states[f"counter.{name}"]["state"]) for name in ("known", "strangers")}

    async def until_counted(self, **wanted: int) -> None:
        """Wait until the automations ran so often."""

        async def counted() -> bool:
            return await self.counts() == wanted

        await self.stage.home.until(counted, f"the automations didn't run: {wanted}", 30)

    async def automate(self, alias: str, name: str, event_type: str) -> None:
        """Add an automation that counts the camera's events of that type, where a user's would greet or warn."""
        home = self.stage.home
        options = {"target": {"entity_id": FACE}, "options": {"event_type": [event_type]}}
        automation: dict[str, Any] = {
            "alias": alias,
            "triggers": {"trigger": "event.received", **options},
            "conditions": {"condition": "template", "value_template": _IN_TIME},
            "actions": {"action": "counter.increment", "target": {"entity_id": f"counter.{name}"}},
        }
        await home.request("POST", f"/api/config/automation/config/{name}", automation)
        await home.until_state(f"automation.{alias.lower().replace(' ', '_')}", "on")

    async def enroll(self, person: str, picture: str) -> None:
        """Enroll somebody from a file, by the action."""
        home = self.stage.home
        given = {"person": person, "file": str(self.stage.clear / picture)}
        answer = await home.call("privface.enroll", given, answers=True)
        assert (answer["person"], answer["faces"], answer["new"]) == (person, 1, True), answer
        await home.until_state(f"binary_sensor.{person.lower()}_present", "off")


async def move_in(stage: Stage) -> Household:
    """Set everything up as a user would."""
    home, token = stage.home, await asyncio.to_thread(stage.backend.create_token)
    entry = await home.add_entry("privface", {"url": stage.proxy.url, "token": token.text, "verify_ssl": True})
    household = Household(stage=stage, entry_id=entry["entry_id"])
    await household.remember(seconds=300)
    await home.add_subentry(household.entry_id, "camera", _CAMERA, {"parameter": PARAMETER}, _LOOKS)
    await home.until_state(PEOPLE_NOW, "nobody")
    await household.automate("Greet people", "known", "known")
    await household.automate("Report strangers", "strangers", "unknown")
    for person, picture in ENROLLED.items():
        await household.enroll(person, picture)
    return household
