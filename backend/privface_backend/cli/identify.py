"""``privface identify``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer

from privface_backend.audit.entries import Act
from privface_backend.cli.acts import doing
from privface_backend.cli.engines import with_engine
from privface_backend.cli.exits import Exit
from privface_backend.cli.files import VIDEOS, read, walk
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import Bar, complain, explain, progress, say, say_json
from privface_backend.cli.session import run_command
from privface_backend.cli.words import describe_face
from privface_backend.core import Core
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.pictures import looks_like_picture
from privface_backend.pipeline.recognition import Timed
from privface_backend.plugins.ports import EngineContext, Source, VideoLength
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import FrameCard, Privacy
from privface_backend.settings import Settings

_MEGABYTE: Final = 1024 * 1024
# Bytes that tell a picture from a video.
_HEAD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """How to look, and how to print."""

    privacy: Privacy
    detail: bool
    json: bool


def run_identify(
    call: Invocation,
    paths: Sequence[Path],
    *,
    method: str | None,
    parameter: int | None,
    engine: str | None,
    detail: bool,
) -> None:
    """Identify the faces of files; ends with 1 when a file could not be read."""
    settings = with_engine(call.settings, engine)
    wish = _Wish(privacy=_privacy(settings, method, parameter), detail=detail, json=call.json)
    files = list(walk(paths))
    unread = run_command(call, lambda core: _identify_all(core, files, wish), engines=True, settings=settings)
    if unread:
        raise typer.Exit(Exit.UNFINISHED)


def _privacy(settings: Settings, method: str | None, parameter: int | None) -> Privacy:
    """The anonymization asked for; another method than the set one starts from its weakest parameter.

    Raises:
        PrivFaceError: ``engine_unknown``, ``bad_privacy_parameter``.
    """
    chosen = method or settings.privacy.method
    default = settings.privacy.parameter if chosen == settings.privacy.method else 1
    privacy = replace(settings.privacy.default, method=chosen, parameter=default if parameter is None else parameter)
    context = EngineContext(weights=WeightsStore(settings.models_dir))
    Registry().create(EngineKind.ANONYMIZER, chosen, context).validate(privacy.parameter)
    return privacy


async def _identify_all(core: Core, paths: Sequence[Path], wish: _Wish) -> int:
    """Look at each file; how many could not be read."""
    if not paths:
        complain("There are no pictures or videos.")
    unread = 0
    with progress("Looking", len(paths), as_json=wish.json) as bar:
        for path in paths:
            try:
                async with core.audit.act(doing(Act.IDENTIFY, "identify")):
                    await _identify(core, path, wish, bar)
            except PrivFaceError as error:
                unread += 1
                _print_trouble(path, error, wish)
            bar.end_part()
            bar()
    return unread


async def _identify(core: Core, path: Path, wish: _Wish, bar: Bar) -> None:
    async with aclosing(_look(core, path, wish, bar)) as looks:
        async for frame, timed in looks:
            _print(core, path, frame, timed, wish)


async def _look(core: Core, path: Path, wish: _Wish, bar: Bar) -> AsyncGenerator[tuple[int, Timed], None]:
    """A picture, or the frames of a video that have a face; the last frame of one that has none at all."""
    if path.suffix.lower() not in VIDEOS or looks_like_picture(read(path, _HEAD)):
        data = read(path, _MEGABYTE * core.settings.pipeline.picture_megabytes)
        yield 0, await core.recognition.identify(data, default=wish.privacy)
        return
    last: tuple[int, Timed] | None = None
    shown = False
    lengths: list[VideoLength] = []
    async with aclosing(_video(core, path, lengths).frames()) as frames:
        async for frame in frames:
            last = frame.index, await core.recognition.identify_pixels(frame.pixels, default=wish.privacy)
            bar.show_part(path.name, frame.index + 1, lengths[0].frames)
            if last[1].judgement.faces:
                shown = True
                yield last
    if last is not None and not shown:
        yield last


def _video(core: Core, path: Path, lengths: list[VideoLength]) -> Source:
    """The video's frames, which are read from the file as they are looked at; ``lengths`` gets how long it is."""
    limits = core.settings.pipeline
    options = {
        "path": path,
        "card": FrameCard(camera=path.name[:64], captured_at=datetime.now(UTC)),
        "max_bytes": None,
        "max_seconds": limits.video_seconds,
        "max_pixels": limits.picture_megapixels * 1_000_000,
        "on_length": lengths.append,
    }
    source: Source = core.registry.create(EngineKind.SOURCE, "video", EngineContext(weights=core.weights), options)
    return source


def _print(core: Core, path: Path, frame: int, timed: Timed, wish: _Wish) -> None:
    judgement = timed.judgement
    answer = judgement.to_identification(str(path), frame, timed.latency_ms)
    if wish.json:
        line: dict[str, Any] = answer.to_dict()
        if wish.detail:
            line["detail"] = judgement.detail(core.index.snapshot.names)
        say_json(line)
        return
    where = f"{path}#{frame}" if frame else str(path)
    if not answer.faces:
        say(f"{where}: no face")
    for face, judged in zip(answer.faces, judgement.faces, strict=True):
        say(f"{where}: {describe_face(face)}")
        if wish.detail:
            names = core.index.snapshot.names
            near = ", ".join(f"{names.get(one.person_id, '?')} {one.score:.2f}" for one in judged.ranked[:3])
            say(f"    nearest: {near or 'nobody'}; r = {face.relative or 0:.3f}; detector {face.detection or 0:.2f}")


def _print_trouble(path: Path, error: PrivFaceError, wish: _Wish) -> None:
    if wish.json:
        say_json({"file": str(path), "error": error.to_dict()})
    else:
        say(f"{path}: {explain(error)}")
