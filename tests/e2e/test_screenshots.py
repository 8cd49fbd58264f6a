"""What a user sees, in a real browser: the pages whose pictures the README shows.

``PRIVFACE_SCREENSHOTS`` names a directory to keep them in, for example docs/images.
"""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from PIL import Image
from playwright.async_api import Page

from support.backend_process import ROOT
from support.browser import browsing, settle, take_screenshot, visit
from support.household import ADA, FACE, STRANGER, Household

pytestmark = pytest.mark.asyncio(loop_scope="session")

DIALOG = {"width": 800, "height": 840}
# What the frontend shows where a translation is missing.
KEYS = re.compile(r"\b(?:component|ui)\.[a-z_]+\.|\bprivface\.|\{[a-z_]+\}|undefined|\bnull\b")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(household: Household) -> AsyncIterator[Page]:
    """A browser's page without the side bar, after Ada and a stranger were at the door."""
    await household.stage.look(ADA)
    await household.stage.look(STRANGER)
    await household.stage.home.until_state(FACE, lambda face: face["attributes"].get("event_type") == "unknown")
    async with browsing(household.stage.home) as page:
        await page.context.add_init_script("window.localStorage.setItem('dockedSidebar', '\"always_hidden\"')")
        yield page


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go."""
    return Path(os.environ.get("PRIVFACE_SCREENSHOTS") or tmp_path)


async def keep(page: Page, path: Path, *, says: str) -> None:
    """Take a picture of a page that says this, and all else in words."""
    await page.mouse.move(0, 0)
    await take_screenshot(page, path)
    text = await page.locator("body").aria_snapshot()
    assert says in text
    assert not KEYS.search(text), text
    _shrink(path)


def _shrink(path: Path) -> None:
    """Make do with 256 colors."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    assert path.stat().st_size < 150_000


async def test_the_config_flow(household: Household, page: Page, pictures: Path) -> None:
    await page.set_viewport_size(DIALOG)
    await visit(page, household.stage.home, "/config/integrations/dashboard/add?domain=privface")
    await page.get_by_role("button", name="OK").click()
    await page.get_by_text("Verify the certificate").wait_for()
    await keep(page, pictures / "config-flow.png", says="Verify the certificate")


async def test_the_strength_of_a_camera(household: Household, page: Page, pictures: Path) -> None:
    await page.set_viewport_size(DIALOG)
    await visit(page, household.stage.home, "/config/integrations/integration/privface")
    await page.get_by_role("button", name="Reconfigure camera").click()
    await page.get_by_text("How to anonymize").wait_for()
    await page.get_by_role("button", name="Next").click()
    await page.get_by_text("Strength of the blur").wait_for()
    await keep(page, pictures / "camera-strength.png", says="odd numbers only")


async def test_the_devices(household: Household, page: Page, pictures: Path) -> None:
    home = household.stage.home
    devices = {device["name"]: device["id"] for device in await home.command("config/device_registry/list")}
    await page.set_viewport_size({"width": 1100, "height": 640})
    await visit(page, home, f"/config/devices/device/{devices['Ada']}")
    await page.get_by_text("Last camera").first.wait_for()
    await keep(page, pictures / "person.png", says="By a camera")
    await page.set_viewport_size({"width": 1100, "height": 1070})
    await visit(page, home, f"/config/devices/device/{devices['Front door']}")
    await page.get_by_text("Look now").first.wait_for()
    await keep(page, pictures / "camera.png", says="A face was examined")


async def test_the_example_dashboard(household: Household, page: Page, pictures: Path) -> None:
    home, view = household.stage.home, yaml.safe_load((ROOT / "examples/dashboards/home.yaml").read_text())
    assert set(_entities(view)) <= set(await home.states())
    path = "people-home"
    await home.command("lovelace/dashboards/create", url_path=path, title="Home", mode="storage")
    await home.command("lovelace/config/save", url_path=path, config={"views": [view]})
    await page.set_viewport_size({"width": 1280, "height": 560})
    await visit(page, home, f"/{path}")
    await page.get_by_text("Before the camera").wait_for()
    await settle(page)
    assert not await page.get_by_text("Entity not found").count()
    await keep(page, pictures / "dashboard.png", says="Before the camera")


def _entities(card: Any) -> list[str]:
    """The entity ids in a card or a view, however deep."""
    if isinstance(card, dict):
        return [found for part in card.values() for found in _entities(part)]
    if isinstance(card, list):
        return [found for part in card for found in _entities(part)]
    return [card] if isinstance(card, str) and re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", card) else []
