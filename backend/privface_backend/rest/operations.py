"""The shape of the route table: what is served, to whom, and what goes in and out.

One table both registers the routes and makes the OpenAPI description, so that neither can drift.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from privface_backend.protocol import ErrorCode, Scope

Schema = Mapping[str, object]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
MULTIPART: Final = "multipart/form-data"
TEXT: Final = "text/plain"
HTML: Final = "text/html"

API: Final = "/api/v1"


def component(name: str) -> Schema:
    """A reference to one of ``schemas.COMPONENTS``."""
    return {"$ref": f"#/components/schemas/{name}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter in the path, the query or a header; one in the path is always required."""

    name: str
    description: str
    place: str = "query"
    schema: Schema = field(default_factory=lambda: {"type": "string"})

    def to_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "in": self.place,
            "required": self.place == "path",
            "description": self.description,
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What goes in: a schema by media type."""

    content: Mapping[str, Schema]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes out: a schema by media type; none: no body."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    ``scope``: what a token must allow; None: no token. ``authenticates_itself``: the handler looks at the token.
    ``errors``: the codes beyond those that every operation with a token can answer.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    scope: Scope | None = None
    authenticates_itself: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    errors: tuple[ErrorCode, ...] = ()


def answer_json(schema: Schema, description: str) -> Answer:
    return Answer(description=description, content={JSON: schema})
