"""The command line: argv and environment in, exit codes out."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``privface``; returns the exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if typed in (["version"], ["--version"]):
        # Scripts ask this often, and the command line's library takes ten times as long to import.
        from privface_backend.cli.version import say_version  # noqa: PLC0415  # importing the package must cost nothing

        say_version(as_json=False)
        return 0
    from privface_backend.cli.application import run  # noqa: PLC0415  # as above

    return run(typed)
