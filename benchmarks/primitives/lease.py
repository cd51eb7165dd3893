"""What a lease costs: in memory beside a bare lock, in Redis and in etcd beside the locks of their clients.

The cases in a store start a server of their own, on a free port; where its program isn't installed they are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.harness import Bar, Case, Contender, Figures
from remuda import Fenced, LeaseManager, Mailbox, Runtime

__all__ = ["CASES"]

PROGRAM = shutil.which("redis-server")
ETCD = shutil.which("etcd")
TTL = 30


def per(began: int, size: int) -> Figures:
    return {"time": (clock() - began) / size}


# In memory


async def memory(size: int) -> Figures:
    manager = LeaseManager()
    began = clock()
    for _ in range(size):
        lease = await manager.acquire("r", ttl=TTL)
        await lease.release()
    return per(began, size)


async def memory_block(size: int) -> Figures:
    manager = LeaseManager()
    began = clock()
    for _ in range(size):
        async with await manager.acquire("r", ttl=TTL):
            pass
    return per(began, size)


async def memory_agent(size: int) -> Figures:
    async def agent(mailbox: Mailbox[None]) -> float:
        return (await memory(size))["time"]

    async with Runtime(workers=1) as runtime:
        return {"time": await runtime.spawn(agent)}


async def lock(size: int) -> Figures:
    lock = asyncio.Lock()
    began = clock()
    for _ in range(size):
        await lock.acquire()
        lock.release()
    return per(began, size)


async def _contend(size: int, turn: Callable[[], Awaitable[None]]) -> Figures:
    async def contender() -> None:
        for _ in range(size // 10):
            await turn()

    began = clock()
    await asyncio.gather(*[contender() for _ in range(10)])
    return per(began, size // 10 * 10)


async def memory_hand_over(size: int) -> Figures:
    manager = LeaseManager()

    async def turn() -> None:
        async with await manager.acquire("r", ttl=TTL):
            await asyncio.sleep(0)

    return await _contend(size, turn)


async def lock_hand_over(size: int) -> Figures:
    lock = asyncio.Lock()

    async def turn() -> None:
        async with lock:
            await asyncio.sleep(0)

    return await _contend(size, turn)


def guarded(size: int) -> Figures:
    guard = Fenced(_nothing)
    began = clock()
    for token in range(1, size + 1):
        guard(token)
    return per(began, size)


def unguarded(size: int) -> Figures:
    began = clock()
    for _ in range(size):
        _nothing()
    return per(began, size)


def _nothing() -> None: ...


# In Redis


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Runs a server, and gives its URL."""
    assert PROGRAM is not None
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = [PROGRAM, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if "Ready to accept connections" in line:
                        break
                yield f"redis://127.0.0.1:{port}"
            finally:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def _client() -> AsyncIterator[Any]:
    from redis import asyncio as redis  # only those who measure it need it

    with server() as url:
        async with redis.Redis.from_url(url) as client:
            await client.ping()
            yield client


async def redis_lease(size: int) -> Figures:
    with server() as url:
        async with LeaseManager(url) as manager:
            await (await manager.acquire("r", ttl=TTL)).release()
            began = clock()
            for _ in range(size):
                lease = await manager.acquire("r", ttl=TTL)
                await lease.release()
            return per(began, size)


async def redis_lock(size: int) -> Figures:
    async with _client() as client:
        lock = client.lock("r", timeout=TTL)
        await lock.acquire()
        await lock.release()
        began = clock()
        for _ in range(size):
            await lock.acquire()
            await lock.release()
        return per(began, size)


async def redis_round_trips(size: int) -> Figures:
    async with _client() as client:
        began = clock()
        for _ in range(size):
            await client.ping()
            await client.ping()
        return per(began, size)


async def redis_lease_hand_over(size: int) -> Figures:
    with server() as url:
        async with LeaseManager(url) as manager:

            async def turn() -> None:
                async with await manager.acquire("r", ttl=TTL):
                    await asyncio.sleep(0)

            return await _contend(size, turn)


async def redis_lock_hand_over(size: int) -> Figures:
    async with _client() as client:

        async def turn() -> None:
            async with client.lock("r", timeout=TTL):
                await asyncio.sleep(0)

        return await _contend(size, turn)


# In etcd


@contextlib.contextmanager
def etcd() -> Iterator[int]:
    """Runs a cluster of one, and gives its port."""
    assert ETCD is not None
    port = _free_port()
    here, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        words = [
            f"--data-dir={folder}/etcd",
            f"--listen-client-urls={here}",
            f"--advertise-client-urls={here}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        with subprocess.Popen([ETCD, *words], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    if "ready to serve client requests" in line:
                        break
                # What it says from now on, of slow disks, must not fill the pipe.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield port
            finally:
                process.kill()


@contextlib.asynccontextmanager
async def _etcd_client() -> AsyncIterator[Any]:
    import aetcd  # type: ignore[import-untyped]  # only those who measure it need it; it has no types

    with etcd() as port:
        async with aetcd.Client("127.0.0.1", port) as client:
            await client.put(b"k", b"")
            yield client


async def etcd_lease(size: int) -> Figures:
    with etcd() as port:
        async with LeaseManager(f"etcd://127.0.0.1:{port}") as manager:
            await (await manager.acquire("r", ttl=TTL)).release()
            began = clock()
            for _ in range(size):
                lease = await manager.acquire("r", ttl=TTL)
                await lease.release()
            return per(began, size)


async def etcd_lock(size: int) -> Figures:
    async with _etcd_client() as client:
        began = clock()
        for _ in range(size):
            lock = client.lock(b"r", ttl=TTL)
            await lock.acquire()
            await lock.release()
            await lock.lease.revoke()  # nobody else does
        return per(began, size)


async def etcd_round_trips(size: int) -> Figures:
    async with _etcd_client() as client:
        began = clock()
        for _ in range(size):
            for _ in range(4):
                await client.put(b"k", b"")
        return per(began, size)


_MEMORY = (
    Case(
        "lease",
        "lease",
        "acquire and release of a lease that nobody else wants",
        50_000,
        (
            Contender("LeaseManager", "remuda", memory),
            Contender("async with", "variant", memory_block),
            Contender("in an agent", "variant", memory_agent, note="released if the agent dies"),
            Contender("asyncio.Lock", "floor", lock, note="no time, no token, one event loop"),
        ),
        bars=(Bar(1_000, text="<= 1 µs"),),
    ),
    Case(
        "lease_hand_over",
        "lease, hand-over",
        "ten tasks take turns, per turn",
        20_000,
        (
            Contender("LeaseManager", "remuda", memory_hand_over),
            Contender("asyncio.Lock", "floor", lock_hand_over),
        ),
    ),
    Case(
        "fenced",
        "fenced call",
        "call of a guarded function that does nothing",
        100_000,
        (
            Contender("Fenced", "remuda", guarded),
            Contender("the bare function", "floor", unguarded),
        ),
    ),
)

_REDIS = (
    Case(
        "lease_redis",
        "lease in Redis",
        "acquire and release of a lease that nobody else wants, on a server of the same machine",
        2_000,
        (
            Contender("LeaseManager", "remuda", redis_lease),
            Contender("redis-py's Lock", "peer", redis_lock, note="no token, no order"),
            Contender("two round trips", "floor", redis_round_trips),
        ),
    ),
    Case(
        "lease_redis_hand_over",
        "lease in Redis, hand-over",
        "ten tasks take turns, per turn",
        200,
        (
            Contender("LeaseManager", "remuda", redis_lease_hand_over),
            Contender("redis-py's Lock", "peer", redis_lock_hand_over, note="asks each 0.1 s"),
        ),
        quick=50,
    ),
)

_ETCD = (
    Case(
        "lease_etcd",
        "lease in etcd",
        "acquire and release of a lease that nobody else wants, on a cluster of one on the same machine",
        200,
        (
            Contender("LeaseManager", "remuda", etcd_lease),
            Contender("aetcd's Lock", "variant", etcd_lock, note="no token, no order"),
            Contender("four puts", "floor", etcd_round_trips, note="each is on the disk"),
        ),
        quick=50,
    ),
)

CASES = _MEMORY + (_REDIS if PROGRAM else ()) + (_ETCD if ETCD else ())
