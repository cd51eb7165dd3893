"""Frozen copies of instances with attributes: dataclasses, attrs classes, msgspec structs and pydantic models.

An instance of a frozen class is copied to that class. Any other is copied to a *frozen subclass* of its class, made
here once for each class. To who asks an instance for its `__class__`, it is one of the class itself: that is how
dataclasses and attrs classes compare, show and replace, so that a frozen copy equals what it was made of, and
`dataclasses.replace` of it makes a new object that can be changed. `type(x)` tells the truth.

What keeps a frozen copy as it is: `__setattr__`, `__delattr__`, `__init__` and `__setstate__` raise, and `__dict__` is
a copy. Only a pickle of it comes with a way to fill an empty one. What its class makes in other ways (a struct's
constructor, pydantic's `model_construct`) is none that was frozen, and isn't taken for one.
"""

from __future__ import annotations

import abc
import dataclasses
import sys
import types
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn
from weakref import WeakKeyDictionary, WeakSet, ref

from remuda._kernel import FrozenDict
from remuda.capabilities.layouts import dict_of, is_made_in_python, layout_of, may_hold_more
from remuda.capabilities.states import Filler, Reader, State, fill, filler_of, read, reader_of

__all__ = ["Record", "Refused", "attributes_of", "find", "is_frozen_copy"]

# pydantic's note of which fields were given; its serializer wants a set.
_FIELDS_SET = "__pydantic_fields_set__"
# What it keeps of fields that the model doesn't have; its serializer wants a dict.
_EXTRA = "__pydantic_extra__"

_frozen_classes: WeakKeyDictionary[type, ref[type]] = WeakKeyDictionary()
_made_here: WeakSet[type] = WeakSet()


class Refused(Exception):
    """Something can't be frozen. The text says what to do instead."""


class Record:
    """How to copy instances of a class.

    Attributes:
        immutable: Whether the class is frozen, so that an instance with frozen attributes is frozen too.
        state: Gives the names of an instance's attributes, and their values.
        empty: Makes an instance like the one given, without attributes.
        fill: Gives such an instance its attributes.
    """

    __slots__ = ("empty", "fill", "immutable", "state")

    def __init__(
        self,
        immutable: bool,
        state: Reader,
        empty: Callable[[Any], Any],
        fill: Filler,
    ) -> None:
        self.immutable = immutable
        self.state = state
        self.empty = empty
        self.fill = fill


def find(cls: type) -> Record | None:
    """How to copy instances of a class, or None if it is of no kind that is known here."""
    if _is_struct(cls):
        frozen = cls.__struct_config__.frozen  # type: ignore[attr-defined]
        if frozen and (cls in _made_here or not may_hold_more(cls, cls.__struct_fields__)):  # type: ignore[attr-defined]
            return Record(True, _struct_state, _empty_frozen_struct, _fill_struct)
        return Record(False, _struct_state, _empty_struct, _fill_struct)
    own = vars(cls)
    if _is_pydantic(cls):
        config: Any = cls.model_config  # type: ignore[attr-defined]
        private: Any = cls.__private_attributes__  # type: ignore[attr-defined]
        frozen = bool(config.get("frozen")) and not private
        if frozen:
            return Record(True, read, _empty_like, _fill_model)
    elif dataclasses.is_dataclass(cls):
        # A subclass that is no dataclass itself takes any attribute.
        params: Any = own.get("__dataclass_params__")
        frozen = params is not None and params.frozen
    elif hasattr(cls, "__attrs_attrs__"):
        setter = getattr(cls.__setattr__, "__name__", "")
        frozen = "__attrs_attrs__" in own and setter == "_frozen_setattrs"
    else:
        return None
    if not is_made_in_python(cls):
        return None
    if frozen:
        return Record(True, reader_of(cls, with_cached=True), _empty_like, filler_of(cls))
    filler = fill if _is_pydantic(cls) else filler_of(cls)
    return Record(False, reader_of(cls, with_cached=False), _frozen_maker(), filler)


def is_frozen_copy(cls: type) -> bool:
    """Whether the class is one that was made here, of which every instance is frozen all through.

    A struct's isn't: its constructor, and `msgspec.structs.replace`, put anything into it.
    """
    return cls in _made_here and not _is_struct(cls)


def attributes_of(obj: Any) -> dict[str, Any]:
    """All that an instance of a frozen class has by name, not just its fields."""
    names, values = (_struct_state if _is_struct(type(obj)) else read)(obj)
    attributes = dict(zip(names, values, strict=True))
    attributes.pop(_FIELDS_SET, None)
    return attributes


def _is_pydantic(cls: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)


# Empty instances


def _empty_like(obj: Any) -> Any:
    return _empty(type(obj))


def _empty(cls: type) -> Any:
    try:
        return object.__new__(cls)
    except TypeError as error:  # a part of it is in C, where it can't be seen
        raise Refused(f"hand it over with iso(x): {error}") from error


def _frozen_maker() -> Callable[[Any], Any]:
    """What makes empty instances of the frozen subclass of one class."""
    known: Callable[[], type | None] = lambda: None  # noqa: E731 # as a dead reference
    new = object.__new__

    def empty_frozen(obj: Any) -> Any:
        nonlocal known
        made = known()
        if made is None:
            made = _frozen_class(type(obj))
            known = ref(made)
        try:
            return new(made)
        except TypeError:
            return _empty(made)  # which says why not

    return empty_frozen


# pydantic models of frozen classes


class _GivenFields(set[str]):
    """The names of the fields that a frozen model was given: a set, because pydantic wants one, that stays as it is."""

    __slots__ = ()

    def _refuse(self, *_args: Any) -> NoReturn:
        raise TypeError("expected the fields that a frozen model was given to be only read")

    __iand__ = __ior__ = __isub__ = __ixor__ = _refuse
    add = discard = remove = pop = clear = update = _refuse
    difference_update = intersection_update = symmetric_difference_update = _refuse

    def __copy__(self) -> set[str]:
        return set(self)

    def __deepcopy__(self, _memo: Any) -> set[str]:
        return set(self)

    copy = __copy__

    def __reduce__(self) -> tuple[Any, ...]:
        return _GivenFields, (tuple(self),)


_made_here.add(_GivenFields)


def _fill_model(obj: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    given = (
        _GivenFields(value) if name == _FIELDS_SET else value
        for name, value in zip(names, values, strict=True)
    )
    fill(obj, names, tuple(given))


def _copy_model(self: Any, **arguments: Any) -> Any:
    """A frozen copy's `model_copy`, which makes a model that can be changed."""
    cls = self.__class__
    made = _empty(cls)
    names, values = read(self)
    slots = layout_of(cls).slots
    own: list[Any] = []
    for name, value in zip(names, values, strict=True):
        if name == _FIELDS_SET:
            own.append(set(value))
        else:
            own.append(dict(value) if name in slots and value else value)
    fill(made, names, tuple(own))
    return cls.model_copy(made, **arguments)


def _dump(method: str) -> Callable[..., Any]:
    """A frozen copy's `model_dump` or `model_dump_json`, which don't warn of a tuple where a list was expected."""

    def dump(self: Any, **arguments: Any) -> Any:
        arguments = {"warnings": False, "fallback": _thawed, **arguments}
        return getattr(self.__class__, method)(self, **arguments)

    return dump


def _thawed(obj: Any) -> Any:
    if isinstance(obj, FrozenDict):
        return dict(obj)
    raise TypeError(f"expected what pydantic can serialize, got a {type(obj).__qualname__}")


def _construct(cls: Any) -> Any:
    """A frozen copy's `model_construct`, which makes a model that can be changed."""

    def construct(_made: Any, *args: Any, **values: Any) -> Any:
        return cls.model_construct(*args, **values)

    return classmethod(construct)


def _given(self: Any) -> _GivenFields:
    cls = self.__class__
    return _GivenFields(layout_of(cls).slot(cls, _FIELDS_SET).__get__(self))


def _extra(self: Any) -> _Snapshot | None:
    cls = self.__class__
    extra = layout_of(cls).slot(cls, _EXTRA).__get__(self)
    return None if extra is None else _Snapshot(extra)


# msgspec structs


def _is_struct(cls: type) -> bool:
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and issubclass(cls, msgspec.Struct)


def _struct_state(obj: Any) -> State:
    names = tuple(name for name in obj.__struct_fields__ if hasattr(obj, name))
    values = tuple(getattr(obj, name) for name in names)
    attributes = dict_of(obj)
    return (*names, *attributes), (*values, *attributes.values())


def _empty_struct(obj: Any) -> Any:
    return _made(type(obj))


def _empty_frozen_struct(obj: Any) -> Any:
    # Its own `__copy__` may give the object itself.
    return sys.modules["msgspec"].Struct.__copy__(obj)


def _fill_struct(obj: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    set_field = sys.modules["msgspec"].structs.force_setattr
    fields = set(obj.__struct_fields__)
    for name, value in zip(names, values, strict=True):
        if name in fields:
            set_field(obj, name, value)
        else:
            dict_of(obj)[name] = value


# Frozen subclasses


class _Snapshot(dict[str, Any]):
    """The `__dict__` of a frozen copy: itself a copy, which says so to who tries to change it."""

    __slots__ = ()

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("expected the attributes of a frozen copy to be only read")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]  # narrower

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _frozen_class(cls: type) -> type:
    """The frozen subclass of a class. It lives while something uses it."""
    known = _frozen_classes.get(cls)
    made = known() if known is not None else None
    if made is None:
        try:
            made = _make_class(cls)
        except Exception as error:
            text = f"let {cls.__qualname__} have a subclass: {type(error).__name__}: {error}"
            raise Refused(text) from error
        _made_here.add(made)
        _frozen_classes[cls] = ref(made)
    return made


def _make_class(cls: type) -> type:
    def refuse(_self: Any, name: str, *_value: Any) -> NoReturn:
        raise FrozenInstanceError(f"{message}: {name!r}")

    def refuse_all(_self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise FrozenInstanceError(message)

    def same(self: Any, *_memo: Any) -> Any:
        return self

    def reduce(self: Any, _protocol: int = 0) -> tuple[Any, ...]:
        state = _struct_state(self) if is_struct else read(self)
        return _made, (cls,), state, None, None, _restore

    def attributes(self: Any) -> _Snapshot:
        return _Snapshot(dict_of(self))

    message = f"expected a {cls.__qualname__} that can change, got a frozen one"
    is_struct = _is_struct(cls)
    namespace: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__setattr__": refuse,
        "__delattr__": refuse,
        "__setstate__": refuse_all,
        "__copy__": same,
        "__deepcopy__": same,
        "__reduce__": reduce,
        "__reduce_ex__": reduce,
    }
    if cls.__dictoffset__ != 0:
        namespace["__dict__"] = property(attributes)
    for name in layout_of(cls).cached:
        namespace[name] = property(layout_of(cls).function_of(cls, name))
    if is_struct:
        # Made by its own constructor, and filled later.
        namespace["__post_init__"] = lambda _self: None
        del namespace["__setattr__"], namespace["__delattr__"]
        keywords = {"frozen": True}
        return types.new_class(cls.__name__, (cls,), keywords, lambda body: body.update(namespace))
    namespace |= {
        "__slots__": (),
        "__init__": refuse_all,
        "__class__": property(lambda _self: cls),
    }
    hashed = _hashed(cls)
    if hashed is not None:
        namespace["__hash__"] = lambda self: hash(tuple(getattr(self, name) for name in hashed))
    if _is_pydantic(cls):
        namespace["model_copy"] = _copy_model
        namespace["model_construct"] = _construct(cls)
        namespace[_FIELDS_SET] = property(_given)
        namespace["model_dump"] = _dump("model_dump")
        namespace["model_dump_json"] = _dump("model_dump_json")
        if isinstance(getattr(cls, _EXTRA), types.MemberDescriptorType):
            namespace[_EXTRA] = property(_extra)
        # Not by pydantic, which would build the schema of the class again: it inherits that.
        return abc.ABCMeta.__new__(type(cls), cls.__name__, (cls,), namespace)
    return types.new_class(cls.__name__, (cls,), exec_body=lambda body: body.update(namespace))


def _hashed(cls: Any) -> list[str] | None:
    """The fields to hash, if a class has no hash because it can change.

    Not if its equality isn't that of the library: a hash could contradict it.
    """
    if cls.__hash__ is not None:
        return None
    code = getattr(cls.__eq__, "__code__", None)
    if dataclasses.is_dataclass(cls):
        if code is None or not code.co_qualname.startswith("__create_fn__"):
            return None
        return [
            f.name for f in dataclasses.fields(cls) if (f.compare if f.hash is None else f.hash)
        ]
    if _is_pydantic(cls):
        return list(cls.model_fields) if cls.__eq__.__module__.startswith("pydantic.") else None
    if code is None or not code.co_filename.startswith("<attrs generated"):
        return None
    return [a.name for a in cls.__attrs_attrs__ if (a.eq if a.hash is None else a.hash)]


def _made(cls: Any) -> Any:
    """An empty frozen copy, which a pickle fills by `_restore`."""
    made = _frozen_class(cls)
    return made(**dict.fromkeys(cls.__struct_fields__)) if _is_struct(cls) else _empty(made)


def _restore(obj: Any, state: State) -> None:
    if not _is_struct(type(obj)) and read(obj)[0]:
        raise FrozenInstanceError(
            f"expected an empty {type(obj).__qualname__} to fill, got one that is filled"
        )
    (_fill_struct if _is_struct(type(obj)) else fill)(obj, *state)
