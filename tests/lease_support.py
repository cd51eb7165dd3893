"""What the tests of leases share: the stores, a clock that jumps, and the record of who had what."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

import remuda
from remuda import Lease, LeaseManager
from tests.redis_server import PROGRAM, RedisServer

Make = Callable[..., LeaseManager]
NO_SERVER = "redis-server isn't installed (Debian: apt-get install redis-server)"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for all tests, which nobody kills."""
    if PROGRAM is None:
        pytest.skip(NO_SERVER)
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Any) -> Iterator[RedisServer]:
    """A server for one test, which may kill it; what it was told is on the disk."""
    if PROGRAM is None:
        pytest.skip(NO_SERVER)
    server = RedisServer(tmp_path, durable=True)
    yield server
    server.kill()


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes managers of a store; those of one test in Redis share their leases."""
    if request.param == "memory":
        return LeaseManager
    server: RedisServer = request.getfixturevalue("server")
    return functools.partial(LeaseManager, server.url, namespace=server.namespace())


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
    if not hasattr(manager, "_clients"):
        held = [lease.resource for lease in manager._table.held()]
        return [*held, *manager._queues, *itertools.chain(*manager._agents.values())]
    keys = await manager._client().keys(f"{manager._namespace}:*")
    return [key for key in keys if not key.endswith(":token")]


async def forgotten(manager: Any) -> None:
    """Waits until nothing is kept any more."""
    while await left_behind(manager):
        await asyncio.sleep(0.001)


async def waiting(manager: Any, resource: str, count: int) -> None:
    """Waits until so many wait for the resource."""
    while True:
        if hasattr(manager, "_clients"):
            found = await manager._client().zcard(manager._keys(resource)[2])
        else:
            found = len(manager._queues.get(resource, ()))
        if found == count:
            return
        await asyncio.sleep(0.001)


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
