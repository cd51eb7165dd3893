"""Leases in Redis, for all processes that use the same server.

What the server does is in `scripts.py`; here is what a client may believe of it. A lease counts from the moment
*before* the request was sent, and ends `_margin` earlier than the server ends it, so that in the holder's eyes it is
over before anybody else can have it, as long as the two clocks run at about the same speed.

A waiter takes its place in the server's queue and then waits for a list of its own to get an element (`BLPOP`), for a
second at most: then it asks again, which also tells the server that it still waits. It needs no subscription that would
have to be restored when a connection drops; each request stands for itself, and is sent again on a new connection if
the old one fails. Every event loop has connections of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any

from remuda._kernel import current_agent
from remuda.errors import LeaseHeld, LeaseLost, StoreUnavailable
from remuda.primitives.lease import scripts
from remuda.primitives.lease.lease import Lease, check_request, check_ttl, lost
from remuda.primitives.lease.manager import LeaseManager, closed
from remuda.primitives.lease.watch import Watch

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

__all__ = ["RedisLease", "RedisLeaseManager"]

_DRIFT = 0.01
"""How much faster than ours the server's clock may run, as a part of the time."""
_MARGIN = 0.002
"""Seconds by which a lease ends earlier here, besides: the server rounds to milliseconds."""
_SHORTEST = 0.02
"""The shortest TTL in seconds: of less, too little would be left."""
_SLICE = 1.0
"""Seconds that a waiter waits before it asks again."""
_BELIEVED = 3.0
"""Seconds for which the server believes that a waiter still waits."""
_ATTEMPTS = 3
"""How often a request is sent before the store counts as unavailable."""
_MANY = 100
"""How many leases are remembered before those that have expired are looked for."""
_PAUSE = 0.05
"""Seconds before a request is sent again, each time twice as long."""


class RedisLease(Lease):
    """A lease of a `RedisLeaseManager`."""

    __slots__ = (
        "_agent",
        "_clock",
        "_expires",
        "_manager",
        "_released",
        "_request",
        "_resource",
        "_token",
        "_ttl",
        "_watch",
    )

    def __init__(self, manager: RedisLeaseManager, resource: str, ttl: float) -> None:
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

    async def renew(self, ttl: float | None = None) -> None:
        """As `Lease.renew` says."""
        await self._renew(self._ttl if ttl is None else _check_ttl(ttl))
        if self._watch is not None:
            self._watch.rearm()

    async def _renew(self, ttl: float) -> None:
        if self.expired:
            raise lost(self)
        sent, renewed, _ = await self._manager._call(scripts.RENEW, self, _ms(ttl))
        if not renewed:
            self._expires = min(self._expires, self._clock())
            raise lost(self)
        if self._released:
            raise lost(self)
        self._ttl = ttl
        self._expires = sent + ttl - _margin(ttl)
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
            _, released, attempts = await manager._call(scripts.RELEASE, self)
        # If the answer to the first attempt was lost, the second one finds nothing to release.
        if is_lost or not (released or attempts > 1):
            self._released = False
            self._expires = min(self._expires, self._clock())
            raise lost(self)


class RedisLeaseManager(LeaseManager, schemes=("redis", "rediss", "unix")):
    """What `LeaseManager("redis://...")` makes."""

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
        "_scripts",
        "_shut",
        "_waiting",
    )

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: Callable[[], float] | None = None,
        namespace: str = "remuda",
        patience: float = 2.0,
    ) -> None:
        super().__init__(url, clock=clock, namespace=namespace, patience=patience)
        if "{" in namespace or "}" in namespace:
            raise ValueError(f"expected a namespace without braces, got {namespace!r}")
        self._namespace = namespace
        self._patience = patience
        self._open, self._errors, self._passing = _opener(url, patience)
        self._clients: dict[asyncio.AbstractEventLoop, Redis] = {}
        self._scripts: dict[Redis, dict[str, AsyncScript]] = {}
        self._held: dict[str, RedisLease] = {}
        self._many = _MANY
        self._shut = False
        self._waiting: dict[RedisLease, None] = {}
        self._leaving: set[asyncio.Task[None]] = set()

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
        _check_ttl(ttl)
        lease = RedisLease(self, resource, ttl)
        loop = asyncio.get_running_loop()
        until = inf if timeout is None else loop.time() + timeout
        with self._lock:
            self._waiting[lease] = None
        try:
            async with self._leaving_if_cancelled(lease):
                await self._wait(lease, until, timeout)
        except LeaseHeld:
            if timeout:
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

    async def _wait(
        self,
        lease: RedisLease,
        until: float,
        timeout: float | None,  # noqa: ASYNC109  # for the text of the error
    ) -> None:
        """Stands in line until it holds the lease."""
        loop = asyncio.get_running_loop()
        patience = 0 if timeout == 0 else _ms(_BELIEVED)
        while True:
            sent, (is_ours, token, left), _ = await self._call(
                scripts.ACQUIRE, lease, _ms(lease._ttl), patience
            )
            if is_ours:
                lease._token = token
                lease._expires = sent + left / 1000 - _margin(lease._ttl)
                if not lease.expired:
                    return
                # The answer came too late for it to be believed: give it back, and stand in line again.
                await self._leave(lease)
                lease._request = secrets.token_hex(12)
            pause = until - loop.time()
            if pause <= 0:
                raise LeaseHeld(
                    f"expected the lease of {lease._resource!r} to become free within {timeout or 0:g} s, "
                    "but somebody has it"
                )
            if not is_ours:
                # A little later than the holder's end, so that it is over then.
                pause = min(pause, _SLICE, left / 1000 + 0.001 if left else _SLICE)
                await self._woken(lease, max(pause, 0.002))

    async def _woken(self, lease: RedisLease, pause: float) -> None:
        """Waits until the server wakes this waiter, or the pause is over."""
        key = self._keys(lease._resource)[-1] + lease._request
        client = self._client()
        try:
            async with asyncio.timeout(pause + self._patience):
                await client.blpop([key], timeout=pause)
        except self._errors:
            # The connection dropped, perhaps with the element that was to wake it: ask, and that tells.
            if self._closed:
                raise closed() from None

    async def _leave(self, lease: RedisLease) -> None:
        await self._call(scripts.LEAVE, lease)

    @asynccontextmanager
    async def _leaving_if_cancelled(self, lease: RedisLease) -> AsyncIterator[None]:
        """Has the server forget a request if the block is cancelled, or its agent killed."""
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

    def _hold(self, lease: RedisLease) -> None:
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

    def _agent_ended(self, leases: list[RedisLease]) -> None:
        async def release(lease: RedisLease) -> None:
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
            self._scripts.clear()
        for loop, client in clients:
            if loop is here:
                await client.aclose()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.aclose(), loop))

    async def _call(
        self, script: str, lease: RedisLease, *arguments: int
    ) -> tuple[float, Any, int]:
        """Runs a script, again if need be.

        Returns:
            The time before the attempt that succeeded, what the script returned, and the number of attempts.
        """
        keys = self._keys(lease._resource)
        pause = _PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            # What ends something is also done while the manager is being closed.
            client = self._client(even_closed=script in (scripts.RELEASE, scripts.LEAVE))
            known = self._scripts.setdefault(client, {})
            run = known.get(script)
            if run is None:
                run = known[script] = client.register_script(script)
            sent = self._clock()
            try:
                async with asyncio.timeout(self._patience):
                    return sent, await run(keys=keys, args=[lease._request, *arguments]), attempt
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

    def _keys(self, resource: str) -> list[str]:
        # A brace would end the hash tag early.
        tag = resource.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
        start = f"{self._namespace}:lease:{{{tag}}}:"
        return [start + name for name in ("holder", "token", "queue", "alive", "wake:")]

    def _client(self, *, even_closed: bool = False) -> Redis:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._closed and (self._shut or not even_closed):
                raise closed()
            client = self._clients.get(loop)
            if client is None:
                # Connections refer to their loop: without this a manager would keep all that it was ever used in.
                for other in [other for other in self._clients if other.is_closed()]:
                    self._scripts.pop(self._clients.pop(other), None)
                client = self._clients[loop] = self._open()
                self._scripts[client] = {}
            return client


def _opener(
    url: str | None, patience: float
) -> tuple[Callable[[], Redis], tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """What makes a client, all errors that it raises, and those of them that may be gone at the next attempt."""
    try:
        # An optional dependency: only those who use Redis need it.
        from redis import asyncio as redis
        from redis import exceptions
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected the package redis to be installed, for leases in Redis: pip install 'remuda[redis]'",
            name=error.name,
        ) from error

    def client() -> Redis:
        return redis.Redis.from_url(
            url or "",
            decode_responses=True,
            # Time-outs are set here: the client's own use `asyncio.wait_for`, which takes a task for each request, and
            # up to CPython 3.11 may swallow that the caller was cancelled.
            socket_timeout=None,
            socket_connect_timeout=patience,
            # Requests are sent again here, where it is known which of them can be.
            retry=Retry(NoBackoff(), 0),
        )

    client()  # a URL that makes no sense is refused here
    passing = (
        exceptions.ConnectionError,
        exceptions.TimeoutError,
        exceptions.BusyLoadingError,
        exceptions.ReadOnlyError,
        OSError,
    )
    return client, (exceptions.RedisError, OSError), passing


def _check_ttl(ttl: object) -> float:
    seconds = check_ttl(ttl)
    if seconds < _SHORTEST:
        raise ValueError(f"expected a TTL of at least {_SHORTEST:g} s for Redis, got {seconds}")
    return seconds


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _margin(ttl: float) -> float:
    """Seconds by which a lease ends earlier for its holder than for the server."""
    return ttl * _DRIFT + _MARGIN
