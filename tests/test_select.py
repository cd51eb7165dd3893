"""A select waits for the first of several sources, and takes from no other, however it ends."""

import asyncio
import functools
import random
from typing import Any

import pytest

import remuda
from remuda import errors, select, testing, unchecked
from tests.support import in_runtime, settle
from tests.test_channel import ends
from tests.test_future import promise


@in_runtime
async def test_the_first_that_has_something(runtime: remuda.Runtime) -> None:
    """Of several sources the one that has something is taken from; of two that have, the one given first."""
    (one, first), (two, second) = ends(2), ends(2)
    two.send_nowait("b")
    assert await select(first, second) == (second, "b")
    one.send_nowait("a")
    two.send_nowait("c")
    assert await select(first, second) == (first, "a")
    assert await select(first, second) == (second, "c")
    assert not runtime.agents()


async def flooded(_: object = None, *, fair: bool) -> tuple[str, ...]:
    """What is taken from two sources of which the first is never empty."""
    (fast, flood), (slow, trickle) = ends(1), ends(100)
    for _number in range(100):
        slow.send_nowait("slow")
    taken: list[str] = []
    for _number in range(100):
        if not len(flood):
            fast.send_nowait("fast")
        _source, value = await select(flood, trickle, fair=fair)
        taken.append(value)
    assert len(trickle) == 100 - taken.count("slow"), "nothing is lost"
    return tuple(taken)


@in_runtime
async def test_a_flood_starves_the_others_unless_it_is_fair(runtime: remuda.Runtime) -> None:
    """A first source that is never empty has everything; with `fair=True` it has about half, in agents and tasks."""
    assert await flooded(fair=False) == ("fast",) * 100
    # One in a million million runs has less than 16 of 100.
    assert 15 < (await flooded(fair=True)).count("slow") < 85
    agent = runtime.spawn(functools.partial(flooded, fair=True))
    assert 15 < (await agent).count("slow") < 85


@pytest.mark.parametrize("ready", [(0, 1, 2), (0, 2)])
def test_all_that_have_something_are_as_likely(ready: tuple[int, ...]) -> None:
    """With `fair=True` each source that has something is chosen as often, whatever the number of those without."""

    async def main() -> list[int]:
        channels = [ends(1) for _ in range(3)]
        sources = [receiver for _, receiver in channels]
        for place in ready:
            channels[place][0].send_nowait(place)
        counts = [0, 0, 0]
        for _ in range(3000):
            _source, place = await select(*sources, fair=True)
            counts[place] += 1
            channels[place][0].send_nowait(place)
        return counts

    counts = testing.run(main, seed=1)
    part = 3000 / len(ready)
    assert all(abs(counts[place] - part) < 150 for place in ready), counts
    assert sum(counts) == 3000


def test_a_seed_decides_what_is_fair() -> None:
    """In a run of `remuda.testing` the same seed makes the same choices, by tasks and by agents, and another others."""

    async def main() -> tuple[Any, ...]:
        async with remuda.Runtime() as runtime:
            agents = [runtime.spawn(functools.partial(flooded, fair=True)) for _ in range(2)]
            return (await flooded(fair=True), *[await agent for agent in agents])

    taken = testing.run(main, seed=7)
    assert testing.run(main, seed=7) == taken
    assert testing.run(main, seed=8) != taken
    assert taken[0] != taken[1] != taken[2]


@in_runtime
async def test_a_fair_select_that_is_cancelled_loses_nothing(runtime: remuda.Runtime) -> None:
    """However often a fair select is cancelled as something comes, everything that was sent arrives once."""
    (one, first), (two, second) = ends(0), ends(1)
    found: list[int] = []

    async def take() -> None:
        found.append((await select(first, second, fair=True))[1])

    for number in range(20):
        tasks = [asyncio.ensure_future(take()) for _ in range(3)]
        await settle(runtime)
        one.send_nowait(2 * number)
        two.send_nowait(2 * number + 1)
        tasks[number % 3].cancel()
        await asyncio.wait(tasks, timeout=10)
    assert sorted(found) == list(range(40))
    assert first.statistics().receivers_waiting == second.statistics().receivers_waiting == 0


@in_runtime
async def test_it_waits_for_whatever_comes(runtime: remuda.Runtime) -> None:
    """An agent may wait for a channel, its own mailbox, a future, another agent and a task of asyncio's at once."""

    async def waits(mailbox: remuda.Mailbox[Any], which: int) -> Any:
        sender, receiver = ends(1)
        resolver, future = promise()
        gate = asyncio.Event()

        async def other(mailbox: remuda.Mailbox[str]) -> str:
            return await mailbox.recv()

        agent = runtime.spawn(other)
        task = asyncio.ensure_future(gate.wait())
        sources: list[Any] = [receiver, mailbox, future, agent, task]
        actions: list[Any] = [
            lambda: sender.send_nowait("item"),
            lambda: mailbox.me.send_nowait("message"),
            lambda: resolver.set_result("result"),
            lambda: agent.send_nowait("end"),
            gate.set,
        ]
        asyncio.get_running_loop().call_soon(actions[which])
        source, value = await select(*sources)
        assert source is sources[which]
        # Nothing was taken from the others, and nobody is registered with them.
        for number, action in enumerate(actions):
            if number != which:
                action()
        assert receiver.statistics().receivers_waiting == 0
        if which != 0:
            assert receiver.recv_nowait() == "item"
        if which != 1:
            assert await mailbox.recv() == "message"
        assert await agent == "end"
        await task
        return value

    expected = ["item", "message", "result", "end", True]
    for which, value in enumerate(expected):
        assert await runtime.spawn(waits, which, pinned=True) == value


@in_runtime
async def test_a_timeout_takes_nothing(runtime: remuda.Runtime) -> None:
    """When the time is over nothing was taken; a time of 0 takes what is there."""
    sender, receiver = ends(1)
    resolver, future = promise()
    for seconds in (0, 0.001):
        with pytest.raises(errors.SelectTimeout):
            await select(receiver, future, timeout=seconds)
        with pytest.raises(TimeoutError):
            await runtime.spawn(selecting, receiver, future, seconds)
    sender.send_nowait(1)
    assert await select(future, receiver, timeout=0) == (receiver, 1)
    assert receiver.statistics().receivers_waiting == 0
    resolver.set_result(2)
    assert await select(receiver, future, timeout=10) == (future, 2)


async def selecting(_: remuda.Mailbox[Any], one: Any, other: Any, seconds: float | None) -> Any:
    """An agent that selects, and returns what it got."""
    _source, value = await select(one, other, timeout=seconds)
    return value


@pytest.mark.parametrize("as_agent", [True, False])
def test_a_cancelled_select_loses_nothing(as_agent: bool) -> None:
    """An item that a cancelled select was about to get goes to the next one who waits."""

    async def main() -> None:
        async with remuda.Runtime(workers=1) as runtime:
            (sender, receiver), (_keep, other) = ends(1), ends(1)
            first: Any
            if as_agent:
                first = runtime.spawn(selecting, receiver, other, None)
            else:
                first = asyncio.ensure_future(select(receiver, other))
            await settle(runtime)
            second = asyncio.ensure_future(receiver.recv())
            await settle(runtime)
            sender.send_nowait("item")
            first.cancel()
            assert await second == "item"
            with pytest.raises(asyncio.CancelledError):
                await first
            assert other.statistics().receivers_waiting == 0

    asyncio.run(main())


@in_runtime(workers=1)
async def test_what_was_promised_to_a_select_is_passed_on(runtime: remuda.Runtime) -> None:
    """A select that two channels have woken takes from one, and the item of the other is for whoever waits there."""
    (one, first), (two, second) = ends(1), ends(1)
    selects = asyncio.ensure_future(select(first, second))
    await settle(runtime)
    next_one = asyncio.ensure_future(second.recv())
    await settle(runtime)
    two.send_nowait("b")
    one.send_nowait("a")
    assert await selects == (first, "a")
    assert await next_one == "b"


@in_runtime
async def test_the_end_of_a_source_is_told(runtime: remuda.Runtime) -> None:
    """A source that closes, or fails, ends the select with its error."""
    (sender, receiver), (_keep, other) = ends(1), ends(1)
    waits = runtime.spawn(selecting, other, receiver, None)
    await settle(runtime)
    sender.close()
    with pytest.raises(errors.ChannelClosed, match="channel at place 1 is closed") as closed:
        await waits
    assert closed.value.source is receiver
    assert closed.value.item is None
    resolver, future = promise()
    resolver.set_exception(KeyError("told"))
    with pytest.raises(KeyError):
        await select(other, future)

    async def stopped(mailbox: remuda.Mailbox[Any]) -> None:
        await select(other, mailbox)

    agent = runtime.spawn(stopped)
    await settle(runtime)
    await agent.stop()
    assert agent.exception() is None, "to leave by the end of the own mailbox is a clean end"


@pytest.mark.parametrize("fair", [False, True])
@in_runtime
async def test_without_what_has_closed_it_goes_on(runtime: remuda.Runtime, fair: bool) -> None:
    """The error names the receiver that has closed; without it the others give all that they have, to the last item."""
    channels = [ends(3) for _ in range(3)]
    receivers = [receiver for _, receiver in channels]
    for number, (sender, _) in enumerate(channels):
        for _item in range(number):
            sender.send_nowait(number)
        sender.close()
    # A receiver that was closed itself has nothing to wait for, though others may still send to its clone.
    _keep, open_one = ends(1)
    _clone = open_one.clone()
    open_one.close()
    sources = [*receivers, open_one]
    taken: list[int] = []
    dropped: list[Any] = []
    while sources:
        try:
            taken.append((await select(*sources, fair=fair))[1])
        except errors.ChannelClosed as closed:
            assert f"at place {sources.index(closed.source)} is closed" in str(closed)
            assert not len(closed.source), "nothing is left in what is to be dropped"
            sources.remove(closed.source)
            dropped.append(closed.source)
    assert sorted(taken) == [1, 2, 2]
    assert set(dropped) == {*receivers, open_one}
    if not fair:
        assert taken == [1, 2, 2]
        assert dropped == [*receivers, open_one]


@in_runtime
async def test_bad_input_is_refused(runtime: remuda.Runtime) -> None:
    """No source, something that is none, another's mailbox, a negative time, a second await: each has its error."""
    _sender, receiver = ends(1)
    with pytest.raises(TypeError, match="at least one"):
        select()
    wrong: Any
    for wrong in (1, asyncio.sleep, "channel"):
        with pytest.raises(TypeError, match="to select from"):
            select(receiver, wrong)
    for seconds in (-1, float("nan"), 10**400, -(10**400)):
        with pytest.raises(ValueError, match=r"timeout >= 0 .*got"):
            select(receiver, timeout=seconds)
    with pytest.raises(TypeError, match="timeout as a number of seconds or None, got bool"):
        select(receiver, timeout=True)
    mailboxes: list[Any] = []

    async def shows(mailbox: remuda.Mailbox[Any]) -> None:
        mailboxes.append(mailbox)
        await mailbox.recv()

    agent = runtime.spawn(shows)
    await settle(runtime)
    with pytest.raises(errors.NotTheOwner):
        await select(mailboxes[0], receiver)
    agent.send_nowait(None)
    await agent
    with pytest.raises(TypeError):
        select(receiver, fair=1)  # type: ignore[call-overload]


@pytest.mark.parametrize("as_agent", [True, False])
def test_it_is_awaited_once(as_agent: bool) -> None:
    """A select that is over, or that another waits for, is refused, and the one that waits gets what comes."""

    async def main() -> None:
        async with remuda.Runtime(workers=1) as runtime:
            sender, receiver = ends(1)
            once = select(receiver)

            async def awaits(_: object = None) -> Any:
                return await once

            first: Any = runtime.spawn(awaits) if as_agent else asyncio.ensure_future(awaits())
            await settle(runtime)
            others: list[Any] = [runtime.spawn(awaits), asyncio.ensure_future(awaits())]
            for second in others:
                with pytest.raises(errors.AlreadyAwaited):
                    await second
            sender.send_nowait(1)
            assert await first == (receiver, 1)
            with pytest.raises(errors.AlreadyAwaited):
                await once
            late = select(receiver, timeout=0)
            with pytest.raises(errors.SelectTimeout):
                await late
            with pytest.raises(errors.AlreadyAwaited):
                await late

    asyncio.run(main())


async def hurried(chance: random.Random, awaitable: Any) -> Any:
    """Awaits in a task that is perhaps cancelled before it has begun to wait, while it does, or as it is woken."""
    task = asyncio.ensure_future(awaitable)
    if chance.random() < 0.5:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        task.cancel()
    return await task


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_a_storm_of_cancellations_loses_nothing(workers: int, capacity: int) -> None:
    """Whatever is cancelled or times out, what was sent arrives, once; what was not sent may, if it was cancelled."""
    sent: set[int] = set()
    cancelled: set[int] = set()
    taken: list[int] = []

    async def sends(_: remuda.Mailbox[Any], sender: Any, number: int) -> None:
        chance = random.Random(number)

        async def send(item: int) -> None:
            await sender.send(item)

        with sender:
            for item in range(number * 1000, number * 1000 + 150):
                try:
                    await hurried(chance, send(item))
                    sent.add(item)
                except asyncio.CancelledError:
                    cancelled.add(item)

    async def takes(mailbox: remuda.Mailbox[Any], sources: list[Any], number: int) -> None:
        chance = random.Random(number)

        async def take(sources: list[Any]) -> None:
            timeout = chance.choice([None, None, 0, 0.0001])
            taken.append((await select(*sources, timeout=timeout, fair=chance.random() < 0.5))[1])

        while sources:
            try:
                if chance.random() < 0.5:
                    await hurried(chance, take(sources))
                else:
                    await take([*sources, mailbox])
            except (TimeoutError, asyncio.CancelledError):
                await asyncio.sleep(0)
            except errors.ChannelClosed as closed:
                sources.remove(closed.source)

    async def main() -> None:
        async with remuda.Runtime(workers=workers) as runtime:
            channels = [ends(capacity), ends(0)]
            for number in range(6):
                sender = channels[number % 2][0].clone()
                runtime.spawn(sends, sender, number, pinned=True)
                del sender
            sources = [receiver for _, receiver in channels]
            takers = [
                runtime.spawn(takes, unchecked(list(sources)), number, pinned=True)
                for number in range(4)
            ]
            for sender, _ in channels:
                sender.close()
            await asyncio.wait_for(asyncio.gather(*takers), 60)
            for receiver in sources:
                assert receiver.closed
                assert receiver.statistics().receivers_waiting == 0
                taken.extend([item async for item in receiver])

    asyncio.run(main())
    assert len(set(taken)) == len(taken), "something came twice"
    assert sent <= set(taken) <= sent | cancelled
    assert len(sent) > 100


@in_runtime
async def test_many_selects_share_channels(runtime: remuda.Runtime) -> None:
    """Many agents that select from the same two channels get every item once."""
    (one, first), (two, second) = ends(3), ends(0)
    results, found = ends(1000)

    async def takes(_: remuda.Mailbox[Any]) -> None:
        sources = [first, second]
        while sources:
            try:
                _source, value = await select(*sources)
            except errors.ChannelClosed as closed:
                sources.remove(closed.source)
            else:
                results.send_nowait(value)

    agents = [runtime.spawn(takes) for _ in range(5)]
    for number in range(100):
        await one.send(number)
        await two.send(number + 1000)
    one.close()
    two.close()
    await asyncio.gather(*agents)
    results.close()
    assert sorted([item async for item in found]) == [n + k for k in (0, 1000) for n in range(100)]
