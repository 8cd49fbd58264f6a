"""examples/node-red/dashboard.json in Node-RED and a browser, with a real backend's household on it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from support.backend_process import ADA, BEN, STRANGER
from support.chromium import SECONDS
from support.node_red import read_flow, until
from support.workshop import Workshop, make_event, make_stranger

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = read_flow("dashboard")
PATH = "/dashboard/privface"
# Drawn faces that stay in one piece under blur.
CLARA, EMMY, SOMEBODY = ADA, BEN, STRANGER


async def send_frame(workshop: Workshop, camera: str, picture: bytes) -> None:
    """A frame of a camera, as a sender gives it to the backend, that nothing follows."""
    headers = {"Authorization": f"Bearer {workshop.token.text}"}
    form = aiohttp.FormData({"card": '{"more": false}'})
    form.add_field("file", picture, filename="frame.jpg", content_type="image/jpeg")
    address = f"{workshop.backend.url}/api/v1/cameras/{camera}/frames"
    async with workshop.node_red.session.post(address, data=form, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def household(workshop: Workshop) -> Workshop:
    """The dashboard among people and cameras of its own, the others' taken away."""
    await workshop.node_red.deploy([])
    await workshop.forget_everybody()
    for name, identity in (("Clara", CLARA), ("Émmy Noether", EMMY)):
        await workshop.enroll(name, workshop.draw(identity))
    await workshop.deploy(FLOW)
    return workshop


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(household: Workshop, browser: Browser) -> AsyncIterator[Page]:
    """The dashboard's page, the same for all tests."""
    size: ViewportSize = {"width": 1180, "height": 624}
    page = await browser.new_page(viewport=size, locale="en-GB", reduced_motion="reduce")
    page.set_default_timeout(SECONDS * 1000)
    expect.set_options(timeout=SECONDS * 1000)
    await page.goto(f"{household.node_red.url}{PATH}")
    yield page
    await page.close()


def person(page: Page, slug: str) -> Locator:
    return page.locator(f".privface-person-{slug}")


def camera(page: Page, slug: str) -> Locator:
    return page.locator(f".privface-camera-{slug}")


async def test_it_shows_who_is_where(household: Workshop, page: Page) -> None:
    await send_frame(household, "porch", household.draw(CLARA, SOMEBODY))
    await send_frame(household, "garden", household.draw(EMMY))
    await expect(person(page, "clara")).to_contain_text("Clara")
    await expect(person(page, "clara")).to_contain_text("porch, ")
    await expect(person(page, "clara")).to_contain_text("here")
    await expect(person(page, "emmy-noether")).to_contain_text("Émmy Noether")
    await expect(camera(page, "porch")).to_contain_text("Clara")
    await expect(camera(page, "porch")).to_contain_text("1 unknown")
    await expect(camera(page, "garden")).to_contain_text("somebody is here")
    table = page.locator("table")
    for text in ("Clara", "Émmy Noether", "below_threshold"):
        await expect(table).to_contain_text(text)
    # What is opened later shows the same.
    await page.reload()
    await expect(person(page, "clara")).to_contain_text("here")
    await expect(page.locator("table")).to_contain_text("Émmy Noether")
    await take_screenshot(page)


async def take_screenshot(page: Page) -> None:
    """Into the folder that PRIVFACE_SCREENSHOTS names, if it does."""
    folder = os.environ.get("PRIVFACE_SCREENSHOTS")
    if folder:
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=Path(folder) / "node-red-dashboard.png", animations="disabled", full_page=True)


async def test_a_switch_and_a_slider_set_the_camera(household: Workshop, page: Page) -> None:
    await send_frame(household, "gate", household.draw())

    async def described() -> Any:
        return await asyncio.to_thread(household.backend.call, "GET", "/api/v1/cameras/gate")

    async with (
        household.listening("privface/camera/gate/+/set") as commands,
        household.listening("privface/camera/gate/privacy/state") as states,
    ):
        card = camera(page, "gate")
        switch, slider = card.locator("input[type=checkbox]"), card.get_by_role("slider")
        await expect(switch).to_be_checked()
        await switch.click()
        await expect(card).to_contain_text("switched off")
        await expect(switch).not_to_be_checked()
        assert (await described())["enabled"] is False
        await switch.click()
        await expect(switch).to_be_checked()
        assert (await described())["enabled"] is True
        before = int(await card.locator(".privface-privacy").inner_text())
        await slider.press("ArrowRight")
        await slider.press("ArrowRight")
        await expect(card.locator(".privface-privacy")).to_have_text(str(before + 4))
        await until(lambda: states and states[-1].payload == str(before + 4).encode(), "the new blur")
        assert (await described())["parameter"] == before + 4
    assert not any(one.retain for one in commands)
    sent = [(str(one.topic).split("/")[3], one.payload) for one in commands]
    assert sent[:2] == [("enabled", b"OFF"), ("enabled", b"ON")]
    # On a slow computer the slider may have rested in between.
    assert sent[-1] == ("privacy", str(before + 4).encode())
    assert len(sent) <= 4


async def test_the_table_takes_no_stale_event_and_shows_what_was_corrected(household: Workshop, page: Page) -> None:
    await household.publish(make_event(person="Long ago", age=31), make_event(person="No time", expires_at=None))
    wrong = make_event(person="Wrong")
    right = make_stranger(12, 3, visit_id=wrong["visit_id"], corrects=wrong["event_id"])
    await household.publish(wrong, right, make_event(person="<b>Last</b>", phase="provisional"))
    table = page.locator("table")
    await expect(table).to_contain_text("<b>Last</b>")
    await expect(table).to_contain_text("stranger 12, visit 3")
    text = await table.inner_text()
    assert "Long ago" not in text
    assert "No time" not in text
    assert "unknown, corrected" in text
    assert "known, provisional" in text
    rows = await table.locator("tbody tr").all_inner_texts()
    assert "Last" in rows[0]
    assert len(rows) <= 12


async def test_who_is_forgotten_and_a_backend_that_is_gone(household: Workshop, page: Page) -> None:
    await expect(person(page, "clara")).to_be_visible()
    (clara,) = [one for one in await asyncio.to_thread(household.backend.people) if one["name"] == "Clara"]
    await asyncio.to_thread(household.backend.call, "DELETE", f"/api/v1/people/{clara['id']}")
    await expect(person(page, "clara")).to_have_count(0)
    await expect(person(page, "emmy-noether")).to_be_visible()
    await asyncio.to_thread(household.backend.stop)
    try:
        await expect(page.get_by_text("PrivFace is offline")).to_be_visible()
        await until(lambda: household.node_red.texts("PrivFace is")[-1:] == ["offline"], "offline")
    finally:
        await asyncio.to_thread(household.backend.start)
    await expect(page.get_by_text("PrivFace is offline")).to_have_count(0)
