"""Leases in memory: threads, loops that end, the clock of the tests; and the checker of what is recorded."""

import asyncio
import contextlib
import random
import threading
import time
from typing import Any

import pytest

import remuda
from remuda import Fenced, Lease, LeaseHeld, LeaseLost, LeaseManager, StaleToken, testing
from tests.lease_support import Event, History, left_behind, over, waiting

SHORT = 0.1
"""Seconds that a lease lives whose end a test waits for."""


def test_the_time_of_the_tests() -> None:
    """In a loop of `remuda.testing` leases live on its clock: an hour takes no time."""

    async def main() -> float:
        manager = LeaseManager()
        told: list[float] = []
        loop = asyncio.get_running_loop()
        kept = await manager.acquire("kept", ttl=60, renew=True)
        lease = await manager.acquire("r", ttl=3600, on_expire=lambda _: told.append(loop.time()))
        newer = await manager.acquire("r", ttl=3600)
        assert told == [3600]
        assert lease.expired
        assert not kept.expired
        await kept.release()
        await newer.release()
        assert await left_behind(manager) == []
        return loop.time()

    assert testing.run(main) == 3600


def test_threads_exclude_each_other() -> None:
    """Event loops of several threads share a manager in memory."""
    manager = LeaseManager()
    counted = [0]

    async def work() -> None:
        for _ in range(200):
            async with await manager.acquire("r", ttl=30):
                seen = counted[0]
                await asyncio.sleep(0)
                counted[0] = seen + 1

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == [800]
    assert asyncio.run(left_behind(manager)) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_threads(seed: int) -> None:
    """Threads whose holders dawdle and whose waiters are cancelled and time out never hold one lease together."""
    manager = LeaseManager()
    history = History()
    guard = Fenced(lambda lease: history.add("write", lease))

    async def holder(chance: random.Random) -> None:
        for _ in range(40):
            waiter = asyncio.create_task(
                manager.acquire("r", ttl=0.004, timeout=chance.choice([None, None, 0.002]))
            )
            if chance.random() < 0.3:
                await asyncio.sleep(0.002 * chance.random())
                waiter.cancel()
            try:
                lease = await waiter
            except (LeaseHeld, asyncio.CancelledError):
                continue
            history.add("acquire", lease, at=lease._expires - lease.ttl)
            await asyncio.sleep(0.006 * chance.random())
            with contextlib.suppress(StaleToken):
                guard(lease, lease)
            with contextlib.suppress(LeaseLost):
                ended = time.monotonic()
                await lease.release()
                history.add("release", lease, at=ended)

    async def work(number: int) -> None:
        async with asyncio.timeout(60):
            chance = random.Random(f"{seed} {number}")
            await asyncio.gather(*[holder(chance) for _ in range(4)])

    threads = [threading.Thread(target=asyncio.run, args=(work(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history.check()
    assert sum(event.kind == "acquire" for event in history.events) > 100
    assert asyncio.run(left_behind(manager)) == []


def test_release_from_another_thread() -> None:
    """A lease may be released by another thread: it isn't renewed any more, and nobody is told that it expired."""

    async def main() -> None:
        manager = LeaseManager()
        told: list[Lease] = []
        lease = await manager.acquire("r", ttl=SHORT, renew=True, on_expire=told.append)
        await asyncio.to_thread(lambda: asyncio.run(lease.release()))
        async with await manager.acquire("r", ttl=30):
            later = await manager.acquire("s", ttl=3 * SHORT)
            await over(later)
        assert told == []
        assert lease._watch is not None
        assert lease._watch._timer.cancelled()

    asyncio.run(main())


def test_a_loop_that_ended_is_passed_over() -> None:
    """A waiter whose event loop was closed under it doesn't get in the way of those who came after it."""
    manager: Any = LeaseManager()
    held = asyncio.run(manager.acquire("r", ttl=30))
    loop = asyncio.new_event_loop()
    dead = loop.create_task(manager.acquire("r", ttl=30))
    loop.run_until_complete(asyncio.sleep(0))
    assert len(manager._queues["r"]) == 1
    loop.close()

    async def main() -> None:
        waiter = asyncio.create_task(manager.acquire("r", ttl=30))
        await waiting(manager, "r", 1)  # the other one is left out already
        await held.release()
        await (await waiter).release()

    asyncio.run(main())
    assert not dead.done()
    task: Any = dead
    task._log_destroy_pending = False
    task.get_coro().close()
    assert asyncio.run(left_behind(manager)) == []


def test_a_name_with_a_hash_of_its_own() -> None:
    """A resource is known by the characters of its name, whatever the class of the str makes of them."""

    class Name(str):
        def __eq__(self, other: object) -> bool:
            return self is other

        def __hash__(self) -> int:
            return id(self)

    async def main() -> None:
        manager: Any = LeaseManager()
        held = await manager.acquire(Name("r"), ttl=30)
        waiters = [asyncio.create_task(manager.acquire(Name("r"), ttl=30)) for _ in range(2)]
        await waiting(manager, "r", 2)
        waiters[0].cancel()
        await held.release()
        lease = await waiters[1]
        assert lease.resource == "r"
        assert type(lease.resource) is str
        await lease.release()
        assert await left_behind(manager) == []

    asyncio.run(main())


def test_the_collector_may_come_amid_a_hand_over() -> None:
    """What ends the same holding once more while it is handed over, as a finalizer may, makes no second holder."""

    class Interrupted:
        """The table, in which somebody gives the lease back just before it is handed over."""

        def __init__(self, table: Any) -> None:
            self.table = table
            self.interrupts = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(self.table, name)

        def hand_over(self, lease: Any, now: float) -> None:
            if self.interrupts:
                self.interrupts -= 1
                manager._give_back(held)
            self.table.hand_over(lease, now)

    manager: Any = LeaseManager()
    held: Any

    async def main() -> None:
        nonlocal held
        held = await manager.acquire("r", ttl=30)
        waiters = [asyncio.create_task(manager.acquire("r", ttl=30)) for _ in range(2)]
        await waiting(manager, "r", 2)
        manager._table = Interrupted(manager._table)
        await held.release()
        first = await waiters[0]
        await asyncio.sleep(0)
        assert manager._table.interrupts == 0
        assert [waiter.done() for waiter in waiters] == [True, False]
        await first.release()
        await (await waiters[1]).release()
        assert await left_behind(manager) == []

    asyncio.run(main())


def test_the_checker_finds_what_is_wrong() -> None:
    """The checker of histories refuses overlaps, tokens that don't grow, and stale writes."""
    good = [
        Event("acquire", 1, 0.0, 5.0),
        Event("write", 1, 1.0),
        Event("release", 1, 2.0),
        Event("acquire", 2, 2.0, 7.0),
        Event("write", 2, 3.0),
        Event("refused", 1, 4.0),
    ]
    History(good).check()
    History([Event("acquire", 1, 0.0, 2.0), Event("acquire", 2, 2.0, 4.0)]).check()
    bad = [
        [Event("acquire", 1, 0.0, 5.0), Event("acquire", 2, 4.0, 9.0)],
        [Event("acquire", 2, 0.0, 1.0), Event("acquire", 1, 4.0, 9.0)],
        [Event("acquire", 1, 0.0, 1.0), Event("acquire", 1, 4.0, 9.0)],
        [*good, Event("write", 1, 5.0)],
        [Event("write", 1, 5.0)],
    ]
    for events in bad:
        with pytest.raises(AssertionError):
            History(events).check()


def test_a_manager_may_be_shared() -> None:
    """Managers and guards may be sent to agents as they are: they keep their own order."""
    assert remuda.is_sendable(LeaseManager())
    assert remuda.is_sendable(Fenced(print))
