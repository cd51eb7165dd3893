"""A channel carries items from many senders to many receivers: none is lost, and who waits is served in order."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

import remuda
from remuda import Receiver, Sender, channel, errors, iso, unchecked
from tests.support import LOOPS, in_runtime, settle
from tests.test_future import promise


def ends(capacity: int, **options: Any) -> tuple[Sender[Any], Receiver[Any]]:
    """Both ends, of whatever type."""
    return channel(capacity, **options)


async def sending(_: remuda.Mailbox[Any], sender: Sender[Any], items: range) -> None:
    """An agent that sends and closes its end."""
    with sender:
        for item in items:
            await sender.send(item)


async def receiving(_: remuda.Mailbox[Any], receiver: Receiver[Any]) -> tuple[Any, ...]:
    """An agent that takes all there is."""
    return tuple([item async for item in receiver])


@pytest.mark.parametrize("capacity", [0, 1, 3, 100])
def test_all_items_arrive_once(capacity: int) -> None:
    """Whatever many senders send, each item goes to one receiver, and a sender's items stay in order."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            sender, receiver = ends(capacity)
            with sender:
                for number in range(5):
                    runtime.spawn(
                        sending, sender.clone(), range(number * 1000, number * 1000 + 100)
                    )
            takers = [runtime.spawn(receiving, receiver) for _ in range(3)]
            found = await asyncio.gather(*takers)
            assert sorted(item for taken in found for item in taken) == [
                n * 1000 + i for n in range(5) for i in range(100)
            ]
            for taken in found:
                for number in range(5):
                    own = [item for item in taken if item // 1000 == number]
                    assert own == sorted(own)
            statistics = receiver.statistics()
            assert (statistics.sent, statistics.received, statistics.depth) == (500, 500, 0)
            assert statistics.closed

    asyncio.run(main())


@in_runtime
async def test_tasks_and_agents_take_turns(runtime: remuda.Runtime) -> None:
    """Agents and plain tasks may be at either end, and those that wait are served in the order in which they came."""
    sender, receiver = ends(0)
    log: list[Any] = []

    async def take(who: int) -> None:
        log.append((who, await receiver.recv()))

    async def taking(_: remuda.Mailbox[Any], who: int) -> None:
        await take(who)

    waiting: list[Any] = []
    for who in range(6):
        waiting.append(runtime.spawn(taking, who) if who % 2 else asyncio.ensure_future(take(who)))
        await settle(runtime)
    assert receiver.statistics().receivers_waiting == 6
    for item in range(6):
        await sender.send(item)
    await asyncio.gather(*waiting)
    assert sorted(log) == [(who, who) for who in range(6)]


def test_without_waiting() -> None:
    """`send_nowait` and `recv_nowait` say at once what is not possible, and hand the item back."""
    sender, receiver = ends(2)
    assert (len(receiver), receiver.capacity) == (0, 2)
    with pytest.raises(errors.ChannelEmpty):
        receiver.recv_nowait()
    sender.send_nowait(1)
    sender.send_nowait(2)
    handle = iso([3])
    with pytest.raises(errors.ChannelFull, match="room") as full:
        sender.send_nowait(handle)
    assert full.value.item is handle
    assert full.value.capacity == 2
    assert handle.take() == [3]
    assert len(sender) == 2
    assert [receiver.recv_nowait(), receiver.recv_nowait()] == [1, 2]
    with pytest.raises(asyncio.QueueEmpty):
        receiver.recv_nowait()


@in_runtime
async def test_a_meeting_takes_two(runtime: remuda.Runtime) -> None:
    """With capacity 0 a send ends when its item was taken, and not before."""
    sender, receiver = ends(0)
    with pytest.raises(errors.ChannelFull, match="receiver"):
        sender.send_nowait(0)
    waits = asyncio.ensure_future(sender.send(1))
    await settle(runtime)
    assert not waits.done()
    assert receiver.recv_nowait() == 1
    await waits
    taker = asyncio.ensure_future(receiver.recv())
    await settle(runtime)
    sender.send_nowait(2)
    assert await taker == 2


@in_runtime
async def test_a_closed_channel_is_emptied_first(runtime: remuda.Runtime) -> None:
    """When all senders are closed, receivers take what is left; then it is closed for them, too."""
    sender, receiver = ends(5)
    other = sender.clone()
    await sender.send(1)
    sender.close()
    sender.close()
    with pytest.raises(errors.ChannelClosed, match="sender that is open") as closed:
        await sender.send(2)
    assert closed.value.item == 2
    with pytest.raises(errors.ChannelClosed):
        sender.clone()
    assert [receiver.closed, other.closed] == [False, False]
    other.send_nowait(3)
    other.close()
    assert [receiver.closed, other.closed] == [True, True]
    assert [item async for item in receiver] == [1, 3]
    assert closed.value.source is None
    with pytest.raises(errors.ChannelClosed) as closed:
        await receiver.recv()
    assert closed.value.source is receiver
    with pytest.raises(errors.ChannelClosed) as closed:
        receiver.recv_nowait()
    assert closed.value.source is receiver
    assert not runtime.agents()


@in_runtime
async def test_senders_learn_of_a_closed_receiver(runtime: remuda.Runtime) -> None:
    """When all receivers are closed, senders get their items back; what is in the channel can still be taken."""
    sender, receiver = ends(1)
    handle = iso([2])
    await sender.send(1)
    waits = asyncio.ensure_future(sender.send(handle))
    await settle(runtime)
    other = receiver.clone()
    receiver.close()
    assert not sender.closed
    other.close()
    with pytest.raises(errors.ChannelClosed) as closed:
        await waits
    assert closed.value.item is handle
    assert handle.take() == [2]  # remuda: ignore[RMD101]  # it was refused
    with pytest.raises(errors.ChannelClosed):
        sender.send_nowait(3)
    with pytest.raises(errors.ChannelClosed):
        other.clone()
    assert await receiver.recv() == 1
    with pytest.raises(errors.ChannelClosed):
        await other.recv()


@in_runtime
async def test_ends_that_are_gone_are_closed(runtime: remuda.Runtime) -> None:
    """An end that nobody refers to any more counts as closed, for those who wait at the other side."""
    sender, receiver = ends(0)
    taker = asyncio.ensure_future(receiver.recv())
    await settle(runtime)
    del sender
    with pytest.raises(errors.ChannelClosed):
        await taker
    del taker
    sender, receiver = ends(0)
    waits = runtime.spawn(sending, sender, range(1))
    await settle(runtime)
    del receiver
    gc.collect()
    with pytest.raises(errors.ChannelClosed):
        await waits


@in_runtime
async def test_what_nobody_can_take_is_dropped(runtime: remuda.Runtime) -> None:
    """When the last receiver is gone, so are the items that it left."""
    sender, receiver = ends(3)
    resolver, future = promise()
    await sender.send(resolver)
    del resolver, receiver
    gc.collect()
    with pytest.raises(errors.BrokenPromise):
        await future
    assert sender.closed


@pytest.mark.parametrize("as_agent", [True, False])
def test_a_cancelled_receiver_loses_nothing(as_agent: bool) -> None:
    """An item whose receiver is cancelled between its wake-up and its turn goes to the next one that waits."""

    async def main() -> None:
        async with remuda.Runtime(workers=1) as runtime:
            sender, receiver = ends(1)
            log: list[Any] = []

            async def take(_: object = None) -> None:
                log.append(await receiver.recv())

            first: Any = runtime.spawn(take) if as_agent else asyncio.ensure_future(take())
            await settle(runtime)
            second = asyncio.ensure_future(take())
            await settle(runtime)
            sender.send_nowait("item")
            first.cancel()
            await settle(runtime)
            assert log == ["item"]
            await second
            with pytest.raises(asyncio.CancelledError):
                await first
            assert receiver.statistics().receivers_waiting == 0

    asyncio.run(main())


@in_runtime
async def test_a_cancelled_sender_takes_its_item_back(runtime: remuda.Runtime) -> None:
    """A send that is cancelled while it waits leaves no item, and an iso its object; a receiver goes on waiting."""
    for capacity in (0, 1):
        sender, receiver = ends(capacity)
        if capacity:
            sender.send_nowait("before")
        handle = iso([1])
        waits = asyncio.ensure_future(sender.send(handle))
        await settle(runtime)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert handle.take() == [1]  # remuda: ignore[RMD101]  # it was taken back
        if capacity:
            assert receiver.recv_nowait() == "before"
        taker = asyncio.ensure_future(receiver.recv())
        await settle(runtime)
        sender.send_nowait("after")
        assert await taker == "after"


@in_runtime(workers=1)
async def test_a_sender_may_go_while_its_receiver_comes(runtime: remuda.Runtime) -> None:
    """A receiver that was woken for an item whose sender was cancelled waits again, before those who came later."""
    sender, receiver = ends(0)
    log: list[Any] = []

    async def take(who: str) -> None:
        log.append((who, await receiver.recv()))

    first = asyncio.ensure_future(take("first"))
    await settle(runtime)
    step = sender.send("withdrawn").__await__()
    next(step)
    second = asyncio.ensure_future(take("second"))
    step.close()
    await settle(runtime)
    assert log == []
    assert receiver.statistics().receivers_waiting == 2
    await sender.send(1)
    await sender.send(2)
    await asyncio.gather(first, second)
    assert sorted(log) == [("first", 1), ("second", 2)]


def test_marks_are_told_once_each_way() -> None:
    """The high mark is told when it is reached, the low one when the channel is down at it, neither in between."""
    told: list[tuple[str, int]] = []
    sender, receiver = ends(10, high=4, low=1, on_watermark=lambda *mark: told.append(mark))
    for number in range(5):
        sender.send_nowait(number)
    for _ in range(3):
        receiver.recv_nowait()
    assert told == [("high", 4)]
    sender.send_nowait(5)
    receiver.recv_nowait()
    receiver.recv_nowait()
    assert told == [("high", 4), ("low", 1)]


def test_a_listener_that_raises_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of `on_watermark` is told as an unraisable one, and the item is sent."""
    unraisable: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda told: unraisable.append(told.exc_value))

    def listener(_kind: str, _depth: int) -> None:
        raise ValueError("heard")

    sender, receiver = ends(1, on_watermark=listener)
    sender.send_nowait(1)
    assert [str(error) for error in unraisable] == ["heard"]
    assert len(receiver) == 1


@pytest.mark.parametrize(
    ("capacity", "options"),
    [
        *[(-1, {}), (2**32, {}), (2**64, {}), (-(10**400), {})],
        *[(2, {"high": 3}), (2, {"high": 0}), (2, {"high": 2**64})],
        *[(2, {"low": 2}), (2, {"low": -1}), (2, {"low": -(2**64)})],
    ],
)
def test_absurd_limits_are_refused(capacity: int, options: dict[str, int]) -> None:
    """A negative capacity, and marks that make no sense, are errors that say so, however large they are."""
    with pytest.raises(errors.LimitsError, match=r"^expected .* got .*[0-9]"):
        ends(capacity, **options)


def test_bad_input_is_refused() -> None:
    """What others can change is not sent, what can't be called not told, and an end is not picked apart."""
    sender, _receiver = ends(1)
    with pytest.raises(remuda.NotSendable, match="item"):
        sender.send_nowait([1])  # type: ignore[call-overload]
    assert len(sender) == 0
    with pytest.raises(TypeError, match="callable"):
        ends(1, on_watermark=1)
    with pytest.raises(TypeError, match="expected capacity as an int, got str"):
        ends("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected capacity as an int, got bool"):
        ends(True)
    for mark in ("high", "low"):
        with pytest.raises(TypeError, match=f"expected {mark} as an int or None, got bool"):
            ends(4, **{mark: True})
    with pytest.raises(TypeError):
        type(sender)()


@in_runtime
async def test_an_await_is_for_one(runtime: remuda.Runtime) -> None:
    """The same send or receive can't be awaited twice, and one that is never awaited is warned of."""
    sender, receiver = ends(1)
    send = sender.send(1)
    await send
    with pytest.raises(errors.AlreadyAwaited):
        await send
    receive = receiver.recv()
    assert await receive == 1
    waits = asyncio.ensure_future(receive)
    await settle(runtime)
    with pytest.raises(errors.AlreadyAwaited):
        await receive
    waits.cancel()
    with pytest.warns(RuntimeWarning, match="never awaited"):
        sender.send(1)


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_threads_and_loops_share_a_channel(loop_factory: Any) -> None:
    """Tasks of different event loops and threads meet in one channel, and no item is lost on the way."""
    sender, receiver = ends(2)
    found: list[int] = []

    async def take() -> None:
        found.extend([item async for item in receiver])

    def elsewhere() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.wait_for(take(), 30))

    async def send() -> None:
        with sender:
            for number in range(500):
                await sender.send(number)

    threads = [threading.Thread(target=elsewhere) for _ in range(3)]
    for thread in threads:
        thread.start()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.wait_for(send(), 30))
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(500))


@pytest.mark.parametrize("how", ["push", "send", "leave"])
@pytest.mark.parametrize("selects", [False, True])
def test_a_receiver_whose_loop_ended_is_passed_over(how: str, selects: bool) -> None:
    """A receiver whose event loop was closed under it is promised nothing: the item is for the next one who waits."""
    sender, receiver = ends(0)

    async def dead() -> None:
        await (remuda.select(receiver) if selects else receiver.recv())

    async def main() -> None:
        first = asyncio.ensure_future(receiver.recv()) if how == "leave" else None
        await asyncio.sleep(0)
        loop = asyncio.new_event_loop()
        task: Any = loop.create_task(dead())
        await asyncio.to_thread(loop.run_until_complete, asyncio.sleep(0))
        loop.close()
        waits = asyncio.ensure_future(receiver.recv())
        await asyncio.sleep(0)
        if how == "send":
            await asyncio.wait_for(sender.send("item"), 10)
        else:
            sender.send_nowait("item")
        if first is not None:
            first.cancel()
        assert await asyncio.wait_for(waits, 10) == "item"
        assert receiver.statistics().receivers_waiting == 0
        task._log_destroy_pending = False
        task.get_coro().close()

    asyncio.run(main())


@in_runtime
async def test_nobody_is_starved(runtime: remuda.Runtime) -> None:
    """An agent that always finds items in a channel lets others run all the same."""
    sender, receiver = ends(10)
    go_on = True

    async def busy(_: remuda.Mailbox[Any]) -> int:
        count = 0
        while go_on:
            sender.send_nowait(count)
            count = await receiver.recv() + 1
        return count

    agent = runtime.spawn(busy, pinned=True)
    for _ in range(5):
        await asyncio.sleep(0)
    go_on = False
    assert await agent > 0


@in_runtime
async def test_nothing_is_kept(runtime: remuda.Runtime) -> None:
    """A channel goes with its ends, with what is in it and who waits in a circle through it."""
    sender, receiver = ends(3)
    kept = weakref.ref(sender)
    sender.send_nowait(unchecked([sender, receiver]))
    del sender, receiver
    gc.collect()
    assert kept() is None
    sender, receiver = ends(0)

    async def hopeless(
        _: remuda.Mailbox[Any], receiver: Receiver[Any], sender: Sender[Any]
    ) -> None:
        await receiver.recv()

    agent = runtime.spawn(hopeless, receiver, sender)
    kept = weakref.ref(sender)
    await settle(runtime)
    del agent, sender, receiver
    await settle(runtime)
    gc.collect()
    await settle(runtime)
    assert kept() is None
