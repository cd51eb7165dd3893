"""Leases when things break: paused holders, servers that are killed, hang or forget, and connections that drop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

import remuda
from remuda import Fenced, LeaseHeld, LeaseLost, LeaseManager, StaleToken, StoreUnavailable
from remuda.primitives.lease import scripts
from remuda.primitives.lease.redis_store import RedisLease
from tests.lease_support import NO_SERVER, left_behind, own_server, server, waiting
from tests.redis_server import PROGRAM, RedisServer

__all__ = ["own_server", "server"]  # fixtures

ROOT = Path(__file__).resolve().parent.parent


def run(main: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await main

    remuda.run(limited())


def child(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process of this interpreter."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def until_stopped(process: subprocess.Popen[str]) -> None:
    """Waits until SIGSTOP has stopped the process."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


HOLDER_IN_REDIS = """
import asyncio, sys, remuda

async def main():
    async with remuda.LeaseManager(sys.argv[1], namespace=sys.argv[2]) as manager:
        lease = await manager.acquire("r", ttl=0.5)
        assert not lease.expired   # and here it is paused, about to write
        print(lease.token, flush=True)
        sys.stdin.readline()
        print(lease.token, flush=True)
        try:
            await lease.renew()
        except remuda.LeaseLost:
            print("lost", flush=True)

asyncio.run(main())
"""


def test_a_paused_holder(server: RedisServer) -> None:
    """A process that is stopped while it holds a lease, and goes on to write later, is refused by the guard."""
    namespace = server.namespace()
    written: list[int] = []
    guard = Fenced(written.append)

    async def main() -> None:
        with child(HOLDER_IN_REDIS, server.url, namespace) as holder:
            assert holder.stdout is not None
            assert holder.stdin is not None
            old = int(holder.stdout.readline())
            holder.send_signal(signal.SIGSTOP)
            until_stopped(holder)
            async with LeaseManager(server.url, namespace=namespace) as manager:
                async with await manager.acquire("r", ttl=30) as lease:
                    assert lease.token > old
                    guard(lease, lease.token)
                    holder.send_signal(signal.SIGCONT)
                    holder.stdin.write("go\n")
                    holder.stdin.flush()
                    late = int(holder.stdout.readline())
                    with pytest.raises(StaleToken, match=f"at least {lease.token}, got {old}"):
                        guard(late, late)
                    assert holder.stdout.readline() == "lost\n"
                assert await left_behind(manager) == []
            assert written == [lease.token]

    run(main())


HOLDER_IN_MEMORY = """
import asyncio, os, signal, remuda

async def main():
    manager = remuda.LeaseManager()
    guard = remuda.Fenced(lambda: None)
    old = await manager.acquire("r", ttl=0.3)
    waiter = asyncio.create_task(manager.acquire("r", ttl=30))
    await asyncio.sleep(0)
    assert not old.expired
    os.kill(os.getpid(), signal.SIGSTOP)
    assert old.expired
    guard(await waiter)
    try:
        guard(old)
    except remuda.StaleToken:
        print("stale")

asyncio.run(main())
"""


def test_a_paused_process() -> None:
    """When a whole process is stopped, time goes on: its holder finds its lease expired, and a waiter has it."""
    with child(HOLDER_IN_MEMORY) as process:
        until_stopped(process)
        time.sleep(0.35)  # what the test is about: time that passes while it is stopped
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=30)[0] == "stale\n"


def test_a_killed_server(own_server: RedisServer) -> None:
    """Without the server each call says so; a durable server that comes back knows the lease, and tokens grow."""

    async def main() -> None:
        async with LeaseManager(own_server.url) as manager:
            lease = await manager.acquire("r", ttl=30)
            waiter = asyncio.create_task(manager.acquire("r", ttl=30))
            await waiting(manager, "r", 1)
            own_server.kill()
            with pytest.raises(
                StoreUnavailable, match=r"'r' from its store, got after 3 of 3"
            ) as error:
                await waiter
            assert isinstance(error.value, ConnectionError)
            with pytest.raises(StoreUnavailable):
                await manager.acquire("s", ttl=30)
            with pytest.raises(StoreUnavailable):
                await lease.renew()
            assert not lease.expired
            own_server.start()
            await lease.renew()
            with pytest.raises(LeaseHeld):
                await manager.acquire("r", ttl=30, timeout=0)
            await lease.release()
            # The waiter's place is kept for it until it is known not to come back.
            newer = await manager.acquire("r", ttl=30)
            assert newer.token > lease.token
            own_server.kill()
            with pytest.raises(StoreUnavailable):
                await newer.release()
            assert newer.expired

    run(main())


def test_renewal_over_a_restart(own_server: RedisServer) -> None:
    """A lease that is renewed by itself is kept while the server is away for less than the rest of its time."""

    async def main() -> None:
        told: list[object] = []
        async with LeaseManager(own_server.url) as manager:
            lease = await manager.acquire("r", ttl=1.5, renew=True, on_expire=told.append)
            own_server.kill()
            await asyncio.sleep(0.6)  # a renewal fails meanwhile
            own_server.start()
            with pytest.raises(LeaseHeld):
                await manager.acquire("r", ttl=30, timeout=2)
            assert not lease.expired
            await lease.release()
            assert told == []

    run(main())


def test_renewal_without_a_server(own_server: RedisServer) -> None:
    """A lease whose renewals fail is over when its time is, and its holder is told."""

    async def main() -> None:
        told: asyncio.Future[remuda.Lease] = asyncio.get_running_loop().create_future()
        async with LeaseManager(own_server.url) as manager:
            lease = await manager.acquire("r", ttl=0.4, renew=True, on_expire=told.set_result)
            own_server.kill()
            assert await told is lease
            assert lease.expired

    run(main())


def test_a_server_that_forgets(tmp_path: Path) -> None:
    """If a server loses its data two may believe to hold a lease; tokens grow all the same, and the guard knows."""
    if PROGRAM is None:
        pytest.skip(NO_SERVER)
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


def test_a_server_whose_clock_jumps(server: RedisServer) -> None:
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


def test_tokens_grow_when_the_clock_of_the_server_goes_back(server: RedisServer) -> None:
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


def test_dropped_connections(server: RedisServer) -> None:
    """When all connections drop, holders still hold, and waiters keep their places."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as manager:
            order: list[int] = []

            async def wait(number: int) -> None:
                async with await manager.acquire("r", ttl=30):
                    order.append(number)

            lease = await manager.acquire("r", ttl=30)
            tasks = []
            for number in range(3):
                tasks.append(asyncio.create_task(wait(number)))
                await waiting(manager, "r", number + 1)
            assert await server.ask("CLIENT", "KILL", "TYPE", "normal") > b":0"
            await lease.renew()
            await lease.release()
            await asyncio.gather(*tasks)
            assert order == [0, 1, 2]
            assert await left_behind(manager) == []

    run(main())


class Proxy:
    """Stands between a client and a server, and loses the next answer if it is told to."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.loses = False
        self.lost = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Runs it, and gives the URL to use."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as listener:
            yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._behind)

        async def requests() -> None:
            while data := await reader.read(65536):
                forth.write(data)
            forth.close()

        task = asyncio.create_task(requests())
        with contextlib.suppress(ConnectionError):
            while data := await back.read(65536):
                if self.loses:
                    self.loses = False
                    self.lost += 1
                    break
                writer.write(data)
        forth.close()
        writer.close()
        await task


def test_lost_answers(server: RedisServer) -> None:
    """A request whose answer is lost is sent again, and does what it should once."""

    async def main() -> None:
        proxy = Proxy(server.port)
        async with (
            proxy.running() as url,
            LeaseManager(url, namespace=server.namespace()) as manager,
        ):
            await (await manager.acquire("r", ttl=30)).release()  # the scripts are known now
            proxy.loses = True
            lease = await manager.acquire("r", ttl=30, timeout=0)
            proxy.loses = True
            await lease.renew()
            proxy.loses = True
            await lease.release()
            assert proxy.lost == 3
            assert await left_behind(manager) == []

    run(main())


def test_a_server_that_hangs(own_server: RedisServer) -> None:
    """A server that doesn't answer counts as unavailable after the patience, and a caller can be cancelled."""

    async def main() -> None:
        async with LeaseManager(own_server.url, patience=0.1) as manager:
            lease = await manager.acquire("r", ttl=30)
            process = own_server._process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(StoreUnavailable, match="TimeoutError"):
                    await lease.renew()
                task = asyncio.create_task(manager.acquire("s", ttl=30))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            finally:
                process.send_signal(signal.SIGCONT)
            await lease.renew()
            await lease.release()

    run(main())


def test_a_server_that_refuses(server: RedisServer) -> None:
    """What the server answers with an error counts as unavailable at once; the error tells why."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as made:
            manager: Any = made
            await manager._client().set(manager._keys("r")[2], "not a queue")
            with pytest.raises(StoreUnavailable, match=r"after 1 of 3 attempts .*WRONGTYPE"):
                await manager.acquire("r", ttl=30)

    run(main())


def test_a_waiter_that_vanished(server: RedisServer) -> None:
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


def test_processes_exclude_each_other(server: RedisServer) -> None:
    """Two managers of one namespace exclude each other; those of another namespace are not concerned."""

    async def main() -> None:
        name = server.namespace()
        async with (
            LeaseManager(server.url, namespace=name) as one,
            LeaseManager(server.url, namespace=name) as two,
            LeaseManager(server.url, namespace=server.namespace()) as other,
        ):
            async with await one.acquire("r", ttl=30) as lease:
                with pytest.raises(LeaseHeld):
                    await two.acquire("r", ttl=30, timeout=0)
                await (await other.acquire("r", ttl=30, timeout=0)).release()
            async with await two.acquire("r", ttl=30, timeout=0) as newer:
                assert newer.token > lease.token

    run(main())


def test_closing_gives_back(server: RedisServer) -> None:
    """What a manager holds is free as soon as it is closed."""

    async def main() -> None:
        name = server.namespace()
        async with LeaseManager(server.url, namespace=name) as one:
            await one.acquire("r", ttl=30)
        async with LeaseManager(server.url, namespace=name) as two:
            await two.acquire("r", ttl=30, timeout=0)

    run(main())


def test_a_manager_outlives_its_loops(server: RedisServer) -> None:
    """A manager that is used in one event loop after another keeps connections of none that is gone."""
    manager: Any = LeaseManager(server.url, namespace=server.namespace())

    async def use(close: bool) -> None:
        lease = await manager.acquire("r", ttl=30)
        await lease.release()
        assert list(manager._clients) == [asyncio.get_running_loop()]
        await (manager.close() if close else manager._clients[asyncio.get_running_loop()].aclose())

    run(use(False))
    run(use(True))
    assert not manager._clients
    assert not manager._scripts


def test_closing_from_another_loop(server: RedisServer) -> None:
    """A manager that is closed in another event loop than the one that used it gives back what it holds."""

    async def main() -> None:
        manager = LeaseManager(server.url, namespace=server.namespace())
        lease = await manager.acquire("r", ttl=30)
        await asyncio.to_thread(asyncio.run, manager.close())
        assert lease.expired
        await lease.release()
        with pytest.raises(StoreUnavailable, match="closed"):
            await manager.acquire("r", ttl=30)

    run(main())


def test_a_short_lease_in_redis(server: RedisServer) -> None:
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
