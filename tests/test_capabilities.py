"""What may be sent, and what becomes of it: iso, val, tag, ref, trn and box at run time."""

from __future__ import annotations

import array
import asyncio
import copy
import dataclasses
import datetime
import decimal
import enum
import functools
import gc
import pathlib
import pickle
import re
import sys
import threading
import uuid
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import remuda
from remuda import box, consume, freeze, is_sendable, iso, ref, swap, tag, trn, unchecked, val
from tests.support import Log, collect, echo, hold, in_runtime, settle

HERE = __file__

without_gil = not getattr(sys, "_is_gil_enabled", lambda: True)()


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any
    other: Any = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    value: Any


@dataclasses.dataclass
class Mutable:
    value: Any


class Loose(Frozen):
    """No dataclass itself: its instances take any attribute."""


class Name(str):
    """Its instances have a `__dict__`."""


class Plain(str):
    __slots__ = ()


def function() -> None: ...


def caught(value: Any) -> Callable[[], Any]:
    return lambda: value


def with_default(value: Any) -> Callable[..., Any]:
    def inner(given: Any = value) -> Any:
        return given

    return inner


def readonly(values: Any) -> Any:
    made = np.array(values)
    made.setflags(write=False)
    return made


SENDABLE: list[Any] = [
    None,
    True,
    -1,
    10**100,
    1.5,
    2j,
    "text",
    b"bytes",
    range(3),
    ...,
    object(),
    slice(1, 2),
    Colour.RED,
    Colour,
    int,
    function,
    len,
    str.upper,
    "text".upper,
    caught.__get__(1),
    with_default((1, 2)),
    (1, ("two", b"three")),
    frozenset({1, (2, 3)}),
    Pair(1, "two"),
    Frozen(1, Frozen("two")),
    Slotted((1,)),
    Plain("text"),
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    datetime.timedelta(1),
    decimal.Decimal(1),
    uuid.UUID(int=1),
    pathlib.Path("/tmp"),
    re.compile("x"),
    memoryview(b"bytes"),
    readonly([1, 2]),
    readonly([1, 2])[:1],
    np.float64(1),
    freeze({"a": [1, {2}]}),
    val((1, 2)),
    tag([1]),
]

UNSENDABLE: list[Any] = [
    [1],
    {},
    {1},
    bytearray(b"1"),
    array.array("i", [1]),
    Mutable(1),
    Loose(1),
    Name("text"),
    caught(1),
    with_default([1]),
    [].append,
    functools.partial(function),
    ([],),
    (1, (2, [3])),
    Pair(1, []),
    Frozen([1]),
    Frozen(1, Frozen({})),
    Slotted([1]),
    slice([], None),
    memoryview(bytearray(1)),
    np.array([1, 2]),
    np.array([1, 2]).view(),
    readonly([object()]),
    Exception("x"),
    threading.Lock(),
    weakref.ref(function),
    iter([1]),
    ref([1]),
    trn([1]),
    box([1]),
    freeze,
][:-1]


@pytest.mark.parametrize("value", SENDABLE, ids=repr)
def test_what_nobody_can_change_is_sendable(value: Any) -> None:
    """Immutable values, all the way down, and addresses are sendable, also within one another."""
    assert is_sendable(value)
    assert is_sendable((value, Frozen(value)))


@pytest.mark.parametrize("value", UNSENDABLE, ids=lambda value: type(value).__name__)
def test_what_can_be_changed_is_not_sendable(value: Any) -> None:
    """Mutable objects are refused, however deep they are, and so is what belongs to one agent."""
    assert not is_sendable(value)
    assert not is_sendable((1, Frozen(value)))


def test_a_read_only_view_of_what_can_be_written_is_refused() -> None:
    """An array that another one can write through is not immutable."""
    base = np.array([1, 2, 3])
    view = base[:2]
    view.setflags(write=False)
    assert not is_sendable(view)


@in_runtime
async def test_every_send_is_checked(runtime: remuda.Runtime) -> None:
    """send, send_nowait, signal, ask, reply, the arguments of spawn and results refuse what others could change."""
    agent = runtime.spawn(collect, unchecked([]))
    bare: Any = [1]

    async def takes(mailbox: remuda.Mailbox[Any], value: Any) -> None: ...

    async def replies(mailbox: remuda.Mailbox[Any]) -> None:
        request = await mailbox.recv()
        request.reply([1])

    async def returns(mailbox: remuda.Mailbox[Any]) -> Any:
        return [1]

    class Returns:
        def receive(self, message: Any) -> Any:
            return [1]

    async def sends() -> None:
        await agent.send([1])  # type: ignore[call-overload]  # a bare list

    async def asks() -> None:
        await agent.ask([1])  # type: ignore[call-overload]

    for refused in (
        sends(),
        asks(),
        asyncio.to_thread(agent.send_nowait, [1]),  # type: ignore[arg-type]
        asyncio.to_thread(lambda: remuda.signal(agent, bare)),
        asyncio.to_thread(lambda: runtime.spawn(takes, [1])),
        runtime.spawn(returns),
    ):
        with pytest.raises(remuda.NotSendable, match=r"of type list, which can be changed: iso"):
            await refused
    for behaviour in (replies, Returns):
        answering: Any = runtime.spawn(behaviour)
        with pytest.raises(remuda.AgentFailed) as failed:
            await answering.ask(1)
        assert isinstance(failed.value.__cause__, remuda.NotSendable)
    assert agent.depth == 0


def test_the_error_names_the_part() -> None:
    """NotSendable has the whole message, the part that is to blame, and the way to it."""
    culprit = [1]
    message = (1, Frozen(Pair("a", (b"", culprit))))
    agent: Any = None

    async def main() -> None:
        async with remuda.Runtime(deadline=0) as runtime:
            agent = runtime.spawn(echo)
            with pytest.raises(remuda.NotSendable) as refused:
                agent.send_nowait(message)
            assert refused.value.message is message
            assert refused.value.value is culprit
            assert refused.value.path == "message[1].value.second[1]"
            assert refused.value.path in str(refused.value)

    del agent
    asyncio.run(main())


@in_runtime
async def test_an_iso_gives_its_object_away(runtime: remuda.Runtime) -> None:
    """The receiver gets the very object, bare; the sender's handle is empty, and says where it was sent."""
    log: Log = []
    agent = runtime.spawn(collect, unchecked(log))
    content = [1]
    handle = iso(content)
    assert handle.value is content
    await agent.send(handle)
    line = test_line() - 1
    await settle(runtime)
    assert log[0] is content
    assert handle.moved
    for use in (lambda: handle.value, handle.take, handle.share, lambda: consume(handle)):
        with pytest.raises(remuda.MovedError, match=f"was sent at {re.escape(HERE)}:{line}$"):
            use()
    with pytest.raises(remuda.MovedError, match="was sent at"):
        await agent.send(handle)
    assert repr(handle).startswith("<iso sent at ")


def test_line() -> int:
    """The line of the caller: for the tests above and below."""
    import sys

    return sys._getframe(1).f_lineno


test_line.__test__ = False  # type: ignore[attr-defined]  # pytest's


@in_runtime
async def test_a_message_may_hold_isos(runtime: remuda.Runtime) -> None:
    """Isos within tuples and frozen instances arrive as fresh ones; the sender's are empty."""
    log: Log = []
    agent = runtime.spawn(collect, unchecked(log))
    first, second, kept = [1], {2: 3}, (4, 5)
    handles = iso(first), iso(second)
    await agent.send((handles[0], Frozen(Pair("a", handles[1])), kept))
    await settle(runtime)
    came = log[0]
    assert came[0].take() is first
    assert type(came[1]) is Frozen
    assert came[1].value.second.take() is second
    assert came[2] is kept
    assert handles[0].moved
    assert handles[1].moved


@in_runtime
async def test_what_is_not_taken_comes_back(runtime: remuda.Runtime) -> None:
    """A send that fails leaves every iso with its owner: full, closed, cancelled, refused, or a deadlock."""
    gate = asyncio.Event()
    agent = runtime.spawn(hold, unchecked(gate), unchecked([]), mailbox=1, pinned=True)
    agent.send_nowait(0)
    content = [1]
    handle, inner = iso(content), iso([2])
    message = (1, inner)
    for full in (handle, message):
        with pytest.raises(remuda.MailboxFull) as refused:
            agent.send_nowait(full)
        assert refused.value.message is full
    for waiting in (agent.send(handle), agent.send(message), agent.ask(handle), agent.ask(message)):
        task = asyncio.ensure_future(waiting)
        await settle(runtime)
        assert handle.moved or inner.moved
        task.cancel()
        await asyncio.wait([task])
        assert not handle.moved
        assert not inner.moved
    with pytest.raises(remuda.AskTimeout):
        await agent.ask(handle, timeout=0.001)
    assert not handle.moved
    with pytest.raises(remuda.NotSendable):
        await agent.send((inner, [3]))
    with pytest.raises(remuda.MovedError, match="the same one twice"):
        await agent.send((inner, inner))
    with pytest.raises(remuda.NotIsolated, match="two isos of the same"):
        await agent.send((iso(content), handle))
    assert inner.value == [2]
    closing = [asyncio.ensure_future(agent.send(it)) for it in (handle, message)]
    await settle(runtime)
    agent.stop()
    for sent, send in zip((handle, message), closing, strict=True):
        with pytest.raises(remuda.MailboxClosed) as closed:
            await send
        assert closed.value.message is sent
    gate.set()
    await agent
    with pytest.raises(remuda.MailboxClosed) as closed:
        await agent.ask(handle)
    assert closed.value.message is handle
    assert handle.value is content
    assert inner.value == [2]


@in_runtime
async def test_a_spawn_that_fails_gives_its_arguments_back(runtime: remuda.Runtime) -> None:
    """Isos among the arguments are the new agent's, unless there is none."""

    async def takes(mailbox: remuda.Mailbox[Any], numbers: list[int], name: str) -> str:
        return f"{name} {numbers}"

    handle = iso([1])
    wrong: Any = takes
    with pytest.raises(remuda.BehaviourError):
        runtime.spawn(wrong, handle)
    with pytest.raises(remuda.NotSendable, match="argument of type list"):
        runtime.spawn(wrong, handle, [2])
    assert not handle.moved
    assert await runtime.spawn(takes, handle, "name") == "name [1]"
    assert handle.moved


@in_runtime
async def test_an_iso_as_result_is_for_the_first(runtime: remuda.Runtime) -> None:
    """Whoever awaits an agent first gets the object; the next is told so. The end itself can be awaited by all."""

    async def makes(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[list[int]]:
        return iso([1])

    agent = runtime.spawn(makes)
    await agent.stop()
    assert agent.exception() is None
    assert await agent == [1]
    with pytest.raises(remuda.MovedError, match="awaited it before"):
        await agent
    await agent.stop()


@in_runtime
async def test_answers_are_moved_too(runtime: remuda.Runtime) -> None:
    """An iso that answers a request is the asker's; a second answer leaves it where it is."""
    handles = [iso([1]), iso([2])]

    async def answers(mailbox: remuda.Mailbox[Any]) -> None:
        request = await mailbox.recv()
        request.reply(handles[0])
        with pytest.raises(remuda.errors.AlreadyReplied):
            request.reply(handles[1])

    assert await runtime.spawn(answers).ask(None) == [1]
    assert handles[0].moved
    assert not handles[1].moved


@in_runtime
async def test_a_val_is_shared(runtime: remuda.Runtime) -> None:
    """A val is sent as often as one likes, and is bare on arrival; it compares and hashes as what it holds."""
    log: Log = []
    agent = runtime.spawn(collect, unchecked(log))
    content = (1, "two")
    shared = val(content)
    for _ in range(2):
        await agent.send(shared)
    await settle(runtime)
    assert [message is content for message in log] == [True, True]
    assert shared.share() is shared
    assert val(shared) is shared
    assert shared == val((1, "two"))
    assert hash(shared) == hash(content)
    assert pickle.loads(pickle.dumps(shared)) == shared
    assert copy.deepcopy(shared) is shared
    for refused in ([1], (1, [2]), iso([1]), (1, iso(2))):
        if not isinstance(refused, remuda.Iso):
            with pytest.raises(remuda.NotSendable, match="val"):
                val(refused)


def test_an_iso_becomes_a_val() -> None:
    """`share` and `val` freeze an iso's object and empty it; what can't be frozen stays in it."""
    handle = iso({"a": [1]})
    shared = handle.share()
    assert shared.value == {"a": (1,)}
    assert is_sendable(shared.value)
    assert handle.moved
    stubborn: remuda.Iso[Any] = iso([threading.Lock()])
    with pytest.raises(remuda.NotSendable):
        val(stubborn)
    assert not stubborn.moved


def test_an_iso_is_not_copied() -> None:
    """Neither copy nor pickle makes a second owner."""
    handle = iso([1])
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(remuda.CapabilityError, match="not to copy it"):
            copying(handle)
    assert handle.take() == [1]
    assert "taken at" in repr(handle)


def test_a_look_at_an_iso_takes_nothing_from_its_owner() -> None:
    """Who asks on another thread whether an iso was moved doesn't keep its owner from moving it."""
    shown = [iso([1])]
    looking = threading.Event()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            handle = shown[0]
            for _ in range(50):
                _ = handle.moved
            looking.set()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    looking.wait()
    try:
        for _ in range(300_000 if without_gil else 1000):
            shown[0] = iso([1])
            assert shown[0].take() == [1]
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("make", [iso, val, ref, trn, remuda.Iso, remuda.Val])
@pytest.mark.parametrize("inner", [iso, ref, trn, box, tag])
def test_a_handle_holds_no_handle(make: Any, inner: Any) -> None:
    """A handle of a handle is a mistake; `val` of an iso is how it becomes one."""
    if (make, inner) != (val, iso):
        with pytest.raises(TypeError, match="handle of type"):
            make(inner([1]))


def test_consume_moves_a_handle() -> None:
    """The object is in a new handle of the same kind; what can't be moved is refused, or stays itself."""
    old = iso([1])
    new = consume(old)
    assert (old.moved, new.value) == (True, [1])
    writing = trn([1])
    written = consume(writing)
    with pytest.raises(remuda.MovedError):
        _ = writing.value
    assert written.share().value == (1,)
    shared = val(1)
    assert consume(shared) is shared
    bare: Any = [1]
    with pytest.raises(TypeError, match="expected a handle"):
        consume(bare)


def test_swap_reads_destructively() -> None:
    """The old value comes out as the new one goes in."""
    holder = Mutable([1])
    assert swap(holder, "value", []) == [1]
    assert holder.value == []
    with pytest.raises(AttributeError):
        swap(holder, "missing", None)


def test_a_tag_is_an_identity() -> None:
    """Tags of one object are equal, those of equal objects are not, and neither leads to it."""
    one, other = [1], [1]
    assert tag(one) == tag(one)
    assert tag(one) != tag(other)
    assert len({tag(one), tag(one), tag(other)}) == 2
    assert tag(one).is_of(one)
    assert not tag(one).is_of(other)
    assert not [name for name in dir(tag(one)) if not name.startswith("__") and name != "is_of"]


@in_runtime(workers=2)
async def test_a_ref_stays_with_its_owner(runtime: remuda.Runtime) -> None:
    """Another agent, task or thread that touches a ref is told whose it is."""
    mine = ref([1])
    mine.value.append(2)
    mine.value = [*mine.value, 3]

    async def touches(mailbox: remuda.Mailbox[Any]) -> None:
        _ = mine.value

    async def touches_as_task() -> None:
        mine.value = []

    class Owner:
        def __init__(self) -> None:
            self.state = ref([0])

        def receive(self, message: int) -> int:
            self.state.value.append(message)
            return len(self.state.value)

    for other in (
        runtime.spawn(touches),
        asyncio.create_task(touches_as_task()),
        asyncio.to_thread(lambda: mine.value),
    ):
        with pytest.raises(remuda.WrongOwner, match="which made this ref, to use it, but"):
            await other
    assert mine.value == [1, 2, 3]
    owner = runtime.spawn(Owner)
    assert [await owner.ask(1), await owner.ask(2)] == [2, 3]
    for handle in (mine, trn([1]), box([1])):
        with pytest.raises(remuda.CapabilityError):
            copy.copy(handle)
        with pytest.raises(TypeError):
            hash(handle)


def test_a_box_is_for_reading() -> None:
    """Through a box nothing is assigned, deleted or called, and what is mutable within comes as a box."""
    content = Mutable([[1], "text"])
    view = box(content)
    assert view.value[1] == "text"
    assert [len(part) for part in view.value] == [1, 4]
    assert view.value[0] == [1]
    assert [1] in view.value
    attempts: list[Callable[[], Any]] = [
        lambda: setattr(view, "value", 1),
        lambda: delattr(view, "value"),
        lambda: view.value.append(1),
        lambda: view.value.__setitem__(0, 1),
        lambda: view.value.__delitem__(0),
        lambda: view.value[0].append(2),
    ]
    for attempt in attempts:
        with pytest.raises(remuda.CapabilityError, match="read through a box"):
            attempt()
    assert content == Mutable([[1], "text"])
    assert trn([1]).box()[0] == 1


@in_runtime(capabilities="trust")
async def test_trust_looks_at_handles_only(runtime: remuda.Runtime) -> None:
    """Without the check anything may be sent; an iso is moved all the same."""
    log: Log = []
    agent = runtime.spawn(collect, log)
    bare: Any = [1]
    handle = iso([2])
    await agent.send(bare)
    await agent.send(handle)
    await settle(runtime)
    assert log[0] is bare
    assert log[1] == [2]
    assert handle.moved


def test_capabilities_are_strict_or_trust() -> None:
    """Another word is refused."""
    wrong: Any = "lax"
    with pytest.raises(ValueError, match="'strict' or 'trust'"):
        remuda.Runtime(capabilities=wrong)


def test_a_class_can_be_registered() -> None:
    """Instances of a registered class are sendable from then on, those of its subclasses are not."""

    class Point:
        pass

    class Sub(Point):
        pass

    assert not is_sendable(Point())
    assert remuda.register_immutable(Point) is Point
    assert is_sendable((Point(),))
    assert not is_sendable(Sub())
    wrong: Any = Point()
    with pytest.raises(TypeError, match="expected a class"):
        remuda.register_immutable(wrong)


def test_rules_die_with_their_types() -> None:
    """A class that is made where another was is not taken for it."""
    for turn in range(200):
        made: Any = dataclasses.make_dataclass("Made", ["value"], frozen=turn % 2 == 0)(1)
        assert is_sendable(made) == (turn % 2 == 0)
        del made
        gc.collect(0 if turn % 10 else 2)


def test_a_deep_message_is_looked_at() -> None:
    """A tuple that is nested a hundred thousand deep neither overflows nor escapes."""
    good: Any = 1
    bad: Any = [1]
    for _ in range(100_000):
        good, bad = (good,), (bad,)
    assert is_sendable(good)
    assert not is_sendable(bad)


def test_two_threads_that_take_one_iso() -> None:
    """Of many who give the same iso away at once, one does."""
    for _ in range(50):
        handle = iso([1])
        start = threading.Barrier(4)
        taken: list[Any] = []

        def take(
            handle: remuda.Iso[Any] = handle,
            start: threading.Barrier = start,
            taken: list[Any] = taken,
        ) -> None:
            start.wait(20)
            try:
                taken.append(handle.take())
            except remuda.MovedError:
                taken.append(None)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken, key=str) == [None, None, None, [1]] or taken.count([1]) == 1


leaves = st.none() | st.integers() | st.text() | st.binary() | st.sampled_from([Colour.RED, len])
immutable = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner).map(tuple)
        | st.builds(Frozen, inner, inner)
        | st.builds(Slotted, inner)
        | st.builds(Pair, inner, inner)
    ),
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.builds(Frozen, inner, inner)
        | st.builds(Mutable, inner)
        | st.builds(Pair, inner, inner)
    ),
)


def holds_mutable(value: Any) -> bool:
    """The plain answer, by looking at everything."""
    if isinstance(value, list | dict | Mutable):
        return True
    if isinstance(value, tuple):
        return any(map(holds_mutable, value))
    if isinstance(value, Frozen | Slotted):
        return any(holds_mutable(getattr(value, f.name)) for f in dataclasses.fields(value))
    return False


@hypothesis.given(immutable)
def test_what_is_immutable_is_always_sendable(value: Any) -> None:
    """However it is nested."""
    assert is_sendable(value)
    assert val(value).value is value


@hypothesis.given(anything)
def test_one_mutable_part_is_enough(value: Any) -> None:
    """A message is sendable exactly if there is no mutable part in it; what `freeze` makes of it always is."""
    assert is_sendable(value) == (not holds_mutable(value))
    assert is_sendable(freeze(value))
