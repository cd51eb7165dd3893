"""What is told of a message at a glance, from the types that were met before, is what a close look would tell."""

from __future__ import annotations

import dataclasses
import datetime
import types
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from remuda import MovedError, Sender, channel, is_sendable, iso


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: Any


class Pair(NamedTuple):
    x: Any
    y: Any = 0


class Liar(tuple[Any, ...]):
    """Shows other items than it has."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((1,))


class Words(frozenset[Any]):
    __slots__ = ()


class Elsewhere:
    """Keeps an attribute where the garbage collector does not see whose it is."""

    def __init__(self) -> None:
        self.kept: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else self.kept.get(owner, 0)

    def __set__(self, owner: Any, value: Any) -> None:
        self.kept[owner] = value


@dataclasses.dataclass(frozen=True, eq=False)
class Far:
    x: Any = Elsewhere()


@dataclasses.dataclass(frozen=True)
class Computed:
    x: Any

    def __getattribute__(self, name: str) -> Any:
        return [] if name == "x" else object.__getattribute__(self, name)


@dataclasses.dataclass(frozen=True)
class Missing:
    x: Any

    def __getattr__(self, name: str) -> Any:
        if name == "x":
            return []
        raise AttributeError(name)


class Changing:
    """Something that can be changed, and hashed, as a default of a dataclass has to be."""

    def __init__(self) -> None:
        self.items: list[int] = []


@dataclasses.dataclass(frozen=True)
class Default:
    x: Any = 0
    y: Any = dataclasses.field(init=False, default=Changing())


class Zone(datetime.tzinfo):
    """A time zone that can be changed."""

    def utcoffset(self, _moment: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta()

    dst = utcoffset

    def tzname(self, _moment: datetime.datetime | None) -> str:
        return "zone"


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = Point(value)
    return value


@pytest.mark.parametrize("kind", [Point, Slotted, Far, Pair])
def test_each_object_is_looked_at(kind: Any) -> None:
    """That an object of a class was sendable says nothing of the next one."""
    for value in (1, (2,), "x", kind(3)):
        assert is_sendable(kind(value))
    for value in ([1], ([2],), {}, kind([3])):
        assert not is_sendable(kind(value))
    assert is_sendable(kind(1))


def test_an_attribute_may_be_computed() -> None:
    """What a class gives for a field counts, and not what is stored."""
    assert not is_sendable(Computed(1))
    missing = Missing(1)
    assert is_sendable(missing)
    object.__delattr__(missing, "x")
    assert not is_sendable(missing)


def test_a_default_of_the_class_counts() -> None:
    """An object has what its class gives for a field that was not set, each time that it is asked about."""
    assert [is_sendable(Default()) for _ in range(3)] == [False, False, False]


def test_a_kind_of_tuple_is_as_its_items() -> None:
    """The items that it has count, whatever it shows; and so do those of a kind of frozenset."""
    assert [is_sendable(Liar((value,))) for value in (1, [1], 1)] == [True, False, True]
    assert is_sendable(Words({1, (2, 3)}))
    assert is_sendable(Words({Point(1)}))


@pytest.mark.parametrize("depth", range(8))
def test_depth_makes_no_difference(depth: int) -> None:
    """Objects within objects are looked at however deep they are."""
    assert is_sendable(nested(1, depth))
    assert not is_sendable(nested([1], depth))


@pytest.mark.parametrize("count", [1, 2, 31, 63, 64, 65, 100, 10_000])
def test_size_makes_no_difference(count: int) -> None:
    """The last of many parts counts as the first does."""
    assert is_sendable((Point(1),) * count)
    assert is_sendable((*(Point(1),) * count, "last"))
    assert not is_sendable((*(Point(1),) * count, Point([])))
    assert is_sendable(frozenset(range(count)))
    assert is_sendable(frozenset({Point(number) for number in range(count)}))


def test_what_is_no_field_is_not_looked_at() -> None:
    """An attribute that was forced upon a frozen object is on the head of who did it."""
    point = Point(1)
    object.__setattr__(point, "z", [])
    assert is_sendable(point)
    assert vars(point)["z"] == []


def test_a_moment_is_as_its_zone() -> None:
    """A time with a zone of one's own is no more than the zone."""
    now = datetime.datetime(2026, 1, 1)
    assert is_sendable(now)
    assert is_sendable(now.replace(tzinfo=datetime.UTC))
    assert not is_sendable(now.replace(tzinfo=Zone()))
    assert not is_sendable((1, now.replace(tzinfo=Zone())))


def test_a_function_is_told_by_its_name() -> None:
    """One of a module is the module's, whatever it is called; one made within another is what it has caught."""

    def local(given: Any = ()) -> Any:
        return given

    def mutable(given: Any = []) -> Any:  # noqa: B006  # that is what it is about
        return given

    for name in ("short", "module_level", "größer", "a.b<c", "bad\ud800name", "<lambda>"):
        made = types.FunctionType(nested.__code__, globals(), name)
        made.__qualname__ = name
        assert is_sendable(made)
        made.__qualname__ = f"outer.<locals>.{name}"
        assert is_sendable(made)
    assert is_sendable(local)
    assert not is_sendable(mutable)


def test_many_ways_to_the_same_parts_are_gone_once() -> None:
    """A tuple of the same tuple twice, sixty times over, has more ways through it than there is time."""
    good: Any = (1, Point(2))
    bad: Any = (1, [2])
    for _ in range(60):
        good, bad = (good, good), (bad, bad)
    assert is_sendable(good)
    assert is_sendable(Point(good))
    assert not is_sendable(bad)


def test_a_circle_of_frozen_objects_has_an_end() -> None:
    """Two that were made to know each other are looked at as any others."""
    one, other = Point(1), Point(2)
    object.__setattr__(one, "x", other)
    object.__setattr__(other, "x", one)
    assert is_sendable(one)
    object.__setattr__(other, "y", [])
    assert not is_sendable(one)


def test_an_iso_in_a_part_that_is_met_twice_is_there_twice() -> None:
    """Also behind a thousand other parts."""
    part = (iso([1]),)
    many = tuple((number, (number,)) for number in range(2000))
    message = (many, part, part)  # remuda: ignore[RMD108]
    tx: Sender[Any]
    tx, _rx = channel(1)
    with pytest.raises(MovedError, match="the same one twice"):
        tx.send_nowait(message)
    assert part[0].value == [1]
