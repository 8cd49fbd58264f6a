"""The description of the interface, made from the route table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from privface_backend import __version__
from privface_backend.errors import http_status
from privface_backend.protocol import ErrorCode
from privface_backend.rest.audit_log import AUDIT_COMPONENTS
from privface_backend.rest.auditing import ACTS
from privface_backend.rest.calibration_schemas import CALIBRATION_COMPONENTS
from privface_backend.rest.memory_schemas import MEMORY_COMPONENTS
from privface_backend.rest.operations import Answer, Operation, answer_json, component
from privface_backend.rest.record_schemas import RECORD_COMPONENTS
from privface_backend.rest.schemas import COMPONENTS
from privface_backend.rest.sealed_schemas import SEALED_COMPONENTS

_TAGS: Final = {
    "Recognition": "Pictures, videos and camera frames in, identifications out.",
    "Cameras": "Which cameras there are and how they are set.",
    "Calibration": "How strongly cameras may blur before your own people are no longer known.",
    "People": "Who is enrolled.",
    "Strangers": "Who has no name and may come back.",
    "Events": "What was decided, when it happened or later.",
    "Service": "The backend itself.",
}
_INTRODUCTION: Final = (
    "Private face recognition for the home. Every answer carries an X-Request-Id; a request may bring its own. "
    "Errors are objects with a stable code."
)
_WITH_TOKEN: Final = (ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN, ErrorCode.TOO_MANY_ATTEMPTS)


def describe(operations: Iterable[Operation]) -> dict[str, object]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, object]] = defaultdict(dict)
    for operation in operations:
        paths[operation.path][operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PrivFace",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Relative to where this document lies, so that it holds behind a proxy, too.
        "servers": [{"url": "../.."}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": dict(paths),
        "components": {
            "schemas": {
                **COMPONENTS,
                **MEMORY_COMPONENTS,
                **CALIBRATION_COMPONENTS,
                **AUDIT_COMPONENTS,
                **RECORD_COMPONENTS,
                **SEALED_COMPONENTS,
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that begins with pf_; `privface token create` makes one.",
                }
            },
        },
    }


def _operation(operation: Operation) -> dict[str, object]:
    described: dict[str, object] = {
        "operationId": operation.handler.__name__,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": {
            str(status): _answer(answer)
            for status, answer in sorted({**_errors(operation), **operation.answers}.items())
        },
        "security": [] if operation.scope is None else [{"token": [operation.scope.value]}],
    }
    if text := " ".join(filter(None, (operation.description, _scope_text(operation)))):
        described["description"] = text
    if operation.parameters:
        described["parameters"] = [parameter.to_dict() for parameter in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body.content)}
    return described


def _scope_text(operation: Operation) -> str:
    return "" if operation.scope is None else f"Scope: {operation.scope}."


def _errors(operation: Operation) -> Mapping[int, Answer]:
    """An answer for each status, saying with which codes it comes."""
    codes: dict[int, list[str]] = defaultdict(list)
    audited = (ErrorCode.AUDIT_FAILED,) if f"{operation.method} {operation.path}" in ACTS else ()
    for code in (*(() if operation.scope is None else _WITH_TOKEN), *operation.errors, *audited):
        codes[http_status(code)].append(code.value)
    return {status: answer_json(component("Error"), ", ".join(dict.fromkeys(names))) for status, names in codes.items()}


def _answer(answer: Answer) -> dict[str, object]:
    described: dict[str, object] = {"description": answer.description}
    if answer.content:
        described["content"] = _content(answer.content)
    return described


def _content(content: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    return {media_type: {"schema": schema} if schema else {} for media_type, schema in content.items()}
