"""How the attributes of an instance are read and set, whatever its class makes of that.

For most classes `getattr`, and what `object.__setattr__` does, get at the slots and the dict themselves, and are
quick. Whether that is so is found out once for a class. Nothing here keeps a reference to the class.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from remuda._kernel import _set_attributes
from remuda.capabilities.layouts import Layout, dict_of, layout_of

__all__ = ["Filler", "Reader", "State", "fill", "filler_of", "read", "reader_of"]

# Where attrs keeps the hash of an instance. Not copied, since the hash is that of the fields.
_CACHED_HASH = "_attrs_cached_hash"

# What a frozen subclass has, beside what its class has, that would catch an assignment.
_CAUGHT = frozenset({"__class__", "__dict__"})

State = tuple[tuple[str, ...], tuple[Any, ...]]
Reader = Callable[[Any], State]
Filler = Callable[[Any, tuple[str, ...], tuple[Any, ...]], None]


def read(obj: Any, layout: Layout | None = None) -> State:
    """The names of all attributes that an instance has, and their values."""
    layout = layout or layout_of(type(obj))
    state: dict[str, Any] = {}
    for name in layout.slots:
        try:
            state[name] = layout.slot(type(obj), name).__get__(obj)
        except AttributeError:
            continue  # never set
    state.update(dict_of(obj, layout))
    if _CACHED_HASH in state:
        state[_CACHED_HASH] = None
    return tuple(state), tuple(state.values())


def fill(obj: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    """Give an empty instance its attributes."""
    cls = type(obj)
    layout = layout_of(cls)
    attributes = {}
    for name, value in zip(names, values, strict=True):
        if name in layout.slots:
            layout.slot(cls, name).__set__(obj, value)
        else:
            attributes[name] = value
    if attributes:
        dict_of(obj, layout).update(attributes)


def reader_of(cls: type, with_cached: bool) -> Reader:
    """What reads the attributes of instances of a class.

    Args:
        cls: The class.
        with_cached: Whether also what cached properties have computed.
    """
    layout = layout_of(cls)
    cached: frozenset[str] = frozenset() if with_cached else layout.cached
    if layout.is_plain and not cached and _CACHED_HASH not in layout.slots:
        if layout.dict_at is None and layout.slots:
            return _slots_reader(layout)
        if layout.dict_at is not None and not layout.slots and not hasattr(cls, "__attrs_attrs__"):
            return _read_dict

    def read_all(obj: Any) -> State:
        names, values = read(obj, layout)
        if cached.isdisjoint(names):
            return names, values
        kept = {n: v for n, v in zip(names, values, strict=True) if n not in cached}
        return tuple(kept), tuple(kept.values())

    return read_all


def _read_dict(obj: Any) -> State:
    attributes = dict.copy(obj.__dict__)
    return tuple(attributes), tuple(attributes.values())


def _slots_reader(layout: Layout) -> Reader:
    names = tuple(layout.slots)
    # One more, because for a single one it gives no tuple.
    get = operator.attrgetter(*names, names[0])

    def read_slots(obj: Any) -> State:
        try:
            return names, get(obj)[:-1]
        except AttributeError:  # one was never set
            return read(obj, layout)

    return read_slots


def filler_of(cls: type) -> Filler:
    """What gives attributes to an empty instance of a class, or of its frozen subclass."""
    layout = layout_of(cls)
    if not layout.is_plain:
        return fill
    caught = layout.caught | _CAUGHT

    def set_all(obj: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
        if not caught.isdisjoint(names):
            return fill(obj, names, values)
        try:
            _set_attributes(obj, names, values)
        except (AttributeError, TypeError):  # the class was changed, or a name in the dict is none
            fill(obj, names, values)

    return set_all
