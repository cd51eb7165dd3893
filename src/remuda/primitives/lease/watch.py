"""What happens to a lease by itself: it is renewed, or somebody is told that it expired.

Only leases with `renew` or `on_expire` have a watch. It lives in the event loop that acquired the lease, with one
timer: if that loop ends, renewal ends with it, and so does the lease.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from remuda.errors import LeaseError, StoreUnavailable
from remuda.primitives.lease.lease import Lease

__all__ = ["Watch"]

_JITTER = 0.1
"""How much earlier than at a third of the time a renewal may come, as a part of that third."""
_SOONEST = 0.001
"""Seconds until a timer looks again that came before the lease's clock says that it is over."""
_AGAIN = 8
"""A renewal that found the store away is tried again after this part of the TTL."""


class Watch:
    """The timer of a lease.

    Args:
        lease: The lease, which is held.
        loop: The running event loop.
        renew: Whether to renew it.
        on_expire: What to call with the lease when it has expired.
    """

    __slots__ = ("_lease", "_loop", "_on_expire", "_renew", "_renewal", "_timer")

    def __init__(
        self,
        lease: Lease,
        loop: asyncio.AbstractEventLoop,
        renew: bool,
        on_expire: Callable[[Lease], object] | None,
    ) -> None:
        self._lease = lease
        self._loop = loop
        self._renew = renew
        self._on_expire = on_expire
        self._renewal: asyncio.Task[None] | None = None
        self._timer = loop.call_later(self._pause(), self._look)

    def stop(self) -> None:
        """Ends it, from any thread: nothing is renewed and nobody told any more."""
        self._on_expire = None
        self._renew = False
        self._in_its_loop(self._stop)

    def rearm(self) -> None:
        """Sets its timer anew, from any thread: the lease was renewed."""
        self._in_its_loop(self._rearm)

    def lost(self) -> None:
        """Has it look at once, from any thread: somebody else found that the lease has expired."""
        self._in_its_loop(self._look)

    def _in_its_loop(self, function: Callable[[], None]) -> None:
        if asyncio._get_running_loop() is self._loop:
            self._loop.call_soon(function)
        else:
            with suppress(RuntimeError):  # the loop is closed, and its timers with it
                self._loop.call_soon_threadsafe(function)

    def _stop(self) -> None:
        self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()

    def _rearm(self) -> None:
        if self._renewal is None and not self._lease.expired:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._pause(), self._look)

    def _pause(self) -> float:
        """Seconds until there is something to do."""
        remaining = self._lease.remaining
        if not self._renew:
            return max(_SOONEST, remaining)
        # The loop's source of chance, if it has one, so that a run with a seed can be repeated.
        chance: random.Random = getattr(self._loop, "random", None) or _chance
        due = self._lease.ttl / 3 * (1 - _JITTER * chance.random())
        return max(_SOONEST, min(due, remaining))

    def _look(self) -> None:
        self._timer.cancel()
        lease = self._lease
        if lease._released:
            return
        if lease.expired:
            told, self._on_expire, self._renew = self._on_expire, None, False
            if self._renewal is not None:
                self._renewal.cancel()
            if told is not None:
                told(lease)  # an error goes to the event loop's exception handler
            return
        if self._renew and self._renewal is None:
            try:
                task = lease._renew_soon()
            except LeaseError:
                task = None  # it expired just now: the next look tells
            if task is not None:
                self._renewal = task
                task.add_done_callback(self._renewed)
                # Until the store has answered, only the end of the lease matters.
                self._timer = self._loop.call_later(max(_SOONEST, lease.remaining), self._look)
                return
        self._timer = self._loop.call_later(self._pause(), self._look)

    def _renewed(self, task: asyncio.Task[None]) -> None:
        self._renewal = None
        self._timer.cancel()
        error = None if task.cancelled() else task.exception()
        if self._lease._released or not self._renew:
            return
        if isinstance(error, StoreUnavailable):
            pause = min(self._lease.ttl / _AGAIN, self._lease.remaining)
            self._timer = self._loop.call_later(max(_SOONEST, pause), self._look)
        elif error is not None or task.cancelled():
            self._look_at_the_end()
        else:
            self._timer = self._loop.call_later(self._pause(), self._look)

    def _look_at_the_end(self) -> None:
        """The store says that it is over, or it can't be renewed: what is left is to tell."""
        self._renew = False
        self._timer = self._loop.call_later(max(_SOONEST, self._lease.remaining), self._look)


_chance = random.Random()
