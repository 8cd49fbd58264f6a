"""``privface audit …``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import invocation, run_on_core
from privface_backend.cli.output import complain, say, say_json

if TYPE_CHECKING:
    from privface_backend.audit.chain import Finding, Verdict
    from privface_backend.audit.lines import Line, Place
    from privface_backend.audit.reading import Wanted
    from privface_backend.core import Core

audit = typer.Typer(help="The audit log: who did what, and whether it is whole.", no_args_is_help=True)

_MOST = 1_000_000
_WIDTHS = (7, 19, 13, 22, 12, 20)


@audit.command("show")
def show_audit(
    context: typer.Context,
    *,
    last: Annotated[int, typer.Option(metavar="N", min=1, max=_MOST, help="The newest N lines.")] = 20,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From a day or time on, such as 2026-11-28.", show_default=False),
    ] = None,
    act: Annotated[
        str | None,
        typer.Option(
            metavar="ACT",
            help="enroll, identify, list, export, forget, key, configuration or audit.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None, typer.Option(metavar="ID", help="About this person only, by id.", show_default=False)
    ] = None,
) -> None:
    """Show who did what, the oldest of the lines first."""
    from privface_backend.audit.entries import Act  # noqa: PLC0415  # the help needs none of it
    from privface_backend.audit.reading import Wanted  # noqa: PLC0415  # as above

    if act is not None and act not in set(Act):
        raise typer.BadParameter(f"allowed: {', '.join(Act)}", param_hint="--act")
    call = invocation(context)
    wanted = Wanted(limit=last, since=_read_time(since), act=None if act is None else Act(act), subject=person)

    async def command(core: Core) -> None:
        lines = await _read_lines(core, wanted)
        if call.json:
            for line in lines:
                say_json(line.data)
            return
        if not lines:
            say("There are no such lines.")
            return
        say(_row("seq", "time", "act", "operation", "by", "outcome", "about"))
        for line in lines:
            say(_describe(line))

    run_on_core(call, command)


async def _read_lines(core: Core, wanted: Wanted) -> list[Line]:
    """The lines, oldest first, from as many pages as it takes."""
    import asyncio  # noqa: PLC0415  # the help needs none of it
    from dataclasses import replace  # noqa: PLC0415  # as above

    from privface_backend.audit.reading import read_page  # noqa: PLC0415  # as above

    found: list[Line] = []
    before: int | None = None
    while len(found) < wanted.limit:
        rest = replace(wanted, limit=wanted.limit - len(found), before=before)
        page = await asyncio.to_thread(read_page, core.audit.log, rest)
        found += page.lines
        before = page.before
        if before is None:
            break
    return found[::-1]


def _read_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter("expected a day or time, such as 2026-11-28T08:00", param_hint="--since") from None


def _describe(line: Line) -> str:
    from privface_backend.audit.entries import printable  # noqa: PLC0415  # the help needs none of it

    data = line.data
    time = datetime.fromisoformat(str(data["time"])).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    asker = "/".join(str(data[key]) for key in ("requestor_id", "requestor_type") if key in data)
    about = (
        *(f"{key} {data[key]}" for key in ("camera", "token", "count") if key in data),
        *((f"for {asker}",) if asker else ()),
        *((f"request {data['request_id']}",) if "request_id" in data else ()),
        *((f"settings {data['settings']}",) if "settings" in data else ()),
        *(str(subject) for subject in data.get("subjects", ())),
    )
    cells = (str(line.seq), time, *(str(data[key]) for key in ("act", "operation", "by", "outcome")), ", ".join(about))
    return _row(*(printable(cell) for cell in cells))


def _row(*cells: str) -> str:
    *first, last = cells
    padded = (cell.ljust(width) for cell, width in zip(first, _WIDTHS, strict=True))
    return "  ".join((*padded, last)).rstrip()


@audit.command("verify")
def verify_audit(
    context: typer.Context,
    *,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:MAC", help="An end that was noted elsewhere, and must still be there.", show_default=False
        ),
    ] = None,
) -> None:
    """Check every line: whether any was changed, removed, swapped or added. Exit code 1: one was."""
    call = invocation(context)
    expected = _read_place(expect)
    wrong = False

    async def command(core: Core) -> None:
        nonlocal wrong
        import asyncio  # noqa: PLC0415  # the help needs none of it

        from privface_backend.audit.reading import verify_log  # noqa: PLC0415  # as above

        verdict = await asyncio.to_thread(verify_log, core.audit.log, expected)
        wrong = not verdict.whole
        if call.json:
            say_json(verdict.to_dict())
        else:
            _tell(verdict, sealed=core.audit.log.sealer.key_id is not None)

    run_on_core(call, command)
    if wrong:
        raise typer.Exit(Exit.UNFINISHED)


def _read_place(text: str | None) -> Place | None:
    from privface_backend.audit.lines import Place  # noqa: PLC0415  # the help needs none of it

    if text is None:
        return None
    seq, _, mac = text.partition(":")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 16) or len(mac) != 64:
        raise typer.BadParameter("expected the end that privface audit verify said: 123:0f4c…", param_hint="--expect")
    return Place(seq=int(seq), mac=mac.lower())


def _tell(verdict: Verdict, *, sealed: bool) -> None:
    for finding in verdict.findings:
        say(_finding(finding))
    for note in verdict.notes:
        complain(f"note: {note}")
    if not sealed:
        complain("note: no key: whoever can write files and database can make all of it anew")
    if not verdict.lines:
        say("There are no lines yet." if verdict.whole else "The audit log is not whole.")
        return
    if verdict.end is not None:
        say(f"{verdict.lines} lines, {verdict.first} to {verdict.last}. End: {verdict.end.seq}:{verdict.end.mac}")
    say("The audit log is whole." if verdict.whole else "The audit log is not whole.")


def _finding(finding: Finding) -> str:
    numbers = "?" if finding.seq is None else str(finding.seq)
    if finding.last is not None and finding.last != finding.seq:
        numbers = f"{finding.seq} to {finding.last}"
    where = "" if finding.file is None else f" ({finding.file}, line {finding.number})"
    return f"{finding.wrong.value}: {numbers}{where}: {finding.text}"
