"""A master key for tests."""

from __future__ import annotations

from typing import Final

from privface_backend.protection.keys import GivenKeys
from privface_backend.protection.master import MasterKey

KEYS: Final = GivenKeys([MasterKey(bytes(range(32)))], "the tests")
