"""How objects of each type are frozen, one level at a time; `freezing` walks from level to level.

A type's plan is one of:

    Leaf        nothing inside to look at: kept as it is, copied, or refused
    Container   taken apart into a tuple of parts, and built from the frozen parts
    Record      an instance with attributes (see `records`), copied by filling an empty one

Plans keep no references to the types that they are for, so that classes made at run time can go.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import operator
import reprlib
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from remuda import _kernel
from remuda._kernel import FrozenDict
from remuda.capabilities import records
from remuda.capabilities.records import Record, Refused
from remuda.capabilities.rules import is_immutable_type

__all__ = ["Container", "Leaf", "Plan", "frozen_mapping", "known_plans", "of_holder", "plan_of"]

frozen_mapping: Any = getattr(builtins, "frozendict", FrozenDict)


class Leaf:
    """A type whose instances are not looked into.

    Attributes:
        freeze: Gives the frozen object, or raises `Refused`.
        is_array: It gives the object itself, which is an array and is still to be frozen.
    """

    __slots__ = ("freeze", "is_array")

    def __init__(self, freeze: Callable[[Any], Any], is_array: bool = False) -> None:
        self.freeze = freeze
        self.is_array = is_array


class Container:
    """A type whose instances consist of their parts.

    Attributes:
        parts: Gives the parts that an object has at one moment.
        build: Makes the frozen object of the object and its frozen parts.
        label: Gives what stands before and after an object's path in the path of one of its parts.
        immutable: Whether an object that has only frozen parts is frozen itself.
        owns: Whether nobody can get at the parts but through an object that has them.
    """

    __slots__ = ("build", "immutable", "label", "owns", "parts")

    def __init__(
        self,
        parts: Callable[[Any], tuple[Any, ...]],
        build: Callable[[Any, tuple[Any, ...]], Any],
        label: Callable[[Any, tuple[Any, ...], int], tuple[str, str]],
        immutable: bool = False,
        owns: bool = True,
    ) -> None:
        self.parts = parts
        self.build = build
        self.label = label
        self.immutable = immutable
        self.owns = owns


Plan = Leaf | Container | Record

known_plans: dict[int, Plan] = {}
"""What is known of types, by their addresses: that is quicker than by weak references to them."""

_types: dict[int, weakref.ref[type]] = {}


def plan_of(cls: type) -> Plan:
    """How to freeze instances of this very type.

    Raises:
        Refused: If they can't be.
    """
    address = id(cls)
    if (known := known_plans.get(address)) is not None:
        return known
    plan = _BUILTIN.get(cls) or _find(cls)

    def forget(_gone: object) -> None:  # another type may get the address
        del known_plans[address], _types[address]

    _types[address] = weakref.ref(cls, forget)
    known_plans[address] = plan
    return plan


def _find(cls: type) -> Plan:
    if is_immutable_type(cls):
        return _KEEP
    if issubclass(cls, tuple):
        return _tuple_class(cls)
    record = records.find(cls)
    if record is not None:
        return record
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if cls is numpy.ndarray:
            return Leaf(_array, is_array=True)
        if issubclass(cls, numpy.dtype):
            return Leaf(_dtype)
    raise Refused(_advice(cls))


def _keep(obj: Any) -> Any:
    return obj


# Sequences and sets


def _item(_obj: Any, _parts: tuple[Any, ...], index: int) -> tuple[str, str]:
    return "", f"[{index}]"


def _member(_obj: Any, _parts: tuple[Any, ...], index: int) -> tuple[str, str]:
    return "list(", f")[{index}]"


def _as_tuple(_obj: Any, parts: tuple[Any, ...]) -> Any:
    return parts


def _as_frozenset(_obj: Any, parts: tuple[Any, ...]) -> Any:
    return frozenset(parts)


def _tuple_class(cls: type) -> Plan:
    """NamedTuples, and the tuples of the interpreter with names such as `os.stat_result`."""
    if cls.__dictoffset__ != 0:
        text = f"give {cls.__qualname__} `__slots__ = ()`, so that it takes no attributes"
        raise Refused(text)
    fields = getattr(cls, "_fields", None)
    if isinstance(fields, tuple):

        def label(_obj: Any, _parts: tuple[Any, ...], index: int) -> tuple[str, str]:
            return "", f".{fields[index]}" if index < len(fields) else f"[{index}]"

        return Container(_items, _same_tuple_class, label, immutable=True)
    return Container(_items, _only_as_it_is, _item, immutable=True)


def _items(obj: tuple[Any, ...]) -> tuple[Any, ...]:
    """The items, whatever iterating over an object of this class gives."""
    return tuple.__getitem__(obj, slice(None))


def _same_tuple_class(obj: Any, parts: tuple[Any, ...]) -> Any:
    return tuple.__new__(type(obj), parts)


def _only_as_it_is(obj: Any, _parts: tuple[Any, ...]) -> Any:
    name = type(obj).__qualname__
    raise Refused(f"make a {name} of immutable items, or a NamedTuple")


# Mappings


def _keys_and_values(obj: Mapping[Any, Any]) -> tuple[Any, ...]:
    return (*obj, *obj.values())


def _copied_keys_and_values(obj: Mapping[Any, Any]) -> tuple[Any, ...]:
    """Those of a copy, because the keys and the values are got one after the other."""
    return _keys_and_values(dict(obj))


def _as_mapping(_obj: Any, parts: tuple[Any, ...]) -> Any:
    half = len(parts) // 2
    return frozen_mapping(dict(zip(parts[:half], parts[half:], strict=True)))


def _key(_obj: Any, parts: tuple[Any, ...], index: int) -> tuple[str, str]:
    half = len(parts) // 2
    if index < half:
        return "list(", f")[{index}]"
    try:
        return "", f"[{reprlib.repr(parts[index - half])}]"
    except Exception:
        return "list(", f".values())[{index - half}]"


# Slices


def _ends(obj: slice[Any, Any, Any]) -> tuple[Any, ...]:
    return obj.start, obj.stop, obj.step


def _as_slice(_obj: Any, parts: tuple[Any, ...]) -> Any:
    return slice(*parts)


def _end(_obj: Any, _parts: tuple[Any, ...], index: int) -> tuple[str, str]:
    return "", (".start", ".stop", ".step")[index]


# Leaves


def _view(obj: memoryview) -> bytes:
    try:
        if "O" in obj.format:
            raise Refused("send the objects themselves, in a tuple: these are their addresses")
        return obj.tobytes()
    except ValueError as error:  # it was released
        raise Refused("freeze the memoryview before it is released") from error


def _function(obj: types.FunctionType) -> Any:
    """A function that can't be kept: it shares variables with the function that made it, or can be changed."""
    what = ", ".join(obj.__code__.co_freevars) or "its defaults and attributes"
    text = f"move {obj.__name__} to the module's level and give it as arguments what it takes from around it: {what}"
    raise Refused(text)


def _bound(_obj: Any) -> Any:
    raise Refused("send the object and call its method there")


def _moment(obj: Any) -> Any:
    if _kernel.is_sendable(obj.tzinfo):
        return obj
    raise Refused("give it a zone of datetime or zoneinfo")


def _parts_can_change(obj: Any) -> Any:
    raise Refused(f"make it of immutable objects: {reprlib.repr(obj)}")


def _array(obj: Any) -> Any:
    if obj.dtype.hasobject:
        raise Refused("turn the array of Python objects into a list first: obj.tolist()")
    return obj


def _dtype(_obj: Any) -> Any:
    raise Refused("send the dtype's description: dtype.descr")


_KEEP = Leaf(_keep)
_MAPPING = Container(_copied_keys_and_values, _as_mapping, _key)
of_holder = Container(_keep, _as_tuple, _item)
"""For the list that an object comes in."""
_LIST = Container(tuple, _as_tuple, _item)

_BUILTIN: dict[type, Plan] = {
    list: _LIST,
    tuple: Container(tuple, _as_tuple, _item, immutable=True),
    collections.deque: _LIST,
    set: Container(tuple, _as_frozenset, _member),
    frozenset: Container(tuple, _as_frozenset, _member, immutable=True),
    dict: _MAPPING,
    collections.OrderedDict: _MAPPING,
    collections.defaultdict: _MAPPING,
    collections.Counter: _MAPPING,
    types.MappingProxyType: Container(_copied_keys_and_values, _as_mapping, _key, owns=False),
    FrozenDict: Container(_keys_and_values, _as_mapping, _key, immutable=True),
    frozen_mapping: Container(_keys_and_values, _as_mapping, _key, immutable=True),
    slice: Container(_ends, _as_slice, _end, immutable=True),
    bytearray: Leaf(bytes),
    memoryview: Leaf(_view),
    types.FunctionType: Leaf(_function),
    types.BuiltinFunctionType: Leaf(_bound),
    types.MethodType: Leaf(_bound),
    types.MethodWrapperType: Leaf(_bound),
    datetime.datetime: Leaf(_moment),
    datetime.time: Leaf(_moment),
    types.MethodDescriptorType: _KEEP,
    types.WrapperDescriptorType: _KEEP,
    types.ClassMethodDescriptorType: _KEEP,
    operator.attrgetter: Leaf(_parts_can_change),
    operator.itemgetter: Leaf(_parts_can_change),
}


# Refusals


def _named(*places: tuple[str, str]) -> tuple[type, ...]:
    """Those of these classes whose modules are loaded: objects of the others there are none."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in places)
    return tuple(cls for cls in found if isinstance(cls, type))


def _advice(cls: type) -> str:
    """What to do instead of freezing an instance of a type that can't be frozen."""
    name = cls.__qualname__
    if issubclass(cls, types.CoroutineType):
        return "send the function and its arguments, and call it there"
    if issubclass(cls, types.ModuleType):
        return "send its name, and import it there"
    if issubclass(cls, _named(("_io", "_IOBase"))):
        return "send its path and open it there, or hand it over with iso(x)"
    if issubclass(cls, _named(("_socket", "socket"))):
        return "hand it over with iso(x)"
    if cls.__module__ in {"_thread", "threading", "asyncio.locks"}:
        return "let one agent own what the lock guards, and send it messages"
    if hasattr(cls, "__next__") or hasattr(cls, "__anext__"):
        return "send what it gives, as a tuple"
    if issubclass(cls, list | dict | set | frozenset | bytearray | collections.deque):
        return "turn it into a plain one first, or hand it over with iso(x)"
    return (
        f"make {name} a frozen dataclass, call register_immutable({name}) if it never changes, "
        f"or hand it over with iso(x)"
    )
