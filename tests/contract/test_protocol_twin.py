"""What crosses the wire is written down twice: in the backend, and in the component, which is installed alone."""

from __future__ import annotations

from pathlib import Path

from privface_backend import protocol
from support.component import COMPONENT


def test_the_two_are_the_same_to_the_byte() -> None:
    assert Path(protocol.__file__).read_bytes() == (COMPONENT / "api" / "protocol.py").read_bytes()
