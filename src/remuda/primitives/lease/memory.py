"""Leases in memory, for one process.

What is held is in `_held`, and who waits in `_queues`; both are guarded by one lock, which is held for a few dictionary
operations and never while somebody waits. A resource that is neither held nor waited for leaves nothing behind: tokens
come from one counter for all resources.

Expiry needs no timer as long as nobody cares. Whoever asks for a resource looks at the clock, and so does the one who
waits first in line: it has a timer for the holder's end. Timers live in the loops of those who set them, so that a loop
that ends takes only its own waiters along. The steps of a hand-over, all under the lock:

1. The holder leaves `_held`, because it released the lease or its time is over.
2. The first of the queue leaves it and becomes the holder: its token is drawn and its time begins.
3. Its loop is told to wake it. If that loop is closed, the next one is taken.

A waiter that is cancelled between 2 and its waking up is a holder already, and hands over.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from remuda._kernel import current_agent
from remuda.errors import LeaseHeld
from remuda.primitives.lease.lease import Lease, check_request, check_ttl, lost
from remuda.primitives.lease.manager import LeaseManager, closed
from remuda.primitives.lease.watch import Watch

__all__ = ["MemoryLease", "MemoryLeaseManager"]


_new = object.__new__
"""An object without its `__init__`, which would take as long again."""


class MemoryLease(Lease):
    """A lease of a `MemoryLeaseManager`."""

    __slots__ = ("_manager",)

    _manager: MemoryLeaseManager

    async def renew(self, ttl: float | None = None) -> None:
        """As `Lease.renew` says."""
        self._renew(self._ttl if ttl is None else check_ttl(ttl))

    def _renew(self, ttl: float) -> None:
        manager = self._manager
        with manager._lock:
            now = self._clock()
            if manager._held.get(self._resource) is not self or now >= self._expires:
                raise lost(self)
            self._ttl = ttl
            self._expires = now + ttl
            # A shorter time than before must also end in time.
            manager._settle(self._resource, now)
        if self._watch is not None:
            self._watch.rearm()

    def _renew_soon(self) -> None:
        manager = self._manager
        with manager._lock:
            now = self._clock()
            if manager._held.get(self._resource) is self and now < self._expires:
                self._expires = now + self._ttl

    async def release(self) -> None:
        """As `Lease.release` says."""
        manager = self._manager
        lock = manager._lock
        resource = self._resource
        is_lost = False
        lock.acquire()  # `with` takes twice as long
        try:
            if manager._held.get(resource) is self:
                is_lost = manager._clock() >= self._expires
                del manager._held[resource]
                if manager._queues:
                    manager._settle(resource, manager._clock())
            elif not self._released:
                is_lost = True
            if not is_lost:
                self._released = True
            if self._agent and self._agent in manager._agents:
                manager._agents[self._agent].pop(self, None)
        finally:
            lock.release()
        if is_lost:
            if self._watch is not None:
                self._watch.lost()
            raise lost(self)
        if self._watch is not None:
            self._watch.stop()


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
        holder = manager._held.get(self.lease._resource)
        if self.future.done() or self.granted or holder is None:
            return
        self.timer = self.loop.call_later(max(0.001, holder.remaining), self._look)

    def _look(self) -> None:
        manager = self.lease._manager
        with manager._lock:
            if not self.granted:
                manager._settle(self.lease._resource, manager._clock())

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

    __slots__ = ("_checked", "_held", "_queues", "_token")

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: Callable[[], float] | None = None,
        namespace: str = "remuda",
        patience: float = 2.0,
    ) -> None:
        super().__init__(url, clock=clock, namespace=namespace, patience=patience)
        self._held: dict[str, MemoryLease] = {}
        self._queues: dict[str, OrderedDict[_Waiter, None]] = {}
        self._token = 0
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
        # Made before the lock is taken: to make an object may call the garbage collector, and it anything.
        lease = _new(MemoryLease)
        lease._manager = self
        lease._resource = resource
        lease._ttl = ttl
        lease._clock = clock = self._clock
        lease._released = False
        lease._watch = None
        lease._agent = 0
        agent = current_agent()
        number = 0 if agent is None else agent.id
        is_free = is_tied = False
        lock = self._lock
        lock.acquire()  # `with` takes twice as long
        try:
            if resource not in self._held and not self._closed:
                self._token = lease._token = self._token + 1
                lease._expires = clock() + ttl
                self._held[resource] = lease
                is_free = True
                if number and number in self._agents:
                    lease._agent = number
                    self._agents[number][lease] = None
                    is_tied = True
        finally:
            lock.release()
        if not is_free:
            await self._wait(lease, timeout)
        if agent is not None and not is_tied:
            self._tie(lease, agent)
        if renew or on_expire is not None:
            lease._watch = Watch(lease, asyncio.get_running_loop(), renew, on_expire)
        return lease

    async def close(self) -> None:
        """As `LeaseManager.close` says."""
        with self._lock:
            self._closed = True
            held = list(self._held.values())
            waiters = [waiter for queue in self._queues.values() for waiter in queue]
            self._queues.clear()
            self._held.clear()
            self._agents.clear()
            now = self._clock()
            for lease in held:
                lease._released = now < lease._expires
        for lease in held:
            if lease._watch is not None:
                (lease._watch.stop if lease._released else lease._watch.lost)()
        for waiter in waiters:
            waiter.tell(waiter.wake)

    async def _wait(
        self,
        lease: MemoryLease,
        timeout: float | None,  # noqa: ASYNC109  # it is the waiter's place that times out
    ) -> None:
        """Stands in line until it holds the lease."""
        resource = lease._resource
        loop = asyncio.get_running_loop()
        waiter = _Waiter(lease, loop)
        with self._lock:
            if self._closed:
                raise closed()
            now = self._clock()
            self._settle(resource, now)  # the holder may have expired; who waits goes first
            holder = self._held.get(resource)
            if holder is None:
                self._hold(lease, now)
                return
            if timeout == 0:
                raise _held(holder, 0)
            queue = self._queues.get(resource)
            if queue is None:
                queue = self._queues[resource] = OrderedDict()
                waiter.arm()
            queue[waiter] = None
        give_up = None if timeout is None else loop.call_later(timeout, waiter.wake)
        try:
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
                return
            if self._closed:
                raise closed()
            holder = self._held.get(resource)
            self._leave(waiter)
        raise _held(holder, timeout)

    def _leave(self, waiter: _Waiter) -> None:
        """Takes one that waits no more out of the queue; what it was given goes to the next one."""
        resource = waiter.lease._resource
        with self._lock:
            if waiter.granted:
                if self._held.get(resource) is waiter.lease:
                    waiter.lease._released = True
                    del self._held[resource]
            else:
                queue = self._queues.get(resource)
                if queue is None or waiter not in queue:
                    return
                del queue[waiter]
                if not queue:
                    del self._queues[resource]
            self._settle(resource, self._clock())

    def _settle(self, resource: str, now: float) -> None:
        """Takes the lease from a holder whose time is over, and gives it to the first in line. Under the lock."""
        holder = self._held.get(resource)
        if holder is not None and now >= holder._expires:
            del self._held[resource]
            if holder._watch is not None:
                holder._watch.lost()
            holder = None
        queue = self._queues.get(resource)
        if queue is None:
            return
        while queue and holder is None:
            waiter, _ = queue.popitem(last=False)
            waiter.granted = True
            if waiter.tell(waiter.wake):
                holder = waiter.lease
                self._hold(holder, now)
        # If the loop of the one who comes first now is closed, the next one who asks finds the expired holder.
        while queue:
            first = next(iter(queue))
            if first.tell(first.arm):
                return
            queue.popitem(last=False)
        self._queues.pop(resource, None)

    def _hold(self, lease: MemoryLease, now: float) -> None:
        self._token = lease._token = self._token + 1
        lease._expires = now + lease._ttl
        self._held[lease._resource] = lease

    def _agent_ended(self, leases: list[MemoryLease]) -> None:
        with self._lock:
            now = self._clock()
            for lease in leases:
                if self._held.get(lease._resource) is lease:
                    lease._released = now < lease._expires
                    del self._held[lease._resource]
                    self._settle(lease._resource, now)
        for lease in leases:
            if lease._watch is not None:
                (lease._watch.stop if lease._released else lease._watch.lost)()


def _held(holder: MemoryLease | None, timeout: float | None) -> LeaseHeld:
    token = "" if holder is None else f" with token {holder._token}"
    resource = "it" if holder is None else f"the lease of {holder._resource!r}"
    return LeaseHeld(
        f"expected {resource} to become free within {timeout or 0:g} s, but somebody has it{token}"
    )
