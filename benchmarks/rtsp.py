"""Clips as a camera plays them, over RTSP at their own pace, through the whole pipeline; and from their files.

Prints for each how old frames are when they are handed out and when they are decided about (at the start, in the
middle, at the end: it must not grow), how many came, were looked at and skipped, and what was said, beside what is said
when every frame is looked at in its own time. The server, which decodes, stamps and encodes a clip anew, takes its part
of the same cores; it sends grey frames before and after the clip. Enrolled are the household of the manifest and the
folders of ``video/enrol``.

    .venv-test/bin/python benchmarks/rtsp.py ../shared/data
    .venv-test/bin/python benchmarks/rtsp.py ../shared/data --clip doorsim_dev.mp4 --seconds 30
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from privface_backend.app import Backend, open_backend
from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.link import LinkSource, LinkTimes
from privface_backend.engines.sources.video import VideoLimits, VideoSource
from privface_backend.evaluation.clips import Clip, judge_clip, read_clips
from privface_backend.evaluation.truth import ClipDecision
from privface_backend.gallery.folder import sync_folder
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.plugins.ports import Source
from privface_backend.protocol import FrameCard, Outcome, Privacy
from privface_backend.settings_loading import load_settings
from support.gstreamer import OVER, gstreamer_server, read_stamp

CORES = 2
CARD = FrameCard(camera="door", captured_at=datetime(2000, 1, 1, tzinfo=UTC))
BLANK_SECONDS = 4.0
KEYS = (
    *("visits", "right", "wrong", "missed", "strangers", "strangers_named", "seconds_to_name"),
    *("false_names", "unknown", "named"),
)


@dataclass(slots=True)
class Stamped:
    """A link's frames with the clip's own numbers; notes when each was stamped, and how old it was when it came."""

    link: LinkSource
    stamped_at: dict[int, float] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.link.name

    async def frames(self) -> AsyncGenerator[Frame, None]:
        async with aclosing(self.link.frames()) as frames:
            async for frame in frames:
                number, age = read_stamp(frame.pixels)
                if number == OVER:
                    return
                self.ages.append(age)
                self.stamped_at[number] = time.monotonic() - age
                yield replace(frame, index=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to play, up to the frame ``last``, and what is known of it. ``people``: their names, by id."""

    clip: Clip
    rate: float
    last: int
    privacy: Privacy
    people: dict[str, str]

    @property
    def seconds(self) -> float:
        return self.last / self.rate

    @property
    def card(self) -> FrameCard:
        return replace(CARD, camera=self.clip.path.stem)


@dataclass(slots=True, kw_only=True)
class Followed:
    """What was said of a clip. ``numbers``: the frames that were looked at; ``delays``: how old each was when that was
    done."""

    decisions: list[ClipDecision] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


async def follow(backend: Backend, source: Source, wanted: Wanted) -> Followed:
    """Take a source through the pipeline and its visits."""
    intake, followed = backend.services.intake, Followed()
    recording = intake.record()
    moments: dict[datetime, int] = {}

    def note(updates: Sequence[VisitUpdate], number: int) -> None:
        for update in updates:
            if update.statement is not None:
                followed.decisions.append(
                    ClipDecision(
                        frame=moments[update.live.last_seen],
                        seconds=number / wanted.rate,
                        outcome=update.statement.outcome,
                        phase=update.statement.phase,
                        person=update.statement.person_id,
                        faces=update.decision.usable,
                    )
                )

    async with aclosing(intake.stream(source, claimed=None, default=wanted.privacy)) as frames:
        async for seen in frames:
            moments[seen.card.captured_at] = seen.frame
            note(recording.take(seen).updates, seen.frame)
            followed.numbers.append(seen.frame)
            if isinstance(source, Stamped):
                followed.delays.append(time.monotonic() - source.stamped_at[seen.frame])
            if seen.frame >= wanted.last:
                break
    note(recording.end()[0], followed.numbers[-1])
    return followed


def thirds(values: Sequence[float]) -> str:
    size = max(1, len(values) // 3)
    parts = (values[:size], values[size:-size] or values, values[-size:])
    return "  ".join(f"{statistics.median(part):5.2f} (max {max(part):4.2f})" for part in parts)


def report(followed: Followed, wanted: Wanted) -> None:
    decisions = [replace(one, person=wanted.people.get(one.person or "", one.person)) for one in followed.decisions]
    judged = judge_clip(wanted.clip, decisions, wanted.people.values())["any"]
    print("    " + "  ".join(f"{key} {judged[key]}" for key in KEYS if judged.get(key) is not None))
    for one in decisions:
        said = one.person if one.outcome is Outcome.KNOWN else one.outcome.value
        print(f"    frame {one.frame:5d}  {one.phase.value:11s}  {said}")


def gather_people(given: argparse.Namespace, folder: Path) -> None:
    """A folder a person, of copies."""
    shutil.copytree(given.data / "video" / "enrol", folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    with (given.data / "home" / "manifest.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            if row["household"] == given.household and row["role"] == "enrol":
                (folder / row["identity"]).mkdir(exist_ok=True)
                shutil.copy(given.data / "home" / row["path"], folder / row["identity"])


def choose_clips(given: argparse.Namespace) -> list[tuple[Clip, float, int]]:
    """Each clip with its frames a second, and how many of them to play."""
    table = given.data / "video" / "clips.csv"
    with table.open(newline="") as rows:
        shapes = {row["file"]: (float(row["fps"]), int(row["frames"])) for row in csv.DictReader(rows)}
    chosen = []
    for clip in read_clips(table):
        rate, frames = shapes[clip.path.name]
        last = min(frames, round(given.seconds * rate)) - 1
        truth = clip.truth and tuple(visit for visit in clip.truth if visit.end_frame <= last)
        if given.clip in (None, clip.path.name):
            chosen.append((replace(clip, truth=truth), rate, last))
    return chosen


async def run(given: argparse.Namespace, folder: Path) -> None:
    people = folder / "people"
    gather_people(given, people)
    flags = {"data_dir": f"{folder}/data", "models_dir": str(given.models), "mqtt.enabled": False}
    settings = load_settings(environment={}, flags=flags)
    async with open_backend(settings) as backend:
        await backend.engines_ready()
        async for _ in sync_folder(people, backend.core.gallery, backend.core.recognition.represent):
            pass
        names = dict(backend.core.index.snapshot.names)
        print(f"{CORES} cores, {len(names)} people enrolled, k = {given.parameter}")
        for clip, rate, last in choose_clips(given):
            wanted = Wanted(
                clip=clip,
                rate=rate,
                last=last,
                privacy=Privacy(method="gaussian", parameter=given.parameter),
                people=names,
            )
            print(f"\n{clip.path.name}, {wanted.seconds:.1f} s at {rate:g} frames/s: {clip.who}")
            await run_camera(backend, wanted)
            began = time.monotonic()
            source = VideoSource(data=clip.path, card=wanted.card, limits=VideoLimits())
            followed = await follow(backend, source, wanted)
            print(f"file: {len(followed.numbers)} frames looked at in {time.monotonic() - began:.0f} s")
            report(followed, wanted)


async def run_camera(backend: Backend, wanted: Wanted) -> None:
    with gstreamer_server(wanted.clip.path, "--once", "--blank", str(BLANK_SECONDS)) as server:
        link = LinkSource(
            address=server.address,
            card=wanted.card,
            times=LinkTimes(total=wanted.seconds + 2 * BLANK_SECONDS + 15),
            clock=lambda: datetime.now(UTC),
        )
        source = Stamped(link)
        followed = await follow(backend, source, wanted)
    sent = followed.numbers[-1] - followed.numbers[0] + 1
    print(f"RTSP: {sent} frames of the clip came, {len(set(followed.numbers))} looked at")
    print(f"    seconds old when handed out, start middle end:   {thirds(source.ages)}")
    print(f"    seconds old when decided about:                  {thirds(followed.delays)}")
    report(followed, wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with home/manifest.csv and video/clips.csv")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    parser.add_argument("--household", default="caltech_ordinary_people", help="of the manifest, whom to enroll")
    parser.add_argument("--clip", help="only this one of video/clips.csv")
    parser.add_argument("--seconds", type=float, default=600.0, help="of each clip, from its beginning, at most")
    parser.add_argument("--parameter", type=int, default=17, help="the blur's kernel, in pixels")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(given, Path(folder)))


if __name__ == "__main__":
    main()
