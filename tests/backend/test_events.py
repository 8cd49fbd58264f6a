"""The bus, and listeners that can't follow."""

from __future__ import annotations

import asyncio

from privface_backend.events import Bus, Listener, Message


def message(number: int) -> Message:
    return Message("event", {"number": number})


async def test_all_are_told_in_order() -> None:
    bus = Bus()
    called: list[Message] = []
    bus.call(called.append)
    with bus.listen() as one, bus.listen() as other:
        assert bus.listening == 2
        for number in range(5):
            bus.tell(message(number))
        assert [await one.get() for _ in range(5)] == [await other.get() for _ in range(5)] == called
    assert bus.listening == 0
    bus.tell(message(6))
    assert len(called) == 6


async def test_who_waits_is_woken() -> None:
    bus = Bus()
    with bus.listen() as listener:
        waiting = asyncio.create_task(listener.get())
        await asyncio.sleep(0)
        bus.tell(message(1))
        assert await asyncio.wait_for(waiting, 5) == message(1)


async def test_a_full_listener_loses_the_oldest_and_is_told_so_once() -> None:
    listener: Listener[int] = Listener(3)
    for number in range(3):
        listener.put(number)
    assert not listener.take_lost()
    listener.put(3)
    assert listener.lost
    assert listener.take_lost()
    assert not listener.take_lost()
    assert [await listener.get() for _ in range(3)] == [1, 2, 3]


async def test_a_slow_listener_does_not_hold_up_the_others() -> None:
    bus = Bus()
    with bus.listen(limit=2) as slow, bus.listen(limit=100) as quick:
        for number in range(50):
            bus.tell(message(number))
        assert [(await quick.get()).payload["number"] for _ in range(50)] == list(range(50))
        assert slow.take_lost()
        assert not quick.take_lost()
        assert [(await slow.get()).payload["number"] for _ in range(2)] == [48, 49]


async def test_cleared_it_starts_anew() -> None:
    listener: Listener[int] = Listener(1)
    listener.put(1)
    listener.put(2)
    listener.clear()
    assert not listener.take_lost()
    waiting = asyncio.create_task(listener.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    listener.put(3)
    assert await asyncio.wait_for(waiting, 5) == 3
