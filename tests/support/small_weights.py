"""A table of two small files, in place of the real one."""

from __future__ import annotations

import hashlib
import random

from privface_backend.models.weights import Commercial, Download, WeightsFile

CONTENT = random.Random(4).randbytes(200_000)  # noqa: S311  # any bytes will do
SHA256 = hashlib.sha256(CONTENT).hexdigest()
UNCHECKED = random.Random(5).randbytes(100_000)  # noqa: S311  # any bytes will do


def table_of(url: str = "http://127.0.0.1:9/net.onnx") -> dict[str, WeightsFile]:
    """Two files beside each other at ``url``: ``net`` with a published checksum, ``free`` without."""
    checked = WeightsFile(
        name="net",
        file="net.onnx",
        license="MIT",
        commercial=Commercial.YES,
        size=len(CONTENT),
        sha256=SHA256,
        sources=(Download(url=url),),
    )
    unchecked = WeightsFile(
        name="free",
        file="pack/free.h5",
        license="MIT",
        commercial=Commercial.UNKNOWN,
        sources=(Download(url=url.replace("net.onnx", "free.h5")),),
    )
    return {"net": checked, "free": unchecked}
