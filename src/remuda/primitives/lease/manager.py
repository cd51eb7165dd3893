"""What is common to the managers of all stores, and which of them a URL stands for."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self

from remuda._kernel import AgentRef
from remuda.errors import StoreUnavailable
from remuda.primitives.lease.lease import Lease

__all__ = ["LeaseManager", "closed"]


class LeaseManager:
    """Gives leases: to one holder at a time for each resource, in the order in which they were asked for.

    Without a URL the leases are kept in memory, for the agents, tasks and threads of this process; every manager has
    leases of its own. With `redis://host:port/db` (or `rediss://`, `unix://`) they are kept by a Redis server, with
    `etcd://host:port` by a cluster of etcd, for all processes that use it; that needs `pip install remuda[redis]` or
    `remuda[etcd]`, and time that doesn't jump as in a loop of `remuda.testing`. The page "Leases" tells what each store
    can't promise.

    It may be shared by agents, tasks and threads. As an async context manager it is closed at the end of the block.

    Args:
        url: Where the leases are kept; in memory, if not given.
        clock: What tells the time, in seconds; `time.monotonic`, or the loop's own clock if the manager is made in a
            loop of `remuda.testing`. It must never go backwards.
        namespace: What keys in the store begin with: managers with different ones have nothing to do with each other.
        patience: Seconds to wait for an answer of the store, before it counts as unavailable.

    Raises:
        ValueError: The URL's scheme is none of those, it makes no sense to the store, or the patience is not above 0.
        TypeError: The URL is no str.
        ModuleNotFoundError: The package `redis`, or `aetcd`, is missing.

    Examples:
        >>> import asyncio, remuda
        >>> async def main() -> list[int]:
        ...     manager = remuda.LeaseManager()
        ...     tokens = []
        ...     for _ in range(2):
        ...         async with await manager.acquire("printer", ttl=5) as lease:
        ...             tokens.append(lease.token)
        ...     return tokens
        >>> asyncio.run(main())
        [1, 2]

    Sources:
        C. Gray, D. Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency",
        SOSP 1989. Fencing tokens are the sequencers of M. Burrows, "The Chubby Lock Service for Loosely-Coupled
        Distributed Systems", OSDI 2006.
    """

    __slots__ = ("__weakref__", "_agents", "_clock", "_closed", "_lock")

    _kinds: ClassVar[dict[str, type[LeaseManager]]] = {}

    def __init_subclass__(cls, schemes: tuple[str, ...] = ()) -> None:
        super().__init_subclass__()
        for scheme in schemes:
            LeaseManager._kinds[scheme] = cls

    def __new__(  # noqa: D102  # the class's docstring tells
        cls,
        url: str | None = None,
        *,
        clock: Callable[[], float] | None = None,  # noqa: ARG004  # for __init__
        namespace: str = "remuda",  # noqa: ARG004
        patience: float = 2.0,  # noqa: ARG004
    ) -> Self:
        if url is not None and not isinstance(url, str):
            raise TypeError(f"expected a URL as a str, or None, got {type(url).__name__}")
        scheme = "" if url is None else url.partition("://")[0]
        if cls is not LeaseManager:
            return super().__new__(cls)
        if scheme not in cls._kinds or (url is not None and "://" not in url):
            known = ", ".join(f"{name}://" for name in sorted(cls._kinds) if name)
            raise ValueError(f"expected a URL that begins with one of {known}, got {url!r}")
        return super().__new__(cls._kinds[scheme])  # type: ignore[return-value]  # a subclass

    def __init__(
        self,
        url: str | None = None,  # for the stores
        *,
        clock: Callable[[], float] | None = None,
        namespace: str = "remuda",
        patience: float = 2.0,
    ) -> None:
        if not patience > 0:
            raise ValueError(f"expected a patience above 0 seconds, got {patience}")
        self._clock = clock or _clock_here()
        self._closed = False
        # Reentrant: the garbage collector may throw away a coroutine that waits, wherever it likes.
        self._lock = threading.RLock()
        self._agents: dict[int, dict[Any, None]] = {}

    async def acquire(
        self,
        resource: str,
        ttl: float,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # `asyncio.timeout` can't tell that somebody has it
        renew: bool = False,
        on_expire: Callable[[Lease], object] | None = None,
    ) -> Lease:
        """Waits until the resource is free and all who asked before have had it, and leases it.

        If an agent acquires it, the lease is released when the agent ends, however it ends. A lease is not reentrant:
        to acquire it while holding it is to wait for oneself.

        Args:
            resource: Its name.
            ttl: Time to live: seconds until the lease ends by itself.
            timeout: Seconds to wait; 0 tries once, None waits for ever.
            renew: Whether to renew the lease at a third of its time, and again, until it is released. It is done by
                the event loop: a holder that only waits keeps its lease, and one that blocks its loop loses it.
            on_expire: Called with the lease, in the event loop that acquired it, when it has expired.

        Returns:
            The lease; use it as `async with await manager.acquire(...)`.

        Raises:
            LeaseHeld: Somebody else has it, and the timeout has passed.
            StoreUnavailable: The store can't be reached, or the manager is closed.
            ValueError: The name is empty, the TTL not above 0, not finite, or too short for the store (0.02 seconds for
                Redis, 0.05 for etcd), or the timeout negative.
            TypeError: The name is no str, a time no number, or `on_expire` no plain function.
        """
        raise NotImplementedError  # none of these is abstract to type checkers: `LeaseManager()` makes a subclass

    async def close(self) -> None:
        """Releases what is leased, and lets go of the store. Who waits gets `StoreUnavailable`."""
        raise NotImplementedError

    def _agent_ended(self, leases: list[Any]) -> None:
        """Gives back what an agent held that has ended."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _tie(self, lease: Lease, agent: AgentRef[Any]) -> None:
        """Has the lease released when the agent ends."""
        # No lock: an agent does this itself, one at a time, and has not ended while it does.
        leases = self._agents.get(lease._agent)
        if leases is None:
            leases = self._agents[lease._agent] = {}
            agent.add_done_callback(_AgentEnded(self))
        leases[lease] = None

    def _untie(self, lease: Lease) -> None:
        leases = self._agents.get(lease._agent)
        if leases is not None:
            leases.pop(lease, None)


class _AgentEnded:
    """An agent's callback: one for each agent and manager, however many leases there are; it keeps neither alive."""

    __slots__ = ("_manager",)

    def __init__(self, manager: LeaseManager) -> None:
        self._manager = weakref.ref(manager)

    def __call__(self, agent: AgentRef[Any]) -> None:
        manager = self._manager()
        if manager is not None:
            manager._agent_ended(list(manager._agents.pop(agent.id, ())))


def closed() -> StoreUnavailable:
    """The error of one who uses a manager that is closed."""
    return StoreUnavailable("expected an open lease manager, but it was closed")


def _clock_here() -> Callable[[], float]:
    """The clock of a loop of `remuda.testing`, which jumps, or the real one."""
    loop = asyncio._get_running_loop()
    return loop.time if loop is not None and hasattr(loop, "random") else time.monotonic
