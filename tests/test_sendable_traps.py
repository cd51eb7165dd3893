"""What looks immutable and isn't, and what is though it doesn't look so."""
# The libraries' metaclasses take keywords that pyright doesn't know of.
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

# Of modules that may not be installed nothing is known here.
# mypy: disable-error-code="misc, call-arg"

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
import functools
import operator
import sys
import threading
import types
import weakref
import zoneinfo
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property, wraps
from typing import Any, NamedTuple

import numpy as np
import pytest

import remuda
from remuda import NotSendable, box, is_sendable, iso, ref

# A class with an unknown base could be a list, too.
freeze: Any = remuda.freeze

attrs: Any = pytest.importorskip("attrs")
msgspec: Any = pytest.importorskip("msgspec")
pydantic: Any = pytest.importorskip("pydantic")


@dataclasses.dataclass(frozen=True)
class FrozenList(list[Any]):
    value: int = 1


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    value: int = 1


@attrs.frozen
class FrozenMapping(dict):  # type: ignore[type-arg]
    value: int = 1


@dataclasses.dataclass(frozen=True)
class FrozenName(str):
    length: int = 1


@dataclasses.dataclass(frozen=True)
class WithCache:
    value: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cache", {})


@dataclasses.dataclass(frozen=True)
class Normalised:
    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self.value)


@dataclasses.dataclass(frozen=True)
class Lazy:
    value: int = 1

    @cached_property
    def made(self) -> list[int]:
        return [self.value]


@attrs.frozen
class LazyInSlots:
    value: int = 1

    @cached_property
    def made(self) -> list[int]:
        return [self.value]


@attrs.define
class MutableLazyInSlots:
    value: int = 1

    @cached_property
    def made(self) -> list[int]:
        return [self.value]


class LazyStruct(msgspec.Struct, dict=True, frozen=True):
    value: int = 1

    @cached_property
    def made(self) -> list[int]:
        return [self.value]


class Struct(msgspec.Struct):
    value: Any = None


class Model(pydantic.BaseModel):
    value: Any = None


class Items(tuple[Any, ...]):
    """Shows nothing of what it has."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Members(frozenset[Any]):
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Pair(NamedTuple):
    first: Any
    second: Any

    def __iter__(self) -> Iterator[Any]:
        yield self.second


class Number(np.float64):
    """Its instances have a `__dict__`."""


class Zone(datetime.tzinfo):
    def __init__(self) -> None:
        self.offsets: list[Any] = []

    def utcoffset(self, _when: Any) -> datetime.timedelta:
        return datetime.timedelta(0)

    dst = utcoffset

    def tzname(self, _when: Any) -> str:
        return "zone"


class Plain:
    pass


def function() -> None: ...


def named_as_a_function_of_the_module() -> Callable[[], Any]:
    kept: list[Any] = []

    @wraps(function)
    def inner() -> Any:
        return kept

    return inner


def having(obj: Any, name: str) -> Any:
    """The object, after the attribute was asked for."""
    getattr(obj, name)
    return obj


def forwarded() -> Any:
    def inner(values: Any = []) -> Any:  # noqa: B006 # that is the trap
        return values

    return inner


@functools.lru_cache
def cached(number: int) -> int:
    return number


class Child(Plain):
    def method(self) -> Any:
        return super().__init__()

    @classmethod
    def of_the_class(cls) -> Any:
        return super().__new__(cls)


MUTABLE: list[Callable[[], Any]] = [
    FrozenList,
    FrozenError,
    FrozenMapping,
    WithCache,
    lambda: having(Lazy(), "made"),
    lambda: having(LazyInSlots(), "made"),
    lambda: having(LazyStruct(), "made"),
    lambda: Normalised([1]),
    lambda: Items(([],)),
    lambda: Members({Plain()}),
    lambda: Pair([], 1),
    lambda: Number(1),
    lambda: weakref.finalize(Plain(), function),
    named_as_a_function_of_the_module,
    forwarded,
    lambda: datetime.datetime.now(Zone()),
    lambda: operator.itemgetter([]),
    lambda: list.__class_getitem__([]),
    lambda: functools.lru_cache(list),
    lambda: functools.partial(function),
    lambda: types.MappingProxyType({}),
    lambda: types.SimpleNamespace(),
    lambda: np.dtype([("a", "i4")]),
    lambda: np.zeros(1, "i4,i4")[0],
    lambda: np.frompyfunc(list, 0, 1),
    lambda: types.MethodType(function, []),
    lambda: types.MethodType(function, Plain()),
    lambda: msgspec.structs.replace(freeze(Struct()), value=[]),
    lambda: type(freeze(Struct()))(value=[]),
    lambda: freeze(Model()).model_construct(value=[]),
    lambda: property(function),  # type: ignore[arg-type]
    lambda: staticmethod(function),
    lambda: threading.local(),
    lambda: iter(()),
    lambda: sys._getframe(),
]


@pytest.mark.parametrize("make", MUTABLE, ids=range(len(MUTABLE)))
def test_what_only_looks_immutable_is_refused(make: Callable[[], Any]) -> None:
    """A frozen class with something that isn't, and what keeps mutable things where one doesn't look at once."""
    value = make()
    assert not is_sendable(value)
    with pytest.raises(NotSendable):
        remuda.val(value)
    try:
        frozen = freeze(value)
    except NotSendable:
        return
    assert frozen is not value
    assert is_sendable(frozen)


IMMUTABLE: list[Any] = [
    Normalised((1,)),
    Lazy(),
    having(freeze(having(Lazy(), "made")), "made"),
    LazyInSlots(),
    having(freeze(MutableLazyInSlots()), "made"),
    freeze(LazyStruct()),
    FrozenName("name"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # it is a str
    Items(((),)),
    Pair((), 1),
    int | str,
    list[int],
    dict[str, tuple[int, ...]] | None,
    cached,
    Child.method,
    Child.of_the_class,
    operator.itemgetter(0, slice(1, 2)),
    operator.attrgetter("a.b"),
    np.add,
    np.sum,
    np.dtype("f8"),
    types.MethodType(function, (1,)),
    "text".upper,
    (1,).count,
    "text".__add__,
    datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    datetime.time(1, tzinfo=datetime.UTC),
    msgspec.structs.replace(freeze(Struct()), value=(1,)),
    remuda.Message("payload", headers={"a": [1]}),
]


@pytest.mark.parametrize("value", IMMUTABLE, ids=range(len(IMMUTABLE)))
def test_what_is_immutable_is_sendable_and_frozen(value: Any) -> None:
    """What nobody can change is sendable, and `freeze` gives it back."""
    assert is_sendable(value)
    assert freeze(value) is value
    assert freeze([value])[0] is value


def test_the_error_names_what_is_no_field() -> None:
    """What a method has put beside the fields is named like a field."""
    with pytest.raises(NotSendable) as refused:
        remuda.val((1, WithCache()))
    assert refused.value.path == "val[1]._cache"


def test_an_iso_beside_the_fields_is_moved() -> None:
    """A frozen instance whose methods may put things beside its fields is rebuilt with fresh isos as any other."""
    from remuda.capabilities.parts import rebuilt

    old, new = iso([1]), iso([1])
    message = Normalised(old)
    assert is_sendable(message)
    assert rebuilt(message, (old,), (new,)).value is new
    assert message.value is old


@pytest.mark.parametrize("make", [Struct, lambda: Model(value=[1]), MutableLazyInSlots])
def test_a_frozen_copy_is_filled_once(make: Callable[[], Any]) -> None:
    """Neither what pickle uses, the base's constructor nor the library's back door changes a frozen copy."""
    frozen = freeze(make())
    before = repr(frozen)
    attempts: list[Callable[[], Any]] = [
        lambda: type(frozen).__mro__[1].__init__(frozen, value=2),
        lambda: frozen.__setstate__({"value": 2}),
    ]
    if isinstance(frozen, Model):
        validator = Model.__pydantic_validator__
        attempts.append(lambda: validator.validate_assignment(frozen, "value", 2))
    if not isinstance(frozen, Struct):
        *_, restore = frozen.__reduce__()
        attempts.append(lambda: restore(frozen, (("value",), (2,))))
    for attempt in attempts:
        with contextlib.suppress(AttributeError, TypeError):  # a struct's constructor does nothing
            attempt()
        assert repr(frozen) == before


def test_a_struct_with_a_dict_is_frozen_once() -> None:
    """A frozen copy of a frozen struct that has a dict is given back, and caches nothing."""
    frozen = freeze(LazyStruct())
    assert freeze(frozen) is frozen
    frozen.made.append(2)
    assert frozen.made == [1]


def test_a_memoryview_of_objects_is_refused() -> None:
    """Its bytes would be addresses."""
    with pytest.raises(NotSendable, match="addresses"):
        objects: Any = np.array([object()])
        freeze(memoryview(objects))


class Raising:
    """Raises whatever it is asked."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparing")

    def __hash__(self) -> int:
        return 1


class Lying(list[Any]):
    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return tuple

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickling")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


def test_what_lies_is_refused() -> None:
    """The type of an object counts, whatever it says of itself."""
    assert not is_sendable(Lying())
    with pytest.raises(NotSendable) as refused:
        freeze({"a": Lying()})
    assert refused.value.path == "obj['a']"


def test_what_raises_when_it_is_looked_into_is_named() -> None:
    """An error of a mapping that can't be read comes as the cause of one that says where it is."""

    class Broken(dict[Any, Any]):
        def keys(self) -> Any:
            raise RuntimeError("no keys")

    with pytest.raises(NotSendable, match=r"obj\[0\].*RuntimeError: no keys") as refused:
        freeze([types.MappingProxyType(Broken(a=1))])
    assert isinstance(refused.value.__cause__, RuntimeError)


def test_freezing_while_another_thread_changes_it() -> None:
    """What changes meanwhile is frozen as it was at some moment, or refused; nothing crashes."""
    shared: dict[Any, Any] = {"list": [], "dict": {}, "ordered": OrderedDict(), "set": set()}
    done = threading.Event()

    def change() -> None:
        number = 0
        while not done.is_set():
            number += 1
            for method, key in (("append", "list"), ("add", "set")):
                getattr(shared[key], method)(number % 100)
            shared["dict"][number % 100] = shared["ordered"][number % 100] = [number]
            if number % 50 == 0:
                for part in shared.values():
                    part.clear()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            try:
                frozen = freeze(shared)
            except NotSendable:
                continue
            assert is_sendable(frozen)
            assert freeze(frozen) is frozen
    finally:
        done.set()
        thread.join()


def test_a_box_makes_and_takes_nothing() -> None:
    """What isn't in a defaultdict isn't made by looking, and an iterator isn't used up."""
    counts: defaultdict[str, list[int]] = defaultdict(list)
    with pytest.raises(KeyError):
        box(counts)["a"]
    assert not counts
    left = iter([1, 2])
    for look in (lambda: list(box(left)), lambda: 1 in box(left)):
        with pytest.raises(remuda.CapabilityError, match="iterator"):
            look()
    assert list(left) == [1, 2]


@pytest.mark.parametrize("make", [ref, remuda.trn, box])
def test_a_handle_is_made_once(make: Any) -> None:
    """To call a handle's constructor again neither replaces what it holds nor gives it another owner."""
    handle = make([1])
    with pytest.raises(TypeError, match="not this one again"):
        handle.__init__([2])
    assert handle == [1] if make is box else handle.value == [1]


def test_copies_of_a_frozen_model_can_be_changed() -> None:
    """A deep copy of a frozen model of a frozen class is pydantic's own, with a set of its own."""

    class Fixed(pydantic.BaseModel, frozen=True):
        value: Any = None

    copied = copy.deepcopy(freeze(Fixed(value=1)))
    copied.model_fields_set.add("other")
    assert type(copied.model_fields_set) is set
