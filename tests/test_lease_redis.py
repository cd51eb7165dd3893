"""Leases in Redis: what only Redis does, forgets and refuses."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from remuda import Fenced, LeaseLost, LeaseManager, StaleToken, StoreUnavailable
from remuda.primitives.lease import scripts
from remuda.primitives.lease.redis_store import RedisLease
from tests.lease_servers import RedisServer, Server
from tests.lease_support import left_behind, run, server, servers, waiting

__all__ = ["server", "servers"]  # fixtures

on_redis = pytest.mark.parametrize("server", ["redis"], indirect=True)


def test_a_server_that_forgets(tmp_path: Path) -> None:
    """If a server loses its data two may believe to hold a lease; tokens grow all the same, and the guard knows."""
    if missing := RedisServer.missing():
        pytest.skip(missing)
    server = RedisServer(tmp_path)

    async def main() -> None:
        async with LeaseManager(server.url) as manager:
            old = await manager.acquire("r", ttl=30)
            server.kill()
            server.start()
            new = await manager.acquire("r", ttl=30, timeout=0)
            assert not old.expired
            assert new.token > old.token
            guard = Fenced(print)
            guard.check(new)
            with pytest.raises(StaleToken):
                guard.check(old)
            with pytest.raises(LeaseLost):
                await old.renew()
            assert old.expired

    try:
        run(main())
    finally:
        server.kill()


@on_redis
def test_a_server_whose_clock_jumps(server: Server) -> None:
    """If the server lets a lease expire early, the next one's token is larger, and the guard refuses the old one."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            old = await manager.acquire("r", ttl=30)
            assert await manager._client().pexpire(manager._keys("r")[0], 1)
            new = await manager.acquire("r", ttl=30)
            guard = Fenced(print)
            guard.check(new)
            with pytest.raises(StaleToken):
                guard.check(old)
            with pytest.raises(LeaseLost):
                await old.release()
            assert not new.expired

    run(main())


@on_redis
def test_tokens_grow_when_the_clock_of_the_server_goes_back(server: Server) -> None:
    """A last token that is ahead of the server's clock is followed by the next number."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            ahead = 8_000_000_000_000_000
            await manager._client().set(manager._keys("r")[1], ahead)
            for token in (ahead + 1, ahead + 2):
                async with await manager.acquire("r", ttl=30) as lease:
                    assert lease.token == token

    run(main())


@on_redis
def test_a_server_that_refuses(server: Server) -> None:
    """What the server answers with an error counts as unavailable at once; the error tells why."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            await manager._client().set(manager._keys("r")[2], "not a queue")
            with pytest.raises(StoreUnavailable, match=r"after 1 of 3 attempts .*WRONGTYPE"):
                await manager.acquire("r", ttl=30)

    run(main())


@on_redis
def test_a_waiter_that_vanished(server: Server) -> None:
    """A waiter that is gone without a word keeps the others up only until it is known to be gone."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            lease = await manager.acquire("r", ttl=30)
            await manager._call(scripts.ACQUIRE, RedisLease(manager, "r", 30), 30_000, 200)
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 2)
            await lease.release()
            await (await waiter).release()
            leftover = await left_behind(manager)
            assert [key for key in leftover if ":wake:" not in key] == []

    run(main())


@on_redis
def test_a_short_lease_in_redis(server: Server) -> None:
    """A TTL of which the margin for drifting clocks would leave too little is refused."""

    async def main() -> None:
        async with LeaseManager(server.url) as manager:
            with pytest.raises(ValueError, match=r"at least 0\.02 s for Redis, got 0\.01"):
                await manager.acquire("r", ttl=0.01)

    run(main())


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants Redis without its client is told what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'remuda\[redis\]'"):
        LeaseManager("redis://localhost")
