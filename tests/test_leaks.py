"""Nothing is kept of agents and messages that are gone.

`REMUDA_LEAK_SCALE` shortens these tests (0.01) or lengthens them (10); at 1 they make a million agents and ten million
messages.
"""

import asyncio
import contextlib
import gc
import logging
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import answer_after, in_runtime, settle

SCALE = float(os.environ.get("REMUDA_LEAK_SCALE", "1"))
MIB = 1 << 20


def resident() -> int:
    """Bytes of memory that the process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def rounds(work: Callable[[], Awaitable[None]], count: int) -> list[int]:
    """Does the work again and again; returns the resident memory after each round but the first three."""
    found = []
    # What lived before is not looked at in each round: after a thousand other tests that takes most of the time.
    gc.collect()
    gc.freeze()
    try:
        for number in range(count + 3):
            await work()
            gc.collect()
            if number >= 3:
                found.append(resident())
    finally:
        gc.unfreeze()
    return found


async def once(mailbox: remuda.Mailbox[int]) -> int:
    return await mailbox.recv()


async def drain(mailbox: remuda.Mailbox[Any]) -> int:
    count = 0
    async for _ in mailbox:
        count += 1
    return count


@in_runtime
async def test_a_million_agents_leave_nothing(runtime: remuda.Runtime) -> None:
    """A million agents are spawned, get a message, end and are forgotten, at constant memory."""
    each = 10_000

    async def work() -> None:
        agents = [runtime.spawn(once) for _ in range(each)]
        for agent in agents:
            agent.send_nowait(1)
        for agent in agents:
            assert await agent == 1

    found = await rounds(work, max(10, int(SCALE * 1_000_000 / each)))
    assert found[-1] - found[0] < 4 * MIB, found
    assert runtime.statistics().agents == 0


@in_runtime
async def test_ten_million_messages_leave_nothing(runtime: remuda.Runtime) -> None:
    """Ten million messages go through one mailbox at constant memory."""
    each = 100_000
    agent = runtime.spawn(drain)

    async def producer(mailbox: remuda.Mailbox[int]) -> None:
        for number in range(each):
            await agent.send(number)

    async def work() -> None:
        await runtime.spawn(producer)

    found = await rounds(work, max(10, int(SCALE * 10_000_000 / each)))
    assert found[-1] - found[0] < 4 * MIB, found
    assert agent.statistics().received == runtime.statistics().messages


class Asked:
    def receive(self, message: Any) -> Any:
        return message


async def asks(runtime: remuda.Runtime) -> None:
    agent = runtime.spawn(Asked)
    for number in range(20):
        assert await agent.ask(number) == number


async def timeouts(runtime: remuda.Runtime) -> None:
    agent = runtime.spawn(answer_after, unchecked(asyncio.Event()), mailbox=2, pinned=True)
    for _ in range(4):  # two of them wait for room
        with pytest.raises(remuda.AskTimeout):
            await agent.ask(1, timeout=0)
    agent.kill()


async def kills(runtime: remuda.Runtime) -> None:
    agents = [runtime.spawn(drain) for _ in range(5)]
    await settle(runtime, 1)
    for agent in agents:
        agent.send_nowait(unchecked([]))
        agent.kill()
    await asyncio.gather(*agents, return_exceptions=True)


async def cancellations(runtime: remuda.Runtime) -> None:
    agents = [runtime.spawn(drain) for _ in range(5)]
    await settle(runtime, 1)
    for agent in agents:
        agent.cancel("enough")
    await asyncio.gather(*agents, return_exceptions=True)


async def failures(runtime: remuda.Runtime) -> None:
    async def fails(mailbox: remuda.Mailbox[Any]) -> None:
        local = [mailbox]
        local.append(local)  # type: ignore[arg-type]  # a circle through the frame
        raise ValueError(local)

    await asyncio.gather(*[runtime.spawn(fails) for _ in range(3)], return_exceptions=True)


async def waits_for_room(runtime: remuda.Runtime) -> None:
    agent = runtime.spawn(drain, mailbox=2)
    for number in range(20):
        await agent.send(unchecked([number]))
    waiting = [asyncio.ensure_future(agent.send(unchecked([number]))) for number in range(10)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def sleeps(runtime: remuda.Runtime) -> None:
    async def sleeper(mailbox: remuda.Mailbox[Any]) -> None:
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await asyncio.to_thread(int)

    await runtime.spawn(sleeper, pinned=True)  # every other loop would begin threads of its own


async def circles(runtime: remuda.Runtime) -> None:
    first, second = runtime.spawn(once), runtime.spawn(once)
    second.send_nowait(first)  # type: ignore[call-overload]  # whatever
    first.send_nowait(second)  # type: ignore[call-overload]  # whatever
    with contextlib.suppress(remuda.MailboxClosed):  # another worker has run it already
        first.send_nowait(second)  # type: ignore[call-overload]  # whatever
    await settle(runtime, 1)


@pytest.mark.parametrize(
    "work",
    [asks, timeouts, kills, cancellations, failures, waits_for_room, sleeps, circles],
)
def test_every_end_leaves_nothing(
    work: Callable[[remuda.Runtime], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Python objects do not pile up, however agents, asks and waits end."""
    caplog.set_level(logging.CRITICAL, "remuda")  # pytest keeps what is logged

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            runtime._recent = type(runtime._recent)(maxlen=1)  # what is kept on purpose

            async def measure(count: int) -> int:
                for _ in range(count):
                    await work(runtime)
                await settle(runtime)
                gc.collect()
                return len(gc.get_objects())

            await measure(20)
            before = await measure(5)
            after = await measure(100)
            assert after - before < 40, f"{after - before} objects more after 100 rounds"

    asyncio.run(main())


@in_runtime
async def test_native_memory_is_given_back(runtime: remuda.Runtime) -> None:
    """A mailbox that was full once does not keep its ring, and blocks of Python's allocator don't grow."""
    agents = [runtime.spawn(drain, mailbox=10_000) for _ in range(20)]

    async def work() -> None:
        for agent in agents:
            for number in range(10_000):
                agent.send_nowait(number)
        await settle(runtime)

    await work()
    tracemalloc.start()
    try:
        await work()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            await work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MIB / 4
