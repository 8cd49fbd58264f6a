"""All examples beside each other in one Node-RED, imported in its editor as a user does."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser

from support.backend_process import ADA
from support.chromium import SECONDS
from support.node_red import EXAMPLES, read_flow, until
from support.workshop import PASSWORD, Workshop

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))


async def fetch(workshop: Workshop) -> dict[str, dict[str, Any]]:
    """What Node-RED runs, by id."""
    async with workshop.node_red.session.get(f"{workshop.node_red.url}/flows") as answer:
        return {node["id"]: node for node in await answer.json()}


async def test_the_editor_takes_them_as_they_are(workshop: Workshop, browser: Browser) -> None:
    await workshop.deploy([])
    before = len(workshop.node_red.log), len(workshop.broker.log())
    page = await browser.new_page(viewport={"width": 1400, "height": 800})
    page.set_default_timeout(SECONDS * 1000)
    await page.goto(workshop.node_red.url)
    await page.wait_for_function("() => window.RED?.settings?.version && RED.nodes.getType('ui-template')")
    await page.locator("#red-ui-header-button-deploy").wait_for()
    await page.locator("#red-ui-loading-progress").wait_for(state="hidden")
    for place, name in enumerate(NAMES, 1):
        await page.keyboard.press("Control+i")
        await page.fill("#red-ui-clipboard-dialog-import-text", (EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
        await page.click("#red-ui-clipboard-dialog-ok")
        await page.wait_for_function(f"() => RED.nodes.filterNodes({{ type: 'comment' }}).length >= {place}")
        await page.locator("#red-ui-clipboard-dialog").wait_for(state="hidden")
    await page.click("#red-ui-header-button-deploy")
    flows = {name: read_flow(name) for name in NAMES}
    await workshop.until_subscribed([node for flow in flows.values() for node in flow], since=before[1])
    await page.close()
    running = await fetch(workshop)
    for name, flow in flows.items():
        for node in flow:
            node.pop("credentials", None)
            assert running[node["id"]] == node, (name, node.get("name"))
    log = workshop.node_red.log[before[0] :]
    assert "[error]" not in log
    assert PASSWORD not in json.dumps(running)


async def test_a_token_can_stand_in_the_tab_as_a_credential(workshop: Workshop) -> None:
    """As the comments say: what is exported then doesn't hold it."""
    flow = read_flow("rest-identify")
    (tab,) = (node for node in flow if node["type"] == "tab")
    (entry,) = (one for one in tab["env"] if one["name"] == "PRIVFACE_TOKEN")
    entry |= {"type": "cred", "value": ""}
    tab["credentials"] = {"PRIVFACE_TOKEN": "pf_wrong"}
    await workshop.deploy(flow)
    assert (await workshop.submit("/privface/identify", workshop.draw(ADA)))[0] == 401
    tab["credentials"] = {"PRIVFACE_TOKEN": workshop.token.text}
    await workshop.deploy(flow)
    status, text = await workshop.submit("/privface/identify", workshop.draw(ADA))
    assert status == 200, text
    assert workshop.token.text not in json.dumps(await fetch(workshop))


async def test_without_any_variable_they_speak_to_this_computer(workshop: Workshop) -> None:
    """The defaults: an empty variable is none."""
    names = ("PRIVFACE_MQTT_HOST", "PRIVFACE_MQTT_PORT")
    before = len(workshop.node_red.log)
    flow = read_flow("greet-the-known")
    (tab,) = (node for node in flow if node["type"] == "tab")
    for entry in tab["env"]:
        if entry["name"] in names:
            entry["value"] = entry["value"].replace(entry["name"], "NOT_SET_ANYWHERE")
    await workshop.node_red.deploy(flow)
    await until(
        lambda: "mqtt://127.0.0.1:1883" in workshop.node_red.log[before:], "an attempt at the default's address"
    )
