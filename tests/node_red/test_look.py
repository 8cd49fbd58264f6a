"""examples/node-red/look-now.json in Node-RED, with a real backend; and what comes of it, in another flow."""

import asyncio
import json
import re
from typing import Any

import pytest

from support.backend_process import ADA, STRANGER
from support.node_red import read_flow, until
from support.workshop import Workshop

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = read_flow("look-now")
SEEN, FAILED = "Seen", "What went wrong"
NOWHERE = "http://127.0.0.1:1"
SNAPSHOT = "{camera}/snapshot.jpg"


async def look(workshop: Workshop, *flows: list[dict[str, Any]], **variables: str) -> None:
    """Deploy the flow, beside others, and press its second button."""
    address = f"{workshop.cameras.url}/{SNAPSHOT}"
    whole = [node for flow in (FLOW, *flows) for node in flow]
    await workshop.deploy(whole, **{"PRIVFACE_SNAPSHOT_URL": address, **variables})
    await workshop.node_red.press(FLOW, "Fetch and send")


async def test_the_command_goes_out_and_is_not_kept(workshop: Workshop) -> None:
    async with workshop.listening("privface/camera/+/look") as heard:
        await workshop.deploy(FLOW, PRIVFACE_CAMERA="Zoë's Back-Yard ")
        await workshop.node_red.press(FLOW, "Look")
        await until(lambda: heard, "a command")
    assert [(str(one.topic), one.payload, one.qos) for one in heard] == [
        ("privface/camera/zoe-s-back-yard/look", b"PRESS", 1)
    ]
    async with workshop.listening("privface/#") as kept, workshop.listening("mark") as marked:
        await workshop.publish("now", topic="mark")
        await until(lambda: marked, "the mark")
    assert not [one for one in kept if str(one.topic).endswith("/look")]


async def test_a_snapshot_becomes_a_greeting_and_a_stranger_a_notification(workshop: Workshop) -> None:
    """The whole way: camera, Node-RED, PrivFace, broker, Node-RED."""
    await workshop.forget_everybody()
    await workshop.enroll("Ada", workshop.draw(ADA))
    workshop.cameras.pictures["hall"] = workshop.draw(ADA, STRANGER)
    others = (read_flow("greet-the-known"), read_flow("notify-unknown"))
    await look(workshop, *others, PRIVFACE_CAMERA="hall")
    (seen,) = await workshop.node_red.hear(SEEN)
    assert seen.startswith("hall: ")
    assert "Ada" in seen
    assert "unknown, below_threshold" in seen
    assert seen.endswith("events: 2")
    (greeting,) = await workshop.node_red.hear("Say this")
    assert greeting.endswith(", Ada.")
    (told,) = await workshop.node_red.hear("Send this")
    assert re.fullmatch(r"hall: stranger \d+, first visit", json.loads(told)["text"])
    assert workshop.node_red.texts(FAILED) == []


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"PRIVFACE_TOKEN": "pf_wrong"}, "unauthenticated: The token is wrong or was revoked. Set PRIVFACE_TOKEN"),
        ({"PRIVFACE_TOKEN": ""}, "unauthenticated: "),
        (
            {"PRIVFACE_URL": "http://127.0.0.1:1"},
            "unreachable: PrivFace can't be reached at PRIVFACE_URL (ECONNREFUSED)",
        ),
        ({"PRIVFACE_URL": "{cameras}"}, "no_privface: What answers at PRIVFACE_URL (status 404) isn't PrivFace."),
        ({"PRIVFACE_CAMERA": "no picture"}, "camera_unreachable: The camera gave no picture (503)."),
        ({"PRIVFACE_SNAPSHOT_URL": ""}, "no_address: Set PRIVFACE_SNAPSHOT_URL"),
        (
            {"PRIVFACE_SNAPSHOT_URL": "http://127.0.0.1:1"},
            "camera_unreachable: The camera gave no picture (ECONNREFUSED)",
        ),
    ],
    ids=["wrong token", "no token", "nobody there", "somebody else there", "no picture", "no address", "no camera"],
)
async def test_what_goes_wrong_is_said(workshop: Workshop, variables: dict[str, str], text: str) -> None:
    workshop.cameras.pictures["front-door"] = workshop.draw()
    await look(workshop, **{key: one.replace("{cameras}", workshop.cameras.url) for key, one in variables.items()})
    (said,) = await workshop.node_red.hear(FAILED)
    assert said.startswith(text)
    assert "pf_" not in said
    assert workshop.node_red.texts(SEEN) == []


async def test_a_picture_that_is_none_is_refused_with_the_code(workshop: Workshop) -> None:
    workshop.cameras.pictures["front-door"] = b"no picture"
    await look(workshop)
    (said,) = await workshop.node_red.hear(FAILED)
    assert said.startswith(("picture_unreadable: ", "picture_format: "))


async def test_a_camera_that_is_switched_off_says_so(workshop: Workshop) -> None:
    workshop.cameras.pictures["cellar"] = workshop.draw()
    await asyncio.to_thread(workshop.backend.call, "PATCH", "/api/v1/cameras/cellar", {"enabled": False})
    await look(workshop, PRIVFACE_CAMERA="cellar")
    (said,) = await workshop.node_red.hear(FAILED)
    assert said.startswith("camera_disabled: ")
