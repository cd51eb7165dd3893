"""Starting agents: what can be one, what it is called, and what is said to what can't be one."""

import asyncio
import functools
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, collect, in_runtime, settle


class Adder:
    def __init__(self, start: int = 0) -> None:
        self.total = start

    def receive(self, message: int) -> int:
        self.total += message
        return self.total


class SlowAdder:
    def __init__(self) -> None:
        self.total = 0

    async def receive(self, message: int) -> int:
        await asyncio.sleep(0)
        self.total += message
        return self.total


@in_runtime
async def test_a_function_gets_its_mailbox_and_arguments(runtime: remuda.Runtime) -> None:
    """`spawn(f, *args)` calls `f(mailbox, *args)`, and what it returns is the agent's result."""

    async def behaviour(mailbox: remuda.Mailbox[str], left: int, right: int) -> tuple[Any, ...]:
        return await mailbox.recv(), left, right, mailbox.me

    agent = runtime.spawn(behaviour, 1, 2)
    agent.send_nowait("hello")
    assert await agent == ("hello", 1, 2, agent)


@in_runtime
async def test_a_partial_and_a_bound_method_are_behaviours(runtime: remuda.Runtime) -> None:
    """Whatever returns a coroutine when it is called with a mailbox can be an agent."""

    class Greeter:
        async def greet(self, mailbox: remuda.Mailbox[str]) -> str:
            return "hello " + await mailbox.recv()

    async def add(mailbox: remuda.Mailbox[int], number: int) -> int:
        return number + await mailbox.recv()

    first: remuda.AgentRef[Any] = runtime.spawn(Greeter().greet)
    second: remuda.AgentRef[Any] = runtime.spawn(functools.partial(add, number=3))
    first.send_nowait("you")
    second.send_nowait(4)
    assert await first == "hello you"
    assert await second == 7


@pytest.mark.parametrize("kind", [Adder, SlowAdder])
def test_a_class_receives_message_by_message(kind: Any) -> None:
    """An object with `receive` is called once for each message, in their order; an async one is awaited in between."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(kind)
        assert [await agent.ask(number) for number in (1, 2, 3)] == [1, 3, 6]
        await agent.stop()
        assert await agent is None

    check()


@in_runtime
async def test_an_object_can_be_an_agent(runtime: remuda.Runtime) -> None:
    """An instance is spawned as it is, and keeps what it was told."""
    adder = Adder(10)
    agent = runtime.spawn(adder)
    agent.send_nowait(5)
    await agent.stop()
    assert adder.total == 15


@in_runtime
async def test_a_class_gets_the_arguments_of_spawn(runtime: remuda.Runtime) -> None:
    """`spawn(cls, *args)` constructs the class with these arguments."""
    assert await runtime.spawn(Adder, 40).ask(2) == 42


@in_runtime(workers=1)
async def test_spawn_returns_before_the_agent_runs(runtime: remuda.Runtime) -> None:
    """The agent's first step comes when the event loop turns."""
    log: Log = []

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        log.append("ran")

    agent = runtime.spawn(behaviour)
    assert log == []
    assert agent.state == "scheduled"
    await agent
    assert log == ["ran"]
    assert agent.state == "done"


@in_runtime
async def test_names_are_given_or_made(runtime: remuda.Runtime) -> None:
    """An agent is called what spawn says, or as its behaviour with a number; the name can be changed."""
    named = runtime.spawn(collect, unchecked([]), name="worker")
    other = runtime.spawn(collect, unchecked([]))
    assert named.name == "worker"
    assert other.name == f"collect-{other.id}"
    other.set_name("renamed")
    assert other.get_name() == other.name == "renamed"
    assert "renamed" in repr(other)


@in_runtime
async def test_the_current_runtime_is_that_of_the_agent(runtime: remuda.Runtime) -> None:
    """`remuda.spawn` starts an agent on the runtime of the agent, or the block, that calls it."""

    async def parent(mailbox: remuda.Mailbox[Any]) -> Any:
        child = remuda.spawn(collect, unchecked([]))
        assert remuda.current_agent() is mailbox.me
        return child.runtime

    assert remuda.current_runtime() is runtime
    assert remuda.current_agent() is None
    assert await runtime.spawn(parent) is runtime
    assert await remuda.spawn(parent) is runtime


def test_without_a_runtime_spawn_says_so() -> None:
    """Outside of any block there is no current runtime."""

    async def main() -> None:
        with pytest.raises(remuda.NoRuntime, match="async with Runtime"):
            remuda.spawn(collect, [])
        with pytest.raises(remuda.NoRuntime):
            remuda.current_runtime()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (42, "got 42 of type int"),
        (None, "got None"),
        ("text", "got 'text' of type str"),
        (lambda mailbox: 1, "returned 1 of type int"),
        (int, "a class with a method `receive"),
        (object(), "of type object"),
    ],
)
def test_what_is_no_behaviour_is_refused(behaviour: Any, says: str) -> None:
    """What can't be an agent is a BehaviourError, which says what was expected and what came."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        with pytest.raises(remuda.BehaviourError, match=r"^expected") as caught:
            runtime.spawn(behaviour)
        assert says in str(caught.value)
        assert runtime.statistics().spawned == 0

    check()


@in_runtime
async def test_wrong_arguments_are_found_at_once(runtime: remuda.Runtime) -> None:
    """A signature that doesn't fit is an error of `spawn`, not of an agent that nobody looks at."""

    async def two(mailbox: remuda.Mailbox[Any], first: int) -> None:
        raise AssertionError("never runs")

    async def none() -> None:
        raise AssertionError("never runs")

    for behaviour, arguments in ((two, ()), (two, (1, 2)), (none, ()), (Adder, (1, 2, 3))):
        with pytest.raises(remuda.BehaviourError, match="given to spawn") as caught:
            runtime.spawn(behaviour, *arguments)  # type: ignore[arg-type]  # wrong on purpose
        assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(remuda.BehaviourError, match="is an agent already"):
        runtime.spawn(Adder(), 1)  # type: ignore[call-overload]  # wrong on purpose


@in_runtime
async def test_an_error_of_the_constructor_is_its_own(runtime: remuda.Runtime) -> None:
    """What a class raises when it is made comes out of `spawn` unchanged."""

    class Broken:
        def __init__(self) -> None:
            raise TypeError("my own")

        def receive(self, message: int) -> None: ...

    with pytest.raises(TypeError, match="my own"):
        runtime.spawn(Broken)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mailbox": 0}, "0"),
        ({"mailbox": -1}, "-1"),
        ({"mailbox": 2**64}, "got 18446744073709551616"),
        ({"mailbox": 10**400}, "got an int of 1329 bits"),
        ({"mailbox": 10, "high": 11}, "11"),
        ({"high": -(2**64)}, "high"),
        ({"low": 2**64}, "low"),
        ({"mailbox": 10, "high": 5, "low": 5}, "5"),
        ({"mailbox": 10, "low": 12}, "12"),
        ({"mailbox": 10, "low": -2}, "-2"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, int], says: str) -> None:
    """The bound is positive, and 0 <= low < high <= bound; the error names the numbers."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        with pytest.raises(remuda.errors.LimitsError, match=says):
            runtime.spawn(collect, [], **options)  # type: ignore[call-overload]  # options are checked by value

    check()


@in_runtime
async def test_an_unknown_policy_is_refused(runtime: remuda.Runtime) -> None:
    """`overflow` is one of four words."""
    with pytest.raises(ValueError, match="drop_oldest"):
        runtime.spawn(collect, [], overflow="explode")  # type: ignore[call-overload]  # wrong on purpose


@in_runtime
async def test_a_hundred_thousand_agents_live_at_once(runtime: remuda.Runtime) -> None:
    """Agents are cheap: each gets a message, and all end."""
    log: Log = []
    agents = [runtime.spawn(collect, unchecked(log)) for _ in range(100_000)]
    for number, agent in enumerate(agents):
        agent.send_nowait(number)
    await settle(runtime)
    assert len(log) == 100_000
    assert runtime.statistics().agents == 100_000
    assert sorted(log) == list(range(100_000))
    assert runtime.statistics().messages == 100_000
