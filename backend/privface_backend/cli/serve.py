"""``privface serve``."""

from __future__ import annotations

import asyncio

from privface_backend.cli.data_dir import make_data_dir
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.server import serve


def run_service(call: Invocation) -> None:
    """Serve until a signal ends it."""
    settings = call.settings
    set_up_logging(settings.log.level)
    make_data_dir(settings.data_dir)
    asyncio.run(serve(settings))
