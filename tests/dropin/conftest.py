"""A real backend with the real engines, and the published clients of the engines that it stands in for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.models.samples import fetch_samples
from privface_backend.protocol import ErrorCode
from support import weights
from support.backend_process import ROOT, BackendProcess

ENVIRONMENT: Final = ROOT / ".venv-dropin"
REAL: Final = {"engines__detector": "opencv:yunet", "engines__recognizer": "deepface:SFace"}


@pytest.fixture(scope="session")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The process of the clients, in ``.venv-dropin``, which is made if need be."""
    installer, lock = ROOT / "scripts" / "install", ROOT / "tests" / "dropin" / "requirements.lock"
    made = subprocess.run([installer, ENVIRONMENT, lock], capture_output=True, text=True, timeout=600, check=False)
    if made.returncode != 0:
        pytest.skip(f"the clients of the other engines can't be installed here: {made.stderr[-500:]}")
    log = tmp_path_factory.mktemp("judges") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [ENVIRONMENT / "bin" / "python", Path(__file__).with_name("judge.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Matplotlib, which one of the clients imports, writes its settings where they may be missing.
            env={"PATH": "/usr/bin:/bin", "MPLCONFIGDIR": str(log.parent), "MPLBACKEND": "agg"},
        ) as process,
    ):
        yield process
        process.kill()


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with the default engines' weights."""
    weights.real()
    return weights.ROOT


@pytest.fixture(scope="session")
def people(models: Path) -> dict[str, bytes]:
    """The demonstration's pictures by name: three of one man, one of another, one of a woman."""
    try:
        return {name: path.read_bytes() for name, path in fetch_samples(models / "samples").items()}
    except PrivFaceError as error:
        if error.code is ErrorCode.WEIGHTS_UNREACHABLE:
            pytest.skip(error.message)
        raise


@pytest.fixture(scope="session")
def shared_backend(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    settings = {**REAL, "models_dir": str(models), "dropin__deepstack": "true", "dropin__compreface": "true"}
    directory = tmp_path_factory.mktemp("backend")
    with BackendProcess(directory, python=Path(sys.executable), settings=settings) as process:
        yield process


@pytest.fixture
def backend(shared_backend: BackendProcess) -> Iterator[BackendProcess]:
    """A backend with both engines' routes that knows nobody."""
    yield shared_backend
    shared_backend.forget_everybody()


@pytest.fixture(scope="session")
def key(shared_backend: BackendProcess) -> str:
    """A token that may identify and enroll."""
    return shared_backend.create_token().text


@pytest.fixture(scope="session")
def identify_key(shared_backend: BackendProcess) -> str:
    """A token that may identify only."""
    return shared_backend.create_token("identify").text


@pytest.fixture(scope="session")
def blank() -> bytes:
    """A picture of nobody."""
    _, data = cv2.imencode(".jpg", np.full((360, 640, 3), 128, dtype=np.uint8))
    return bytes(data)
