"""Where the instances of a class keep what they have: in slots, in a dict, or where only C can look."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

__all__ = [
    "Layout",
    "belongs_to_module",
    "dict_of",
    "is_made_in_python",
    "layout_of",
    "may_hold_more",
]

_POINTER = object.__basicsize__ // 2

_LIBRARIES = frozenset(
    {"abc", "attr", "attrs", "dataclasses", "msgspec", "pydantic", "typing", "typing_extensions"}
)
"""What methods from there set, they set while an instance is made or copied."""

_WAYS_IN = frozenset({"__setattr__", "__dict__", "_setattr", "setattr", "vars"})
"""Names that a method uses to give an attribute to a frozen instance."""


class Layout:
    """Where a class keeps attributes, by places in its `__mro__`: without a reference to the class or its parents.

    Attributes:
        slots: In which of the classes each slot is.
        dict_at: Which of them gives the dict of an instance; None if instances have none.
        cached: The names of cached properties.
        is_plain: Whether to ask an instance for a slot, or for its `__dict__`, gives just that.
        caught: The names that something else than a slot or the dict catches, if they are assigned to.
    """

    __slots__ = ("cached", "caught", "dict_at", "is_plain", "slots")

    def __init__(self, cls: type) -> None:
        self.slots: dict[str, int] = {}
        self.dict_at: int | None = None
        found: dict[str, Any] = {}
        cached: set[str] = set()
        for at in reversed(range(len(cls.__mro__))):
            cached.update(_cached_in_slots(cls.__mro__[at]))
            for name, value in vars(cls.__mro__[at]).items():
                found[name] = value
                if type(value) is types.MemberDescriptorType:
                    self.slots[name] = at
                elif name == "__dict__" and type(value) is types.GetSetDescriptorType:
                    self.dict_at = at
        cached.update(n for n, v in found.items() if type(v) is functools.cached_property)
        self.cached = frozenset(cached)
        self.is_plain = (
            found["__getattribute__"] is vars(object)["__getattribute__"]
            and "__getattr__" not in found
            and all(type(found[name]) is types.MemberDescriptorType for name in self.slots)
            and (self.dict_at is None or type(found["__dict__"]) is types.GetSetDescriptorType)
        )
        self.caught = frozenset(
            name
            for name, value in found.items()
            if name not in self.slots
            and (hasattr(type(value), "__set__") or hasattr(type(value), "__delete__"))
        )

    def slot(self, cls: type, name: str) -> Any:
        """The descriptor of a slot of the class."""
        return cls.__mro__[self.slots[name]].__dict__[name]

    def function_of(self, cls: type, name: str) -> Any:
        """What computes a cached property of the class."""
        for parent in cls.__mro__:
            if type(found := vars(parent).get(name)) is functools.cached_property:
                return found.func
            if (function := _cached_in_slots(parent).get(name)) is not None:
                return function
        raise AttributeError(name)


def _cached_in_slots(cls: type) -> dict[str, Any]:
    """The cached properties of an attrs class with slots, which is left with a `__getattr__` that computes them."""
    getter = vars(cls).get("__getattr__")
    code = getattr(getter, "__code__", None)
    if code is None or not code.co_filename.startswith("<attrs generated getattr"):
        return {}
    functions: dict[str, Any] = getter.__defaults__[0]  # type: ignore[union-attr]  # a function has them
    return functions


_layouts: WeakKeyDictionary[type, Layout] = WeakKeyDictionary()


def layout_of(cls: type) -> Layout:
    """The layout of a class, found out once."""
    layout = _layouts.get(cls)
    if layout is None:
        layout = _layouts[cls] = Layout(cls)
    return layout


def dict_of(obj: Any, layout: Layout | None = None) -> dict[str, Any]:
    """The dict that the attributes are in, whatever `__dict__` says; an empty one if there is none."""
    cls = type(obj)
    at = (layout or layout_of(cls)).dict_at
    if at is None:
        return {}
    attributes: dict[str, Any] = cls.__mro__[at].__dict__["__dict__"].__get__(obj)
    return attributes


def is_made_in_python(cls: type, root: type = object) -> bool:
    """Whether an instance has nothing but its slots and its dict beside what those of `root` have.

    A frozen dataclass that is a list, or an exception, has more, which nothing keeps from being changed.

    Args:
        cls: The class.
        root: A class that it derives from.
    """
    size = root.__basicsize__
    size += _POINTER * (cls.__weakrefoffset__ > 0 >= root.__weakrefoffset__)
    size += _POINTER * (cls.__dictoffset__ > 0 >= root.__dictoffset__)
    for parent in cls.__mro__:
        if "__slots__" in vars(parent):
            slots = sum(type(it) is types.MemberDescriptorType for it in vars(parent).values())
            size += _POINTER * slots
    return cls.__basicsize__ <= size and cls.__itemsize__ == root.__itemsize__


def may_hold_more(cls: type, fields: tuple[str, ...]) -> bool:
    """Whether instances of a frozen class have room for more than its fields, and methods that put something there.

    Args:
        cls: The class.
        fields: Its fields.
    """
    layout = layout_of(cls)
    if cls.__dictoffset__ == 0 and layout.slots.keys() <= {*fields}:
        return False
    return bool(layout.cached) or any(
        not _WAYS_IN.isdisjoint(_names(function.__code__)) for function in _functions(cls)
    )


def _functions(cls: type) -> Iterator[types.FunctionType]:
    """The functions that the class and its parents were written with."""
    for parent in cls.__mro__:
        for value in vars(parent).values():
            found = getattr(value, "__func__", getattr(value, "fget", value))
            if not isinstance(found, types.FunctionType):
                continue
            module = str(found.__globals__.get("__name__")).partition(".")[0]
            code = found.__code__
            generated = code.co_qualname.startswith("__create_fn__")
            if module not in _LIBRARIES and not generated and "<attrs" not in code.co_filename:
                yield found


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def belongs_to_module(function: Any) -> bool:
    """Whether something is what its module has by its name, as a decorated function is."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", "")
    for part in str(name).split("."):
        found = getattr(found, part, None)
    return found is function or getattr(found, "__func__", None) is function
