"""How late the event loop's timers fire."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns as clock

from benchmarks.harness import Figures

__all__ = ["delays"]

INTERVAL = 0.002
"""Seconds that each timer is set to."""


async def delays(count: int) -> Figures:
    """Sets one timer after the other, and looks how late each is.

    Args:
        count: How many.

    Returns:
        In ms: `p50`, `p99` and `max` of the delay until the timer's callback runs, and `sleep_p99` of the delay until
        the task that waits for it goes on, which is what a user of `asyncio.sleep` sees.
    """
    loop = asyncio.get_running_loop()
    late: list[int] = []
    slept: list[int] = []
    fired: asyncio.Future[int]

    def fire() -> None:
        fired.set_result(clock())

    for _ in range(count):
        fired = loop.create_future()
        due = clock() + round(INTERVAL * 1e9)
        loop.call_later(INTERVAL, fire)
        late.append(await fired - due)
        slept.append(clock() - due)
    late.sort()
    slept.sort()
    # A timer may be early by the resolution of the loop's clock; that is not less than no delay.
    return {
        "p50": max(late[count // 2], 1) / 1e6,
        "p99": max(late[count * 99 // 100], 1) / 1e6,
        "max": max(late[-1], 1) / 1e6,
        "sleep_p99": max(slept[count * 99 // 100], 1) / 1e6,
    }
