"""Leases when things break: paused holders, servers that are killed or hang, and connections that drop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import remuda
from remuda import Fenced, Lease, LeaseHeld, LeaseLost, LeaseManager, StaleToken, StoreUnavailable
from tests.lease_servers import Proxy, Server
from tests.lease_support import (
    History,
    left_behind,
    over,
    own_server,
    run,
    server,
    servers,
    waiting,
)

__all__ = ["own_server", "server", "servers"]  # fixtures

ROOT = Path(__file__).resolve().parent.parent


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


HOLDER = """
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


def test_a_paused_holder(server: Server) -> None:
    """A process that is stopped while it holds a lease, and goes on to write later, is refused by the guard."""
    namespace = server.namespace()
    written: list[int] = []
    guard = Fenced(written.append)

    async def main() -> None:
        with child(HOLDER, server.url, namespace) as holder:
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


def test_a_killed_server(own_server: Server) -> None:
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


def test_renewal_over_a_restart(own_server: Server) -> None:
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


def test_renewal_without_a_server(own_server: Server) -> None:
    """A lease whose renewals fail is over when its time is, and its holder is told."""

    async def main() -> None:
        told: asyncio.Future[remuda.Lease] = asyncio.get_running_loop().create_future()
        async with LeaseManager(own_server.url) as manager:
            lease = await manager.acquire("r", ttl=0.4, renew=True, on_expire=told.set_result)
            own_server.kill()
            assert await told is lease
            assert lease.expired

    run(main())


def test_dropped_connections(server: Server) -> None:
    """When all connections drop, holders still hold, and waiters keep their places."""

    async def main() -> None:
        proxy = Proxy(server)
        async with (
            proxy.running() as url,
            LeaseManager(url, namespace=server.namespace()) as manager,
        ):
            order: list[int] = []

            async def wait(number: int) -> None:
                async with await manager.acquire("r", ttl=30):
                    order.append(number)

            lease = await manager.acquire("r", ttl=30)
            tasks = []
            for number in range(3):
                tasks.append(asyncio.create_task(wait(number)))
                await waiting(manager, "r", number + 1)
            assert proxy.drop() > 0
            await lease.renew()
            assert proxy.drop() > 0
            await lease.release()
            await asyncio.gather(*tasks)
            assert order == [0, 1, 2]
            assert await left_behind(manager) == []

    run(main())


def test_lost_answers(server: Server) -> None:
    """A request whose answer is lost is sent again, and does what it should once."""

    async def main() -> None:
        proxy = Proxy(server)
        async with (
            proxy.running() as url,
            LeaseManager(url, namespace=server.namespace()) as manager,
        ):
            await (await manager.acquire("r", ttl=30)).release()  # the scripts are known now
            for number in range(3):
                proxy.loses_after(number)
                lease = await manager.acquire("r", ttl=30, timeout=0)
                proxy.loses_after(number)
                await lease.renew()
                proxy.loses_after(number)
                await lease.renew(20)
                proxy.loses_after(number)
                await lease.release()
                proxy.loses_after(None)
            assert proxy.lost >= 4
            assert await left_behind(manager) == []

    run(main())


def test_a_server_that_hangs(own_server: Server) -> None:
    """A server that doesn't answer counts as unavailable after the patience, and a caller can be cancelled."""

    async def main() -> None:
        async with LeaseManager(own_server.url, patience=0.1) as manager:
            lease = await manager.acquire("r", ttl=30)
            with own_server.hanging():
                with pytest.raises(StoreUnavailable, match="TimeoutError"):
                    await lease.renew()
                task = asyncio.create_task(manager.acquire("s", ttl=30))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await lease.renew()
            await lease.release()

    run(main())


def test_a_renewal_without_an_answer(own_server: Server) -> None:
    """If nobody knows whether the store has made a lease shorter, it is shorter for the holder."""

    async def main() -> None:
        told: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        async with LeaseManager(own_server.url, patience=0.05) as manager:
            lease = await manager.acquire("r", ttl=30, on_expire=told.set_result)
            with own_server.hanging():
                with pytest.raises(StoreUnavailable):
                    await lease.renew(40)
                assert 25 < lease.remaining < 30
                with pytest.raises(StoreUnavailable):
                    await lease.renew(0.6)
                assert await told is lease
            assert lease.expired

    run(main())


def test_renewals_at_once(server: Server) -> None:
    """Of renewals that are under way at once the shortest counts: the store does them in an order of its own."""

    async def main() -> None:
        async with LeaseManager(server.url, namespace=server.namespace()) as manager:
            lease = await manager.acquire("r", ttl=30)
            await asyncio.gather(lease.renew(5), lease.renew(60))
            assert 3 < lease.remaining < 5
            await lease.renew(60)
            assert 55 < lease.remaining < 60
            await lease.release()

    run(main())


def test_a_storm_of_faults(own_server: Server) -> None:
    """Connections drop, answers get lost, the server hangs and is killed: the record shows nothing forbidden."""

    async def main() -> None:
        chance = random.Random(0)
        history = History()
        guard = Fenced(lambda lease: history.add("write", lease), resource="r")
        proxy = Proxy(own_server)
        ended = asyncio.Event()

        def write(lease: Lease) -> None:
            try:
                guard(lease, lease)
            except StaleToken:
                history.add("refused", lease)

        async def holder(manager: LeaseManager) -> None:
            while not ended.is_set():
                try:
                    lease = await manager.acquire("r", ttl=0.3)
                except StoreUnavailable:
                    continue
                history.add("acquire", lease)
                write(lease)
                await (over(lease) if chance.random() < 0.2 else asyncio.sleep(0))
                write(lease)
                history.add("release", lease)
                with contextlib.suppress(LeaseLost, StoreUnavailable):
                    await lease.release()

        async def trouble() -> None:
            killed = 0
            while killed < 2 or len(history.events) < 50:
                proxy.loses_after(chance.randrange(20))
                await asyncio.sleep(0.2 * chance.random())
                if chance.random() < 0.5:
                    proxy.drop()
                if chance.random() < 0.1:
                    with own_server.hanging():
                        await asyncio.sleep(0.3 * chance.random())
                if chance.random() < 0.05:
                    own_server.kill()
                    await asyncio.to_thread(own_server.start)
                    killed += 1
            proxy.loses_after(None)
            ended.set()

        async with (
            proxy.running() as url,
            LeaseManager(url, patience=0.2) as one,
            LeaseManager(url, patience=0.2) as two,
            asyncio.TaskGroup() as group,
        ):
            for manager in (one, one, two, two):
                group.create_task(holder(manager))
            group.create_task(trouble())
        history.check()
        assert proxy.lost > 0

    run(main())


def test_processes_exclude_each_other(server: Server) -> None:
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


def test_closing_gives_back(server: Server) -> None:
    """What a manager holds is free as soon as it is closed."""

    async def main() -> None:
        name = server.namespace()
        async with LeaseManager(server.url, namespace=name) as one:
            await one.acquire("r", ttl=30)
        async with LeaseManager(server.url, namespace=name) as two:
            await two.acquire("r", ttl=30, timeout=0)

    run(main())


def test_a_manager_outlives_its_loops(server: Server) -> None:
    """A manager that is used in one event loop after another keeps connections of none that is gone."""
    manager: Any = LeaseManager(server.url, namespace=server.namespace())

    async def use(close: bool) -> None:
        lease = await manager.acquire("r", ttl=30)
        await lease.release()
        client = manager._client()
        assert list(manager._clients) == [asyncio.get_running_loop()]
        await (manager.close() if close else manager._end(client))

    run(use(False))
    run(use(True))
    assert not manager._clients
    assert not getattr(manager, "_scripts", None)


def test_closing_from_another_loop(server: Server) -> None:
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
