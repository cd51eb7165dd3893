"""What leases have in common that another program keeps, for all processes that use it.

A lease counts from the moment *before* the request was sent, and ends `margin` earlier than the store ends it, so that
in the holder's eyes it is over before anybody else can have it, as long as the two clocks run at about the same speed.

Each request stands for itself, can be repeated, and is sent again if the connection failed. Every event loop has a
client of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any, ClassVar, Generic, TypeVar

from remuda._kernel import current_agent
from remuda.errors import LeaseHeld, LeaseLost, StoreUnavailable
from remuda.primitives.lease.lease import Lease, check_request, check_ttl, lost
from remuda.primitives.lease.manager import LeaseManager, closed
from remuda.primitives.lease.watch import Watch

__all__ = ["RemoteLease", "RemoteLeaseManager", "held", "margin", "ms"]

_DRIFT = 0.01
"""How much faster than ours another's clock may run, as a part of the time."""
_MARGIN = 0.002
"""Seconds by which a lease ends earlier here, besides: times are rounded to milliseconds."""
_ATTEMPTS = 3
"""How often a request is sent before the store counts as unavailable."""
_MANY = 100
"""How many leases are remembered before those that have expired are looked for."""

ClientT = TypeVar("ClientT")
T = TypeVar("T")


class RemoteLease(Lease):
    """A lease of a `RemoteLeaseManager`."""

    __slots__ = (
        "_agent",
        "_clock",
        "_expires",
        "_manager",
        "_released",
        "_renewals",
        "_request",
        "_resource",
        "_soonest",
        "_token",
        "_ttl",
        "_watch",
    )

    def __init__(self, manager: RemoteLeaseManager[Any], resource: str, ttl: float) -> None:
        self._manager = manager
        self._clock = manager._clock
        self._resource = resource
        self._ttl = ttl
        self._token = 0
        self._expires = 0.0
        self._released = False
        self._watch = None
        self._agent = 0
        self._request = secrets.token_hex(12)
        # The renewals under way, and the soonest end that one of them brings: in which order the store does what is
        # asked of it at once, nobody knows here.
        self._renewals = 0
        self._soonest = inf

    async def renew(self, ttl: float | None = None) -> None:
        """As `Lease.renew` says."""
        seconds = self._ttl if ttl is None else self._manager._check_ttl(ttl)
        try:
            await self._renew(seconds)
        finally:
            if self._watch is not None:
                self._watch.rearm()

    async def _renew(self, ttl: float) -> None:
        if self.expired:
            raise lost(self)
        lock = self._manager._lock
        sent = self._clock()
        renewed = False
        with lock:
            self._renewals += 1
        try:
            sent, renewed = await self._manager._extend(self, ttl)
        finally:
            with lock:
                self._soonest = min(self._soonest, sent + ttl - margin(ttl))
                # Without an answer the store may have done it: then a shorter time counts, and a longer one doesn't.
                self._expires = self._soonest if renewed else min(self._expires, self._soonest)
                self._renewals -= 1
                if not self._renewals:
                    self._soonest = inf
        if not renewed:
            self._expires = min(self._expires, self._clock())
            raise lost(self)
        if self._released:
            raise lost(self)
        self._ttl = ttl
        if self.expired:  # the answer took longer than the lease lives
            raise lost(self)

    def _renew_soon(self) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._renew(self._ttl))

    async def release(self) -> None:
        """As `Lease.release` says."""
        if self._released:
            return
        manager = self._manager
        is_lost = self.expired
        self._released = True
        if self._watch is not None:
            self._watch.stop()
        if self._agent:
            manager._untie(self)
        with manager._lock:
            manager._held.pop(self._request, None)
        async with manager._leaving_if_cancelled(self):
            released = await manager._give_back(self)
        if is_lost or not released:
            self._released = False
            self._expires = min(self._expires, self._clock())
            raise lost(self)


class RemoteLeaseManager(LeaseManager, Generic[ClientT]):
    """What the managers of all stores do outside of the store.

    Args:
        url: As for `LeaseManager`.
        clock: As for `LeaseManager`.
        namespace: As for `LeaseManager`.
        patience: As for `LeaseManager`.
    """

    __slots__ = (
        "_clients",
        "_errors",
        "_held",
        "_leaving",
        "_many",
        "_namespace",
        "_open",
        "_passing",
        "_patience",
        "_shut",
        "_waiting",
    )

    _name: ClassVar[str]
    """What the store is called."""
    _shortest: ClassVar[float]
    """The shortest TTL in seconds: of less, too little would be left."""
    _kind: ClassVar[type[RemoteLease]]
    _slice: ClassVar[float] = 1.0
    """Seconds that a waiter waits before it asks again, which tells the store that it still waits."""
    _believed: ClassVar[float] = 3.0
    """Seconds for which the store believes that a waiter still waits."""
    _pause: ClassVar[float] = 0.05
    """Seconds before a request is sent again, each time twice as long."""

    _open: Callable[[], ClientT]
    """Makes a client, for the event loop that runs."""
    _errors: tuple[type[Exception], ...]
    """All errors of a client."""
    _passing: tuple[type[Exception], ...]
    """Those of them that may be gone at the next attempt."""

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: Callable[[], float] | None = None,
        namespace: str = "remuda",
        patience: float = 2.0,
    ) -> None:
        super().__init__(url, clock=clock, namespace=namespace, patience=patience)
        self._namespace = namespace
        self._patience = patience
        self._clients: dict[asyncio.AbstractEventLoop, ClientT] = {}
        self._held: dict[str, RemoteLease] = {}
        self._many = _MANY
        self._shut = False
        self._waiting: dict[RemoteLease, None] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    # What differs from store to store

    @abstractmethod
    async def _wait(self, lease: Any, until: float, timeout: float | None) -> None:  # noqa: ASYNC109  # for the error
        """Stands in line until it holds the lease; leaves nothing if it raises `LeaseHeld` for a timeout of 0."""

    @abstractmethod
    async def _leave(self, lease: Any) -> None:
        """Has the store forget a request, whatever has come of it."""

    @abstractmethod
    async def _extend(self, lease: Any, ttl: float) -> tuple[float, bool]:
        """Renews a lease.

        Returns:
            The time before the request was sent, and whether the lease was still there.
        """

    @abstractmethod
    async def _give_back(self, lease: Any) -> bool:
        """Ends a lease; false if it wasn't there any more."""

    @abstractmethod
    async def _end(self, client: ClientT) -> None:
        """Closes the connections of a client."""

    def _forget(self, client: ClientT) -> None:  # most have nothing to forget
        """Drops what is kept of a client that is used no more."""

    # What doesn't

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
        check_request(resource, ttl, timeout, on_expire)
        self._check_ttl(ttl)
        lease = self._kind(self, resource, ttl)
        loop = asyncio.get_running_loop()
        until = inf if timeout is None else loop.time() + timeout
        with self._lock:
            self._waiting[lease] = None
        try:
            async with self._leaving_if_cancelled(lease):
                await self._wait(lease, until, timeout)
                if self._closed:  # while the store was asked for it
                    raise closed()
        except LeaseHeld:
            if timeout:
                await self._leave(lease)
            raise
        except StoreUnavailable:
            if self._closed:
                with suppress(StoreUnavailable):
                    await self._leave(lease)
            raise
        finally:
            with self._lock:
                del self._waiting[lease]
        self._hold(lease)
        agent = current_agent()
        if agent is not None:
            lease._agent = agent.id
            self._tie(lease, agent)
        if renew or on_expire is not None:
            lease._watch = Watch(lease, loop, renew, on_expire)
        return lease

    @asynccontextmanager
    async def _leaving_if_cancelled(self, lease: RemoteLease) -> AsyncIterator[None]:
        """Has the store forget a request if the block is cancelled, or its agent killed."""
        try:
            yield
        except asyncio.CancelledError:
            with suppress(StoreUnavailable):
                await self._leave(lease)
            raise
        except Exception:
            raise
        except BaseException:  # it is killed, and must not wait
            with suppress(RuntimeError):  # no loop runs any more: it ends with its time
                self._begin(self._leave(lease))
            raise

    def _hold(self, lease: RemoteLease) -> None:
        """Remembers a lease, to release it when the manager is closed; forgets those that have expired."""
        with self._lock:
            self._held[lease._request] = lease
            if len(self._held) > self._many:
                for request, held in list(self._held.items()):
                    if held.expired:
                        del self._held[request]
                self._many = 2 * len(self._held) + _MANY

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with suppress(StoreUnavailable):
                await work

        outer = quietly()
        try:
            task = asyncio.get_running_loop().create_task(outer)
        except RuntimeError:
            outer.close()
            work.close()
            raise
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _agent_ended(self, leases: list[RemoteLease]) -> None:
        async def release(lease: RemoteLease) -> None:
            with suppress(LeaseLost):
                await lease.release()

        for lease in leases:
            if not lease.expired:
                with suppress(RuntimeError):
                    self._begin(release(lease))

    async def close(self) -> None:
        """As `LeaseManager.close` says."""
        with self._lock:
            self._closed = True
            held, waiting = list(self._held.values()), list(self._waiting)
            self._agents.clear()
        for lease in waiting:
            with suppress(StoreUnavailable):
                await self._leave(lease)
        for lease in held:
            with suppress(LeaseLost, StoreUnavailable):
                await lease.release()
        here = asyncio.get_running_loop()
        leaving = [task for task in self._leaving if task.get_loop() is here]
        if leaving:
            await asyncio.wait(leaving)
        with self._lock:
            self._shut = True
            clients = list(self._clients.items())
            self._clients.clear()
            for _, client in clients:
                self._forget(client)
        for loop, client in clients:
            if loop is here:
                await self._end(client)
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(client), loop))

    async def _ask(
        self, lease: RemoteLease, ask: Callable[[ClientT], Awaitable[T]], *, ending: bool = False
    ) -> tuple[float, T, int]:
        """Asks the store, again if need be.

        Args:
            lease: What it is about.
            ask: Sends the request.
            ending: Whether it ends something, which is also done while the manager is being closed.

        Returns:
            The time before the attempt that succeeded, what the store answered, and the number of attempts.
        """
        pause = self._pause
        for attempt in range(1, _ATTEMPTS + 1):
            client = self._client(even_closed=ending)
            sent = self._clock()
            try:
                async with asyncio.timeout(self._patience):
                    return sent, await ask(client), attempt
            except self._errors as error:
                if attempt == _ATTEMPTS or not isinstance(error, self._passing):
                    what = f"{type(error).__name__}: {error}".removesuffix(": ")
                    raise StoreUnavailable(
                        f"expected an answer about the lease of {lease._resource!r} from its store, "
                        f"got after {attempt} of {_ATTEMPTS} attempts {what}"
                    ) from error
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")

    def _client(self, *, even_closed: bool = False) -> ClientT:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._closed and (self._shut or not even_closed):
                raise closed()
            client = self._clients.get(loop)
            if client is None:
                # Connections refer to their loop: without this a manager would keep all that it was ever used in.
                for other in [other for other in self._clients if other.is_closed()]:
                    self._forget(self._clients.pop(other))
                client = self._clients[loop] = self._open()
            return client

    def _check_ttl(self, ttl: object) -> float:
        seconds = check_ttl(ttl)
        if seconds < self._shortest:
            raise ValueError(
                f"expected a TTL of at least {self._shortest:g} s for {self._name}, got {seconds}"
            )
        return seconds


def held(lease: RemoteLease, timeout: float | None) -> LeaseHeld:
    """The error of one who has waited for too long."""
    return LeaseHeld(
        f"expected the lease of {lease._resource!r} to become free within {timeout or 0:g} s, "
        "but somebody has it"
    )


def ms(seconds: float) -> int:
    """Milliseconds, for a store."""
    return int(seconds * 1000)


def margin(ttl: float) -> float:
    """Seconds by which a lease ends earlier for its holder than for all others."""
    return ttl * _DRIFT + _MARGIN
