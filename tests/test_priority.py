"""Priorities: who goes first, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, in_runtime, settle


async def note(mailbox: remuda.Mailbox[Any], log: Log, name: str) -> None:
    log.append(name)


@in_runtime(workers=1)
async def test_the_higher_runs_first(runtime: remuda.Runtime) -> None:
    """Agents that are to run at the same time run in the order of their priorities."""
    log: Log = []
    agents = [
        runtime.spawn(note, unchecked(log), level, priority=level)
        for level in ("low", "normal", "high")
    ]
    for agent in agents:
        await agent
    assert log == ["high", "normal", "low"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flood_starves_nobody(workers: int) -> None:
    """Agents that never let go of the processor at high priority leave normal and low ones their share."""

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        over = False
        turns = 0

        async def flood(mailbox: remuda.Mailbox[Any]) -> None:
            nonlocal turns
            me = mailbox.me
            me.send_nowait(None)
            async for _ in mailbox:
                turns += 1
                if over:
                    return
                me.send_nowait(None)

        floods = [runtime.spawn(flood, priority="high") for _ in range(20)]
        normal = runtime.spawn(note, unchecked([]), "normal")
        low = runtime.spawn(note, unchecked([]), "low", priority="low")
        await asyncio.wait_for(normal, 20)
        await asyncio.wait_for(low, 20)
        over = True
        for agent in floods:
            await agent
        assert turns > 0

    test()


@in_runtime(workers=1)
async def test_control_goes_before_everything(runtime: remuda.Runtime) -> None:
    """An agent that is killed while others of high priority are waiting ends before they run."""
    log: Log = []

    async def victim(mailbox: remuda.Mailbox[Any]) -> None:
        try:
            await mailbox.recv()
        finally:
            log.append("killed")

    agent = runtime.spawn(victim, priority="low")
    await settle(runtime)
    others = [runtime.spawn(note, unchecked(log), "other", priority="high") for _ in range(3)]
    agent.kill()
    for other in others:
        await other
    assert log == ["killed", "other", "other", "other"]


@pytest.mark.parametrize("priority", ["control", "HIGH", ""])
def test_an_unknown_priority_is_refused(priority: Any) -> None:
    """There are three priorities for users; control is the runtime's own."""

    @in_runtime
    async def test(runtime: remuda.Runtime) -> None:
        with pytest.raises(ValueError, match="'low', 'normal' or 'high'"):
            runtime.spawn(note, [], "x", priority=priority)

    test()
