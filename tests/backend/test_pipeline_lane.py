"""The lane: one thread, a bounded waiting room, and what happens at its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.lane import Lane, open_lane
from privface_backend.protocol import ErrorCode
from support.backend import HeldLane, held, until


async def ask(lane: Lane, work: Callable[[], object], newest: str | None = None) -> asyncio.Task[object]:
    """Ask, and give it time to be waiting."""
    task = asyncio.create_task(lane.run(work) if newest is None else lane.run_newest(newest, work))
    await asyncio.sleep(0)
    return task


async def code_of(task: asyncio.Task[object]) -> ErrorCode:
    with pytest.raises(PrivFaceError) as error:
        await asyncio.wait_for(task, 10)
    return error.value.code


async def test_jobs_run_in_order_on_one_thread_of_its_own() -> None:
    async with open_lane() as lane:
        ran: list[int] = []

        def work(number: int) -> int:
            ran.append(number)
            return threading.get_ident()

        tasks = [await ask(lane, partial(work, number)) for number in range(10)]
        threads = set(await asyncio.gather(*tasks))
        assert ran == list(range(10))
        assert len(threads) == 1
        assert threads != {threading.get_ident()}
        assert lane.counts.finished == 10
        assert lane.depth == 0


async def test_the_newest_of_a_camera_wins_and_keeps_the_place() -> None:
    async with open_lane() as lane:
        ran: list[str] = []
        async with held(lane) as hold:
            old = await ask(lane, lambda: ran.append("door 1"), "door")
            other = await ask(lane, lambda: ran.append("hall 1"), "hall")
            new = await ask(lane, lambda: ran.append("door 2"), "door")
            assert await code_of(old) is ErrorCode.SUPERSEDED
            hold.let_go()
            await asyncio.gather(new, other)
        assert ran == ["door 2", "hall 1"]
        assert lane.counts.superseded == 1


async def test_a_running_job_is_not_superseded() -> None:
    async with open_lane() as lane:
        hold = HeldLane()
        first = await ask(lane, hold.work, "door")
        await until(lambda: hold.running)
        second = await ask(lane, lambda: "second", "door")
        hold.let_go()
        assert list(await asyncio.gather(first, second)) == [None, "second"]
        assert lane.counts.superseded == 0


async def test_plain_jobs_never_supersede_each_other() -> None:
    async with open_lane() as lane, held(lane) as hold:
        tasks = [await ask(lane, lambda: "done") for _ in range(5)]
        hold.let_go()
        assert await asyncio.gather(*tasks) == ["done"] * 5


async def test_the_waiting_room_is_bounded() -> None:
    async with open_lane(2) as lane, held(lane) as hold:
        waiting = [await ask(lane, lambda: "done"), await ask(lane, lambda: "old", "door")]
        refused = await ask(lane, lambda: "no room")
        assert await code_of(refused) is ErrorCode.OVERLOADED
        assert await code_of(await ask(lane, lambda: "no room", "hall")) is ErrorCode.OVERLOADED
        # A camera that waits already needs no further place.
        newer = await ask(lane, lambda: "new", "door")
        assert await code_of(waiting[1]) is ErrorCode.SUPERSEDED
        assert (lane.depth, lane.waiting) == (3, 2)
        assert lane.counts.refused == 2
        hold.let_go()
        assert list(await asyncio.gather(waiting[0], newer)) == ["done", "new"]


async def test_a_thousand_frames_of_one_camera_take_one_place() -> None:
    async with open_lane(4) as lane, held(lane) as hold:
        ran: list[int] = []
        tasks = [await ask(lane, partial(ran.append, number), "door") for number in range(1000)]
        assert lane.depth == 2
        hold.let_go()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert ran == [999]
        assert sum(isinstance(result, PrivFaceError) for result in results) == 999


@pytest.mark.parametrize("error", [ValueError("x"), PrivFaceError(ErrorCode.NO_FACE, "x"), MemoryError()])
async def test_an_exception_goes_to_who_asked_and_the_lane_goes_on(error: Exception) -> None:
    def fail() -> None:
        raise error

    async with open_lane() as lane:
        with pytest.raises(type(error)) as raised:
            await lane.run(fail)
        assert raised.value is error
        assert await lane.run(lambda: 1) == 1


async def test_even_one_that_no_future_can_carry() -> None:
    async with open_lane() as lane:
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(lane.run(lambda: next(iter(()))), 10)
        assert await asyncio.wait_for(lane.run(lambda: 1), 10) == 1


async def test_a_cancelled_asker_frees_the_place() -> None:
    async with open_lane(1) as lane, held(lane) as hold:
        ran: list[str] = []
        task = await ask(lane, lambda: ran.append("cancelled"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert lane.depth == 1
        other = await ask(lane, lambda: ran.append("other"))
        hold.let_go()
        await other
        assert ran == ["other"]


async def test_an_asker_that_is_cancelled_while_its_job_runs_disturbs_nobody() -> None:
    async with open_lane() as lane:
        hold = HeldLane()
        task = await ask(lane, hold.work)
        await until(lambda: hold.running)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        other = await ask(lane, lambda: "other")
        hold.let_go()
        assert await other == "other"


async def test_a_superseded_asker_that_was_cancelled_first() -> None:
    async with open_lane() as lane, held(lane) as hold:
        old = await ask(lane, lambda: "old", "door")
        old.cancel()
        new = await ask(lane, lambda: "new", "door")
        hold.let_go()
        assert await new == "new"
        assert old.cancelled()


async def test_at_the_end_the_running_job_finishes_and_the_others_are_refused() -> None:
    hold = HeldLane()
    ended = asyncio.Event()

    def work() -> str:
        hold.work()
        return "finished"

    async def live(tasks: list[asyncio.Task[object]]) -> Lane:
        async with open_lane() as lane:
            tasks.append(await ask(lane, work))
            await until(lambda: hold.running)
            tasks.extend([await ask(lane, lambda: "never"), await ask(lane, lambda: "never", "door")])
        ended.set()
        return lane

    tasks: list[asyncio.Task[object]] = []
    life = asyncio.create_task(live(tasks))
    await until(lambda: len(tasks) == 3)
    assert await code_of(tasks[1]) is ErrorCode.OVERLOADED
    assert await code_of(tasks[2]) is ErrorCode.OVERLOADED
    # The event loop isn't held up while the last job runs.
    assert not ended.is_set()
    hold.let_go()
    assert await asyncio.wait_for(tasks[0], 10) == "finished"
    lane = await asyncio.wait_for(life, 10)
    assert await code_of(await ask(lane, lambda: "too late")) is ErrorCode.OVERLOADED
    assert not any(thread.name.startswith("privface-lane") for thread in threading.enumerate())


async def test_an_error_in_the_block_closes_the_lane_too() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_lane() as lane:
            await lane.run(lambda: 1 / 0)
    assert not any(thread.name.startswith("privface-lane") for thread in threading.enumerate())
