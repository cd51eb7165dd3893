"""What many tests need: a runtime to run in, and waiting until there is nothing more to run."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import remuda

Log = list[Any]


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
            message.reply(message.message)


async def answer_after(mailbox: remuda.Mailbox[Any], gate: asyncio.Event) -> None:
    """An agent that does nothing before the gate opens, and then answers each request with what was asked."""
    await gate.wait()
    await echo(mailbox)
