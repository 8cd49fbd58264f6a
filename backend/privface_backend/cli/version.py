"""``privface version``."""

from __future__ import annotations

from privface_backend import __version__
from privface_backend.cli.output import say, say_json
from privface_backend.protocol import API_VERSION


def say_version(*, as_json: bool) -> None:
    """Print the version, and that of the interface."""
    if as_json:
        say_json({"version": __version__, "api_version": API_VERSION})
    else:
        say(f"privface {__version__} (API {API_VERSION})")
