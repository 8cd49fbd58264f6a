"""The server around the application: how it ends, and what it logs."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web

SHUTDOWN_SECONDS: Final = 10.0


def _leave_out_quotes(record: logging.LogRecord) -> bool:
    """aiohttp's errors quote the request, a token in it as well: only their type is kept."""
    kind = record.exc_info[0] if record.exc_info else None
    if kind is not None and issubclass(kind, ConnectionResetError):
        # Whoever asked has gone, and nobody waits for the answer.
        return _LOGGER.isEnabledFor(logging.DEBUG)
    if kind is not None:
        record.msg, record.args = "A request couldn't be handled: %s", (kind.__name__,)
        record.exc_info = None
    return True


_LOGGER: Final = logging.getLogger(__name__)
_LOGGER.addFilter(_leave_out_quotes)


def make_runner(app: web.Application) -> web.AppRunner:
    """What serves the application. Its end gives running requests ten seconds to finish."""
    # The application has an access log of its own: aiohttp's would show paths and queries, with names in them.
    return web.AppRunner(app, access_log=None, logger=_LOGGER, shutdown_timeout=SHUTDOWN_SECONDS)
