"""``privface people consent``, ``export``, ``forget``, ``receipts``: what a person may ask for."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import Invocation, invocation, run_on_core
from privface_backend.cli.output import ask, complain, say, say_json

if TYPE_CHECKING:
    from privface_backend.core import Core
    from privface_backend.domain.consent import Consent
    from privface_backend.storage.erasures import Receipt

Who = Annotated[str, typer.Argument(metavar="NAME|ID")]
Day = Annotated[
    str | None, typer.Option("--consent", metavar="DATE", help="The day of their consent.", show_default=False)
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="How it was given.", show_default=False)]
_LOOK_SECONDS: Final = 0.25
_LOOKS: Final = 80


def register(people: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("consent", _consent),
        ("export", _export),
        ("forget", _forget),
        ("receipts", _receipts),
    ):
        people.command(name)(command)


def read_given(day: str, note: str, core: Core) -> Consent:
    """A consent as it was typed.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    from privface_backend.domain.consent import Consent, clean_note, read_day  # noqa: PLC0415  # --help needs none

    return Consent(given_on=read_day(day, core.gallery.today()), note=clean_note(note))


def _consent(
    context: typer.Context,
    who: Who,
    *,
    day: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="The day it was given: YYYY-MM-DD.", show_default=False)
    ] = None,
    note: Note = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="They take it back.")] = False,
) -> None:
    """Show a person's consent, put one on record, or take it back."""
    call = invocation(context)
    if withdraw and (day is not None or note):
        raise typer.BadParameter("stands alone", param_hint="--withdraw")
    if note and day is None:
        raise typer.BadParameter("needs --date", param_hint="--note")

    async def command(core: Core) -> None:
        person = await core.gallery.person(who)
        if withdraw:
            person = await core.records.withdraw_consent(person.id)
        elif day is not None:
            person = await core.gallery.set_consent(person.id, read_given(day, note, core))
        consent = person.consent
        if call.json:
            say_json({"person_id": person.id, "consent": None if consent is None else consent.to_dict()})
        elif consent is None:
            say(f"No consent of {person.name} is on record. Put one there with --date YYYY-MM-DD")
        elif consent.withdrawn_at is not None:
            say(f"{person.name} took back their consent of {consent.given_on}: no face of theirs is enrolled any more.")
            say(f"What is enrolled stays until they are forgotten: privface people forget {person.id}")
        else:
            say(f"{person.name} agreed on {consent.given_on}{f': {consent.note}' if consent.note else ''}")

    run_on_core(call, command)


def _export(
    context: typer.Context,
    who: Who,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Where to; - is the terminal.", show_default=False),
    ] = None,
    templates: Annotated[
        bool, typer.Option("--templates", help="With the templates' numbers, which are biometric data.")
    ] = False,
) -> None:
    """Write all that is kept of a person as JSON, for the person."""
    call = invocation(context)

    async def command(core: Core) -> None:
        person = await core.gallery.person(who)
        document = await core.records.export(person.id, vectors=templates)
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if output is None or str(output) == "-":
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
            sys.stdout.flush()
            return
        await asyncio.to_thread(_write, output, text)
        counts = {key: len(document[key]) for key in ("faces", "events", "visits", "negative_examples")}
        if call.json:
            say_json({"person_id": person.id, "file": str(output), **counts})
        else:
            told = ", ".join(f"{number} {key.replace('_', ' ')}" for key, number in counts.items())
            say(f"Written to {output}, for its owner alone to read: {told}")

    run_on_core(call, command)


def _write(file: Path, text: str) -> None:
    """Write a file that only its owner can read; one that is there already is not touched.

    Raises:
        typer.BadParameter: it is there, or can't be written.
    """
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as opened:
            opened.write(text)
    except FileExistsError:
        raise typer.BadParameter("that file is there already", param_hint="--output") from None
    except OSError as error:
        raise typer.BadParameter(f"it can't be written: {error.strerror}", param_hint="--output") from None


def _forget(
    context: typer.Context, who: Who, *, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False
) -> None:
    """Remove a person with all templates and events that name them."""
    call = invocation(context)

    async def command(core: Core) -> None:
        person = await core.gallery.person(who)
        if not yes and not ask(f"Forget {person.name}, all templates and every event that names them?"):
            complain("Nobody was forgotten.")
            raise typer.Exit(Exit.UNFINISHED)
        receipt = await _await_service(call, core, await core.gallery.forget(person.id))
        if call.json:
            say_json(receipt.to_dict())
        else:
            _tell(receipt)

    run_on_core(call, command)


async def _await_service(call: Invocation, core: Core, receipt: Receipt) -> Receipt:
    """The receipt, once the running service has done its part, or when that takes too long."""
    from privface_backend.cli.runfile import read_run  # noqa: PLC0415  # --help needs none of it

    settings = call.settings
    if read_run(settings.data_dir) is None:
        if not (settings.mqtt.enabled and settings.broker_configured):
            # Nobody holds anything: the built-in broker ends with the service.
            await core.records.clear(receipt.person_id)
        return await core.records.receipt(receipt.person_id) or receipt
    for _ in range(_LOOKS):
        if receipt.cleared_at is not None:
            break
        await asyncio.sleep(_LOOK_SECONDS)
        receipt = await core.records.receipt(receipt.person_id) or receipt
    return receipt


def _tell(receipt: Receipt) -> None:
    """Print a receipt."""
    counts = receipt.counts
    say(f"Forgotten: {counts['faces']} faces, {counts['templates']} templates, {counts['events']} events")
    more = {
        "visits": "visits",
        "negatives": "negative examples",
        "others_negatives": "negative examples of others",
        "strangers": "strangers with a face of theirs",
        "explanations": "mentions in explanations",
        "corrections": "references to their events",
        "cached": "cached embeddings of evaluations",
    }
    if told := [f"{counts[key]} {words}" for key, words in more.items() if counts.get(key)]:
        say(f"and {', '.join(told)}")
    if counts["held_back"]:
        say(f"{counts['held_back']} pictures of theirs lie in directories, and are not enrolled from there again.")
        say("They are yours to delete; privface enroll DIR --forgotten would take them.")
    say(f"The database's file: {'written anew without them' if receipt.rewritten_at else 'due: it is in use or full'}")
    if receipt.cleared_at is not None:
        retained, waiting = receipt.cleared.get("retained", 0), receipt.cleared.get("waiting", 0)
        say(f"Service and broker: nothing left ({retained} retained messages cleared, {waiting} waiting ones dropped)")
    else:
        say("Service and broker: due, as soon as the service runs and reaches the broker")
    if not receipt.is_complete:
        say(f"privface people receipts tells when it is done (id {receipt.person_id})")


def _receipts(context: typer.Context) -> None:
    """List who was forgotten, by id, and whether that is done everywhere."""
    call = invocation(context)

    async def command(core: Core) -> None:
        receipts = await core.records.receipts()
        for receipt in receipts:
            if call.json:
                say_json(receipt.to_dict())
                continue
            due = [
                what
                for what, done in (("file", receipt.rewritten_at), ("service and broker", receipt.cleared_at))
                if done is None
            ]
            when = receipt.forgotten_at.astimezone().strftime("%Y-%m-%d %H:%M")
            say(f"{receipt.person_id}  {when}  {'due: ' + ', '.join(due) if due else 'complete'}")
        if not receipts and not call.json:
            say("Nobody was forgotten.")

    run_on_core(call, command)
