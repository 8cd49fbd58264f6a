"""DeepFace, imported once and told where its weights lie and what to run on.

DeepFace keeps its models in a module global without a lock: whoever uses this stays on one thread.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

# The module that each backend runs on.
_NEEDS: Final = {"onnx": "onnxruntime", "tensorflow": "tensorflow", "pytorch": "torch"}
BACKENDS: Final = tuple(_NEEDS)
_ENGINE_VARIABLE: Final = "DEEPFACE_BACKEND_ENGINE"


def load_deepface(home: Path, backend: str = "onnx") -> Any:
    """The module ``deepface.DeepFace``, on ``backend``, with weights in ``home/.deepface/weights``.

    Raises:
        PrivFaceError: ``engine_unknown``; ``engine_missing``; ``engine_failed`` when this process already runs
            DeepFace on another backend.
    """
    if backend not in BACKENDS:
        raise PrivFaceError(
            ErrorCode.ENGINE_UNKNOWN, "There is no DeepFace backend of that name.", allowed=", ".join(BACKENDS)
        )
    if "deepface" in sys.modules and os.environ.get(_ENGINE_VARIABLE, backend) != backend:
        raise PrivFaceError(
            ErrorCode.ENGINE_FAILED, "DeepFace already runs on another backend in this process: one of them a process."
        )
    if find_spec(_NEEDS[backend]) is None:
        how = "'privface-backend[tensorflow]'" if backend == "tensorflow" else _NEEDS[backend]
        raise PrivFaceError(
            ErrorCode.ENGINE_MISSING,
            f"DeepFace's backend {backend} needs {_NEEDS[backend]}, which is not installed: pip install {how}",
        )
    os.environ["DEEPFACE_HOME"] = str(home)
    os.environ[_ENGINE_VARIABLE] = backend
    os.environ.setdefault("DEEPFACE_LOG_LEVEL", "40")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return importlib.import_module("deepface.DeepFace")


def build_model(task: str, model: str) -> Any:
    """DeepFace's own object for ``model``, loaded now and not at the first picture. After ``load_deepface``.

    Raises:
        PrivFaceError: ``engine_failed``: DeepFace can't make it of the weights and packages that are here.
    """
    try:
        return importlib.import_module("deepface.modules.modeling").build_model(task, model)
    except (ImportError, ValueError) as error:
        raise PrivFaceError(ErrorCode.ENGINE_FAILED, f"DeepFace can't load its model {model}.") from error
