"""What the tests of leases share: the stores, a clock that jumps, and the record of who had what."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

import remuda
from remuda import Lease, LeaseManager
from remuda.primitives.lease.memory import MemoryLeaseManager
from remuda.primitives.lease.redis_store import RedisLeaseManager
from tests.lease_servers import STORES, Server

Make = Callable[..., LeaseManager]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Gives a server of a store for all tests, which nobody kills."""
    running: dict[str, Server] = {}

    def server(store: str) -> Server:
        if store not in running:
            _skip_without(store)
            running[store] = STORES[store](tmp_path_factory.mktemp(store))
        return running[store]

    yield server
    for each in running.values():
        each.kill()


@pytest.fixture(params=list(STORES))
def server(request: pytest.FixtureRequest, servers: Callable[[str], Server]) -> Server:
    """A server of each store, for all tests."""
    return servers(request.param)


@pytest.fixture(params=list(STORES))
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may kill it; what it was told is on the disk."""
    _skip_without(request.param)
    server = STORES[request.param](tmp_path, durable=True)
    yield server
    server.kill()


@pytest.fixture(params=["memory", *STORES])
def make(request: pytest.FixtureRequest, servers: Callable[[str], Server]) -> Make:
    """Makes managers of a store; those of one test share their leases, unless they are in memory."""
    if request.param == "memory":
        return LeaseManager
    server = servers(request.param)
    return functools.partial(LeaseManager, server.url, namespace=server.namespace())


def _skip_without(store: str) -> None:
    missing = STORES[store].missing()
    if missing:
        pytest.skip(missing)
    if store == "etcd":
        pytest.importorskip("aetcd")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs it, for a minute at most."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await main

    remuda.run(limited())


def on_a_store(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """Makes a test out of `async def test(runtime, manager, ...)`: it runs on each store, and leaves nothing there."""

    async def main(make: Make, arguments: dict[str, Any]) -> None:
        async with remuda.Runtime() as runtime, make() as manager:
            if "make" in inspect.signature(test).parameters:
                arguments["make"] = make
            await asyncio.wait_for(test(runtime, manager, **arguments), 60)
            assert await left_behind(manager) == []

    @functools.wraps(test)
    def run(make: Make, **arguments: Any) -> None:
        remuda.run(main(make, arguments))

    parameters = list(inspect.signature(test).parameters.values())
    kept = [p for p in parameters if p.name not in ("runtime", "manager", "make")]
    kept.append(inspect.Parameter("make", inspect.Parameter.POSITIONAL_OR_KEYWORD))
    run.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]  # for pytest
    return run


async def left_behind(manager: Any) -> list[str]:
    """What a manager, or its store, still keeps of leases and waiters; tokens are kept for ever."""
    if isinstance(manager, MemoryLeaseManager):
        held = [lease.resource for lease in manager._table.held()]
        return [*held, *manager._queues, *itertools.chain(*manager._agents.values())]
    if isinstance(manager, RedisLeaseManager):
        names: Any = await manager._client().keys(f"{manager._namespace}:*")
        return [name for name in names if not name.endswith(":token")]
    found = await manager._client().get_prefix(f"{manager._namespace}/".encode())
    return [key.key.decode() for key in found]


async def forgotten(manager: Any) -> None:
    """Waits until nothing is kept any more."""
    while await left_behind(manager):
        await asyncio.sleep(0.001)


async def waiting(manager: Any, resource: str, count: int) -> None:
    """Waits until so many wait for the resource."""
    while await _count_waiting(manager, resource) != count:
        await asyncio.sleep(0.001)


async def _count_waiting(manager: Any, resource: str) -> int:
    if isinstance(manager, MemoryLeaseManager):
        return len(manager._queues.get(resource, ()))
    if isinstance(manager, RedisLeaseManager):
        count: int = await manager._client().zcard(manager._keys(resource)[2])
        return count
    line = await manager._client().get_prefix(manager._prefix(resource))
    return [place.value for place in line].count(b"waiting")


async def over(lease: Lease) -> None:
    """Holds until the lease is over: what a holder does that is held up."""
    while not lease.expired:
        await asyncio.sleep(lease.remaining)


class Clock:
    """The real clock, which jumps ahead when it is told to."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def jump(self, seconds: float) -> None:
        """Goes ahead."""
        self._ahead += seconds


Kind = Literal["acquire", "release", "expire", "write", "refused"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a resource."""

    kind: Kind
    token: int
    at: float
    until: float = 0.0
    """When the lease ends by itself; of "acquire"."""


@dataclass
class History:
    """What happened to one resource, and whether it may have happened."""

    events: list[Event] = field(default_factory=list)

    def add(self, kind: Kind, lease: Lease, at: float | None = None) -> None:
        """Writes down that something happened, now or at another time."""
        now = time.monotonic()
        # Not `now` and what remains: between the two readings of the clock a thread may be held up.
        until = lease._expires if kind == "acquire" else 0.0
        self.events.append(Event(kind, lease.token, now if at is None else at, until))

    def check(self) -> None:
        """Holds never overlap, later ones have larger tokens, and writes that were accepted come in their order."""
        acquired = sorted((e for e in self.events if e.kind == "acquire"), key=lambda e: e.at)
        tokens = [event.token for event in acquired]
        assert tokens == sorted(set(tokens)), f"tokens don't grow: {tokens}"
        ends = {event.token: event.until for event in acquired}
        for event in self.events:
            if event.kind in ("release", "expire"):
                ends[event.token] = min(ends[event.token], event.at)
        for earlier, later in itertools.pairwise(acquired):
            assert ends[earlier.token] <= later.at, f"{earlier} overlaps {later}"
        written = [event.token for event in self.events if event.kind == "write"]
        assert written == sorted(written), f"a stale write was accepted: {written}"
        assert set(written) <= set(tokens), "somebody wrote without a lease"
