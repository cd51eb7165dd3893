"""A lease as its holder sees it, and the checks of what `acquire` is given."""

from __future__ import annotations

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from remuda.errors import LeaseLost

if TYPE_CHECKING:
    from remuda.primitives.lease.watch import Watch

__all__ = ["Lease", "check_request", "check_ttl", "lost"]


class Lease:
    """The right to use a resource until its time is over; `LeaseManager.acquire` gives it.

    That a lease has expired can be seen only by looking: a holder that was held up (by the garbage collector, a slow
    disk, a laptop that was closed) may go on as if nothing had happened. So give the `token` to the resource with each
    use, and let a `Fenced` guard refuse those whose time has passed.

    As an async context manager, it is released at the end of the block. If the lease was lost meanwhile, the end of the
    block raises `LeaseLost`, unless the block raises an error of its own.

    Any task, agent or thread may renew and release it.
    """

    __slots__ = ()  # those of the stores' leases have them

    _agent: int
    """The number of the agent that it is released with, or 0. (A reference to the agent would keep it alive.)"""
    _clock: Callable[[], float]
    _expires: float
    _released: bool
    _resource: str
    _token: int
    _ttl: float
    _watch: Watch | None

    @property
    def resource(self) -> str:
        """The name of what is leased."""
        return self._resource

    @property
    def token(self) -> int:
        """The fencing token: a later lease of the same resource has a larger one."""
        return self._token

    @property
    def ttl(self) -> float:
        """The seconds for which it was acquired, or renewed."""
        return self._ttl

    @property
    def remaining(self) -> float:
        """The seconds until it expires; 0 if it has expired, or was released."""
        return 0.0 if self._released else max(0.0, self._expires - self._clock())

    @property
    def expired(self) -> bool:
        """Whether it is no longer held: its time is over, or it was released."""
        return self._released or self._clock() >= self._expires

    @abstractmethod
    async def renew(self, ttl: float | None = None) -> None:
        """Begins the time to live anew.

        Args:
            ttl: Seconds from now; as before, if not given.

        Raises:
            LeaseLost: It has expired, or was released: an expired lease is never revived, even if nobody else wants it.
            StoreUnavailable: The store can't be reached. The lease lives until its time is over, or the new time if
                that would be sooner: the store may have got the request.
            ValueError: The TTL is not above 0, or not finite.
            TypeError: The TTL is no number.
        """
        raise NotImplementedError

    @abstractmethod
    async def release(self) -> None:
        """Gives it back; who waits first gets it. To release it once more does nothing.

        Raises:
            LeaseLost: It has expired: somebody else may have used the resource meanwhile.
            StoreUnavailable: The store can't be reached. There it ends with its time.
        """
        raise NotImplementedError

    @abstractmethod
    def _renew_soon(self) -> asyncio.Task[None] | None:
        """Renews it from a timer of the event loop: at once, or in the task that is returned."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        if self.expired:
            raise lost(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.release()
        except LeaseLost:
            if error is None:
                raise

    def __repr__(self) -> str:
        state = "released" if self._released else f"{self.remaining:.3f} s left"
        return f"<Lease of {self._resource!r}, token {self._token}, {state}>"


def lost(lease: Lease) -> LeaseLost:
    """The error of one who uses a lease that isn't one any more."""
    what = "it was released" if lease._released else f"its time of {lease._ttl:g} s is over"
    return LeaseLost(
        f"expected the lease of {lease._resource!r} with token {lease._token} to be held, but {what}"
    )


def check_ttl(ttl: object) -> float:
    """The TTL, if it is one."""
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise TypeError(f"expected a TTL in seconds, got {type(ttl).__name__}")
    if not 0 < ttl < inf:
        raise ValueError(f"expected a TTL above 0 seconds, and finite, got {ttl}")
    _check_size("a TTL", ttl)
    return ttl


def _check_size(what: str, seconds: float) -> None:
    try:
        float(seconds)
    except OverflowError:
        raise ValueError(f"expected {what} that a float can hold, got a larger int") from None


def check_request(resource: object, ttl: object, timeout: object, on_expire: Any) -> None:
    """Refuses what `acquire` can't do anything with."""
    if not isinstance(resource, str):
        raise TypeError(f"expected the name of a resource, a str, got {type(resource).__name__}")
    if not resource:
        raise ValueError("expected the name of a resource, got an empty str")
    check_ttl(ttl)
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise TypeError(f"expected a timeout in seconds or None, got {type(timeout).__name__}")
        if not timeout >= 0:
            raise ValueError(f"expected a timeout of at least 0 seconds, got {timeout}")
        _check_size("a timeout", timeout)
    if on_expire is not None and (
        not callable(on_expire) or inspect.iscoroutinefunction(on_expire)
    ):
        kind = "a coroutine function" if callable(on_expire) else type(on_expire).__name__
        raise TypeError(f"expected on_expire to be a plain function, got {kind}")
