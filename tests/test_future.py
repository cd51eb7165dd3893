"""A promise of one value: it is resolved once, by whoever has the resolver, and awaited by as many as like."""

import asyncio
import gc
import logging
import threading
import weakref
from typing import Any

import pytest

import remuda
from remuda import Future, Resolver, await_future, errors, iso
from tests.support import LOOPS, in_runtime, settle


def promise() -> tuple[Resolver[Any], Future[Any]]:
    """Both sides, of whatever type."""
    return await_future()


async def waiting(_: remuda.Mailbox[Any], future: Future[Any]) -> Any:
    """An agent that waits for a future and returns its value."""
    return await future


@in_runtime
async def test_everybody_gets_the_value(runtime: remuda.Runtime) -> None:
    """Agents and tasks that wait all get the value, and so does who comes later."""
    resolver, future = promise()
    agents = [runtime.spawn(waiting, future) for _ in range(3)]
    tasks = [asyncio.ensure_future(future) for _ in range(3)]
    await settle(runtime)
    assert not future.done()
    assert not resolver.done()
    resolver.set_result("now")
    assert await asyncio.gather(*agents, *tasks, future) == ["now"] * 7
    assert resolver.done()
    assert future.result() == "now"
    assert future.exception() is None


@in_runtime
async def test_asyncio_takes_it(runtime: remuda.Runtime) -> None:
    """`asyncio.wait`, `gather`, `wait_for`, `shield`, `as_completed` and `timeout` work with a future."""
    resolver, future = promise()
    shielded = asyncio.ensure_future(asyncio.shield(future))
    gathered = asyncio.gather(future, future)
    waited: Any = future  # asyncio.wait is typed for its own futures
    assert await asyncio.wait([waited], timeout=0) == (set(), {future})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await future
    asyncio.get_running_loop().call_soon(resolver.set_result, 1)
    assert await asyncio.wait([waited]) == ({future}, set())
    assert [await each for each in asyncio.as_completed([future])] == [1]
    assert await asyncio.wait_for(future, 10) == 1
    assert await shielded == 1
    assert list(await gathered) == [1, 1]
    assert not runtime.agents()


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_resolved_by_a_thread(loop_factory: Any) -> None:
    """Any thread may resolve a future that tasks of any event loop wait for."""
    resolver, future = promise()
    got = []

    def elsewhere() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            got.append(runner.run(asyncio.wait_for(future, 30)))

    threads = [threading.Thread(target=elsewhere) for _ in range(2)]
    for thread in threads:
        thread.start()
    resolver.set_result("from here")
    for thread in threads:
        thread.join()
    assert got == ["from here"] * 2


@in_runtime
async def test_a_cancelled_waiter_leaves_the_others(runtime: remuda.Runtime) -> None:
    """To cancel one who waits, agent or task, is nothing to the others, and nothing is kept of it."""
    resolver, future = promise()
    agents = [runtime.spawn(waiting, future) for _ in range(3)]
    tasks = [asyncio.ensure_future(future) for _ in range(3)]
    await settle(runtime)
    agents[1].cancel()
    tasks[1].cancel()
    ended = weakref.ref(agents[1])
    with pytest.raises(asyncio.CancelledError):
        await agents[1]
    del agents[1], tasks[1]
    await settle(runtime)
    gc.collect()
    assert ended() is None
    resolver.set_result(1)
    assert await asyncio.gather(*agents, *tasks) == [1] * 4


@in_runtime
async def test_an_exception_is_raised_by_all(runtime: remuda.Runtime) -> None:
    """The exception that a future is resolved with is raised wherever it is awaited."""
    resolver, future = promise()
    agent = runtime.spawn(waiting, future)
    resolver.set_exception(KeyError)
    for awaitable in (agent, future, future):
        with pytest.raises(KeyError):
            await awaitable
    with pytest.raises(KeyError):
        future.result()
    assert isinstance(future.exception(), KeyError)


@in_runtime
async def test_a_dropped_resolver_breaks_the_promise(runtime: remuda.Runtime) -> None:
    """When the resolver goes, those who wait are told, whether it goes by its last reference or by the collector."""
    for circular in (False, True):
        resolver, future = promise()
        agent, task = runtime.spawn(waiting, future), asyncio.ensure_future(future)
        await settle(runtime)
        if circular:
            circle: list[Any] = [resolver]
            circle.append(circle)
            del circle
        del resolver
        gc.collect()
        for awaitable in (agent, task, future):
            with pytest.raises(errors.BrokenPromise, match="resolver"):
                await awaitable


def test_it_is_resolved_once() -> None:
    """A second result or exception is refused, and an iso that was not taken stays its owner's."""
    resolver, future = promise()
    resolver.set_result(1)
    handle = iso([1])
    with pytest.raises(errors.AlreadyResolved):
        resolver.set_result(handle)
    with pytest.raises(asyncio.InvalidStateError):
        resolver.set_exception(ValueError())
    assert handle.take() == [1]
    assert future.result() == 1


def test_a_pending_future_has_no_result() -> None:
    """`result()` and `exception()` of a future that is not resolved say so."""
    _resolver, future = promise()
    with pytest.raises(asyncio.InvalidStateError):
        future.result()
    with pytest.raises(asyncio.InvalidStateError):
        future.exception()
    assert "pending" in repr(future)


def test_a_future_is_no_iterator() -> None:
    """What awaits a future asks it for an iterator: the future itself isn't one, as long as it is pending at least."""
    resolver, future = promise()
    anything: Any = future
    with pytest.raises(TypeError, match="pending future"):
        next(anything)
    awaits = [future.__await__()]
    resolver.set_result("value")
    awaits.append(future.__await__())
    for one in awaits:
        with pytest.raises(StopIteration) as stopped:
            next(one)
        assert stopped.value.value == "value"
    with pytest.raises(TypeError, match="not iterable"):
        iter(anything)


@pytest.mark.parametrize("is_resolved", [False, True])
def test_weak_references_end_with_either_side(is_resolved: bool) -> None:
    """A weak reference to either side is told of its end, and those that are made next have none."""
    gone: list[str] = []
    for _ in range(20):
        resolver, future = promise()
        assert weakref.getweakrefcount(resolver) == weakref.getweakrefcount(future) == 0
        refs = (
            weakref.ref(resolver, lambda _: gone.append("resolver")),
            weakref.ref(future, lambda _: gone.append("future")),
        )
        if is_resolved:
            resolver.set_result(None)
        del resolver
        assert future.done()
        del future
        assert [ref() for ref in refs] == [None, None]
    assert gone == ["resolver", "future"] * 20


def test_bad_input_is_refused() -> None:
    """What others can change is no result, and what can't be raised no exception: the future stays pending."""
    resolver, future = promise()
    with pytest.raises(remuda.NotSendable):
        resolver.set_result([1])  # type: ignore[call-overload]
    for wrong in (1, int, StopIteration, StopIteration(2)):
        with pytest.raises(TypeError, match="expected an exception"):
            resolver.set_exception(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callable"):
        future.add_done_callback(1)  # type: ignore[arg-type]
    assert not future.done()


@in_runtime
async def test_an_iso_is_for_the_first(runtime: remuda.Runtime) -> None:
    """What was moved into a future belongs to the first who awaits it; the next is told that it was taken."""
    resolver, future = promise()
    orders = [1, 2]
    resolver.set_result(iso(orders))
    assert await future is orders
    with pytest.raises(remuda.MovedError):
        await future
    assert not runtime.agents()


def test_an_exception_that_nobody_sees_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A future that goes with an exception that nobody has looked at is logged; a broken promise is not."""
    resolver, future = promise()
    resolver.set_exception(ValueError("unseen"))
    del resolver, future
    promise()
    [record] = caplog.records
    assert record.name == "remuda"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "unseen" in str(record.exc_info[1])


@in_runtime
async def test_callbacks_are_called_in_their_loop(runtime: remuda.Runtime) -> None:
    """A done-callback is called once, soon, in the event loop where it was given, with the future."""
    resolver, future = promise()
    called: list[Any] = []
    ready = asyncio.Event()

    def callback(done: Future[Any]) -> None:
        called.append((done, asyncio.get_running_loop(), threading.get_ident()))
        ready.set()

    future.add_done_callback(callback)
    future.add_done_callback(called.append)
    assert future.remove_done_callback(called.append) == 1
    await runtime.spawn(resolving, resolver)
    await asyncio.wait_for(ready.wait(), 10)
    ready.clear()
    future.add_done_callback(callback)
    assert len(called) == 1, "not before the loop turns"
    await ready.wait()
    assert called == [(future, asyncio.get_running_loop(), threading.get_ident())] * 2


async def resolving(_: remuda.Mailbox[Any], resolver: Resolver[Any]) -> None:
    """An agent that resolves."""
    resolver.set_result(None)


def test_without_a_loop_the_resolver_calls() -> None:
    """A callback that was given where no event loop runs is called by whoever resolves."""
    resolver, future = promise()
    called: list[Any] = []
    future.add_done_callback(called.append)
    resolver.set_result(1)
    assert called == [future]


@in_runtime(workers=2)
async def test_many_futures_across_workers(runtime: remuda.Runtime) -> None:
    """A value reaches the agent that waits, however both move between workers."""

    async def asks(_: remuda.Mailbox[Any], other: remuda.AgentRef[Any]) -> int:
        total = 0
        for number in range(200):
            resolver, future = promise()
            await other.send((resolver, number))
            del resolver
            total += await future
        return total

    async def answers(mailbox: remuda.Mailbox[Any]) -> None:
        async for resolver, number in mailbox:
            resolver.set_result(number)

    other = runtime.spawn(answers)
    assert await asyncio.gather(*[runtime.spawn(asks, other) for _ in range(8)]) == [19_900] * 8


@in_runtime
async def test_a_circle_of_a_waiting_agent_is_collected(runtime: remuda.Runtime) -> None:
    """An agent that waits for a future which only it could resolve does not live for ever."""

    async def hopeless(mailbox: remuda.Mailbox[Any]) -> None:
        resolver, future = promise()
        resolvers.add(resolver)
        await future

    resolvers: weakref.WeakSet[Resolver[Any]] = weakref.WeakSet()
    agent = runtime.spawn(hopeless)
    await settle(runtime)
    assert len(resolvers) == 1
    del agent
    await settle(runtime)
    gc.collect()
    await settle(runtime)
    assert not resolvers
