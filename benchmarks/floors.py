"""Floors: the least that Python itself takes for a part of what an agent does.

None of them is a peer: a floor has no scheduler, no bound, no waiting, no cancellation.
"""

# ruff: noqa: SIM105 - a context manager would cost more than what it surrounds

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Generator
from itertools import repeat
from queue import SimpleQueue
from time import perf_counter_ns as clock
from types import coroutine
from typing import Any, cast

from benchmarks.harness import Figures
from benchmarks.memory import peak, resident
from benchmarks.timers import delays

BURST = 500
"""Messages that are put before they are taken again, as in the benchmarks of sending."""


@coroutine
def suspend() -> Generator[None, int, int]:
    """Waits for what `coroutine.send` is given."""
    return (yield)


class Forever:
    """Whoever awaits this suspends at each `send(None)`, and no bytecode runs for it."""

    def __await__(self) -> Generator[None, Any, None]:
        return cast("Generator[None, Any, None]", repeat(None))


async def parked() -> None:
    await suspend()


async def endless() -> None:
    await Forever()


async def nothing() -> None:
    pass


def empty_loop(size: int) -> Figures:
    """The loop of the benchmarks of sending, in bursts like theirs: half of these ints exist already."""
    burst = min(BURST, size)
    total = 0
    for _ in range(size // burst):
        start = clock()
        for _number in range(burst):
            pass
        total += clock() - start
    return {"time": total / (size // burst * burst)}


def deque_append(size: int) -> Figures:
    burst = min(BURST, size)
    box: deque[int] = deque()
    total = 0
    for _ in range(size // burst):
        start = clock()
        for number in range(burst):
            box.append(number)
        total += clock() - start
        box.clear()
    return {"time": total / (size // burst * burst)}


def simple_queue_put(size: int) -> Figures:
    burst = min(BURST, size)
    box: SimpleQueue[int] = SimpleQueue()
    total = 0
    for _ in range(size // burst):
        start = clock()
        for number in range(burst):
            box.put(number)
        total += clock() - start
        for _ in range(burst):
            box.get()
    return {"time": total / (size // burst * burst)}


def deque_through(size: int) -> Figures:
    """Each message is put and taken, a thousand at a time."""
    box: deque[int] = deque()
    burst = min(1000, size)
    start = clock()
    for _ in range(size // burst):
        for number in range(burst):
            box.append(number)
        for _ in range(burst):
            box.popleft()
    return {"time": (clock() - start) / (size // burst * burst)}


def simple_queue_through(size: int) -> Figures:
    """Each message is put and taken, a thousand at a time."""
    box: SimpleQueue[int] = SimpleQueue()
    burst = min(1000, size)
    start = clock()
    for _ in range(size // burst):
        for number in range(burst):
            box.put(number)
        for _ in range(burst):
            box.get()
    return {"time": (clock() - start) / (size // burst * burst)}


def coroutine_start(size: int) -> Figures:
    """Coroutines are made, and kept."""
    start = clock()
    kept = [parked() for _ in range(size)]
    end = clock()
    for one in kept:
        one.close()
    return {"time": (end - start) / size}


def coroutine_whole(size: int) -> Figures:
    """Coroutines are made, and run to their end."""
    start = clock()
    kept = [nothing() for _ in range(size)]
    for one in kept:
        try:
            one.send(None)
        except StopIteration:
            pass
    return {"time": (clock() - start) / size}


def coroutine_send(size: int) -> Figures:
    """A suspended coroutine is resumed, and suspends again."""
    one = endless()
    one.send(None)
    start = clock()
    for _ in range(size):
        one.send(None)
    end = clock()
    one.close()
    return {"time": (end - start) / size}


def coroutine_send_twice(size: int) -> Figures:
    """Two suspended coroutines are resumed in turn."""
    one, other = endless(), endless()
    one.send(None)
    other.send(None)
    start = clock()
    for _ in range(size):
        one.send(None)
        other.send(None)
    end = clock()
    one.close()
    other.close()
    return {"time": (end - start) / size}


async def create_task(size: int) -> Figures:
    """Tasks are made without a queue, and kept."""
    create = asyncio.create_task
    start = clock()
    kept = [create(nothing()) for _ in range(size)]
    end = clock()
    await kept[-1]
    return {"time": (end - start) / size}


async def queue_put_get(size: int) -> Figures:
    """Each message is put into an `asyncio.Queue` and taken by the same task: nobody waits."""
    queue: asyncio.Queue[int] = asyncio.Queue(1000)
    start = clock()
    for number in range(size):
        await queue.put(number)
        await queue.get()
    return {"time": (clock() - start) / size}


def memory_of_coroutines(size: int) -> Figures:
    """Coroutines that are suspended."""

    def some(count: int) -> list[object]:
        kept: list[object] = []
        for _ in range(count):
            one = parked()
            one.send(None)
            kept.append(one)
        return kept

    warm = some(2000)
    gc.collect()
    before = resident()
    kept = some(size)
    gc.collect()
    after = resident()
    del warm, kept
    return {"memory": max(after - before, 1) / size}


def memory_of_objects(size: int) -> Figures:
    """Objects of a class without attributes."""

    class Thing:
        pass

    warm = [Thing() for _ in range(2000)]
    gc.collect()
    before = resident()
    kept = [Thing() for _ in range(size)]
    gc.collect()
    after = resident()
    del warm, kept
    return {"memory": max(after - before, 1) / size}


def million(size: int) -> Figures:
    """Coroutines are made and suspended; each is resumed with a message and ends."""
    start = clock()
    kept = [parked() for _ in range(size)]
    for one in kept:
        one.send(None)
    for number, one in enumerate(kept):
        try:
            one.send(number)
        except StopIteration:
            pass
    return {"time": (clock() - start) / 1e9, "peak": peak() / 1e9}


async def idle_loop(size: int) -> Figures:
    """Timers of a loop that has nothing else to do."""
    return await delays(size)
