"""What several workers cost and buy, for `benchmarks.scheduler`: each function measures one way to do one thing.

Work that lets go of the GIL is a hash of a large block; work that doesn't is a loop in Python. What comes back is
counted, so that what is lost is no gain.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Coroutine
from time import perf_counter_ns as clock
from typing import Any

import remuda
from benchmarks.agents import expect, nothing
from benchmarks.harness import Figures
from benchmarks.timers import delays
from remuda import AgentRef, Mailbox, Runtime, Scheduling

BLOCK = bytes(256 * 1024)
"""What a unit of work hashes: about half a millisecond, without the GIL."""
FAN = 100
TIMEOUT = 60

Measure = Callable[[int], Coroutine[Any, Any, Figures]]


def per(began: int, size: int) -> Figures:
    return {"time": (clock() - began) / size}


def spin() -> int:
    """Work in Python that takes about as long as the hash of a block."""
    total = 0
    for number in range(8000):
        total += number
    return total


async def on_each_worker(
    runtime: Runtime, workers: int, behaviour: Callable[..., Any], *args: Any
) -> list[AgentRef[Any]]:
    """An agent on each worker, bound to it."""
    barrier = threading.Barrier(workers)

    async def settle(mailbox: Mailbox[None]) -> AgentRef[Any]:
        barrier.wait(TIMEOUT)
        return runtime.spawn(behaviour, *args, pinned=True)

    return [await agent for agent in [runtime.spawn(settle) for _ in range(workers)]]


# What a worker does for itself


async def _spawn_local(size: int, workers: int) -> Figures:
    async def parent(mailbox: Mailbox[None]) -> int:
        began = clock()
        agents = [remuda.spawn(nothing) for _ in range(size)]
        took = clock() - began
        for agent in agents:
            await agent
        return took

    async with Runtime(workers=workers) as runtime:
        return {"time": await runtime.spawn(parent) / size}


async def spawn_local_1(size: int) -> Figures:
    return await _spawn_local(size, 1)


async def spawn_local_2(size: int) -> Figures:
    return await _spawn_local(size, 2)


async def spawn_remote(size: int) -> Figures:
    """From a thread of one's own, into one worker."""
    async with Runtime(workers=1) as runtime:

        def spawn() -> int:
            began = clock()
            agents = [runtime.spawn(nothing) for _ in range(size)]
            took = clock() - began
            expect(size, len(agents), "agents")
            return took

        return {"time": await asyncio.to_thread(spawn) / size}


async def _yields(size: int, workers: int) -> Figures:
    async def turn(mailbox: Mailbox[None], turns: int) -> None:
        for _ in range(turns):
            mailbox.me.send_nowait(None)
            await mailbox.recv()
            await mailbox.me.send(None)
            await mailbox.recv()

    async with Runtime(workers=workers) as runtime:
        began = clock()
        for agent in [runtime.spawn(turn, size // 10) for _ in range(10)]:
            await agent
        return per(began, size)


async def yields_1(size: int) -> Figures:
    return await _yields(size, 1)


async def yields_2(size: int) -> Figures:
    return await _yields(size, 2)


async def _chain(size: int, workers: int) -> Figures:
    async def link(mailbox: Mailbox[None], left: int, end: AgentRef[None]) -> None:
        if left:
            remuda.spawn(link, left - 1, end)
        else:
            end.send_nowait(None)

    async def last(mailbox: Mailbox[None]) -> None:
        await mailbox.recv()

    async with Runtime(workers=workers) as runtime:
        began = clock()
        end = runtime.spawn(last)
        runtime.spawn(link, size, end)
        await end
        return per(began, size)


async def chain_1(size: int) -> Figures:
    return await _chain(size, 1)


async def chain_2(size: int) -> Figures:
    return await _chain(size, 2)


# Between workers


async def bounce(mailbox: Mailbox[Any], rounds: int) -> None:
    other, serves = await mailbox.recv()
    for _ in range(rounds):
        if serves:
            other.send_nowait(None)
        await mailbox.recv()
        if not serves:
            other.send_nowait(None)


async def _ping_pong(size: int, workers: int) -> Figures:
    async with Runtime(workers=workers) as runtime:
        if workers == 1:
            left, right = (runtime.spawn(bounce, size) for _ in range(2))
        else:
            left, right = await on_each_worker(runtime, workers, bounce, size)
        began = clock()
        right.send_nowait((left, False))
        left.send_nowait((right, True))
        await left
        took = per(began, size)
        await right
        return took


async def ping_pong_1(size: int) -> Figures:
    return await _ping_pong(size, 1)


async def ping_pong_across(size: int) -> Figures:
    return await _ping_pong(size, 2)


async def _fan_out(size: int, workers: int) -> Figures:
    async def receive(mailbox: Mailbox[None], count: int) -> None:
        for _ in range(count):
            await mailbox.recv()

    async def send(mailbox: Mailbox[None], to: tuple[AgentRef[Any], ...], rounds: int) -> None:
        for _ in range(rounds):
            for agent in to:
                await agent.send(None)

    async with Runtime(workers=workers) as runtime:
        rounds = max(1, size // FAN)
        agents = [runtime.spawn(receive, rounds) for _ in range(FAN)]
        began = clock()
        runtime.spawn(send, tuple(agents), rounds)
        for agent in agents:
            await agent
        return per(began, rounds * FAN)


async def fan_out_1(size: int) -> Figures:
    return await _fan_out(size, 1)


async def fan_out_2(size: int) -> Figures:
    return await _fan_out(size, 2)


# Uneven load


def hash_units(units: int) -> None:
    for _ in range(units):
        hashlib.sha256(BLOCK)


async def _uneven(
    size: int, workers: int, scheduling: Scheduling, *, split: bool = False
) -> Figures:
    """One producer starts bursts of agents, of which every eighth has eight times the work of the others."""

    async def work(mailbox: Mailbox[None], units: int) -> None:
        hash_units(units)

    async def produce(mailbox: Mailbox[None], mine: range) -> int:
        agents = []
        for number in mine:
            agents.append(remuda.spawn(work, 8 if number % 8 == 0 else 1, pinned=split))
            if len(agents) % 16 == 0:
                await agents[-1]
        for agent in agents:
            await agent
        return len(agents)

    async with Runtime(workers=workers, scheduling=scheduling) as runtime:
        began = clock()
        if split:
            # Each worker is given its share beforehand: by blocks, as who splits a list does it.
            shares = [range(place, size, workers) for place in range(workers)]
            queue = iter(shares)

            async def own(mailbox: Mailbox[None]) -> int:
                return await produce(mailbox, next(queue))

            producers = await on_each_worker(runtime, workers, own)
        else:
            producers = [runtime.spawn(produce, range(size))]
        expect(size, sum([await producer for producer in producers]), "agents")
        return per(began, size)


async def uneven_steal(size: int) -> Figures:
    return await _uneven(size, 2, Scheduling())


async def uneven_no_steal(size: int) -> Figures:
    return await _uneven(size, 2, Scheduling(steal=False))


async def uneven_split(size: int) -> Figures:
    return await _uneven(size, 2, Scheduling(), split=True)


async def uneven_one(size: int) -> Figures:
    return await _uneven(size, 1, Scheduling())


# Scaling


async def _scale(size: int, workers: int, work: Callable[[], object]) -> Figures:
    async def run(mailbox: Mailbox[None]) -> None:
        work()

    async with Runtime(workers=workers) as runtime:
        began = clock()
        for agent in [runtime.spawn(run) for _ in range(size)]:
            await agent
        return per(began, size)


def one_block() -> None:
    hash_units(1)


async def hashes_1(size: int) -> Figures:
    return await _scale(size, 1, one_block)


async def hashes_2(size: int) -> Figures:
    return await _scale(size, 2, one_block)


async def hashes_4(size: int) -> Figures:
    return await _scale(size, 4, one_block)


async def loops_1(size: int) -> Figures:
    return await _scale(size, 1, spin)


async def loops_2(size: int) -> Figures:
    return await _scale(size, 2, spin)


async def loops_4(size: int) -> Figures:
    return await _scale(size, 4, spin)


def hashes_in_threads(size: int) -> Figures:
    """The floor: as many threads as cores, and nothing else."""
    left = iter(range(size))
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            one_block()

    threads = [threading.Thread(target=run) for _ in range(2)]
    began = clock()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return per(began, size)


# What idle workers cost, and how late timers are


async def _idle(size: int, workers: int) -> Figures:
    async with Runtime(workers=workers):
        before = time.process_time()
        await asyncio.sleep(size / 1000)
        return {"time": (time.process_time() - before) * 1e9 / size}


async def idle_1(size: int) -> Figures:
    return await _idle(size, 1)


async def idle_8(size: int) -> Figures:
    return await _idle(size, 8)


async def idle_loop(size: int) -> Figures:
    before = time.process_time()
    await asyncio.sleep(size / 1000)
    return {"time": (time.process_time() - before) * 1e9 / size}


async def _latency(size: int, workers: int) -> Figures:
    """How late a timer of the home loop is while agents keep all workers busy with short runs."""

    async def busy(mailbox: Mailbox[None]) -> None:
        me = mailbox.me
        me.send_nowait(None)
        async for _ in mailbox:
            me.send_nowait(None)

    async with Runtime(workers=workers) as runtime:
        agents = [runtime.spawn(busy) for _ in range(4 * workers)]
        late = await delays(size)
        for agent in agents:
            agent.kill()
    return {"time": late["p99"] * 1e6}


async def latency_1(size: int) -> Figures:
    return await _latency(size, 1)


async def latency_2(size: int) -> Figures:
    return await _latency(size, 2)


# Heuristics: each with and without


async def _ring(size: int, scheduling: Scheduling) -> Figures:
    """Tokens go round among agents of two workers."""

    async def node(mailbox: Mailbox[Any]) -> None:
        following = await mailbox.recv()
        async for left in mailbox:
            if left == 0:
                done.set()
                return
            following.send_nowait(left - 1)

    done = threading.Event()
    async with Runtime(workers=2, scheduling=scheduling) as runtime:
        agents = [runtime.spawn(node) for _ in range(50)]
        for place, agent in enumerate(agents):
            agent.send_nowait(agents[(place + 1) % len(agents)])
        began = clock()
        agents[0].send_nowait(size)
        await asyncio.to_thread(done.wait, TIMEOUT)
        took = per(began, size)
        for agent in agents:
            agent.kill()
    return took


async def ring_lifo(size: int) -> Figures:
    return await _ring(size, Scheduling())


async def ring_no_lifo(size: int) -> Figures:
    return await _ring(size, Scheduling(lifo=False))


async def _from_outside(size: int, scheduling: Scheduling) -> Figures:
    """A thread sends to agents of two workers, which are busy among themselves too."""

    async def count(mailbox: Mailbox[None], wanted: int) -> None:
        for _ in range(wanted):
            await mailbox.recv()

    async with Runtime(workers=2, scheduling=scheduling) as runtime:
        rounds = max(1, size // 20)
        agents = [runtime.spawn(count, rounds, mailbox=rounds) for _ in range(20)]

        def send() -> None:
            for _ in range(rounds):
                for agent in agents:
                    agent.send_nowait(None)

        began = clock()
        await asyncio.to_thread(send)
        for agent in agents:
            await agent
        return per(began, rounds * 20)


async def outside_tuned(size: int) -> Figures:
    return await _from_outside(size, Scheduling())


async def outside_interval_1(size: int) -> Figures:
    return await _from_outside(size, Scheduling(interval=1))


async def outside_interval_61(size: int) -> Figures:
    return await _from_outside(size, Scheduling(interval=61))


async def outside_no_batch(size: int) -> Figures:
    return await _from_outside(size, Scheduling(batch=False))


async def _scramble(size: int, scheduling: Scheduling) -> Figures:
    """Bursts of short work for four workers, which all look for something to steal."""

    async def work(mailbox: Mailbox[None]) -> None:
        hashlib.sha256(BLOCK[:8192])

    async def burst(mailbox: Mailbox[None]) -> None:
        for agent in [remuda.spawn(work) for _ in range(8)]:
            await agent

    async with Runtime(workers=4, scheduling=scheduling) as runtime:
        began = clock()
        for _ in range(max(1, size // 8)):
            await runtime.spawn(burst)
        return per(began, size)


async def scramble_throttle(size: int) -> Figures:
    return await _scramble(size, Scheduling())


async def scramble_no_throttle(size: int) -> Figures:
    return await _scramble(size, Scheduling(throttle=False))
