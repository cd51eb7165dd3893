"""Starting and stopping runtimes, and what becomes of the agents in them."""

import asyncio
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, collect, in_runtime, settle


async def sleeper(mailbox: remuda.Mailbox[Any]) -> None:
    await asyncio.sleep(1000)


async def stubborn(mailbox: remuda.Mailbox[Any]) -> None:
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            continue


def test_leaving_the_block_drains_mailboxes() -> None:
    """What was sent before the end of the block is handled, through several agents."""
    log: Log = []

    async def relay(mailbox: remuda.Mailbox[int], to: remuda.AgentRef[int]) -> None:
        async for message in mailbox:
            await to.send(message)

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            last = runtime.spawn(collect, unchecked(log))
            first = runtime.spawn(relay, runtime.spawn(relay, last, mailbox=2), mailbox=1000)
            for number in range(500):
                first.send_nowait(number)

    asyncio.run(main())
    assert log == list(range(500))


def test_an_agent_in_the_midst_of_a_message_may_send_it_on() -> None:
    """Mailboxes close only when nobody waits for asyncio any more: what a slow agent sends on is received."""
    log: Log = []

    async def slow(mailbox: remuda.Mailbox[int], to: remuda.AgentRef[int]) -> None:
        async for message in mailbox:
            await asyncio.sleep(0.005)
            await to.send(message)

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(slow, runtime.spawn(collect, unchecked(log)))
            for number in range(3):
                agent.send_nowait(number)
            await settle(runtime)

    asyncio.run(main())
    assert log == [0, 1, 2]


def test_an_agent_that_is_read_by_a_task_drains() -> None:
    """A stop waits for messages that a task of the agent takes, and no longer."""
    log: Log = []

    async def group(mailbox: remuda.Mailbox[int]) -> None:
        async def reader() -> None:
            async for message in mailbox:
                await asyncio.sleep(0.001)
                log.append(message)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader())

    async def main() -> remuda.StopReport:
        runtime = await remuda.Runtime().start()
        agent = runtime.spawn(group)
        await settle(runtime)
        for number in range(5):
            agent.send_nowait(number)
        return await asyncio.wait_for(runtime.stop(deadline=60), 10)

    report = asyncio.run(main())
    assert log == list(range(5))
    assert report == remuda.StopReport(drained=1, cancelled=(), killed=(), dead_letters=0)


def test_an_error_in_the_block_cancels_at_once() -> None:
    """If the block raises, agents are cancelled, not waited for, and the error comes out as it was."""
    log: Log = []

    async def busy(mailbox: remuda.Mailbox[Any]) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            runtime.spawn(busy)
            await settle(runtime)
            raise ValueError("the block's own")

    with pytest.raises(ValueError, match="the block's own"):
        asyncio.run(main())
    assert log == ["cancelled"]


def test_the_deadline_cancels_and_the_grace_kills(caplog: pytest.LogCaptureFixture) -> None:
    """Who hasn't ended at the deadline is cancelled; who resists that is killed; the report and the log name them."""

    async def main() -> remuda.StopReport:
        runtime = await remuda.Runtime().start()
        agents = [
            runtime.spawn(collect, unchecked([]), name="good"),
            runtime.spawn(sleeper, name="sleeper"),
            runtime.spawn(stubborn, name="stubborn"),
        ]
        await settle(runtime)
        report = await runtime.stop(deadline=0.01)
        assert all(agent.done() for agent in agents)
        return report

    report = asyncio.run(main())
    assert report.drained == 1
    assert set(report.cancelled) == {"sleeper", "stubborn"}
    assert report.killed == ("stubborn",)
    [record] = [record for record in caplog.records if record.name == "remuda"]
    assert "2 of 3 agents" in record.getMessage()
    assert "sleeper" in record.getMessage()


def test_stopping_is_idempotent() -> None:
    """Several tasks may stop a runtime, at once and again; each gets the report."""

    async def main() -> None:
        runtime = await remuda.Runtime().start()
        agent = runtime.spawn(collect, unchecked([]))
        await settle(runtime)
        first, second = await asyncio.gather(runtime.stop(), runtime.stop())
        assert first == second == await runtime.stop()
        assert first.drained == 1
        assert agent.done()
        assert runtime.phase == "stopped"

    asyncio.run(main())


def test_a_stop_without_a_start() -> None:
    """A runtime that was never started stops at once, and can't be started then."""

    async def main() -> None:
        runtime = remuda.Runtime()
        assert await runtime.stop() == remuda.StopReport(0, (), (), 0)
        with pytest.raises(remuda.RuntimeStopped):
            await runtime.start()

    asyncio.run(main())


def test_a_cancelled_stop_hurries_and_can_be_awaited_again() -> None:
    """Who gives up waiting for a stop makes it cancel what is left; a second stop, and the block, see its end."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(sleeper)
            await settle(runtime)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(runtime.stop(deadline=1000), 0.01)
            report = await asyncio.wait_for(runtime.stop(), 10)
            assert report.cancelled == (agent.name,)
        assert runtime.phase == "stopped"

    asyncio.run(main())


def test_a_block_that_is_cancelled_while_it_stops_still_stops() -> None:
    """Cancelling a task that is leaving the block does not leave agents behind."""
    runtimes: list[remuda.Runtime] = []

    async def block() -> None:
        async with remuda.Runtime(deadline=1000) as runtime:
            runtimes.append(runtime)
            runtime.spawn(sleeper)

    async def main() -> None:
        task = asyncio.create_task(block())
        while not runtimes or runtimes[0].phase != "stopping":
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        assert runtimes[0].phase == "stopped"
        assert runtimes[0].statistics().agents == 0

    asyncio.run(main())


@in_runtime
async def test_an_agent_can_not_stop_its_runtime(runtime: remuda.Runtime) -> None:
    """It would wait for its own end, and is told so; a task that it starts may."""

    async def suicidal(mailbox: remuda.Mailbox[Any]) -> str:
        with pytest.raises(remuda.DeadlockDetected, match="suicidal"):
            await runtime.stop()
        return "told"

    assert await runtime.spawn(suicidal, name="suicidal") == "told"


def test_nothing_starts_while_a_runtime_stops() -> None:
    """`spawn` on a runtime that is stopping, or has stopped, is a RuntimeStopped; so is a second start."""
    refused: Log = []

    async def late(mailbox: remuda.Mailbox[Any]) -> None:
        async for _ in mailbox:
            pass
        try:
            remuda.spawn(collect, [])
        except remuda.RuntimeStopped:
            refused.append("stopping")

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(late)
        assert refused == ["stopping"]
        with pytest.raises(remuda.RuntimeStopped):
            runtime.spawn(collect, [])
        with pytest.raises(remuda.RuntimeStopped):
            await runtime.start()
        with pytest.raises(remuda.MailboxClosed):
            await agent.send("too late")

    asyncio.run(main())


def test_a_runtime_is_used_inside_its_block() -> None:
    """Before the start a runtime can't spawn; start needs a running loop."""

    async def main() -> None:
        with pytest.raises(remuda.NoRuntime, match="async with Runtime"):
            remuda.Runtime().spawn(collect, [])

    asyncio.run(main())
    coroutine = remuda.Runtime().start()
    with pytest.raises(remuda.NoRuntime, match="running event loop"):
        coroutine.send(None)


@pytest.mark.parametrize(
    "options",
    [
        {"on_failure": "explode"},
        {"deadline": -1},
        {"deadline": float("nan")},
        {"deadline": 10**400},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """A runtime's options are checked when it is made."""
    with pytest.raises(ValueError, match=r"^expected"):
        remuda.Runtime(**options)


def test_a_deadline_that_makes_no_sense_is_refused() -> None:
    """So is the deadline of a stop; and a bool is no number of seconds."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            for seconds in (-1, 10**400):
                with pytest.raises(ValueError, match="deadline >= 0"):
                    await runtime.stop(seconds)
            with pytest.raises(
                TypeError, match="deadline as a number of seconds or None, got bool"
            ):
                await runtime.stop(True)

    with pytest.raises(TypeError, match="deadline as a number of seconds, got bool"):
        remuda.Runtime(deadline=True)

    asyncio.run(main())


def test_two_runtimes_live_in_one_loop() -> None:
    """Runtimes are independent: agents of one send to agents of the other, and one stops without the other."""
    log: Log = []

    async def main() -> None:
        async with remuda.Runtime() as outer:
            receiver = outer.spawn(collect, unchecked(log))
            async with remuda.Runtime() as inner:
                assert remuda.current_runtime() is inner

                async def sender(mailbox: remuda.Mailbox[Any]) -> None:
                    await receiver.send(remuda.current_runtime() is inner)

                await inner.spawn(sender)
            assert inner.phase == "stopped"
            assert outer.phase == "running"
            await receiver.send("after")

    asyncio.run(main())
    assert log == [True, "after"]


@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
@pytest.mark.parametrize("state", ["new", "receiving", "sleeping", "sending", "asking"])
def test_agents_end_from_every_state(state: str, end: str) -> None:
    """An agent that was never run, waits for messages, a timer, room or an answer can be stopped, cancelled, killed."""
    log: Log = []

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        full = runtime.spawn(sleeper, mailbox=1)
        full.send_nowait("fills it")

        async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
            try:
                if state == "sleeping":
                    await asyncio.sleep(0.001 if end == "stop" else 1000)
                elif state == "sending":
                    await full.send(1)
                elif state == "asking":
                    await full.ask(1)
                await mailbox.recv()
            finally:
                log.append("finally")

        # A new one must not be run by another worker before it is ended.
        agent = runtime.spawn(behaviour, pinned=state == "new")
        if state != "new":
            await settle(runtime)
        getattr(agent, end)()
        if end == "stop" and state in ("sending", "asking"):
            await settle(runtime)
            assert not agent.done()  # it is in the midst of something that it must end itself
            full.kill()
        try:
            await agent
        except (asyncio.CancelledError, remuda.AgentKilled, remuda.RemudaError) as error:
            assert end != "stop" or state in ("sending", "asking"), repr(error)
        assert agent.done()
        assert full.done() or full.statistics().waiting == 0
        assert log == ([] if state == "new" and end != "stop" else ["finally"])
        full.kill()

    check()


@in_runtime
async def test_several_tasks_await_one_stop(runtime: remuda.Runtime) -> None:
    """What `agent.stop()` returns can be awaited by many, and again."""
    agent = runtime.spawn(collect, unchecked([]))
    end = agent.stop()

    async def wait() -> None:
        await end

    await asyncio.gather(wait(), wait(), wait())
    await end
    assert agent.done()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_waits_for_agents_between_two_timers(workers: int) -> None:
    """An agent that has just been woken counts as busy: its messages are delivered before mailboxes close."""

    async def sink(mailbox: remuda.Mailbox[int]) -> int:
        return len([number async for number in mailbox])

    async def source(mailbox: remuda.Mailbox[Any], to: remuda.AgentRef[int]) -> None:
        for number in range(20):
            await asyncio.sleep(0.0001)
            await to.send(number)

    async def main() -> None:
        for _ in range(20):
            async with remuda.Runtime(workers=workers) as runtime:
                target = runtime.spawn(sink)
                runtime.spawn(source, target)
            assert await target == 20

    asyncio.run(main())
