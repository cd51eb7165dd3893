"""Agents that fail, are cancelled, or are killed: nothing of it is silent."""

import asyncio
import contextvars
import gc
import logging
import weakref
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, collect, in_runtime, settle


async def fail(mailbox: remuda.Mailbox[Any], error: BaseException | None = None) -> None:
    raise error or ZeroDivisionError("on purpose")


@in_runtime
async def test_a_failure_is_logged_and_reported(
    runtime: remuda.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """The error of an agent is logged with its traceback, and raised by whoever awaits the agent, each time."""
    agent = runtime.spawn(fail, name="unlucky")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            await agent
    [record] = [record for record in caplog.records if record.name == "remuda"]
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "agent unlucky failed"
    assert record.exc_info is not None
    assert record.exc_info[2] is not None, "without the traceback"
    assert isinstance(agent.exception(), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        agent.result()
    assert "failed" in repr(agent)
    assert runtime.statistics().failed == 1
    assert runtime.statistics().ended == 1


def test_failures_may_fail_the_block() -> None:
    """With on_failure="raise" the block is cancelled, and raises the errors of all agents that failed as one group."""
    reached: Log = []

    async def main() -> None:
        async with remuda.Runtime(on_failure="raise") as runtime:
            runtime.spawn(fail, unchecked(ZeroDivisionError("first")))
            runtime.spawn(fail, unchecked(KeyError("second")))
            try:
                await asyncio.Event().wait()
            finally:
                reached.append("left")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError, KeyError]
    assert reached == ["left"]


def test_the_error_of_the_block_is_in_the_group() -> None:
    """If the block raises too, its error is one of the group."""

    async def main() -> None:
        async with remuda.Runtime(on_failure="raise") as runtime:
            agent = runtime.spawn(fail)
            try:
                await agent
            except (ZeroDivisionError, asyncio.CancelledError):
                raise ValueError("the block's") from None

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert sorted(type(e).__name__ for e in caught.value.exceptions) == [
        "ValueError",
        "ZeroDivisionError",
    ]


def test_a_cancellation_from_outside_stays_one() -> None:
    """A block that is cancelled by somebody else raises CancelledError, and its agents are cancelled."""
    log: Log = []

    async def cleans_up(mailbox: remuda.Mailbox[Any]) -> None:
        try:
            await mailbox.recv()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def block() -> None:
        async with remuda.Runtime(workers=1) as runtime:
            agent = runtime.spawn(cleans_up)
            await asyncio.Event().wait()
            agent.kill()

    async def main() -> None:
        task = asyncio.create_task(block())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["cancelled"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_must_end_the_program_ends_the_loop(error: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit in an agent leave the event loop, as from a task."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            runtime.spawn(fail, unchecked(error()))
            await asyncio.Event().wait()

    with pytest.raises(error):
        asyncio.run(main())


@in_runtime
async def test_cancel_is_that_of_asyncio(runtime: remuda.Runtime) -> None:
    """`cancel` throws CancelledError with its message where the agent waits; the agent ends cancelled."""
    seen: list[Any] = []

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        try:
            await mailbox.recv()
        except asyncio.CancelledError as error:
            seen.append((error.args, mailbox.me.cancelling()))
            raise

    agent = runtime.spawn(behaviour)
    await settle(runtime)
    assert agent.cancel("enough") is True
    with pytest.raises(asyncio.CancelledError):
        await agent
    assert seen == [(("enough",), 1)]
    assert agent.cancelled()
    assert agent.done()
    assert agent.cancel() is False
    with pytest.raises(asyncio.CancelledError):
        agent.exception()
    assert runtime.statistics().failed == 0


@in_runtime
async def test_a_cancellation_may_be_swallowed(runtime: remuda.Runtime) -> None:
    """An agent may catch CancelledError and go on, as a task may."""

    async def stubborn(mailbox: remuda.Mailbox[str]) -> str:
        try:
            await mailbox.recv()
        except asyncio.CancelledError:
            assert mailbox.me.uncancel() == 0
        return await mailbox.recv()

    agent = runtime.spawn(stubborn)
    await settle(runtime)
    agent.cancel()
    await settle(runtime)
    agent.send_nowait("still here")
    assert await agent == "still here"


@in_runtime(workers=1)
async def test_cancel_before_the_first_step(runtime: remuda.Runtime) -> None:
    """An agent that is cancelled before it has begun never runs its body."""
    log: Log = []

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        log.append("ran")

    agent = runtime.spawn(behaviour)
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent
    assert log == []


class Receiver:
    """An agent with a plain `receive`, which has no coroutine to throw anything into."""

    def receive(self, message: object) -> None: ...


@pytest.mark.parametrize("end", ["cancel", "kill", "stop"])
def test_an_idle_object_can_be_ended(end: str) -> None:
    """Agents without a coroutine are cancelled, killed and stopped like others."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(Receiver)
        await settle(runtime)
        getattr(agent, end)()
        if end == "stop":
            assert await agent is None
            return
        with pytest.raises((asyncio.CancelledError, remuda.AgentKilled)):
            await agent

    check()


@in_runtime
async def test_kill_ends_whatever_resists(
    runtime: remuda.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """A killed agent runs its finally blocks and is gone; that is no failure of its own, and not logged as one."""
    log: Log = []

    async def stubborn(mailbox: remuda.Mailbox[Any]) -> None:
        try:
            while True:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    log.append("no")
        finally:
            log.append("finally")

    agent = runtime.spawn(stubborn)
    await settle(runtime)
    agent.cancel()
    while not log:
        await asyncio.sleep(0)
    agent.send_nowait("never received")
    assert agent.kill() is True
    with pytest.raises(remuda.AgentKilled):
        await agent
    assert log == ["no", "finally"]
    assert agent.kill() is False
    assert [letter.message for letter in runtime.dead_letters] == ["never received"]
    assert runtime.statistics().failed == 0
    assert caplog.text == ""


@in_runtime
async def test_a_killed_agent_is_kept_by_nobody(runtime: remuda.Runtime) -> None:
    """Whoever asks for a killed agent's end has an error of its own, and with the last of them the agent goes."""
    agent = runtime.spawn(collect, unchecked([]))
    await settle(runtime)
    ended = weakref.ref(agent)
    told = [asyncio.ensure_future(agent) for _ in range(2)]
    await settle(runtime)
    agent.kill()
    await asyncio.wait(told)
    found: list[Any] = [*[waiter.exception() for waiter in told], agent.exception()]
    with pytest.raises(remuda.AgentKilled) as raised:
        agent.result()
    found.append(raised.value)
    assert [type(error) for error in found] == [remuda.AgentKilled] * 4
    assert {error.agent for error in found} == {agent}
    assert len({id(error) for error in found}) == 4
    assert "failed" in repr(agent)
    gc.collect()
    gc.disable()
    try:
        del agent, told, found, raised
        await asyncio.sleep(0)
        assert ended() is None, "nothing is left for the collector"
    finally:
        gc.enable()


@in_runtime
async def test_kill_unwinds_in_the_agents_own_context(runtime: remuda.Runtime) -> None:
    """The finally blocks of a killed agent run as the current agent and task, with its context variables."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    seen: list[Any] = []

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        token = variable.set(7)
        try:
            await mailbox.recv()
        finally:
            seen.extend((variable.get(), remuda.current_agent(), remuda.current_runtime()))
            seen.append(asyncio.current_task())
            variable.reset(token)

    agent = runtime.spawn(behaviour)
    await settle(runtime)
    agent.kill()
    await settle(runtime)
    assert seen == [7, agent, runtime, agent]


@in_runtime
async def test_who_awaits_a_killed_agent_may_fail_by_it(
    runtime: remuda.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """AgentKilled that an agent lets through is a failure of that agent, and is logged."""

    async def parent(mailbox: remuda.Mailbox[Any], child: remuda.AgentRef[Any]) -> None:
        await child

    child = runtime.spawn(collect, unchecked([]))
    agent = runtime.spawn(parent, child, name="parent")
    await settle(runtime)
    child.kill()
    with pytest.raises(remuda.AgentKilled):
        await agent
    assert "agent parent failed" in caplog.text


@in_runtime
async def test_an_agent_may_kill_itself(runtime: remuda.Runtime) -> None:
    """A kill from inside takes effect when the agent next waits."""
    log: Log = []

    async def tired(mailbox: remuda.Mailbox[Any]) -> None:
        mailbox.me.kill()
        log.append("after")
        await asyncio.sleep(0)
        log.append("never")

    with pytest.raises(remuda.AgentKilled):
        await runtime.spawn(tired)
    assert log == ["after"]


@pytest.mark.parametrize("kind", ["garbage", "plain future"])
def test_a_behaviour_that_yields_garbage_is_told(kind: str) -> None:
    """What an agent awaits must be something to wait for; the error is raised where it awaited it."""

    class Garbage:
        def __await__(self) -> Any:
            if kind == "garbage":
                yield 42
            else:
                yield asyncio.get_running_loop().create_future()

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> str:
        try:
            await Garbage()
        except (remuda.BehaviourError, RuntimeError) as error:
            return str(error)
        return "nothing"

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(behaviour, name="odd")
        text = await agent
        assert "odd" in text
        assert ("yielded 42" if kind == "garbage" else "yield from") in text

    check()


@in_runtime
async def test_a_future_of_another_loop_is_told(runtime: remuda.Runtime) -> None:
    """Awaiting a future of another loop is an error, as in a task."""
    other = asyncio.new_event_loop()

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        await other.create_future()

    with pytest.raises(RuntimeError, match="attached to a different loop"):
        await runtime.spawn(behaviour)
    other.close()


@in_runtime
async def test_done_callbacks_are_called(runtime: remuda.Runtime) -> None:
    """Callbacks get the agent, in their context, soon after its end; one that raises goes to the loop's handler."""
    told: list[dict[str, Any]] = []
    called: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    def broken(agent: object) -> None:
        raise ZeroDivisionError

    agent = runtime.spawn(collect, unchecked([]))
    agent.add_done_callback(broken)
    agent.add_done_callback(called.append)
    agent.add_done_callback(called.append)
    assert agent.remove_done_callback(called.append) == 2
    agent.add_done_callback(called.append)
    await agent.stop()
    await asyncio.sleep(0)
    agent.add_done_callback(called.append)
    await asyncio.sleep(0)
    assert called == [agent, agent]
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]
    with pytest.raises(TypeError, match="callable"):
        agent.add_done_callback(42)  # type: ignore[arg-type]  # wrong on purpose


@in_runtime
async def test_removing_a_callback_compares_all(runtime: remuda.Runtime) -> None:
    """A comparison that raises takes no callback out, and anyio sees which there are."""

    class Odd:
        def __call__(self, agent: object) -> None:
            called.append(agent)

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]  # as Python does beside __eq__

    called: list[object] = []
    agent: Any = runtime.spawn(collect, unchecked([]))
    assert not agent._callbacks
    agent.add_done_callback(called.append)
    agent.add_done_callback(Odd())
    with pytest.raises(ZeroDivisionError):
        agent.remove_done_callback(called.append)
    assert len(agent._callbacks) == 2
    await agent.stop()
    await asyncio.sleep(0)
    assert called == [agent, agent]


@in_runtime
async def test_results_are_asked_for_too_early(runtime: remuda.Runtime) -> None:
    """`result` and `exception` of an agent that lives are an InvalidStateError."""
    agent = runtime.spawn(collect, unchecked([]))
    for early in (agent.result, agent.exception):
        with pytest.raises(asyncio.InvalidStateError, match="lives"):
            early()
    await agent.stop()
    assert agent.result() is None
    assert agent.exception() is None
