"""An agent is a task like any other: what asyncio offers works in it, on each kind of event loop."""

import asyncio
import contextvars
import gc
import re
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import LOOPS, Log, collect, echo, in_an_agent, in_runtime, settle


def me() -> Any:
    return remuda.current_agent()


@in_an_agent
async def test_an_agent_is_the_current_task() -> None:
    agent = me()
    for _ in range(2):
        assert asyncio.current_task() is agent
        assert agent in asyncio.all_tasks()
        await asyncio.sleep(0)
    assert agent.get_loop() is asyncio.get_running_loop()


@in_an_agent
async def test_timeout() -> None:
    async with asyncio.timeout(10):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
            raise AssertionError("the inner one has passed")
    assert me().cancelling() == 0


@in_an_agent
async def test_wait_for() -> None:
    assert await asyncio.wait_for(asyncio.sleep(0, "done"), 10) == "done"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(10), 0.001)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.001)


@in_an_agent
async def test_task_groups() -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, number)) for number in range(5)]
    assert [task.result() for task in tasks] == list(range(5))

    async def fail() -> None:
        raise ZeroDivisionError

    others: list[asyncio.Task[None]] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            others.append(group.create_task(asyncio.sleep(10)))
            group.create_task(fail())
            await asyncio.sleep(10)
    assert caught.group_contains(ZeroDivisionError)
    assert [other.cancelled() for other in others] == [True]
    assert me().cancelling() == 0


@in_an_agent
async def test_gather_wait_and_shield() -> None:
    assert await asyncio.gather(*[asyncio.sleep(0, number) for number in range(5)]) == list(
        range(5)
    )
    task = asyncio.create_task(asyncio.sleep(0.01, "shielded"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0.001)
    done, pending = await asyncio.wait([task])
    assert (done, pending) == ({task}, set())
    assert task.result() == "shielded"
    found = [
        await first for first in asyncio.as_completed([asyncio.sleep(0, 1), asyncio.sleep(0, 2)])
    ]
    assert sorted(found) == [1, 2]


@in_an_agent
async def test_locks_events_and_queues() -> None:
    lock, event, ready = asyncio.Lock(), asyncio.Event(), asyncio.Condition()
    semaphore, queue = asyncio.Semaphore(1), asyncio.Queue[int](maxsize=1)
    log: Log = []

    async def other() -> None:
        async with lock, semaphore:
            log.append("other has them")
            event.set()
            await asyncio.sleep(0)
        async with ready:
            log.append("other tells")
            ready.notify()
        for number in range(3):
            await queue.put(number)

    async with ready:
        task = asyncio.create_task(other())
        await event.wait()
        async with lock, semaphore:
            log.append("the agent has them")
        await ready.wait()
    log.append([await queue.get() for _ in range(3)])
    await task
    assert log == ["other has them", "the agent has them", "other tells", [0, 1, 2]]


@in_an_agent
async def test_threads() -> None:
    place = contextvars.ContextVar("place", default="nowhere")
    place.set("in the agent")
    assert await asyncio.to_thread(place.get) == "in the agent"
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await asyncio.get_running_loop().run_in_executor(None, lambda: 1 / 0)


@in_an_agent
async def test_streams() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for line in (b"one\n", b"two\n"):
            writer.write(line)
            await writer.drain()
            assert await reader.readline() == line.upper()
        writer.close()
        await writer.wait_closed()


@in_an_agent
async def test_subprocesses() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "print(input())",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate(b"hello\n")
    assert out == b"hello\n"
    assert child.returncode == 0


@in_an_agent
async def test_asynchronous_generators() -> None:
    log: Log = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async for number in numbers():
        if number == 3:
            break
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    assert log == ["closed"]


@in_an_agent
async def test_tasks_of_an_agent_talk_to_agents() -> None:
    """A task that an agent makes sends, asks, and awaits agents; an eager one begins inside of the agent's step."""
    agent = me()
    other = remuda.spawn(echo)

    async def ask(number: int) -> Any:
        assert asyncio.current_task() is not agent
        assert await other.ask(number) == number
        await other.send("ignored")
        assert asyncio.current_task() is not agent
        return number

    tasks = [asyncio.create_task(ask(number)) for number in range(20)]
    assert asyncio.current_task() is agent
    assert me() is agent
    assert await asyncio.gather(*tasks) == list(range(20))
    await other.stop()


@in_an_agent
async def test_agents_are_awaited_like_tasks() -> None:
    async def double(mailbox: remuda.Mailbox[Any], number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async def fail(mailbox: remuda.Mailbox[Any]) -> None:
        raise ZeroDivisionError

    assert await asyncio.gather(*[remuda.spawn(double, n) for n in range(5)]) == [0, 2, 4, 6, 8]
    assert await asyncio.wait_for(remuda.spawn(double, 4), 10) == 8
    agents: Any = [remuda.spawn(double, n) for n in range(3)]
    done, pending = await asyncio.wait(agents)
    assert done == set(agents)
    assert not pending
    assert await asyncio.shield(remuda.spawn(double, 4)) == 8
    for place, what in enumerate(asyncio.as_completed([remuda.spawn(double, 7)])):
        assert (place, await what) == (0, 14)
    found = await asyncio.gather(remuda.spawn(fail), return_exceptions=True)
    assert isinstance(found[0], ZeroDivisionError)


@in_an_agent
async def test_the_loop_and_an_agent_take_turns() -> None:
    """Neither an agent that never waits for long, nor a busy loop, starves the other."""
    loop = asyncio.get_running_loop()
    turns: Log = []

    def again() -> None:
        turns.append("loop")
        if len(turns) < 1000:
            loop.call_soon(again)

    loop.call_soon(again)
    for _ in range(20):
        turns.append("agent")
        await asyncio.sleep(0)
    assert turns.count("loop") >= 5
    while len(turns) < 1000:
        await asyncio.sleep(0)


@in_an_agent
async def test_a_timer_is_on_time() -> None:
    before = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - before >= 0.049


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_ring_of_agents(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Messages go round among many agents on each kind of loop."""

    async def node(
        mailbox: remuda.Mailbox[int], following: asyncio.Future[Any], end: asyncio.Future[str]
    ) -> None:
        to = await following
        async for left in mailbox:
            if left == 0:
                end.set_result("round")
            else:
                await to.send(left - 1)

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        end = loop.create_future()
        async with remuda.Runtime() as runtime:
            futures = [loop.create_future() for _ in range(50)]
            agents = [
                runtime.spawn(node, unchecked(future), unchecked(end), pinned=True)
                for future in futures
            ]
            for place, future in enumerate(futures):
                future.set_result(agents[(place + 1) % 50])
            agents[0].send_nowait(5000)
            found = await asyncio.wait_for(end, 30)
            for agent in agents:
                agent.stop()
            return found

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == "round"


def test_a_long_step_is_reported_in_debug_mode(caplog: pytest.LogCaptureFixture) -> None:
    """A step that keeps everybody waiting is logged with the agent's name and line, also the last one of an agent."""

    async def slow(mailbox: remuda.Mailbox[Any], last: bool) -> None:
        time.sleep(0.02)  # noqa: ASYNC251  # that is the mistake
        if not last:
            await mailbox.recv()  # it is here

    async def main(duration: float) -> None:
        asyncio.get_running_loop().slow_callback_duration = duration
        async with remuda.Runtime() as runtime:
            agents = [runtime.spawn(slow, name == "last", name=name) for name in ("last", "first")]
            agents.append(runtime.spawn(collect, unchecked([]), name="quick"))
            await settle(runtime)
            for agent in agents:
                agent.stop()

    with caplog.at_level("WARNING", "remuda"):
        remuda.run(main(0.01), debug=True)
        records = [record for record in caplog.records if record.name == "remuda"]
        # On a busy machine any other agent may be slow too.
        told = {
            record.args[0]: record.getMessage()
            for record in records
            if isinstance(record.args, tuple)
        }
        assert re.match(
            r"agent last ran for \d+\.\d{3} s without letting others run$", told["last"]
        )
        assert re.match(r"agent first ran for \d+\.\d{3} s", told["first"])
        assert "# it is here" in told["first"]
        caplog.clear()
        remuda.run(main(1000), debug=True)
        remuda.run(main(0.01))
        assert [record for record in caplog.records if record.name == "remuda"] == []


# Context variables.

level: contextvars.ContextVar[str] = contextvars.ContextVar("level")


@in_runtime
async def test_an_agent_has_a_context_of_its_own(runtime: remuda.Runtime) -> None:
    """It begins with what its spawner has set; what it sets is seen by nobody else."""

    async def behaviour(mailbox: remuda.Mailbox[Any], mine: str) -> remuda.Iso[list[str]]:
        found = [level.get()]
        level.set(mine)
        await asyncio.sleep(0)
        found.append(level.get())
        async for _ in mailbox:
            found.append(level.get())
        return remuda.iso(found)

    level.set("spawner")
    agents = [runtime.spawn(behaviour, mine) for mine in ("a", "b")]
    level.set("changed later")
    await settle(runtime)
    for agent in agents:
        agent.send_nowait(None)
        await agent.stop()
    assert [await agent for agent in agents] == [
        ["spawner", "a", "a"],
        ["spawner", "b", "b"],
    ]
    assert level.get() == "changed later"


@in_runtime
async def test_plain_receive_has_the_context_too(runtime: remuda.Runtime) -> None:
    """A plain `receive` runs in its agent's context, and finds there what it has set before."""
    found: Log = []

    class Counter(remuda.Agent[int]):
        def receive(self, message: int) -> None:
            found.append(level.get())
            level.set(f"{level.get()}.{message}")

    level.set("start")
    agent = runtime.spawn(Counter)
    for number in (1, 2, 3):
        await agent.send(number)
        await settle(runtime)
    await agent.stop()
    assert found == ["start", "start.1", "start.1.2"]
    assert level.get() == "start"


# What a task can do.


@in_runtime
async def test_an_agent_has_what_a_task_has(runtime: remuda.Runtime) -> None:
    """Names, contexts, coroutines, stacks: what tools and libraries ask of a task."""

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> str:
        return await mailbox.recv()  # type: ignore[no-any-return]  # strings are sent

    agent: Any = runtime.spawn(behaviour, name="one")
    assert agent.get_name() == agent.name == "one"
    agent.set_name("two")
    assert agent.name == "two"
    assert "two" in repr(agent)
    assert agent.get_loop() is asyncio.get_running_loop()
    assert isinstance(agent.get_context(), contextvars.Context)
    await settle(runtime)
    coroutine: Any = agent.get_coro()
    assert coroutine.__qualname__.endswith("behaviour")
    assert [frame.f_code.co_name for frame in agent.get_stack()] == ["behaviour"]
    assert weakref.ref(agent)() == agent
    assert {agent: 1}[agent] == 1
    agent.send_nowait("result")
    assert await agent == "result"
    assert agent.result() == "result"
    assert agent.exception() is None
    assert agent not in asyncio.all_tasks()


@in_runtime
async def test_all_tasks_has_the_agents_that_live(runtime: remuda.Runtime) -> None:
    """`asyncio.all_tasks` has the agents of the running loop, whether they have run or not, beside its tasks."""
    agents: Any = {runtime.spawn(collect, unchecked([])) for _ in range(3)}
    assert agents <= asyncio.all_tasks()
    await settle(runtime)
    assert agents <= asyncio.all_tasks()
    assert asyncio.current_task() in asyncio.all_tasks()
    for agent in agents:
        await agent.stop()
    assert not agents & asyncio.all_tasks()


# From elsewhere.


@in_runtime
async def test_a_task_waits_for_a_mailbox_with_a_time_out(runtime: remuda.Runtime) -> None:
    """`wait_for(mailbox.recv(), t)` and `timeout` lose no message when the time has passed."""

    async def patient(mailbox: remuda.Mailbox[str]) -> remuda.Iso[list[str]]:
        found: list[str] = []
        while len(found) < 6:
            try:
                if len(found) % 2:
                    found.append(await asyncio.wait_for(mailbox.recv(), 0.002))
                else:
                    async with asyncio.timeout(0.002):
                        found.append(await mailbox.recv())
            except TimeoutError:
                found.append("late")
                mailbox.me.send_nowait(f"after {len(found)}")
        return remuda.iso(found)

    agent = runtime.spawn(patient)
    assert await agent == ["late", "after 1", "late", "after 3", "late", "after 5"]


@in_runtime
async def test_an_agent_can_be_cancelled_by_a_group_of_tasks(runtime: remuda.Runtime) -> None:
    """A cancellation that comes to a task which awaits an agent ends the wait, not the agent."""
    agent = runtime.spawn(collect, unchecked([]))

    async def wait() -> None:
        await agent

    task = asyncio.create_task(wait())
    await settle(runtime)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not agent.done()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(agent), 0.001)
    assert not agent.done()
    await agent.stop()


@in_runtime
async def test_a_cancelled_agent_cancels_what_it_runs(runtime: remuda.Runtime) -> None:
    """Tasks of an agent's TaskGroup are cancelled with it, and have ended before it ends."""
    log: Log = []

    async def child() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            log.append("child")

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
        finally:
            log.append("agent")

    agent = runtime.spawn(behaviour)
    await settle(runtime)
    assert agent.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await agent
    assert log == ["child", "agent"]
    assert agent.cancelled()
    assert not agent.cancel()
