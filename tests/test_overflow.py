"""What a full mailbox does, and the watermarks that tell of it."""

import asyncio
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, answer_after, hold, in_runtime, settle


@in_runtime
async def test_wait_makes_send_wait_and_send_nowait_raise(runtime: remuda.Runtime) -> None:
    """The default policy: backpressure for those who can wait."""
    gate, log = asyncio.Event(), Log()
    agent = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=2, pinned=True)
    agent.send_nowait(0)
    await agent.send(1)
    with pytest.raises(remuda.MailboxFull):
        agent.send_nowait("no room")
    waiting = asyncio.ensure_future(agent.send(2))
    await settle(runtime)
    assert not waiting.done()
    gate.set()
    await waiting
    await agent.stop()
    assert log == [0, 1, 2]


@in_runtime
async def test_fail_raises_for_both(runtime: remuda.Runtime) -> None:
    """With "fail" nobody waits: send and send_nowait raise, and hand the message back."""
    agent = runtime.spawn(
        hold, unchecked(asyncio.Event()), unchecked([]), mailbox=1, overflow="fail", pinned=True
    )
    await agent.send("fits")
    message = object()
    with pytest.raises(remuda.MailboxFull) as caught:
        await agent.send(unchecked(message))
    assert caught.value.message is message
    with pytest.raises(remuda.MailboxFull):
        await agent.ask(unchecked(message))
    with pytest.raises(asyncio.QueueFull):
        agent.send_nowait(message)
    agent.kill()


@pytest.mark.parametrize(
    ("policy", "kept", "dropped"),
    [("drop_newest", [0, 1, 2], [3, 4, 5]), ("drop_oldest", [3, 4, 5], [0, 1, 2])],
)
def test_drop_policies_drop_and_count(policy: Any, kept: Log, dropped: Log) -> None:
    """What is dropped is a dead letter and is counted; the numbers add up."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        gate, log = asyncio.Event(), Log()
        agent = runtime.spawn(
            hold, unchecked(gate), unchecked(log), mailbox=3, overflow=policy, pinned=True
        )
        for number in range(3):
            agent.send_nowait(number)
        await agent.send(3)
        agent.send_nowait(4)
        remuda.signal(agent, 5)
        found = agent.statistics()
        assert (found.depth, found.dropped, found.overflow) == (3, 3, policy)
        gate.set()
        await agent.stop()
        assert log == kept
        assert [letter.message for letter in runtime.dead_letters] == dropped
        assert all("full mailbox" in letter.reason for letter in runtime.dead_letters)
        assert agent.statistics().delivered == 3

    check()


@in_runtime
async def test_senders_go_on_at_the_low_mark(runtime: remuda.Runtime) -> None:
    """Hysteresis: those who wait are let in when the depth has come down to the low mark, not before."""
    steps: asyncio.Queue[None] = asyncio.Queue()
    log: Log = []

    async def stepwise(mailbox: remuda.Mailbox[int]) -> None:
        while True:
            await steps.get()
            log.append(mailbox.recv_nowait())

    agent = runtime.spawn(stepwise, mailbox=8, low=2, pinned=True)
    for number in range(8):
        agent.send_nowait(number)
    waiting = asyncio.ensure_future(agent.send(8))
    await settle(runtime)
    for taken in range(1, 9):
        steps.put_nowait(None)
        await settle(runtime)
        assert waiting.done() == (8 - taken <= 2), f"after {taken}"
    steps.put_nowait(None)
    await settle(runtime)
    assert log == list(range(9))


@in_runtime
async def test_watermarks_tell_of_both_marks(runtime: remuda.Runtime) -> None:
    """One event when the depth reaches the high mark, one when it comes down to the low one, and none in between."""
    events: list[remuda.WatermarkEvent] = []
    unsubscribe = runtime.on_watermark(events.append)
    gate, log = asyncio.Event(), Log()
    agent = runtime.spawn(
        hold, unchecked(gate), unchecked(log), mailbox=10, high=6, low=2, pinned=True
    )
    for number in range(5):
        agent.send_nowait(number)
    assert events == []
    agent.send_nowait(5)
    agent.send_nowait(6)
    assert [(event.kind, event.depth) for event in events] == [("high", 6)]
    assert agent.statistics().above_high
    gate.set()
    await settle(runtime)
    assert [(event.kind, event.depth) for event in events] == [("high", 6), ("low", 2)]
    assert all(event.agent is agent for event in events)
    assert not agent.statistics().above_high
    unsubscribe()
    unsubscribe()  # harmless
    gate.clear()
    for number in range(7):
        agent.send_nowait(number)
    await agent.stop()
    assert len(events) == 2


@in_runtime
async def test_the_low_mark_is_told_before_senders_fill_the_mailbox_again(
    runtime: remuda.Runtime,
) -> None:
    """The depth of a low event is that at the mark, though waiting senders are let in at the same moment."""
    events: list[tuple[str, int]] = []
    runtime.on_watermark(lambda event: events.append((event.kind, event.depth)))
    gate, log = asyncio.Event(), Log()
    agent = runtime.spawn(
        hold, unchecked(gate), unchecked(log), mailbox=4, high=4, low=1, pinned=True
    )

    async def send(number: int) -> None:
        await agent.send(number)

    tasks = [asyncio.create_task(send(number)) for number in range(8)]
    await settle(runtime)
    gate.set()
    await asyncio.gather(*tasks)
    await agent.stop()
    assert events[:3] == [("high", 4), ("low", 1), ("high", 4)]
    assert log == list(range(8))


@in_runtime
async def test_replies_and_control_pass_a_full_mailbox(runtime: remuda.Runtime) -> None:
    """An agent with a full mailbox gets its answers, and can be stopped, cancelled and killed."""

    async def client(mailbox: remuda.Mailbox[Any], server: remuda.AgentRef[Any]) -> Any:
        return await server.ask("question")

    gate = asyncio.Event()
    server = runtime.spawn(answer_after, unchecked(gate), pinned=True)
    asker = runtime.spawn(client, server, mailbox=1)
    asker.send_nowait("fills it")
    gate.set()
    assert await asker == "question"

    for end in ("stop", "cancel", "kill"):
        full = runtime.spawn(
            hold, unchecked(asyncio.Event()), unchecked([]), mailbox=1, pinned=True
        )
        full.send_nowait("fills it")
        await settle(runtime)
        getattr(full, end)()
        if end == "stop":
            full.cancel()
        with pytest.raises((asyncio.CancelledError, remuda.AgentKilled)):
            await full
