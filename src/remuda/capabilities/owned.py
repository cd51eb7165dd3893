"""What stays with the agent that made it: `ref`, `trn`, and `box`, a view for reading."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, overload

from remuda import _kernel
from remuda.capabilities.freezing import freeze_held
from remuda.capabilities.rules import is_handle, register_handle
from remuda.errors import CapabilityError, MovedError, WrongOwner

__all__ = ["Box", "Ref", "Tracked", "Trn", "box", "ref", "trn"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Thread:
    """A thread that runs neither an agent nor a task. Its number isn't enough: the next thread may get the same."""

    __slots__ = ("__weakref__", "number")

    def __init__(self) -> None:
        self.number = threading.get_ident()


_here = threading.local()


def _thread() -> _Thread:
    try:
        thread: _Thread = _here.thread
    except AttributeError:
        thread = _here.thread = _Thread()
    return thread


def _current() -> Any:
    """Who runs here: the agent or task, or the thread where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return _thread() if task is None else task


def _nobody() -> None:
    return None


class _Owner:
    """Who made a handle."""

    __slots__ = ("_name", "_unborn", "_who")

    def __init__(self) -> None:
        # What an agent's class makes while it is constructed is the agent's, which doesn't exist yet.
        self._unborn = _kernel._await_birth(self)
        self._set(_thread() if self._unborn else _current())

    def _set(self, who: Any) -> None:
        self._who: Callable[[], Any] = weakref.ref(who)
        self._name = _name(who)

    def _born(self, agent: Any) -> None:
        """The kernel calls it before the agent runs for the first time, or with None if there will be no agent."""
        self._unborn = False
        if agent is None:
            self._who, self._name = _nobody, "an agent that never came to be"
        else:
            self._set(agent)

    def check(self, handle: str) -> None:
        """Raises `WrongOwner` unless the owner runs."""
        who = _thread() if self._unborn else _current()
        if self._who() is not who:
            raise WrongOwner(
                f"expected {self._name}, which made this {handle}, to use it, but {_name(who)} does: "
                "send what it is about as a message, or make it an iso and give it away"
            )


def _name(who: Any) -> str:
    if isinstance(who, _Thread):
        return f"thread {who.number}"
    kind = "agent" if isinstance(who, _kernel.AgentRef) else "task"
    return f"{kind} {who.get_name()}"


class _Owned(Generic[T]):
    """A handle that is of use to its owner only."""

    __slots__ = ("__weakref__", "_object", "_owner")
    _called = "handle"

    def __init__(self, value: T, /) -> None:
        if is_handle(value):
            raise TypeError(
                f"expected a bare object for {self._called}, got a handle of type {type(value).__name__}"
            )
        if hasattr(self, "_owner"):
            raise TypeError(f"expected a new {self._called} to be made, not this one again")
        self._owner = _Owner()
        self._object = value

    @property
    def value(self) -> T:
        """The object.

        Raises:
            WrongOwner: Another agent, task or thread asks for it.
        """
        self._owner.check(self._called)
        return self._object

    @value.setter
    def value(self, new: T) -> None:
        self._owner.check(self._called)
        self._object = new

    # Only so that type checkers see, as for a list, that it can't be sent.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __copy__(self) -> NoReturn:
        raise CapabilityError(f"expected a {self._called} to stay where it is, not to be copied")

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__copy__()

    def __reduce__(self) -> NoReturn:
        self.__copy__()

    def __repr__(self) -> str:
        try:
            return f"{self._called}({self.value!r})"
        except CapabilityError:
            return f"<{self._called} of another>"


@register_handle
class Ref(_Owned[T]):
    """Keeps a mutable object with the agent (or task, or thread) that made it: nobody else can get at it.

    It can't be sent. An agent's state that is kept in one is safe from being shared by mistake.

    Args:
        value: The object.

    Raises:
        TypeError: It is a handle already.
    """

    __slots__ = ()
    _called = "ref"


Tracked = Ref


@register_handle
class Trn(_Owned[T]):
    """A mutable object that only its owner writes, and that will be a val: `share()` freezes it."""

    __slots__ = ("_gone",)
    _called = "trn"

    def __init__(self, value: T, /) -> None:
        super().__init__(value)
        self._gone = False

    @property
    def value(self) -> T:
        """The object.

        Raises:
            WrongOwner: Another agent, task or thread asks for it.
            MovedError: It was consumed or shared.
        """
        self._owner.check(self._called)
        self._check_here()
        return self._object

    @value.setter
    def value(self, new: T) -> None:
        self._owner.check(self._called)
        self._check_here()
        self._object = new

    def _check_here(self) -> None:
        if self._gone:
            raise MovedError(
                "expected a trn that still holds its object, but this one was given away"
            )

    def _give_away(self) -> T:
        value, self._gone = self.value, True
        del self._object
        return value

    def _consume(self) -> Trn[T]:
        return Trn(self._give_away())

    def share(self) -> _kernel.Val[Any]:
        """Freezes the object, and empties this handle.

        Returns:
            The val.

        Raises:
            NotSendable: Something in it can't be frozen; it stays.
        """
        holder = [self._give_away()]
        try:
            return _kernel.val(freeze_held(holder))
        except BaseException:
            self._object, self._gone = holder[0], False
            raise

    def box(self) -> Box[T]:
        """A view for reading."""
        return Box(self.value)


@register_handle
class Box(Generic[T_co]):
    """A view of an object for reading: attributes, items, length, iteration; what is mutable comes as a box again.

    An iso in it comes as a tag: only who may change the object can take the iso out. Methods can't be called through
    it, because nobody knows what they change.

    Args:
        value: The object.

    Raises:
        TypeError: It is a handle: `box(x)` makes a view of what is in a ref, trn or val.
    """

    __slots__ = ("__weakref__", "_object", "_owner")
    _object: Any

    def __init__(self, value: T_co, /) -> None:
        if is_handle(value):
            raise TypeError(
                f"expected a bare object for box, got a handle of type {type(value).__name__}"
            )
        with contextlib.suppress(AttributeError):
            object.__getattribute__(self, "_owner")
            raise TypeError("expected a new box to be made, not this one again")
        object.__setattr__(self, "_owner", _Owner())
        object.__setattr__(self, "_object", value)

    def _seen(self) -> Any:
        self._owner.check("box")
        return self._object

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._seen(), name)
        if isinstance(found, types.MethodType | types.BuiltinMethodType | types.MethodWrapperType):
            raise CapabilityError(
                f"expected to read through a box, not to call {name}: it may change the object"
            )
        return _viewed(found)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise CapabilityError(f"expected to read through a box, not to assign {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise CapabilityError(f"expected to read through a box, not to delete {name}")

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise CapabilityError(f"expected to read through a box, not to assign item {key!r}")

    def __delitem__(self, key: object) -> NoReturn:
        raise CapabilityError(f"expected to read through a box, not to delete item {key!r}")

    def __getitem__(self, key: Any) -> Any:
        seen = self._seen()
        if isinstance(seen, dict) and key not in seen:
            raise KeyError(key)  # a defaultdict would make it
        return _viewed(seen[key])

    def __len__(self) -> int:
        return len(self._seen())

    def __bool__(self) -> bool:
        return bool(self._seen())

    def __contains__(self, item: object) -> bool:
        self._refuse_iterator()
        return item in self._seen()

    def __iter__(self) -> Iterator[Any]:
        self._refuse_iterator()
        return (_viewed(item) for item in self._seen())

    def _refuse_iterator(self) -> None:
        if isinstance(self._seen(), Iterator):
            raise CapabilityError(
                "expected to read through a box, not to take items from an iterator"
            )

    def __eq__(self, other: object) -> bool:
        return bool(self._seen() == (other._seen() if isinstance(other, Box) else other))

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as what it shows: mutable

    def __copy__(self) -> NoReturn:
        raise CapabilityError(
            "expected a box to stay where it is, not to be copied: freeze(x) makes a copy"
        )

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__copy__()

    def __reduce__(self) -> NoReturn:
        self.__copy__()

    def __repr__(self) -> str:
        try:
            return f"box({self._seen()!r})"
        except WrongOwner:
            return "<box of another>"


def _viewed(value: Any) -> Any:
    """What is read through a box: never a way to change, or to take out, what is in it."""
    if isinstance(value, _kernel.Iso):
        return _kernel.Tag(value.value)
    if isinstance(value, Trn | Ref):
        return Box(value.value)
    return value if _kernel.is_sendable(value) or isinstance(value, Box) else Box(value)


def ref(value: T, /) -> Ref[T]:
    """Keeps an object with the agent that runs this: see `Ref`."""
    return Ref(value)


def trn(value: T, /) -> Trn[T]:
    """Keeps an object that is being made, to be a val in the end: see `Trn`."""
    return Trn(value)


@overload
def box(value: Trn[T] | Ref[T] | _kernel.Val[T] | Box[T], /) -> Box[T]: ...
@overload
def box(value: T, /) -> Box[T]: ...
def box(value: Any, /) -> Box[Any]:
    """A view for reading of an object, or of what a ref, trn, val or another box has: see `Box`."""
    if isinstance(value, Box):
        return Box(value._seen())
    return Box(value.value if isinstance(value, Trn | Ref | _kernel.Val) else value)
