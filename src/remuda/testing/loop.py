"""An event loop whose clock jumps, and which knows when nothing is left to do."""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from remuda.errors import NoRuntime, RemudaError

__all__ = ["DeterministicLoop", "Stuck", "wait_idle"]

T = TypeVar("T")


class Stuck(RemudaError):
    """Nothing is left to run, no timer is set, and nothing can come from outside: the program would wait for ever."""


class DeterministicLoop(asyncio.SelectorEventLoop):
    """An event loop in which the same seed makes the same things happen in the same order.

    - Runtimes that are started in it leave the scheduler's choices to the seed: which agent runs next, and for how many
      messages.
    - Its clock starts at 0 and stands still while there is something to do. When everything waits, it jumps to the
      next timer: a `sleep` of an hour takes no time. It also stands still while a thread works for
      `asyncio.to_thread`.

    While nothing but a socket could bring news, the program waits for it; but a time-out around such a wait runs out at
    once, as the clock jumps. What comes from outside (sockets, subprocesses, threads of your own) comes when it comes,
    and is not repeatable; nor is the order in which several threads end, or that of a `set` of objects, which Python
    takes from their addresses.

    Args:
        seed: Any number.
        patience: Seconds of real time to wait for what may come from outside, before `Stuck` is raised.
    """

    def __init__(self, seed: int, *, patience: float = 5.0) -> None:
        self.random = random.Random(seed)
        """Where everything that is left to chance in this loop should come from."""
        self._patience = patience
        self._now = 0.0
        self._threads = 0
        self._idle: list[asyncio.Future[None]] = []
        super().__init__(_Selector(self))

    def time(self) -> float:
        """The seconds on the loop's own clock."""
        return self._now

    def run_in_executor(  # type: ignore[override]  # typed as loosely as it is passed on
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> Any:
        """As in any loop; the clock stands still until the function has returned."""
        self._threads += 1
        try:
            future = super().run_in_executor(executor, func, *args)
        except BaseException:
            self._threads -= 1
            raise
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """As in any loop; the clock stands still until the threads have ended."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._threads -= 1

    def _thread_ended(self, _: object) -> None:
        self._threads -= 1

    def _wait(
        self, select: Callable[[float | None], list[Any]], timeout: float | None
    ) -> list[Any]:
        """What to do when nothing is ready: called in place of waiting for `timeout` seconds."""
        if self._threads:
            return select(None)
        waiters = [waiter for waiter in self._idle if not waiter.done()]
        self._idle.clear()
        if waiters:
            for waiter in waiters:
                waiter.set_result(None)
            return []
        if timeout is not None:
            self._now += timeout
            return []
        if self._selector_is_alone() and threading.active_count() == 1:
            raise Stuck(self._what_waits())
        events = select(self._patience)
        if not events:
            raise Stuck(self._what_waits())
        return events

    def _selector_is_alone(self) -> bool:
        """Whether nothing is watched but the loop's own means of waking it."""
        return len(self._selector.get_map()) <= 1  # type: ignore[attr-defined]  # asyncio's own

    def _what_waits(self) -> str:
        lines = [f"expected something to happen at {self._now:g} s, but everything waits:"]
        for task in sorted(asyncio.all_tasks(self), key=lambda task: task.get_name()):
            frames = task.get_stack(limit=1)
            where = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "no line"
            lines.append(f"  {task.get_name()}, in {where}")
        return "\n".join(lines)


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type,unused-ignore]  # differs by platform
    """Looks for events as any selector does, but lets the loop decide how to wait for them."""

    def __init__(self, loop: DeterministicLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        events: list[Any] = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        return self._loop._wait(super().select, timeout)


async def wait_idle() -> None:
    """Waits until everything else waits: no agent and no callback has anything to do, and no thread works.

    No time passes on the loop's clock: what sleeps, goes on sleeping.

    Raises:
        NoRuntime: The running loop is not one of `remuda.testing`.

    Examples:
        >>> import remuda
        >>> from remuda import testing
        >>> async def add(mailbox: remuda.Mailbox[int], numbers: list[int]) -> None:
        ...     async for number in mailbox:
        ...         numbers.append(number)
        >>> async def main() -> list[int]:
        ...     numbers: list[int] = []
        ...     async with remuda.Runtime() as runtime:
        ...         agent = runtime.spawn(add, remuda.unchecked(numbers))
        ...         agent.send_nowait(1)
        ...         await testing.wait_idle()
        ...         return list(numbers)
        >>> testing.run(main)
        [1]
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, DeterministicLoop):
        raise NoRuntime(
            f"expected a loop of remuda.testing, got {type(loop).__name__}: use testing.run or @testing.deterministic"
        )
    waiter = loop.create_future()
    loop._idle.append(waiter)
    await waiter
