"""examples/node-red/greet-the-known.json in Node-RED."""

import json
from typing import Any

import pytest

from support.node_red import read_flow
from support.workshop import EVENTS, Workshop, make_event, make_stranger

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = read_flow("greet-the-known")
SAY, BACK = "Say this", "Taken back"


def names(texts: list[str]) -> list[str]:
    """Whom these greetings greet."""
    assert all(text.startswith(("Good morning, ", "Good afternoon, ", "Good evening, ")) for text in texts), texts
    return [text.partition(", ")[2] for text in texts]


async def test_somebody_known_is_greeted_once_a_visit(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    first = make_event(person="Zoë & Ada")
    again = {**first, "event_id": "another", "seq": 2}
    await workshop.publish(first, first, again, make_event(person="Ben", person_id="ben"), make_event(person="Last"))
    assert names(await workshop.node_red.hear(SAY, 3)) == ["Zoë & Ada.", "Ben.", "Last."]


async def test_who_is_unknown_or_not_sure_yet_is_not_greeted(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    unusable = make_event(outcome="unusable", person=None, reason="too_blurry")
    await workshop.publish(make_event(phase="provisional"), make_stranger(1, 1), unusable, make_event(person="Last"))
    assert names(await workshop.node_red.hear(SAY)) == ["Last."]


async def test_a_provisional_name_is_greeted_if_asked_for_and_not_again_when_it_is_sure(workshop: Workshop) -> None:
    await workshop.deploy(FLOW, PRIVFACE_WHEN="first")
    early = make_event(phase="provisional")
    sure = {**early, "event_id": "sure", "phase": "confirmed", "seq": 2}
    await workshop.publish(early, sure, make_event(person="Last"))
    assert names(await workshop.node_red.hear(SAY, 2)) == ["Ada.", "Last."]


async def test_what_is_stale_greets_nobody(workshop: Workshop) -> None:
    """Expired, without or with an unreadable time, of a clock that is ahead, or no event at all."""
    await workshop.deploy(FLOW)
    stale: list[dict[str, Any] | str] = [
        make_event(age=31),
        make_event(expires_at=None),
        make_event(expires_at="soon"),
        make_event(age=-3600),
        make_event(schema=2),
        make_event(visit_id=None),
        "no JSON",
        "null",
        "",
    ]
    await workshop.publish(*stale, make_event(person="Last"))
    assert names(await workshop.node_red.hear(SAY)) == ["Last."]


async def test_what_the_broker_kept_greets_nobody(workshop: Workshop) -> None:
    await workshop.deploy([])  # else the flow of the test before hears it fresh
    await workshop.publish(make_event(), retain=True)
    try:
        await workshop.deploy(FLOW)
        await workshop.publish(make_event(person="Last"))
        assert names(await workshop.node_red.hear(SAY)) == ["Last."]
    finally:
        await workshop.publish("", topic=EVENTS, retain=True)


async def test_a_greeting_is_taken_back(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    wrong = make_event()
    right = make_event(visit_id=wrong["visit_id"], corrects=wrong["event_id"], person="Ben", person_id="ben")
    nobody = make_event(visit_id=wrong["visit_id"], corrects=right["event_id"], outcome="unknown", person=None)
    of_nobody_greeted = make_stranger(1, 1, corrects="an event that greeted nobody")
    await workshop.publish(wrong, right, nobody, of_nobody_greeted, make_event(person="Last"))
    assert names(await workshop.node_red.hear(SAY, 3)) == ["Ada.", "Ben.", "Last."]
    assert workshop.node_red.texts(BACK) == ["That was not Ada after all.", "That was not Ben after all."]


async def test_a_late_correction_is_left_out(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    wrong = make_event()
    late = make_event(visit_id=wrong["visit_id"], corrects=wrong["event_id"], outcome="unknown", person=None, age=31)
    await workshop.publish(wrong, late, make_event(person="Last"))
    assert names(await workshop.node_red.hear(SAY, 2)) == ["Ada.", "Last."]
    assert workshop.node_red.texts(BACK) == []


async def test_it_greets_again_after_the_broker_was_away(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    before = len(workshop.broker.log())
    workshop.broker.restart()
    await workshop.until_subscribed(FLOW, since=before)
    await workshop.publish(make_event())
    assert names(await workshop.node_red.hear(SAY)) == ["Ada."]


async def test_the_event_goes_with_the_greeting(workshop: Workshop) -> None:
    flow = json.loads(json.dumps(FLOW))
    (debug,) = (node for node in flow if node.get("name") == SAY)
    debug["complete"] = "event"
    await workshop.deploy(flow)
    event = make_event()
    await workshop.publish(event)
    await workshop.node_red.hear(SAY)
    assert workshop.node_red.said[-1].json == event
