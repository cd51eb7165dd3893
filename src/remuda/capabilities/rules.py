"""What may be sent as it is: the rules for types, which the kernel asks for once a type."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import operator
import re
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from remuda import _kernel
from remuda.capabilities.layouts import belongs_to_module, is_made_in_python, may_hold_more
from remuda.capabilities.records import attributes_of, is_frozen_copy

__all__ = [
    "ATOMS",
    "BY_ATTRIBUTES",
    "IMMUTABLE_MEMORY",
    "find_rule",
    "is_handle",
    "is_immutable_type",
    "is_in_sight",
    "register_handle",
    "register_immutable",
    "rule_of",
]

T = TypeVar("T")

Rule = bool | tuple[str, ...] | None | Callable[[Any], bool | tuple[Any, ...]]
"""True or False; the names of the attributes that decide; None for those that are as their items; or a function, which
tells of an object True, False, or what is to be looked at instead."""


ATOMS: Final = frozenset(
    {
        type(None),
        type(...),
        type(NotImplemented),
        object,
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        re.Pattern,
        types.CodeType,
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        types.ClassMethodDescriptorType,
        _kernel.AgentRef,
        _kernel.Future,
        _kernel.Receiver,
        _kernel.Resolver,
        _kernel.Runtime,
        _kernel.Sender,
        _kernel.ShardMap,
        _kernel.Tag,
        _kernel.Val,
    }
)
"""Types whose objects can't be changed and hold nothing that can, and addresses."""

_ATOMS_ELSEWHERE: Final = frozenset(
    {
        ("datetime", "date"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("ipaddress", "IPv4Address"),
        ("ipaddress", "IPv4Network"),
        ("ipaddress", "IPv6Address"),
        ("ipaddress", "IPv6Network"),
        ("pathlib", "PosixPath"),
        ("pathlib", "PurePosixPath"),
        ("pathlib", "PureWindowsPath"),
        ("pathlib", "WindowsPath"),
        ("uuid", "UUID"),
        ("zoneinfo", "ZoneInfo"),
    }
)
"""More of them, in modules that nobody may have imported."""

IMMUTABLE_MEMORY: Final = frozenset({bytes, _kernel._FrozenMemory})
"""Types of what keeps the memory of an array so that nobody can write it."""

_registered: weakref.WeakSet[type] = weakref.WeakSet()


def register_immutable(kind: type[T]) -> type[T]:
    """Says that the objects of a class are immutable, all the way down, so that they may be sent as they are.

    Nothing checks it: whoever calls this answers for it. It doesn't hold for subclasses.

    Args:
        kind: The class.

    Returns:
        The class, so that this can be a decorator.

    Raises:
        TypeError: It is no class.

    Examples:
        >>> import remuda
        >>> @remuda.register_immutable
        ... class Point:
        ...     def __init__(self, x: int, y: int) -> None:
        ...         self._x, self._y = x, y
        >>> remuda.is_sendable(Point(1, 2))
        True
    """
    if not isinstance(kind, type):
        raise TypeError(f"expected a class to register, got {kind!r}")
    _registered.add(kind)
    _kernel._forget_rules()
    return kind


def is_immutable_type(kind: type) -> bool:
    """Whether the objects of a type can't be changed, and hold nothing that can, whatever they are.

    Args:
        kind: The type.
    """
    if kind in _registered or issubclass(kind, type | enum.Enum) or is_frozen_copy(kind):
        return True
    if issubclass(kind, weakref.finalize):  # what it has is in a table of its class
        return False
    if issubclass(kind, _kernel.Runtime):
        return True
    # Since 3.13 paths come from a module inside pathlib.
    place = kind.__module__.partition(".")[0]
    if (place, kind.__qualname__) in _ATOMS_ELSEWHERE:
        return getattr(sys.modules.get(place), kind.__qualname__, None) is kind
    if _is_numpy(kind, "generic"):
        return kind.__module__ == "numpy" and not _is_numpy(kind, "void")
    # A class that adds no place to keep anything to an immutable one: no `__dict__`, no slots, nothing in C.
    root = _root(kind)
    weak = 8 if kind.__weakrefoffset__ > 0 else 0
    return kind.__dictoffset__ == 0 and kind.__basicsize__ - root.__basicsize__ in {0, weak}


def _root(kind: type) -> type:
    return next((base for base in kind.__mro__ if base in ATOMS), object)


class _Attributes:
    """The rule for frozen classes whose methods may keep more in an instance than its fields."""

    def __call__(self, obj: Any) -> tuple[Any, ...]:
        return tuple(attributes_of(obj).values())


def _is_function_sendable(function: types.FunctionType) -> bool | tuple[Any, ...]:
    """A function of a module belongs to the module; another one is what it has caught."""
    caught = function.__code__.co_freevars
    # A decorated one keeps the name of what it is made of. A method that uses `super()` has caught its class.
    if "<locals>" not in function.__qualname__ and (
        caught in ((), ("__class__",)) or belongs_to_module(function)
    ):
        return True
    if caught or function.__dict__:
        return False
    return (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _is_builtin_sendable(function: types.BuiltinFunctionType) -> bool | tuple[Any, ...]:
    bound_to = function.__self__
    return True if isinstance(bound_to, types.ModuleType | type | None) else (bound_to,)


def _is_array_sendable(array: Any) -> bool:
    """An array that can't be written, nor seen through any other that can."""
    if array.dtype.hasobject:
        return False
    owned = False
    while type(array) is sys.modules["numpy"].ndarray:
        if array.flags.writeable:
            return False
        owned = array.flags.owndata
        array = array.base
    return owned if array is None else type(array) in IMMUTABLE_MEMORY


def _is_dtype_sendable(dtype: Any) -> bool:
    return dtype.names is None and dtype.metadata is None and not dtype.hasobject


def _is_view_sendable(view: memoryview) -> bool:
    return view.readonly and type(view.obj) is bytes


_BY_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    slice: ("start", "stop", "step"),
    datetime.datetime: ("tzinfo",),
    datetime.time: ("tzinfo",),
    _kernel.Request: ("message",),
}

_BY_OBJECT: Final[dict[type, Callable[[Any], bool | tuple[Any, ...]]]] = {
    types.FunctionType: _is_function_sendable,
    types.BuiltinFunctionType: _is_builtin_sendable,
    types.MethodType: lambda method: (method.__self__, method.__func__),
    types.MethodWrapperType: lambda method: (method.__self__,),
    memoryview: _is_view_sendable,
    _kernel.FrozenDict: lambda it: (*it.keys(), *it.values()),
}

# These are generic, or no types, to type checkers.
_BY_OBJECT[functools._lru_cache_wrapper] = belongs_to_module
_BY_OBJECT[types.GenericAlias] = lambda it: (it.__origin__, it.__args__)
_BY_OBJECT[type(int | str)] = lambda it: (it.__args__,)
_BY_OBJECT[operator.attrgetter] = _BY_OBJECT[operator.itemgetter] = lambda it: it.__reduce__()[1]

_BY_OBJECT_OF_NUMPY: Final[dict[str, Callable[[Any], bool]]] = {
    "ndarray": _is_array_sendable,
    "dtype": _is_dtype_sendable,
    "ufunc": belongs_to_module,
}


def rule_of(kind: type) -> Rule:
    """The rule for the objects of a type. The kernel remembers it, until the type dies.

    Args:
        kind: The type.

    Returns:
        See `Rule`.
    """
    _watch(kind)
    return find_rule(kind)


def find_rule(kind: type) -> Rule:
    """The rule for the objects of a type, for those who don't remember it.

    Args:
        kind: The type.

    Returns:
        See `Rule`.
    """
    if kind in ATOMS:
        return True
    if (by_object := _BY_OBJECT.get(kind)) is not None:
        return by_object
    if (names := _BY_FIELDS.get(kind)) is not None:
        return names
    if issubclass(kind, tuple | frozenset):
        base: type = tuple if issubclass(kind, tuple) else frozenset
        return kind in _registered or (False if _has_attributes(kind, base) else None)
    if is_immutable_type(kind):
        return True
    if (names := _frozen_fields(kind)) is not None:
        return BY_ATTRIBUTES if may_hold_more(kind, names) else names
    if kind.__module__.partition(".")[0] == "numpy":
        for name, by_numpy in _BY_OBJECT_OF_NUMPY.items():
            if _is_numpy(kind, name):
                return by_numpy
        if kind.__name__ == "_ArrayFunctionDispatcher":  # what most of numpy's functions are
            return belongs_to_module
    return False


BY_ATTRIBUTES: Final = _Attributes()


def _has_attributes(kind: type, base: type) -> bool:
    """Whether the objects of a subclass can have attributes that those of the base have not."""
    return kind.__dictoffset__ != base.__dictoffset__ or any(
        parent.__dict__.get("__slots__") for parent in kind.__mro__ if parent is not base
    )


def _is_numpy(kind: type, name: str) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, getattr(numpy, name))


def _frozen_fields(kind: type) -> tuple[str, ...] | None:
    """The fields of a class that can't be assigned to; None, if it is no such class."""
    own = kind.__dict__
    parameters = own.get("__dataclass_params__")
    if ("__attrs_attrs__" in own or parameters is not None) and not is_made_in_python(
        kind, _root(kind)
    ):
        return None
    if parameters is not None:
        return (
            tuple(field.name for field in dataclasses.fields(kind)) if parameters.frozen else None
        )
    if "__attrs_attrs__" in own:
        frozen = getattr(kind.__setattr__, "__name__", "") == "_frozen_setattrs"
        return tuple(field.name for field in own["__attrs_attrs__"]) if frozen else None
    structure = getattr(kind, "__struct_config__", None)
    if structure is not None:
        return tuple(kind.__struct_fields__) if structure.frozen else None  # type: ignore[attr-defined]  # msgspec's
    if hasattr(kind, "__pydantic_fields__") and hasattr(kind, "model_config"):
        frozen = kind.model_config.get("frozen") and not getattr(
            kind, "__private_attributes__", None
        )
        return (*kind.__pydantic_fields__, "__pydantic_extra__") if frozen else None
    return None


def is_in_sight(kind: type, rule: Rule) -> bool:
    """Whether the garbage collector is shown all that a rule looks at, and perhaps more.

    Args:
        kind: The class.
        rule: Its rule.

    Returns:
        Whether the rule is about attributes, each of which is kept in a slot or in the instance's `__dict__`, and got
        from there.
    """
    if not isinstance(rule, tuple | _Attributes):
        return False
    if rule is BY_ATTRIBUTES and hasattr(kind, "__struct_config__"):
        return False  # `freeze` copies it, so that it isn't to be told at a glance
    names = rule if isinstance(rule, tuple) else ()
    defined = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items()}
    if defined["__getattribute__"] is not vars(object)["__getattribute__"]:
        return False
    if "__getattr__" in defined:
        return False
    if kind.__flags__ & _COLLECTED == 0:
        return False
    # A field that an instance has not is found in the class, which the collector isn't shown.
    return all(
        isinstance(found, types.MemberDescriptorType) or _is_harmless(found)
        for found in (defined.get(name) for name in names)
    )


def _is_harmless(default: Any) -> bool:
    """Whether something is immutable whatever it holds, and neither computes an attribute nor takes one."""
    kind = type(default)
    if any(hasattr(kind, method) for method in ("__get__", "__set__", "__delete__")):
        return False
    return (kind in (tuple, frozenset) and not default) or find_rule(kind) is True


_COLLECTED: Final = 1 << 14
"""`Py_TPFLAGS_HAVE_GC`."""

_watched: dict[weakref.ref[type], None] = {}


def _watch(kind: type) -> None:
    """When a type dies, another one may get its address: the kernel forgets what it knew."""
    _watched[weakref.ref(kind, _gone)] = None


def _gone(reference: weakref.ref[type]) -> None:
    _kernel._forget_rules()
    _watched.pop(reference, None)


_HANDLES: Final[set[type]] = {_kernel.Iso, _kernel.Val, _kernel.Tag, _kernel.Unchecked}


def register_handle(kind: type[T]) -> type[T]:
    """Says that a class is one of handles, and not of what they hold."""
    _HANDLES.add(kind)
    return kind


def is_handle(value: Any) -> bool:
    """Whether it is a handle, and not what one could hold."""
    return type(value) in _HANDLES
