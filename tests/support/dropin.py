"""A backend that stands in for other engines, and requests as their callers send them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yarl

from privface_backend.protocol import Scope
from privface_backend.rest.compreface import compreface_routes
from privface_backend.rest.deepstack import deepstack_routes
from privface_backend.settings_sections import DropInSettings
from support.backend import Api, make_settings, running

BOTH = DropInSettings(deepstack=True, compreface=True)


@asynccontextmanager
async def serving(directory: Path, **sections: Any) -> AsyncIterator[Api]:
    """A backend with the routes of ``sections``' ``dropin``; both engines' where it isn't given."""
    sections.setdefault("dropin", BOTH)
    settings = make_settings(directory, **sections)
    routes = (*deepstack_routes(settings), *compreface_routes(settings))
    async with running(directory, more_routes=routes, **sections) as api:
        yield api


class Caller:
    """Sends requests with a key in the place of its engine; ``answer`` has the last one's headers."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.headers: dict[str, str] = {}

    async def deepstack(
        self, command: str, *images: bytes, key: str | Scope | None = Scope.ADMIN, **options: Any
    ) -> tuple[int, Any]:
        """``options``: ``fields`` of the form; what aiohttp takes."""
        fields = dict(options.pop("fields", {}))
        if key is not None:
            fields.setdefault("api_key", self.api.tokens[key] if isinstance(key, Scope) else key)
        data: Any = fields
        if images:
            data = aiohttp.FormData()
            # Pictures first, as one of the callers does.
            for place, image in enumerate(images):
                data.add_field("image" if len(images) == 1 else f"image{place + 1}", image, filename="picture.jpg")
            for name, value in fields.items():
                data.add_field(name, value)
        return await self.send("POST", f"/v1/vision/face{command}", data=data, **options)

    async def compreface(
        self,
        method: str,
        path: str,
        *,
        key: str | Scope | None = Scope.ADMIN,
        images: dict[str, bytes] | None = None,
        **options: Any,
    ) -> tuple[int, Any]:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["x-api-key"] = self.api.tokens[key] if isinstance(key, Scope) else key
        if images is not None:
            options["data"] = data = aiohttp.FormData()
            for name, image in images.items():
                data.add_field(name, image, filename="picture.jpg")
        return await self.send(method, f"/api/v1{path}", headers=headers, **options)

    async def send(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        url = yarl.URL(self.api.url + path, encoded=True)
        async with self.api.session.request(method, url, **options) as response:
            assert response.content_type == "application/json", await response.read()
            self.headers = dict(response.headers)
            return response.status, await response.json()
