"""The subject: what a user writes with Remuda, measured where the user pays for it.

Unless a benchmark is about something else, mailboxes have their default bound, messages are sent with
`await agent.send`, and received with `async for` or `await mailbox.recv()`. Messages are ints. What arrives is counted
or compared, so that a message that is lost is no gain.
"""

# ruff: noqa: ASYNC110 - an event would be one more thing to pay for; turns of the loop are what is waited for

from __future__ import annotations

import asyncio
import gc
from time import perf_counter_ns as clock
from typing import Any

import remuda
from benchmarks.harness import Figures
from benchmarks.memory import peak, resident
from benchmarks.timers import delays
from remuda import AgentRef, Mailbox, Request, Runtime, signal, unchecked

BURST = 500
"""Messages that are sent before the receiver gets its turn: a mailbox of default size has room for them."""
PRODUCERS = CONSUMERS = 100
RING = 1000


def expect(wanted: int, got: int, what: str) -> None:
    """Raises if not all have arrived."""
    if wanted != got:
        raise AssertionError(f"expected {wanted} {what}, got {got}")


async def idle(mailbox: Mailbox[int]) -> None:
    async for _ in mailbox:
        pass


async def once(mailbox: Mailbox[int]) -> int:
    return await mailbox.recv()


async def nothing(_: Mailbox[int]) -> None:
    pass


class Idle:
    """The cheapest kind of agent."""

    def receive(self, message: int) -> None:
        pass


class Echo:
    def receive(self, message: int) -> int:
        return message


async def settle(runtime: Runtime, count: int) -> None:
    """Lets new agents come to their first wait, and sees that they are all there."""
    while any(agent.state == "scheduled" for agent in runtime.agents()):
        await asyncio.sleep(0)
    expect(count, runtime.statistics().agents, "agents")


# Agents


async def spawn(size: int) -> Figures:
    async with Runtime() as runtime:
        start = clock()
        agents = [runtime.spawn(idle) for _ in range(size)]
        time = clock() - start
        await settle(runtime, len(agents))
    return {"time": time / size}


async def spawn_current(size: int) -> Figures:
    """`remuda.spawn`, which looks for the current runtime."""
    async with Runtime() as runtime:
        start = clock()
        agents = [remuda.spawn(idle) for _ in range(size)]
        time = clock() - start
        await settle(runtime, len(agents))
    return {"time": time / size}


async def spawn_class(size: int) -> Figures:
    """A class with a plain `def receive`."""
    async with Runtime() as runtime:
        start = clock()
        agents = [runtime.spawn(Idle) for _ in range(size)]
        time = clock() - start
        await settle(runtime, len(agents))
    return {"time": time / size}


async def spawn_run_end(size: int) -> Figures:
    async with Runtime() as runtime:
        start = clock()
        agents = [runtime.spawn(nothing) for _ in range(size)]
        while runtime.statistics().agents:
            await asyncio.sleep(0)
        time = clock() - start
        expect(size, sum(agent.done() for agent in agents), "agents that have ended")
    return {"time": time / size}


async def memory(size: int) -> Figures:
    async with Runtime() as runtime:
        warm = [runtime.spawn(idle) for _ in range(2000)]
        await settle(runtime, 2000)
        gc.collect()
        before = resident()
        agents = [runtime.spawn(idle) for _ in range(size)]
        while agents[-1].state == "scheduled":
            await asyncio.sleep(0)
        gc.collect()
        after = resident()
        await settle(runtime, len(warm) + len(agents))
    return {"memory": max(after - before, 1) / size}


async def memory_class(size: int) -> Figures:
    async with Runtime() as runtime:
        warm = [runtime.spawn(Idle) for _ in range(2000)]
        await settle(runtime, 2000)
        gc.collect()
        before = resident()
        agents = [runtime.spawn(Idle) for _ in range(size)]
        while agents[-1].state == "scheduled":
            await asyncio.sleep(0)
        gc.collect()
        after = resident()
        await settle(runtime, len(warm) + len(agents))
    return {"memory": max(after - before, 1) / size}


async def million(size: int) -> Figures:
    async with Runtime() as runtime:
        start = clock()
        agents = [runtime.spawn(once) for _ in range(size)]
        await asyncio.sleep(0)
        for number, agent in enumerate(agents):
            await agent.send(number)
        total = 0
        for agent in agents:
            total += await agent
        time = clock() - start
        expect(size * (size - 1) // 2, total, "as the sum of all messages")
        most = peak()
    return {"time": time / 1e9, "peak": most / 1e9}


# Sending


async def drained(agent: AgentRef[int]) -> None:
    while agent.depth:
        await asyncio.sleep(0)


async def send_bursts(
    _mailbox: Mailbox[int], target: AgentRef[int], rounds: int, burst: int
) -> int:
    total = 0
    for _ in range(rounds):
        start = clock()
        for number in range(burst):
            await target.send(number)
        total += clock() - start
        await drained(target)
    return total


async def send_nowait_bursts(
    _mailbox: Mailbox[int], target: AgentRef[int], rounds: int, burst: int
) -> int:
    total = 0
    for _ in range(rounds):
        start = clock()
        for number in range(burst):
            target.send_nowait(number)
        total += clock() - start
        await drained(target)
    return total


async def signal_bursts(
    _mailbox: Mailbox[int], target: AgentRef[int], rounds: int, burst: int
) -> int:
    total = 0
    for _ in range(rounds):
        start = clock()
        for number in range(burst):
            signal(target, number)
        total += clock() - start
        await drained(target)
    return total


async def send(size: int) -> Figures:
    burst = min(BURST, size)
    async with Runtime() as runtime:
        target = runtime.spawn(idle)
        sender = runtime.spawn(send_bursts, target, size // burst, burst)
        total: int = await sender
        expect(size // burst * burst, target.statistics().received, "messages")
    return {"time": total / (size // burst * burst)}


async def send_from_task(size: int) -> Figures:
    """The sender is an asyncio task."""
    burst, total = min(BURST, size), 0
    async with Runtime() as runtime:
        target = runtime.spawn(idle)
        await settle(runtime, 1)
        for _ in range(size // burst):
            start = clock()
            for number in range(burst):
                await target.send(number)
            total += clock() - start
            await drained(target)
        expect(size // burst * burst, target.statistics().received, "messages")
    return {"time": total / (size // burst * burst)}


async def send_nowait(size: int) -> Figures:
    burst = min(BURST, size)
    async with Runtime() as runtime:
        target = runtime.spawn(idle)
        sender = runtime.spawn(send_nowait_bursts, target, size // burst, burst)
        total: int = await sender
        expect(size // burst * burst, target.statistics().received, "messages")
    return {"time": total / (size // burst * burst)}


async def send_signal(size: int) -> Figures:
    burst = min(BURST, size)
    async with Runtime() as runtime:
        target = runtime.spawn(idle)
        sender = runtime.spawn(signal_bursts, target, size // burst, burst)
        total: int = await sender
        expect(size // burst * burst, target.statistics().received, "messages")
    return {"time": total / (size // burst * burst)}


async def wake_all(_mailbox: Mailbox[int], targets: tuple[AgentRef[int], ...], rounds: int) -> int:
    total = 0
    for number in range(rounds):
        start = clock()
        for target in targets:
            target.send_nowait(number)
        total += clock() - start
        for target in targets:
            await drained(target)
    return total


async def wake(size: int) -> Figures:
    """One message to each of a thousand agents that wait."""
    count = min(RING, size)
    async with Runtime() as runtime:
        targets = [runtime.spawn(idle) for _ in range(count)]
        await settle(runtime, count)
        total: int = await runtime.spawn(wake_all, tuple(targets), size // count)
        received = sum(target.statistics().received for target in targets)
        expect(size // count * count, received, "messages")
    return {"time": total / (size // count * count)}


# Messages, end to end


async def consume(mailbox: Mailbox[int], count: int) -> int:
    async for _ in mailbox:
        count -= 1
        if not count:
            break
    return clock()


async def produce(_mailbox: Mailbox[int], target: AgentRef[int], count: int) -> None:
    for number in range(count):
        await target.send(number)


async def stream(size: int) -> Figures:
    async with Runtime() as runtime:
        start = clock()
        consumer = runtime.spawn(consume, size)
        producer = runtime.spawn(produce, consumer, size)
        ended: int = await consumer
        await producer
    return {"time": (ended - start) / size}


async def fan_in(size: int) -> Figures:
    each = max(1, size // PRODUCERS)
    async with Runtime() as runtime:
        start = clock()
        consumer = runtime.spawn(consume, each * PRODUCERS)
        producers = [runtime.spawn(produce, consumer, each) for _ in range(PRODUCERS)]
        ended: int = await consumer
        for producer in producers:
            await producer
    return {"time": (ended - start) / (each * PRODUCERS)}


async def distribute(
    _mailbox: Mailbox[int], targets: tuple[AgentRef[int], ...], count: int
) -> None:
    for number in range(count):
        for target in targets:
            await target.send(number)


async def fan_out(size: int) -> Figures:
    each = max(1, size // CONSUMERS)
    async with Runtime() as runtime:
        start = clock()
        consumers = [runtime.spawn(consume, each) for _ in range(CONSUMERS)]
        producer = runtime.spawn(distribute, tuple(consumers), each)
        ended: list[int] = [await consumer for consumer in consumers]
        await producer
    return {"time": (max(ended) - start) / (each * CONSUMERS)}


async def pong(mailbox: Mailbox[int], back: AgentRef[int]) -> None:
    async for number in mailbox:
        await back.send(number)


async def ping(mailbox: Mailbox[int], size: int) -> int:
    other = remuda.spawn(pong, mailbox.me)
    await asyncio.sleep(0)
    start = clock()
    for number in range(size):
        await other.send(number)
        await mailbox.recv()
    return clock() - start


async def ping_pong(size: int) -> Figures:
    async with Runtime() as runtime:
        time: int = await runtime.spawn(ping, size)
    return {"time": time / size}


async def pong_nowait(mailbox: Mailbox[int], back: AgentRef[int]) -> None:
    async for number in mailbox:
        back.send_nowait(number)


async def ping_nowait(mailbox: Mailbox[int], size: int) -> int:
    other = remuda.spawn(pong_nowait, mailbox.me)
    await asyncio.sleep(0)
    start = clock()
    for number in range(size):
        other.send_nowait(number)
        await mailbox.recv()
    return clock() - start


async def ping_pong_nowait(size: int) -> Figures:
    """With `send_nowait`."""
    async with Runtime() as runtime:
        time: int = await runtime.spawn(ping_nowait, size)
    return {"time": time / size}


async def node(
    mailbox: Mailbox[int],
    nodes: list[AgentRef[int]],
    index: int,
    ended: asyncio.Future[int],
) -> None:
    async for hops in mailbox:
        if hops:
            await nodes[index].send(hops - 1)
        else:
            ended.set_result(clock())


async def ring(size: int) -> Figures:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with Runtime() as runtime:
        nodes: list[AgentRef[int]] = []
        for index in range(RING):
            nodes.append(
                runtime.spawn(node, unchecked(nodes), (index + 1) % RING, unchecked(ended))
            )
        await settle(runtime, RING)
        start = clock()
        await nodes[0].send(size)
        time = await ended - start
    return {"time": time / size}


async def serve(mailbox: Mailbox[Request[int, int]]) -> None:
    async for request in mailbox:
        request.reply(request.message)


async def ask_many(_mailbox: Mailbox[int], server: AgentRef[Any], size: int) -> int:
    start = clock()
    for number in range(size):
        if await server.ask(number) != number:
            raise AssertionError("expected the answer to what was asked")
    return clock() - start


async def ask(size: int) -> Figures:
    async with Runtime() as runtime:
        server = runtime.spawn(serve)
        time: int = await runtime.spawn(ask_many, server, size)
    return {"time": time / size}


async def ask_class(size: int) -> Figures:
    """The server is a class with a plain `def receive`."""
    async with Runtime() as runtime:
        server = runtime.spawn(Echo)
        time: int = await runtime.spawn(ask_many, server, size)
    return {"time": time / size}


# The event loop


async def chatter(mailbox: Mailbox[int], other: list[AgentRef[int]]) -> None:
    async for number in mailbox:
        await other[0].send(number)


async def flood(_mailbox: Mailbox[int], target: AgentRef[int]) -> None:
    while True:
        await target.send(1)


async def latency(size: int) -> Figures:
    """Timers beside a hundred pairs that play ping-pong, and a stream that never ends."""
    async with Runtime() as runtime:
        agents: list[AgentRef[int]] = []
        for _ in range(PRODUCERS):
            other: list[AgentRef[int]] = []
            one = runtime.spawn(chatter, unchecked(other))
            other.append(runtime.spawn(chatter, unchecked([one])))
            agents += [one, *other]
            await one.send(1)
        sink = runtime.spawn(idle)
        agents += [runtime.spawn(flood, sink), sink]
        await asyncio.sleep(0)
        figures = await delays(size)
        for agent in agents:
            agent.kill()
    return figures
