"""examples/node-red/rest-identify.json in Node-RED, with a real backend."""

import asyncio

import pytest

from support.backend_process import ADA, BEN, STRANGER
from support.node_red import read_flow
from support.workshop import Workshop

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = read_flow("rest-identify")
PAGE = "/privface/identify"
FOUND, FAILED = "Who it is", "What went wrong"


async def test_the_page_is_a_form(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    async with workshop.node_red.session.get(f"{workshop.node_red.url}{PAGE}") as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    assert '<input type="file" name="file"' in text


async def test_an_uploaded_picture_is_answered(workshop: Workshop) -> None:
    await workshop.forget_everybody()
    await workshop.enroll("Ben <b>", workshop.draw(BEN))
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(PAGE, workshop.draw(BEN, STRANGER))
    assert status == 200
    assert "<li>known: Ben &lt;b&gt; (" in text
    assert "<li>unknown: below_threshold (" in text
    (found,) = await workshop.node_red.hear(FOUND)
    assert "known: Ben <b> (" in found
    status, text = await workshop.submit(PAGE, workshop.draw())
    assert (status, "<li>no face</li>" in text) == (200, True)


async def test_a_fetched_picture_is_answered(workshop: Workshop) -> None:
    workshop.cameras.pictures["hall"] = workshop.draw(STRANGER)
    await workshop.deploy(FLOW, PRIVFACE_PICTURE_URL=f"{workshop.cameras.url}/hall/snapshot.jpg")
    await workshop.node_red.press(FLOW, "Fetch and ask")
    (found,) = await workshop.node_red.hear(FOUND)
    assert found.startswith("unknown: ")


async def test_nothing_goes_out_as_an_event(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    async with workshop.listening("privface/event") as heard, workshop.listening("mark") as marked:
        await workshop.submit(PAGE, workshop.draw(ADA))
        await asyncio.sleep(2)  # longer than the backend waits before it decides about a picture that comes alone
        await workshop.publish("now", topic="mark")
        async with asyncio.timeout(10):
            while not marked:  # noqa: ASYNC110  # the client collects by itself
                await asyncio.sleep(0.01)
    assert heard == []


@pytest.mark.parametrize(
    ("variables", "code", "status"),
    [
        ({"PRIVFACE_TOKEN": "pf_wrong"}, "unauthenticated", 401),
        ({"PRIVFACE_URL": "http://127.0.0.1:1"}, "unreachable", 502),
    ],
)
async def test_errors_are_shown_by_their_code(
    workshop: Workshop, variables: dict[str, str], code: str, status: int
) -> None:
    await workshop.deploy(FLOW, **variables)
    answered, text = await workshop.submit(PAGE, workshop.draw(ADA))
    assert (answered, f"<li>{code}: " in text) == (status, True), text
    (said,) = await workshop.node_red.hear(FAILED)
    assert said.startswith(f"{code}: ")


async def test_what_is_no_picture_is_shown_by_its_code(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(PAGE, b"no picture")
    assert status in {400, 415}
    assert "<li>picture_" in text
    status, text = await workshop.submit(PAGE)
    assert (status, "<li>no_picture: " in text) == (400, True)


async def test_an_address_without_a_picture(workshop: Workshop) -> None:
    await workshop.deploy(FLOW, PRIVFACE_PICTURE_URL=f"{workshop.cameras.url}/nowhere/snapshot.jpg")
    await workshop.node_red.press(FLOW, "Fetch and ask")
    assert await workshop.node_red.hear(FAILED) == ["picture_unreachable: There is no picture at that address (503)."]
    await workshop.deploy(FLOW)
    await workshop.node_red.press(FLOW, "Fetch and ask")
    assert (await workshop.node_red.hear(FAILED))[0].startswith("no_address: ")


async def test_forms_of_other_sites_are_refused(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    for origin in ("http://elsewhere.example", "null"):
        status, text = await workshop.submit(PAGE, workshop.draw(ADA), headers={"Origin": origin})
        assert (status, "<li>other_site: " in text) == (403, True)
    assert (await workshop.submit(PAGE, workshop.draw(), headers={}))[0] == 200
