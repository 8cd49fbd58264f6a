"""Home Assistant starts with the component at hand, and a browser shows its pages."""

from pathlib import Path

import pytest

from support.browser import browsing, take_screenshot, visit
from support.hass import HomeAssistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_home_assistant_answers_and_restarts(home: HomeAssistant) -> None:
    async with home.events("state_changed") as events:
        await home.request("POST", "/api/states/sensor.of_the_test", {"state": "1"})
        # Others may change just then: Home Assistant has only started.
        while (await events.get())["data"]["entity_id"] != "sensor.of_the_test":
            pass
    assert await home.call("conversation.process", {"text": "hello"}, answers=True) is not None
    await home.restart()
    assert "sensor.of_the_test" not in await home.states()


async def test_the_browser_is_signed_in(home: HomeAssistant, tmp_path: Path) -> None:
    async with browsing(home) as page:
        await visit(page, home, "/config/integrations/dashboard")
        await page.get_by_role("button", name="Add integration").wait_for()
        await take_screenshot(page, tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
