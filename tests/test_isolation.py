"""What is to be given away is shown to be nobody else's, or who else has it is told."""

from __future__ import annotations

import array
import asyncio
import collections
import ctypes
import dataclasses
import datetime
import gc
import hashlib
import random
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import remuda
from remuda import iso, prove_isolated, recover

KEPT: list[Any] = []

counts_all = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="without a GIL not all references to functions and generators are counted",
)


class Instance:
    """Its attributes are kept inline, or in a dict once somebody has asked for it."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Final:
    """With a finaliser."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __del__(self) -> None:
        pass


@dataclasses.dataclass
class Slots:
    __slots__ = ("one", "other")
    one: Any
    other: Any


class Sub(list[Any]):
    """A list with attributes."""


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any


def circle() -> Any:
    made: Any = Instance(items=[1])
    made.me = made
    return made


def with_dict(part: Any) -> Any:
    made = Instance(part=part)
    assert made.__dict__
    return made


def sub(part: Any) -> Any:
    made: Any = Sub([part])
    made.more = {1}
    return made


def closure(part: Any) -> Any:
    return lambda: part


def generator(part: Any) -> Any:
    def produce() -> Any:
        yield part

    made = produce()
    next(made)
    return made


def bound(part: Any) -> Any:
    return Instance(part=part).__init__  # type: ignore[misc]  # any method will do


SHAPES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "list": (lambda part: [0, part], "obj[1]"),
    "dict": (lambda part: {"a": part}, "obj['a']"),
    "nested": (lambda part: {"a": [0, {1: part}]}, "obj['a'][1][1]"),
    "tuple": (lambda part: (1, [part]), "obj[1][0]"),
    "frozen": (lambda part: Frozen([part]), "obj.value[0]"),
    "instance": (lambda part: Instance(part=part), "obj.part"),
    "instance with a dict": (with_dict, "obj.__dict__['part']"),
    "finaliser": (Final, "obj.part"),
    "slots": (lambda part: Slots(1, part), "obj.other"),
    "subclass": (sub, "obj[0]"),
    "deque": (lambda part: collections.deque([part]), "obj part of type list"),
    "ordered": (lambda part: collections.OrderedDict(a=part), "obj['a']"),
    "default": (lambda part: collections.defaultdict(list, a=part), "obj['a']"),
    "namespace": (lambda part: types.SimpleNamespace(a=part), "obj.__dict__['a']"),
    "iso": (lambda part: [iso(part)], "obj[0] part of type list"),
}
COUNTED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "closure": (closure, "obj variable part"),
    "generator": (generator, "obj variable part"),
    "bound method": (bound, "obj.__self__.part"),
}


def parameters() -> list[Any]:
    return [
        *[pytest.param(*shape, id=name) for name, shape in SHAPES.items()],
        *[pytest.param(*shape, id=name, marks=counts_all) for name, shape in COUNTED.items()],
    ]


@pytest.mark.parametrize(("make", "path"), parameters())
def test_what_nobody_else_has_is_isolated(make: Callable[[Any], Any], path: str) -> None:
    """Every kind of object, made for the purpose, with a mutable part of its own."""
    prove_isolated(make([1, "two", (3.0, None)]))


@pytest.mark.parametrize(("make", "path"), parameters())
def test_what_somebody_else_has_is_not(make: Callable[[Any], Any], path: str) -> None:
    """A part that is referred to from elsewhere is told, with the way to it and who refers to it."""
    mine = [1]
    with pytest.raises(
        remuda.NotIsolated, match=r"the variable mine of test_what_somebody"
    ) as told:
        prove_isolated(make(mine))
    # Since 3.13 an instance need not have a dict of its own, even when it was asked for.
    assert told.value.path.replace(".__dict__['part']", ".part") == path.replace(
        ".__dict__['part']", ".part"
    )


def test_a_variable_is_a_reference() -> None:
    """Also one of the caller's own, which it could use afterwards."""
    mine = [1]
    with pytest.raises(remuda.NotIsolated, match="the variable mine"):
        prove_isolated(mine)
    with pytest.raises(remuda.NotIsolated, match="the variable mine"):
        iso(mine, prove=True)
    taken = iso([1], prove=True).take()
    assert taken == [1]


def test_the_holder_is_named() -> None:
    """A global, an attribute's dict, a list: who has it is in the error."""
    KEPT.append([1])
    with pytest.raises(remuda.NotIsolated, match="a list, by") as told:
        prove_isolated([KEPT[-1]])
    assert told.value.holder is KEPT
    with pytest.raises(remuda.NotIsolated, match=r"the global .*\.KEPT") as told:
        prove_isolated([KEPT])
    assert told.value.holder is sys.modules[__name__]
    KEPT.clear()


def test_what_is_shared_by_nature_may_be_shared() -> None:
    """Immutable parts, classes, functions of modules and agents are no way in; nor is an immutable whole."""
    shared = (1, "two", Frozen(3), len, Instance, test_a_variable_is_a_reference, sys)
    prove_isolated([shared, shared])
    prove_isolated(shared)
    prove_isolated(bytearray(1))
    prove_isolated(array.array("i", [1]))
    prove_isolated([np.zeros(3), np.float64(1)])
    prove_isolated(circle())
    prove_isolated([threading.Lock()])


def test_an_immutable_container_can_be_the_way_in() -> None:
    """A tuple that others have, with a list in it, leads them to the list."""
    mine = (1, [2])
    with pytest.raises(remuda.NotIsolated, match="the variable mine") as told:
        prove_isolated([mine])
    assert told.value.path == "obj[0]"


def test_a_weak_reference_from_outside_is_a_way_in() -> None:
    """It could bring the object back; one from inside could not."""
    inside = circle()
    inside.weak = weakref.ref(inside)
    outside = [iso(inside).take()]
    del inside
    prove_isolated(outside.pop())
    made = [Instance()]
    weak = weakref.ref(made[0])
    with pytest.raises(
        remuda.NotIsolated, match=r"a weak reference from outside leads to obj\[0\]"
    ) as told:
        prove_isolated([made.pop()])
    assert told.value.path == "obj[0]"
    assert weak() is None or weak() is not None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: np.zeros(3)[1:], "a part of another"),
        (lambda: np.array([object()]), "Python objects"),
        (hashlib.sha256, "collector can't look into it"),
        (lambda: sys._getframe(), "a frame may run|something else"),
    ],
)
def test_what_can_not_be_told_is_said(make: Callable[[], Any], why: str) -> None:
    """Types written in C that own what they don't show, and what runs."""
    with pytest.raises(remuda.NotIsolated, match=why):
        prove_isolated([make()])


class Array(np.ndarray[Any, Any]):
    """An array, and attributes."""


class Zone(datetime.tzinfo):
    """A time zone that can be changed."""

    def __init__(self) -> None:
        self.changes = [1]

    def utcoffset(self, _moment: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta()

    dst = utcoffset

    def tzname(self, _moment: datetime.datetime | None) -> str:
        return "zone"


class Moment(datetime.datetime):
    """A moment with attributes."""


ZONE = Zone()
ARRAY = np.zeros((2, 2))
FROZEN = remuda.freeze(np.zeros(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ARRAY.view(Array),
        lambda: ARRAY.view(np.matrix),
        lambda: np.ma.masked_array(ARRAY, copy=False),
        lambda: np.zeros(1, [("a", int)]).view(np.recarray)[0],
        lambda: np.array([ZONE]).view(Array),
        lambda: [FROZEN, ARRAY],
        lambda: datetime.datetime(1970, 1, 1, tzinfo=ZONE),
        lambda: datetime.time(tzinfo=ZONE),
        lambda: Moment(1970, 1, 1, tzinfo=ZONE),
        lambda: weakref.ref(ZONE),
        lambda: weakref.proxy(ZONE),
        lambda: weakref.WeakSet([ZONE]),
        lambda: weakref.WeakValueDictionary({1: ZONE}),
    ],
)
def test_what_a_type_hides_is_looked_for(make: Callable[[], Any]) -> None:
    """What an object leads to counts, also where the collector isn't shown it: memory, zones, weak references."""
    with pytest.raises(remuda.NotIsolated):
        prove_isolated([make()])


NOW = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NOW,
        lambda: Moment(1970, 1, 1, tzinfo=datetime.UTC),
        lambda: datetime.datetime(1970, 1, 1, tzinfo=Zone()),
        lambda: np.ndarray.__new__(Array, (2,)),
        lambda: [FROZEN, np.dtype(int), np.zeros(3)],
        random.Random,
        lambda: Sub([bytearray(1)]),
        lambda: [weakref.ref(Instance, print), weakref.ref(sys, print)],
        lambda: ctypes.py_object([1]),
    ],
)
def test_what_hides_nothing_is_isolated(make: Callable[[], Any]) -> None:
    """Moments of a fixed zone and frozen arrays may be shared, and so may classes that are referred to weakly."""
    prove_isolated([make()])


def keep(part: Any) -> Any:
    return part, (yield)


def begun(part: Any) -> Any:
    made = keep(part)
    next(made)
    return made


@counts_all
def test_a_generator_may_only_borrow() -> None:
    """What is a variable of a suspended generator, and lies on its stack, too, may be known to somebody else."""
    mine = [1]
    with pytest.raises(remuda.NotIsolated):
        prove_isolated([begun(mine)])
    prove_isolated([begun([1])])


def test_a_deep_graph_is_walked() -> None:
    """A million lists within one another."""

    def deep() -> Any:
        made: Any = []
        for _ in range(1_000_000):
            made = [made]
        return made

    prove_isolated(deep())


def test_no_object_is_too_odd() -> None:
    """Whatever the collector knows of can be asked about."""
    gc.collect()
    told = 0
    for found in gc.get_objects()[:3000]:
        try:
            prove_isolated(found)
        except remuda.NotIsolated:
            told += 1
        if told > 200:
            break
    assert told


def test_recover_gives_a_handle() -> None:
    """What a function builds is lifted to an iso, or to a val; what it has let others know is not."""

    @recover
    def table() -> dict[str, list[int]]:
        built: dict[str, list[int]] = {}
        built["odd"] = [1, 3]
        return built

    assert table.value == {"odd": [1, 3]}
    shared: remuda.Val[Any] = recover(lambda: [1, [2]], to="val")
    assert shared.value == (1, (2,))

    def leaks() -> list[int]:
        KEPT.append([1])
        built: list[int] = KEPT[-1]
        return built

    with pytest.raises(remuda.NotIsolated):
        recover(leaks)
    KEPT.clear()
    wrong: Any = "ref"
    with pytest.raises(ValueError, match="'iso' or 'val'"):
        recover(list, to=wrong)


def test_an_agent_is_given_what_was_proved() -> None:
    """A proved iso is sent as any other."""

    async def total(mailbox: remuda.Mailbox[list[int]]) -> int:
        return sum(await mailbox.recv())

    async def main() -> int:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(total)
            await agent.send(iso([1, 2], prove=True))
            result: int = await agent
            return result

    assert asyncio.run(main()) == 3


def test_weak_references_within_are_no_way_in() -> None:
    """Children that know their parents by weak references are a graph of their own."""

    def tree(depth: int, parent: Any = None) -> Any:
        made: Any = Instance(parent=None if parent is None else weakref.ref(parent))
        made.children = [tree(depth - 1, made) for _ in range(3)] if depth else []
        return made

    holder = [tree(6)]
    prove_isolated(holder.pop())
    holder = [tree(1)]
    outside = weakref.ref(holder[0].children[2])
    with pytest.raises(remuda.NotIsolated, match="a weak reference from outside leads to"):
        prove_isolated(holder.pop())
    assert outside() is None
