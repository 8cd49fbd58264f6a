"""Runs the published clients of the other engines, unchanged, in an environment of their own.

Each line on standard input is a JSON object: ``client`` (one of ``CLIENTS``), ``host``, ``port``, ``key``, ``call`` (a
method's name, with dots), ``arguments`` and, of ``compreface``, ``options``. A string argument ``base64:…`` goes in as
bytes. Each is answered with a line: ``{"result": …}`` or ``{"error": "…"}``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

import codeprojectai.core
import deepstack.core
import deepstack_sdk
from compreface import CompreFace


def compreface(order: Mapping[str, Any]) -> Any:
    """The part of the client that the call begins with."""
    client = CompreFace(f"http://{order['host']}", str(order["port"]), order.get("options") or {})
    recognition = client.init_face_recognition(order["key"])
    parts = {
        "recognition": recognition,
        "collection": recognition.get_face_collection(),
        "subjects": recognition.get_subjects(),
        "detection": client.init_face_detection(order["key"]),
        "verification": client.init_face_verification(order["key"]),
    }
    return parts[order["call"].partition(".")[0]]


def deepstack_sdk_face(order: Mapping[str, Any]) -> Any:
    url = f"http://{order['host']}:{order['port']}"
    return deepstack_sdk.Face(deepstack_sdk.ServerConfig(url, api_key=order["key"]))


def deepstack_python(order: Mapping[str, Any]) -> Any:
    return deepstack.core.DeepstackFace(order["host"], order["port"], order["key"] or "")


def codeproject(order: Mapping[str, Any]) -> Any:
    """It has no key: where one is needed, it stands in the host, as in an address."""
    return codeprojectai.core.CodeProjectAIFace(order["host"], order["port"])


CLIENTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "compreface": compreface,
    "deepstack-sdk": deepstack_sdk_face,
    "deepstack-python": deepstack_python,
    "codeproject-ai": codeproject,
}


def run(order: Mapping[str, Any]) -> Any:
    client = CLIENTS[order["client"]](order)
    path = order["call"].split(".")
    method = reduce(getattr, path[1:] if order["client"] == "compreface" else path, client)
    return method(**{name: prepare(value) for name, value in order["arguments"].items()})


def prepare(value: Any) -> Any:
    if isinstance(value, list):
        return [prepare(item) for item in value]
    if isinstance(value, str) and value.startswith("base64:"):
        return base64.b64decode(value.removeprefix("base64:"))
    return value


def plain(value: Any) -> Any:
    """What a client gives back, as plain data: its objects have nothing but attributes."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return {key: plain(item) for key, item in vars(value).items()} if hasattr(value, "__dict__") else value


def main() -> None:
    for line in sys.stdin:
        try:
            # One of the clients prints each answer that it gets.
            with contextlib.redirect_stdout(sys.stderr):
                answer = {"result": plain(run(json.loads(line)))}
        except Exception as error:  # noqa: BLE001  # whatever a client raises is what its user would meet
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
