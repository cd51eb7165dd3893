"""Requests and their answers: reply, failure, time-outs, and everything that can go wrong in between."""

import asyncio
import gc
import threading
from typing import Any

import pytest

import remuda
from remuda import unchecked
from tests.support import Log, answer_after, collect, echo, in_runtime, settle


@in_runtime
async def test_an_agent_replies(runtime: remuda.Runtime) -> None:
    """`ask` returns what `reply` was given, to agents and to plain tasks."""
    server = runtime.spawn(echo)

    async def client(mailbox: remuda.Mailbox[Any]) -> Any:
        return await server.ask("from an agent")

    message = object()
    assert await server.ask(unchecked(message)) is message
    assert await server.ask(None) is None
    assert await runtime.spawn(client) == "from an agent"


@in_runtime
async def test_a_request_can_be_failed(runtime: remuda.Runtime) -> None:
    """`fail` makes `ask` raise that exception; a class is instantiated; anything else is a TypeError."""

    async def refuse(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            with pytest.raises(TypeError, match="got int"):
                request.fail(42)
            request.fail(request.message)

    agent = runtime.spawn(refuse)
    with pytest.raises(ZeroDivisionError, match="mine"):
        await agent.ask(unchecked(ZeroDivisionError("mine")))
    with pytest.raises(KeyError):
        await agent.ask(KeyError)
    agent.kill()


@in_runtime
async def test_one_answer_to_a_request(runtime: remuda.Runtime) -> None:
    """The second `reply` or `fail` is an error of the agent that gives it; the first one counts."""
    log: Log = []

    async def talkative(mailbox: remuda.Mailbox[Any]) -> None:
        request = await mailbox.recv()
        assert not request.answered
        assert request.reply("first") is True
        assert request.answered
        with pytest.raises(remuda.errors.AlreadyReplied):
            request.reply("second")
        with pytest.raises(remuda.errors.AlreadyReplied):
            request.fail(ValueError())
        log.append("refused")

    agent = runtime.spawn(talkative)
    assert await agent.ask("question") == "first"
    await agent
    assert log == ["refused"]


@in_runtime
async def test_a_late_answer_is_ignored(runtime: remuda.Runtime) -> None:
    """After the time-out a reply says that nobody waits, and harms nobody."""
    replied: Log = []
    requests: list[remuda.Request[Any, Any]] = []

    async def slow(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            requests.append(request)

    agent = runtime.spawn(slow, name="slow")
    with pytest.raises(remuda.AskTimeout, match=r"slow within 0\.001 s"):
        await agent.ask("question", timeout=0.001)
    with pytest.raises(TimeoutError):
        await agent.ask("question", timeout=0)
    assert all(request.answered for request in requests)
    replied.extend(request.reply("late") for request in requests)
    assert replied == [False] * len(requests)


@in_runtime
async def test_an_ask_times_out_before_there_is_room(runtime: remuda.Runtime) -> None:
    """The clock of `ask(timeout=)` runs while the request waits for room, which is then withdrawn."""
    gate = asyncio.Event()
    agent = runtime.spawn(answer_after, unchecked(gate), mailbox=1, pinned=True)
    agent.send_nowait("fills it")
    with pytest.raises(remuda.AskTimeout):
        await agent.ask("question", timeout=0.001)
    assert agent.statistics().waiting == 0
    gate.set()
    assert await agent.ask("again") == "again"
    assert agent.statistics().received == 2


@pytest.mark.parametrize("timeout", [-1, float("nan"), 10**400])
def test_a_time_out_is_not_negative(timeout: float) -> None:
    """A time-out that makes no sense is refused when the ask is made."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(echo)
        with pytest.raises(ValueError, match="timeout >= 0"):
            agent.ask("question", timeout=timeout)

    check()


@in_runtime
async def test_a_dropped_request_is_answered_with_no_reply(runtime: remuda.Runtime) -> None:
    """Whoever asks is told when the agent lets go of the request and lives on."""

    async def forgetful(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            del request

    agent = runtime.spawn(forgetful)
    for _ in range(3):
        with pytest.raises(remuda.NoReply, match="dropped without reply"):
            await agent.ask("question")


@in_runtime
async def test_a_request_that_is_dropped_by_an_error_is_answered(runtime: remuda.Runtime) -> None:
    """A request that goes while an exception unwinds in the agent fails, and the exception is left alone."""

    def take(*arguments: object) -> None:
        raise AssertionError("never called")

    async def careful(mailbox: remuda.Mailbox[Any]) -> None:
        while True:
            try:
                take(await mailbox.recv(), 1 / 0)
            except ZeroDivisionError:
                continue

    agent = runtime.spawn(careful)
    with pytest.raises(remuda.NoReply):
        await agent.ask("question", timeout=10)


class Raises:
    def receive(self, message: str) -> None:
        raise ZeroDivisionError(message)


class RaisesLater:
    async def receive(self, message: str) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError(message)


async def raises(mailbox: remuda.Mailbox[Any]) -> None:
    request = await mailbox.recv()
    raise ZeroDivisionError(request.message)


@pytest.mark.parametrize("behaviour", [raises, Raises, RaisesLater])
def test_an_agent_that_fails_fails_what_it_was_asked(
    behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asked an agent that raises gets AgentFailed, with the agent's error as its cause."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agent = runtime.spawn(behaviour, name="unlucky", pinned=True)
        first = asyncio.ensure_future(agent.ask("first"))
        second = asyncio.ensure_future(agent.ask("second"))
        with pytest.raises(remuda.AgentFailed, match="unlucky") as caught:
            await first
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert caught.value.agent is agent
        with pytest.raises(remuda.AgentFailed):
            await second
        with pytest.raises(ZeroDivisionError, match="first"):
            await agent
        with pytest.raises(remuda.MailboxClosed, match="has failed"):
            await agent.ask("third")

    check()
    assert "agent unlucky failed" in caplog.text
    assert "ZeroDivisionError: first" in caplog.text


@in_runtime
async def test_a_stopped_agent_fails_what_is_left(runtime: remuda.Runtime) -> None:
    """Requests that an agent leaves behind when it ends fail, and are dead letters."""

    async def one(mailbox: remuda.Mailbox[Any]) -> None:
        (await mailbox.recv()).reply("answered")

    agent = runtime.spawn(one, pinned=True)  # it must not end before the second is sent
    first = asyncio.ensure_future(agent.ask("first"))
    second = asyncio.ensure_future(agent.ask("second"))
    assert await first == "answered"
    with pytest.raises(remuda.AgentFailed, match="it ended before"):
        await second
    assert [letter.message for letter in runtime.dead_letters] == ["second"]


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_a_request_dropped_by_policy_fails(policy: Any) -> None:
    """A request that a full mailbox drops is answered with NoReply, and its message is a dead letter."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        gate = asyncio.Event()
        agent = runtime.spawn(
            answer_after, unchecked(gate), mailbox=1, overflow=policy, pinned=True
        )
        first = asyncio.ensure_future(agent.ask("first"))
        await settle(runtime)
        second = asyncio.ensure_future(agent.ask("second"))
        await settle(runtime)
        dropped, kept = (second, first) if policy == "drop_newest" else (first, second)
        with pytest.raises(remuda.NoReply, match="full mailbox"):
            await dropped
        gate.set()
        assert await kept == ("first" if kept is first else "second")
        assert [letter.message for letter in runtime.dead_letters] == [
            "second" if kept is first else "first"
        ]

    check()


@in_runtime
async def test_a_refused_ask_hands_the_message_back(runtime: remuda.Runtime) -> None:
    """What comes back from a failed ask is the asker's message, not the request around it."""
    agent = runtime.spawn(collect, unchecked([]))
    await agent.stop()
    message = object()
    with pytest.raises(remuda.MailboxClosed) as caught:
        await agent.ask(unchecked(message))
    assert caught.value.message is message


@in_runtime
async def test_a_request_may_be_forwarded(runtime: remuda.Runtime) -> None:
    """An agent may send a request on; whoever has it in the end answers."""

    async def forward(mailbox: remuda.Mailbox[Any], to: remuda.AgentRef[Any]) -> None:
        async for request in mailbox:
            await to.send(request)

    last = runtime.spawn(echo)
    first = runtime.spawn(forward, runtime.spawn(forward, last))
    assert await first.ask("question") == "question"

    async def client(mailbox: remuda.Mailbox[Any]) -> Any:
        return await first.ask("from an agent")

    assert await runtime.spawn(client) == "from an agent"


@in_runtime
async def test_a_forwarded_request_outlives_the_forwarder(runtime: remuda.Runtime) -> None:
    """If the agent that forwarded a request fails, the one that has it still answers."""
    gate = asyncio.Event()
    last = runtime.spawn(answer_after, unchecked(gate), pinned=True)

    async def forward_and_fail(mailbox: remuda.Mailbox[Any]) -> None:
        last.send_nowait(await mailbox.recv())
        await last.send("so that the request is received before this agent fails")
        mailbox.me.kill()

    first = runtime.spawn(forward_and_fail)
    asked = asyncio.ensure_future(first.ask("question"))
    await settle(runtime)
    gate.set()
    assert await asked == "question"


@in_runtime
async def test_a_cancelled_ask_is_forgotten(runtime: remuda.Runtime) -> None:
    """Cancelling the asker ends the request; the agent sees that nobody waits."""
    requests: list[Any] = []
    agent = runtime.spawn(collect, unchecked(requests))
    asked = asyncio.ensure_future(agent.ask("question"))
    await settle(runtime)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert requests[0].answered
    assert requests[0].reply("late") is False


@in_runtime
async def test_an_ask_is_awaited_once(runtime: remuda.Runtime) -> None:
    """The same ask can't be awaited again."""
    ask = runtime.spawn(echo).ask("question")
    assert await ask == "question"
    with pytest.raises(remuda.errors.AlreadyAwaited):
        await ask


@in_runtime
async def test_asks_can_be_gathered(runtime: remuda.Runtime) -> None:
    """Asks are awaitables like any other for gather, wait_for and timeouts."""
    agents = [runtime.spawn(echo) for _ in range(10)]
    assert await asyncio.gather(*[a.ask(n) for n, a in enumerate(agents)]) == list(range(10))
    assert await asyncio.wait_for(agents[0].ask("x"), 5) == "x"
    async with asyncio.timeout(5):
        assert await agents[0].ask("y", timeout=5) == "y"


@in_runtime
async def test_a_timer_is_cancelled_in_its_own_thread(runtime: remuda.Runtime) -> None:
    """The timer of an ask is touched by no other thread than that of the loop it belongs to."""
    agent = runtime.spawn(echo)
    threads: set[tuple[int, int]] = set()

    class Loop(asyncio.SelectorEventLoop):
        def call_later(  # type: ignore[override]  # whatever it is called with
            self, *arguments: Any, **keywords: Any
        ) -> Any:
            handle = super().call_later(*arguments, **keywords)
            owner = threading.get_ident()
            cancel = handle.cancel

            class Watched:
                def cancel(self) -> None:
                    threads.add((owner, threading.get_ident()))
                    cancel()

            return Watched()  # all of it that an ask needs

    async def elsewhere() -> list[Any]:
        return [await agent.ask(number, timeout=30) for number in range(20)]

    def run() -> list[Any]:
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(elsewhere())

    assert await asyncio.to_thread(run) == list(range(20))
    assert threads
    assert all(owner == caller for owner, caller in threads)


@in_runtime
async def test_requests_show_what_they_are(runtime: remuda.Runtime) -> None:
    """A request's repr tells the message and whether it is answered."""
    requests: list[Any] = []
    agent = runtime.spawn(collect, unchecked(requests))
    asked = asyncio.ensure_future(agent.ask("question"))
    await settle(runtime)
    assert repr(requests[0]) == "<Request 'question' waiting>"
    requests[0].reply(1)
    assert repr(requests[0]) == "<Request 'question' answered>"
    assert await asked == 1
    del requests[:]
    gc.collect()
