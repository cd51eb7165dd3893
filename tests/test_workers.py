"""Several workers: where agents run, that nothing is lost between them, and what goes wrong with threads and loops."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, collect, in_runtime, settle

TIMEOUT = 20


async def meet(mailbox: remuda.Mailbox[Any], barrier: threading.Barrier) -> str:
    """An agent that keeps its thread until others have come to the same place."""
    await mailbox.recv()
    barrier.wait(TIMEOUT)
    return threading.current_thread().name


Place = tuple[int, asyncio.AbstractEventLoop]


async def where(mailbox: remuda.Mailbox[Any]) -> Any:
    """An agent that tells on which thread and loop it runs."""
    return unchecked((threading.get_ident(), asyncio.get_running_loop()))


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_run_agents_at_the_same_time(workers: int) -> None:
    """As many agents as there are workers run at once, each on a thread of its own."""

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        barrier = threading.Barrier(workers)
        agents = [runtime.spawn(meet, unchecked(barrier)) for _ in range(workers)]
        for agent in agents:
            agent.send_nowait("go")
        names = {await agent for agent in agents}
        assert len(names) == workers
        await runtime.stop()
        counts = runtime.statistics()
        assert len(counts.workers) == workers
        assert all(worker.runs > 0 for worker in counts.workers), "every worker has run an agent"
        assert sum(worker.runs for worker in counts.workers) == counts.runs
        assert sum(worker.stolen + worker.batched for worker in counts.workers) >= workers - 1
        assert all(worker.parks > 0 and worker.busy > 0 for worker in counts.workers)
        assert all(worker.depth == 0 and worker.idle >= 0 for worker in counts.workers)
        assert runtime.statistics() == counts, "a runtime that has stopped counts no more"

    test()


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", ["few", "burst", "full", "stampede"])
def test_messages_are_kept_and_in_order(workers: int, shape: str) -> None:
    """Whatever moves between workers, each message arrives once, and those of one sender in their order."""
    senders, count, capacity = {
        "few": (2, 300, 1000),
        "burst": (8, 100, 1000),
        "full": (8, 200, 3),
        "stampede": (100, 10, 50),
    }[shape]

    async def send(
        mailbox: remuda.Mailbox[Any], number: int, to: list[remuda.AgentRef[Any]]
    ) -> None:
        for message in range(count):
            await to[message % len(to)].send((number, message))
            if shape == "burst" and message % 4 == 3:
                await asyncio.sleep(0)

    @in_runtime(workers=workers)
    async def test(runtime: remuda.Runtime) -> None:
        logs: list[Log] = [[] for _ in range(4)]
        receivers = [runtime.spawn(collect, unchecked(log), mailbox=capacity) for log in logs]
        for sender in [
            runtime.spawn(send, number, unchecked(receivers)) for number in range(senders)
        ]:
            await sender
        for receiver in receivers:
            await receiver.stop()
        assert sum(map(len, logs)) == senders * count
        for place, log in enumerate(logs):
            for number in range(senders):
                got = [message for sender, message in log if sender == number]
                assert got == list(range(place, count, 4))

    test()


@in_runtime(workers=3)
async def test_an_agent_stays_where_it_has_awaited_asyncio(runtime: remuda.Runtime) -> None:
    """After its first await of something of asyncio's, an agent runs on that loop's thread only."""

    async def stay(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[set[int]]:
        await asyncio.sleep(0.001)
        threads = {threading.get_ident()}
        async for _ in mailbox:
            await asyncio.sleep(0)
            threads.add(threading.get_ident())
        return remuda.iso(threads)

    agents = [runtime.spawn(stay) for _ in range(30)]
    for _ in range(20):
        for agent in agents:
            await agent.send(None)
    for agent in agents:
        agent.stop()
    assert all([len(await agent) == 1 for agent in agents])


@in_runtime(workers=3)
async def test_a_pinned_agent_runs_where_it_was_spawned(runtime: remuda.Runtime) -> None:
    """With `pinned`, an agent runs in the event loop of its spawner, whose objects it may use."""
    here = threading.get_ident(), asyncio.get_running_loop()
    assert {await runtime.spawn(where, pinned=True) for _ in range(50)} == {here}

    async def parent(mailbox: remuda.Mailbox[Any]) -> bool:
        await asyncio.sleep(0)
        mine = threading.get_ident(), asyncio.get_running_loop()
        return all([await remuda.spawn(where, pinned=True) == mine for _ in range(20)])

    assert all([await runtime.spawn(parent) for _ in range(6)])


@in_runtime(workers=2)
async def test_a_timeout_binds_an_agent_to_its_loop(runtime: remuda.Runtime) -> None:
    """`asyncio.timeout` around a receive works on every worker: the agent stays with the loop that has the timer."""

    async def wait(mailbox: remuda.Mailbox[Any]) -> str:
        try:
            async with asyncio.timeout(0.01):
                await mailbox.recv()
        except TimeoutError:
            return "timed out"
        return "received"

    agents = [runtime.spawn(wait) for _ in range(20)]
    assert [await agent for agent in agents] == ["timed out"] * 20


@pytest.mark.parametrize("grouped", [False, True])
def test_a_task_binds_the_agent_that_makes_it(grouped: bool) -> None:
    """An agent that makes a task, itself or in a group, stays with its loop though it waits for messages first."""

    async def child(numbers: Log) -> None:
        await asyncio.sleep(0)
        numbers.append(threading.get_ident())

    async def parent(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[set[int]]:
        threads: Log = [threading.get_ident()]
        if grouped:
            async with asyncio.TaskGroup() as group:
                group.create_task(child(threads))
                for _ in range(10):
                    await mailbox.recv()
        else:
            task = asyncio.create_task(child(threads), name="a name")
            for _ in range(10):
                await mailbox.recv()
            await task
            assert task.get_name() == "a name"
        return remuda.iso({*threads, threading.get_ident()})

    @in_runtime(workers=3)
    async def test(runtime: remuda.Runtime) -> None:
        agents = [runtime.spawn(parent) for _ in range(30)]
        for _ in range(10):
            for agent in agents:
                agent.send_nowait(None)
            # Without the GIL: other workers take what is queued here.
            hashlib.sha256(bytes(1_000_000))
            await settle(runtime)
        assert all([len(await agent) == 1 for agent in agents])

    test()


def test_the_factory_of_tasks_is_kept() -> None:
    """A loop's own factory makes the tasks while a runtime has workers, and is what the loop has afterwards."""
    made: Log = []

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any
    ) -> asyncio.Task[Any]:
        made.append(coroutine.__name__)
        return asyncio.Task(coroutine, loop=loop, **arguments)

    async def mine() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        async with remuda.Runtime(workers=2):
            ours = loop.get_task_factory()
            async with remuda.Runtime(workers=1):
                await asyncio.create_task(mine())
            assert loop.get_task_factory() is ours
            await asyncio.create_task(mine(), context=contextvars.copy_context())
        assert loop.get_task_factory() is factory
        loop.set_task_factory(None)
        async with remuda.Runtime(workers=2):
            await asyncio.create_task(mine())
        assert loop.get_task_factory() is None

    asyncio.run(main())
    assert made.count("mine") == 2


@in_runtime(workers=2)
async def test_asks_and_their_timeouts_work_between_workers(runtime: remuda.Runtime) -> None:
    """Agents on all workers ask one another, with and without an answer in time."""

    class Doubler(remuda.Agent[int]):
        def receive(self, message: int) -> int:
            return 2 * message

    async def mute(mailbox: remuda.Mailbox[Any]) -> None:
        kept = [request async for request in mailbox]
        del kept

    async def ask(mailbox: remuda.Mailbox[Any], number: int) -> int:
        with pytest.raises(remuda.AskTimeout):
            await silent.ask(None, timeout=0.005)
        total = 0
        for _ in range(50):
            total += await doubler.ask(number, timeout=TIMEOUT)
        return total

    doubler, silent = runtime.spawn(Doubler), runtime.spawn(mute)
    agents = [runtime.spawn(ask, number) for number in range(20)]
    assert [await agent for agent in agents] == [100 * number for number in range(20)]


@in_runtime(workers=2)
async def test_agents_are_cancelled_from_any_thread(runtime: remuda.Runtime) -> None:
    """`cancel` works from another thread, also on an agent that waits in another worker's loop."""

    async def sleep(mailbox: remuda.Mailbox[Any]) -> None:
        started.release()
        await asyncio.sleep(3600)

    started = threading.Semaphore(0)
    agents = [runtime.spawn(sleep) for _ in range(10)]
    await asyncio.to_thread(lambda: [started.acquire(timeout=TIMEOUT) for _ in agents])
    assert all(await asyncio.to_thread(lambda: [agent.cancel("enough") for agent in agents]))
    for agent in agents:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(agent, TIMEOUT)
        assert agent.cancelled()


@in_runtime(workers=2)
async def test_callbacks_come_in_the_loop_that_gave_them(runtime: remuda.Runtime) -> None:
    """A done-callback is called in the loop in which it was added, wherever the agent ends."""
    called = asyncio.Event()
    threads: Log = []

    def callback(_: object) -> None:
        threads.append(threading.get_ident())
        called.set()

    runtime.spawn(where).add_done_callback(callback)
    await asyncio.wait_for(called.wait(), TIMEOUT)
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize("workers", [0, -1, 1025, 10**9])
def test_an_absurd_number_of_workers_is_refused(workers: int) -> None:
    """A runtime has from 1 to 1024 workers."""
    with pytest.raises(ValueError, match=rf"1 <= workers <= 1024, got {workers}"):
        remuda.Runtime(workers=workers)
    with pytest.raises(ValueError, match="0 <= blocking_threads"):
        remuda.Runtime(blocking_threads=-1)


@pytest.mark.parametrize("workers", ["2", 2.0, True])
def test_a_number_of_workers_is_an_int(workers: Any) -> None:
    """What is no whole number of workers is refused by name."""
    with pytest.raises(TypeError, match="expected workers to be an int"):
        remuda.Runtime(workers=workers)


def test_the_environment_tells_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """REMUDA_WORKERS is the default, and nonsense in it is named."""

    async def count() -> int:
        async with remuda.Runtime() as runtime:
            return len(runtime.statistics().workers)

    monkeypatch.setenv("REMUDA_WORKERS", "3")
    assert asyncio.run(count()) == 3
    monkeypatch.setenv("REMUDA_WORKERS", "many")
    with pytest.raises(ValueError, match="REMUDA_WORKERS"):
        remuda.Runtime()


def worker_threads() -> list[str]:
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith("remuda-worker")
    ]


def raising_factory() -> asyncio.AbstractEventLoop:
    raise OSError("no loops today")


@pytest.mark.parametrize("factory", [raising_factory, lambda: "not a loop"])
def test_a_loop_factory_that_fails_fails_the_start(factory: Callable[[], Any]) -> None:
    """The start raises WorkerFailed with the reason, and leaves no thread behind."""

    async def main() -> None:
        with pytest.raises(remuda.WorkerFailed, match="loop_factory") as caught:
            await remuda.Runtime(workers=3, loop_factory=factory).start()
        assert caught.value.__cause__ is not None
        assert worker_threads() == []

    asyncio.run(main())


def test_a_stop_during_the_start_waits_for_it() -> None:
    """A runtime that is stopped while its workers start is stopped, and no thread is left."""
    gate = threading.Event()

    def slow_factory() -> asyncio.AbstractEventLoop:
        gate.wait(TIMEOUT)
        return asyncio.new_event_loop()

    async def main() -> None:
        runtime = remuda.Runtime(workers=2, loop_factory=slow_factory)
        start = asyncio.create_task(runtime.start())
        await asyncio.sleep(0)
        with pytest.raises(remuda.NoRuntime):
            runtime.spawn(where)
        stop = asyncio.create_task(runtime.stop())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait_for(asyncio.gather(start, stop), TIMEOUT)
        assert runtime.phase == "stopped"
        assert worker_threads() == []

    asyncio.run(main())


def test_a_cancelled_start_leaves_no_thread() -> None:
    """Whoever cancels the start of a runtime gets all of its threads back."""
    gate = threading.Event()

    def slow_factory() -> asyncio.AbstractEventLoop:
        gate.wait(TIMEOUT)
        return asyncio.new_event_loop()

    async def main() -> None:
        runtime = remuda.Runtime(workers=2, loop_factory=slow_factory)
        start = asyncio.create_task(runtime.start())
        await asyncio.sleep(0)
        start.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert worker_threads() == []
        with pytest.raises(remuda.RuntimeStopped):
            await runtime.start()

    asyncio.run(main())


@in_runtime(workers=2)
async def test_an_agent_can_not_stop_its_runtime(runtime: remuda.Runtime) -> None:
    """An agent of any worker that stops its own runtime is told that it would wait for itself."""

    async def stop(mailbox: remuda.Mailbox[Any]) -> None:
        await asyncio.sleep(0)
        await runtime.stop()

    for agent in [runtime.spawn(stop) for _ in range(6)]:
        with pytest.raises(remuda.DeadlockDetected, match="outside of the runtime's agents"):
            await agent


def test_a_runtime_is_stopped_from_another_loop() -> None:
    """`stop` may be awaited in another thread's event loop."""

    async def main() -> None:
        runtime = await remuda.Runtime(workers=2).start()
        log: Log = []
        agent = runtime.spawn(collect, unchecked(log))
        await agent.send(1)
        report = await asyncio.to_thread(lambda: asyncio.run(runtime.stop()))
        assert (report.drained, report.cancelled, log) == (1, (), [1])
        assert worker_threads() == []

    asyncio.run(main())


@in_runtime(workers=2)
async def test_a_callback_that_raises_harms_no_worker(
    runtime: remuda.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a callback of a worker's loop is logged by asyncio, and the worker goes on."""

    def fail() -> None:
        raise LookupError("in a callback")

    async def call(mailbox: remuda.Mailbox[Any]) -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0.001)

    with caplog.at_level(logging.ERROR, "asyncio"):
        for agent in [runtime.spawn(call) for _ in range(8)]:
            await agent
    assert caplog.text.count("in a callback") >= 8
    caplog.clear()


def other_worker(runtime: remuda.Runtime, barrier: threading.Barrier) -> remuda.AgentRef[Any]:
    """Keeps the home worker busy until the agent, which is meant for the other one, has begun."""

    async def hold(mailbox: remuda.Mailbox[Any]) -> None:
        barrier.wait(TIMEOUT)

    return runtime.spawn(hold, pinned=True)


@in_runtime(workers=2)
async def test_a_worker_whose_loop_is_stopped_goes_on(
    runtime: remuda.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody stops the loop of a worker: that is logged, and the worker runs it again."""
    barrier = threading.Barrier(2)

    async def stop(mailbox: remuda.Mailbox[Any]) -> str:
        barrier.wait(TIMEOUT)
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.001)
        return threading.current_thread().name

    with caplog.at_level(logging.WARNING, "remuda"):
        agent = runtime.spawn(stop)
        hold = other_worker(runtime, barrier)
        assert await agent == "remuda-worker-1"
        await hold
    assert "stopped the loop of worker 1" in caplog.text


def test_system_exit_in_a_worker_leaves_the_program() -> None:
    """SystemExit raised by an agent of any worker comes out of the home loop."""

    async def main() -> None:
        async with remuda.Runtime(workers=2) as runtime:
            barrier = threading.Barrier(2)

            async def leave(mailbox: remuda.Mailbox[Any]) -> None:
                barrier.wait(TIMEOUT)
                raise SystemExit(7)

            runtime.spawn(leave)
            other_worker(runtime, barrier)
            await asyncio.sleep(TIMEOUT)

    with pytest.raises(SystemExit) as caught:
        asyncio.run(main())
    assert caught.value.code == 7
    assert worker_threads() == []


def test_a_worker_that_dies_fails_what_was_bound_to_it(caplog: pytest.LogCaptureFixture) -> None:
    """When a worker's loop breaks, its agents fail with WorkerFailed, and those of no loop go on elsewhere."""

    class Brittle(asyncio.SelectorEventLoop):
        broken = False

        def _run_once(self) -> None:
            if self.broken:
                raise OSError("the loop is broken")
            super()._run_once()  # type: ignore[misc]  # asyncio's own

    async def main() -> None:
        async with remuda.Runtime(workers=2, loop_factory=Brittle) as runtime:
            barrier = threading.Barrier(2)
            log: Log = []

            async def bound(mailbox: remuda.Mailbox[Any]) -> None:
                barrier.wait(TIMEOUT)
                loop = asyncio.get_running_loop()
                assert isinstance(loop, Brittle)
                loop.call_later(0.01, setattr, loop, "broken", True)
                await asyncio.sleep(3600)

            free = runtime.spawn(collect, unchecked(log))
            agent = runtime.spawn(bound)
            hold = other_worker(runtime, barrier)
            with pytest.raises(remuda.WorkerFailed, match="worker 1"):
                await asyncio.wait_for(agent, TIMEOUT)
            await hold
            await free.send("still here")
            await asyncio.wait_for(free.stop(), TIMEOUT)
            assert log == ["still here"]
            assert await asyncio.wait_for(runtime.spawn(where), TIMEOUT)

    asyncio.run(main())
    assert "worker 1 was lost" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_runtimes_work_beside_and_inside_one_another(workers: int) -> None:
    """Two runtimes in one process, one within the other, exchange messages and references."""

    async def main() -> None:
        log: Log = []

        async def introduce(mailbox: remuda.Mailbox[Any], friend: remuda.AgentRef[Any]) -> None:
            async for message in mailbox:
                await friend.send(message)

        async with remuda.Runtime(workers=workers) as outer:
            receiver = outer.spawn(collect, unchecked(log))
            async with remuda.Runtime(workers=workers) as inner:
                assert remuda.current_runtime() is inner
                agents = [inner.spawn(introduce, receiver) for _ in range(10)]
                for agent in agents:
                    await agent.send(1)
                    await agent.stop()
            with pytest.raises(remuda.MailboxClosed):
                await agents[0].send(2)
            await receiver.stop()
        assert log == [1] * 10

    asyncio.run(main())


@in_runtime(workers=2)
async def test_any_thread_and_loop_may_use_agents(runtime: remuda.Runtime) -> None:
    """A thread without a loop sends; one with a loop of its own sends, asks, awaits and stops."""
    log: Log = []
    keeper = runtime.spawn(collect, unchecked(log))

    class Adder(remuda.Agent[int]):
        def receive(self, message: int) -> int:
            return message + 1

    adder = runtime.spawn(Adder)

    async def elsewhere() -> int:
        for number in range(100):
            await keeper.send(number)
        answer: int = await adder.ask(41, timeout=TIMEOUT)
        await keeper.stop()
        await adder.stop()
        await adder
        return answer

    for _ in range(10):
        await asyncio.to_thread(keeper.send_nowait, "thread")
    assert await asyncio.to_thread(lambda: asyncio.run(elsewhere())) == 42
    assert log == ["thread"] * 10 + list(range(100))


def test_in_a_repeatable_loop_there_is_one_worker() -> None:
    """A runtime that asks for many workers has one in a loop of remuda.testing: its seed must decide everything."""
    from remuda import testing

    async def main() -> int:
        async with remuda.Runtime(workers=4) as runtime:
            return len(runtime.statistics().workers)

    assert testing.run(main) == 1


@pytest.mark.parametrize(
    "scheduling",
    [
        remuda.Scheduling(lifo=False),
        remuda.Scheduling(steal=False),
        remuda.Scheduling(throttle=False),
        remuda.Scheduling(interval=1),
        remuda.Scheduling(batch=False),
    ],
    ids=repr,
)
def test_each_heuristic_can_be_switched_off(scheduling: remuda.Scheduling) -> None:
    """Without any one of the heuristics the scheduler does the same, if not as fast."""

    @in_runtime(workers=3, scheduling=scheduling)
    async def test(runtime: remuda.Runtime) -> None:
        logs: list[Log] = [[] for _ in range(20)]
        agents = [runtime.spawn(collect, unchecked(log)) for log in logs]
        for message in range(50):
            for agent in agents:
                await agent.send(message)
        for agent in agents:
            await agent.stop()
        assert logs == [list(range(50))] * 20

    test()
    with pytest.raises(ValueError, match="1 <= interval"):
        remuda.Scheduling(interval=0)


@in_runtime(workers=3)
async def test_other_workers_run_what_comes_while_the_home_loop_is_busy(
    runtime: remuda.Runtime,
) -> None:
    """Messages are received while the thread that the program itself runs on does something else."""
    done = threading.Semaphore(0)

    async def receive(mailbox: remuda.Mailbox[Any]) -> None:
        async for _ in mailbox:
            done.release()

    agents = [runtime.spawn(receive) for _ in range(4)]
    for _ in range(10):
        await settle(runtime)
        sender = threading.Thread(target=lambda: [agent.send_nowait(None) for agent in agents])
        sender.start()
        assert all(done.acquire(timeout=20) for _ in agents)
        sender.join()


@pytest.mark.parametrize("begins", [True, False])
def test_a_cancellation_meets_an_agent_that_changes_what_it_waits_for(begins: bool) -> None:
    """A cancel from another thread is seen, whether the agent begins or ends to wait for a future meanwhile."""
    agent: Any = None
    loop: Any = None
    gate: Any = None

    class Slow(str):
        """A message whose end, within the second call of `cancel`, lets the agent go on."""

        __slots__ = ()

        def __del__(self) -> None:
            go_on()
            give_up = time.monotonic() + 1
            while agent.state in waits and time.monotonic() < give_up:
                pass

    waits = ("idle",) if begins else ("blocked",)

    def go_on() -> None:
        if begins:
            agent.send_nowait("go")
        else:
            loop.call_soon_threadsafe(lambda: gate.done() or gate.set_result(None))

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        current = remuda.current_agent()
        assert current is not None
        try:
            await mailbox.recv()
        except asyncio.CancelledError:
            current.uncancel()
        if begins:
            await mailbox.recv()
            await loop.create_future()
        else:
            await gate
            await mailbox.recv()

    async def main() -> None:
        nonlocal agent, loop, gate
        loop = asyncio.get_running_loop()
        gate = loop.create_future()
        async with remuda.Runtime(workers=1) as runtime:
            agent = runtime.spawn(behaviour)
            await settle(runtime)
            agent.cancel(Slow("first"))
            await settle(runtime)
            assert agent.state in waits
            await asyncio.to_thread(agent.cancel, "second")
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(agent, 20)

    asyncio.run(main())
