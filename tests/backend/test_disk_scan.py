"""What a stolen disk holds after a life: nothing that is a picture, a name or a template. Nor do the logs."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.backend_process import ADA, BEN, STRANGER, BackendProcess, DrawnPictures
from support.traces import slices, traces, traces_in

pytestmark = pytest.mark.slow

NAMES = ("Rumpelstilzchen Müllerin", "Ottokar Siebenschläfer")
WORDS = tuple(word for name in NAMES for word in (name, *name.split()))
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"GIF8", b"/9j/", b"iVBORw0KGgo")


def unit_vectors(data: bytes) -> list[str]:
    """Where runs of numbers of length 1 stand, as templates are: 64 or more float32 or float64, at any offset."""
    found = []
    for kind in ("<f4", "<f8"):
        size = np.dtype(kind).itemsize
        for offset in range(size):
            numbers = np.frombuffer(data[offset : len(data) - (len(data) - offset) % size], dtype=kind)
            squares = np.where(np.isfinite(numbers) & (np.abs(numbers) <= 1), numbers, 9.0).astype(np.float64) ** 2
            sums = np.concatenate([[0.0], np.cumsum(squares)])
            for length in (64, 128, 160, 512):
                if len(numbers) < length:
                    continue
                lengths = sums[length:] - sums[:-length]
                # Of numbers that are none but zeros: as a template's are, no one of them is most of it.
                largest = np.lib.stride_tricks.sliding_window_view(squares, length).max(axis=1)
                if np.any((np.abs(lengths - 1) < 1e-3) & (largest < 0.25)):
                    found.append(f"{length} numbers {kind}")
    return found


def scan(directory: Path, vectors: set[bytes]) -> dict[str, list[str]]:
    found = traces_in(directory, WORDS, vectors)
    for path in directory.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            left = [str(magic) for magic in PICTURES if magic in data] + unit_vectors(data)
            if left:
                found.setdefault(str(path.relative_to(directory)), []).extend(left)
    return found


def test_the_scan_finds_what_it_looks_for(tmp_path: Path) -> None:
    vector = np.random.default_rng(1).normal(size=128)
    vector /= np.linalg.norm(vector)
    random = np.random.default_rng(2).bytes(200_000)
    for name, data in {
        "f4": b"x" * 3 + vector.astype("<f4").tobytes(),
        "f8": random[:1001] + vector.astype("<f8").tobytes() + random[:77],
        "jpeg": random[:500] + b"\xff\xd8\xff\xe0",
        "name": random[:500] + NAMES[0].encode("utf-16-le"),
        "clean": random.replace(b"\xff\xd8\xff", b"").replace(b"RIFF", b"").replace(b"/9j/", b""),
        "zeros": bytes(100_000),
    }.items():
        (tmp_path / name).write_bytes(data)
    assert set(scan(tmp_path, set())) == {"f4", "f8", "jpeg", "name"}


def known_templates(document: Mapping[str, Any]) -> set[bytes]:
    templates = [template["vector"] for face in document["faces"] for template in face["templates"]]
    assert len(templates) >= 5
    return slices(templates)


@pytest.mark.timeout(600)
def test_nothing_is_found_after_a_life(tmp_path: Path) -> None:
    python = Path(sys.executable)
    pictures = DrawnPictures(tmp_path / "clear", python)
    backend = BackendProcess(tmp_path / "backend", python=python)
    backend.change(log__level="debug")
    vectors: set[bytes] = set()
    with backend:
        for name, identity in zip(NAMES, (ADA, BEN), strict=True):
            file = tmp_path / f"{name}.jpg"
            file.write_bytes(pictures(identity))
            backend.run("enroll", str(file), "--person", name)
        for name in NAMES:
            out = tmp_path / f"{name}.json"
            backend.run("people", "export", name, "--templates", "--output", str(out))
            vectors |= known_templates(json.loads(out.read_text(encoding="utf-8")))
        said = set()
        for identity in (ADA, BEN, STRANGER):
            found = backend.send_frame("door", pictures(identity), more=False)
            said |= {face["person"] for face in found["faces"]}
        assert said == {*NAMES, None}
        backend.stop(signal.SIGKILL)
        assert scan(backend.data, vectors) == {}
        assert (backend.data / "privface.db-wal").exists()
    backend.run("key", "rotate")
    with backend:
        assert {person["name"] for person in backend.people()} == set(NAMES)
    assert scan(backend.data, vectors) == {}
    logs = b"".join(path.read_bytes() for path in backend.directory.iterdir() if path.is_file())
    assert len(logs) > 1000
    assert traces(logs, WORDS, vectors) == []
    assert not any(magic in logs for magic in PICTURES)
