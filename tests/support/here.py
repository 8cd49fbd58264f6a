"""``privface`` in the test's own process: a process of its own imports for longer than most of its commands take."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from privface_backend.cli import main
from support.cli import Ended, Home
from support.videos import scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Here(Home):
    """Runs commands in this process, of tests that have no event loop; what ``start`` starts is a process still."""

    def run(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Ended:
        out, err = _stream(), _stream()
        with (
            _environment({**self.environment, **variables}),
            contextlib.chdir(self.root),
            _input(stdin),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _logging_apart(),
        ):
            code = main(list(map(str, arguments)))
        return Ended(code=code, out=_text(out), err=_text(err))


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _input(text: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = before


@contextlib.contextmanager
def _logging_apart() -> Iterator[None]:
    """As in a process in which nobody has set up any logging yet."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def draw_picture(path: Path, identity: int, seed: int = 0) -> str:
    """A picture of a drawn face, each a little noisy."""
    pixels = scene(identity)
    noise = np.random.default_rng(seed).normal(0, 8, pixels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.clip(pixels + noise, 0, 255).astype(np.uint8))
    return path.name
