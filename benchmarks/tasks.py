"""The peer: an agent as one writes it in plain asyncio, a task with a queue.

Each function does what its namesake in `agents` does, and checks the same.
"""

# ruff: noqa: ASYNC110 - an event would be one more thing to pay for; turns of the loop are what is waited for

from __future__ import annotations

import asyncio
import gc
from asyncio import Queue, Task, create_task
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.harness import Figures
from benchmarks.memory import peak, resident
from benchmarks.timers import delays

BURST = 500
BOUND = 1000
PRODUCERS = CONSUMERS = 100
RING = 1000


async def idle(queue: Queue[int]) -> None:
    while True:
        await queue.get()


async def once(queue: Queue[int]) -> int:
    return await queue.get()


async def nothing(_: Queue[int]) -> None:
    pass


async def end(*tasks: Task[Any]) -> None:
    """Cancels tasks and waits for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def spawn(size: int) -> Figures:
    def one() -> tuple[Queue[int], Task[None]]:
        queue: Queue[int] = Queue(BOUND)
        return queue, create_task(idle(queue))

    start = clock()
    agents = [one() for _ in range(size)]
    time = clock() - start
    await asyncio.sleep(0)
    await end(*[task for _, task in agents])
    return {"time": time / size}


async def spawn_run_end(size: int) -> Figures:
    def one() -> tuple[Queue[int], Task[None]]:
        queue: Queue[int] = Queue(BOUND)
        return queue, create_task(nothing(queue))

    start = clock()
    agents = [one() for _ in range(size)]
    while not agents[-1][1].done():
        await asyncio.sleep(0)
    time = clock() - start
    if not all(task.done() for _, task in agents):
        raise AssertionError("expected all tasks to have ended when the last one has")
    return {"time": time / size}


async def send(size: int) -> Figures:
    queue: Queue[int] = Queue(BOUND)
    consumer = create_task(idle(queue))
    await asyncio.sleep(0)
    burst, total = min(BURST, size), 0
    for _ in range(size // burst):
        start = clock()
        for number in range(burst):
            await queue.put(number)
        total += clock() - start
        while queue.qsize():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    await end(consumer)
    return {"time": total / (size // burst * burst)}


async def send_nowait(size: int) -> Figures:
    queue: Queue[int] = Queue(BOUND)
    consumer = create_task(idle(queue))
    await asyncio.sleep(0)
    burst, total = min(BURST, size), 0
    for _ in range(size // burst):
        start = clock()
        for number in range(burst):
            queue.put_nowait(number)
        total += clock() - start
        while queue.qsize():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    await end(consumer)
    return {"time": total / (size // burst * burst)}


async def wake(size: int) -> Figures:
    count = min(RING, size)
    queues: list[Queue[int]] = [Queue(BOUND) for _ in range(count)]
    consumers = [create_task(idle(queue)) for queue in queues]
    await asyncio.sleep(0)
    total = 0
    for number in range(size // count):
        start = clock()
        for queue in queues:
            queue.put_nowait(number)
        total += clock() - start
        while queues[-1].qsize():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    await end(*consumers)
    return {"time": total / (size // count * count)}


async def consume(queue: Queue[int], count: int) -> int:
    for _ in range(count):
        await queue.get()
    return clock()


async def produce(queue: Queue[int], count: int) -> None:
    for number in range(count):
        await queue.put(number)


async def stream(size: int) -> Figures:
    queue: Queue[int] = Queue(BOUND)
    start = clock()
    consumer = create_task(consume(queue, size))
    producer = create_task(produce(queue, size))
    ended = await consumer
    await producer
    return {"time": (ended - start) / size}


async def fan_in(size: int) -> Figures:
    each = max(1, size // PRODUCERS)
    queue: Queue[int] = Queue(BOUND)
    start = clock()
    consumer = create_task(consume(queue, each * PRODUCERS))
    producers = [create_task(produce(queue, each)) for _ in range(PRODUCERS)]
    ended = await consumer
    await asyncio.gather(*producers)
    return {"time": (ended - start) / (each * PRODUCERS)}


async def distribute(queues: list[Queue[int]], count: int) -> None:
    for number in range(count):
        for queue in queues:
            await queue.put(number)


async def fan_out(size: int) -> Figures:
    each = max(1, size // CONSUMERS)
    queues: list[Queue[int]] = [Queue(BOUND) for _ in range(CONSUMERS)]
    start = clock()
    consumers = [create_task(consume(queue, each)) for queue in queues]
    producer = create_task(distribute(queues, each))
    ended = [await consumer for consumer in consumers]
    await producer
    return {"time": (max(ended) - start) / (each * CONSUMERS)}


async def pong(queue: Queue[int], back: Queue[int]) -> None:
    while True:
        await back.put(await queue.get())


async def ping(queue: Queue[int], other: Queue[int], size: int) -> int:
    start = clock()
    for number in range(size):
        await other.put(number)
        await queue.get()
    return clock() - start


async def ping_pong(size: int) -> Figures:
    one: Queue[int] = Queue(BOUND)
    other: Queue[int] = Queue(BOUND)
    ponger = create_task(pong(other, one))
    await asyncio.sleep(0)
    time = await create_task(ping(one, other, size))
    await end(ponger)
    return {"time": time / size}


async def node(queue: Queue[int], following: Queue[int], ended: asyncio.Future[int]) -> None:
    while True:
        hops = await queue.get()
        if hops:
            await following.put(hops - 1)
        else:
            ended.set_result(clock())


async def ring(size: int) -> Figures:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    queues: list[Queue[int]] = [Queue(BOUND) for _ in range(RING)]
    nodes = [
        create_task(node(queue, queues[(index + 1) % RING], ended))
        for index, queue in enumerate(queues)
    ]
    await asyncio.sleep(0)
    start = clock()
    await queues[0].put(size)
    time = await ended - start
    await end(*nodes)
    return {"time": time / size}


async def serve(queue: Queue[tuple[int, asyncio.Future[int]]]) -> None:
    while True:
        message, answer = await queue.get()
        answer.set_result(message)


async def ask_many(queue: Queue[tuple[int, asyncio.Future[int]]], size: int) -> int:
    loop = asyncio.get_running_loop()
    start = clock()
    for number in range(size):
        answer: asyncio.Future[int] = loop.create_future()
        await queue.put((number, answer))
        if await answer != number:
            raise AssertionError("expected the answer to what was asked")
    return clock() - start


async def ask(size: int) -> Figures:
    queue: Queue[tuple[int, asyncio.Future[int]]] = Queue(BOUND)
    server = create_task(serve(queue))
    await asyncio.sleep(0)
    time = await create_task(ask_many(queue, size))
    await end(server)
    return {"time": time / size}


async def memory(size: int) -> Figures:
    def some(count: int) -> list[tuple[Queue[int], Task[None]]]:
        agents = []
        for _ in range(count):
            queue: Queue[int] = Queue(BOUND)
            agents.append((queue, create_task(idle(queue))))
        return agents

    warm = some(2000)
    await asyncio.sleep(0)
    gc.collect()
    before = resident()
    agents = some(size)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    after = resident()
    await end(*[task for _, task in warm + agents])
    return {"memory": max(after - before, 1) / size}


async def million(size: int) -> Figures:
    """A tenth of them, times ten."""
    count = max(1, size // 10)
    before = peak()
    start = clock()
    agents = []
    for _ in range(count):
        queue: Queue[int] = Queue(BOUND)
        agents.append((queue, create_task(once(queue))))
    await asyncio.sleep(0)
    for number, (queue, _) in enumerate(agents):
        await queue.put(number)
    for number, (_, task) in enumerate(agents):
        if await task != number:
            raise AssertionError("expected each task to return its message")
    time = clock() - start
    return {
        "time": time * size / count / 1e9,
        "peak": (before + (peak() - before) * size / count) / 1e9,
    }


async def chatter(queue: Queue[int], other: Queue[int]) -> None:
    while True:
        await other.put(await queue.get())


async def flood(queue: Queue[int]) -> None:
    while True:
        await queue.put(1)


async def latency(size: int) -> Figures:
    tasks: list[Task[None]] = []
    for _ in range(PRODUCERS):
        one: Queue[int] = Queue(BOUND)
        other: Queue[int] = Queue(BOUND)
        tasks += [create_task(chatter(one, other)), create_task(chatter(other, one))]
        await one.put(1)
    drain: Queue[int] = Queue(BOUND)
    tasks += [create_task(flood(drain)), create_task(idle(drain))]
    await asyncio.sleep(0)
    figures = await delays(size)
    await end(*tasks)
    return figures
