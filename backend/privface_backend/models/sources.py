"""Where files come from, in words, and that one didn't come."""

from __future__ import annotations

from urllib.parse import urlsplit

from privface_backend.models.weights import Download, Source


class SourceError(Exception):
    """A source did not give the file; the text says why, for people."""


def describe_source(source: Source) -> str:
    """A source in a few words, for people."""
    if isinstance(source, Download):
        return urlsplit(source.url).hostname or source.url
    return f"{source.package} {source.version} in the package index"
