"""The description as a document, and as a page to try it: Swagger UI, served from here, without internet."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.rest.operations import API, HTML, Answer, Operation, Parameter, answer_json

DESCRIPTION: Final = web.AppKey("description", dict)

# The package's own code is never imported: only these of its files are served.
_PACKAGE: Final = "swagger_ui"
_STYLE: Final = "swagger-ui.css"
_SCRIPT: Final = "swagger-ui-bundle.js"
_ICON: Final = "favicon-32x32.png"
_START: Final = "start.js"
_TYPES: Final[Mapping[str, str]] = {
    _STYLE: "text/css",
    _SCRIPT: "text/javascript",
    _ICON: "image/png",
    _START: "text/javascript",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>PrivFace</title>
<link rel="stylesheet" href="docs/{_STYLE}">
<link rel="icon" type="image/png" href="docs/{_ICON}">
</head>
<body>
<div id="page"></div>
<script src="docs/{_SCRIPT}"></script>
<script src="docs/{_START}"></script>
</body>
</html>
"""
_STARTING: Final = """window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""


async def show_description(request: web.Request) -> web.Response:
    return web.json_response(request.app[DESCRIPTION])


async def show_page(_request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type=HTML, headers={"Content-Security-Policy": _POLICY})


async def show_page_file(request: web.Request) -> web.StreamResponse:
    name = request.match_info["file"]
    if name == _START:
        return web.Response(text=_STARTING, content_type=_TYPES[name])
    folder = _static_folder()
    if name not in _TYPES or folder is None:
        raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such file.")
    return web.FileResponse(
        folder / name, headers={"Content-Type": _TYPES[name], "Cache-Control": "private, max-age=86400"}
    )


def _static_folder() -> Path | None:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "static"


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/openapi.json",
        handler=show_description,
        tag="Service",
        summary="This description",
        answers={200: answer_json({"type": "object"}, "OpenAPI 3.1.")},
    ),
    Operation(
        method="GET",
        path=f"{API}/docs",
        handler=show_page,
        tag="Service",
        summary="A page to try the interface",
        answers={200: Answer(description="The page.", content={HTML: {"type": "string"}})},
    ),
    Operation(
        method="GET",
        path=f"{API}/docs/{{file}}",
        handler=show_page_file,
        tag="Service",
        summary="A file of that page",
        parameters=(Parameter(name="file", place="path", description="Its name.", schema={"enum": list(_TYPES)}),),
        answers={200: Answer(description="The file.", content={media: {} for media in dict.fromkeys(_TYPES.values())})},
        errors=(ErrorCode.NOT_FOUND,),
    ),
)
