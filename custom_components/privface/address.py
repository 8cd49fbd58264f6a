"""The backend's address, as people write it."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from yarl import URL

from .api.protocol import DEFAULT_PORT

_HOST: Final = re.compile(r"[a-z0-9._:-]+")  # as yarl writes it: lower case, IDNA, an IPv6 address without brackets


def normalize_url(text: str) -> str:
    """The backend's address without a trailing slash, from a host, host:port, or an http(s) URL with any path.

    Raises:
        ValueError: ``invalid_url`` or ``url_credentials``.
    """
    text = text.strip()
    with_scheme = "://" in text
    try:
        url = URL(text if with_scheme else f"http://{_in_brackets(text)}")
        host, port = url.raw_host or "", url.port
    except ValueError:
        raise ValueError("invalid_url") from None
    if url.user is not None or url.password is not None:
        raise ValueError("url_credentials")
    if url.scheme not in ("http", "https") or not _HOST.fullmatch(host) or not port:
        raise ValueError("invalid_url")
    if not with_scheme and url.explicit_port is None:
        url = url.with_port(DEFAULT_PORT)
    return str(url.with_query(None).with_fragment(None)).rstrip("/")


def _in_brackets(text: str) -> str:
    """An IPv6 address as URLs write it; anything else unchanged."""
    try:
        return f"[{IPv6Address(text)}]"
    except AddressValueError:
        return text
