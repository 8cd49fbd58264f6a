"""Frames of cameras: counts, events, states; and the cameras and events themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.frames import AnonymizedFrame
from privface_backend.domain.matching import LevelMatchedGallery, Template
from privface_backend.domain.privacy import CLEAR
from privface_backend.domain.visits import VisitRules
from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Message
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.pipeline.cameras import MOST_CAMERAS, Camera, Cameras
from privface_backend.pipeline.enrollment import EnrollmentBar
from privface_backend.pipeline.household import Household
from privface_backend.pipeline.intake import Intake
from privface_backend.pipeline.lane import Lane, open_lane
from privface_backend.pipeline.matcher import Matchers
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.pipeline.recognition import Recognition, RecognitionRules, Timed
from privface_backend.pipeline.recording import Seen
from privface_backend.pipeline.visit_settings import VisitSettings
from privface_backend.pipeline.visits import VisitTiming
from privface_backend.protocol import (
    AppliedBy,
    ErrorCode,
    Event,
    FrameCard,
    FrameSource,
    Outcome,
    Phase,
    PresencePhase,
    Privacy,
    Reason,
    Requestor,
)
from support.backend import ADA, BEN, STRANGER, held, picture, pixels, until
from support.process import make_process

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LIFETIME = timedelta(seconds=30)


@dataclass
class Watched:
    """What the observers of recognition were told."""

    looked_at: list[Timed] = field(default_factory=list)
    codes: list[ErrorCode] = field(default_factory=list)

    def looked(self, timed: Timed) -> None:
        self.looked_at.append(timed)

    def skipped(self, code: ErrorCode) -> None:
        self.codes.append(code)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class House:
    lane: Lane
    index: GalleryIndex
    clock: Clock
    recognition: Recognition
    cameras: Cameras
    household: Household
    intake: Intake
    observer: Watched
    recorded: list[Event] = field(default_factory=list)
    reasons: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[Message] = field(default_factory=list)
    woken: list[datetime] = field(default_factory=list)

    def camera(self, name: str) -> Camera:
        return next(camera for camera in self.cameras.all() if camera.name == name)


@contextlib.asynccontextmanager
async def house(*, start: bool = True, **changes: Any) -> AsyncIterator[House]:
    rules = RecognitionRules(
        limits=PictureLimits(),
        default_privacy=Privacy(parameter=17),
        ladder=(0.02,),
        decision=DecisionRules(),
        enrollment=EnrollmentBar(),
    )
    rules = replace(rules, **changes)
    async with open_lane(4) as lane:
        index, clock = GalleryIndex(), Clock()
        recognition = Recognition(lane, Matchers(GalleryIndexes(index), rules.decision), rules, make_process)
        if start:
            await recognition.start()
        cameras, household, bus, observer = Cameras(), Household(LIFETIME), Bus(), Watched()
        recorded: list[Event] = []
        reasons: dict[str, dict[str, Any]] = {}
        told: list[Message] = []
        woken: list[datetime] = []
        bus.call(told.append)
        recognition.observe(observer)

        def record(events: Sequence[Event], why: Mapping[str, dict[str, Any]]) -> None:
            recorded.extend(events)
            reasons.update(why)

        intake = Intake(
            recognition=recognition,
            cameras=cameras,
            household=household,
            bus=bus,
            record=record,
            clock=clock,
            settings=VisitSettings(rules=VisitRules(decision=rules.decision), timing=VisitTiming(), lifetime=LIFETIME),
            wake=lambda: woken.append(clock()),
        )
        yield House(
            lane, index, clock, recognition, cameras, household, intake, observer, recorded, reasons, told, woken
        )


def enroll(home: House, timed: Timed, name: str = "Ada") -> None:
    """Enroll the first face of a look."""
    [observed, *_] = timed.judgement.look.faces
    assert observed.vector is not None
    template = Template(face_id=f"face of {name}", person_id=name.lower(), level=CLEAR, vector=observed.vector)
    known = home.index.snapshot
    templates = (*known.templates, template)
    home.index._snapshot = replace(
        known,
        gallery=LevelMatchedGallery(templates),
        templates=templates,
        names={**known.names, template.person_id: name},
        sources={**known.sources, template.face_id: f"{name}.jpg"},
    )
    home.household.set_people(home.index.snapshot.names)


def card(camera: str = "door", **changes: object) -> FrameCard:
    """The card of a frame that comes alone."""
    return replace(FrameCard(camera=camera, captured_at=NOW, more=False), **changes)  # type: ignore[arg-type]  # of a card's fields


async def code_of(asked: asyncio.Task[object]) -> ErrorCode:
    with pytest.raises(PrivFaceError) as error:
        await asked
    return error.value.code


async def test_a_frame_becomes_events_that_are_kept_and_told() -> None:
    async with house() as home:
        seen = await home.intake.camera_frame(picture(ADA, BEN), card())
        assert [event.outcome for event in seen.events] == [Outcome.UNKNOWN] * 2
        assert home.recorded == list(seen.events)
        assert [message.kind for message in home.told] == ["event", "event", "state"]
        assert [message.subject for message in home.told[:2]] == list(seen.events)
        assert home.told[0].payload == seen.events[0].to_dict()
        assert home.told[2].payload["unknown"] == 2
        assert (home.camera("door").frames, home.camera("door").skipped) == (1, 0)
        assert home.observer.looked_at == [seen.timed]
        latency = seen.timed.latency_ms
        assert latency["total"] == pytest.approx(sum(ms for stage, ms in latency.items() if stage != "total"))
        assert {"queue", "decode", "anonymize", "detect", "represent", "verify"} < set(latency)


async def test_a_frame_without_a_face_is_no_event() -> None:
    async with house() as home:
        seen = await home.intake.camera_frame(picture(), card())
        assert seen.events == ()
        assert not home.recorded
        assert not home.told
        assert seen.timed.judgement.reason is Reason.NO_FACE
        assert home.camera("door").frames == 1


async def test_a_disabled_camera_s_frames_are_not_looked_at() -> None:
    async with house() as home:
        home.cameras.enable("door", enabled=False)
        with pytest.raises(PrivFaceError) as error:
            await home.intake.camera_frame(picture(ADA), card())
        assert error.value.code is ErrorCode.CAMERA_DISABLED
        assert not home.recorded
        assert home.lane.counts.finished == 1  # the making of the engines
        assert home.camera("door").skipped == 1
        assert home.observer.codes == [ErrorCode.CAMERA_DISABLED]
        home.cameras.enable("door", enabled=True)
        assert (await home.intake.camera_frame(picture(ADA), card())).events
        assert home.woken


async def test_a_frame_that_was_anonymized_here_has_the_same_rules() -> None:
    privacy = Privacy(method="gaussian", parameter=9, applied_by=AppliedBy.BRIDGE)
    frame = AnonymizedFrame(pixels=pixels(ADA, kernel=9), privacy=privacy)
    async with house() as home:
        async with held(home.lane) as hold:
            old: asyncio.Task[object] = asyncio.create_task(home.intake.anonymized_frame(frame, card()))
            await until(lambda: home.lane.waiting == 1)
            new = asyncio.create_task(home.intake.anonymized_frame(frame, card()))
            assert await code_of(old) is ErrorCode.SUPERSEDED
            hold.let_go()
            judged = (await new).timed.judgement
        assert replace(judged.look.privacy, relative=None) == privacy
        home.cameras.enable("door", enabled=False)
        with pytest.raises(PrivFaceError) as caught:
            await home.intake.anonymized_frame(frame, card())
        assert caught.value.code is ErrorCode.CAMERA_DISABLED


async def test_a_superseded_frame_counts_as_skipped() -> None:
    async with house() as home, held(home.lane) as hold:
        home.cameras.add("door")
        old: asyncio.Task[object] = asyncio.create_task(home.intake.camera_frame(picture(ADA), card()))
        await asyncio.sleep(0)
        new = asyncio.create_task(home.intake.camera_frame(picture(ADA), card()))
        await asyncio.sleep(0)
        hold.let_go()
        assert await code_of(old) is ErrorCode.SUPERSEDED
        await new
        assert (home.camera("door").frames, home.camera("door").skipped) == (1, 1)
        assert home.observer.codes == [ErrorCode.SUPERSEDED]
        assert len(home.recorded) == 1


async def test_the_newest_frame_of_one_object_does_not_take_the_place_of_anothers() -> None:
    async with house() as home, held(home.lane) as hold:
        home.cameras.add("door")
        one, other, newer = (replace(card(), source_event_id=event) for event in ("one", "other", "one"))
        asked = []
        for frame in (one, other, newer):
            asked.append(asyncio.create_task(home.intake.camera_frame(picture(ADA), frame)))
            await asyncio.sleep(0)
        hold.let_go()
        assert await code_of(asked[0]) is ErrorCode.SUPERSEDED
        await asyncio.gather(*asked[1:])
        assert (home.camera("door").frames, home.camera("door").skipped) == (2, 1)


async def test_a_bad_frame_and_a_cancelled_one_count_as_skipped() -> None:
    async with house() as home:
        home.cameras.add("door")
        with pytest.raises(PrivFaceError):
            await home.intake.camera_frame(b"no picture", card())
        async with held(home.lane) as hold:
            asked = asyncio.create_task(home.intake.camera_frame(picture(ADA), card()))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            hold.let_go()
        assert (home.camera("door").frames, home.camera("door").skipped) == (0, 2)


async def test_a_camera_s_own_parameter_goes_before_the_default() -> None:
    async with house() as home:
        home.cameras.set_parameter("door", 31)
        (event,) = (await home.intake.camera_frame(picture(ADA), card())).events
        assert (event.privacy.parameter, event.privacy.applied_by) == (31, AppliedBy.BACKEND)
        (event,) = (await home.intake.camera_frame(picture(ADA), card("hall"))).events
        assert event.privacy.parameter == 17
        home.cameras.set_parameter("door", None)
        seen = await home.intake.camera_frame(picture(ADA), card())
        assert seen.timed.judgement.look.privacy.parameter == 17


async def test_before_the_engines_are_made() -> None:
    async with house(start=False) as home:
        assert not home.recognition.ready
        with pytest.raises(PrivFaceError) as error:
            await home.intake.camera_frame(picture(ADA), card())
        assert error.value.code is ErrorCode.WEIGHTS_MISSING
        with pytest.raises(PrivFaceError):
            await home.recognition.represent(picture(ADA))


async def test_a_default_that_the_method_does_not_take_is_said_at_the_start() -> None:
    async with house(start=False, default_privacy=Privacy(parameter=16)) as home:
        with pytest.raises(PrivFaceError) as error:
            await home.recognition.start()
        assert error.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
        assert not home.recognition.ready


async def test_caution_raises_every_threshold_but_never_to_one() -> None:
    thresholds = []
    for caution in (0.0, 0.05, 0.9):
        async with house(decision=DecisionRules(caution=caution)) as home:
            enroll(home, await home.recognition.identify(picture(ADA)))
            thresholds.append((await home.recognition.identify(picture(ADA))).judgement.faces[0].result.threshold)
    assert thresholds[0] is not None
    assert thresholds[1:] == pytest.approx([thresholds[0] + 0.05, 0.99])


async def test_events_say_what_the_card_said() -> None:
    asked = card(
        source=FrameSource.FRIGATE,
        source_event_id="frigate-1",
        request_id="request-1",
        requestor=Requestor(id="anna", type="NSSD"),
        captured_at=NOW - timedelta(seconds=5),
    )
    async with house() as home:
        (event,) = (await home.intake.camera_frame(picture(ADA), asked)).events
    assert (event.source, event.source_event_id, event.request_id) == (FrameSource.FRIGATE, "frigate-1", "request-1")
    assert event.requestor == asked.requestor
    assert (event.ts, event.captured_at, event.expires_at) == (NOW, asked.captured_at, asked.captured_at + LIFETIME)
    assert (event.phase, event.outcome, event.reason) == (Phase.CONFIRMED, Outcome.UNKNOWN, Reason.NOBODY_ENROLLED)
    assert event.votes == {"known": 0, "unknown": 1}
    assert event.faces == 1
    assert event.person_id is event.person is None
    assert event.box is not None
    assert event.privacy.relative is not None
    assert Event.from_dict(event.to_dict()).event_id == event.event_id


async def test_an_event_of_the_source_that_is_over_is_decided() -> None:
    asked = card(source=FrameSource.FRIGATE, source_event_id="frigate-1", more=True)
    async with house() as home:
        assert (await home.intake.camera_frame(picture(ADA), asked)).events == ()
        home.intake.end_source_event(asked.camera, "frigate-2")
        assert home.recorded == []
        home.intake.end_source_event(asked.camera, "frigate-1")
        (event,) = home.recorded
        assert (event.source_event_id, event.phase) == ("frigate-1", Phase.CONFIRMED)
        home.intake.end_source_event(asked.camera, "frigate-1")
        assert len(home.recorded) == 1
    async with house(start=False) as home:
        home.intake.end_source_event(asked.camera, "frigate-1")
        assert home.recorded == []


async def test_ids_differ_and_a_clock_ahead_prolongs_nothing() -> None:
    async with house() as home:
        events = (
            await home.intake.camera_frame(picture(ADA, BEN), card(captured_at=NOW + timedelta(minutes=4)))
        ).events
    assert len({event.event_id for event in events} | {event.visit_id for event in events}) == 4
    assert {event.expires_at for event in events} == {NOW + LIFETIME}
    relatives = {round(event.privacy.relative or 0, 3) for event in events}
    assert len(events) == 2
    assert all(relatives)


async def test_there_are_only_so_many_cameras() -> None:
    async with house() as home:
        timed = await home.recognition.identify(picture(ADA))
        for number in range(MOST_CAMERAS):
            home.intake.tell(timed, card(f"camera {number}"))
        with pytest.raises(PrivFaceError) as error:
            home.intake.tell(timed, card("one more"))
        assert error.value.code is ErrorCode.OVERLOADED
        with pytest.raises(PrivFaceError):
            await home.intake.camera_frame(picture(ADA), card("one more"))
        assert len(home.household.cameras(NOW)) == MOST_CAMERAS
        assert len(tuple(home.cameras.all())) == MOST_CAMERAS
        home.intake.tell(timed, card("camera 0"))


async def test_a_frame_that_is_refused_makes_no_camera() -> None:
    async with house() as home:
        with pytest.raises(PrivFaceError):
            await home.intake.camera_frame(b"no picture", card())
        assert list(home.cameras.all()) == []
        assert home.observer.codes == [ErrorCode.PICTURE_FORMAT]
        await home.intake.camera_frame(picture(), card())
        assert (home.camera("door").frames, home.camera("door").skipped) == (1, 0)


@pytest.mark.parametrize("live", [True, False])
async def test_a_live_stream_s_first_frame_makes_the_camera_a_recording_s_does_not(live: bool) -> None:
    async with house() as home:
        timed = await home.recognition.identify(picture(ADA))
        recording = home.intake.record(live=live)
        assert list(home.cameras.all()) == []
        recording.take(Seen(timed=timed, card=card()))
        assert [camera.name for camera in home.cameras.all()] == ["door"] * live


async def test_frames_in_a_stream_become_one_visit_s_events() -> None:
    async with house() as home:
        timed = await home.recognition.identify(picture(ADA))
        enroll(home, timed)
        phases = []
        for step in range(8):
            home.clock.now = NOW + timedelta(seconds=0.2 * step)
            seen = home.intake.tell(timed, card(captured_at=home.clock.now, more=None))
            phases += [event.phase for event in seen.events]
        assert phases == [Phase.PROVISIONAL, Phase.CONFIRMED]
        first, second = home.recorded
        assert (first.seq, second.seq) == (0, 1)
        assert first.visit_id == second.visit_id
        assert {event.person for event in home.recorded} == {"Ada"}
        assert second.votes == {"known": 4, "unknown": 0}
        assert first.corrects is second.corrects is None
        # The stay goes on with each frame, event or not.
        [person] = home.household.people(home.clock.now)
        assert (person.last_seen, person.phase) == (home.clock.now, PresencePhase.PRESENT)
        why = home.reasons[second.event_id]
        assert (why["usable"], why["seen"], len(why["faces"])) == (4, 4, 4)
        assert why["nearest"][0]["person_id"] == "ada"
        assert "Ada" not in str(why)


async def test_a_frame_that_no_other_follows_is_decided_by_the_time() -> None:
    async with house() as home:
        timed = await home.recognition.identify(picture(ADA))
        enroll(home, timed)
        assert home.intake.tell(timed, card(more=None)).events == ()
        due = home.intake.next_due()
        assert due == NOW + timedelta(seconds=1.5)
        home.intake.pass_time()
        assert home.recorded == []
        home.clock.now = due
        home.intake.pass_time()
        [event] = home.recorded
        assert (event.person_id, event.phase) == ("ada", Phase.CONFIRMED)
        assert (event.captured_at, event.ts) == (NOW, due)
        assert home.household.people(due)[0].present
        home.clock.now = NOW + timedelta(seconds=8)
        home.intake.pass_time()
        assert len(home.recorded) == 1
        assert home.intake.next_due() == NOW + LIFETIME


async def test_who_is_enrolled_meanwhile_corrects_what_was_said() -> None:
    async with house() as home:
        timed = await home.recognition.identify(picture(ADA))
        [unknown] = home.intake.tell(timed, card()).events
        assert unknown.outcome is Outcome.UNKNOWN
        assert home.household.cameras(NOW)[0].unknown == 1
        enroll(home, timed)
        home.intake.pass_time()
        [_, known] = home.recorded
        assert (known.person_id, known.corrects, known.visit_id) == ("ada", unknown.event_id, unknown.visit_id)
        camera = home.household.cameras(NOW)[0]
        assert (camera.unknown, camera.persons) == (0, ("Ada",))


@pytest.mark.parametrize("live", [True, False])
async def test_a_recording_moves_the_states_only_where_it_is_live(*, live: bool) -> None:
    async with house() as home:
        timed = await home.recognition.identify(picture(ADA, STRANGER))
        enroll(home, timed)
        recording = home.intake.record(live=live)
        assert recording.take(Seen(timed=timed, card=card(more=None))).events == ()
        # One frame: all is decided at the end.
        updates, events = recording.end()
        assert len(updates) == len(events) == 2
        assert {event.outcome for event in events} == {Outcome.KNOWN, Outcome.UNKNOWN}
        assert home.household.people(NOW)[0].present is live
        cameras = home.household.cameras(NOW)
        assert [(camera.persons, camera.unknown) for camera in cameras] == ([(("Ada",), 1)] if live else [])


def test_cameras_tell_of_changes() -> None:
    changed: list[Camera] = []
    cameras = Cameras(changed.append)
    cameras.add("door")
    cameras.add("door")
    cameras.enable("door", enabled=False)
    cameras.set_parameter("door", 31)
    cameras.count_frame("door")
    cameras.count_skipped("door")
    assert changed == [
        Camera(name="door"),
        Camera(name="door", enabled=False),
        Camera(name="door", enabled=False, parameter=31),
    ]
    assert tuple(cameras.all()) == (Camera(name="door", enabled=False, parameter=31, frames=1, skipped=1),)
