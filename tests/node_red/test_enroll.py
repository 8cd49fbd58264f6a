"""examples/node-red/enroll-from-upload.json in Node-RED, with a real backend."""

import asyncio

import pytest

from support.node_red import read_flow
from support.workshop import Workshop

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = read_flow("enroll-from-upload")
PAGE = "/privface/enroll"
DEBUG = "What came of it"
# Drawn faces that no other test enrolls.
GRACE, HOPPER, LISE, MARIE = 3, 4, 6, 7
AGREED = {"agreed": "yes"}


async def faces_of(workshop: Workshop, name: str) -> list[int]:
    """How many faces those of that name have."""
    people = await asyncio.to_thread(workshop.backend.people)
    return [int(person["faces"]) for person in people if person["name"] == name]


async def test_the_page_is_a_form(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    async with workshop.node_red.session.get(f"{workshop.node_red.url}{PAGE}") as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    assert '<input type="text" name="name"' in text


async def test_somebody_new_is_enrolled_and_somebody_known_gets_more(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(PAGE, workshop.draw(GRACE), fields={"name": " Grace <i> ", **AGREED})
    assert (status, "<li>Grace &lt;i&gt;: 1 enrolled, 0 refused</li>" in text) == (200, True), text
    status, text = await workshop.submit(
        PAGE, workshop.draw(GRACE, shade=140), workshop.draw(), fields={"name": "GRACE <i>", **AGREED}
    )
    assert (status, "<li>Grace &lt;i&gt;: 1 enrolled, 1 refused</li>" in text) == (200, True), text
    assert "<li>2.jpg: no_face: " in text
    assert await faces_of(workshop, "Grace <i>") == [2]
    assert len(await workshop.node_red.hear(DEBUG, 2)) == 2


async def test_nobody_is_left_behind_without_a_face(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(PAGE, workshop.draw(), fields={"name": "Nobody", **AGREED})
    assert (status, "<li>no_face: " in text) == (422, True), text
    assert await faces_of(workshop, "Nobody") == []


async def test_somebody_enrolled_stays_when_a_picture_is_refused(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    await workshop.submit(PAGE, workshop.draw(HOPPER), fields={"name": "Hopper", **AGREED})
    status, text = await workshop.submit(PAGE, workshop.draw(HOPPER, LISE), fields={"name": "Hopper", **AGREED})
    assert (status, "<li>several_faces: " in text) == (422, True), text
    assert await faces_of(workshop, "Hopper") == [1]


async def test_two_people_of_one_name_are_not_mixed_up(workshop: Workshop) -> None:
    for _ in range(2):
        await asyncio.to_thread(
            workshop.backend.call, "POST", "/api/v1/people", {"name": "Twin", "allow_duplicate": True}
        )
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(PAGE, workshop.draw(MARIE), fields={"name": "Twin", **AGREED})
    assert (status, "<li>several_people: " in text) == (409, True), text
    assert await faces_of(workshop, "Twin") == [0, 0]


@pytest.mark.parametrize(
    ("fields", "pictures", "code"),
    [
        ({"name": " ", **AGREED}, 1, "no_name"),
        ({"name": "Marie", **AGREED}, 0, "no_picture"),
        ({"name": "Marie", **AGREED}, 11, "too_many"),
        ({"name": "Marie"}, 1, "not_agreed"),
    ],
)
async def test_what_is_missing_is_said(workshop: Workshop, fields: dict[str, str], pictures: int, code: str) -> None:
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(PAGE, *[workshop.draw(MARIE)] * pictures, fields=fields)
    assert (status, f"<li>{code}: " in text) == (400, True), text
    assert await faces_of(workshop, "Marie") == []


@pytest.mark.parametrize(
    ("variables", "code", "status"),
    [
        ({"PRIVFACE_TOKEN": "pf_wrong"}, "unauthenticated", 401),
        ({"PRIVFACE_TOKEN": "identify only"}, "forbidden", 403),
        ({"PRIVFACE_URL": "http://127.0.0.1:1"}, "unreachable", 502),
    ],
)
async def test_errors_are_shown_by_their_code(
    workshop: Workshop, variables: dict[str, str], code: str, status: int
) -> None:
    if variables.get("PRIVFACE_TOKEN") == "identify only":
        weak = await asyncio.to_thread(workshop.backend.create_token, "identify")
        variables = {"PRIVFACE_TOKEN": weak.text}
    await workshop.deploy(FLOW, **variables)
    answered, text = await workshop.submit(PAGE, workshop.draw(MARIE), fields={"name": "Marie", **AGREED})
    assert (answered, f"<li>{code}: " in text) == (status, True), text
    assert "pf_" not in text


async def test_forms_of_other_sites_are_refused(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    status, text = await workshop.submit(
        PAGE, workshop.draw(MARIE), fields={"name": "Marie", **AGREED}, headers={"Origin": "http://elsewhere.example"}
    )
    assert (status, "<li>other_site: " in text) == (403, True), text
    assert await faces_of(workshop, "Marie") == []
