"""`freeze`: an immutable copy of nearly anything.

The walk keeps its own stack, so that depth is no matter. It goes depth first; what has been frozen is remembered by
identity, so that what was shared stays shared. A cycle is met in one of three ways:

    through a mutable record        its empty copy was made before its attributes are frozen, and is referred to
    through something immutable     it is taken to be frozen all through, and to stay the object that it is
    through a mutable container     its tuple can't be had before the walk is through with it

If the second turns out wrong, or the third has a record on the way round, the walk is done again *deferred*: every
record is then copied, and its attributes are frozen after everything else. Then only a cycle of containers is left, and
that is an error.
"""

from __future__ import annotations

import contextlib
import operator
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar, overload

from remuda._kernel import FrozenDict, Val
from remuda.capabilities.arrays import freeze_array, is_alone, is_dict_alone
from remuda.capabilities.plans import BUILTIN, Container, Leaf, Plan, plan_of
from remuda.capabilities.records import Record, Refused
from remuda.capabilities.rules import ATOMS
from remuda.errors import NotSendable

__all__ = ["freeze", "freeze_held"]

_T = TypeVar("_T")
_K = TypeVar("_K")
_H = TypeVar("_H", bound=Hashable)

# A path in a message is cut in the middle from this length on.
_LONG_PATH = 200


# What can't be hashed is frozen to something else, within as without: of the contents the type is lost then.
@overload
def freeze(obj: list[_H] | deque[_H], /) -> tuple[_H, ...]: ...
@overload
def freeze(obj: list[Any] | deque[Any], /) -> tuple[Any, ...]: ...
@overload
def freeze(obj: dict[_K, _H], /) -> FrozenDict[_K, _H]: ...
@overload
def freeze(obj: dict[_K, Any], /) -> FrozenDict[_K, Any]: ...
@overload
def freeze(obj: set[_T], /) -> frozenset[_T]: ...
@overload
def freeze(obj: bytearray | memoryview, /) -> bytes: ...
@overload
def freeze(obj: _T, /) -> _T: ...
def freeze(obj: Any, /) -> Any:
    """Give an immutable copy, or the object itself if it is immutable all through.

    Lists and deques become tuples, dicts `FrozenDict`, sets frozensets, bytearrays and memoryviews bytes, and numpy
    arrays read-only ones. Instances of dataclasses, attrs classes, msgspec structs and pydantic models are copied:
    those of a frozen class to the same class, others to a frozen subclass of theirs, so that `isinstance` and methods
    work and assignments raise. What was shared stays shared. Functions of modules, classes, enum members and references
    to agents stay what they are.

    An array that nobody else has, as one that is made in the call, alone or in new containers, keeps its memory,
    however large it is. Any other is copied, and so is one that was only set to be read: its owner could write it
    again. Without a GIL that can't be told, and all arrays are copied.

    What reaches around Python's rules reaches into frozen objects as well: `object.__setattr__`, `vars`, `__init__` and
    `__setstate__` of instances whose class was frozen by its author, the functions of `gc`. Of a frozen array the data
    stays, but it can be made to look different by assigning its `shape`, `strides` or `dtype`.

    Args:
        obj: What to freeze; it is not changed.

    Returns:
        The frozen object. To freeze it again gives it back.

    Raises:
        NotSendable: If something inside can't be frozen (a file, a lock, a generator, an instance of a class that may
            change in its own ways), or if lists, dicts and sets contain themselves. It says where that is.

    Example:
        >>> from remuda import freeze
        >>> freeze({"primes": [2, 3, 5]})
        FrozenDict({'primes': (2, 3, 5)})
    """
    if type(obj) in ATOMS:
        return obj
    holder = [obj]
    del obj
    return freeze_held(holder)


def freeze_held(holder: list[Any], /) -> Any:
    """Freezes the only item of a list; what nobody but the list has is taken apart, unless it can't be frozen.

    Args:
        holder: The list, which keeps the item.

    Returns:
        The frozen object.

    Raises:
        NotSendable: As `freeze`.
    """
    with contextlib.suppress(_Again):
        return _Walk(deferred=False).freeze(holder)
    return _Walk(deferred=True).freeze(holder)


class _Again(Exception):
    """The walk has to be done again, deferred."""


class _Later:
    """What `enter` returns for an object that is frozen when its parts are."""


class _Frame:
    """An object that the walk is in.

    Attributes:
        obj: The object.
        plan: How it is frozen.
        names: For a record, what its attributes are called.
        parts: What it consists of.
        done: The frozen parts, as far as they are.
        parent: The frame of what it was found in, and `at` which part of that it is.
        copy: For a record, its copy, which is empty or unfinished.
        trusted: Whether something inside was given the object itself, in the hope that it is frozen.
        alone: Whether nobody else has the object, and so the ways to its parts that are known are all.
    """

    __slots__ = (
        "alone",
        "at",
        "copy",
        "done",
        "names",
        "obj",
        "parent",
        "parts",
        "plan",
        "trusted",
    )

    def __init__(
        self,
        obj: Any,
        plan: Container | Record,
        names: tuple[str, ...],
        parts: tuple[Any, ...],
        parent: _Frame | None,
    ) -> None:
        self.obj = obj
        self.plan = plan
        self.names = names
        self.parts = parts
        self.done: list[Any] = []
        self.parent = parent
        self.at = 0 if parent is None else len(parent.done)
        self.copy: Any = None
        self.trusted = False
        self.alone = False

    def is_part_alone(self, index: int) -> bool:
        """Whether nobody else has a part: it must be in no variable."""
        return self.alone and is_alone(self.parts, index, 1 if self.parts is self.obj else 2)


class _Walk:
    def __init__(self, deferred: bool) -> None:
        self.deferred = deferred
        # Of the object that is entered next.
        self.alone = False
        # Arrays whose memory was taken: what is left of the original, a `__del__`, mustn't write it.
        self.owners: list[Any] = []
        self.frozen: dict[int, Any] = {}
        # What an identity in `frozen` stands for must not go before the walk ends.
        self.kept: list[Any] = []
        self.within: dict[int, _Frame] = {}
        self.records: deque[_Frame] = deque()
        self.plans: dict[type, Plan] = {}

    def freeze(self, holder: list[Any]) -> Any:
        self.alone = is_alone(holder, 0, 1)
        result = self.walk(holder[0], None)
        while self.records:
            frame = self.records.popleft()
            for part in frame.parts:
                self.alone = False
                frame.done.append(self.walk(part, frame))
            self.leave(frame, frame.done)
        for owner in self.owners:
            owner.flags.writeable = False
        return result

    def walk(self, root: Any, parent: _Frame | None) -> Any:
        stack: list[_Frame] = []
        result = self.enter(root, parent, stack)
        while stack:
            frame = stack[-1]
            parts, done = frame.parts, frame.done
            if result is not _Later:
                done.append(result)
            for index in range(len(done), len(parts)):
                if type(parts[index]) in ATOMS:
                    done.append(parts[index])
                    continue
                result = None
                self.alone = frame.is_part_alone(index)
                result = self.enter(parts[index], frame, stack)
                if result is _Later:
                    break
                done.append(result)
            else:
                stack.pop()
                result = self.leave(frame, frame.done)
        return result

    def enter(self, obj: Any, parent: _Frame | None, stack: list[_Frame]) -> Any:
        """Freeze what can be frozen at once, or put it on the stack."""
        cls = type(obj)
        if cls in ATOMS:
            return obj
        key = id(obj)
        if key in self.frozen:
            return self.frozen[key]
        if key in self.within:
            return self.meet(self.within[key], obj, parent)
        try:
            plan = BUILTIN.get(cls) or self.plans.get(cls)
            if plan is None:
                plan = self.plans[cls] = plan_of(cls)
            if isinstance(plan, Container):
                snapshot = plan.snapshot(obj)
                parts = plan.parts(snapshot)
                if ATOMS.issuperset(map(type, parts)):
                    self.remember(obj, snapshot)
                    return snapshot
                frame = _Frame(obj, plan, (), parts, parent)
                frame.alone = self.alone and plan.owns
            elif isinstance(plan, Leaf):
                result = plan.freeze(obj)
                if plan.is_array:
                    result = None
                    result = freeze_array(obj, self.owners if self.alone else None)
                if result is not obj:
                    self.remember(obj, result)
                return result
            else:
                names, parts = plan.state(obj)
                frame = _Frame(obj, plan, names, parts, parent)
                frame.alone = self.alone and is_dict_alone(obj)
                if self.deferred or not plan.immutable:
                    frame.copy = plan.empty(obj)
        except Refused as refused:
            if _is_immutable(obj):
                return obj
            raise _refusal(obj, _path(parent), str(refused)) from refused.__cause__
        except Exception as error:
            text = f"it could not be looked into: {type(error).__name__}: {error}"
            raise _refusal(obj, _path(parent), text) from error
        if frame.copy is not None:
            self.remember(obj, frame.copy)
            if self.deferred:
                self.records.append(frame)
                return frame.copy
        if ATOMS.issuperset(map(type, parts)):
            return self.leave(frame, parts)
        if frame.copy is None:
            self.within[key] = frame
        stack.append(frame)
        return _Later

    def leave(self, frame: _Frame, done: Sequence[Any]) -> Any:
        """Make the frozen object of the frozen parts."""
        obj, plan = frame.obj, frame.plan
        same = done is frame.parts or all(map(operator.is_, frame.parts, done))
        try:
            if frame.copy is None and same and plan.immutable:
                result = obj
            elif isinstance(plan, Record):
                result = plan.empty(obj) if frame.copy is None else frame.copy
                plan.fill(result, frame.names, tuple(done))
            else:
                result = plan.build(obj, tuple(done))
        except Refused as refused:
            raise _refusal(obj, _path(frame.parent, frame.at), str(refused)) from refused.__cause__
        except Exception as error:
            text = f"its frozen copy could not be made: {type(error).__name__}: {error}"
            raise _refusal(obj, _path(frame.parent, frame.at), text) from error
        if frame.trusted and result is not obj:
            raise _Again
        self.within.pop(id(obj), None)
        self.remember(obj, result)
        return result

    def meet(self, frame: _Frame, obj: Any, parent: _Frame | None) -> Any:
        """Close a cycle: the object is one that the walk is in."""
        if not self.deferred:
            if frame.plan.immutable:
                frame.trusted = True
                return obj
            between = parent
            while between is not None and between is not frame:
                if isinstance(between.plan, Record):
                    raise _Again
                between = between.parent
        path, start = _path(parent), _path(frame.parent, frame.at)
        text = (
            f"expected containers that don't contain themselves, got a {_name(type(obj))} that does: "
            f"{_shortened(path)} is {_shortened(start)}; make one of them a dataclass, or send it with iso(x)"
        )
        raise NotSendable(text, obj, path)

    def remember(self, obj: Any, result: Any) -> None:
        self.frozen[id(obj)] = result
        self.kept.append(obj)


def _is_immutable(obj: Any) -> bool:
    """Whether something that has no plan of its own may be kept, because it can be sent as it is."""
    try:
        Val(obj)
    except (NotSendable, TypeError):  # a handle
        return False
    return True


def _path(frame: _Frame | None, at: int | None = None) -> str:
    """An expression for one of a frame's parts, or for that which the walk has come to."""
    before, after = [], []
    if at is None and frame is not None:
        at = len(frame.done)
    while frame is not None and at is not None:
        if isinstance(frame.plan, Record):
            left, right = "", f".{frame.names[at]}"
        else:
            left, right = frame.plan.label(frame.obj, frame.parts, at)
        before.append(left)
        after.append(right)
        at, frame = frame.at, frame.parent
    return "".join(before) + "obj" + "".join(reversed(after))


def _shortened(path: str) -> str:
    if len(path) <= _LONG_PATH:
        return path
    return f"{path[: _LONG_PATH // 2]} ... {path[-_LONG_PATH // 2 :]}"


def _name(cls: type) -> str:
    module = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return f"{module}{cls.__qualname__}"


def _refusal(obj: Any, path: str, advice: str) -> NotSendable:
    text = f"expected what can be frozen, got a {_name(type(obj))} at {_shortened(path)}: {advice}"
    return NotSendable(text, obj, path)
