"""``privface`` in the test's own process, with synthetic engines: the engines' imports take longer than these tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from privface_backend.cli import main
from support.cli import NO_BROKER, SYNTHETIC, Ended, Home
from support.videos import scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Here(Home):
    """Runs commands in this process: the engines' imports take longer than all that these tests do."""

    captured: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Ended:
        assert not stdin
        assert not variables
        self.captured.readouterr()
        code = main(list(map(str, arguments)))
        out, err = self.captured.readouterr()
        return Ended(code=code, out=out, err=err)


def move_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """A fixture's whole: a home directory in which commands run, and what they change of the process put back."""
    made = Here(root=tmp_path, captured=capsys)
    made.configure(SYNTHETIC + NO_BROKER)
    for name in [name for name in os.environ if name.startswith("PRIVFACE_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "PRIVFACE_CONFIG", "PRIVFACE_DATA_DIR"):
        monkeypatch.setenv(name, made.environment[name])
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield made
    root.handlers[:], _ = before
    root.setLevel(before[1])


def draw_picture(path: Path, identity: int, seed: int = 0) -> str:
    """A picture of a drawn face, each a little noisy."""
    pixels = scene(identity)
    noise = np.random.default_rng(seed).normal(0, 8, pixels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.clip(pixels + noise, 0, 255).astype(np.uint8))
    return path.name
