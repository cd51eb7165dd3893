"""How long agents and messages live: as long as somebody can reach them, and no longer."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, collect, hold, in_runtime, settle


class Message:
    """Something that a weak reference can point to."""

    def look_at(self, agent: remuda.AgentRef[Any]) -> None:
        """A callback that holds its message."""


class Keeper:
    """An agent with a plain `receive`, which keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def receive(self, message: Any) -> None:
        self.got.append(message)


async def wait_for_it(mailbox: remuda.Mailbox[Any], future: asyncio.Future[None], log: Log) -> None:
    await future
    log.append("woken")


@in_runtime
async def test_the_last_reference_ends_the_loop(runtime: remuda.Runtime) -> None:
    """When nobody can send any more, `async for` ends, and what follows it runs."""
    log: Log = []

    async def behaviour(mailbox: remuda.Mailbox[int]) -> None:
        async for message in mailbox:
            log.append(message)
        await asyncio.sleep(0)
        log.append("after")

    agent = runtime.spawn(behaviour)
    gone = weakref.ref(agent)
    agent.send_nowait(1)
    await settle(runtime)
    assert log == [1]
    del agent
    await settle(runtime)
    assert log == [1, "after"]
    assert gone() is None
    assert runtime.statistics().agents == 0


@in_runtime
async def test_the_last_reference_ends_a_recv(
    runtime: remuda.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """When nobody can send any more, `recv` raises MailboxClosed; to end by that is no failure."""
    log: Log = []

    async def behaviour(mailbox: remuda.Mailbox[int]) -> None:
        try:
            await mailbox.recv()
        finally:
            log.append("finally")

    agent = runtime.spawn(behaviour)
    await settle(runtime)
    del agent
    await settle(runtime)
    assert log == ["finally"]
    assert (runtime.statistics().agents, runtime.statistics().failed) == (0, 0)
    assert caplog.text == ""


@in_runtime
async def test_messages_outlive_the_last_reference(runtime: remuda.Runtime) -> None:
    """What was sent before the last reference went is received."""
    log: Log = []
    keeper = Keeper()
    first: remuda.AgentRef[int] = runtime.spawn(collect, unchecked(log))
    second: remuda.AgentRef[int] = runtime.spawn(keeper)
    for number in range(500):
        first.send_nowait(number)
        second.send_nowait(number)
    del first, second
    await settle(runtime)
    assert log == keeper.got == list(range(500))
    assert runtime.statistics().agents == 0


@in_runtime
async def test_an_agent_nobody_ever_held_runs(runtime: remuda.Runtime) -> None:
    """`spawn` without keeping the reference runs the behaviour until it would wait for a message."""
    log: Log = []

    async def behaviour(mailbox: remuda.Mailbox[int]) -> None:
        for number in range(3):
            log.append(number)
            await asyncio.sleep(0)
        await mailbox.recv()

    runtime.spawn(behaviour)
    await settle(runtime)
    assert log == [0, 1, 2]
    assert runtime.statistics().agents == 0


@in_runtime
async def test_an_object_goes_with_its_agent(runtime: remuda.Runtime) -> None:
    """The object whose `receive` is called is freed with the last reference to its agent, at once."""
    agent = runtime.spawn(Keeper)
    message = Message()
    agent.send_nowait(unchecked(message))
    await settle(runtime)
    agent_gone, message_gone = weakref.ref(agent), weakref.ref(message)
    del message
    assert message_gone() is not None
    del agent
    assert agent_gone() is None
    assert message_gone() is None
    assert runtime.statistics().agents == 0


@in_runtime
async def test_a_future_keeps_whoever_waits_for_it(runtime: remuda.Runtime) -> None:
    """An agent without references that waits for a future lives, and goes on when that is done."""
    log: Log = []
    future = asyncio.get_running_loop().create_future()
    runtime.spawn(wait_for_it, unchecked(future), unchecked(log), pinned=True)
    await settle(runtime)
    gc.collect()
    assert runtime.statistics().agents == 1
    future.set_result(None)
    await settle(runtime)
    assert log == ["woken"]
    assert runtime.statistics().agents == 0


@in_runtime
async def test_a_timer_keeps_whoever_sleeps(runtime: remuda.Runtime) -> None:
    """An agent without references that sleeps wakes up."""
    woken = asyncio.Event()

    async def sleeper(mailbox: remuda.Mailbox[Any]) -> None:
        await asyncio.sleep(0.001)
        woken.set()

    runtime.spawn(sleeper)
    await settle(runtime)
    gc.collect()
    await woken.wait()


@pytest.mark.parametrize("way", ["ask", "send"])
def test_an_agent_that_waits_for_another_lives(way: str) -> None:
    """An agent without references that waits for an answer, or for room, is kept by the one it waits for."""
    log: Log = []

    async def asker(mailbox: remuda.Mailbox[Any], other: remuda.AgentRef[Any]) -> None:
        if way == "ask":
            log.append(await other.ask("question"))
        else:
            await other.send("message")
            log.append("sent")

    async def slow(mailbox: remuda.Mailbox[Any], gate: asyncio.Event) -> None:
        await gate.wait()
        async for message in mailbox:
            if isinstance(message, remuda.Request):
                message.reply("answer")

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        gate = asyncio.Event()
        other: remuda.AgentRef[Any] = runtime.spawn(slow, unchecked(gate), mailbox=1, pinned=True)
        if way == "send":
            other.send_nowait("fills it")
        runtime.spawn(asker, other)
        await settle(runtime)
        gc.collect()
        assert runtime.statistics().agents == 2
        assert log == []
        gate.set()
        await settle(runtime)
        assert log == ["answer" if way == "ask" else "sent"]
        assert runtime.statistics().agents == 1

    check()


@in_runtime
async def test_agents_that_only_know_one_another_are_collected(runtime: remuda.Runtime) -> None:
    """Agents that hold each other in their frames are found by the collector, and their finally blocks run."""
    log: Log = []

    async def friend(mailbox: remuda.Mailbox[Any], name: str) -> None:
        other = await mailbox.recv()
        try:
            async for _ in mailbox:
                pass
        finally:
            log.append(name)
            del other

    left, right = runtime.spawn(friend, "left"), runtime.spawn(friend, "right")
    left.send_nowait(right)
    right.send_nowait(left)
    await settle(runtime)
    gone = weakref.ref(left), weakref.ref(right)
    del left, right
    assert [ref() is None for ref in gone] == [False, False]
    gc.collect()
    await settle(runtime)
    assert [ref() for ref in gone] == [None, None]
    assert sorted(log) == ["left", "right"]
    assert runtime.statistics().agents == 0


@in_runtime
async def test_objects_that_only_know_one_another_are_collected(runtime: remuda.Runtime) -> None:
    """So are agents with `receive` whose objects hold each other, or themselves."""
    agents: list[remuda.AgentRef[Any]] = [runtime.spawn(Keeper) for _ in range(5)]
    for place in range(5):
        agents[place].send_nowait(agents[place - 1])
        agents[place].send_nowait(agents[place])
    await settle(runtime)
    gone = [weakref.ref(agent) for agent in agents]
    del agents
    gc.collect()
    await settle(runtime)
    assert [ref() for ref in gone] == [None] * 5
    assert runtime.statistics().agents == 0


@in_runtime
async def test_an_agent_that_holds_itself_is_collected(runtime: remuda.Runtime) -> None:
    """An agent that keeps `mailbox.me` does not keep itself alive for ever."""

    async def narcissus(mailbox: remuda.Mailbox[Any]) -> None:
        me = mailbox.me
        await mailbox.recv()
        del me

    gone = weakref.ref(runtime.spawn(narcissus))
    await settle(runtime)
    assert gone() is not None
    gc.collect()
    await settle(runtime)
    assert gone() is None
    assert runtime.statistics().agents == 0


@in_runtime
async def test_a_circle_with_work_to_do_is_not_collected(runtime: remuda.Runtime) -> None:
    """Agents that nobody else knows live as long as they send each other messages."""
    log: Log = []

    async def player(mailbox: remuda.Mailbox[Any]) -> None:
        other = await mailbox.recv()
        async for ball in mailbox:
            gc.collect(0)
            log.append(ball)
            if ball == 50:
                return
            await other.send(ball + 1)

    left, right = runtime.spawn(player), runtime.spawn(player)
    left.send_nowait(right)
    right.send_nowait(left)
    left.send_nowait(0)
    del left, right
    await settle(runtime)
    assert log == list(range(51))
    gc.collect()
    await settle(runtime)
    assert runtime.statistics().agents == 0


@in_runtime
async def test_a_result_is_freed_with_its_agent(runtime: remuda.Runtime) -> None:
    """Result, error and callbacks of an ended agent go with the last reference to it."""

    async def make(mailbox: remuda.Mailbox[Any], message: Message) -> Any:
        return unchecked(message)

    message = Message()
    gone = weakref.ref(message)
    agent = runtime.spawn(make, unchecked(message))
    agent.add_done_callback(message.look_at)
    assert await agent is message
    await settle(runtime)
    del message
    assert gone() is not None
    del agent
    gc.collect()
    assert gone() is None


@in_runtime
async def test_a_thread_may_drop_the_last_reference(runtime: remuda.Runtime) -> None:
    """An agent whose last reference goes in another thread ends in its own loop."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
        async for _ in mailbox:
            pass
        ended.set_result(threading.get_ident())

    box = [runtime.spawn(behaviour, pinned=True)]
    await settle(runtime)
    threading.Thread(target=box.clear).start()
    assert await asyncio.wait_for(ended, 10) == threading.get_ident()


@pytest.mark.parametrize("way", ["for", "recv", "recv_nowait", "receive", "ask"])
def test_a_received_message_is_not_kept(way: str) -> None:
    """A message is freed as soon as its receiver lets go of it, also when the receiver then waits for ever."""
    gone: list[weakref.ref[Message]] = []

    async def loops(mailbox: remuda.Mailbox[Any]) -> None:
        async for message in mailbox:
            gone.append(weakref.ref(message))
            del message
            if len(gone) % 2:
                await asyncio.sleep(0)

    async def receives(mailbox: remuda.Mailbox[Any]) -> None:
        while True:
            gone.append(weakref.ref(await mailbox.recv()))

    async def takes(mailbox: remuda.Mailbox[Any]) -> None:
        while True:
            await asyncio.sleep(0)
            while len(mailbox):
                gone.append(weakref.ref(mailbox.recv_nowait()))

    async def answers(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            request.reply(unchecked(request.message))
            del request

    class Receives:
        def receive(self, message: Message) -> None:
            gone.append(weakref.ref(message))

    behaviours: dict[str, Any] = {
        "for": loops,
        "recv": receives,
        "recv_nowait": takes,
        "receive": Receives,
        "ask": answers,
    }

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(behaviours[way])
        for _ in range(5):
            if way == "ask":
                gone.append(weakref.ref(await agent.ask(unchecked(Message()))))
            else:
                await agent.send(unchecked(Message()))
        while len(gone) < 5:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [ref() for ref in gone] == [None] * 5
        agent.kill()

    check()


@in_runtime
async def test_an_answer_is_not_kept(runtime: remuda.Runtime) -> None:
    """What an agent gets by `ask`, or by awaiting another, is freed when it lets go of it."""
    gone: list[weakref.ref[Message]] = []

    class Maker:
        def receive(self, message: Any) -> remuda.Iso[Message]:
            return remuda.iso(Message())

    async def make(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[Message]:
        return remuda.iso(Message())

    async def asks(mailbox: remuda.Mailbox[Any], maker: remuda.AgentRef[Any]) -> None:
        gone.append(weakref.ref(await maker.ask(1)))
        gone.append(weakref.ref(await runtime.spawn(make)))
        await mailbox.recv()

    agent = runtime.spawn(asks, runtime.spawn(Maker))
    await settle(runtime)
    assert [ref() for ref in gone] == [None, None]
    agent.kill()


@pytest.mark.filterwarnings("ignore:a send was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:an ask was never awaited:RuntimeWarning")
@pytest.mark.parametrize("way", ["send", "ask"])
def test_a_dropped_send_lets_go_at_once(way: str) -> None:
    """An awaitable that is dropped frees its message and its agent then, not when somebody calls in later."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(Keeper)
        await settle(runtime)
        message = Message()
        message_gone, agent_gone = weakref.ref(message), weakref.ref(agent)
        awaitable = getattr(agent, way)(message)
        del message, agent
        assert message_gone() is not None
        assert agent_gone() is not None
        del awaitable
        assert message_gone() is None
        assert agent_gone() is None

    check()


@in_runtime
async def test_an_awaited_send_lets_go_at_once(runtime: remuda.Runtime) -> None:
    """The last reference to an agent may be the one of a send that was awaited."""
    agent = runtime.spawn(Keeper)
    await agent.send(1)
    await settle(runtime)
    gone = weakref.ref(agent)
    awaitable = agent.send(2)
    del agent
    await awaitable
    await settle(runtime)
    assert gone() is not None
    del awaitable
    assert gone() is None


@in_runtime
async def test_a_dead_letter_does_not_keep_its_agent(runtime: remuda.Runtime) -> None:
    """The runtime remembers dead letters; the agents they were sent to may go."""
    gate = asyncio.Event()
    agent = runtime.spawn(
        hold, unchecked(gate), unchecked([]), mailbox=1, overflow="drop_oldest", pinned=True
    )
    agent.send_nowait("dropped")
    agent.send_nowait("kept")
    assert [letter.agent for letter in runtime.dead_letters] == [agent.name]
    gate.set()
    await settle(runtime)
    gone = weakref.ref(agent)
    del agent
    gc.collect()
    await settle(runtime)
    assert gone() is None
    assert runtime.statistics().agents == 0


@in_runtime
async def test_an_agent_brought_back_by_a_finaliser_still_ends(runtime: remuda.Runtime) -> None:
    """An agent that a `__del__` in the same garbage brought back ends with its next last reference."""
    saved: list[remuda.AgentRef[Any]] = []
    letters: Log = []
    runtime.on_dead_letter(lambda letter: letters.append(letter.message))

    class Back:
        def __init__(self, agent: remuda.AgentRef[Any]) -> None:
            self.agent = agent

        def __del__(self) -> None:
            saved.append(self.agent)

    agent: remuda.AgentRef[Any] = runtime.spawn(Keeper)
    agent.send_nowait(unchecked(Back(agent)))
    await settle(runtime)
    gone = weakref.ref(agent)
    del agent
    gc.collect()
    assert len(saved) == 1
    assert runtime.statistics().agents == 1
    saved[0].send_nowait("still here")
    await settle(runtime)
    saved.clear()
    gc.collect()
    await settle(runtime)
    assert gone() is None
    assert runtime.statistics().agents == 0
    assert letters == []


def test_a_stopped_runtime_is_freed() -> None:
    """A runtime that has stopped is freed, and its agents with it, though references to ended agents are left."""

    async def main() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(Keeper)
            agent.send_nowait(agent)
            runtime.on_dead_letter(lambda letter: print(runtime, letter))
        return weakref.ref(runtime), weakref.ref(agent)

    gone = asyncio.run(main())
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_an_agent_that_the_collector_ends_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    """An agent that only its own last request still refers to ends well, whenever the garbage collector comes by."""

    async def double(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            request.reply(2 * request.message)

    async def main() -> int:
        async with remuda.Runtime(workers=1) as runtime:
            answer: int = await runtime.spawn(double).ask(21)
            return answer

    before = gc.get_threshold()
    try:
        for threshold in range(1, 100):
            gc.set_threshold(threshold)
            assert remuda.run(main()) == 42
    finally:
        gc.set_threshold(*before)
    assert not caplog.records
