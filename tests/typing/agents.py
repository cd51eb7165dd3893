"""Never run: `make check` sees here what type checkers accept and refuse.

A line that must be refused says to each of them which error it expects: `type: ignore[...]` is for mypy, and here, by
`pyproject.toml`, for mypy only; `pyright: ignore[...]` is for pyright. Any other error is reported, and if there is
none, the comment is called needless.
"""

from collections.abc import Awaitable
from typing import Any, assert_type

import remuda


async def adder(mailbox: remuda.Mailbox[int], start: int, factor: float) -> float:
    total = float(start)
    async for message in mailbox:
        assert_type(message, int)
        total += factor * message
    assert_type(await mailbox.recv(), int)
    assert_type(mailbox.recv_nowait(), int)
    assert_type(mailbox.me, remuda.AgentRef[int])
    return total


async def counter(mailbox: remuda.Mailbox[int | remuda.Request[str, int]]) -> None:
    async for message in mailbox:
        if isinstance(message, remuda.Request):
            assert_type(message.message, str)
            message.reply(len(message.message))
            message.reply("three")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the answer is an int


class Doubler(remuda.Agent[int]):
    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def receive(self, message: int) -> int:
        assert_type(self.me, remuda.AgentRef[int])
        return self.factor * message


class Waiter(remuda.Agent[str]):
    async def receive(self, message: str) -> str:
        return message


class Unrelated:
    """Not a subclass of Agent: what counts is `receive`."""

    def receive(self, message: bytes) -> None: ...


class Forgetful(remuda.Agent[int]):
    """An agent without `receive`."""


async def none() -> None: ...


def plain(mailbox: remuda.Mailbox[int]) -> None: ...


async def spawns(runtime: remuda.Runtime) -> None:
    assert_type(runtime.spawn(adder, 1, 2.0), remuda.AgentRef[int])
    assert_type(
        runtime.spawn(adder, 1, 2.0, mailbox=10, low=1, overflow="fail"), remuda.AgentRef[int]
    )
    assert_type(runtime.spawn(Doubler, 3), remuda.AgentRef[int])
    assert_type(runtime.spawn(Doubler()), remuda.AgentRef[int])
    assert_type(runtime.spawn(Waiter), remuda.AgentRef[str])
    assert_type(runtime.spawn(Unrelated), remuda.AgentRef[bytes])
    assert_type(remuda.spawn(adder, 1, 2.0), remuda.AgentRef[int])
    assert_type(remuda.spawn(Doubler, 3), remuda.AgentRef[int])

    runtime.spawn(adder)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # two arguments are missing
    runtime.spawn(adder, "one", 2.0)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the first one is an int
    runtime.spawn(Doubler, "three")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the factor is an int
    runtime.spawn(none)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes no mailbox
    runtime.spawn(plain)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it is no async function
    runtime.spawn(adder, 1, 2.0, overflow="drop")  # type: ignore[call-arg, call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # there is no such policy
    runtime.spawn(Forgetful())  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]  # it has no receive
    runtime.spawn(object())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it has no receive


async def sends(agent: remuda.AgentRef[int], either: remuda.AgentRef[int | str]) -> None:
    assert_type(agent.send(1), Awaitable[None])
    agent.send_nowait(1)
    remuda.signal(agent, 1)
    narrower: remuda.AgentRef[int] = either
    narrower.send_nowait(1)

    agent.send("one")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes int
    agent.send_nowait("one")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes int
    remuda.signal(agent, "one")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes int
    wider: remuda.AgentRef[int | str] = agent  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it doesn't take str
    wider.send_nowait(1)


async def asks(runtime: remuda.Runtime) -> None:
    lengths = runtime.spawn(counter)
    assert_type(await lengths.ask("three"), int)
    assert_type(await lengths.ask("three", timeout=1.0), int)
    doubler = runtime.spawn(Doubler)
    assert_type(await doubler.ask(1), Any)

    await lengths.ask(b"three")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it is asked with str
    await doubler.ask("one")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes int


async def ends(agent: remuda.AgentRef[int]) -> None:
    assert_type(await agent.stop(), None)
    assert_type(agent.kill(), bool)
    assert_type(agent.cancel("why"), bool)
    assert_type(agent.name, str)
    assert_type(agent.statistics(), remuda.MailboxStatistics)
    assert_type(remuda.current_runtime(), remuda.Runtime)
    assert_type(await remuda.Runtime().stop(), remuda.StopReport)


def runs() -> None:
    async def main() -> int:
        return 1

    assert_type(remuda.run(main()), int)
