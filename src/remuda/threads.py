"""Running functions that block in threads, from agents and tasks of any event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["to_thread"]

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 32
"""How many threads there are for all event loops together."""


async def to_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function in a thread, in a copy of the caller's context, and waits for what it returns.

    Other than `asyncio.to_thread`, whose threads are those of one event loop, this has at most 32 threads for all event
    loops of the process: the workers of a runtime share them. Functions beyond that wait for their turn. Neither the
    event loop nor other agents of the worker wait; the agent that waits stays with its worker from then on.

    To cancel who waits doesn't stop the function: what it returns is dropped.

    Args:
        function: What to run.
        args: Its arguments.
        kwargs: Its keyword arguments.

    Returns:
        What the function returns.

    Raises:
        Exception: What the function raises.

    Examples:
        >>> import asyncio, remuda
        >>> async def summer(mailbox: remuda.Mailbox[list[int]]) -> int:
        ...     return await remuda.to_thread(sum, await mailbox.recv())
        >>> async def main() -> int:
        ...     async with remuda.Runtime() as runtime:
        ...         agent = runtime.spawn(summer)
        ...         await agent.send(remuda.iso([1, 2, 3]))
        ...         return await agent
        >>> asyncio.run(main())
        6
    """
    context = contextvars.copy_context()
    call = functools.partial(context.run, function, *args, **kwargs)
    # From an empty context: without a GIL a thread inherits that of who starts it, and keeps what is in it, a runtime.
    loop = asyncio.get_running_loop()
    return await contextvars.Context().run(lambda: loop.run_in_executor(_threads(), call))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_MOST, thread_name_prefix="remuda-to-thread")


if hasattr(os, "register_at_fork"):
    # The threads are the parent's.
    os.register_at_fork(after_in_child=_threads.cache_clear)
