"""Leases in etcd, for all processes that use the same cluster.

Whoever wants a resource puts a key of its own under the prefix of the resource. The one whose key was created first has
the resource, and the others stand in line behind it. The revision at which the key was created is the fencing token,
for etcd's revisions only grow:

    <namespace>/lease/<resource>/<request>   "held", with the TTL in ms, or "waiting"

Each key hangs on a lease of etcd's ("grant" here) and goes with it. That of a holder lasts for the TTL; that of one who
waits lasts for three seconds and is kept alive, so that who crashes in line is soon gone. Steps of one who waits:

1. It puts its key, with what etcd believes of a waiter, and looks at the whole line.
2. If it is not the first, it watches the key before its own until that changes, for a second at most, and looks again.
3. If it is the first, it hangs its key on a grant for its TTL. Nobody can come between: who comes later is behind it,
   and if its key is gone meanwhile, nothing is put, and it goes to the end of the line.

etcd counts in whole seconds, of at least one and a half election timeouts, and looks twice a second for what is over.
So the second in line doesn't wait for that: if the holder's key has not changed for the holder's TTL *since the second
saw it*, the holder's time is over, and the second deletes the key, on condition that it is still the same. That
compares no clocks, only how fast they run. It is why a renewal changes the key.

Of aetcd only the single requests and the generated stubs are used, not its watcher: that mixes up two watches if the
creation of one is cancelled. Here every watch is a stream of its own.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from remuda.errors import StoreUnavailable
from remuda.primitives.lease.manager import closed
from remuda.primitives.lease.remote import (
    RemoteLease,
    RemoteLeaseManager,
    held,
    margin,
    ms,
)

__all__ = ["EtcdLease", "EtcdLeaseManager"]

_PORT = 2379
_WAITING = b"waiting"
_HELD = b"held "
_AGAIN = 0.05
"""Seconds before one who waits asks again whose watch failed."""


class EtcdLease(RemoteLease):
    """A lease of an `EtcdLeaseManager`."""

    __slots__ = ("_grants", "_hangs")

    def __init__(self, manager: EtcdLeaseManager, resource: str, ttl: float) -> None:
        super().__init__(manager, resource, ttl)
        self._hangs: tuple[int, int] = (0, 0)
        """The grant that its key hangs on, and the revision at which the key was last changed."""
        self._grants: dict[int, int] = {}
        """The seconds of each grant that etcd may know of."""


class _Place(NamedTuple):
    """A key in line."""

    created: int
    changed: int
    key: bytes
    value: bytes
    grant: int


class EtcdLeaseManager(RemoteLeaseManager[Any], schemes=("etcd",)):  # aetcd has no types
    """What `LeaseManager("etcd://...")` makes."""

    __slots__ = ("_aetcd",)

    _name = "etcd"
    _shortest = 0.05
    _kind = EtcdLease
    _pause = 0.1  # with this, a channel tries to connect at least once between the first attempt and the last

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: Callable[[], float] | None = None,
        namespace: str = "remuda",
        patience: float = 2.0,
    ) -> None:
        super().__init__(url, clock=clock, namespace=namespace, patience=patience)
        self._aetcd = aetcd = _client_library()
        self._open = _opener(aetcd, url or "", patience)
        rpc_error = aetcd.rpc.AioRpcError
        self._errors = (aetcd.ClientError, rpc_error, OSError, asyncio.InvalidStateError)
        self._passing = (
            aetcd.ConnectionFailedError,
            aetcd.ConnectionTimeoutError,
            aetcd.InternalError,  # of gRPC's, if the connection drops while a message is being sent
            rpc_error,
            OSError,
            asyncio.InvalidStateError,
        )

    async def _wait(
        self,
        lease: EtcdLease,
        until: float,
        timeout: float | None,  # noqa: ASYNC109  # for the text of the error
    ) -> None:
        if await self._take(lease):
            return
        if timeout == 0:
            raise held(lease, timeout)
        loop = asyncio.get_running_loop()
        seen, seen_at = 0, 0.0
        while True:
            line, revision = await self._stand(lease)
            place = next(i for i, found in enumerate(line) if found.key == self._key(lease))
            if place == 0:
                if await self._claim(lease, line[0].created):
                    return
                continue
            pause = min(self._slice, until - loop.time())
            if pause <= 0:
                raise held(lease, timeout)
            before = line[place - 1]
            if place == 1 and before.value.startswith(_HELD):
                now = time.monotonic()
                if seen != before.changed:
                    seen, seen_at = before.changed, now
                left = seen_at + int(before.value[len(_HELD) :]) / 1000 - now
                if left <= 0:
                    changed = self._aetcd.transactions.Mod(before.key) == before.changed
                    await self._transact(lease, changed, [self._delete(before.key)])
                    continue
                pause = min(pause, left)
            await self._until_changed(before.key, revision, pause)

    async def _take(self, lease: EtcdLease) -> bool:
        """Leases a resource that nobody has or waits for."""
        sent = self._clock()
        grant = await self._granted(lease, lease._ttl)
        start, end = self._range(lease)
        nobody = self._aetcd.transactions.Create(start, end) == 0
        line = self._aetcd.transactions.Get(start, end)
        put = self._put(lease, grant, lease._ttl)
        taken, answers, _ = await self._transact(lease, nobody, [put, line], [line])
        if answers:
            first = _line(answers[-1])[0]
            if taken or first.key == put.key:  # it was taken, though the answer was lost
                return await self._begun(lease, first, sent)
        await self._leave(lease)
        return False

    async def _stand(self, lease: EtcdLease) -> tuple[list[_Place], int]:
        """Stands in line, or tells that it still does.

        Returns:
            The line, with its own key, and the revision at which it was so.
        """
        key = self._key(lease)
        start, end = self._range(lease)
        while True:
            if lease._hangs[0] and await self._kept(lease, lease._hangs[0]):
                _, found, _ = await self._ask(lease, lambda client: client.get_prefix(start))
                line = sorted(map(_place, found))
                if any(place.key == key for place in line):
                    return line, found.header.revision
            await self._leave(lease)
            grant = await self._granted(lease, self._believed)
            lease._hangs = grant, 0
            transactions = self._aetcd.transactions
            absent = transactions.Create(key) == 0
            put = transactions.Put(key, _WAITING, grant)
            all_of_it = transactions.Get(start, end)
            _, answers, _ = await self._transact(lease, absent, [put, all_of_it], [all_of_it])
            if answers and any(found.key == key for _, found in answers[-1]):
                return _line(answers[-1]), answers[-1][0][1].header.revision

    async def _claim(self, lease: EtcdLease, created: int) -> bool:
        """Makes a lease of the first place in line."""
        sent = self._clock()
        waiting, _ = lease._hangs
        grant = await self._granted(lease, lease._ttl)
        put = self._put(lease, grant, lease._ttl)
        still_there = self._aetcd.transactions.Create(put.key) == created
        get = self._aetcd.transactions.Get(put.key)
        done, answers, _ = await self._transact(lease, still_there, [put, get])
        if not done:
            await self._leave(lease)
            return False
        if not await self._begun(lease, _line(answers[-1])[0], sent):
            return False
        with suppress(StoreUnavailable):
            await self._revoke(lease, waiting)
        return True

    async def _begun(self, lease: EtcdLease, place: _Place, sent: float) -> bool:
        """Begins the holder's time, if that isn't over already."""
        lease._hangs = place.grant, place.changed
        lease._token = place.created
        lease._expires = sent + lease._ttl - margin(lease._ttl)
        if not lease.expired:
            return True
        # The answer came too late for it to be believed: give it back, and stand in line again.
        await self._leave(lease)
        lease._request = secrets.token_hex(12)
        return False

    async def _until_changed(self, key: bytes, revision: int, pause: float) -> None:
        """Waits until a key has changed since the revision, or the pause is over."""
        client = self._client()
        await client.connect()  # makes the channel; that connects when it is used
        rpc = self._aetcd.rpc
        create = rpc.WatchCreateRequest(key=key, start_revision=revision + 1)
        with self._closed_if_cancelled_by_nobody():
            stream = rpc.WatchStub(client.channel).Watch(metadata=client.metadata)
            try:
                async with asyncio.timeout(pause):
                    await stream.write(rpc.WatchRequest(create_request=create))
                    async for answer in stream:
                        if answer.events or answer.canceled:
                            return
            except TimeoutError:
                return
            except self._errors:
                # The connection dropped, perhaps with the news: ask, and that tells.
                if self._closed:
                    raise closed() from None
            finally:
                stream.cancel()
            await asyncio.sleep(_AGAIN)

    async def _leave(self, lease: EtcdLease) -> None:
        # Its key goes with the grant; and without the grant, a request that is still on its way puts nothing.
        await self._revoke(lease, *lease._grants)
        lease._hangs = 0, 0

    async def _extend(self, lease: EtcdLease, ttl: float) -> tuple[float, bool]:
        sent = self._clock()
        key = self._key(lease)
        get = self._aetcd.transactions.Get(key)
        new = 0
        left: set[int] = set()
        while not lease.expired:
            grant, changed = lease._hangs
            if not new:
                fits = lease._grants.get(grant) == ceil(ttl)
                if not (fits and await self._kept(lease, grant)):
                    new = await self._granted(lease, ttl)
            # On condition that the key is as it was: another renewal may be under way, and the key must not be hung on
            # a grant again that it was taken off, for that is revoked.
            same = self._aetcd.transactions.Mod(key) == changed
            put = self._put(lease, new or grant, ttl)
            renewed, answers, _ = await self._transact(lease, same, [put, get], [get])
            if not answers:
                new = 0  # the grant is over
                continue
            line = _line(answers[-1])
            if not line:
                break
            lease._hangs = line[0].grant, line[0].changed
            if line[0].grant != grant:
                left.add(grant)
            if renewed:
                with suppress(StoreUnavailable):
                    await self._revoke(lease, *left)
                return sent, True
        if new:
            with suppress(StoreUnavailable):
                await self._revoke(lease, new)
        return sent, False

    async def _give_back(self, lease: EtcdLease) -> bool:
        key = self._key(lease)
        still_there = self._aetcd.transactions.Create(key) == lease._token
        released, _, attempts = await self._transact(
            lease, still_there, [self._delete(key)], ending=True
        )
        with suppress(StoreUnavailable):
            await self._leave(lease)
        # If the answer to the first attempt was lost, the second one finds nothing to release.
        return released or attempts > 1

    async def _end(self, client: Any) -> None:
        await client.close()

    # Requests

    async def _granted(self, lease: EtcdLease, ttl: float) -> int:
        """Has etcd make a grant.

        Returns:
            Its number, which is chosen here, so that the request can be repeated.
        """
        number = secrets.randbits(62) + 1
        seconds = lease._grants[number] = ceil(ttl)

        async def ask(client: Any) -> None:
            with suppress(self._aetcd.DuplicateLeaseError):
                await client.lease(seconds, number)

        await self._ask(lease, ask)
        return number

    async def _kept(self, lease: EtcdLease, grant: int) -> bool:
        """Begins the time of a grant anew; false if it is over."""
        _, answer, _ = await self._ask(lease, lambda client: client.refresh_lease(grant))
        return bool(answer.TTL > 0)

    async def _revoke(self, lease: EtcdLease, *grants: int) -> None:
        for grant in grants:

            async def ask(client: Any, grant: int = grant) -> None:
                try:
                    await client.revoke_lease(grant)
                except self._aetcd.ClientError as error:
                    if not self._is_missing(error):
                        raise

            await self._ask(lease, ask, ending=True)
            lease._grants.pop(grant, None)

    async def _transact(
        self,
        lease: EtcdLease,
        condition: Any,
        then: Sequence[Any],
        otherwise: Sequence[Any] = (),
        *,
        ending: bool = False,
    ) -> tuple[bool, Sequence[Any], int]:
        """Does one or the other, in one step.

        Returns:
            Whether the condition was met, the answers, and the number of attempts. There are no answers if a grant is
            over that something was to hang on.
        """

        async def ask(client: Any) -> tuple[bool, Sequence[Any]]:
            try:
                done: tuple[bool, Sequence[Any]] = await client.transaction(
                    [condition], then, otherwise
                )
            except self._aetcd.ClientError as error:
                if not self._is_missing(error):
                    raise
                return False, ()
            return done

        _, (done, answers), attempts = await self._ask(lease, ask, ending=ending)
        return done, answers, attempts

    async def _ask(self, lease: Any, ask: Any, *, ending: bool = False) -> Any:
        with self._closed_if_cancelled_by_nobody():
            return await super()._ask(lease, ask, ending=ending)

    @contextmanager
    def _closed_if_cancelled_by_nobody(self) -> Iterator[None]:
        """Tells a cancelled caller from one whose request was cancelled because the client was closed."""
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._shut and task is not None and not task.cancelling():
                raise closed() from None
            raise

    def _is_missing(self, error: BaseException) -> bool:
        cause: Any = error.__cause__
        return isinstance(cause, self._aetcd.rpc.AioRpcError) and cause.code().name == "NOT_FOUND"

    def _put(self, lease: EtcdLease, grant: int, ttl: float) -> Any:
        value = b"%b%d" % (_HELD, ms(ttl))
        return self._aetcd.transactions.Put(self._key(lease), value, grant)

    def _delete(self, key: bytes) -> Any:
        return self._aetcd.transactions.Delete(key)

    def _key(self, lease: EtcdLease) -> bytes:
        return self._prefix(lease._resource) + lease._request.encode()

    def _range(self, lease: EtcdLease) -> tuple[bytes, bytes]:
        prefix = self._prefix(lease._resource)
        return prefix, prefix[:-1] + b"0"  # what comes after the slash

    def _prefix(self, resource: str) -> bytes:
        # A slash would make one name the beginning of another.
        return f"{quote(self._namespace, safe='')}/lease/{quote(resource, safe='')}/".encode()


def _place(found: Any) -> _Place:
    return _Place(found.create_revision, found.mod_revision, found.key, found.value, found.lease)


def _line(answer: Sequence[Any]) -> list[_Place]:
    return sorted(_place(found) for _, found in answer)


def _client_library() -> Any:
    try:
        # An optional dependency: only those who use etcd need it.
        import aetcd  # type: ignore[import-untyped]  # it has no types
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected the package aetcd to be installed, for leases in etcd: pip install 'remuda[etcd]'",
            name=error.name,
        ) from error
    return aetcd


def _opener(aetcd: Any, url: str, patience: float) -> Callable[[], Any]:
    """What makes a client."""
    parts = urlsplit(url)
    host = parts.hostname
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"expected a URL such as etcd://host:2379, got {url!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL of etcd without a user: aetcd doesn't renew its tokens")
    port = parts.port or _PORT
    if ":" in host:
        host = f"[{host}]"
    options = {
        # Until a channel has connected again, it refuses what is sent; see `_pause`. (It adds up to a fifth.) Time-outs
        # of requests are set where they are sent.
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 200,
        "grpc.min_reconnect_backoff_ms": max(100, ms(patience)),
    }
    return lambda: aetcd.Client(host, port, options=options)
