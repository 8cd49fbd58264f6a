"""``privface correct``: who an event's visit really was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from privface_backend.cli.invocation import Invocation, run_on_core
from privface_backend.cli.output import say, say_json

if TYPE_CHECKING:
    from privface_backend.core import Core


def run_correct(call: Invocation, event_id: str, *, person: str | None) -> None:
    """Correct an event; ``person``: whose name or id it is, None: only that it was not who was named."""

    async def command(core: Core) -> None:
        person_id = None if person is None else (await core.gallery.person(person)).id
        correction = await core.memory.correct_event(event_id, person_id)
        if call.json:
            say_json(correction.to_dict())
            return
        names = core.index.snapshot.names
        for line in _lines(
            [names[denied] for denied in correction.denied], None if person_id is None else names[person_id]
        ):
            say(line)

    run_on_core(call, command)


def _lines(denied: Iterable[str], name: str | None) -> Iterable[str]:
    refused = [f"That was not {other}: what looks like this visit is not {other} from now on" for other in denied]
    named = [] if name is None else [f"That was {name}: this visit's faces are enrolled"]
    return (*refused, *named) or ("Nobody was named, so there is nothing to take back",)
