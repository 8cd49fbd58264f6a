"""Logs and errors at their most talkative: no name, no token, no numbers of templates or pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.backend import ADA, BEN, STRANGER, form, picture
from support.service import ready, serving

NAME = "Xantippe Quellwasser"


async def test_logs_and_errors_hold_no_name_no_token_and_no_numbers(tmp_path: Path) -> None:
    words = [*NAME.split(), NAME.split(maxsplit=1)[0].lower()]
    bodies: list[str] = []
    with serving(tmp_path, level="debug") as service:
        async with service.session() as session:
            await ready(session)
            async with session.post("/api/v1/people", json={"name": NAME}) as response:
                person = (await response.json())["id"]

            async def ask(method: str, path: str, **options: Any) -> None:
                async with session.request(method, path, **options) as response:
                    if response.status >= 400:
                        bodies.append(await response.text())

            await ask("POST", f"/api/v1/people/{person}/faces", data=form(picture(ADA), name=f"{NAME}.png"))
            await ask("POST", "/api/v1/people", json={"name": NAME})
            await ask("POST", "/api/v1/people", json={"name": NAME + "\x00"})
            await ask("POST", "/api/v1/people", json={"name": NAME * 10})
            await ask("POST", f"/api/v1/people/{NAME}/faces", data=form(picture(ADA, BEN), name=f"{NAME}.png"))
            await ask("POST", f"/api/v1/people/{NAME}/faces", data=form(b"no picture", name=f"{NAME}.png"))
            await ask("GET", f"/api/v1/people/{NAME} Nobody")
            await ask("GET", f"/{NAME}?name={NAME}")
            await ask("GET", "/api/v1/people", headers={"Authorization": f"Bearer {service.run['token']}x"})
            await ask("POST", "/api/v1/identify", data=form(picture(ADA, STRANGER), name=f"{NAME}.png"))
            await ask("POST", "/api/v1/identify?publish=1", data=form(picture(ADA)))
            await ask(
                "POST", f"/api/v1/cameras/{NAME}/frames", data=picture(ADA), headers={"Content-Type": "image/png"}
            )
            await ask("POST", f"/api/v1/cameras/{NAME}/frames", data=b"x", headers={"Content-Type": "image/png"})
            await ask("PATCH", f"/api/v1/people/{person}", json={"name": NAME + " II"})
            await ask("DELETE", f"/api/v1/people/{person}")
            await ask("DELETE", f"/api/v1/people/{person}")
        service.stop()
        log = service.errors
    assert "POST /api/v1/people" in log
    assert len(bodies) >= 8
    for text in (log, *bodies):
        for word in words:
            assert word not in text
        assert service.run["token"] not in text
        assert "array(" not in text
        assert "float32" not in text
        assert "Traceback" not in text
    (token,) = [line.strip() for line in (tmp_path / "out").read_text().splitlines() if line.startswith("  ")]
    assert len(token) > 20
    assert token not in log
