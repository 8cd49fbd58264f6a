"""The browser that tests look at pages with."""

from __future__ import annotations

import shutil
from typing import Final

SECONDS: Final = 60.0
"""For so long a page may take."""


def find_chromium() -> str | None:
    """Debian's or the machine's own Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
