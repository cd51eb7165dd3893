"""Leases in memory, for one process.

Who holds what is in a table of the kernel's: a resource that is free is taken there, and one that nobody waits for is
given back there. All else is done here, under a lock of the manager's, which is held for a few dictionary operations
and never while somebody waits. Who waits is in `_queues`; the holder for whom somebody waits is marked in the table,
and so comes here when it gives back. A resource that is neither held nor waited for leaves nothing behind: tokens come
from one counter for all resources.

Expiry needs no timer as long as nobody cares. Whoever asks for a resource looks at the clock, and so does the one who
waits first in line: it has a timer for the holder's end. Timers live in the loops of those who set them, so that a loop
that ends takes only its own waiters along. The steps of a hand-over, all under the lock:

1. The holder has released the lease or its time is over.
2. The first of the queue leaves it and takes the holder's place in the table, in one step, so that nobody can come
   between: its token is drawn and its time begins.
3. Its loop is told to wake it. If that loop is closed, the next one is taken.

A waiter that is cancelled between 2 and its waking up is a holder already, and hands over.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from remuda._kernel import Holding, LeaseTable, current_agent
from remuda.errors import LeaseHeld
from remuda.primitives.lease.lease import Lease, check_request, check_ttl, lost
from remuda.primitives.lease.manager import LeaseManager, closed
from remuda.primitives.lease.watch import Watch

__all__ = ["MemoryLease", "MemoryLeaseManager"]


class MemoryLease(Holding, Lease):
    """A lease of a `MemoryLeaseManager`."""

    __slots__ = ("_agent", "_manager", "_watch")

    _manager: MemoryLeaseManager

    @property
    def _clock(self) -> Callable[[], float]:  # type: ignore[override]  # to store it for each would take time
        return self._manager._clock

    async def renew(self, ttl: float | None = None) -> None:
        """As `Lease.renew` says."""
        self._renew(self._ttl if ttl is None else check_ttl(ttl))

    def _renew(self, ttl: float) -> None:
        manager = self._manager
        with manager._lock:
            now = self._clock()
            if manager._table.holder(self._resource) is not self or now >= self._expires:
                raise lost(self)
            self._ttl = ttl
            self._expires = now + ttl
            # A shorter time than before must also end in time.
            manager._settle(self._resource)
        if self._watch is not None:
            self._watch.rearm()

    def _renew_soon(self) -> None:
        manager = self._manager
        with manager._lock:
            now = self._clock()
            if manager._table.holder(self._resource) is self and now < self._expires:
                self._expires = now + self._ttl

    async def release(self) -> None:
        """As `Lease.release` says."""
        is_lost = not self._give_back() and not self._manager._give_back(self)
        if self._agent:
            self._manager._untie(self)
        if self._watch is not None:
            self._tell()
        if is_lost:
            raise lost(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # As the base does, without a second coroutine where there is nothing to say.
        if self._agent or self._watch is not None or not self._give_back():
            await super().__aexit__(kind, error, traceback)

    def _tell(self) -> None:
        """Lets what renews it or waits for its end know that it is over."""
        # A lease may be in the table before its slots have values.
        watch = getattr(self, "_watch", None)
        if watch is not None:
            (watch.stop if self._released else watch.lost)()


class _Waiter:
    """One that waits for a resource."""

    __slots__ = ("future", "granted", "lease", "loop", "timer")

    def __init__(self, lease: MemoryLease, loop: asyncio.AbstractEventLoop) -> None:
        self.lease = lease
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        self.granted = False
        self.timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Has the waiter go on; in its own loop."""
        if not self.future.done():
            self.future.set_result(None)

    def arm(self) -> None:
        """Sets the timer for the holder's end; in its own loop, while it is the first in line."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        manager = self.lease._manager
        holder = manager._table.holder(self.lease._resource)
        if self.future.done() or self.granted or holder is None:
            return
        self.timer = self.loop.call_later(max(0.001, holder.remaining), self._look)

    def _look(self) -> None:
        manager = self.lease._manager
        with manager._lock:
            if not self.granted:
                manager._settle(self.lease._resource)

    def tell(self, function: Callable[[], None]) -> bool:
        """Has its loop call the function; False if the loop is closed."""
        if asyncio._get_running_loop() is self.loop:
            function()
            return True
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function)
            return True
        return False


class MemoryLeaseManager(LeaseManager, schemes=("",)):
    """What `LeaseManager()` makes."""

    __slots__ = ("_checked", "_queues", "_table")

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: Callable[[], float] | None = None,
        namespace: str = "remuda",
        patience: float = 2.0,
    ) -> None:
        super().__init__(url, clock=clock, namespace=namespace, patience=patience)
        self._table: LeaseTable[MemoryLease] = LeaseTable(self._clock, MemoryLease)
        self._queues: dict[str, OrderedDict[_Waiter, None]] = {}
        self._checked: float = 0.0

    async def acquire(
        self,
        resource: str,
        ttl: float,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as in the base
        renew: bool = False,
        on_expire: Callable[[Lease], object] | None = None,
    ) -> Lease:
        """As `LeaseManager.acquire` says."""
        if (
            type(resource) is not str
            or not resource
            or ttl is not self._checked
            or timeout is not None
            or on_expire is not None
        ):
            check_request(resource, ttl, timeout, on_expire)
            self._checked = ttl  # most programs have one TTL, or few
        lease = self._table.take(resource, ttl) or await self._wait(resource, ttl, timeout)
        lease._manager = self
        lease._watch = None
        lease._agent = 0
        agent = current_agent()
        if agent is not None:
            lease._agent = agent.id
            self._tie(lease, agent)
        if renew or on_expire is not None:
            lease._watch = Watch(lease, asyncio.get_running_loop(), renew, on_expire)
        return lease

    async def close(self) -> None:
        """As `LeaseManager.close` says."""
        with self._lock:
            self._closed = True
            held = self._table.close()
            waiters = [waiter for queue in self._queues.values() for waiter in queue]
            self._queues.clear()
            self._agents.clear()
            now = self._clock()
            for lease in held:
                lease._released = now < lease._expires
        for lease in held:
            lease._tell()
        for waiter in waiters:
            waiter.tell(waiter.wake)

    def _give_back(self, lease: MemoryLease) -> bool:
        """Ends a lease that somebody waits for, or that is over; false if it was lost before."""
        with self._lock:
            now = self._clock()
            if self._table.holder(lease._resource) is lease:
                lease._released = now < lease._expires
                self._end(lease, now)
            return lease._released

    async def _wait(
        self,
        resource: str,
        ttl: float,
        timeout: float | None,  # noqa: ASYNC109  # it is the waiter's place that times out
    ) -> MemoryLease:
        """Stands in line until it holds the lease."""
        loop = asyncio.get_running_loop()
        lease = self._table.lease(resource, ttl)
        lease._manager = self
        resource = lease._resource  # a plain str; that of the caller may have a hash of its own
        waiter = _Waiter(lease, loop)
        with self._lock:
            if self._closed:
                raise closed()
            self._settle(resource)  # the holder may have expired; who waits goes first
            holder = self._table.take_or_await(lease)
            if holder is lease:
                return lease
            if timeout == 0:
                raise _held(holder, 0)
            queue = self._queues.get(resource)
            if queue is None:
                queue = self._queues[resource] = OrderedDict()
                waiter.arm()
            queue[waiter] = None
        give_up = None
        try:
            if timeout is not None:
                give_up = loop.call_later(timeout, waiter.wake)
            await waiter.future
        except BaseException:
            self._leave(waiter)
            raise
        finally:
            if give_up is not None:
                give_up.cancel()
            if waiter.timer is not None:
                waiter.timer.cancel()
        with self._lock:
            if waiter.granted:
                return lease
            if self._closed:
                raise closed()
            now_held = self._table.holder(resource)
            self._leave(waiter)
        raise _held(now_held, timeout)

    def _leave(self, waiter: _Waiter) -> None:
        """Takes one that waits no more out of the queue; what it was given goes to the next one."""
        lease = waiter.lease
        resource = lease._resource
        with self._lock:
            if not waiter.granted:
                queue = self._queues.get(resource)
                if queue is not None and waiter in queue:
                    del queue[waiter]
                    self._settle(resource)
            elif self._table.holder(resource) is lease:
                lease._released = True
                self._end(lease, self._clock())

    def _settle(self, resource: str) -> None:
        """Ends a holding whose time is over, or has the first in line wait for its end. Under the lock."""
        now = self._clock()
        holder = self._table.holder(resource)
        if holder is None or now < holder._expires:
            self._arm(resource)
            return
        self._end(holder, now)
        holder._tell()

    def _end(self, holder: MemoryLease, now: float) -> None:
        """Ends a holding: the first in line has the resource then, or nobody. Under the lock."""
        resource = holder._resource
        queue = self._queues.get(resource)
        while queue:
            # It leaves the queue last. The garbage collector may call anything here that ends a holding, too: then that
            # hands over to the same waiter, and this once more.
            waiter = next(iter(queue))
            holder = waiter.lease
            self._table.hand_over(holder, now)
            waiter.granted = True
            queue.pop(waiter, None)
            if waiter.tell(waiter.wake):
                self._arm(resource)
                return
        self._table.end(holder)
        self._queues.pop(resource, None)

    def _arm(self, resource: str) -> None:
        """Has the first in line wait for the holder's end. Under the lock."""
        # If the loop of the one who comes first now is closed, the next one who asks finds the expired holder.
        queue = self._queues.get(resource)
        while queue:
            first = next(iter(queue))
            if first.tell(first.arm):
                return
            queue.pop(first, None)
        self._queues.pop(resource, None)

    def _agent_ended(self, leases: list[MemoryLease]) -> None:
        with self._lock:
            now = self._clock()
            for lease in leases:
                if self._table.holder(lease._resource) is lease:
                    lease._released = now < lease._expires
                    self._end(lease, now)
        for lease in leases:
            lease._tell()


def _held(holder: MemoryLease | None, timeout: float | None) -> LeaseHeld:
    token = "" if holder is None else f" with token {holder._token}"
    resource = "it" if holder is None else f"the lease of {holder._resource!r}"
    return LeaseHeld(
        f"expected {resource} to become free within {timeout or 0:g} s, but somebody has it{token}"
    )
