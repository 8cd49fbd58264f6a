"""Which commands are acts that the audit log tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privface_backend.audit.acts import Doing
from privface_backend.audit.entries import Act, By

ACTS: Final[Mapping[str, Act]] = {
    "people list": Act.LIST,
    "people add": Act.ENROLL,
    "people rename": Act.ENROLL,
    "people faces": Act.LIST,
    "people remove-face": Act.FORGET,
    "people ignore": Act.CONFIGURATION,
    "people unignore": Act.CONFIGURATION,
    "people forget": Act.FORGET,
    "people export": Act.EXPORT,
    "people consent": Act.ENROLL,
    "people receipts": Act.LIST,
    "purge": Act.FORGET,
    "strangers list": Act.LIST,
    "strangers name": Act.ENROLL,
    "strangers ignore": Act.ENROLL,
    "strangers forget": Act.FORGET,
    "correct": Act.ENROLL,
    "explain": Act.LIST,
    "token create": Act.KEY,
    "token list": Act.LIST,
    "token revoke": Act.KEY,
    "key rotate": Act.KEY,
    "audit show": Act.LIST,
}
"""Told of by ``session.run_command``, with what the command noted."""

TOLD_IN_PARTS: Final = frozenset({"enroll", "identify"})
"""A line for each picture or video."""

NO_ACTS: Final = frozenset(
    {
        # What the service does it tells of itself; the demonstration has a data directory of its own.
        "serve",
        "demo",
        "bridge",
        "watch",
        "doctor",
        "version",
        # The service tells of what it is asked for.
        "calibrate",
        "seal enroll",
        "seal identify",
        # Which key of the user side there is.
        "seal key",
        # A picture of the user's own, which nobody is looked for in.
        "show",
        # Pictures that are measured; of who is enrolled, figures only.
        "evaluate household",
        "evaluate pairs",
        "evaluate clips",
        "evaluate attack",
        "evaluate clear-cache",
        "models list",
        "models fetch",
        "models verify",
        "models import",
        "webhook test",
        "audit verify",
        # One says which key there is, the other makes one that nothing uses yet.
        "key show",
        "key new",
    }
)


def doing(act: Act, operation: str) -> Doing:
    """An act on this command line."""
    return Doing(act=act, operation=operation, by=By.COMMAND_LINE)
