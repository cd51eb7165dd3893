"""What a promise costs, and waking those who wait for it."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.harness import Bar, Case, Contender, Figures
from remuda import Future, Mailbox, Resolver, Runtime, await_future

__all__ = ["CASES"]


async def ready(size: int) -> Figures:
    """Made, resolved and awaited, by an agent."""

    async def agent(mailbox: Mailbox[None]) -> float:
        start = clock()
        for number in range(size):
            resolver: Resolver[int]
            resolver, future = await_future()
            resolver.set_result(number)
            await future
        return (clock() - start) / size

    async with Runtime(workers=1) as runtime:
        return {"time": await runtime.spawn(agent)}


async def ready_asyncio(size: int) -> Figures:
    """The same with a future of asyncio's."""
    loop = asyncio.get_running_loop()
    start = clock()
    for number in range(size):
        future = loop.create_future()
        future.set_result(number)
        await future
    return {"time": (clock() - start) / size}


async def hand_over(size: int) -> Figures:
    """One agent waits for each promise that another resolves."""

    async def waits(mailbox: Mailbox[Any], futures: tuple[Future[int], ...]) -> None:
        for future in futures:
            await future

    async def resolves(mailbox: Mailbox[Any], resolvers: tuple[Resolver[int], ...]) -> None:
        for resolver in resolvers:
            resolver.set_result(1)
            await turn(mailbox)

    async def turn(mailbox: Mailbox[Any]) -> None:
        mailbox.me.send_nowait(None)
        await mailbox.recv()

    both: list[tuple[Resolver[int], Future[int]]] = [await_future() for _ in range(size)]
    async with Runtime(workers=1) as runtime:
        start = clock()
        waiting = runtime.spawn(waits, tuple([future for _, future in both]))
        runtime.spawn(resolves, tuple([resolver for resolver, _ in both]))
        await waiting
        return {"time": (clock() - start) / size}


async def hand_over_asyncio(size: int) -> Figures:
    """The same with tasks and futures of asyncio's."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(size)]

    async def waits() -> None:
        for future in futures:
            await future

    async def resolves() -> None:
        for future in futures:
            future.set_result(1)
            await asyncio.sleep(0)

    start = clock()
    await asyncio.gather(waits(), resolves())
    return {"time": (clock() - start) / size}


CASES = (
    Case(
        "future",
        "await_future",
        "a promise is made, resolved and awaited",
        100_000,
        (
            Contender("await_future", "remuda", ready),
            Contender("asyncio.Future", "asyncio", ready_asyncio, note="one event loop"),
        ),
        bars=(Bar(300),),
    ),
    Case(
        "future_hand_over",
        "await_future, woken",
        "one agent resolves, the other waits, in turns, per promise",
        50_000,
        (
            Contender("await_future", "remuda", hand_over),
            Contender("asyncio.Future", "asyncio", hand_over_asyncio),
        ),
    ),
)
