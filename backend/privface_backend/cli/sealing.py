"""What ``privface seal`` does: pictures are looked at here, and what leaves is sealed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from privface_backend.bridge.bridge import picture_limits
from privface_backend.cli.exits import Exit, exit_for
from privface_backend.cli.files import PICTURES, read, walk
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import complain, explain, say, say_json
from privface_backend.cli.remote import Remote, open_remote
from privface_backend.cli.words import describe_face
from privface_backend.domain.frames import Pixels
from privface_backend.domain.people import clean_name, same_name
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.enrollment import FaceChoice
from privface_backend.pipeline.pictures import decode_picture
from privface_backend.protection.settings import open_user_key
from privface_backend.protocol import ErrorCode, Identification
from privface_backend.sealed.engines import prepare_user_side
from privface_backend.sealed.user_side import UserSide
from privface_backend.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The backend to send to; ``url`` None: the running service of the data directory."""

    url: str | None
    token: str | None


def run_seal_enroll(call: Invocation, paths: Sequence[Path], place: Place, *, person: str, largest: bool) -> None:
    """Enroll a person's pictures; ends with 1 when one was refused."""
    name, choice = clean_name(person), FaceChoice(largest=largest)

    async def each(remote: Remote, side: UserSide) -> Callable[[Path], Awaitable[dict[str, Any]]]:
        await _warn_of_pictures(remote)
        person_id = await _ensure_person(remote, name)

        async def enroll(file: Path) -> dict[str, Any]:
            data, pixels = await _load(call.settings, file)
            made = await asyncio.to_thread(side.enroll, pixels, data, choice)
            try:
                await remote.ask("POST", f"/people/{quote(person_id, safe='')}/sealed", made.to_dict())
            except PrivFaceError as error:
                if error.code is ErrorCode.CONFLICT:
                    return {"outcome": "already"}
                raise
            return {"outcome": "enrolled"}

        return enroll

    _run(call, paths, place, each, lambda told: str(told["outcome"]))


def run_seal_identify(call: Invocation, paths: Sequence[Path], place: Place) -> None:
    """Say who is in pictures; ends with 1 when one could not be read."""

    async def each(remote: Remote, side: UserSide) -> Callable[[Path], Awaitable[dict[str, Any]]]:
        async def identify(file: Path) -> dict[str, Any]:
            _, pixels = await _load(call.settings, file)
            frame = await asyncio.to_thread(side.look, pixels)
            return await remote.ask("POST", "/identify/sealed", {"frame": frame.to_dict()})

        return identify

    def words(told: dict[str, Any]) -> str:
        faces = Identification.from_dict(told).faces
        return ", ".join(describe_face(face) for face in faces) or "no face"

    _run(call, paths, place, each, words)


def show_user_key(call: Invocation) -> None:
    """Say which key seals here, and where it is; one is made where there is none."""
    keys = open_user_key(call.settings.sealed)
    found = {"key": keys.current().id, "place": keys.place}
    if call.json:
        say_json(found)
        return
    say(f"{found['key']}, in {found['place']}")
    say("Every user side of a home needs the same one; copy it yourself, and never to the backend.")


def _run(
    call: Invocation,
    paths: Sequence[Path],
    place: Place,
    prepare: Callable[[Remote, UserSide], Awaitable[Callable[[Path], Awaitable[dict[str, Any]]]]],
    words: Callable[[dict[str, Any]], str],
) -> None:
    """Do the same with each file, and print what came of it."""
    settings = call.settings
    set_up_logging("warning" if settings.log.level == "info" else settings.log.level)

    async def body() -> int:
        files = list(walk(paths, PICTURES))
        if not files:
            complain("There are no pictures.")
            return 0
        refused = 0
        async with open_remote(settings.data_dir, place.url, place.token) as remote:
            work = await prepare(remote, await prepare_user_side(settings))
            for file in files:
                try:
                    told = await work(file)
                except PrivFaceError as error:
                    # Without the backend, or let in by it, no other file does better.
                    if exit_for(error.code) is Exit.NETWORK or error.code is ErrorCode.CONTRACT_MISMATCH:
                        raise
                    refused += 1
                    _print(call, file, {"error": error.to_dict()}, explain(error))
                else:
                    _print(call, file, told, words(told))
        return refused

    if asyncio.run(body()):
        raise typer.Exit(Exit.UNFINISHED)


def _print(call: Invocation, file: Path, told: dict[str, Any], text: str) -> None:
    if call.json:
        say_json({**told, "file": str(file)})
    else:
        say(f"{file}: {text}")


async def _load(settings: Settings, file: Path) -> tuple[bytes, Pixels]:
    """A picture's bytes, and its pixels at the working size or above."""
    limits = picture_limits(settings)
    data = await asyncio.to_thread(read, file, limits.bytes)
    return data, await asyncio.to_thread(decode_picture, data, limits, settings.pipeline.working_size)


async def _warn_of_pictures(remote: Remote) -> None:
    """Say that the backend has, or may get, pictures to compare with."""
    privacy: object = None
    # A token that may enroll alone isn't told.
    with contextlib.suppress(PrivFaceError):
        privacy = (await remote.ask("GET", "/info")).get("privacy")
    if isinstance(privacy, Mapping) and privacy.get("sealed_cameras") and not privacy.get("sealed"):
        complain("This backend takes other cameras' pictures. Enroll none of these files there: see docs/SEALED.md.")


async def _ensure_person(remote: Remote, name: str) -> str:
    """The id of the person of that name, added if there is none."""
    people = (await remote.ask("GET", "/people")).get("people", [])
    known = [str(person["id"]) for person in people if same_name(str(person["name"]), name)]
    return known[0] if known else str((await remote.ask("POST", "/people", {"name": name}))["id"])
