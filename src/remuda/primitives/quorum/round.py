"""Asking many at once, by one coroutine, without a task for each of them.

It polls every `Ask` once, which sends the request and registers whoever waits here; then it waits for all at once:

- An agent is scheduled by each answer. When it runs again it polls those asks that are still open, which finds the
  answers and registers it anew.
- For any other task each ask yields a future of the event loop. Their callbacks note which of them are done and open a
  gate, a future that the task waits for; only those asks are polled again, as one that still waits refuses to be.

Whatever ends the wait (enough votes, too few that could still come, an error, a cancellation), `finally` closes the
asks that are left. A closed ask takes its request back if that waits for room, and ignores its answer otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextvars import Context, copy_context
from typing import Any

from remuda._kernel import AgentRef
from remuda.errors import CapabilityError
from remuda.primitives.quorum.votes import Tally

__all__ = ["Round"]


class _Deadline:
    """One timer for all members, which ends the asks that are open. The caller may be on another loop by then."""

    __slots__ = ("_asks", "_handle", "_loop", "passed")

    def __init__(self, seconds: float, asks: tuple[Any, ...]) -> None:
        self.passed = False
        self._asks = asks
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        if seconds > 0:
            self._handle = self._loop.call_later(seconds, self.expire)
        else:
            self.expire()

    def expire(self) -> None:
        """Every ask that has no answer yet ends with `AskTimeout`, which wakes the caller."""
        self.passed = True
        for ask in self._asks:
            ask._expire()

    def cancel(self) -> None:
        """Stops the clock; an asyncio timer may only be stopped by the thread of its loop."""
        if self.passed or self._handle is None:
            return
        if asyncio._get_running_loop() is self._loop:
            self._handle.cancel()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._handle.cancel)


class Round:
    """Asks all members, and ends when the tally is decided."""

    __slots__ = ("_limits", "_members", "_request", "_tally", "_timeout")

    def __init__(
        self,
        members: tuple[AgentRef[Any], ...],
        request: Any,
        tally: Tally,
        timeout: float | None,
        limits: Mapping[AgentRef[Any], float],
    ) -> None:
        self._members = members
        self._request = request
        self._tally = tally
        self._timeout = timeout
        self._limits = limits

    def __await__(self) -> Generator[Any, Any, None]:
        members, tally, limits = self._members, self._tally, self._limits
        asks: dict[int, Any] = {
            place: member.ask(self._request, timeout=limits.get(member))
            for place, member in enumerate(members)
        }
        due = list(asks)
        deadline: _Deadline | None = None
        park: Any = None
        gate: asyncio.Future[None] | None = None
        waits: dict[asyncio.Future[None], int] = {}
        done: list[int] = []
        context: Context | None = None

        def woken(future: asyncio.Future[None]) -> None:
            done.append(waits.pop(future))
            if gate is not None and not gate.done():
                gate.set_result(None)

        try:
            while True:
                for place in due:
                    ask = asks[place]
                    try:
                        yielded = next(ask)
                    except StopIteration as stop:
                        del asks[place]
                        tally.vote(members[place], stop.value)
                    except (KeyboardInterrupt, SystemExit):
                        raise
                    except BaseException as error:  # a member may fail a request with any
                        del asks[place]
                        if ask._expired:
                            tally.time_out(members[place])
                        else:
                            self._note(members[place], error)
                    else:
                        blocking = getattr(yielded, "_asyncio_future_blocking", None)
                        if blocking is None:
                            park = yielded
                            continue
                        if context is None:
                            context = copy_context()
                        yielded._asyncio_future_blocking = False
                        waits[yielded] = place
                        yielded.add_done_callback(woken, context=context)
                        continue
                    # When the time is over all others are looked at too, to tell who had none left.
                    if tally.decided and (deadline is None or not deadline.passed):
                        return
                if tally.decided:
                    return
                if deadline is None and self._timeout is not None:
                    deadline = _Deadline(self._timeout, tuple(asks.values()))
                if park is not None:
                    # What is there already, if there is no time, is found by looking once more.
                    if deadline is None or not deadline.passed:
                        yield park
                    due = list(asks)
                    continue
                if not done:
                    gate = asyncio.get_running_loop().create_future()
                    yield from gate.__await__()
                    gate = None
                due, done = done, []
        finally:
            if deadline is not None:
                deadline.cancel()
            for future in waits:
                future.remove_done_callback(woken)
            waits.clear()
            for ask in asks.values():
                ask.close()

    def _note(self, member: AgentRef[Any], error: BaseException) -> None:
        """Counts a member's failure; a request that can't be sent is the caller's."""
        if isinstance(error, CapabilityError) and getattr(error, "message", None) is self._request:
            raise error
        if error.__traceback__ is not None:
            # Without the line here, through which the error would keep alive whatever this round knows.
            error.__traceback__ = error.__traceback__.tb_next
        self._tally.fail(member, error)
