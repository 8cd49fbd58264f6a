"""``privface purge``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import Invocation, run_on_core
from privface_backend.cli.output import complain, say, say_json

if TYPE_CHECKING:
    from privface_backend.core import Core
    from privface_backend.gallery.retention import Purged


def run_purge(call: Invocation, *, dry_run: bool, trust_clock: bool) -> None:
    """Remove what is too old, or say what would be; ends with 1 where the clock is not believed."""

    async def command(core: Core) -> None:
        if dry_run:
            done = await core.retention.preview()
        else:
            done = await core.retention.purge(by_hand=True, trust_clock=trust_clock)
        if call.json:
            say_json({"dry_run": dry_run, **done.to_dict()})
        else:
            _tell(done, dry_run=dry_run)
        if done.clock_ahead is not None and not dry_run:
            raise typer.Exit(Exit.UNFINISHED)

    run_on_core(call, command)


def _tell(done: Purged, *, dry_run: bool) -> None:
    if done.clock_ahead is not None:
        days = round(done.clock_ahead / timedelta(days=1))
        complain(f"The clock is {days} days ahead of when old events were last looked for. If it is right, say so:")
        complain("privface purge --trust-clock")
        if not dry_run:
            return
    what = "Too old" if dry_run else "Removed"
    say(f"{what}: {done.events} events ({done.unknown} of them without a name), {done.remembered} visits and strangers")
    if done.rewritten is False:
        say("They are not overwritten on the disk yet: the database is in use. The service does it at its next purge.")
