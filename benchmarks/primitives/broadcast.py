"""What a broadcast costs for each recipient: all at once, by gossip and along a tree.

Recipients are idle agents with `receive`, the cheapest kind; the peer's are tasks that wait for their queue. What is
measured is telling, which wakes them; that they have heard is counted after the clock was read.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from time import perf_counter_ns as clock
from typing import Any

import remuda
from benchmarks.agents import expect
from benchmarks.harness import Bar, Case, Contender, Figures
from remuda import AgentRef, BroadcastReport, Runtime

__all__ = ["CASES"]

GROUP = 1_000
LARGE = 10_000
LINKS = 4
"""Links that each member adds to the graph of the tree."""


class Hears:
    """A recipient that counts what it gets."""

    def __init__(self) -> None:
        self.heard = 0

    def receive(self, message: int) -> None:
        self.heard += 1


Tell = Callable[[list[AgentRef[int]]], Coroutine[Any, Any, object]]


async def _measured(size: int, group: int, tell: Tell) -> Figures:
    """Tells a group as often as makes `size` messages."""
    turns = max(1, size // group)
    async with Runtime(workers=1) as runtime:
        hearers = [Hears() for _ in range(group)]
        agents: list[AgentRef[int]] = [runtime.spawn(hears) for hears in hearers]
        await _heard(runtime, hearers, 0)
        took = 0
        for turn in range(1, turns + 1):
            began = clock()
            await tell(agents)
            took += clock() - began
            await _heard(runtime, hearers, turn * group)
    return {"time": took / (turns * group)}


async def _heard(runtime: Runtime, hearers: list[Hears], wanted: int) -> None:
    await runtime._next_quiet(now=True)
    expect(wanted, sum(hears.heard for hears in hearers), "messages heard")


def _all(group: int, report: BroadcastReport) -> None:
    expect(group, report.reached, "members reached")


# All at once


async def _broadcast(agents: list[AgentRef[int]]) -> None:
    _all(len(agents), await remuda.broadcast(agents, 1))


async def _ordered(agents: list[AgentRef[int]]) -> None:
    _all(len(agents), await remuda.broadcast(agents, 1, ordered=True))


async def _loop(agents: list[AgentRef[int]]) -> None:
    for agent in agents:
        agent.send_nowait(1)


async def _loop_of_awaits(agents: list[AgentRef[int]]) -> None:
    for agent in agents:
        await agent.send(1)


async def at_once(size: int) -> Figures:
    return await _measured(size, GROUP, _broadcast)


async def at_once_ordered(size: int) -> Figures:
    return await _measured(size, GROUP, _ordered)


async def loop_of_sends(size: int) -> Figures:
    return await _measured(size, GROUP, _loop)


async def loop_of_awaited_sends(size: int) -> Figures:
    return await _measured(size, GROUP, _loop_of_awaits)


async def queues(size: int) -> Figures:
    """What a program of asyncio's writes: a queue for each task, and `put_nowait` to all."""
    turns = max(1, size // GROUP)
    heard = 0

    async def hear(queue: asyncio.Queue[int]) -> None:
        nonlocal heard
        while True:
            await queue.get()
            heard += 1

    group: list[asyncio.Queue[int]] = [asyncio.Queue(1000) for _ in range(GROUP)]
    tasks = [asyncio.create_task(hear(queue)) for queue in group]
    await asyncio.sleep(0)
    took = 0
    for turn in range(1, turns + 1):
        began = clock()
        for queue in group:
            queue.put_nowait(1)
        took += clock() - began
        for _ in range(3):
            await asyncio.sleep(0)
        expect(turn * GROUP, heard, "messages heard")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return {"time": took / (turns * GROUP)}


# By gossip


def _gossip(fanout: int) -> Tell:
    async def tell(agents: list[AgentRef[int]]) -> None:
        _all(len(agents), await remuda.broadcast(agents, 1, fanout=fanout, seed=1))

    return tell


async def gossip_3(size: int) -> Figures:
    return await _measured(size, GROUP, _gossip(3))


async def gossip_8(size: int) -> Figures:
    return await _measured(size, GROUP, _gossip(8))


async def gossip_large_3(size: int) -> Figures:
    return await _measured(size, LARGE, _gossip(3))


async def gossip_large_8(size: int) -> Figures:
    return await _measured(size, LARGE, _gossip(8))


async def loop_large(size: int) -> Figures:
    return await _measured(size, LARGE, _loop)


# Along a tree


class _Tree:
    """Floods a graph the first time, and uses the tree of that afterwards."""

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.edges: dict[AgentRef[Any], list[AgentRef[Any]]] = {}
        self.last: BroadcastReport | None = None

    async def tell(self, agents: list[AgentRef[int]]) -> None:
        if not self.edges:
            chance = random.Random(1)
            for place, agent in enumerate(agents):
                others = chance.sample(range(len(agents) - 1), LINKS)
                self.edges[agent] = [agents[other + (other >= place)] for other in others]
        tree = self.last.tree if self.keep and self.last is not None else None
        self.last = await remuda.broadcast(agents, 1, edges=self.edges, tree=tree)
        _all(len(agents), self.last)


async def tree_kept(size: int) -> Figures:
    return await _measured(size, GROUP, _Tree(keep=True).tell)


async def tree_flood(size: int) -> Figures:
    return await _measured(size, GROUP, _Tree(keep=False).tell)


_LOOP = Contender("send_nowait to each", "floor", loop_of_sends)

CASES = (
    Case(
        "broadcast",
        "broadcast, at once",
        "one message to 1,000 idle agents, for each of them",
        200_000,
        (
            Contender("broadcast", "remuda", at_once),
            Contender("ordered=True", "variant", at_once_ordered),
            _LOOP,
            Contender("await send to each", "variant", loop_of_awaited_sends),
            Contender("asyncio.Queue", "asyncio", queues, note="put_nowait to each"),
            Contender("asyncio.Queue, uvloop", "uvloop", queues, note="put_nowait to each"),
        ),
        bars=(Bar(100, text="<= 100 ns for each of 1,000"),),
    ),
    Case(
        "gossip",
        "broadcast, gossip to 1,000",
        "one message to 1,000 idle agents by gossip, for each of them",
        40_000,
        (
            Contender("fanout 3", "remuda", gossip_3),
            Contender("fanout 8", "variant", gossip_8),
            _LOOP,
        ),
        quick=4_000,
    ),
    Case(
        "gossip_large",
        "broadcast, gossip to 10,000",
        "one message to 10,000 idle agents by gossip, for each of them",
        100_000,
        (
            Contender("fanout 3", "remuda", gossip_large_3),
            Contender("fanout 8", "variant", gossip_large_8),
            Contender("send_nowait to each", "floor", loop_large),
        ),
        quick=20_000,
    ),
    Case(
        "tree",
        "broadcast, along a tree",
        "one message to 1,000 idle agents with 8 links each on average, for each of them",
        40_000,
        (
            Contender("tree kept", "remuda", tree_kept),
            Contender("flood each time", "variant", tree_flood),
            _LOOP,
        ),
        quick=4_000,
    ),
)
