"""What ``privface doctor`` says of sealed mode: which cameras are sealed, with which key, and who is enrolled there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from privface_backend.cli.checks import Check, Verdict, failed
from privface_backend.domain.cameras import SealedCameras
from privface_backend.errors import PrivFaceError
from privface_backend.settings import Settings

_NAME = "sealed mode"
_HINT = "On the user side's computer: privface seal enroll DIR --person NAME --url URL"


def check_sealed(settings: Settings) -> Iterator[Check]:
    """The check, where the backend or a camera is sealed."""
    if cameras := settings.sealed_cameras:
        yield asyncio.run(_check(settings, _describe(cameras)))


def _describe(cameras: SealedCameras) -> str:
    if cameras.everything:
        return "the whole backend: it makes no engines"
    return f"{'camera' if len(cameras.names) == 1 else 'cameras'} {', '.join(cameras.names)}"


async def _check(settings: Settings, where: str) -> Check:
    if not (settings.data_dir / "privface.db").exists():
        return Check(name=_NAME, verdict=Verdict.OK, text=f"{where}; nothing was sent yet", hint=_HINT)
    from privface_backend.core import open_core  # noqa: PLC0415  # not where the bridge alone is installed

    try:
        async with open_core(settings) as core:
            await core.sealed.restore()
            terms, sealed = core.sealed.terms, core.gallery.sealed_faces
            people = await core.gallery.people()
            enrolled = {face.person_id for face in core.gallery.snapshot.faces if face.id in sealed}
    except PrivFaceError as error:
        return failed(_NAME, error)
    if terms is None:
        return Check(name=_NAME, verdict=Verdict.OK, text=f"{where}; nothing was sent yet", hint=_HINT)
    text = f"{where}; key {terms.contract.sealed_with}; {len(enrolled)} of {len(people)} people have a sealed face"
    missing = len(enrolled) < len(people)
    verdict = Verdict.WARNING if missing else Verdict.OK
    return Check(name=_NAME, verdict=verdict, text=text, hint=_HINT if missing else "")
