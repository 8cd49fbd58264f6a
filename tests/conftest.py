"""What holds for all tests."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Final

import pytest

CONFIGURATION: Final = Path(tempfile.mkdtemp(prefix="privface-tests-"))
# The master keys that tests make aren't the user's, whose folder they would fill.
os.environ["XDG_CONFIG_HOME"] = str(CONFIGURATION)

# A shell starts what runs in its background deaf to Ctrl-C, and programs hand that down to those that they start:
# tests that interrupt a command would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    shutil.rmtree(CONFIGURATION, ignore_errors=True)
