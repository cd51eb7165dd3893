"""What the size of a message costs: nothing, because it is not copied."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from importlib.util import find_spec
from time import perf_counter_ns as clock
from typing import Any

from benchmarks import floors
from benchmarks.agents import BURST, drained, expect, idle
from benchmarks.harness import Case, Contender, Figures
from benchmarks.sharing.checks import send_all
from remuda import AgentRef, Runtime, freeze, iso, val

__all__ = ["CASES"]


async def _sends(size: int, messages: Iterator[Any]) -> Figures:
    burst, total = min(BURST, size), 0
    async with Runtime(workers=1) as runtime:
        target: AgentRef[Any] = runtime.spawn(idle)
        for _ in range(size // burst):
            total += send_all(target, [next(messages) for _ in range(burst)])
            await drained(target)
        expect(size // burst * burst, target.statistics().received, "messages")
    return {"time": total / (size // burst * burst)}


def _again(message: Any) -> Iterator[Any]:
    while True:
        yield message


def _isos(content: Any) -> Iterator[Any]:
    while True:
        yield iso(content)


HUGE = 100_000_000


async def send_small(size: int) -> Figures:
    return await _sends(size, _again(bytes(10)))


async def send_huge(size: int) -> Figures:
    return await _sends(size, _again(bytes(HUGE)))


async def send_small_iso(size: int) -> Figures:
    return await _sends(size, _isos(bytearray(10)))


async def send_huge_iso(size: int) -> Figures:
    return await _sends(size, _isos(bytearray(HUGE)))


async def send_small_array(size: int) -> Figures:
    return await _sends(size, _again(_array(10)))


async def send_huge_array(size: int) -> Figures:
    return await _sends(size, _again(_array(HUGE)))


def _array(size: int) -> Any:
    """A handle of an array that was looked at once; how long that took is not measured."""
    import numpy as np

    return val(freeze(np.zeros(size, np.uint8)))


def _arrays() -> tuple[Contender, ...]:
    if find_spec("numpy") is None:
        return ()
    return (
        Contender("val of an array, 100 MB", "variant", send_huge_array),
        Contender("val of an array, 10 B", "floor", send_small_array),
    )


def pickle_huge(size: int) -> Figures:
    """What it takes to bring it to another process and back into memory, but for the way."""
    message = bytes(HUGE)
    start = clock()
    for _ in range(size):
        pickle.loads(pickle.dumps(message, protocol=5))
    return {"time": (clock() - start) / size}


CASES = (
    Case(
        "zero_copy",
        "send of 100 MB",
        "100,000,000 bytes and 10 bytes: as bytes, as the bytearray of an iso, and as an array of numpy",
        100_000,
        (
            Contender("bytes, 100 MB", "remuda", send_huge),
            Contender("bytes, 10 B", "floor", send_small),
            Contender("iso, 100 MB", "variant", send_huge_iso),
            Contender("iso, 10 B", "floor", send_small_iso),
            *_arrays(),
            Contender("empty loop", "loop", floors.empty_loop),
            Contender("pickle, 100 MB", "asyncio", pickle_huge, 50_000),
        ),
        quick=20_000,
    ),
)
