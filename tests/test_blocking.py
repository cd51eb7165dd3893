"""Code that blocks inside an agent: others go on, on a bounded number of threads, and the worker comes back."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from typing import Any

import pytest

import remuda
from remuda import iso, testing, unchecked
from tests.support import Log, collect, in_runtime, settle

TIMEOUT = 20


async def meet(mailbox: remuda.Mailbox[Any], barrier: threading.Barrier) -> str:
    """An agent that blocks until others have come to the same place."""
    with remuda.blocking():
        barrier.wait(TIMEOUT)
    return threading.current_thread().name


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("agents", [2, 9])
def test_nothing_stalls_when_all_agents_block(workers: int, agents: int) -> None:
    """Agents that block until all of them do are all run, whatever the number of workers."""

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        for _ in range(3):
            barrier = threading.Barrier(agents)
            names = [
                await agent
                for agent in [runtime.spawn(meet, unchecked(barrier)) for _ in range(agents)]
            ]
            assert len(set(names)) == agents

    test()


@in_runtime(workers=1, blocking_threads=2)
async def test_the_number_of_threads_is_bounded(runtime: remuda.Runtime) -> None:
    """At most `blocking_threads` threads stand in; further agents wait until one comes back."""
    lock = threading.Lock()
    now = most = 0

    async def block(mailbox: remuda.Mailbox[Any]) -> None:
        nonlocal now, most
        with remuda.blocking():
            with lock:
                now += 1
                most = max(most, now)
            gate.wait(TIMEOUT)
            with lock:
                now -= 1

    gate = threading.Event()
    threading.Timer(0.05, gate.set).start()
    agents = [runtime.spawn(block) for _ in range(20)]
    for agent in agents:
        await agent
    assert 2 <= most <= 3
    names = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("remuda-worker") for name in names) <= 2


@in_runtime(workers=1, blocking_threads=0)
async def test_without_threads_the_worker_blocks(runtime: remuda.Runtime) -> None:
    """With no thread to stand in, a blocking section is an ordinary block of code."""

    async def block(mailbox: remuda.Mailbox[Any]) -> str:
        with remuda.blocking():
            return threading.current_thread().name

    assert await runtime.spawn(block) == threading.current_thread().name


@in_runtime(workers=1)
async def test_an_agent_that_has_blocked_goes_on_as_before(runtime: remuda.Runtime) -> None:
    """Inside the section and after it, an agent sends, receives and awaits asyncio as ever."""
    log: Log = []
    keeper = runtime.spawn(collect, unchecked(log))

    async def work(mailbox: remuda.Mailbox[Any], gate: threading.Event) -> remuda.Iso[list[Any]]:
        with remuda.blocking():
            gate.wait(TIMEOUT)
            keeper.send_nowait("inside")
            await keeper.send("inside, with room")
        await keeper.send("after")
        await asyncio.sleep(0.001)
        return iso([await mailbox.recv() for _ in range(3)])

    async def open_gate(mailbox: remuda.Mailbox[Any], gate: threading.Event) -> None:
        gate.set()

    for _ in range(20):
        gate = threading.Event()
        worker = runtime.spawn(work, unchecked(gate))
        for number in range(3):
            worker.send_nowait(number)
        opener = runtime.spawn(open_gate, unchecked(gate))
        assert await worker == [0, 1, 2]
        await opener
    await keeper.stop()
    assert log == ["inside", "inside, with room", "after"] * 20


@pytest.mark.parametrize("workers", [1, 2])
def test_to_await_inside_is_an_error_that_is_told(workers: int) -> None:
    """An agent that waits for something inside the section gets a BehaviourError there, and can go on."""

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        async def confuse(mailbox: remuda.Mailbox[Any], nap: bool) -> str:
            with pytest.raises(remuda.BehaviourError, match="no await inside"), remuda.blocking():
                await (asyncio.sleep(3600) if nap else mailbox.recv())
            with remuda.blocking():
                pass
            return str(await mailbox.recv())

        for nap in (True, False):
            agents = [runtime.spawn(confuse, nap) for _ in range(5)]
            await asyncio.sleep(0.01)
            for agent in agents:
                agent.send_nowait("well")
            assert [await asyncio.wait_for(agent, TIMEOUT) for agent in agents] == ["well"] * 5

    test()


@in_runtime(workers=1)
async def test_sections_nest_and_let_exceptions_through(runtime: remuda.Runtime) -> None:
    """A section inside another does nothing more, and an exception leaves both."""

    async def fail(mailbox: remuda.Mailbox[Any]) -> None:
        with remuda.blocking():
            with remuda.blocking():
                pass
            raise LookupError("from inside")

    with pytest.raises(LookupError, match="from inside"):
        await runtime.spawn(fail)


def test_outside_of_agents_it_does_nothing() -> None:
    """In a plain thread or task a blocking section is an ordinary block of code."""
    with remuda.blocking():
        pass

    async def main() -> None:
        with remuda.blocking():
            await asyncio.sleep(0)

    asyncio.run(main())


@in_runtime(workers=1)
async def test_a_receive_that_blocks_lets_others_run(runtime: remuda.Runtime) -> None:
    """A plain `receive` may block too; messages to its agent wait, others' don't."""
    gate = threading.Event()

    class Blocker(remuda.Agent[int]):
        def receive(self, message: int) -> int:
            with remuda.blocking():
                gate.wait(TIMEOUT)
            return message

    class Opener(remuda.Agent[None]):
        def receive(self, message: None) -> None:
            gate.set()

    blocker, opener = runtime.spawn(Blocker), runtime.spawn(Opener)
    answer = asyncio.ensure_future(blocker.ask(5))
    await asyncio.sleep(0)
    opener.send_nowait(None)
    assert await asyncio.wait_for(answer, TIMEOUT) == 5


@in_runtime(workers=1)
async def test_the_stand_in_hands_the_worker_its_place_back(runtime: remuda.Runtime) -> None:
    """When nobody blocks any more, agents run on the runtime's own thread again."""
    barrier = threading.Barrier(4)
    for agent in [runtime.spawn(meet, unchecked(barrier)) for _ in range(4)]:
        await agent

    async def where(mailbox: remuda.Mailbox[Any]) -> int:
        return threading.get_ident()

    for _ in range(1000):
        if await runtime.spawn(where) == threading.get_ident():
            break
    here = [await runtime.spawn(where) == threading.get_ident() for _ in range(50)]
    assert all(here)


@pytest.mark.parametrize("workers", [1, 3])
def test_functions_run_in_threads_and_hold_up_nobody(workers: int) -> None:
    """`to_thread` gives the result or raises the error, in the caller's context, while agents and the loop go on."""
    variable = contextvars.ContextVar("variable", default="unset")

    def work(gate: threading.Event, number: int, *, fails: bool = False) -> tuple[int, str]:
        assert gate.wait(TIMEOUT)
        if fails:
            raise LookupError(number)
        return number, variable.get()

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        gate = threading.Event()

        async def wait(mailbox: remuda.Mailbox[Any], number: int) -> tuple[int, str]:
            variable.set(f"agent {number}")
            if number == 3:
                with pytest.raises(LookupError, match="3"):
                    await remuda.to_thread(work, gate, number, fails=True)
            return await remuda.to_thread(work, gate, number)

        async def open_gate(mailbox: remuda.Mailbox[Any]) -> None:
            gate.set()

        agents = [runtime.spawn(wait, number) for number in range(8)]
        task = asyncio.create_task(remuda.to_thread(work, gate, -1))
        await asyncio.sleep(0)
        await runtime.spawn(open_gate)
        assert [await agent for agent in agents] == [(n, f"agent {n}") for n in range(8)]
        assert await task == (-1, "unset")

    test()


@in_runtime
async def test_who_waits_for_a_thread_is_not_cut_off(runtime: remuda.Runtime) -> None:
    """A runtime that stops waits for agents whose functions still run; one that is cancelled stops waiting."""
    gate = threading.Event()

    async def wait(mailbox: remuda.Mailbox[Any]) -> bool:
        return await remuda.to_thread(gate.wait, TIMEOUT)

    patient, impatient = runtime.spawn(wait), runtime.spawn(wait)
    await asyncio.sleep(0.01)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    stop = asyncio.create_task(runtime.stop())
    await asyncio.sleep(0)
    gate.set()
    assert (await stop).cancelled == ()
    assert await patient


def test_a_repeatable_run_has_one_thread() -> None:
    """In a loop of `remuda.testing` a blocking section hands nothing over, and agents go on afterwards."""

    async def block(mailbox: remuda.Mailbox[Any]) -> str:
        with remuda.blocking():
            return threading.current_thread().name

    async def sleep(mailbox: remuda.Mailbox[Any]) -> str:
        await asyncio.sleep(1)
        return threading.current_thread().name

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            here = threading.current_thread().name
            assert await runtime.spawn(block) == here
            assert await runtime.spawn(sleep) == here

    testing.run(main)


def test_a_thread_that_has_no_loop_is_made_up_for() -> None:
    """If the first thread that is to stand in fails, the next that is needed takes its place, and nothing is lost."""
    failed = threading.Event()
    running = threading.Semaphore(0)
    go_on = threading.Event()

    def factory() -> asyncio.AbstractEventLoop:
        if threading.current_thread().name == "remuda-worker-2" and not failed.is_set():
            failed.set()
            raise OSError("too many open files")
        return asyncio.new_event_loop()

    async def block(mailbox: remuda.Mailbox[Any]) -> None:
        with remuda.blocking():
            running.release()
            go_on.wait(TIMEOUT)

    def spawn_from_outside(runtime: remuda.Runtime, agents: list[remuda.AgentRef[Any]]) -> bool:
        assert all(running.acquire(timeout=TIMEOUT) for _ in range(2))
        agents.append(runtime.spawn(block))
        assert failed.wait(TIMEOUT)
        agents.extend(runtime.spawn(block) for _ in range(4))
        came = [running.acquire(timeout=TIMEOUT) for _ in range(5)]
        go_on.set()
        return all(came)

    @in_runtime(workers=2, loop_factory=factory, blocking_threads=8)
    async def test(runtime: remuda.Runtime) -> None:
        agents = [runtime.spawn(block) for _ in range(2)]
        assert await asyncio.to_thread(spawn_from_outside, runtime, agents)
        await asyncio.gather(*agents)

    test()


@in_runtime(workers=2)
async def test_a_thread_that_stands_in_is_not_spare_within_a_step(runtime: remuda.Runtime) -> None:
    """One whose agent has blocked, and goes on in the same step, is given a processor in the midst of its slice."""
    both, release = threading.Barrier(3), threading.Event()
    came_out, go_on = threading.Event(), threading.Event()
    heard = queue.SimpleQueue[int]()

    async def holder(mailbox: remuda.Mailbox[Any]) -> None:
        with remuda.blocking():
            both.wait(TIMEOUT)
            release.wait(TIMEOUT)

    async def blocks_and_goes_on(mailbox: remuda.Mailbox[Any]) -> None:
        async for _ in mailbox:
            with remuda.blocking():
                pass
            came_out.set()
            go_on.wait(TIMEOUT)

    async def echo(mailbox: remuda.Mailbox[int]) -> None:
        async for number in mailbox:
            heard.put(number)

    def outside() -> list[int]:
        both.wait(TIMEOUT)
        busy.send_nowait(None)
        assert came_out.wait(TIMEOUT)
        target.send_nowait(0)
        go_on.set()
        found = [heard.get(timeout=TIMEOUT)]
        for number in range(1, 6):
            if number == 3:
                release.set()
            target.send_nowait(number)
            found.append(heard.get(timeout=TIMEOUT))
        return found

    target, busy = runtime.spawn(echo), runtime.spawn(blocks_and_goes_on)
    await settle(runtime)
    holders = [runtime.spawn(holder) for _ in range(2)]
    assert await asyncio.to_thread(outside) == list(range(6))
    await asyncio.gather(*holders)
