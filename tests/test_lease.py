"""Leases on every store: one holder at a time, in order, with tokens that grow, however holders and waiters end."""

import asyncio
import contextlib
import random
import re
from typing import Any

import pytest

import remuda
from remuda import (
    Fenced,
    Lease,
    LeaseHeld,
    LeaseLost,
    LeaseManager,
    StaleToken,
    StoreUnavailable,
)
from tests.lease_support import (
    Clock,
    History,
    Make,
    forgotten,
    left_behind,
    make,
    on_a_store,
    over,
    servers,
    waiting,
)

__all__ = ["make", "servers"]  # fixtures

SHORT = 0.1
"""Seconds that a lease lives whose end a test waits for."""


@on_a_store
async def test_one_holder_at_a_time(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """While somebody holds a lease nobody else gets it, and each lease has a larger token than the one before."""
    history = History()

    async def work() -> None:
        for _ in range(5):
            async with await manager.acquire("r", ttl=30) as lease:
                history.add("acquire", lease)
                await asyncio.sleep(0)
                history.add("release", lease)

    await asyncio.gather(*[work() for _ in range(5)])
    assert len(history.events) == 50
    history.check()


@on_a_store
async def test_resources_are_independent(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """A lease of one resource keeps nobody from another, whatever the names."""
    names = ["a/b", "a", "b", "a b", "ä", "{a}", "%7Ba%7D", "a:holder", "a%2Fb", "\N{HORSE}"]
    leases = [await manager.acquire(name, ttl=30) for name in names]
    assert [lease.resource for lease in leases] == names
    for lease in leases:
        await lease.release()


@on_a_store
async def test_a_lease_tells_about_itself(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """A lease knows its resource, time to live and token, and how long it lasts."""
    lease = await manager.acquire("r", 30)
    assert (lease.resource, lease.ttl, lease.expired) == ("r", 30, False)
    assert lease.token >= 1
    assert 25 < lease.remaining <= 30
    assert re.fullmatch(rf"<Lease of 'r', token {lease.token}, \d\d\.\d+ s left>", repr(lease))
    await lease.release()
    assert lease.expired
    assert lease.remaining == 0
    assert repr(lease).endswith("released>")


@on_a_store
async def test_waiters_are_served_in_order(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """Who asked first gets it first; who asks when it is free doesn't overtake those who wait."""
    order: list[int] = []

    async def wait(number: int) -> None:
        async with await manager.acquire("r", ttl=30):
            order.append(number)

    first = await manager.acquire("r", ttl=30)
    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(wait(number)))
        await waiting(manager, "r", number + 1)
    await first.release()
    last = await manager.acquire("r", ttl=30)
    assert order == [0, 1, 2, 3, 4, 5]
    await last.release()
    await asyncio.gather(*tasks)


@on_a_store
async def test_a_lease_expires(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """When its time is over, the one who waits gets it; the old holder can't renew or release it."""
    old = await manager.acquire("r", ttl=SHORT)
    new = await manager.acquire("r", ttl=30)
    assert old.expired
    assert old.remaining == 0
    assert new.token > old.token
    with pytest.raises(LeaseLost, match=rf"'r' with token {old.token} to be held, but its time of"):
        await old.renew()
    with pytest.raises(LeaseLost):
        await old.release()
    with pytest.raises(LeaseLost):
        async with old:
            raise AssertionError("not reached")
    assert not new.expired
    await new.release()


@on_a_store
async def test_an_expired_lease_is_not_revived(
    runtime: remuda.Runtime, manager: LeaseManager
) -> None:
    """A lease whose time is over is lost even if nobody else wants it, and the block that it guards says so."""
    lease = await manager.acquire("r", ttl=SHORT)
    await over(lease)
    with pytest.raises(LeaseLost):
        await lease.renew()
    with pytest.raises(LeaseLost):
        async with await manager.acquire("r", ttl=SHORT) as lease:
            await over(lease)
    with pytest.raises(KeyError):
        async with await manager.acquire("r", ttl=SHORT) as lease:
            await over(lease)
            raise KeyError
    await forgotten(manager)


@on_a_store
async def test_renewal(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """`renew` begins the time anew, with the same TTL or another one, longer or shorter."""
    lease = await manager.acquire("r", ttl=5)
    await lease.renew(30)
    assert lease.ttl == 30
    assert 25 < lease.remaining <= 30
    await lease.renew()
    assert 25 < lease.remaining <= 30
    waiter = asyncio.create_task(manager.acquire("r", ttl=30))
    await waiting(manager, "r", 1)
    await lease.renew(SHORT)
    token = lease.token
    assert (await waiter).token > token
    with pytest.raises(ValueError, match="above 0"):
        await lease.renew(0)
    await (await waiter).release()


@on_a_store
async def test_automatic_renewal(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """With `renew=True` a lease outlives its TTL, until it is released."""
    lease = await manager.acquire("r", ttl=SHORT, renew=True)
    with pytest.raises(LeaseHeld):
        await manager.acquire("r", ttl=30, timeout=4 * SHORT)
    assert not lease.expired
    await lease.release()
    await (await manager.acquire("r", ttl=30, timeout=0)).release()


@on_a_store
async def test_expiry_is_told(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """`on_expire` is called once when a lease has expired, and never when it was released."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Lease] = loop.create_future()
    never: list[Lease] = []
    async with await manager.acquire("released", ttl=SHORT, on_expire=never.append):
        pass
    lease = await manager.acquire("r", ttl=SHORT / 2, on_expire=told.set_result)
    await lease.renew(SHORT)
    assert await told is lease
    assert lease.expired
    with pytest.raises(LeaseLost):
        await lease.release()
    await (await manager.acquire("r", ttl=SHORT)).release()
    assert never == []


@on_a_store
async def test_timeouts(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """A timeout of 0 tries once; another one waits that long; both end in `LeaseHeld`, a `TimeoutError`."""
    lease = await manager.acquire("r", ttl=30, timeout=0)
    for timeout in (0, 0.02):
        with pytest.raises(LeaseHeld, match="'r'") as caught:
            await manager.acquire("r", ttl=30, timeout=timeout)
        assert isinstance(caught.value, TimeoutError)
    await waiting(manager, "r", 0)
    await lease.release()
    await (await manager.acquire("r", ttl=30, timeout=0)).release()


@on_a_store
async def test_a_cancelled_waiter_leaves_the_queue(
    runtime: remuda.Runtime, manager: LeaseManager
) -> None:
    """Waiters that are cancelled, first, last or in between, leave the others in their order."""
    order: list[int] = []

    async def wait(number: int) -> None:
        async with await manager.acquire("r", ttl=30):
            order.append(number)

    lease = await manager.acquire("r", ttl=30)
    tasks = []
    for number in range(5):
        tasks.append(asyncio.create_task(wait(number)))
        await waiting(manager, "r", number + 1)
    for number in (0, 2, 4):
        tasks[number].cancel()
    await asyncio.wait([tasks[0], tasks[2], tasks[4]])
    await waiting(manager, "r", 2)
    await lease.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 3]
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [1, 0, 1, 0, 1]


@on_a_store
async def test_a_waiter_cancelled_as_it_is_served_hands_on(
    runtime: remuda.Runtime, manager: LeaseManager
) -> None:
    """A waiter that was given the lease and is cancelled before it runs gives it to the next one."""
    lease = await manager.acquire("r", ttl=30)
    first = asyncio.create_task(manager.acquire("r", ttl=30))
    await waiting(manager, "r", 1)
    second = asyncio.create_task(manager.acquire("r", ttl=30))
    await waiting(manager, "r", 2)
    await lease.release()
    first.cancel()
    last = await second
    assert first.cancelled()
    await last.release()


@on_a_store
async def test_release_twice(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """To release a lease again does nothing, not even to the next holder; to renew it then is an error."""
    lease = await manager.acquire("r", ttl=30)
    await lease.release()
    other = await manager.acquire("r", ttl=30)
    await lease.release()
    assert not other.expired
    with pytest.raises(LeaseHeld):
        await manager.acquire("r", ttl=30, timeout=0)
    with pytest.raises(LeaseLost, match="but it was released"):
        await lease.renew()
    await other.release()


@pytest.mark.parametrize("end", ["returns", "raises", "killed", "cancelled"])
@on_a_store
async def test_leases_end_with_their_agent(
    runtime: remuda.Runtime, manager: LeaseManager, end: str
) -> None:
    """What an agent holds is released when it ends, however it ends; what a task holds is not its business."""
    holds = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def holder(mailbox: remuda.Mailbox[None]) -> None:
        for name in ("a", "b"):
            await manager.acquire(name, ttl=30, renew=name == "b")
        loop.call_soon_threadsafe(holds.set)
        if end == "raises":
            raise ZeroDivisionError
        if end != "returns":
            await asyncio.Event().wait()

    mine = await manager.acquire("mine", ttl=30)
    agent = runtime.spawn(holder)
    await holds.wait()
    if end == "killed":
        agent.kill()
    elif end == "cancelled":
        agent.cancel()
    await _ended(agent)
    for name in ("a", "b"):
        await (await manager.acquire(name, ttl=30)).release()
    assert not mine.expired
    await mine.release()


async def _ended(agent: remuda.AgentRef[Any]) -> None:
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await agent


@on_a_store
async def test_an_agent_that_dies_waiting(runtime: remuda.Runtime, manager: LeaseManager) -> None:
    """An agent that is killed while it waits leaves the queue."""

    async def waiter(mailbox: remuda.Mailbox[None]) -> None:
        await manager.acquire("r", ttl=30)

    lease = await manager.acquire("r", ttl=30)
    agent = runtime.spawn(waiter)
    await waiting(manager, "r", 1)
    agent.kill()
    await _ended(agent)
    await waiting(manager, "r", 0)
    await lease.release()
    await forgotten(manager)


@on_a_store
async def test_agents_on_all_workers(
    runtime: remuda.Runtime, manager: LeaseManager, make: Make
) -> None:
    """Agents of several workers exclude each other, and pass the manager around."""
    counted = [0]
    history = History()

    async def worker(mailbox: remuda.Mailbox[None], leases: LeaseManager) -> None:
        for _ in range(10):
            async with await leases.acquire("r", ttl=30) as lease:
                history.add("acquire", lease)
                seen = counted[0]
                await asyncio.sleep(0)
                counted[0] = seen + 1
                history.add("release", lease)

    async with remuda.Runtime(workers=3) as several, make() as leases:
        agents = [several.spawn(worker, leases, pinned=True) for _ in range(4)]
        for agent in agents:
            await agent
    assert counted == [40]
    history.check()


@on_a_store
async def test_closing(runtime: remuda.Runtime, manager: LeaseManager, make: Make) -> None:
    """Who waits when the manager is closed, and who comes later, gets `StoreUnavailable`."""
    other = make()
    lease = await other.acquire("c", ttl=0.5)
    waiter = asyncio.create_task(other.acquire("c", ttl=30))
    await waiting(other, "c", 1)
    await other.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await waiter
    with pytest.raises(StoreUnavailable, match="closed"):
        await other.acquire("c", ttl=30)
    await other.close()
    assert lease.resource == "c"
    await forgotten(manager)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (("r", 0), {}, ValueError, "above 0 seconds, and finite, got 0"),
        (("r", -1), {}, ValueError, "got -1"),
        (("r", float("nan")), {}, ValueError, "got nan"),
        (("r", float("inf")), {}, ValueError, "got inf"),
        (("r", 10**400), {}, ValueError, "TTL that a float can hold"),
        (("r", "5"), {}, TypeError, "TTL in seconds, got str"),
        (("r", True), {}, TypeError, "TTL in seconds, got bool"),
        (("r", None), {}, TypeError, "TTL in seconds, got NoneType"),
        (("", 5), {}, ValueError, "empty"),
        ((5, 5), {}, TypeError, "a str, got int"),
        (([], 5), {}, TypeError, "a str, got list"),
        ((b"r", 5), {}, TypeError, "a str, got bytes"),
        (("r", 5), {"timeout": -1}, ValueError, "timeout of at least 0 seconds, got -1"),
        (("r", 5), {"timeout": float("nan")}, ValueError, "timeout of at least 0 seconds, got nan"),
        (("r", 5), {"timeout": 10**400}, ValueError, "timeout that a float can hold"),
        (("r", 5), {"timeout": "1"}, TypeError, "timeout in seconds or None, got str"),
        (("r", 5), {"on_expire": 5}, TypeError, "a plain function, got int"),
        (("r", 5), {"on_expire": asyncio.sleep}, TypeError, "got a coroutine function"),
    ],
)
@on_a_store
async def test_bad_requests(
    runtime: remuda.Runtime,
    manager: LeaseManager,
    arguments: Any,
    options: Any,
    error: type[Exception],
    text: str,
) -> None:
    """What makes no sense is refused with what was expected and what came, and nothing is leased."""
    with pytest.raises(error, match=text):
        await manager.acquire(*arguments, **options)
    await (await manager.acquire("r", 5)).release()
    with pytest.raises(error, match=text):  # also when the resource is known, and the TTL checked
        await manager.acquire(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("consul://x",), {}, ValueError),
        (("localhost",), {}, ValueError),
        (("",), {}, ValueError),
        ((5,), {}, TypeError),
        ((), {"patience": 0}, ValueError),
    ],
)
def test_bad_managers(arguments: Any, options: Any, error: type[Exception]) -> None:
    """A store that nobody knows is refused."""
    with pytest.raises(error, match="expected"):
        LeaseManager(*arguments, **options)


def test_a_holder_whose_clock_jumps(make: Make) -> None:
    """A holder whose clock jumps ahead believes its lease over, and is right to: it never holds it too long."""

    async def main() -> None:
        clock = Clock()
        async with make(clock=clock) as manager:
            lease = await manager.acquire("r", ttl=SHORT)
            clock.jump(3600)
            assert lease.expired
            with pytest.raises(LeaseLost):
                await lease.renew()
            newer = await manager.acquire("r", ttl=30)
            assert newer.token > lease.token
            with pytest.raises(LeaseLost):
                await lease.release()
            assert not newer.expired
            await newer.release()
            assert await left_behind(manager) == []

    remuda.run(main())


@pytest.mark.parametrize("seed", range(3))
def test_a_storm(make: Make, seed: int) -> None:
    """Holders that release, dawdle, write late and are cancelled, all at once: the record shows nothing forbidden."""

    async def main() -> None:
        chance = random.Random(seed)
        history = History()
        guard = Fenced(lambda lease: history.add("write", lease), resource="r")
        async with make() as manager:

            def write(lease: Lease) -> None:
                try:
                    guard(lease, lease)
                except StaleToken:
                    history.add("refused", lease)

            async def holder() -> None:
                for _ in range(6):
                    lease = await manager.acquire("r", ttl=0.05)
                    history.add("acquire", lease)
                    write(lease)
                    plan = chance.random()
                    if plan < 0.5:
                        await asyncio.sleep(0.001 * chance.random())
                        write(lease)
                        history.add("release", lease)
                        with contextlib.suppress(LeaseLost):
                            await lease.release()
                    elif plan < 0.8:
                        await over(lease)  # held up
                        await asyncio.sleep(0.02 * chance.random())
                        write(lease)
                    else:
                        waiter = asyncio.create_task(manager.acquire("r", ttl=0.05))
                        await asyncio.sleep(0.01 * chance.random())
                        waiter.cancel()
                        await asyncio.wait([waiter])

            async with asyncio.timeout(60):
                await asyncio.gather(*[holder() for _ in range(5)])
        history.check()
        kinds = [event.kind for event in history.events]
        assert kinds.count("acquire") == 30
        assert kinds.count("write") >= 30

    remuda.run(main())
