"""Logging of a command: plain lines on stderr."""

from __future__ import annotations

import logging
from typing import Final

_QUIET: Final = ("aiohttp", "amqtt", "asyncio", "deepface", "mqtt", "PIL", "transitions", "urllib3", "watchfiles")


def set_up_logging(level: str) -> None:
    """Log from ``level`` on; third parties from warning on, since their debug lines may quote payloads."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S"
    )
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
