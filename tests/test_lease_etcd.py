"""Leases in etcd: what only etcd does, and what is done because of how it counts the time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remuda import Fenced, LeaseHeld, LeaseLost, LeaseManager, StaleToken, StoreUnavailable
from remuda.primitives.lease.etcd_store import EtcdLease, EtcdLeaseManager
from tests.lease_servers import EtcdServer, Server
from tests.lease_support import Clock, left_behind, own_server, run, server, servers, waiting

__all__ = ["own_server", "server", "servers"]  # fixtures

on_etcd = pytest.mark.parametrize("server", ["etcd"], indirect=True)


@on_etcd
def test_a_lease_that_the_server_ends_early(server: Server) -> None:
    """If the key of a holder is gone before its time, the next one's token is larger; the guard refuses the old one."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            old: Any = await manager.acquire("r", ttl=30)
            await manager._client().revoke_lease(old._hangs[0])
            new = await manager.acquire("r", ttl=30, timeout=0)
            guard = Fenced(print)
            guard.check(new)
            with pytest.raises(StaleToken):
                guard.check(old)
            with pytest.raises(LeaseLost):
                await old.renew()
            with pytest.raises(LeaseLost):
                await old.release()
            assert not new.expired
            await new.release()
            assert await left_behind(manager) == []

    run(main())


@on_etcd
def test_fractions_of_a_second(server: Server) -> None:
    """Who waits gets a lease when its holder's time is over, though etcd, which counts seconds, still keeps it."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            old: Any = await manager.acquire("r", ttl=0.1)
            new = await manager.acquire("r", ttl=30)
            assert old.expired
            assert (await manager._client().get_lease_info(old._hangs[0])).TTL >= 0
            with pytest.raises(LeaseLost):
                await old.release()
            assert not new.expired
            await new.release()
            assert await left_behind(manager) == []

    run(main())


@on_etcd
def test_a_renewal_in_the_last_moment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that is renewed just before the one who waits ends it is kept."""
    clock = Clock()
    transact = EtcdLeaseManager._transact
    monkeypatch.setattr(EtcdLeaseManager, "_slice", 0.05)
    monkeypatch.setattr("remuda.primitives.lease.etcd_store.time", SimpleNamespace(monotonic=clock))

    async def main() -> None:
        name = server.namespace()
        async with (
            LeaseManager(server.url, namespace=name) as one,
            LeaseManager(server.url, namespace=name) as two,
        ):
            lease = await one.acquire("r", ttl=30)
            renewed: list[float] = []

            async def renew_first(manager: Any, *args: Any, **options: Any) -> Any:
                if manager is two and type(args[2][0]).__name__ == "Delete":
                    await lease.renew()
                    renewed.append(lease.remaining)
                return await transact(manager, *args, **options)

            monkeypatch.setattr(EtcdLeaseManager, "_transact", renew_first)
            waiter = asyncio.create_task(two.acquire("r", ttl=30, timeout=0.5))
            await waiting(one, "r", 1)
            while not renewed:
                clock.jump(31)  # so that the time of the holder is over for the one who waits
                await asyncio.sleep(0.05)
            with pytest.raises(LeaseHeld):
                await waiter
            await lease.release()
            assert await left_behind(one) == []

    run(main())


@on_etcd
def test_etcd_ends_what_nobody_waits_for(server: Server) -> None:
    """A holder that is gone is forgotten by etcd itself."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as manager:
            await manager.acquire("r", ttl=0.1)
            while await left_behind(manager):
                await asyncio.sleep(0.01)
            await (await manager.acquire("r", ttl=30, timeout=0)).release()

    run(main())


@on_etcd
def test_a_waiter_that_vanished(server: Server) -> None:
    """A waiter that is gone without a word keeps the others up only until it is known to be gone."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            lease = await manager.acquire("r", ttl=30)
            await manager._stand(EtcdLease(manager, "r", 30))
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 2)
            await lease.release()
            await (await waiter).release()
            assert await left_behind(manager) == []

    run(main())


@on_etcd
def test_a_waiter_that_lost_its_place(server: Server) -> None:
    """A waiter whose key is gone, because it was held up for too long, goes to the end of the line."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            order: list[str] = []

            async def wait(name: str) -> None:
                async with await manager.acquire("r", ttl=30):
                    order.append(name)

            lease = await manager.acquire("r", ttl=30)
            first = asyncio.create_task(wait("first"))
            await waiting(manager, "r", 1)
            (first_of_all,) = manager._waiting
            second = asyncio.create_task(wait("second"))
            await waiting(manager, "r", 2)
            await manager._client().revoke_lease(first_of_all._hangs[0])
            await waiting(manager, "r", 1)
            await waiting(manager, "r", 2)
            await lease.release()
            await asyncio.gather(first, second)
            assert order == ["second", "first"]

    run(main())


@on_etcd
def test_who_waits_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that is released goes to the next one at once, not only when that one asks again."""
    monkeypatch.setattr(EtcdLeaseManager, "_slice", 3600)

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as manager:
            lease = await manager.acquire("r", ttl=3600)
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 1)
            await lease.release()
            await (await waiter).release()

    run(main())


@on_etcd
def test_history_that_is_compacted(server: Server) -> None:
    """A waiter is told of what happens also if etcd has thrown away the revisions that it began with."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            lease = await manager.acquire("r", ttl=30)
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 1)
            client = manager._client()
            put = await client.put(b"anything", b"")
            await client.compact(put.header.revision)
            await client.delete(b"anything")
            await lease.release()
            await (await waiter).release()

    run(main())


@pytest.mark.parametrize("own_server", ["etcd"], indirect=True)
def test_no_grant_is_left(own_server: Server) -> None:
    """Holders, waiters, those who give up and those who are cancelled leave no lease of etcd's behind."""

    async def main() -> None:
        async with LeaseManager(own_server.url) as made:
            manager: Any = made
            lease = await manager.acquire("r", ttl=30)
            with pytest.raises(LeaseHeld):
                await manager.acquire("r", ttl=30, timeout=0)
            with pytest.raises(LeaseHeld):
                await manager.acquire("r", ttl=30, timeout=0.05)
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 1)
            waiter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiter
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 1)
            await lease.renew()
            await lease.renew(20)
            assert await _grants(manager) == 2
            await lease.release()
            await (await waiter).release()
            assert await _grants(manager) == 0
            await manager.acquire("r", ttl=30)
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 1)
        with pytest.raises(StoreUnavailable, match="closed"):
            await waiter
        async with LeaseManager(own_server.url) as other:
            assert await _grants(other) == 0

    run(main())


def test_a_leader_that_is_killed(tmp_path: Path) -> None:
    """When the leader of a cluster dies, leases live on: they can be renewed, nobody else gets them, tokens grow."""
    if missing := EtcdServer.missing():
        pytest.skip(missing)
    pytest.importorskip("aetcd")
    members = EtcdServer.cluster(tmp_path, 3)

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            managers: list[Any] = [
                await stack.enter_async_context(LeaseManager(member.url)) for member in members
            ]
            answers = [await manager._client().get_prefix(b"r") for manager in managers]
            leader = (await managers[0]._client().status()).leader.id
            first = [answer.header.member_id for answer in answers].index(leader)
            one, two = (managers[(first + step) % 3] for step in (1, 2))
            lease = await one.acquire("r", ttl=30)
            waiter = asyncio.create_task(two.acquire("r", ttl=30))
            await waiting(one, "r", 1)
            members[first].kill()
            await lease.renew()
            assert not waiter.done()
            await lease.release()
            assert (await waiter).token > lease.token
            members[first].start()
            with pytest.raises(LeaseHeld):
                await managers[first].acquire("r", ttl=30, timeout=0)
            await (await waiter).release()

    try:
        run(main())
    finally:
        for member in members:
            member.kill()


async def _grants(manager: Any) -> int:
    """How many leases etcd keeps."""
    client = manager._client()
    await client.connect()
    answer = await client.leasestub.LeaseLeases(manager._aetcd.rpc.LeaseLeasesRequest())
    return len(answer.leases)


@on_etcd
def test_a_server_that_refuses(server: Server) -> None:
    """What the server answers with an error counts as unavailable at once; the error tells why."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as manager:
            with pytest.raises(StoreUnavailable, match=r"after 1 of 3 attempts .*too large"):
                await manager.acquire("r", ttl=1e10)

    run(main())


@on_etcd
def test_a_short_lease_in_etcd(server: Server) -> None:
    """A TTL of which too little would be left when etcd has answered is refused."""

    async def main() -> None:
        async with LeaseManager(server.url) as manager:
            with pytest.raises(ValueError, match=r"at least 0\.05 s for etcd, got 0\.01"):
                await manager.acquire("r", ttl=0.01)

    run(main())


@on_etcd
def test_renewals_at_once(server: Server) -> None:
    """Renewals that cross each other leave a lease that its holder and etcd agree about."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            lease: Any = await manager.acquire("r", ttl=30)
            for _ in range(10):
                await asyncio.gather(*[lease.renew(ttl) for ttl in (10, 20, 20, 30, 30)])
                (place,) = await manager._client().get_prefix(manager._prefix("r"))
                assert lease.remaining < int(place.value.removeprefix(b"held ")) / 1000
                info = await manager._client().get_lease_info(place.lease)
                assert lease.remaining < info.TTL + 1
                assert list(lease._grants) == [place.lease]
            await lease.release()

    run(main())


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("etcd://", "a URL such as etcd://host:2379, got 'etcd://'"),
        ("etcd://host/path", "a URL such as"),
        ("etcd://host:port", "[Pp]ort"),
        ("etcd://name:secret@host", "without a user"),
    ],
)
def test_bad_urls(url: str, text: str) -> None:
    """A URL that can't be meant is refused."""
    pytest.importorskip("aetcd")
    with pytest.raises(ValueError, match=text):
        LeaseManager(url)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants etcd without its client is told what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "aetcd"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aetcd", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'remuda\[etcd\]'"):
        LeaseManager("etcd://localhost")
