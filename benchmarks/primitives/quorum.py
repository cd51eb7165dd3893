"""What it costs to have five agents agree, beside asking them all and counting."""

from __future__ import annotations

import asyncio
from collections import Counter
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.harness import Bar, Case, Contender, Figures
from remuda import Agent, AgentRef, Mailbox, Request, Runtime, quorum

__all__ = ["CASES"]

MEMBERS = 5


class Voter(Agent[int]):
    def receive(self, message: int) -> int:
        return message


async def voter(mailbox: Mailbox[Request[int, int]]) -> None:
    async for request in mailbox:
        request.reply(request.message)


async def _measure(behaviour: Any, size: int, ask: Any) -> Figures:
    async def asker(mailbox: Mailbox[None], members: tuple[AgentRef[Any], ...]) -> float:
        start = clock()
        for number in range(size):
            await ask(members, number)
        return (clock() - start) / size

    async with Runtime(workers=1) as runtime:
        members = tuple([runtime.spawn(behaviour) for _ in range(MEMBERS)])
        return {"time": await runtime.spawn(asker, members)}


async def _majority(members: tuple[AgentRef[Any], ...], number: int) -> None:
    await quorum(members, "majority", number, timeout=10)


async def _count(members: tuple[AgentRef[Any], ...], number: int) -> None:
    votes = Counter(await asyncio.gather(*[member.ask(number) for member in members]))
    assert votes[number] > MEMBERS // 2


async def classes(size: int) -> Figures:
    return await _measure(Voter, size, _majority)


async def functions(size: int) -> Figures:
    return await _measure(voter, size, _majority)


async def gathered(size: int) -> Figures:
    return await _measure(Voter, size, _count)


async def tasks(size: int) -> Figures:
    """Five tasks with queues, which answer by futures of asyncio's."""
    loop = asyncio.get_running_loop()
    queues: list[asyncio.Queue[tuple[int, asyncio.Future[int]]]] = [
        asyncio.Queue() for _ in range(MEMBERS)
    ]

    async def serve(queue: asyncio.Queue[tuple[int, asyncio.Future[int]]]) -> None:
        while True:
            message, answer = await queue.get()
            if not answer.done():
                answer.set_result(message)

    serving = [asyncio.ensure_future(serve(queue)) for queue in queues]
    start = clock()
    for number in range(size):
        async with asyncio.timeout(10):
            answers = [loop.create_future() for _ in queues]
            for queue, answer in zip(queues, answers, strict=True):
                queue.put_nowait((number, answer))
            votes = 0
            for each in asyncio.as_completed(answers):
                votes += await each == number
                if votes > MEMBERS // 2:
                    break
    time = (clock() - start) / size
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    return {"time": time}


CASES = (
    Case(
        "quorum",
        "quorum of five",
        "an agent asks five others and goes on when three agree",
        5_000,
        (
            Contender("plain def", "remuda", classes),
            Contender("async def", "variant", functions),
            Contender("gather of asks", "peer", gathered, note="waits for all, without time-out"),
            Contender("asyncio: tasks + queues", "asyncio", tasks),
        ),
        bars=(Bar(50_000, text="<= 50 µs"),),
        quick=1_000,
    ),
)
