"""What many tests need: a runtime to run in, and waiting until there is nothing more to run."""

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from typing import Any, overload

import pytest
import uvloop

import remuda
from remuda import unchecked

Log = list[Any]


@overload
def in_runtime(test: Callable[..., Coroutine[Any, Any, None]], /) -> Any: ...
@overload
def in_runtime(**options: Any) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Any]: ...
def in_runtime(test: Callable[..., Coroutine[Any, Any, None]] | None = None, **options: Any) -> Any:
    """Makes a test out of `async def test(runtime, ...)`: it runs inside the block of a runtime with these options."""
    if test is None:
        return functools.partial(in_runtime, **options)
    wrapped = test

    async def main(arguments: dict[str, Any]) -> None:
        async with remuda.Runtime(**options) as runtime:
            await asyncio.wait_for(wrapped(runtime, **arguments), 30)

    @functools.wraps(wrapped)
    def run(**arguments: Any) -> None:
        remuda.run(main(arguments))

    signature = inspect.signature(wrapped)
    parameters = [p for p in signature.parameters.values() if p.name != "runtime"]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # for pytest
    return run


async def settle(runtime: remuda.Runtime, turns: int = 3) -> None:
    """Turns the loop until the runtime has nothing more to run: no time passes."""
    quiet = 0
    runs = -1
    while quiet < turns:
        await asyncio.sleep(0)
        if len(runtime.statistics().workers) > 1:
            await runtime._next_quiet(now=True)
        now = runtime.statistics().runs
        quiet = quiet + 1 if now == runs else 0
        runs = now


async def collect(mailbox: remuda.Mailbox[Any], log: Log) -> None:
    """An agent that keeps what it gets."""
    async for message in mailbox:
        log.append(message)


async def hold(mailbox: remuda.Mailbox[Any], gate: asyncio.Event, log: Log) -> None:
    """An agent that receives nothing before the gate opens, and then keeps what it gets."""
    await gate.wait()
    async for message in mailbox:
        log.append(message)


async def echo(mailbox: remuda.Mailbox[Any]) -> None:
    """An agent that answers each request with what was asked."""
    async for message in mailbox:
        if isinstance(message, remuda.Request):
            message.reply(unchecked(message.message))


async def answer_after(mailbox: remuda.Mailbox[Any], gate: asyncio.Event) -> None:
    """An agent that does nothing before the gate opens, and then answers each request with what was asked."""
    await gate.wait()
    await echo(mailbox)


def eager_loop() -> asyncio.AbstractEventLoop:
    """A loop whose tasks begin to run where they are made."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # since 3.12
    return loop


def debug_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


LOOPS: list[Any] = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(debug_loop, id="debug"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
    pytest.param(
        eager_loop,
        id="eager",
        marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has it since 3.12"),
    ),
]


class Performer(remuda.Agent[Callable[[], Coroutine[Any, Any, None]]]):
    """An agent with `receive`, which runs the coroutine functions that it gets."""

    async def receive(self, message: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await message()
        agent = remuda.current_agent()
        assert agent is not None
        agent.stop()


def in_an_agent(test: Callable[[], Coroutine[Any, Any, None]]) -> Any:
    """Makes a test out of `async def test()`: agents of both forms run it, on each kind of loop."""

    @pytest.mark.parametrize("loop_factory", LOOPS)
    @pytest.mark.parametrize("form", ["function", "receive"])
    @functools.wraps(test)
    def run(form: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        async def behaviour(mailbox: remuda.Mailbox[Any]) -> None:
            await test()

        async def main() -> None:
            async with remuda.Runtime() as runtime:
                if form == "function":
                    agent = runtime.spawn(behaviour, pinned=True)
                else:
                    agent = runtime.spawn(Performer, pinned=True)
                    agent.send_nowait(test)
                await asyncio.wait_for(agent, 30)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())

    del run.__wrapped__  # pytest would take its signature
    return run
