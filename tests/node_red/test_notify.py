"""examples/node-red/notify-unknown.json in Node-RED."""

import asyncio
import json
from typing import Any

import pytest

from support.node_red import read_flow
from support.workshop import Workshop, make_event, make_stranger

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = read_flow("notify-unknown")
SEND, BACK = "Send this", "Taken back"


async def hear(workshop: Workshop, count: int) -> list[dict[str, Any]]:
    """The first notifications."""
    return [json.loads(text) for text in await workshop.node_red.hear(SEND, count)]


async def test_a_stranger_is_told_with_number_and_visit(workshop: Workshop) -> None:
    await workshop.deploy(FLOW, PRIVFACE_PAUSE_MINUTES="0")
    nobody_s = make_stranger(1, 1, stranger=None)
    await workshop.publish(make_stranger(12, 3), make_stranger(4, 11), nobody_s)
    told = await hear(workshop, 3)
    assert [one["text"] for one in told] == [
        "front-door: stranger 12, third visit",
        "front-door: stranger 4, 11th visit",
        "front-door: somebody unknown",
    ]
    assert {one["title"] for one in told} == {"Somebody unknown"}
    assert not any("picture" in one for one in told)


async def test_a_snapshot_of_the_camera_goes_with_it(workshop: Workshop) -> None:
    workshop.cameras.pictures["Back yard"] = picture = workshop.draw(5)
    address = f"{workshop.cameras.url}/{{camera}}/snapshot.jpg"
    await workshop.deploy(FLOW, PRIVFACE_SNAPSHOT_URL=address)
    await workshop.publish(make_stranger(12, 3, camera="Back yard"))
    (told,) = await hear(workshop, 1)
    shown = bytes(told["picture"]["data"])  # the editor is shown the first bytes only
    assert (told["picture"]["length"], shown) == (len(picture), picture[: len(shown)])
    assert shown
    assert (told["type"], told["text"]) == ("image/jpeg", "Back yard: stranger 12, third visit")
    assert workshop.cameras.asked[-1] == "Back yard"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("{cameras}/broken/snapshot.jpg", "503"),
        ("http://127.0.0.1:1/snapshot.jpg", "ECONNREFUSED"),
        ("{cameras}/slow/snapshot.jpg", "ETIMEDOUT"),
        ("{cameras}/endless/snapshot.jpg", "ETIMEDOUT"),
    ],
)
async def test_without_a_snapshot_it_is_told_all_the_same(workshop: Workshop, address: str, why: str) -> None:
    await workshop.deploy(FLOW, PRIVFACE_SNAPSHOT_URL=address.replace("{cameras}", workshop.cameras.url))
    await workshop.publish(make_stranger(12, 3))
    (told,) = await hear(workshop, 1)
    assert told["text"] == f"front-door: stranger 12, third visit (the camera gave no picture: {why})"
    assert "picture" not in told


async def test_once_a_visit_and_not_too_often_at_one_camera(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    first = make_stranger(1, 1)
    same_visit = {**first, "event_id": "again"}
    soon = [make_stranger(number, 1) for number in (2, 3)]
    elsewhere = make_stranger(4, 1, camera="garden")
    await workshop.publish(first, same_visit, *soon, elsewhere)
    told = await hear(workshop, 2)
    assert [one["who"] for one in told] == ["stranger 1, first visit", "stranger 4, first visit"]


async def test_what_was_left_out_is_counted(workshop: Workshop) -> None:
    await workshop.deploy(FLOW, PRIVFACE_PAUSE_MINUTES=str(3 / 60))
    number = 0
    while len(workshop.node_red.texts(SEND)) < 2:
        number += 1
        await workshop.publish(make_stranger(number, 1))
        await asyncio.sleep(0.1)
    first, second = await hear(workshop, 2)
    assert first["who"] == "stranger 1, first visit"
    told = int(second["who"].split()[1].rstrip(","))
    assert told > 2
    assert second["text"].endswith(f" ({told - 2} more since the last notification)")


async def test_who_is_known_or_not_sure_yet_is_not_told(workshop: Workshop) -> None:
    await workshop.deploy(FLOW, PRIVFACE_PAUSE_MINUTES="0")
    await workshop.publish(make_event(), make_stranger(1, 1, phase="provisional"), make_stranger(9, 1))
    assert [one["who"] for one in await hear(workshop, 1)] == ["stranger 9, first visit"]


async def test_what_is_stale_is_not_told(workshop: Workshop) -> None:
    await workshop.deploy([])
    await workshop.publish(make_stranger(1, 1), retain=True)
    try:
        await workshop.deploy(FLOW, PRIVFACE_PAUSE_MINUTES="0")
        await workshop.publish(make_stranger(2, 1, age=31), make_stranger(9, 1))
        assert [one["who"] for one in await hear(workshop, 1)] == ["stranger 9, first visit"]
    finally:
        await workshop.publish("", topic="privface/event", retain=True)


async def test_it_says_who_it_was_after_all(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    told, left_out = make_stranger(1, 1), make_stranger(2, 1)
    named = [make_event(visit_id=one["visit_id"], corrects=one["event_id"]) for one in (left_out, told)]
    await workshop.publish(told, left_out, *named)
    assert await workshop.node_red.hear(BACK) == ["The unknown person at front-door was Ada."]


async def test_a_name_that_is_taken_back_is_told_as_unknown(workshop: Workshop) -> None:
    await workshop.deploy(FLOW)
    wrong = make_event()
    await workshop.publish(wrong, make_stranger(3, 1, visit_id=wrong["visit_id"], corrects=wrong["event_id"]))
    assert [one["who"] for one in await hear(workshop, 1)] == ["stranger 3, first visit"]
