"""The service as a process: killed, out of disk, on a port that is taken."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from privface_backend.core import open_core
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.server import run_server
from privface_backend.settings_sections import ServerSettings
from support.backend import ADA, form, make_settings, picture, until
from support.service import ready, serving


async def create(session: aiohttp.ClientSession, name: str) -> str:
    async with session.post("/api/v1/people", json={"name": name}) as response:
        assert response.status == 201
        return str((await response.json())["id"])


async def enroll(session: aiohttp.ClientSession, person: str, number: int) -> tuple[int, Any]:
    """Enroll a picture that was not enrolled before; the status and the document."""
    data = picture(number % 3 + 1, side=120 + number % 40) + number.to_bytes(4, "big")
    async with session.post(f"/api/v1/people/{person}/faces", data=form(data)) as response:
        return response.status, await response.json()


async def enroll_on(session: aiohttp.ClientSession, person: str, start: int, told: set[str]) -> None:
    for number in range(start, start + 10_000):
        status, document = await enroll(session, person, number)
        assert status == 201, document
        told.update(face["id"] for face in document["faces"])


async def check_whole(directory: Path) -> set[str]:
    """Open the store, which checks it; each face must have its templates. The faces' ids."""
    async with open_core(make_settings(directory)) as core:
        await core.start_engines()
        snapshot = core.index.snapshot
        counts = Counter(template.face_id for template in snapshot.templates)
        assert set(counts) == {face.id for face in snapshot.faces}
        assert all(count >= 5 for count in counts.values())
        return set(counts)


async def test_killed_while_enrolling_the_store_is_whole_and_serves_again(tmp_path: Path) -> None:
    told: set[str] = set()
    person = ""
    for run in range(3):
        with serving(tmp_path) as service:
            async with service.session() as session:
                await ready(session)
                person = person or await create(session, "Ada")
                before = len(told)
                enrolling = asyncio.create_task(enroll_on(session, person, run * 10_000, told))
                await until(lambda before=before, run=run: len(told) > before + 5 + run, 30)  # type: ignore[misc]  # lambdas have no types
                service.process.kill()
                service.process.wait()
                with pytest.raises(aiohttp.ClientError):
                    await enrolling
        assert told <= await check_whole(tmp_path)
    assert len(told) > 15
    with serving(tmp_path) as service:
        async with service.session() as session:
            await ready(session)
            async with session.get(f"/api/v1/people/{person}") as response:
                assert (await response.json())["faces"] >= len(told)
        service.stop()
        assert service.process.returncode == 0
        assert not (tmp_path / "data" / "run.json").exists()
    async with open_core(make_settings(tmp_path)) as core:
        # Those of the runs that were killed are gone as well.
        assert "this run" not in {token.name for token in await core.storage.call(core.tokens.list)}


async def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    told: set[str] = set()
    with serving(tmp_path, largest_file=768 * 1024) as service:
        async with service.session() as session:
            await ready(session)
            person = await create(session, "Ada")
            status: int = 201
            document: dict[str, Any] = {}
            for number in range(2000):
                status, document = await enroll(session, person, number)
                if status != 201:
                    break
                told.update(face["id"] for face in document["faces"])
            assert status == 507
            assert document["error"]["code"] == "storage_full"
            async with session.get("/api/v1/people") as response:
                assert response.status == 200
            async with session.post("/api/v1/identify", data=form(picture(ADA))) as response:
                assert (await response.json())["faces"][0]["person_id"] == person
    assert len(told) > 10
    assert await check_whole(tmp_path) == told


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = make_settings(tmp_path, server=ServerSettings(port=port))
        with pytest.raises(PrivFaceError) as error:
            async with run_server(settings):
                pytest.fail("it listens")
    assert error.value.code is ErrorCode.PORT_IN_USE
    assert error.value.details == {"port": port}
    assert not (settings.data_dir / "run.json").exists()
    async with run_server(replace(settings, server=ServerSettings(port=port))) as (_, run):
        assert run["port"] == port


async def test_the_run_file_is_private_and_tells_how_to_reach_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, server=ServerSettings(port=0))
    async with run_server(settings) as (_, run):
        path = settings.data_dir / "run.json"
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text()) == run
        headers = {"Authorization": f"Bearer {run['token']}"}
        async with (
            aiohttp.ClientSession(run["url"], headers=headers) as session,
            session.get("/api/v1/people") as response,
        ):
            assert response.status == 200
    assert not path.exists()
    async with open_core(settings) as core:
        assert await core.storage.call(core.tokens.list) == ()


async def test_a_second_service_on_one_data_directory_is_refused(tmp_path: Path) -> None:
    settings = replace(make_settings(tmp_path), server=ServerSettings(port=0))
    async with run_server(settings) as (_, run):
        with pytest.raises(PrivFaceError) as caught:
            async with run_server(settings):
                pytest.fail("two services share a data directory")
        assert (caught.value.code, "--data-dir" in str(caught.value.allowed)) == (ErrorCode.STORAGE_FAILED, True)
        # The first one goes on, and can still be found.
        assert json.loads((settings.data_dir / "run.json").read_text(encoding="utf-8"))["port"] == run["port"]
    async with run_server(settings):
        pass
