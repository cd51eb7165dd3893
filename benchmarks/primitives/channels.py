"""What an item costs on its way through a channel, beside asyncio's queue and one that threads may share."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.harness import Bar, Case, Contender, Figures, Metric
from remuda import Mailbox, Receiver, Runtime, Sender, channel, select

__all__ = ["CASES"]

BURST = 10_000


def ends(capacity: int) -> tuple[Sender[int], Receiver[int]]:
    return channel(capacity)


def _bursts(size: int, fill: Callable[[int], None], drain: Callable[[int], None]) -> Figures:
    """Measures what puts a burst into something with room, and what takes it out again."""
    burst = min(BURST, size)
    enqueue = dequeue = 0
    for _ in range(size // burst):
        start = clock()
        fill(burst)
        filled = clock()
        drain(burst)
        enqueue += filled - start
        dequeue += clock() - filled
    count = size // burst * burst
    return {"enqueue": enqueue / count, "dequeue": dequeue / count}


def through_channel(size: int) -> Figures:
    sender, receiver = ends(BURST)

    def fill(burst: int) -> None:
        for number in range(burst):
            sender.send_nowait(number)

    def drain(burst: int) -> None:
        for _ in range(burst):
            receiver.recv_nowait()

    return _bursts(size, fill, drain)


def through_deque(size: int) -> Figures:
    box: deque[int] = deque()

    def fill(burst: int) -> None:
        for number in range(burst):
            box.append(number)

    def drain(burst: int) -> None:
        for _ in range(burst):
            box.popleft()

    return _bursts(size, fill, drain)


def through_asyncio(size: int) -> Figures:
    queue: asyncio.Queue[int] = asyncio.Queue(BURST)

    def fill(burst: int) -> None:
        for number in range(burst):
            queue.put_nowait(number)

    def drain(burst: int) -> None:
        for _ in range(burst):
            queue.get_nowait()

    return _bursts(size, fill, drain)


def through_culsans(size: int) -> Figures:
    import culsans

    queue: Any = culsans.Queue(BURST)

    def fill(burst: int) -> None:
        for number in range(burst):
            queue.green_put(number, blocking=False)

    def drain(burst: int) -> None:
        for _ in range(burst):
            queue.green_get(blocking=False)

    return _bursts(size, fill, drain)


def empty_loop(size: int) -> Figures:
    def turn(burst: int) -> None:
        for _number in range(burst):
            pass

    return _bursts(size, turn, turn)


async def _agents(size: int, capacity: int) -> Figures:
    async def produce(_: Mailbox[None], sender: Sender[int]) -> None:
        for number in range(size):
            await sender.send(number)

    async def consume(_: Mailbox[None], receiver: Receiver[int]) -> None:
        for _number in range(size):
            await receiver.recv()

    sender, receiver = ends(capacity)
    async with Runtime(workers=1) as runtime:
        start = clock()
        runtime.spawn(produce, sender)
        await runtime.spawn(consume, receiver)
        return {"time": (clock() - start) / size}


async def _tasks(size: int, capacity: int) -> Figures:
    queue: asyncio.Queue[int] = asyncio.Queue(capacity)

    async def produce() -> None:
        for number in range(size):
            await queue.put(number)

    async def consume() -> None:
        for _ in range(size):
            await queue.get()

    start = clock()
    await asyncio.gather(produce(), consume())
    return {"time": (clock() - start) / size}


async def stream(size: int) -> Figures:
    return await _agents(size, 100)


async def stream_asyncio(size: int) -> Figures:
    return await _tasks(size, 100)


async def stream_culsans(size: int) -> Figures:
    import culsans

    queue: Any = culsans.Queue(100)

    async def produce() -> None:
        for number in range(size):
            await queue.async_put(number)

    async def consume() -> None:
        for _ in range(size):
            await queue.async_get()

    start = clock()
    await asyncio.gather(produce(), consume())
    return {"time": (clock() - start) / size}


async def meet(size: int) -> Figures:
    return await _agents(size, 0)


async def meet_asyncio(size: int) -> Figures:
    return await _tasks(size, 1)


async def selecting(size: int) -> Figures:
    """One agent selects from four channels that a second one fills in turn."""

    async def produce(_: Mailbox[None], senders: tuple[Sender[int], ...]) -> None:
        for number in range(size):
            await senders[number % len(senders)].send(number)

    async def consume(_: Mailbox[None], receivers: tuple[Receiver[int], ...]) -> None:
        for _number in range(size):
            await select(*receivers)

    four = [ends(25) for _ in range(4)]
    async with Runtime(workers=1) as runtime:
        start = clock()
        runtime.spawn(produce, tuple([sender for sender, _ in four]))
        await runtime.spawn(consume, tuple([receiver for _, receiver in four]))
        return {"time": (clock() - start) / size}


async def selecting_asyncio(size: int) -> Figures:
    """The same with `asyncio.wait` on a task for each of four queues."""
    four: list[asyncio.Queue[int]] = [asyncio.Queue(25) for _ in range(4)]

    async def produce() -> None:
        for number in range(size):
            await four[number % 4].put(number)

    async def consume() -> None:
        got = 0
        gets = {asyncio.ensure_future(queue.get()): queue for queue in four}
        while got < size:
            done, _ = await asyncio.wait(gets, return_when="FIRST_COMPLETED")
            for task in done:
                got += 1
                queue = gets.pop(task)
                gets[asyncio.ensure_future(queue.get())] = queue
        for task in gets:
            task.cancel()

    start = clock()
    await asyncio.gather(produce(), consume())
    return {"time": (clock() - start) / size}


def _culsans(measure: Any) -> tuple[Contender, ...]:
    if find_spec("culsans") is None:
        return ()
    return (Contender("culsans.Queue", "peer", measure, 5, "threads may share it, too"),)


CASES = (
    Case(
        "channel_burst",
        "channel",
        f"send_nowait of {BURST:,} items into a channel with room, and recv_nowait of each",
        200_000,
        (
            Contender("channel", "remuda", through_channel),
            Contender("empty loop", "loop", empty_loop),
            Contender("deque", "floor", through_deque),
            *_culsans(through_culsans),
            Contender("asyncio.Queue", "asyncio", through_asyncio, 5),
        ),
        metrics=(Metric("enqueue", title="enqueue"), Metric("dequeue", title="dequeue")),
        bars=tuple(
            bar
            for metric in ("enqueue", "dequeue")
            for bar in (Bar(50, metric), Bar(1.5, metric, against="deque"))
        ),
        quick=100_000,
    ),
    Case(
        "channel_stream",
        "channel, 1 to 1",
        "one agent sends to another through a channel of 100, per item",
        200_000,
        (
            Contender("channel", "remuda", stream),
            *_culsans(stream_culsans),
            Contender("asyncio: task + queue", "asyncio", stream_asyncio, 5),
        ),
    ),
    Case(
        "channel_meet",
        "channel, rendezvous",
        "the same with capacity 0, where both meet for each item; asyncio's queue holds 1",
        50_000,
        (
            Contender("channel", "remuda", meet),
            Contender("asyncio: task + queue", "asyncio", meet_asyncio, 5),
        ),
    ),
    Case(
        "select",
        "select of four",
        "one agent selects from four channels of 25 that another fills in turn, per item",
        50_000,
        (
            Contender("select", "remuda", selecting),
            Contender("asyncio.wait", "asyncio", selecting_asyncio, 5, "a task for each get"),
        ),
    ),
)
