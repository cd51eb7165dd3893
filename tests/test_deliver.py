"""The way of a message from its sender into a mailbox."""

import asyncio
import gc
import sys
import threading
import warnings
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, answer_after, collect, hold, in_runtime, settle


@in_runtime
async def test_a_message_is_not_copied(runtime: remuda.Runtime) -> None:
    """The receiver gets the very object that was sent, however it was sent."""
    log: Log = []
    agent = runtime.spawn(collect, unchecked(log))
    sent = [object(), bytearray(10**6), {"key": []}]
    await agent.send(unchecked(sent[0]))
    agent.send_nowait(unchecked(sent[1]))
    remuda.signal(agent, unchecked(sent[2]))
    await agent.stop()
    assert [id(message) for message in log] == [id(message) for message in sent]


@in_runtime
async def test_each_sender_keeps_its_order(runtime: remuda.Runtime) -> None:
    """Messages of one sender arrive in the order in which they were sent, also through a small mailbox."""
    log: list[tuple[int, int]] = []

    async def sender(
        mailbox: remuda.Mailbox[Any], to: remuda.AgentRef[tuple[int, int]], name: int
    ) -> None:
        for number in range(300):
            if number % 3:
                await to.send((name, number))
            else:
                await asyncio.sleep(0)
                await to.send((name, number))

    receiver = runtime.spawn(collect, unchecked(log), mailbox=4)
    await asyncio.gather(*[runtime.spawn(sender, receiver, name) for name in range(8)])
    await receiver.stop()
    assert len(log) == 8 * 300
    for name in range(8):
        assert [number for who, number in log if who == name] == list(range(300))


@in_runtime
async def test_threads_keep_their_order(runtime: remuda.Runtime) -> None:
    """Any thread may send; each thread's messages arrive in order, and none is lost or doubled."""
    log: list[tuple[int, int]] = []
    agent = runtime.spawn(collect, unchecked(log), mailbox=1_000_000)

    def send(name: int) -> None:
        for number in range(5_000):
            agent.send_nowait((name, number))

    threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*[asyncio.to_thread(thread.join) for thread in threads])
    await agent.stop()
    assert len(log) == 20_000
    for name in range(4):
        assert [number for who, number in log if who == name] == list(range(5_000))


@in_runtime
async def test_a_thread_wakes_an_idle_loop(runtime: remuda.Runtime) -> None:
    """A message from a thread is handled although nothing else happens in the loop."""
    done = asyncio.Event()

    async def waiter(mailbox: remuda.Mailbox[str]) -> None:
        await mailbox.recv()
        done.set()

    agent = runtime.spawn(waiter)
    await settle(runtime)
    threading.Thread(target=agent.send_nowait, args=("wake up",)).start()
    await asyncio.wait_for(done.wait(), 10)


@in_runtime
async def test_another_loop_sends_asks_and_awaits(runtime: remuda.Runtime) -> None:
    """Tasks of another thread's event loop send, wait for room, ask, and await an agent."""

    async def counter(mailbox: remuda.Mailbox[Any]) -> int:
        count = 0
        async for message in mailbox:
            await asyncio.sleep(0)
            if isinstance(message, remuda.Request):
                message.reply(count)
            else:
                count += 1
        return count

    agent = runtime.spawn(counter, mailbox=2)

    async def elsewhere() -> tuple[int, int]:
        for number in range(50):
            await agent.send(number)
        answer = await agent.ask("how many?")
        await agent.stop()
        return answer, await agent

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == (50, 50)


@in_runtime
async def test_a_full_mailbox_makes_senders_wait_in_line(runtime: remuda.Runtime) -> None:
    """`send` waits for room; those who wait are let in in the order in which they came."""
    log: Log = []
    gate = asyncio.Event()
    agent = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=2, pinned=True)
    agent.send_nowait(0)
    agent.send_nowait(1)

    async def send(number: int) -> None:
        await agent.send(number)

    tasks = [asyncio.create_task(send(number)) for number in range(2, 8)]
    await settle(runtime)
    assert not any(task.done() for task in tasks)
    assert agent.statistics().waiting == 6
    with pytest.raises(remuda.MailboxFull):
        agent.send_nowait("may not pass those who wait")
    gate.set()
    await asyncio.gather(*tasks)
    await agent.stop()
    assert log == list(range(8))


@in_runtime
async def test_a_refused_message_comes_back(runtime: remuda.Runtime) -> None:
    """MailboxFull and MailboxClosed carry the message, the agent and the limit, and name them."""
    gate = asyncio.Event()
    agent = runtime.spawn(
        hold, unchecked(gate), unchecked([]), mailbox=1, name="small", pinned=True
    )
    message, other = object(), object()
    agent.send_nowait("fills it")
    with pytest.raises(remuda.MailboxFull, match=r"small.*1 messages") as full:
        agent.send_nowait(unchecked(message))
    assert full.value.message is message
    assert full.value.agent is agent
    assert full.value.capacity == 1
    gate.set()
    await agent.stop()
    for refused in (agent.send_nowait, lambda m: remuda.signal(agent, m)):
        with pytest.raises(remuda.MailboxClosed, match="small") as closed:
            refused(other)
        assert closed.value.message is other
        assert closed.value.agent is agent
    with pytest.raises(remuda.MailboxClosed) as closed:
        await agent.send(other)
    assert closed.value.message is other


@in_runtime
async def test_closing_turns_waiting_senders_away(runtime: remuda.Runtime) -> None:
    """Senders that wait when the mailbox closes each get MailboxClosed with their own message."""
    gate = asyncio.Event()
    log: Log = []
    agent = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
    agent.send_nowait("first")

    async def send(message: object) -> object:
        try:
            await agent.send(unchecked(message))
        except remuda.MailboxClosed as error:
            return error.message
        return "sent"

    async def sender(mailbox: remuda.Mailbox[Any], message: object) -> object:
        return await send(message)

    messages = [object() for _ in range(3)]
    tasks = [asyncio.create_task(send(message)) for message in messages]
    senders = [runtime.spawn(sender, unchecked(message)) for message in messages]
    await settle(runtime)
    end = agent.stop()
    assert await asyncio.gather(*tasks) == messages
    assert [await sender for sender in senders] == messages
    gate.set()
    await end
    assert log == ["first"]


@in_runtime
async def test_a_cancelled_send_is_withdrawn(runtime: remuda.Runtime) -> None:
    """A waiting send that is cancelled delivers nothing, and the others keep their order."""
    log: Log = []
    gate = asyncio.Event()
    agent = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
    agent.send_nowait(0)

    async def send(number: int) -> None:
        await agent.send(number)

    tasks = [asyncio.create_task(send(number)) for number in range(1, 6)]
    await settle(runtime)
    tasks[1].cancel()
    tasks[3].cancel()
    await settle(runtime)
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await agent.stop()
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert log == [0, 1, 3, 5]


@in_runtime
async def test_an_agent_sends_to_itself_past_the_bound(runtime: remuda.Runtime) -> None:
    """A send to oneself never waits: nobody else could make room."""

    async def selfish(mailbox: remuda.Mailbox[int]) -> int:
        for number in range(10):
            await mailbox.me.send(number)
            mailbox.me.send_nowait(number)
        return len(mailbox)

    assert await runtime.spawn(selfish, mailbox=3) == 20


@pytest.mark.parametrize("kind", ["send", "ask"])
def test_what_is_not_awaited_is_not_sent(kind: str) -> None:
    """A send or ask that nobody awaits does nothing, and a RuntimeWarning says so."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        log: Log = []
        agent = runtime.spawn(collect, unchecked(log))
        with pytest.warns(RuntimeWarning, match=f"{kind} was never awaited"):
            getattr(agent, kind)("lost")
            gc.collect()
        await agent.stop()
        assert log == []

    check()


@pytest.mark.parametrize("kind", ["send", "ask"])
@pytest.mark.parametrize("mode", ["always", "error", "ignore"])
def test_an_unawaited_send_leaves_the_exception_that_is_raised(
    kind: str, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send that is dropped while an exception unwinds warns, and leaves that exception as it is."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: unraisable.append(told.exc_type))

    def take(*arguments: object) -> None:
        raise AssertionError("never called")

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(collect, unchecked([]))
        with warnings.catch_warnings(record=True) as told, pytest.raises(ZeroDivisionError):
            warnings.simplefilter(mode)
            take(getattr(agent, kind)(1), 1 / 0)
        assert len(told) == (mode == "always")

    check()
    assert unraisable == ([RuntimeWarning] if mode == "error" else [])


@in_runtime
async def test_a_send_is_awaited_once(runtime: remuda.Runtime) -> None:
    """Awaiting a send again is an error; the message is delivered once."""
    log: Log = []
    agent = runtime.spawn(collect, unchecked(log))
    send = agent.send("once")
    await send
    with pytest.raises(remuda.errors.AlreadyAwaited, match="make a new one"):
        await send
    await agent.stop()
    assert log == ["once"]


@in_runtime
async def test_two_tasks_can_not_await_one_send(runtime: remuda.Runtime) -> None:
    """The second task that awaits a waiting send, or ask, is told at once; the first one goes on waiting."""

    async def wait_for(what: Any) -> Any:
        return await what

    gate = asyncio.Event()
    for kind in ("send", "ask"):
        gate.clear()
        agent = runtime.spawn(answer_after, unchecked(gate), mailbox=1, pinned=True)
        agent.send_nowait("fills it")
        what = getattr(agent, kind)("waits")
        first = asyncio.create_task(wait_for(what))
        await settle(runtime)
        with pytest.raises(remuda.errors.AlreadyAwaited):
            await what
        assert not first.done()
        gate.set()
        assert await first == (None if kind == "send" else "waits")


@in_runtime
async def test_messages_of_a_dead_agent_are_dead_letters(runtime: remuda.Runtime) -> None:
    """What is left in a mailbox when its agent ends is counted, kept for a look, and told to listeners."""
    heard: list[remuda.DeadLetter] = []
    unsubscribe = runtime.on_dead_letter(heard.append)

    async def one(mailbox: remuda.Mailbox[str]) -> str:
        return await mailbox.recv()

    agent = runtime.spawn(one, pinned=True)
    for message in ("first", "second", "third"):
        agent.send_nowait(message)
    assert await agent == "first"
    assert [letter.message for letter in heard] == ["second", "third"]
    assert runtime.dead_letters == tuple(heard)
    assert all(letter.agent == agent.name for letter in heard)
    assert runtime.statistics().dead_letters == 2
    assert agent.statistics().delivered == 1
    unsubscribe()
    last = runtime.spawn(one, pinned=True)
    last.send_nowait("a")
    last.send_nowait("b")
    await last
    assert len(heard) == 2
    assert runtime.statistics().dead_letters == 3


@in_runtime
async def test_a_listener_that_raises_harms_nobody(runtime: remuda.Runtime) -> None:
    """An error of a listener goes to the loop's exception handler, and harms neither message nor other listeners."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    heard: list[object] = []

    def broken(event: object) -> None:
        raise ZeroDivisionError

    runtime.on_dead_letter(broken)
    runtime.on_dead_letter(heard.append)
    runtime.on_watermark(broken)
    runtime.on_watermark(heard.append)
    agent = runtime.spawn(
        hold,
        unchecked(asyncio.Event()),
        unchecked([]),
        mailbox=1,
        overflow="drop_newest",
        pinned=True,
    )
    agent.send_nowait("kept")
    agent.send_nowait("dropped")
    agent.kill()
    await settle(runtime)
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError] * 3
    assert len(heard) == 3
