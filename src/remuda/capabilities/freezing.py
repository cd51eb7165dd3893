"""`freeze`: an immutable copy of nearly anything.

The kernel freezes what is made of the interpreter's own containers alone, and tells at a glance what is immutable. The
walk here takes the rest apart level by level, hands the parts of each to the kernel, and looks at those that it leaves.

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

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar, overload

from remuda import _kernel
from remuda._kernel import FrozenDict, Val
from remuda.capabilities.arrays import freeze_array, is_alone, is_dict_alone
from remuda.capabilities.plans import Container, known_plans, of_holder, plan_of
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
    frozen = _kernel._freeze_plain(obj)
    if frozen is not None:
        return frozen
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
    try:
        return _Walk(deferred=False).freeze(holder)
    except _Again:
        return _Walk(deferred=True).freeze(holder)


class _Again(Exception):
    """The walk has to be done again, deferred."""


class _Frame:
    """An object that the walk is in.

    Attributes:
        obj: The object.
        plan: How it is frozen.
        parts: What it consists of.
        names: For a record, what its attributes are called.
        rest: At which places there are parts that are still to be looked at.
        done: The parts, frozen as far as the walk is; None if none had to be changed.
        parent: The frame of what it was found in, None for the outermost; and `index` where in that.
        copy: For a record, its copy, which is empty or unfinished.
        trusted: Whether something inside was given the object itself, in the hope that it is frozen.
        alone: Whether nobody else has the object, and so the ways to its parts that are known are all; None if that
            isn't known yet.
    """

    __slots__ = (
        "alone",
        "copy",
        "done",
        "index",
        "names",
        "obj",
        "parent",
        "parts",
        "plan",
        "rest",
        "trusted",
    )

    def __init__(
        self,
        obj: Any,
        plan: Container | Record,
        parts: Any,
        done: Any,
        rest: Iterable[int],
        parent: _Frame | None,
        index: int,
        names: tuple[str, ...] = (),
        copy: Any = None,
    ) -> None:
        self.obj = obj
        self.plan = plan
        self.parts = parts
        self.names = names
        self.rest = iter(rest)
        self.done: list[Any] | None = None if done is parts else [*done]
        self.parent: Any = parent
        self.index = index
        self.copy = copy
        self.trusted = False
        self.alone: bool | None = None

    def put(self, index: int, result: Any) -> None:
        """Note what has become of a part."""
        if result is not self.parts[index]:
            if self.done is None:
                self.done = [*self.parts]
            self.done[index] = result

    def is_part_alone(self, index: int) -> bool:
        """Whether nobody else has a part: it must be in no variable."""
        frames: list[_Frame] = []
        frame = self
        while frame.alone is None:
            frames.append(frame)
            frame = frame.parent  # until the outermost, which is alone
        while frames:
            inner = frames.pop()
            inner.alone = frame.alone and inner.is_alone_in(frame)
            frame = inner
        return bool(self.alone) and is_alone(self.parts, index, self.holders())

    def is_alone_in(self, parent: _Frame) -> bool:
        """Whether nobody else has the object, if that is so of what it was found in."""
        holders = parent.holders() + 2  # this frame, and the memo
        if isinstance(self.plan, Record):
            owns = is_dict_alone(self.obj)
        else:
            holders += self.parts is self.obj
            owns = self.plan.owns
        return owns and is_alone(parent.parts, self.index, holders)

    def holders(self) -> int:
        """How many containers are known to have each part: the object, and what is here."""
        return 1 + (self.parts is not self.obj) + (self.done is not None)


class _Walk:
    __slots__ = ("deferred", "memo", "owners", "records")

    def __init__(self, deferred: bool) -> None:
        self.deferred = deferred
        self.memo = _kernel._Memo()
        # Arrays whose memory was taken: what is left of the original, a `__del__`, mustn't write it.
        self.owners: list[Any] = []
        self.records: list[_Frame] = []

    def freeze(self, holder: list[Any]) -> Any:
        outermost = _Frame(holder, of_holder, holder, holder, (0,), None, 0)
        outermost.alone = True
        self.walk(outermost)
        for frame in self.records:  # which grow meanwhile
            self.walk(frame)
            self.leave(frame)
        for owner in self.owners:
            owner.flags.writeable = False
        return holder[0] if outermost.done is None else outermost.done[0]

    def walk(self, outermost: _Frame) -> None:
        """Freeze the parts of a frame."""
        get = self.memo.get
        frame = outermost
        while True:
            for index in frame.rest:
                result = get(frame.parts[index])
                if result is None:
                    result = self.enter(frame, index)
                    if type(result) is _Frame:
                        frame = result
                        break
                elif type(result) is _Frame:
                    result = self.meet(result, frame, index)
                frame.put(index, result)
            else:
                if frame is outermost:
                    return
                result = self.leave(frame)
                index = frame.index
                frame = frame.parent
                frame.put(index, result)

    def enter(self, parent: _Frame, index: int) -> Any:
        """Freeze a part of what the walk is in, or give the frame to go on with."""
        obj = parent.parts[index]
        try:
            plan = known_plans.get(id(type(obj))) or plan_of(type(obj))
            if isinstance(plan, Container):
                parts = plan.parts(obj)
                done, rest = self.memo.freeze_in(parts)
                if rest:
                    frame = _Frame(obj, plan, parts, done, rest, parent, index)
                    self.memo.enter(obj, frame)
                    return frame
                result = obj if plan.immutable and done is parts else plan.build(obj, done)
            elif isinstance(plan, Record):
                names, parts = plan.state(obj)
                done, rest = self.memo.freeze_in(parts)
                if rest:
                    copy = plan.empty(obj) if self.deferred or not plan.immutable else None
                    frame = _Frame(obj, plan, parts, done, rest, parent, index, names, copy)
                    return self.go_into(frame)
                if plan.immutable and done is parts:
                    return obj
                result = plan.empty(obj)
                plan.fill(result, names, done)
            else:
                result = plan.freeze(obj)
                if plan.is_array:
                    result = obj = None
                    owners = self.owners if parent.is_part_alone(index) else None
                    result = freeze_array(parent.parts[index], owners)
                    obj = parent.parts[index]
                if result is obj:
                    return obj
        except Refused as refused:
            if _is_immutable(obj):
                return obj
            raise _refusal(obj, _path(parent, index), str(refused)) from refused.__cause__
        except Exception as error:
            raise _failure(obj, _path(parent, index), error) from error
        self.memo.put(obj, result)
        return result

    def go_into(self, frame: _Frame) -> Any:
        """Go on with the attributes of a record, now or later."""
        if frame.copy is None:
            self.memo.enter(frame.obj, frame)
            return frame
        self.memo.put(frame.obj, frame.copy)
        if not self.deferred:
            return frame
        frame.alone = False
        self.records.append(frame)
        return frame.copy

    def leave(self, frame: _Frame) -> Any:
        """Make the frozen object of the frozen parts."""
        obj, plan = frame.obj, frame.plan
        try:
            if frame.copy is None and frame.done is None and plan.immutable:
                result = obj
            elif isinstance(plan, Record):
                result = plan.empty(obj) if frame.copy is None else frame.copy
                plan.fill(result, frame.names, tuple(frame.done or frame.parts))
            else:
                result = plan.build(obj, tuple(frame.done or frame.parts))
        except Refused as refused:
            path = _path(frame.parent, frame.index)
            raise _refusal(obj, path, str(refused)) from refused.__cause__
        except Exception as error:
            raise _failure(obj, _path(frame.parent, frame.index), error) from error
        if frame.trusted and result is not obj:
            raise _Again
        self.memo.put(obj, result)
        return result

    def meet(self, frame: _Frame, parent: _Frame, index: int) -> Any:
        """Close a cycle: a part is an object that the walk is in."""
        obj = frame.obj
        if not self.deferred:
            if frame.plan.immutable:
                frame.trusted = True
                return obj
            between: _Frame | None = parent
            while between is not None and between is not frame:
                if isinstance(between.plan, Record):
                    raise _Again
                between = between.parent
        path, start = _path(parent, index), _path(frame.parent, frame.index)
        text = (
            f"expected containers that don't contain themselves, got a {_name(type(obj))} that does: "
            f"{_shortened(path)} is {_shortened(start)}; make one of them a dataclass, or send it with iso(x)"
        )
        raise NotSendable(text, obj, path)


def _is_immutable(obj: Any) -> bool:
    """Whether something that has no plan of its own may be kept, because it can be sent as it is."""
    try:
        Val(obj)
    except (NotSendable, TypeError):  # a handle
        return False
    return True


def _path(frame: _Frame | None, index: int) -> str:
    """An expression for one of a frame's parts."""
    before, after = [], []
    while frame is not None and frame.parent is not None:
        if isinstance(frame.plan, Record):
            left, right = "", f".{frame.names[index]}"
        else:
            left, right = frame.plan.label(frame.obj, frame.parts, index)
        before.append(left)
        after.append(right)
        index, frame = frame.index, frame.parent
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


def _failure(obj: Any, path: str, error: Exception) -> NotSendable:
    return _refusal(obj, path, f"it could not be copied: {type(error).__name__}: {error}")
