"""What a running backend remembers, put there by the test."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from privface_backend.core import Core
from privface_backend.domain.matching import Contract
from privface_backend.domain.memory import KeptVisit, Stranger
from privface_backend.protocol import Event
from support.gallery import make_remembered
from support.mqtt import make_event


def contract_of(core: Core) -> Contract:
    contract = core.index.contract
    assert contract is not None
    return contract


def explain(*person_ids: str, **changes: Any) -> dict[str, Any]:
    """An explanation, with these people nearest."""
    face = {
        "captured_at": "2026-11-23T08:15:30.125Z",
        "box": [0.1, 0.2, 0.3, 0.4],
        "relative": 0.032,
        "quality": {
            "weight": 0.8,
            "width": 96.0,
            "detection": 0.91,
            "sharpness": 0.4,
            "turn": 0.1,
            "brightness": 0.5,
            "contrast": 0.3,
        },
        "reason": "ok",
    }
    nearest = [
        {
            "person_id": person_id,
            "score": 0.4 - place / 10,
            "threshold": 0.47,
            "evidence": -1.5,
            "behind": place / 10,
            "not_them": place > 0,
        }
        for place, person_id in enumerate(person_ids)
    ]
    threshold = {
        "value": 0.47,
        "source": "measured on 451 strangers",
        "naming": "balanced",
        "caution": 0.0,
        "rate": 0.001,
        "people": 8,
        "relative": 0.032,
        "lightest": 0.0,
    }
    margin = {"needed": 0.02, "had": 0.1}
    whole = {"margin": margin, "faces": [face], "nearest": nearest, "threshold": threshold, "usable": 1, "seen": 3}
    return {**whole, **changes}


async def add_stranger(core: Core, **changes: Any) -> Stranger:
    """A stranger of the contract in use."""
    contract, now = contract_of(core), datetime.now(UTC)
    number = await core.memory.next_stranger_number()
    stranger = Stranger(
        id=str(uuid.uuid4()),
        number=number,
        contract=contract.key,
        first_seen=now,
        last_seen=now,
        camera="door",
        faces=make_remembered(number, contract),
    )
    stranger = replace(stranger, **changes)
    assert await core.memory.put_stranger(stranger, new=True)
    return stranger


async def add_visit(core: Core, number: int, explanation: Mapping[str, Any] | None = None, **changes: Any) -> Event:
    """A visit that is kept, and its event; ``changes``: of the event."""
    event = replace(make_event(number), visit_id=f"visit-{number}", **{"person_id": None, "person": None, **changes})
    contract = contract_of(core)
    visit = KeptVisit(
        id=event.visit_id,
        camera=event.camera,
        last_seen=event.captured_at,
        contract=contract.key,
        person_id=event.person_id,
        stranger_id=None if event.stranger is None else event.stranger.id,
        faces=make_remembered(100 + number, contract),
    )
    assert await core.memory.keep_visit(visit)
    explanations = {} if explanation is None else {event.event_id: explanation}
    await core.storage.call(core.events.extend, (event,), explanations)
    return event
