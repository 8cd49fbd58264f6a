"""The command line: argv and environment in, exit codes out."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``privface``; returns the exit code."""
    from privface_backend.cli.application import run  # noqa: PLC0415  # importing the package must cost nothing

    return run(arguments)
