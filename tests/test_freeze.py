"""`freeze` and `FrozenDict`: immutable copies, what stays shared, what is refused and where."""

from __future__ import annotations

import array
import copy
import dataclasses
import datetime
import decimal
import enum
import gc
import os
import pathlib
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
import types
import uuid
import weakref
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from functools import cached_property, wraps
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import remuda
from remuda import FrozenDict, NotSendable, freeze


class Colour(enum.Enum):
    RED = (1,)


class Point(NamedTuple):
    x: Any
    y: Any = 0


class Sentinel:
    __slots__ = ()


@dataclasses.dataclass
class Node:
    value: Any = None
    other: Any = None

    def swapped(self) -> tuple[Any, Any]:
        return self.other, self.value


@dataclasses.dataclass(slots=True)
class Slotted:
    value: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any = None
    other: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlotted:
    value: Any = None


class Loose(Frozen):
    """Its instances take attributes that are no fields."""


@dataclasses.dataclass(eq=False)
class Identity:
    value: Any = None


@dataclasses.dataclass
class Lazy:
    value: Any = None

    @cached_property
    def double(self) -> list[Any]:
        return [self.value, self.value]


class Plain:
    def __init__(self) -> None:
        self.value = 1


def counting(wrapped: Callable[[], None]) -> Callable[[], None]:
    @wraps(wrapped)
    def call() -> None:
        wrapped()

    return call


@counting
def at_module_level() -> None: ...


STAYS = [
    None,
    True,
    ...,
    NotImplemented,
    2**70,
    1.5,
    2j,
    "text",
    b"bytes",
    range(3),
    (),
    (1, ("a", None)),
    frozenset({1, (2,)}),
    slice(1, 2),
    FrozenDict(a=(1,)),
    Colour.RED,
    re.RegexFlag.A | re.RegexFlag.I,
    Plain,
    len,
    dict.fromkeys,
    str.upper,
    freeze,
    at_module_level,
    Point(1, (2,)),
    time.gmtime(0),
    Frozen(1, (2,)),
    FrozenSlotted(()),
    Sentinel(),
    object(),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    decimal.Decimal("1.5"),
    uuid.UUID(int=1),
    pathlib.Path("a"),
    re.compile("a"),
    np.float64(1.5),
    np.dtype("f8"),
    np.frombuffer(b"abc", "u1"),
]


@pytest.mark.parametrize("value", STAYS, ids=repr)
def test_what_is_immutable_is_given_back(value: Any) -> None:
    """What is immutable all through stays the object that it is, also inside of something else."""
    assert freeze(value) is value
    assert freeze([value])[0] is value


@pytest.mark.parametrize(
    ("value", "frozen"),
    [
        ([1, [2]], (1, (2,))),
        (deque([1, [2]]), (1, (2,))),
        ({1, 2}, frozenset({1, 2})),
        ({"a": [1]}, FrozenDict(a=(1,))),
        (OrderedDict(a=[1]), FrozenDict(a=(1,))),
        (defaultdict(list, a=[1]), FrozenDict(a=(1,))),
        (Counter("aab"), FrozenDict(a=2, b=1)),
        (types.MappingProxyType({"a": [1]}), FrozenDict(a=(1,))),
        (FrozenDict(a=[1]), FrozenDict(a=(1,))),
        (bytearray(b"ab"), b"ab"),
        (memoryview(bytearray(b"abcd"))[::2], b"ac"),
        (([],), ((),)),
        (slice([1], None), slice((1,), None)),
        (Point([1]), Point((1,))),
        (Frozen([1]), Frozen((1,))),
        (FrozenSlotted([1]), FrozenSlotted((1,))),
        (frozenset({FrozenSlotted(1)}), frozenset({FrozenSlotted(1)})),
    ],
    ids=repr,
)
def test_containers_become_their_immutable_kin(value: Any, frozen: Any) -> None:
    """Every container becomes the immutable one of its kind, all through, and the original stays as it was."""
    before = repr(value)
    result = freeze(value)
    assert type(result) is type(frozen)
    assert result == frozen
    assert freeze(result) is result
    assert repr(value) == before


def test_order_of_a_dict_is_kept() -> None:
    """A frozen dict has its items in the order of the dict."""
    assert list(freeze({"b": 1, "a": 2}).items()) == [("b", 1), ("a", 2)]


def test_what_is_shared_stays_shared() -> None:
    """The same list twice becomes the same tuple twice, and the same bytearray the same bytes."""
    inner: list[Any] = [[1]]
    data = bytearray(1000)
    frozen: Any = freeze([inner, {"again": inner}, Node(inner), data, data])
    assert frozen[0] is frozen[1]["again"] is frozen[2].value
    assert frozen[3] is frozen[4]


def test_depth_does_not_matter() -> None:
    """A list that is nested far deeper than the stack is frozen."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    frozen: Any = freeze(nested)
    assert freeze(frozen) is frozen
    depth = 0
    while frozen:
        (frozen,) = frozen
        depth += 1
    assert depth == 100_000


def test_refusal_at_great_depth_is_readable() -> None:
    """An error deep inside has the whole path, and a message of a length that can be read."""
    nested: Any = Plain()
    for _ in range(50_000):
        nested = {"in": [nested]}
    with pytest.raises(NotSendable) as caught:
        freeze(nested)
    assert caught.value.path == "obj" + "['in'][0]" * 50_000
    assert len(str(caught.value)) < 700


# Instances


@pytest.mark.parametrize("cls", [Node, Slotted, Loose, Identity], ids=lambda cls: cls.__name__)
def test_mutable_instance_becomes_a_frozen_one(cls: Any) -> None:
    """A frozen copy is an instance of the same class for all that can be asked of it, but can't be changed."""
    original = cls([1])
    frozen = freeze(original)
    assert isinstance(frozen, cls)
    assert frozen.__class__ is cls
    assert type(frozen).__qualname__ == cls.__qualname__
    assert frozen.value == (1,)
    assert repr(frozen) == repr(original).replace("[1]", "(1,)")
    assert freeze(frozen) is frozen
    assert copy.copy(frozen) is copy.deepcopy(frozen) is frozen
    assert type(freeze(cls([2]))) is type(frozen)
    assert original.value == [1]


@pytest.mark.parametrize("cls", [Node, Slotted, Loose], ids=lambda cls: cls.__name__)
def test_no_way_into_a_frozen_copy(cls: Any) -> None:
    """Neither assigning, deleting, initialising again nor its `__dict__` changes a frozen copy."""
    frozen = freeze(cls([1]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.value = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.new = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.__class__ = Node
    with pytest.raises(dataclasses.FrozenInstanceError):
        del frozen.value
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.__init__(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.__setstate__({"value": 2})
    if hasattr(frozen, "__dict__"):
        for change in ("['value'] = 2", ".update(value=2)", ".clear()"):
            with pytest.raises(TypeError):
                exec(f"vars(frozen){change}", {"frozen": frozen})
        dict.__setitem__(vars(frozen), "value", 2)
    assert frozen.value == (1,)


def test_frozen_copy_equals_what_it_is_of() -> None:
    """A frozen copy equals its original if their fields are equal, and `replace` gives an object that can change."""
    original = Node(1, "a")
    frozen = freeze(original)
    assert frozen == original
    assert original == frozen
    assert frozen.swapped() == ("a", 1)
    changed = dataclasses.replace(frozen, value=2)
    changed.value = 3
    assert type(changed) is Node


def test_frozen_copy_can_be_hashed() -> None:
    """A frozen copy of a class that compares by its fields hashes by them; others hash as they did."""
    assert hash(freeze(Node([1]))) == hash(freeze(Node([1])))
    assert {freeze(Node([1])): "found"}[  # pyright: ignore[reportUnhashable]  # the copy can be
        freeze(Node((1,)))
    ] == "found"
    assert freeze({Identity(1)}) != freeze({Identity(1)})


def test_cached_property_of_a_frozen_copy_is_computed_each_time() -> None:
    """What a cached property has computed isn't copied, and a frozen copy caches nothing."""
    lazy = Lazy(1)
    assert lazy.double == [1, 1]
    frozen = freeze(lazy)
    frozen.double.append(2)
    assert frozen.double == [1, 1]
    assert "double" not in vars(frozen)


def test_attributes_that_are_no_fields_are_frozen_too() -> None:
    """An attribute that was set from outside is frozen like a field."""
    node = Node(1)
    node.extra = [1]  # type: ignore[attr-defined]
    assert freeze(node).extra == (1,)  # type: ignore[attr-defined]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value", [Node([1], {"a": [2]}), Slotted([1]), Loose([1]), Frozen([1])], ids=repr
)
def test_frozen_copies_can_be_pickled(value: Any, protocol: int) -> None:
    """A frozen copy comes out of a pickle as a frozen copy."""
    frozen = freeze(value)
    loaded = pickle.loads(pickle.dumps(frozen, protocol))
    assert type(loaded) is type(frozen)
    assert loaded == frozen
    assert freeze(loaded) is loaded


def test_frozen_classes_go_with_their_class() -> None:
    """Nothing remembers a class whose instances were frozen once nobody uses it."""
    made = dataclasses.make_dataclass("Made", ["value"])
    freeze(made([1]))
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_class_that_refuses_subclasses_is_refused() -> None:
    """If a class doesn't let the frozen subclass be made, the error says why."""

    @dataclasses.dataclass
    class Final:
        value: int = 1

        def __init_subclass__(cls) -> None:
            raise RuntimeError("no subclasses")

    with pytest.raises(NotSendable, match="no subclasses"):
        freeze(Final())


# Cycles


def test_cycle_through_an_instance_is_kept() -> None:
    """An instance that refers to itself, wherever the freezing begins, becomes one that refers to itself."""
    node = Node()
    node.value = {"items": [node]}
    frozen = freeze(node)
    assert frozen.value["items"][0] is frozen
    for start, way in (
        (node.value, "['items'][0].value"),
        (node.value["items"], "[0].value['items']"),
    ):
        frozen = freeze(start)
        assert eval(f"frozen{way}") is frozen
        assert freeze(frozen) is frozen
    loaded = pickle.loads(pickle.dumps(freeze(node)))
    assert loaded.value["items"][0] is loaded


def test_cycle_through_a_frozen_instance_is_kept() -> None:
    """Frozen dataclasses that refer to one another through a list are copied together."""
    parent = Frozen([])
    child = Frozen("child", parent)
    parent.value.append(child)
    for start in (parent, child, parent.value):
        frozen: Any = freeze(start)
        again = (
            frozen.value[0].other
            if start is parent
            else frozen.other.value[0]
            if start is child
            else None
        )
        assert again is (None if start is parent.value else frozen)
        assert freeze(frozen) is frozen
    frozen = freeze(parent.value)
    assert frozen[0].other.value is frozen


def test_cycle_of_frozen_things_is_frozen() -> None:
    """A frozen dataclass that contains itself in a tuple is given back."""
    node = Frozen()
    object.__setattr__(node, "value", (node,))
    assert freeze(node) is node
    assert freeze(node.value) is node.value


@pytest.mark.parametrize("kind", ["list", "dict", "tuple"])
def test_cycle_of_containers_is_refused(kind: str) -> None:
    """Containers that contain themselves can't become immutable; the error names the way round."""
    inner: list[Any] = []
    whole: Any = {"list": inner, "dict": {"next": inner}, "tuple": (1, inner)}[kind]
    inner.append({"parent": whole})
    path = {
        "list": "obj[0]['parent']",
        "dict": "obj['next'][0]['parent']",
        "tuple": "obj[1][0]['parent']",
    }[kind]
    with pytest.raises(NotSendable, match=re.escape(f"{path} is obj;")) as caught:
        freeze(whole)
    assert caught.value.path == path
    assert caught.value.value is whole


def test_set_that_needs_its_own_hash_is_refused() -> None:
    """A set of something whose hash needs the set can't be made, and the error says so."""

    @dataclasses.dataclass(unsafe_hash=True)
    class Member:
        owners: Any

    member = Member(())
    whole = {member}
    member.owners = whole
    with pytest.raises(NotSendable, match="AttributeError"):
        freeze(member)


# What can't be frozen


def local() -> Callable[[], int]:
    count = 0

    def count_up() -> int:
        nonlocal count
        count += 1
        return count

    return count_up


async def coroutine() -> None: ...


def refused() -> dict[str, Callable[[], Any]]:
    """What can't be frozen, by a part of the message."""
    return {
        "open it there": lambda: open(os.devnull),
        "one agent own what the lock guards": threading.Lock,
        "iso(x)": socket.socket,
        "send what it gives": lambda: (x for x in "a"),
        "send what it gives, as a tuple": lambda: iter([1]),
        "call it there": coroutine,
        "as arguments what it takes from around it: count": local,
        "import it there": lambda: sys,
        "register_immutable(Plain)": Plain,
        "register_immutable(array)": lambda: array.array("i", [1]),
        "turn it into a plain one": lambda: type("Mine", (list,), {})(),
        "`__slots__ = ()`": lambda: type("Mine", (Point,), {})(1),
        "send the object and call its method there": lambda: [].append,
        "obj.tolist()": lambda: np.array([object()]),
        "register_immutable(matrix)": lambda: np.zeros((1, 1)).view(np.matrix),
        "dtype.descr": lambda: np.dtype([("a", "i4")]),
    }


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("text", refused())
def test_refusal_says_what_to_do(text: str) -> None:
    """What can't be frozen is refused with its place, its type and what to do instead."""
    value = refused()[text]()
    try:
        with pytest.raises(NotSendable, match=re.escape(text)) as caught:
            freeze({"a": [1, Point(0, Frozen({"b": value}))]})
        assert caught.value.value is value
        assert caught.value.path == "obj['a'][1].y.value['b']"
        assert f"{type(value).__qualname__} at obj['a'][1]" in str(caught.value)
        assert isinstance(caught.value, remuda.CapabilityError)
        assert isinstance(caught.value, TypeError)
    finally:
        if hasattr(value, "close"):
            value.close()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({Plain(): 1}, "list(obj)[0]"),
        ([{Plain()}], "list(obj[0])[0]"),
        (deque([0, Plain()]), "obj[1]"),
        (Node(Node(1, [Plain()])), "obj.value.other[0]"),
        (slice(0, Plain()), "obj.stop"),
        (types.MappingProxyType({"x" * 1000: Plain()}), None),
    ],
    ids=str,
)
def test_path_is_an_expression(value: Any, path: str | None) -> None:
    """The path of a refusal leads to the value that was refused."""
    with pytest.raises(NotSendable) as caught:
        freeze(value)
    if path is not None:
        assert caught.value.path == path
        assert eval(path, {"obj": value}) is caught.value.value
    assert len(str(caught.value)) < 500


# Arrays


def test_array_becomes_a_read_only_copy() -> None:
    """An array that can be written is copied, with its layout; a read-only one is given back."""
    original = np.arange(6.0).reshape(2, 3).T
    frozen = freeze(original)
    original[0, 0] = 9
    assert frozen[0, 0] == 0
    assert not frozen.flags.writeable
    assert frozen.flags.f_contiguous
    assert freeze(frozen) is frozen
    view = frozen[1:]
    assert freeze(view) is view


def test_read_only_view_of_a_writeable_array_is_copied() -> None:
    """A read-only view isn't immutable if what it looks at can be written."""
    original = np.zeros(3)
    view = original[:]
    view.setflags(write=False)
    frozen = freeze(view)
    original[0] = 1
    assert frozen[0] == 0


# Random data

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
)
hashables = st.recursive(
    leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(inner), max_leaves=4
)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3).map(FrozenDict)
        | st.builds(Node, inner, inner)
        | st.builds(Frozen, inner, inner)
        | st.builds(Point, inner, inner)
        | st.sets(hashables, max_size=3)
        | st.binary(max_size=3).map(bytearray)
        | inner.map(lambda value: [value, value])
    )


@given(st.recursive(leaves, _nested, max_leaves=20))
def test_freezing_again_changes_nothing(value: Any) -> None:
    """What is frozen stays the object that it is when it is frozen again, also out of a pickle, and can be hashed."""
    frozen = freeze(value)
    assert freeze(frozen) is frozen
    hash(frozen)
    loaded = pickle.loads(pickle.dumps(frozen))
    assert loaded == frozen
    assert freeze(loaded) is loaded


# FrozenDict

dicts = st.dictionaries(hashables, leaves, max_size=5)


@given(dicts, dicts)
def test_frozen_dict_is_equal_as_a_dict(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    """A FrozenDict equals whatever mapping has the same items, and what is equal has the same hash."""
    frozen = FrozenDict(one)
    for mapping in (dict, OrderedDict, FrozenDict, types.MappingProxyType, UserDict):
        assert (frozen == mapping(other)) == (one == other)
        assert (mapping(other) == frozen) == (one == other)
        assert (frozen != mapping(other)) == (one != other)
    backwards = FrozenDict(reversed(one.items()))
    assert backwards == frozen
    assert hash(backwards) == hash(frozen)


@given(dicts, dicts)
def test_frozen_dict_behaves_as_a_dict(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    """Looking up, iterating, showing and joining give what they give for a dict."""
    frozen = FrozenDict(one)
    views: Any = frozen  # whose views can be reversed, which those of a Mapping can't
    assert len(frozen) == len(one)
    assert list(frozen) == list(one)
    assert list(reversed(frozen)) == list(reversed(one))
    assert list(frozen.keys()) == list(one.keys())
    assert list(frozen.values()) == list(one.values())
    assert list(frozen.items()) == list(one.items())
    assert list(reversed(views.items())) == list(reversed(one.items()))
    assert repr(frozen) == f"FrozenDict({one!r})"
    assert dict(frozen) == one
    assert frozen | other == one | other
    assert type(frozen | other) is FrozenDict
    assert other | frozen == other | one
    assert frozen | FrozenDict(other) == one | other
    for key in [*one, *other]:
        assert (key in frozen) == (key in one)
        assert frozen.get(key, "none") == one.get(key, "none")
    loaded = pickle.loads(pickle.dumps(frozen))
    assert type(loaded) is FrozenDict
    assert loaded == one


@given(dicts, dicts)
def test_views_are_sets(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    """The views of keys and items take part in set operations as those of a dict do."""
    for ours, theirs, others in (
        (FrozenDict(one).keys(), one.keys(), other.keys()),
        (FrozenDict(one).items(), one.items(), other.items()),
    ):
        for right in (others, set(others), frozenset(others)):
            assert ours & right == theirs & right
            assert ours | right == theirs | right
            assert ours ^ right == theirs ^ right
            assert ours - right == theirs - right
            assert right - ours == right - theirs
            assert right & ours == right & theirs
            assert (ours == right) == (theirs == right)
            assert (right == ours) == (right == theirs)
            assert (ours <= right) == (theirs <= right)
            assert (ours < right) == (theirs < right)
            assert (ours > right) == (theirs > right)
            assert (right >= ours) == (right >= theirs)
            assert ours.isdisjoint(right) == theirs.isdisjoint(right)
        assert all(item in ours for item in theirs)


def test_frozen_dict_is_a_mapping() -> None:
    """It is one for `collections.abc` and for `match`, and so are its views what they should be."""
    frozen = FrozenDict({"a": 1}, b=2)
    assert isinstance(frozen, Mapping)
    assert isinstance(frozen.keys(), KeysView)
    assert isinstance(frozen.values(), ValuesView)
    assert isinstance(frozen.items(), ItemsView)
    match frozen:
        case {"a": found, **rest}:
            assert (found, rest) == (1, {"b": 2})
        case _:
            pytest.fail("expected a mapping")
    assert repr(frozen.keys()) == "FrozenKeys(['a', 'b'])"
    assert FrozenDict.fromkeys("ab", 1) == {"a": 1, "b": 1}
    assert FrozenDict[str, int].__args__ == (str, int)  # type: ignore[attr-defined]
    assert FrozenDict(frozen) is frozen
    assert FrozenDict() == FrozenDict([]) == {}
    with pytest.raises(KeyError) as caught:
        frozen[1, 2]  # type: ignore[index]
    assert caught.value.args == ((1, 2),)
    with pytest.raises(TypeError):
        FrozenDict(1)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        frozen | [("a", 1)]  # type: ignore[operator]
    with pytest.raises(TypeError, match="unhashable"):
        hash(FrozenDict(a=[]))


def test_frozen_dict_makes_nothing_in_a_defaultdict() -> None:
    """To compare with a defaultdict adds nothing to it."""
    other: defaultdict[str, int] = defaultdict(int, b=1)
    assert FrozenDict(a=0) != other
    assert other == {"b": 1}


def test_copies_of_a_frozen_dict() -> None:
    """A copy is the same object; a deep copy too, if there is nothing in it to copy."""
    frozen: FrozenDict[str, Any] = FrozenDict(a=(1, "b"))
    assert copy.copy(frozen) is frozen
    assert copy.deepcopy(frozen) is frozen
    inner: list[Any] = []
    holding: FrozenDict[str, Any] = FrozenDict(a=inner)
    inner.append(holding)
    copied = copy.deepcopy(holding)
    assert copied["a"] is not inner
    assert copied["a"][0] is copied
    assert repr(holding) == "FrozenDict({'a': [FrozenDict({...})]})"


class Spy(dict[Any, Any]):
    """Notes what its methods are given."""

    seen: ClassVar[list[Any]] = []

    def __eq__(self, other: object) -> bool:
        self.seen.append(other)
        return NotImplemented

    __ne__ = __lt__ = __ror__ = __rand__ = __rsub__ = __or__ = __eq__  # type: ignore[assignment]
    __hash__ = None


def test_no_way_into_a_frozen_dict() -> None:
    """No attribute and no operation hands out the dict inside."""
    frozen: Any = FrozenDict(a=1)
    for change in (
        "frozen['a'] = 2",
        "del frozen['a']",
        "frozen.a = 2",
        "frozen.update(a=2)",
        "frozen.keys().mapping['a'] = 2",
        "frozen.__dict__",
        "frozen.__setstate__({})",
    ):
        with pytest.raises((TypeError, AttributeError)):
            exec(change, {"frozen": frozen})
    spy = Spy()
    for left in (frozen, frozen.keys(), frozen.items(), frozen.keys().mapping):
        for operate in ("==", "!=", "<", "|", "&", "-"):
            for expression in (f"left {operate} spy", f"spy {operate} left"):
                try:
                    eval(expression, {"left": left, "spy": spy})
                except TypeError:
                    continue
    assert {type(value) for value in Spy.seen} <= {
        FrozenDict,
        type(frozen.keys()),
        type(frozen.items()),
        types.MappingProxyType,
        set,
    }
    for value in Spy.seen:
        if isinstance(value, set):
            value.clear()
    changed = frozen | {}
    assert changed is not frozen
    assert frozen.__reduce__()[1][0].pop("a") == 1
    assert frozen == {"a": 1}
    joined = frozen
    joined |= {"a": 2}
    assert frozen == {"a": 1}


def test_garbage_with_a_frozen_dict_is_collected() -> None:
    """A cycle through a FrozenDict goes when nobody uses it."""
    inner: list[Any] = []
    inner.append(FrozenDict(a=inner))
    gone = weakref.ref(inner[0])
    del inner
    gc.collect()
    assert gone() is None


def test_deep_hash_is_an_error() -> None:
    """The hash of what is nested too deep for the stack raises instead of ending the process."""
    nested: Any = FrozenDict()
    for _ in range(100_000):
        nested = FrozenDict(a=nested)
    with pytest.raises(RecursionError):
        hash(nested)
    assert hash(FrozenDict(a=FrozenDict())) == hash(FrozenDict(a=FrozenDict()))


def test_pickles_survive_another_hash_seed() -> None:
    """What is pickled in a process with other hashes is found by its hash in this one."""
    program = (
        "import pickle, sys; from remuda import freeze; from " + __name__ + " import Node\n"
        "value = freeze({'a': {'b', 'c'}, 'n': Node(['d'])}); hash(value)\n"
        "sys.stdout.buffer.write(pickle.dumps({value: 1}))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        )
        loaded = pickle.loads(done.stdout)
        assert loaded == {freeze({"a": {"b", "c"}, "n": Node(["d"])}): 1}
