"""The published clients of other engines, which run in ``tests/dropin/judge.py``'s process."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One of the clients, in its process, with a key for a backend."""

    process: subprocess.Popen[str]
    client: str
    port: int
    key: str | None = field(repr=False)
    host: str = "127.0.0.1"
    options: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, **arguments: Any) -> Any:
        """What the client's method gives back."""
        answer = self._ask(method, arguments)
        assert "error" not in answer, answer
        return answer["result"]

    def refused(self, method: str, **arguments: Any) -> str:
        """The error that the client's method raises."""
        answer = self._ask(method, arguments)
        assert "error" in answer, answer
        return str(answer["error"])

    def _ask(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        order = {
            "client": self.client,
            "host": self.host,
            "port": self.port,
            "key": self.key,
            "options": self.options,
            "call": method,
            "arguments": {name: _sendable(value) for name, value in arguments.items()},
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def _sendable(value: Any) -> Any:
    if isinstance(value, bytes):
        return "base64:" + base64.b64encode(value).decode()
    return [_sendable(item) for item in value] if isinstance(value, list) else value
