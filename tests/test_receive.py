"""The receiving side: recv, iteration, looking without waiting, and who may do it."""

import asyncio
import weakref
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, collect, in_runtime, settle


class Message:
    """A message that can be watched by a weak reference."""


@in_runtime(workers=1)
async def test_iteration_ends_when_the_mailbox_closes(runtime: remuda.Runtime) -> None:
    """`async for` hands over what is in a closed mailbox, and ends."""
    log: Log = []

    async def behaviour(mailbox: remuda.Mailbox[int]) -> str:
        async for message in mailbox:
            log.append((message, mailbox.closed))
        return "after"

    agent = runtime.spawn(behaviour)
    agent.send_nowait(1)
    agent.send_nowait(2)
    await agent.stop()
    assert log == [(1, True), (2, True)]
    assert await agent == "after"


@in_runtime
async def test_recv_raises_when_there_will_be_nothing(runtime: remuda.Runtime) -> None:
    """`recv` raises MailboxClosed at the end, and an agent that leaves by it has ended well."""

    async def catches(mailbox: remuda.Mailbox[int]) -> str:
        try:
            while True:
                await mailbox.recv()
        except remuda.MailboxClosed as error:
            assert error.agent is mailbox.me
            return "closed"

    async def leaves(mailbox: remuda.Mailbox[int]) -> None:
        while True:
            await mailbox.recv()

    first, second = runtime.spawn(catches), runtime.spawn(leaves)
    await first.stop()
    await second.stop()
    assert await first == "closed"
    assert await second is None
    assert runtime.statistics().failed == 0


@in_runtime(workers=1)
async def test_recv_nowait_looks_without_waiting(runtime: remuda.Runtime) -> None:
    """`recv_nowait` takes what is there, and says so if there is nothing, or will be nothing."""

    async def behaviour(mailbox: remuda.Mailbox[int]) -> remuda.Iso[list[Any]]:
        found: list[Any] = [mailbox.recv_nowait(), len(mailbox)]
        try:
            mailbox.recv_nowait()
        except remuda.MailboxEmpty as error:
            found.append(str(error))
        mailbox.me.stop()
        try:
            mailbox.recv_nowait()
        except remuda.MailboxClosed:
            found.append("closed")
        return remuda.iso([*found, bool(mailbox)])

    agent = runtime.spawn(behaviour, name="looker")
    agent.send_nowait(7)
    assert await agent == [7, 0, "expected a message for looker, found none", "closed", True]


@in_runtime(workers=1)
async def test_a_mailbox_knows_its_agent_and_its_numbers(runtime: remuda.Runtime) -> None:
    """`me`, `len` and `statistics` tell of the mailbox's agent."""

    async def behaviour(mailbox: remuda.Mailbox[int]) -> remuda.MailboxStatistics:
        await mailbox.recv()
        assert mailbox.me.name == "me"
        assert "me" in repr(mailbox)
        return mailbox.statistics()

    agent = runtime.spawn(behaviour, mailbox=20, high=10, low=3, name="me")
    for number in range(4):
        agent.send_nowait(number)
    found = await agent
    assert (found.depth, found.capacity, found.high, found.low) == (3, 20, 10, 3)
    assert (found.received, found.delivered, found.dropped) == (4, 1, 0)
    assert (found.waiting, found.above_high, found.closed) == (0, False, False)


@in_runtime
async def test_only_the_owner_reads_a_mailbox(runtime: remuda.Runtime) -> None:
    """An agent that gets hold of another's mailbox can't take its messages."""
    boxes: list[remuda.Mailbox[str]] = []
    log: Log = []

    async def careless(mailbox: remuda.Mailbox[str]) -> None:
        boxes.append(mailbox)
        async for message in mailbox:
            log.append(message)

    async def thief(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[list[type]]:
        errors: list[type] = []
        for steal in (boxes[0].recv, boxes[0].__anext__):
            try:
                await steal()
            except remuda.errors.NotTheOwner as error:
                assert "careless" in str(error)
                errors.append(type(error))
        try:
            boxes[0].recv_nowait()
        except remuda.errors.NotTheOwner as error:
            errors.append(type(error))
        return remuda.iso(errors)

    agent = runtime.spawn(careless)
    agent.send_nowait("mine")
    await settle(runtime)
    assert await runtime.spawn(thief) == [remuda.errors.NotTheOwner] * 3
    agent.send_nowait("still mine")
    await agent.stop()
    assert log == ["mine", "still mine"]


@in_runtime
async def test_a_mailbox_is_read_in_its_own_loop(runtime: remuda.Runtime) -> None:
    """A task of another loop can't wait for an agent's messages."""
    boxes: list[remuda.Mailbox[str]] = []

    async def careless(mailbox: remuda.Mailbox[str]) -> None:
        boxes.append(mailbox)
        await mailbox.recv()

    async def elsewhere() -> None:
        await boxes[0].recv()

    agent = runtime.spawn(careless)
    await settle(runtime)
    with pytest.raises(remuda.errors.NotTheOwner, match="event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    agent.send_nowait("done")
    await agent


@in_runtime
async def test_a_task_of_the_agent_may_read_its_mailbox(runtime: remuda.Runtime) -> None:
    """Tasks that an agent starts read its mailbox, one at a time."""
    log: Log = []

    async def parent(mailbox: remuda.Mailbox[int]) -> None:
        async def reader() -> None:
            async for message in mailbox:
                log.append(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(reader())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            with pytest.raises(remuda.errors.NotTheOwner, match="one reader at a time"):
                await mailbox.recv()

    agent = runtime.spawn(parent)
    await settle(runtime)
    for number in range(5):
        await agent.send(number)
    await agent.stop()
    assert log == list(range(5))


@in_runtime
async def test_a_cancelled_reader_leaves_the_next_one_registered(runtime: remuda.Runtime) -> None:
    """A task that was woken and then cancelled doesn't take away the place of the task that waits after it."""
    log: Log = []
    ready = asyncio.Event()

    async def group(mailbox: remuda.Mailbox[str]) -> None:
        async def first() -> None:
            await mailbox.recv()

        async def second() -> None:
            log.append(await mailbox.recv())  # what woke the first
            one.cancel()
            ready.set()
            log.append(await mailbox.recv())

        one = asyncio.create_task(first())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        two = asyncio.create_task(second())
        mailbox.me.send_nowait("first")
        await asyncio.wait_for(two, 5)

    agent = runtime.spawn(group)
    await asyncio.wait_for(ready.wait(), 5)
    await settle(runtime)
    agent.send_nowait("second")
    await agent
    assert log == ["first", "second"]


@in_runtime
async def test_a_cancelled_recv_loses_nothing(runtime: remuda.Runtime) -> None:
    """`wait_for(mailbox.recv(), ...)` that times out leaves the mailbox as it was."""

    async def behaviour(mailbox: remuda.Mailbox[str]) -> remuda.Iso[list[str]]:
        log: list[str] = []
        for _ in range(3):
            try:
                await asyncio.wait_for(mailbox.recv(), 0.001)
            except TimeoutError:
                log.append("timeout")
        mailbox.me.send_nowait("a")
        log.append(await asyncio.wait_for(mailbox.recv(), 5))
        async with asyncio.timeout(5):
            mailbox.me.send_nowait("b")
            log.append(await mailbox.recv())
        return remuda.iso(log)

    assert await runtime.spawn(behaviour) == ["timeout"] * 3 + ["a", "b"]


@in_runtime(workers=1)
async def test_no_message_is_kept_alive(runtime: remuda.Runtime) -> None:
    """When its receiver has dropped a message and lets others run, nothing else holds it."""
    alive: list[Any] = []

    async def behaviour(mailbox: remuda.Mailbox[Message], every: int) -> None:
        seen = []
        count = 0
        async for message in mailbox:
            seen.append(weakref.ref(message))
            del message
            count += 1
            if count % every == 0:
                await asyncio.sleep(0)
                alive.extend(reference() for reference in seen)

    for every in (1, 2, 5):
        agent = runtime.spawn(behaviour, every)
        for _ in range(10):
            await agent.send(unchecked(Message()))
        await agent.stop()
    assert len(alive) > 30
    assert not any(alive)


@in_runtime
async def test_a_message_of_a_dropped_send_is_freed_at_once(runtime: remuda.Runtime) -> None:
    """A send that is dropped lets go of its message and its agent there and then."""
    agent = runtime.spawn(collect, unchecked([]))
    message = Message()
    reference = weakref.ref(message)
    with pytest.warns(RuntimeWarning, match="never awaited"):
        send = agent.send(message)
        del message, send
    assert reference() is None


@in_runtime(workers=1)
async def test_a_budget_lets_others_run(runtime: remuda.Runtime) -> None:
    """A full mailbox does not keep the loop, nor other agents, from running."""
    log: Log = []

    async def glutton(mailbox: remuda.Mailbox[int]) -> None:
        async for _ in mailbox:
            log.append("glutton")

    async def other(mailbox: remuda.Mailbox[int]) -> None:
        await mailbox.recv()
        log.append("other")

    first, second = runtime.spawn(glutton, mailbox=10_000), runtime.spawn(other)
    for number in range(10_000):
        first.send_nowait(number)
    second.send_nowait(0)
    await first.stop()
    assert len(log) == 10_001
    assert log.index("other") <= 300
