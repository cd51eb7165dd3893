"""Leases in Redis, for all processes that use the same server.

What the server does is in `scripts.py`, what a client may believe of it in `remote.py`.

A waiter takes its place in the server's queue and then waits for a list of its own to get an element (`BLPOP`), for a
second at most: then it asks again, which also tells the server that it still waits. It needs no subscription that would
have to be restored when a connection drops.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from remuda.primitives.lease import scripts
from remuda.primitives.lease.manager import closed
from remuda.primitives.lease.remote import (
    RemoteLease,
    RemoteLeaseManager,
    held,
    margin,
    ms,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

__all__ = ["RedisLease", "RedisLeaseManager"]


class RedisLease(RemoteLease):
    """A lease of a `RedisLeaseManager`."""

    __slots__ = ()


class RedisLeaseManager(RemoteLeaseManager["Redis"], schemes=("redis", "rediss", "unix")):
    """What `LeaseManager("redis://...")` makes."""

    __slots__ = ("_scripts",)

    _name = "Redis"
    _shortest = 0.02
    _kind = RedisLease

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
        self._open, self._errors, self._passing = _opener(url, patience)
        self._scripts: dict[Redis, dict[str, AsyncScript]] = {}

    async def _wait(
        self,
        lease: RedisLease,
        until: float,
        timeout: float | None,  # noqa: ASYNC109  # for the text of the error
    ) -> None:
        loop = asyncio.get_running_loop()
        patience = 0 if timeout == 0 else ms(self._believed)
        while True:
            sent, (is_ours, token, left), _ = await self._call(
                scripts.ACQUIRE, lease, ms(lease._ttl), patience
            )
            if is_ours:
                lease._token = token
                lease._expires = sent + left / 1000 - margin(lease._ttl)
                if not lease.expired:
                    return
                # The answer came too late for it to be believed: give it back, and stand in line again.
                await self._leave(lease)
                lease._request = secrets.token_hex(12)
            pause = until - loop.time()
            if pause <= 0:
                raise held(lease, timeout)
            if not is_ours:
                # A little later than the holder's end, so that it is over then.
                pause = min(pause, self._slice, left / 1000 + 0.001 if left else self._slice)
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

    async def _extend(self, lease: RedisLease, ttl: float) -> tuple[float, bool]:
        sent, renewed, _ = await self._call(scripts.RENEW, lease, ms(ttl))
        return sent, bool(renewed)

    async def _give_back(self, lease: RedisLease) -> bool:
        _, released, attempts = await self._call(scripts.RELEASE, lease)
        # If the answer to the first attempt was lost, the second one finds nothing to release.
        return bool(released) or attempts > 1

    async def _end(self, client: Redis) -> None:
        await client.aclose()

    def _forget(self, client: Redis) -> None:
        self._scripts.pop(client, None)

    async def _call(
        self, script: str, lease: RedisLease, *arguments: int
    ) -> tuple[float, Any, int]:
        """Runs a script; returns what `_ask` does."""
        keys = self._keys(lease._resource)

        def ask(client: Redis) -> Any:
            known = self._scripts.setdefault(client, {})
            run = known.get(script)
            if run is None:
                run = known[script] = client.register_script(script)
            return run(keys=keys, args=[lease._request, *arguments])

        return await self._ask(lease, ask, ending=script in (scripts.RELEASE, scripts.LEAVE))

    def _keys(self, resource: str) -> list[str]:
        # A brace would end the hash tag early.
        tag = resource.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
        start = f"{self._namespace}:lease:{{{tag}}}:"
        return [start + name for name in ("holder", "token", "queue", "alive", "wake:")]


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
