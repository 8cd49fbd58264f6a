"""Nothing is sent to anybody: ONNX Runtime's own reporting is off wherever PrivFace runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.graphs import SHAPES, random_graph

RUN = """
import sys
import privface_backend
from privface_backend.engines import deepface_runtime
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
assert session.get_inputs()
"""


def test_running_a_model_leaves_no_reports_behind(tmp_path: Path) -> None:
    home, model = tmp_path / "home", tmp_path / "model.onnx"
    home.mkdir()
    model.write_bytes(random_graph(SHAPES["deepface:ArcFace"]))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(model)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*onnxruntime*"))
    assert not list(home.rglob("Microsoft"))
