"""A real browser that is signed in to a Home Assistant, for looking at its pages and taking screenshots."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Page, async_playwright

from support.chromium import SECONDS, find_chromium
from support.hass import HomeAssistant

# The frontend's own clock of what is still loading: elements with a spinner, in any shadow tree.
_SETTLED: Final = """() => {
    const busy = new Set(["HA-SPINNER", "HASS-LOADING-SCREEN", "HA-INIT-PAGE", "HA-FADE-IN"]);
    const shows = root => [...root.querySelectorAll("*")].some(
        node => (busy.has(node.tagName) && node.checkVisibility()) || (node.shadowRoot && shows(node.shadowRoot)));
    const main = document.querySelector("home-assistant");
    return document.fonts.status === "loaded" && !!main?.shadowRoot?.querySelector("home-assistant-main")
        && !shows(document);
}"""


@asynccontextmanager
async def browsing(
    home: HomeAssistant, *, width: int = 1280, height: int = 800, dark: bool = False
) -> AsyncIterator[Page]:
    """A page of a browser that is signed in to ``home``, in English, without animations."""
    chromium = find_chromium()
    assert chromium is not None, "no Chromium here: apt-get install chromium"
    async with async_playwright() as playwright:
        # Chromium's own sandbox doesn't start as root.
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                locale="en-US",
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
                service_workers="block",
            )
            context.set_default_timeout(SECONDS * 1000)
            tokens = json.dumps(json.dumps(home.frontend_tokens))
            await context.add_init_script(f"window.localStorage.setItem('hassTokens', {tokens})")
            yield await context.new_page()
        finally:
            await browser.close()


async def visit(page: Page, home: HomeAssistant, path: str) -> None:
    """Open a page of Home Assistant, and wait until it shows what it has to show."""
    await page.goto(f"{home.url}{path}")
    await settle(page)


async def settle(page: Page) -> None:
    """Wait until nothing on the page is loading any more."""
    await page.wait_for_function(_SETTLED)
    await page.wait_for_load_state("networkidle")
    await page.wait_for_function(_SETTLED)


async def take_screenshot(page: Page, path: Path) -> None:
    await settle(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=path, animations="disabled")
