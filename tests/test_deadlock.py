"""Circles of agents that wait for one another are named, and nothing else is taken for one."""

import asyncio
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, echo, in_runtime, settle


@in_runtime(workers=1)
async def test_full_mailboxes_in_a_circle(runtime: remuda.Runtime) -> None:
    """Two agents that send to each other's full mailbox: the one that closes the circle is told, with its message."""
    gate = asyncio.Event()
    found: list[remuda.DeadlockDetected] = []

    async def stubborn(mailbox: remuda.Mailbox[Any], others: list[Any], name: str) -> None:
        await gate.wait()
        try:
            await others[0].send(f"from {name}")
        except remuda.DeadlockDetected as error:
            found.append(error)
        async for _ in mailbox:
            pass

    first_box: list[Any] = []
    second_box: list[Any] = []
    first = runtime.spawn(stubborn, unchecked(first_box), "first", mailbox=1, name="first")
    second = runtime.spawn(stubborn, unchecked(second_box), "second", mailbox=1, name="second")
    first_box.append(second)
    second_box.append(first)
    first.send_nowait("fills it")
    second.send_nowait("fills it")
    gate.set()
    await settle(runtime)
    assert len(found) == 1
    assert set(found[0].agents) == {first, second}
    assert "first" in str(found[0])
    assert found[0].message in ("from first", "from second")


@in_runtime
async def test_asks_in_a_circle(runtime: remuda.Runtime) -> None:
    """A asks B, B asks C, C asks A: C is told, and its error travels back as the cause."""

    class Link:
        def __init__(self) -> None:
            self.next: remuda.AgentRef[Any] | None = None

        async def receive(self, message: str) -> Any:
            assert self.next is not None
            return await self.next.ask(message)

    links = [Link() for _ in range(3)]
    agents = [runtime.spawn(link, name=f"link {n}") for n, link in enumerate(links)]
    for link, following in zip(links, [*agents[1:], agents[0]], strict=True):
        link.next = following
    with pytest.raises(remuda.AgentFailed) as caught:
        await agents[0].ask("round")
    cause: BaseException = caught.value
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert isinstance(cause, remuda.DeadlockDetected)
    assert len(cause.agents) == 3


@in_runtime
async def test_awaiting_oneself_and_each_other(runtime: remuda.Runtime) -> None:
    """An agent that awaits itself, or one that awaits it, is told."""

    async def lonely(mailbox: remuda.Mailbox[Any]) -> str:
        with pytest.raises(remuda.DeadlockDetected, match="lonely"):
            await mailbox.me
        with pytest.raises(remuda.DeadlockDetected):
            await mailbox.me.ask("me")
        return "told"

    assert await runtime.spawn(lonely) == "told"

    async def pair(mailbox: remuda.Mailbox[remuda.AgentRef[Any]]) -> str:
        other = await mailbox.recv()
        try:
            await other
        except remuda.DeadlockDetected:
            return "told"
        return "other told"

    first, second = runtime.spawn(pair), runtime.spawn(pair)
    first.send_nowait(second)
    second.send_nowait(first)
    assert sorted([await first, await second]) == ["other told", "told"]


@in_runtime
async def test_who_was_answered_waits_no_more(runtime: remuda.Runtime) -> None:
    """An agent that replies and asks back at once is no circle, though the asker has not run yet."""

    async def polite(mailbox: remuda.Mailbox[Any]) -> Any:
        request = await mailbox.recv()
        request.reply("hi")
        return await request.message.ask("how are you?")

    async def asker(mailbox: remuda.Mailbox[Any], other: remuda.AgentRef[Any]) -> Any:
        answer = await other.ask(mailbox.me)
        (await mailbox.recv()).reply("fine")
        return answer

    other = runtime.spawn(polite)
    assert await runtime.spawn(asker, other) == "hi"
    assert await other == "fine"


@in_runtime
async def test_who_was_let_in_waits_no_more(runtime: remuda.Runtime) -> None:
    """A sender whose message was taken no longer waits, though it has not run yet; nor does one that was cancelled."""
    log: Log = []

    async def b(mailbox: remuda.Mailbox[Any], box: list[Any], gate: asyncio.Event) -> None:
        await gate.wait()
        await mailbox.recv()  # lets A in
        if box[1]:
            box[0].cancel()
            await mailbox.recv()
            await asyncio.sleep(0)
        await box[0].send("x")
        log.append("B sent")

    async def a(mailbox: remuda.Mailbox[Any], other: remuda.AgentRef[Any]) -> None:
        mailbox.me.send_nowait("fills it")
        try:
            await other.send(1)
            await other.send(2)  # waits
        except asyncio.CancelledError:
            mailbox.me.uncancel()
        async for message in mailbox:
            log.append(message)

    for cancelled in (False, True):
        log.clear()
        box: list[Any] = []
        gate = asyncio.Event()
        other = runtime.spawn(b, unchecked(box), unchecked(gate), mailbox=1, pinned=True)
        agent = runtime.spawn(a, other, mailbox=1)
        box.extend((agent, cancelled))
        await settle(runtime)
        gate.set()
        await other
        await agent.stop()
        assert sorted(log, key=str) == ["B sent", "fills it", "x"]


@in_runtime
async def test_an_agent_that_is_served_by_a_task_is_no_circle(runtime: remuda.Runtime) -> None:
    """An agent whose mailbox a task of its own reads may ask somebody who asks it back."""

    async def served(mailbox: remuda.Mailbox[Any], other: remuda.AgentRef[Any]) -> Any:
        async def serve() -> None:
            async for request in mailbox:
                request.reply("served")

        task = asyncio.create_task(serve())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answer = await other.ask(mailbox.me)
        task.cancel()
        return answer

    async def asks_back(mailbox: remuda.Mailbox[Any]) -> None:
        request = await mailbox.recv()
        request.reply(await request.message.ask("back"))

    assert await runtime.spawn(served, runtime.spawn(asks_back)) == "served"


@in_runtime
async def test_a_forwarded_request_is_no_circle(runtime: remuda.Runtime) -> None:
    """An agent may ask the forwarder of a request that it waits for itself, if somebody else has that request."""
    server = runtime.spawn(echo)

    async def forward(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            await server.send(request)

    forwarder = runtime.spawn(forward)

    async def client(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[list[Any]]:
        return remuda.iso([await forwarder.ask(number) for number in range(3)])

    clients = [runtime.spawn(client) for _ in range(5)]
    for agent in clients:
        assert await agent == [0, 1, 2]
