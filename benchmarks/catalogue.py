"""Which contenders are compared in which benchmark, and what the subject's figures are held against."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from benchmarks import agents, floors, tasks
from benchmarks.harness import Bar, Case, Contender, Measure, Metric

__all__ = ["CASES", "STREAM_BAR"]

STREAM_BAR = 8 if sys.version_info < (3, 12) else 6
"""Million messages a second. From 3.12 on, what an awaitable returns without suspending travels in a StopIteration."""


def _subject(measure: Measure, label: str = "Remuda") -> Contender:
    return Contender(label, "remuda", measure)


def _variant(measure: Measure, label: str) -> Contender:
    return Contender(label, "variant", measure)


def _floor(measure: Measure, label: str, share: int = 1) -> Contender:
    return Contender(label, "floor", measure, share)


def _peers(
    measure: Measure, share: int = 1, label: str = "task + queue", note: str = ""
) -> tuple[Contender, ...]:
    """asyncio, and uvloop where it is installed; the latter only where the loop itself matters."""
    found = (Contender(f"asyncio: {label}", "asyncio", measure, share, note),)
    if find_spec("uvloop") is None:
        return found
    return (*found, Contender(f"uvloop: {label}", "uvloop", measure, share, note))


def _millions(least: float, what: str = "msg/s") -> tuple[Bar, ...]:
    return (Bar(1000 / least, text=f">= {least:g} M {what}"),)


_LOOP = Contender("empty loop", "loop", floors.empty_loop)
_APPEND = _floor(floors.deque_append, "deque.append")
_PUT = _floor(floors.simple_queue_put, "SimpleQueue.put")
_THROUGH = (
    _floor(floors.deque_through, "deque, in and out"),
    _floor(floors.simple_queue_through, "SimpleQueue, in and out"),
    _floor(floors.queue_put_get, "asyncio.Queue, nobody waits", 5),
)
_ONE_RESUME = _floor(floors.coroutine_send, "coroutine.send")
_TWO_RESUMES = _floor(floors.coroutine_send_twice, "2 x coroutine.send")
_SPAWNS = (
    _subject(agents.spawn, "Remuda: runtime.spawn"),
    _variant(agents.spawn_current, "remuda.spawn"),
    _variant(agents.spawn_class, "class, plain def"),
    _floor(floors.coroutine_start, "coroutine made"),
    _floor(floors.create_task, "create_task alone"),
    *_peers(tasks.spawn)[:1],
)
_QUICK_WAYS = (Bar(60), Bar(2, against=_APPEND.label))


CASES = (
    Case(
        "spawn",
        "spawn, GC off",
        "call of runtime.spawn(f), where f waits for a message; all agents are kept",
        100_000,
        _SPAWNS,
        bars=(Bar(250),),
        gc=False,
    ),
    Case(
        "spawn_gc",
        "spawn, GC on",
        "the same with the garbage collector on",
        100_000,
        _SPAWNS,
        bars=(Bar(450),),
    ),
    Case(
        "spawn_cold",
        "spawn, first ones",
        "the same with the garbage collector on, in a new process: no memory is there to be used again",
        100_000,
        (
            _SPAWNS[0],
            _SPAWNS[3],
            *_peers(tasks.spawn)[:1],
        ),
        fresh=True,
    ),
    Case(
        "spawn_run_end",
        "spawn, run, end",
        "from the first spawn until all agents have run to their end, per agent",
        100_000,
        (
            _subject(agents.spawn_run_end),
            _floor(floors.coroutine_whole, "coroutine, whole life"),
            *_peers(tasks.spawn_run_end),
        ),
        bars=(Bar(800),),
    ),
    Case(
        "send",
        "await agent.send(x)",
        f"{agents.BURST} at a time into a mailbox with room, from an agent; the first one wakes the receiver",
        500_000,
        (
            _subject(agents.send),
            _variant(agents.send_from_task, "from an asyncio task"),
            _LOOP,
            _APPEND,
            _PUT,
            *_peers(tasks.send, 5, "await queue.put")[:1],
        ),
        bars=(Bar(120),),
        quick=200_000,
    ),
    Case(
        "send_nowait",
        "agent.send_nowait(x)",
        f"{agents.BURST} at a time into a mailbox with room, from an agent; the first one wakes the receiver",
        500_000,
        (
            _subject(agents.send_nowait),
            _LOOP,
            _APPEND,
            _PUT,
            *_peers(tasks.send_nowait, 5, "queue.put_nowait")[:1],
        ),
        bars=_QUICK_WAYS,
        quick=200_000,
    ),
    Case(
        "signal",
        "signal(agent, x)",
        "the same as a function",
        500_000,
        (
            _subject(agents.send_signal),
            _LOOP,
            _APPEND,
            _PUT,
            *_peers(tasks.send_nowait, 5, "queue.put_nowait")[:1],
        ),
        bars=_QUICK_WAYS,
        quick=200_000,
    ),
    Case(
        "wake",
        "send_nowait, each wakes",
        f"one message to each of {agents.RING:,} agents that wait: every call schedules one",
        200_000,
        (
            _subject(agents.wake),
            _LOOP,
            _APPEND,
            *_peers(tasks.wake, 5, "queue.put_nowait")[:1],
        ),
    ),
    Case(
        "stream",
        "stream, 1 to 1",
        "one producer agent to one consumer agent, mailbox of default size, from spawn to the last message",
        1_000_000,
        (_subject(agents.stream), *_THROUGH, *_peers(tasks.stream, 5)),
        bars=_millions(STREAM_BAR),
        rate=True,
    ),
    Case(
        "fan_in",
        "fan-in, 100 to 1",
        "a hundred producer agents to one consumer agent, mailbox of default size",
        1_000_000,
        (_subject(agents.fan_in), *_THROUGH[:1], *_peers(tasks.fan_in, 5)),
        bars=_millions(6),
        rate=True,
    ),
    Case(
        "fan_out",
        "fan-out, 1 to 100",
        "one producer agent to a hundred consumer agents in turn",
        1_000_000,
        (_subject(agents.fan_out), *_THROUGH[:1], *_peers(tasks.fan_out, 5)),
        bars=_millions(6),
        rate=True,
    ),
    Case(
        "ping_pong",
        "ping-pong",
        "round trip between two agents, with await agent.send",
        200_000,
        (
            _subject(agents.ping_pong),
            _variant(agents.ping_pong_nowait, "with send_nowait"),
            _TWO_RESUMES,
            *_peers(tasks.ping_pong, 10),
        ),
        bars=(Bar(350),),
    ),
    Case(
        "ring",
        "ring, a hop",
        f"a token goes round a ring of {agents.RING:,} agents, per hop",
        500_000,
        (_subject(agents.ring), _ONE_RESUME, *_peers(tasks.ring, 10)),
        bars=(Bar(180),),
    ),
    Case(
        "ask",
        "ask",
        "request and reply, round trip between two agents",
        100_000,
        (
            _subject(agents.ask),
            _variant(agents.ask_class, "of a class, plain def"),
            _TWO_RESUMES,
            *_peers(tasks.ask, 5, "queue + future"),
        ),
        bars=(Bar(800),),
    ),
    Case(
        "memory",
        "memory, async def",
        "resident bytes per agent that waits for its first message",
        100_000,
        (
            _subject(agents.memory),
            _floor(floors.memory_of_coroutines, "suspended coroutine"),
            *_peers(tasks.memory)[:1],
        ),
        metrics=(Metric("memory", "B"),),
        bars=(Bar(1024, "memory"),),
        fresh=True,
        quick=20_000,
    ),
    Case(
        "memory_class",
        "memory, plain def",
        "resident bytes per agent that is a class with a plain def receive",
        100_000,
        (
            _subject(agents.memory_class),
            _floor(floors.memory_of_objects, "object of a class"),
            *_peers(tasks.memory)[:1],
        ),
        metrics=(Metric("memory", "B"),),
        bars=(Bar(400, "memory"),),
        fresh=True,
        quick=20_000,
    ),
    Case(
        "million",
        "a million",
        "agents are spawned, each gets one message and ends, and the result of each is awaited",
        1_000_000,
        (
            _subject(agents.million),
            _floor(floors.million, "bare coroutines"),
            *_peers(tasks.million, note="a tenth of them, times 10")[:1],
        ),
        metrics=(Metric("time", "s", "time"), Metric("peak", "GB", "peak")),
        bars=(Bar(2, "time", "< 2 s"), Bar(1.5, "peak", "< 1.5 GB")),
        fresh=True,
        whole=True,
    ),
    Case(
        "latency",
        "timer delay",
        "delay of a timer of the event loop while a hundred pairs of agents and a stream are never idle",
        500,
        (
            _subject(agents.latency),
            _floor(floors.idle_loop, "idle loop"),
            *_peers(tasks.latency)[:1],
        ),
        metrics=(
            Metric("p50", "ms", "p50"),
            Metric("p99", "ms", "p99"),
            Metric("max", "ms", "max"),
            Metric("sleep_p99", "ms", "p99 of asyncio.sleep"),
        ),
        bars=(Bar(2, "p99"), Bar(2, "sleep_p99")),
        quick=100,
    ),
)
"""All benchmarks, in the order of their tables. The first floor of each is the one that the summary shows."""
