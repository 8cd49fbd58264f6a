"""The package node-red-contrib-privface, installed with npm, in Node-RED."""

import json
from typing import Any

import pytest

from support.node_red import EXAMPLES, read_flow
from support.workshop import Workshop, make_event, make_stranger

pytestmark = pytest.mark.asyncio(loop_scope="session")

PACKAGE = json.loads((EXAMPLES / "nodes/package.json").read_text(encoding="utf-8"))
OUTPUTS = ("known", "unknown", "unusable")
_DEFAULTS: dict[str, object] = {"CAMERAS": "", "PEOPLE": "", "CONFIRMED": True, "ONCE": True}


def make_flow(**properties: object) -> list[dict[str, Any]]:
    """A flow as a user wires it: the node behind an example's *mqtt in*, with a debug node at each output."""
    example = read_flow("greet-the-known")
    tab, broker, events = (
        next(node for node in example if node["type"] == kind) for kind in ("tab", "mqtt-broker", "mqtt in")
    )
    place = {"z": tab["id"], "x": 300, "y": 120}
    event = {"id": "event", "type": "privface-event", "name": "", **_DEFAULTS, **properties, **place}
    debugs = [
        {"id": name, "type": "debug", "name": name, "active": True, "tosidebar": True, "complete": "true", "wires": []}
        for name in OUTPUTS
    ]
    wired = [{**events, "wires": [["event"]]}, {**event, "wires": [[name] for name in OUTPUTS]}]
    return [tab, broker, *wired, *({**debug, **place} for debug in debugs)]


async def hear(workshop: Workshop, *events: dict[str, Any], **properties: object) -> dict[str, list[str]]:
    """The ids of the events that come out, by output, before one that is known comes out last."""
    await workshop.deploy(make_flow(**properties))
    last = make_event(camera="front-door", person="Ada")
    await workshop.publish(*events, last)
    shown = await workshop.node_red.hear("known")
    while not any(last["event_id"] in text for text in shown):
        shown = await workshop.node_red.hear("known", len(shown) + 1)
    messages = {name: [json.loads(text) for text in workshop.node_red.texts(name)] for name in OUTPUTS}
    assert all(one["topic"] == name for name in OUTPUTS for one in messages[name])
    return {
        name: [one["payload"]["event_id"] for one in messages[name] if one["payload"]["event_id"] != last["event_id"]]
        for name in OUTPUTS
    }


async def test_node_red_knows_the_package(workshop: Workshop) -> None:
    headers = {"Accept": "application/json"}
    async with workshop.node_red.session.get(f"{workshop.node_red.url}/nodes", headers=headers) as answer:
        (entry,) = (one for one in await answer.json() if one["module"] == PACKAGE["name"])
    assert (entry["types"], entry["version"], entry["enabled"]) == (["privface-event"], PACKAGE["version"], True)
    assert "err" not in entry


async def test_each_outcome_has_its_output(workshop: Workshop) -> None:
    known, unknown = make_event(), make_stranger(1, 1)
    unusable = make_event(outcome="unusable", person=None, person_id=None, reason="pose")
    assert await hear(workshop, known, unknown, unusable, make_event(outcome="something new")) == {
        "known": [known["event_id"]],
        "unknown": [unknown["event_id"]],
        "unusable": [unusable["event_id"]],
    }


async def test_cameras_and_people_are_chosen(workshop: Workshop) -> None:
    ada, ben = make_event(person="ADA"), make_event(person="Ben")
    elsewhere, stranger = make_event(camera="garden"), make_stranger(1, 1)
    heard = await hear(workshop, ada, ben, elsewhere, stranger, CAMERAS="Front-Door, hall", PEOPLE="Ada , Grace")
    assert heard == {"known": [ada["event_id"]], "unknown": [stranger["event_id"]], "unusable": []}


async def test_what_is_stale_never_comes_out(workshop: Workshop) -> None:
    await workshop.deploy([])
    await workshop.publish(make_event(), retain=True)
    fresh = make_event()
    try:
        heard = await hear(workshop, make_event(age=31), make_event(expires_at=None), fresh, fresh, ONCE=False)
    finally:
        await workshop.publish("", topic="privface/event", retain=True)
    assert heard == {"known": [fresh["event_id"]], "unknown": [], "unusable": []}


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("confirmed", [True, False])
async def test_how_sure_and_how_often_is_chosen(workshop: Workshop, *, once: bool, confirmed: bool) -> None:
    perhaps = make_event(phase="provisional")
    sure, again = ({**make_event(), "visit_id": perhaps["visit_id"]} for _ in range(2))
    heard = await hear(workshop, perhaps, sure, again, CONFIRMED=confirmed, ONCE=once)
    passed = [one["event_id"] for one in (perhaps, sure, again) if not confirmed or one["phase"] == "confirmed"]
    assert heard["known"] == (passed[:1] if once else passed)
