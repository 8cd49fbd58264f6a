"""Progress bars: on terminals only, and never in the way of what goes to a file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from privface_backend.cli.output import progress, say_json
with progress("Looking", 3, as_json=True) as advance:
    for number in range(3):
        say_json({"number": number, "name": "Zo\\u00eb"})
        advance()
"""


def run(out: Path, *, terminal: bool) -> bytes:
    """Run it with stdout in a file; gives what stderr got, which may be a terminal."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with out.open("wb") as file:
        environment = {**os.environ, "TERM": "xterm", "PYTHONUTF8": "1"}
        process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=file, stderr=theirs, env=environment)
        os.close(theirs)
        told = bytearray()
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # Linux' way to say that the other end is closed
                break
            if not data:
                break
            told += data
        os.close(ours)
        assert process.wait() == 0
    return bytes(told)


def test_lines_get_to_the_file_while_a_bar_is_shown(tmp_path: Path) -> None:
    assert b"Looking" in run(tmp_path / "out", terminal=True)
    lines = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"number": number, "name": "Zoë"} for number in range(3)]


def test_no_bar_without_a_terminal(tmp_path: Path) -> None:
    assert run(tmp_path / "out", terminal=False) == b""
    assert len((tmp_path / "out").read_text(encoding="utf-8").splitlines()) == 3
