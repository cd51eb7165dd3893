"""A process that is forked while a runtime runs: in the child, everything says so, and nothing hangs."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import collect, in_runtime

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # From 3.12 on Python warns of a fork among threads, which is what this is about.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def tell(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def use(agent: remuda.AgentRef[Any], runtime: remuda.Runtime) -> list[str]:
    """What a child is told that uses its parent's agents."""
    told = []

    async def wait() -> object:
        return await agent

    async def stop() -> object:
        return await runtime.stop()

    for action in (
        lambda: runtime.spawn(collect, []),
        lambda: agent.send_nowait(1),
        lambda: agent.send(1),
        lambda: agent.ask(1),
        wait,
        stop,
    ):
        try:
            result: Any = action()
            if result is not None:
                result = await asyncio.wait_for(result, 5)
            told.append(f"{result}")
        except (remuda.RemudaError, TimeoutError) as error:
            told.append(tell(error))
    return told


def in_child(pipe: Any, agent: remuda.AgentRef[Any], runtime: remuda.Runtime) -> None:
    # The parent's loop counts as running here, too: a child that wants one of its own has to leave it.
    asyncio._set_running_loop(None)
    pipe.send(asyncio.run(use(agent, runtime)))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("inside", ["block", "agent"])
def test_in_the_child_of_a_fork_everything_says_so(workers: int, inside: str) -> None:
    """Spawning, sending, asking and awaiting raise in the child; the parent goes on."""

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        log: list[Any] = []
        agent = runtime.spawn(collect, unchecked(log))
        here, there = multiprocessing.get_context("fork").Pipe(duplex=False)

        def fork() -> list[str]:
            child = multiprocessing.get_context("fork").Process(
                target=in_child, args=(there, agent, runtime)
            )
            child.start()
            assert here.poll(20), "the child hangs"
            told: list[str] = here.recv()
            child.join(20)
            assert child.exitcode == 0
            return told

        async def forks(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[list[str]]:
            return remuda.iso(fork())

        told = fork() if inside == "block" else await runtime.spawn(forks)
        assert told[0].startswith("RuntimeStopped: expected a runtime of this process")
        for text in told[1:4]:
            assert text.startswith("MailboxClosed")
            assert "forked" in text
        assert told[4].startswith("RuntimeStopped")
        assert told[5].startswith("StopReport") or told[5].startswith("RuntimeStopped")
        await agent.send("still here")
        await agent.stop()
        assert log == ["still here"]

    test()


@in_runtime(workers=2)
async def test_a_child_that_exits_ends_cleanly(runtime: remuda.Runtime) -> None:
    """A forked child that leaves by `sys.exit` waits for no thread of its parent's."""
    agent = runtime.spawn(collect, unchecked([]))
    await agent.send(1)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(len(runtime.agents()))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
