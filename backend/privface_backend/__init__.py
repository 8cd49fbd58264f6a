"""PrivFace's backend: detect, align, represent, verify against the people of a household."""

import os

__version__ = "0.1.0"

# ONNX Runtime's own builds report to their maker unless this is set before its first import. Nothing here does.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
