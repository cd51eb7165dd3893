"""Freezing graphs of plain containers and instances: all is copied once, wherever it is met, and by whichever way."""

from __future__ import annotations

import dataclasses
import gc
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remuda import FrozenDict, NotSendable, freeze, is_sendable, register_immutable


@dataclasses.dataclass(eq=False)
class Node:
    value: Any = None
    other: Any = None


@dataclasses.dataclass(eq=False, slots=True)
class Slotted:
    value: Any = None
    other: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Frozen:
    value: Any = None
    other: Any = None


class Struct(msgspec.Struct, eq=False):
    value: Any = None
    other: Any = None


class FrozenStruct(msgspec.Struct, frozen=True, dict=True, eq=False):
    value: Any = None


class Unfreezable:
    pass


RECORDS = (Node, Slotted, Frozen, Struct)

MAKERS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda one, other: [one, other],
    lambda one, other: [one],
    lambda one, other: (one, other),
    lambda one, other: {"one": one, 2: other},
    lambda one, other: OrderedDict(a=one, b=other),
    lambda one, other: FrozenDict(a=one, b=other),
    lambda one, other: deque([one, other]),
    Node,
    Slotted,
    Frozen,
    Struct,
)


def parts(obj: Any) -> list[Any]:
    if isinstance(obj, RECORDS):
        return [obj.value, obj.other]
    if isinstance(obj, dict | FrozenDict):
        return list(obj.values())
    return list(obj) if isinstance(obj, list | tuple | deque) else []


def compare(original: Any, frozen: Any) -> int:
    """Goes through both at once: what is one object in the original has to be one in the copy, and the other way."""
    copy_of: dict[int, Any] = {}
    of_copy: dict[int, Any] = {}
    left = [(original, frozen)]
    while left:
        one, other = left.pop()
        if isinstance(one, int | str | tuple) and one == ():
            continue
        if id(one) in copy_of:
            assert copy_of[id(one)] is other
            continue
        copy_of[id(one)] = other
        assert not isinstance(other, list | dict | deque)
        if type(other) is not int and other != ():
            assert of_copy.setdefault(id(other), one) is one
        assert len(parts(one)) == len(parts(other))
        left += zip(parts(one), parts(other), strict=True)
    return len(copy_of)


steps = st.lists(
    st.tuples(st.integers(0, len(MAKERS) - 1), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=25,
)


@given(steps, st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=3))
def test_a_graph_keeps_its_form(steps: list[Any], ways_back: list[Any]) -> None:
    """Whatever is shared between containers and instances, also in cycles through instances, is shared in the copy."""
    made: list[Any] = [1]
    for maker, one, other in steps:
        made.append(MAKERS[maker](made[-1 - one % len(made)], made[-1 - other % len(made)]))
    records = [it for it in made if type(it) in (Node, Slotted, Struct)]
    for record, target in ways_back:
        if records:
            records[record % len(records)].other = made[target % len(made)]
    frozen = freeze(made[-1])
    compare(made[-1], frozen)
    assert freeze(frozen) is frozen
    again = freeze([made[-1], made])
    assert again[0] is again[1][-1]
    compare([made[-1], made], again)


def test_what_is_shared_many_times_over_is_frozen_once() -> None:
    """Sharing on sixty levels, which are as many ways as there are atoms in an ocean, takes no time."""
    for make in (list, tuple, Node, lambda pair: {"a": pair[0], "b": pair[1]}):
        nested: Any = Node()
        for _ in range(60):
            nested = make((nested, nested)) if make is not Node else Node(nested, nested)
        assert compare(nested, freeze(nested)) >= 61


@pytest.mark.parametrize("make", [Node, Slotted, Struct, Frozen])
def test_depth_does_not_matter_between_instances(make: Any) -> None:
    """Instances in containers in instances are frozen however deep they are."""
    nested: Any = []
    for _ in range(20_000):
        nested = make([{"in": (nested,)}])
    frozen = freeze(nested)
    for _ in range(20_000):
        frozen = frozen.value[0]["in"][0]
    assert frozen == ()


@register_immutable
class Counted:
    """Counts how often it is hashed: whenever a dict with it as a key is filled."""

    hashed = 0

    def __hash__(self) -> int:
        Counted.hashed += 1
        return 1


def test_what_cannot_be_frozen_quickly_is_not_tried_at_every_level() -> None:
    """The work for containers around something that takes longer grows with their number, not with its square."""
    nested: Any = Node()
    for _ in range(300):
        nested = {Counted(): [[]], "in": nested}
    Counted.hashed = 0
    frozen = freeze(nested)
    assert Counted.hashed <= 300 * 10
    for _ in range(300):
        frozen = frozen["in"]
    assert isinstance(frozen, Node)


def test_keys_that_change_when_they_are_frozen() -> None:
    """A dict with instances as keys gets their frozen copies as keys, the same that are elsewhere."""
    node = Node([1])
    frozen: Any = freeze([{node: [2], "plain": [3]}, {node}, node])
    assert frozen[0] == {frozen[2]: (2,), "plain": (3,)}
    assert frozen[1] == {frozen[2]}
    assert frozen[2].value == (1,)


class Hostile(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__dictoffset__":
            raise RuntimeError("no looking")
        return super().__getattribute__(name)


def test_a_class_that_refuses_to_be_looked_at_is_named() -> None:
    """What can't even be asked for its type's properties is refused with its place."""
    hostile: Any = Hostile("Made", (), {"__slots__": ("value",)})
    made: Any = object.__new__(hostile)
    for value in (made, [made]):
        with pytest.raises(NotSendable) as refused:
            freeze({"a": [value]})
        assert refused.value.path.startswith("obj['a'][0]")
        assert "no looking" in str(refused.value)


# Attributes that are read and set with care


class WithProperty(Node):
    @property
    def size(self) -> int:
        return 5


def test_what_only_the_dict_has_is_copied_to_the_dict() -> None:
    """Attributes that a property hides, or whose name is none, are frozen in the dict that they were in."""
    node: Any = WithProperty()
    vars(node)["size"] = [1]
    vars(node)[2] = [3]
    frozen = freeze(node)
    assert frozen.size == 5
    assert vars(frozen)["size"] == (1,)
    assert vars(frozen)[2] == (3,)


class Loud(dict[str, Any]):
    def copy(self) -> Any:
        raise RuntimeError("no copying")

    keys = values = items = __getitem__ = copy  # type: ignore[assignment]


def test_a_dict_of_another_class_is_read_as_a_dict() -> None:
    """Methods of the dict that an instance was given for its attributes aren't called."""
    node = Node()
    node.__dict__ = Loud(value=[1])
    assert freeze(node).value == (1,)


class OneSlot:
    __slots__ = ("value",)

    @property  # type: ignore[misc] # it is the interpreter's that can be assigned
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("no class")


def test_an_instance_is_not_asked_for_its_class() -> None:
    """A single slot is read without any other attribute."""
    made = dataclasses.make_dataclass("Made", ["value"], bases=(OneSlot,), slots=True)
    frozen = freeze(made([1]))
    assert vars(OneSlot)["value"].__get__(frozen) == (1,)


class Pretending(Slotted):
    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        return "pretended" if name == "value" else super().__getattribute__(name)


class Shadowing(Slotted):
    __slots__ = ()
    value = 7


class Making(Slotted):
    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return ["made"]


def test_slots_are_read_as_they_are() -> None:
    """Neither a `__getattribute__`, a `__getattr__` nor an attribute of the class stands for what is in a slot."""
    slot: Any = vars(Slotted)["value"]
    for cls in (Pretending, Shadowing, Making):
        obj = object.__new__(cls)
        slot.__set__(obj, [1])
        assert slot.__get__(freeze(obj)) == (1,)
    unset: Any = Making()
    del unset.value
    with pytest.raises(AttributeError):
        slot.__get__(freeze(unset))


def test_an_attribute_that_was_deleted_is_missing_in_the_copy() -> None:
    """A slot that isn't set isn't set in the frozen copy, and the others are."""
    slotted = Slotted([1], [2])
    del slotted.value
    frozen = freeze(slotted)
    assert not hasattr(frozen, "value")
    assert frozen.other == (2,)


def test_a_property_of_a_later_day_is_not_called() -> None:
    """An instance whose class has got a property for one of its attributes is frozen with the attribute."""

    @dataclasses.dataclass
    class Changing:
        value: Any

    keep = freeze(Changing([1]))
    later = Changing([2])
    Changing.value = property(lambda _self: "later")
    frozen = freeze(later)
    assert vars(frozen) == {"value": (2,)}
    assert keep.value == "later"


def test_plans_are_forgotten_with_their_class() -> None:
    """A class that gets the address of one that is gone isn't taken for that."""
    for number in range(200):
        fields = [f"field{number % 7}", f"field{number % 3 + 10}"]
        made = dataclasses.make_dataclass("Made", fields, slots=bool(number % 2))
        frozen = freeze(made([1], [2]))
        assert (getattr(frozen, fields[0]), getattr(frozen, fields[1])) == ((1,), (2,))
        del made, frozen
        if number % 20 == 0:
            gc.collect()


# What is frozen already


def test_a_frozen_struct_with_a_dict_is_given_back() -> None:
    """A frozen struct whose dict nothing in its class writes to stays what it is, if what it has is frozen."""
    struct = FrozenStruct((1,))
    assert is_sendable(struct)
    assert freeze(struct) is struct
    holding = FrozenStruct([1])
    assert freeze(holding).value == (1,)
    assert holding.value == [1]


def test_what_is_frozen_beside_what_is_not_stays() -> None:
    """Frozen parts of any size and depth stay the objects that they are, also beside others and as values of dicts."""
    wide = freeze([{"number": number, "in": [number]} for number in range(500)])
    deep: Any = ()
    for _ in range(300):
        deep = (FrozenDict(a=deep), 1)
    frozen: Any = freeze([wide, {"wide": wide, "deep": [deep]}, (deep, []), Node(wide, [deep])])
    assert frozen[0] is frozen[1]["wide"] is frozen[3].value is wide
    assert frozen[1]["deep"][0] is frozen[2][0] is frozen[3].other[0] is deep


def test_a_frozen_dict_is_told_at_a_glance_by_what_it_has() -> None:
    """A FrozenDict is sendable if its keys and values are, on all levels."""
    assert is_sendable(FrozenDict(a=FrozenDict({(1, 2): frozenset({3})})))
    assert not is_sendable(FrozenDict(a=FrozenDict(b=(1, []))))
    assert not is_sendable(FrozenDict({Node(): 1}))
    assert not is_sendable((1, FrozenDict(a=Unfreezable())))
