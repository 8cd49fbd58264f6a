"""The description of the interface, and the page to try it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from privface_backend.protocol import ErrorCode
from privface_backend.rest.application import OPERATIONS, create_application
from support.backend import DESCRIPTION, Api, running

PAGE = "/api/v1/docs"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


def test_the_description_is_valid_openapi() -> None:
    validate(DESCRIPTION)
    assert DESCRIPTION["openapi"] == "3.1.0"


def test_operations_have_names_of_their_own() -> None:
    names = [operation.handler.__name__ for operation in OPERATIONS]
    assert len(set(names)) == len(names)


def test_every_word_of_an_error_answer_is_a_code() -> None:
    codes = {code.value for code in ErrorCode}
    for operation in OPERATIONS:
        for code in operation.errors:
            assert code.value in codes
            described = DESCRIPTION["paths"][operation.path][operation.method.lower()]["responses"]
            assert any(code.value in answer["description"] for answer in described.values())


def test_every_path_parameter_is_described() -> None:
    for operation in OPERATIONS:
        named = set(re.findall(r"{(\w+)}", operation.path))
        assert named == {parameter.name for parameter in operation.parameters if parameter.place == "path"}


async def test_what_is_served_is_what_is_described(api: Api) -> None:
    app = create_application(api.backend.services)
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and route.resource.canonical.startswith(("/api", "/healthz", "/readyz", "/metrics"))
    }
    described = {(method, path) for path, methods in DESCRIPTION["paths"].items() for method in methods}
    assert served == described
    document = (await api.call("GET", "/api/v1/openapi.json", scope=None)).document
    assert document == DESCRIPTION


class Links(HTMLParser):
    """Collects what a page loads, and finds what a strict policy would not let run."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


async def test_the_page_loads_only_what_is_served_here(api: Api) -> None:
    page = await api.call("GET", PAGE, scope=None)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    links = Links()
    links.feed(page.body.decode())
    assert links.inline == []
    assert len(links.loaded) == 4
    for link in links.loaded:
        assert "//" not in link
        file = await api.call("GET", f"/api/v1/{link}", pattern=f"{PAGE}/{{file}}", scope=None)
        assert file.status == 200
        assert file.body
        assert file.headers["X-Content-Type-Options"] == "nosniff"
    start = await api.call("GET", f"{PAGE}/start.js", pattern=f"{PAGE}/{{file}}", scope=None)
    assert b"SwaggerUIBundle" in start.body
    assert b"http" not in start.body


@pytest.mark.parametrize("name", ["swagger-editor.js", "oauth2-redirect.html", "..", "%2e%2e%2f__init__.py", "nothing"])
async def test_no_other_file_is_served(api: Api, name: str) -> None:
    async with api.session.get(f"{api.url}{PAGE}/{name}") as response:
        assert response.status == 404


def test_the_package_of_the_page_is_not_imported() -> None:
    code = "import sys, privface_backend.rest.application; print('swagger_ui' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
