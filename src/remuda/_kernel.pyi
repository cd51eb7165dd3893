"""The compiled part of Remuda. Use it through `remuda`."""

import asyncio
from asyncio import AbstractEventLoop, CancelledError
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Hashable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from contextvars import Context
from types import CoroutineType, FrameType, GenericAlias, TracebackType
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    TypeVarTuple,
    final,
    overload,
    type_check_only,
)

from typing_extensions import disjoint_base

from remuda.scheduling import Priority
from remuda.statistics import ChannelStatistics, MailboxStatistics, Overflow

__all__ = [
    "AgentRef",
    "Ask",
    "Blocking",
    "Channel",
    "ChannelReceive",
    "ChannelSend",
    "Completion",
    "FrozenDict",
    "Future",
    "Holding",
    "Iso",
    "LeaseTable",
    "Mailbox",
    "Receive",
    "Receiver",
    "Request",
    "Resolver",
    "Runtime",
    "Select",
    "Send",
    "Sender",
    "ShardMap",
    "Tag",
    "Unchecked",
    "Val",
    "Waiting",
    "__version__",
    "await_future",
    "blocking",
    "channel",
    "consume",
    "current_agent",
    "current_runtime",
    "is_sendable",
    "iso",
    "prove_isolated",
    "select",
    "signal",
    "spawn",
    "unchecked",
    "val",
]

__version__: str

_A1 = TypeVar("_A1")
_A2 = TypeVar("_A2")
_A3 = TypeVar("_A3")
_D = TypeVar("_D")
_H = TypeVar("_H", bound=Hashable)
_Held = TypeVar("_Held", bound=Holding)
_K = TypeVar("_K")
_K2 = TypeVar("_K2")
_M = TypeVar("_M")
_M_contra = TypeVar("_M_contra", contravariant=True)
_M_co = TypeVar("_M_co", covariant=True)
_Q = TypeVar("_Q")
_R = TypeVar("_R")
_R_contra = TypeVar("_R_contra", contravariant=True)
_Shard = TypeVar("_Shard", bound=str | bytes | int | AgentRef[Any])
_S_contra = TypeVar("_S_contra", contravariant=True)
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_T_contra = TypeVar("_T_contra", contravariant=True)
_Ts = TypeVarTuple("_Ts")
_V2 = TypeVar("_V2")
_V_co = TypeVar("_V_co", covariant=True)

@type_check_only
class Receives(Protocol[_M_contra]):
    """An object that can be an agent: its `receive` is called for each message."""

    def receive(self, message: _M_contra, /) -> Any: ...

_Shareable: TypeAlias = Hashable | type[Any]
"""What may be sent bare, as far as a type tells: what is mutable can't be hashed. (To mypy no class is `Hashable`.)"""

# A message must be of the agent's type, and shareable. `self: AgentRef[_H]` doesn't say that, whatever the bound
# of _H: both checkers forget it where the agent takes Any, and mypy where it takes a union. So what takes messages has
# two parameters, the type of its messages and `_Shareable`, and `self: _Takes[_H, _H]` makes _H the meet of the two.
# The bound is for pyright: by it, it finds the shareable member of a union.
@type_check_only
class _Takes(Generic[_M_contra, _S_contra]):
    """What takes messages."""

@type_check_only
class _AgentTakes(_Takes[_M_contra, _S_contra]):
    """An agent, for functions that take no other."""

@type_check_only
class _Awaited:
    """What all of the kernel's awaitables have."""

    def __iter__(self) -> Any: ...
    def __next__(self) -> Any: ...
    def throw(
        self, kind: Any, value: Any = None, traceback: TracebackType | None = None, /
    ) -> None: ...
    def close(self) -> None: ...

@final
class Send(_Awaited):
    """What `agent.send(message)` returns: await it to send the message."""

    def __await__(self) -> Generator[Any, Any]: ...
    @property
    def _sent(self) -> bool: ...

@final
class Ask(_Awaited):
    """What `agent.ask(message)` returns: await it to send the message and get the answer."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
    @property
    def _expired(self) -> bool: ...
    def _expire(self) -> None: ...

@final
class Completion(_Awaited):
    """What awaiting an agent, or the stop of one, iterates over."""

    def __await__(self) -> Generator[Any, Any, Any]: ...

@final
class Receive(_Awaited):
    """What `mailbox.recv()` returns: await it for the next message."""

    def __await__(self) -> Generator[Any, Any, Any]: ...

@final
class Waiting(_Awaited):
    """What awaiting a future iterates over."""

    def __await__(self) -> Generator[Any, Any, Any]: ...

@final
class Future(Generic[_T_co]):
    """The side of `await_future()` that waits: await it, in any agent, task, loop and thread, as often as you like.

    The value is one object for all who await it, so it must be shareable; an iso goes to the first of them. Other than
    an `asyncio.Future` it belongs to no event loop, and nobody can cancel it: a waiter that is cancelled leaves the
    others alone. `asyncio.wait`, `gather`, `wait_for`, `shield` and `timeout` take it.
    """

    def done(self) -> bool:
        """Whether it has a result or an exception."""

    def cancelled(self) -> bool:
        """Always false: a promise can be broken, not cancelled. `asyncio.wait` asks."""

    def result(self) -> _T_co:
        """The result.

        Raises:
            asyncio.InvalidStateError: It is not resolved yet.
            BrokenPromise: The resolver has gone.
            Exception: The one that the resolver was given.
        """

    def exception(self) -> BaseException | None:
        """The exception that it was resolved with, or None if with a result.

        Raises:
            asyncio.InvalidStateError: It is not resolved yet.
        """

    def add_done_callback(
        self, callback: Callable[[Future[Any]], object], /, *, context: Context | None = None
    ) -> None:
        """Calls `callback(future)` soon when it is done, in the event loop that runs here now.

        Args:
            callback: Where no event loop runs, it is called by the thread that resolves the future, at once.
            context: The context to call it in; a copy of the current one, if not given.
        """

    def remove_done_callback(self, callback: Callable[[Future[Any]], object], /) -> int:
        """Removes a callback, and returns how often it was there."""

    def __await__(self) -> Generator[Any, Any, _T_co]: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Resolver(_Takes[_T_contra, _Shareable], Generic[_T_contra]):
    """The side of `await_future()` that resolves. If it goes without doing so, who waits gets `BrokenPromise`."""

    @overload
    def set_result(self, result: Iso[_T_contra] | Val[_T_contra] | Unchecked[_T_contra], /) -> None:
        """Gives the future its result, and wakes all who wait. May be called from any thread.

        Args:
            result: What may be sent as a message may be a result.

        Raises:
            AlreadyResolved: The future is done. The result, an iso too, stays the caller's.
            NotSendable: The result can be changed by others.
        """

    @overload
    def set_result(self: _Takes[_H, _H], result: _H, /) -> None: ...
    def set_exception(self, exception: BaseException | type[BaseException], /) -> None:
        """Gives the future an exception, which all who wait raise. One that nobody ever sees is logged.

        Args:
            exception: An exception, or a class to make one of.

        Raises:
            AlreadyResolved: The future is done.
            TypeError: It is no exception, or a StopIteration, which no `await` can raise.
        """

    def done(self) -> bool:
        """Whether it is resolved."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

def await_future() -> tuple[Resolver[_T], Future[_T]]:
    """Makes a promise of one value: a side that resolves it, and a side that awaits it.

    Both may be used by any agent, task or thread, and sent in messages.

    Returns:
        The resolver and the future.

    Examples:
        >>> import asyncio, remuda
        >>> async def oracle(mailbox: remuda.Mailbox[remuda.Resolver[int]]) -> None:
        ...     resolver = await mailbox.recv()
        ...     resolver.set_result(42)
        >>> async def main() -> int:
        ...     resolver: remuda.Resolver[int]
        ...     resolver, future = remuda.await_future()
        ...     async with remuda.Runtime() as runtime:
        ...         runtime.spawn(oracle).send_nowait(resolver)
        ...         return await future
        >>> asyncio.run(main())
        42
    """

@final
class Channel:
    """What the ends of a channel have in common."""

@final
class ChannelSend(_Awaited):
    """What `sender.send(item)` returns: await it to send the item."""

    def __await__(self) -> Generator[Any, Any]: ...

@final
class ChannelReceive(_Awaited):
    """What `receiver.recv()` returns: await it for the next item."""

    def __await__(self) -> Generator[Any, Any, Any]: ...

@final
class Sender(_Takes[_T_contra, _Shareable], Generic[_T_contra]):
    """The side of a channel that sends. May be used by many at once, from any agent, task and thread, and sent itself.

    Ends are counted: when the last sender was closed, or is gone, receivers take what is left, and then find the
    channel closed.
    """

    @overload
    def send(self, item: Iso[_T_contra] | Val[_T_contra] | Unchecked[_T_contra], /) -> ChannelSend:
        """Sends an item, waiting while the channel is full; those who wait are served in order.

        With capacity 0 it waits until a receiver has taken the item. If the wait is cancelled the item is not sent,
        unless it was taken just before; an iso that was not sent keeps its object.

        Args:
            item: What may be sent as a message.

        Raises:
            ChannelClosed: There is no receiver any more, or this end was closed; the item is in `.item`.
            NotSendable: The item can be changed by others.
            AlreadyAwaited: The same send was awaited twice.
        """
    @overload
    def send(self: _Takes[_H, _H], item: _H, /) -> ChannelSend: ...
    @overload
    def send_nowait(self, item: Iso[_T_contra] | Val[_T_contra] | Unchecked[_T_contra], /) -> None:
        """Sends an item at once.

        Raises:
            ChannelFull: There is no room; with capacity 0, no receiver waits. The item is in `.item`.
            ChannelClosed: There is no receiver any more, or this end was closed; the item is in `.item`.
            NotSendable: The item can be changed by others.
        """
    @overload
    def send_nowait(self: _Takes[_H, _H], item: _H, /) -> None: ...
    def clone(self) -> Sender[_T_contra]:
        """Another end that sends, which is to be closed on its own.

        Raises:
            ChannelClosed: This end was closed.
        """

    def close(self) -> None:
        """Closes this end; with the last one, the channel. What is in it can still be taken."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent by this end any more."""

    @property
    def capacity(self) -> int:
        """How many items the channel holds."""

    def statistics(self) -> ChannelStatistics:
        """The channel's depth, ends and counts at this moment."""

    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, error: object, traceback: object, /) -> None: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Receiver(Generic[_T_co]):
    """The side of a channel that receives. May be used by many at once: each item goes to one of them, in order.

    `async for item in receiver` ends when the channel has closed and nothing is left in it; `len(receiver)` is the
    number of items in it. When the last receiver was closed, or is gone, sends raise `ChannelClosed`.
    """

    def recv(self) -> Awaitable[_T_co]:
        """Takes the next item, waiting for one; those who wait are served in order.

        A wait that is cancelled takes nothing: what it was about to get goes to the next.

        Raises:
            ChannelClosed: The channel has closed, or this end, and nothing is left in it.
            AlreadyAwaited: Another task waits with the same `recv()`.
        """

    def recv_nowait(self) -> _T_co:
        """Takes an item at once.

        Raises:
            ChannelEmpty: There is none, or those that are there are for receivers that have waited.
            ChannelClosed: The channel has closed, or this end, and nothing is left in it.
        """

    def clone(self) -> Receiver[_T_co]:
        """Another end that receives, which is to be closed on its own.

        Raises:
            ChannelClosed: This end was closed.
        """

    def close(self) -> None:
        """Closes this end; with the last one, the channel. What is in it can still be taken."""

    @property
    def closed(self) -> bool:
        """Whether nothing will come to this end any more, besides what is in the channel."""

    @property
    def capacity(self) -> int:
        """How many items the channel holds."""

    def statistics(self) -> ChannelStatistics:
        """The channel's depth, ends and counts at this moment."""

    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __aiter__(self) -> AsyncIterator[_T_co]: ...
    def __anext__(self) -> Awaitable[_T_co]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, error: object, traceback: object, /) -> None: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

def channel(
    capacity: int,
    /,
    *,
    high: int | None = None,
    low: int | None = None,
    on_watermark: Callable[[Literal["high", "low"], int], object] | None = None,
) -> tuple[Sender[_T], Receiver[_T]]:
    """Makes a bounded queue with many senders and many receivers. It belongs to no runtime and no event loop.

    Args:
        capacity: How many items it holds; with 0 each sender waits for a receiver.
        high: The depth at which `on_watermark` is told "high"; the capacity, if not given.
        low: The depth at which it is told "low" after that; half of the capacity, if not given.
        on_watermark: Called with "high" or "low" and the depth, at once, by whoever crosses the mark.

    Returns:
        An end that sends and an end that receives; both have `clone()`.

    Raises:
        LimitsError: The capacity is negative, or the marks are not `0 <= low < high <= capacity`.

    Examples:
        >>> import asyncio, remuda
        >>> async def producer(_: remuda.Mailbox[None], out: remuda.Sender[int]) -> None:
        ...     with out:
        ...         for number in range(3):
        ...             await out.send(number)
        >>> async def main() -> list[int]:
        ...     sender: remuda.Sender[int]
        ...     sender, receiver = remuda.channel(10)
        ...     async with remuda.Runtime() as runtime:
        ...         runtime.spawn(producer, sender)
        ...         return [number async for number in receiver]
        >>> asyncio.run(main())
        [0, 1, 2]
    """

@final
class Select(_Awaited):
    """What `select(...)` returns: await it for the first source that has something."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
    def _expire(self) -> None: ...
    def _wake(self, _future: object = None, /) -> None: ...

@final
class ShardMap(Generic[_Shard]):
    """Which of several shards a key belongs to, by consistent hashing.

    Every shard has many points on a ring of hashes (xxh3), and a key belongs to the shard of the next point. Who owns
    what depends on the shards and their weights alone: not on their order, the history of changes, the process, or the
    version of Python. Any thread may look up and change it, and it may be sent as it is.

    Args:
        shards: Names (str, bytes or int) or agents, which go by their names.
        weights: How much each shard takes, beside 1 for an ordinary one: a mapping, or as many numbers as shards.
        replicas: To how many different shards `owners` assigns each key.
        load_factor: How many times its fair part of all assignments `assign` gives to a shard, at most.

    Raises:
        KeyError: A shard is not in the mapping of weights.
        TypeError: A shard is something else.
        ValueError: There is no shard, the same one twice, or fewer than replicas; a weight is not positive, or there
            are not as many as shards; the load factor is not above 1.

    Examples:
        >>> from remuda import ShardMap
        >>> cities = ShardMap(["paris", "quito", "tokyo"], replicas=2)
        >>> cities["order-17"], cities.owners("order-17")
        ('quito', ('quito', 'tokyo'))
        >>> round(cities.add("lagos"), 2)
        0.26
        >>> cities["order-17"]
        'lagos'
    """

    def __new__(
        cls,
        shards: Iterable[_Shard],
        /,
        *,
        weights: Mapping[_Shard, float] | Iterable[float] | None = None,
        replicas: int = 1,
        load_factor: float = 1.25,
    ) -> Self: ...
    def owner(self, key: str | bytes | int, /) -> _Shard:
        """The shard that a key belongs to; `map[key]` is the same.

        Raises:
            TypeError: The key is no str, bytes or int, or it is a bool.
        """

    def __getitem__(self, key: str | bytes | int, /) -> _Shard: ...
    def owners(self, key: str | bytes | int, /, count: int | None = None) -> tuple[_Shard, ...]:
        """Different shards for a key: its owner, and those that would be its owner if the ones before were not there.

        Args:
            key: The key.
            count: How many; as many as the map has replicas, if not given.

        Raises:
            TypeError: The key is no str, bytes or int.
            ValueError: There are not as many shards.
        """

    def add(self, shard: _Shard, /, weight: float = 1.0) -> float:
        """Adds a shard. The keys that are its own from now on move to it, and no others.

        Returns:
            The part of all keys that is its own.

        Raises:
            ValueError: It is there already, or the weight is not positive.
        """

    def remove(self, shard: _Shard, /) -> float:
        """Removes a shard. The keys that were its own move to others, and no others.

        Returns:
            The part of all keys that was its own.

        Raises:
            KeyError: It is not there.
            ValueError: Fewer shards than replicas would be left.
        """

    def assign(self, key: str | bytes | int, /) -> _Shard:
        """Picks a shard with bounded load: the first of the key's that has not its part of all assignments already.

        A key's assignments may thus go to several shards, in the order of `owners`. `release` takes one back. The bound
        is that of Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads" (2018).

        Raises:
            TypeError: The key is no str, bytes or int.
        """

    def release(self, shard: _Shard, /) -> None:
        """Takes one assignment of a shard back.

        Raises:
            KeyError: It is not there.
            ValueError: Nothing is assigned to it.
        """

    def loads(self) -> dict[_Shard, int]:
        """How many assignments each shard has."""

    def shares(self) -> dict[_Shard, float]:
        """The part of all keys that belongs to each shard."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_Shard]: ...
    def __contains__(self, shard: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

_Source: TypeAlias = Receiver[_T] | Mailbox[_T] | Future[_T] | asyncio.Future[_T]

@overload
def select(
    first: _Source[_A1], /, *, timeout: float | None = None, fair: bool = False
) -> Awaitable[tuple[_Source[_A1], _A1]]:
    """Waits for the first of several sources that has something, and takes it from that one alone.

    Of those that have something, it takes from the one that was given first: one that is never empty keeps it from the
    others for ever. With `fair=True` chance decides between them. A wait that is cancelled, or that times out, takes
    nothing from any.

    Args:
        first: A receiver of a channel, the mailbox of the agent that calls this, a future, an agent (for its end), or a
            task or future of asyncio's. Any number of them may follow.
        timeout: Seconds to wait; 0 takes what is there.
        fair: Whether all that have something are equally likely to be taken from, as in Go. In a run of
            `remuda.testing` the seed decides.

    Returns:
        The source, to compare by `is`, and what it had.

    Raises:
        SelectTimeout: Nothing came in time.
        ChannelClosed: One of the channels has closed, and nothing is left in it; no source before it had anything. Its
            receiver is in `.source`, to go on without it; nothing was taken from any.
        MailboxClosed: The same of the mailbox.
        AlreadyAwaited: It was awaited before, or another waits for it.
        NotTheOwner: The mailbox is not that of the agent that runs.
        Exception: What a future or an agent ended with.
        TypeError: There is no source, or something that can't be one.
        ValueError: The timeout is negative.

    Examples:
        >>> import asyncio, remuda
        >>> async def main() -> str:
        ...     words, numbers = remuda.channel(1), remuda.channel(1)
        ...     words[0].send_nowait("ready")
        ...     source, value = await remuda.select(numbers[1], words[1], timeout=1.0)
        ...     return value if source is words[1] else "number"
        >>> asyncio.run(main())
        'ready'
    """

@overload
def select(
    first: _Source[_A1],
    second: _Source[_A2],
    /,
    *,
    timeout: float | None = None,
    fair: bool = False,
) -> Awaitable[tuple[_Source[_A1] | _Source[_A2], _A1 | _A2]]: ...
@overload
def select(
    first: _Source[_A1],
    second: _Source[_A2],
    third: _Source[_A3],
    /,
    *,
    timeout: float | None = None,
    fair: bool = False,
) -> Awaitable[tuple[_Source[_A1] | _Source[_A2] | _Source[_A3], _A1 | _A2 | _A3]]: ...
@overload
def select(
    *sources: _Source[Any] | AgentRef[Any], timeout: float | None = None, fair: bool = False
) -> Awaitable[tuple[Any, Any]]: ...

@final
class AgentRef(_AgentTakes[_M_contra, _Shareable], Generic[_M_contra]):
    """A reference to an agent: send to it, ask it, await it, stop it.

    It is what `spawn` returns, and to asyncio it is the agent's task. While any reference to an
    agent is left, it waits for messages; when the last one goes, its mailbox closes and it ends.
    """

    @property
    def id(self) -> int:
        """The agent's number, unique in the process."""

    @property
    def name(self) -> str:
        """What `spawn` was given, or the behaviour's name and a number."""

    @property
    def state(self) -> str:
        """One of "idle", "scheduled", "running", "blocked" (on an asyncio future) and "done"."""

    @property
    def depth(self) -> int:
        """How many messages are in the mailbox."""

    @property
    def runtime(self) -> Runtime:
        """The runtime that the agent lives in."""

    @overload
    def send(
        self, message: Iso[_M_contra] | Val[_M_contra] | Unchecked[_M_contra], /
    ) -> Awaitable[None]:
        """Returns an awaitable that sends a message, waiting while the mailbox is full.

        Nothing is sent before it is awaited; if it never is, a `RuntimeWarning` says so. A sender
        that waits goes on when the depth has fallen to the low watermark, in the order in which the
        senders came. What an agent sends to itself never waits.

        Args:
            message: What to send: the receiver gets the object itself. An iso is emptied, and comes
                back to its owner if the message is not taken.

        Raises:
            MailboxFull: The mailbox is full, and its policy is "fail".
            MailboxClosed: The agent has ended, or ends while this waits. The message is in `.message`.
            DeadlockDetected: The agent, or one that it waits for, waits for the sender.
            AlreadyAwaited: The same awaitable was awaited before.
            NotSendable: It, or a part of it, can be changed by others who refer to it.
            MovedError: It is an iso, or holds one, that was given away before.
        """

    @overload
    def send(self: _Takes[_H, _H], message: _H, /) -> Awaitable[None]: ...
    @overload
    def send_nowait(
        self, message: Iso[_M_contra] | Val[_M_contra] | Unchecked[_M_contra], /
    ) -> None:
        """Sends a message without waiting. Any thread may call it.

        Args:
            message: What to send.

        Raises:
            MailboxFull: There is no room, or others wait for it. The message is in `.message`.
            MailboxClosed: The agent has ended, or was told to stop.
            NotSendable: As for `send`.
            MovedError: As for `send`.
        """

    @overload
    def send_nowait(self: _Takes[_H, _H], message: _H, /) -> None: ...
    @overload
    def ask(
        self: AgentRef[Request[_Q, _R]],
        message: Iso[_Q] | Val[_Q] | Unchecked[_Q],
        /,
        *,
        timeout: float | None = None,
    ) -> Awaitable[_R]:
        """Returns an awaitable that sends a message and waits for its answer.

        Args:
            message: What to ask.
            timeout: Seconds until `AskTimeout`; None waits for ever.

        Returns:
            What the agent's `receive` returned, or `request.reply` was given.

        Raises:
            AskTimeout: No answer came in time.
            AgentFailed: The agent ended before it answered; its error is the `__cause__`.
            NoReply: The request was dropped without an answer.
            MailboxFull: As for `send`.
            MailboxClosed: As for `send`.
            DeadlockDetected: As for `send`.
            NotSendable: As for `send`.
            MovedError: As for `send`.
            ValueError: The timeout is negative.
        """

    @overload
    def ask(
        self: _Takes[Request[_H, _R], _H],
        message: _H,
        /,
        *,
        timeout: float | None = None,
    ) -> Awaitable[_R]: ...
    @overload
    def ask(
        self,
        message: Iso[_M_contra] | Val[_M_contra] | Unchecked[_M_contra],
        /,
        *,
        timeout: float | None = None,
    ) -> Awaitable[Any]: ...
    @overload
    def ask(
        self: _Takes[_H, _H], message: _H, /, *, timeout: float | None = None
    ) -> Awaitable[Any]: ...
    def stop(self) -> Awaitable[None]:
        """Closes the intake at once; the agent ends after what is in its mailbox.

        Returns:
            An awaitable that waits for the end. It does not raise what the agent raises.
        """

    def kill(self) -> bool:
        """Ends the agent at its next step, wherever it waits; what is in its mailbox is lost.

        Its `finally` blocks run, but can't await. Who awaits the agent gets `AgentKilled`.

        Returns:
            Whether the agent still lived.
        """

    def cancel(self, msg: Any = None) -> bool:
        """Throws `CancelledError` into the agent where it waits, as `asyncio.Task.cancel` does.

        Args:
            msg: What the `CancelledError` is made with.

        Returns:
            Whether the agent still lived.
        """

    def cancelling(self) -> int:
        """The number of calls of `cancel` that `uncancel` has not taken back."""

    def uncancel(self) -> int:
        """Takes back one call of `cancel`, and returns the number of those that are left."""

    def done(self) -> bool:
        """Whether the agent has ended."""

    def cancelled(self) -> bool:
        """Whether the agent has ended by being cancelled."""

    def result(self) -> Any:
        """What the agent returned; raises what it raised.

        Raises:
            asyncio.InvalidStateError: It has not ended.
        """

    def exception(self) -> BaseException | None:
        """What the agent raised, or None.

        Raises:
            asyncio.CancelledError: It was cancelled.
            asyncio.InvalidStateError: It has not ended.
        """

    def add_done_callback(
        self, callback: Callable[[AgentRef[Any]], object], /, *, context: Context | None = None
    ) -> None:
        """Calls `callback(agent)` in the event loop when the agent has ended; soon, if it has.

        Args:
            callback: If it raises, the event loop's exception handler is told.
            context: The context to call it in; a copy of the current one, if not given.
        """

    def remove_done_callback(self, callback: Callable[[AgentRef[Any]], object], /) -> int:
        """Removes a callback, and returns how often it was there."""

    def statistics(self) -> MailboxStatistics:
        """The mailbox's depth, limits and counts at this moment."""

    def get_name(self) -> str: ...
    def set_name(self, value: object, /) -> None: ...
    def get_coro(self) -> CoroutineType[Any, Any, Any] | None: ...
    def get_context(self) -> Context: ...
    def get_loop(self) -> AbstractEventLoop: ...
    def get_stack(self, *, limit: int | None = None) -> list[FrameType]: ...
    @property
    def _must_cancel(self) -> bool: ...
    @property
    def _fut_waiter(self) -> Any: ...
    @property
    def _asyncio_future_blocking(self) -> bool | None: ...
    @property
    def _cancel_message(self) -> Any: ...
    def _make_cancelled_error(self) -> CancelledError: ...
    @property
    def _loop(self) -> AbstractEventLoop: ...
    @property
    def _callbacks(self) -> list[tuple[Callable[[AgentRef[Any]], object], Context]] | None: ...
    def _deliver(self, message: Any) -> None: ...
    def _crash(self, error: BaseException) -> bool: ...
    def _wakeup(self, future: Any, /) -> None: ...
    def _stay(self) -> None: ...
    def _cancel_wait(self, future: Any) -> None: ...
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Mailbox(Generic[_M]):
    """An agent's own end of its mailbox: receive from it, or iterate over it with `async for`."""

    @property
    def me(self) -> AgentRef[_M]:
        """The agent that this mailbox belongs to.

        Raises:
            MailboxClosed: The agent is gone.
        """

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more, besides what is in the mailbox."""

    def recv(self) -> Awaitable[_M]:
        """Returns an awaitable for the next message.

        Raises:
            MailboxClosed: Nothing is left, and nothing will come. To leave the behaviour by it is a
                clean end.
            NotTheOwner: Another agent, another loop or a second reader at once awaits it.
        """

    def recv_nowait(self) -> _M:
        """Takes a message without waiting.

        Raises:
            MailboxEmpty: There is none.
            MailboxClosed: There is none, and none will come.
            NotTheOwner: Another agent calls it.
        """

    def statistics(self) -> MailboxStatistics:
        """The mailbox's depth, limits and counts at this moment."""

    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __aiter__(self) -> AsyncIterator[_M]: ...
    def __anext__(self) -> Awaitable[_M]: ...
    def __await__(self) -> Generator[Any, Any, _M]: ...
    def throw(
        self, kind: Any, value: Any = None, traceback: TracebackType | None = None, /
    ) -> None: ...
    def close(self) -> None: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Request(_Takes[_R_contra, _Shareable], Generic[_M_co, _R_contra]):
    """A message that came by `ask`, and that waits for its answer."""

    @property
    def message(self) -> _M_co:
        """What was asked."""

    @property
    def answered(self) -> bool:
        """Whether it has its answer, or nobody waits for one any more."""

    @overload
    def reply(self, value: Iso[_R_contra] | Val[_R_contra] | Unchecked[_R_contra], /) -> bool:
        """Answers.

        Returns:
            Whether the asker still waited.

        Raises:
            AlreadyReplied: It has its answer.
        """

    @overload
    def reply(self: _Takes[_H, _H], value: _H, /) -> bool: ...
    def fail(self, error: BaseException | type[BaseException], /) -> bool:
        """Answers with an exception, which `ask` raises.

        Returns:
            Whether the asker still waited.

        Raises:
            AlreadyReplied: It has its answer.
            TypeError: `error` is not an exception.
        """

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@disjoint_base
class Runtime:
    """The native half of `remuda.Runtime`."""

    def __new__(cls, *_args: Any, **_keywords: Any) -> Self: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[Mailbox[_M], *_Ts], Coroutine[Any, Any, Any]],
        /,
        *args: *_Ts,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]:
        """Starts an agent.

        A plain call, nothing to await: the agent's first step comes when the event loop turns.

        Args:
            behaviour: `async def f(mailbox, *args)`, or a class with `receive`, or an object of one.
            args: What the behaviour gets after its mailbox, or the class to be constructed.
            mailbox: How many messages the mailbox holds.
            high: Its high watermark, in messages; the mailbox's bound, if not given.
            low: Its low watermark, at which waiting senders go on; half the bound, if not given.
            overflow: What happens to a message that finds the mailbox full: "wait" (`send` waits,
                `send_nowait` raises), "fail" (both raise), "drop_newest", "drop_oldest".
            name: A name for people; the behaviour's and a number, if not given.
            priority: "low", "normal" or "high": the higher runs first, but never keeps the lower waiting
                for ever. "normal", if not given.
            pinned: It stays on the worker, and in the event loop, in which it is started. Others move
                between workers, until they await something of asyncio's.

        Returns:
            The reference to the agent. When the last one goes, the agent ends.

        Raises:
            BehaviourError: The behaviour can't be an agent, or does not take these arguments.
            NotSendable: An argument can be changed by others who refer to it.
            MovedError: An argument is an iso that was given away before.
            LimitsError: The bound is not positive, or the marks are not `0 <= low < high <= mailbox`.
            ValueError: `overflow` is none of the four, or `priority` none of the three.
            NoRuntime: The runtime was not started.
            RuntimeStopped: It is stopping, or has stopped.
        """

    @overload
    def spawn(
        self,
        behaviour: Callable[[*_Ts], Receives[_M]],
        /,
        *args: *_Ts,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[Mailbox[_M], _A1], Coroutine[Any, Any, Any]],
        arg1: _A1 | Iso[_A1] | Val[_A1],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[_A1], Receives[_M]],
        arg1: _A1 | Iso[_A1] | Val[_A1],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[Mailbox[_M], _A1, _A2], Coroutine[Any, Any, Any]],
        arg1: _A1 | Iso[_A1] | Val[_A1],
        arg2: _A2 | Iso[_A2] | Val[_A2],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[_A1, _A2], Receives[_M]],
        arg1: _A1 | Iso[_A1] | Val[_A1],
        arg2: _A2 | Iso[_A2] | Val[_A2],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[Mailbox[_M], _A1, _A2, _A3], Coroutine[Any, Any, Any]],
        arg1: _A1 | Iso[_A1] | Val[_A1],
        arg2: _A2 | Iso[_A2] | Val[_A2],
        arg3: _A3 | Iso[_A3] | Val[_A3],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Callable[[_A1, _A2, _A3], Receives[_M]],
        arg1: _A1 | Iso[_A1] | Val[_A1],
        arg2: _A2 | Iso[_A2] | Val[_A2],
        arg3: _A3 | Iso[_A3] | Val[_A3],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    @overload
    def spawn(
        self,
        behaviour: Receives[_M],
        /,
        *,
        mailbox: int = 1000,
        high: int | None = None,
        low: int | None = None,
        overflow: Overflow | None = None,
        name: str | None = None,
        priority: Priority | None = None,
        pinned: bool = False,
    ) -> AgentRef[_M]: ...
    def agents(self) -> list[AgentRef[Any]]:
        """The living agents."""

    @property
    def phase(self) -> str:
        """One of "new", "running", "stopping" and "stopped"."""

    @property
    def _living(self) -> int: ...
    def _kill_all(self) -> list[AgentRef[Any]]: ...
    def _is_busy(self) -> bool: ...
    def _start(
        self,
        workers: int,
        stand_ins: int,
        *,
        strict: bool,
        lifo: bool,
        steal: bool,
        throttle: bool,
        interval: int | None,
        batch: bool,
    ) -> None: ...
    def _started(self) -> None: ...
    def _join(self, index: int) -> None: ...
    def _part(self, index: int) -> None: ...
    def _will_not_come(self, index: int) -> None: ...
    def _lose(self, index: int, error: BaseException) -> None: ...
    def _forked(self) -> None: ...
    def _begin_stop(self) -> None: ...
    def _end_stop(self) -> None: ...
    def _choose_by(self, seed: int) -> None: ...
    def _report_slow_steps(self, nanoseconds: int) -> None: ...
    def _intercept(
        self, interceptor: Callable[[AgentRef[Any], Any], bool | Literal["lost"]] | None
    ) -> None: ...
    def _watch_watermarks(self, watch: bool) -> None: ...
    def _watch_quiet(self, now: bool) -> None: ...
    def _statistics(self) -> tuple[int, int, int, int, int, int, int]: ...
    def _worker_statistics(self) -> list[dict[str, Any]]: ...
    def _pump(self, machine: int) -> None: ...

@overload
def spawn(
    behaviour: Callable[[Mailbox[_M], *_Ts], Coroutine[Any, Any, Any]],
    /,
    *args: *_Ts,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]:
    """Starts an agent on the current runtime: `Runtime.spawn` without naming the runtime.

    Args:
        behaviour: `async def f(mailbox, *args)`, or a class with `receive`, or an object of one.
        args: What the behaviour gets after its mailbox, or the class to be constructed.
        mailbox: How many messages the mailbox holds.
        high: Its high watermark, in messages; the mailbox's bound, if not given.
        low: Its low watermark, at which waiting senders go on; half the bound, if not given.
        overflow: What happens to a message that finds the mailbox full: "wait" (`send` waits,
            `send_nowait` raises), "fail" (both raise), "drop_newest", "drop_oldest".
        name: A name for people; the behaviour's and a number, if not given.
        priority: "low", "normal" or "high": the higher runs first, but never keeps the lower waiting
            for ever. "normal", if not given.
        pinned: It stays on the worker, and in the event loop, in which it is started. Others move
            between workers, until they await something of asyncio's.

    Returns:
        The reference to the agent. When the last one goes, the agent ends.

    Raises:
        BehaviourError: The behaviour can't be an agent, or does not take these arguments.
        NotSendable: An argument can be changed by others who refer to it.
        MovedError: An argument is an iso that was given away before.
        LimitsError: The bound is not positive, or the marks are not `0 <= low < high <= mailbox`.
        ValueError: `overflow` is none of the four, or `priority` none of the three.
        NoRuntime: There is no current runtime.
        RuntimeStopped: It is stopping, or has stopped.
    """

@overload
def spawn(
    behaviour: Callable[[*_Ts], Receives[_M]],
    /,
    *args: *_Ts,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Callable[[Mailbox[_M], _A1], Coroutine[Any, Any, Any]],
    arg1: _A1 | Iso[_A1] | Val[_A1],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Callable[[_A1], Receives[_M]],
    arg1: _A1 | Iso[_A1] | Val[_A1],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Callable[[Mailbox[_M], _A1, _A2], Coroutine[Any, Any, Any]],
    arg1: _A1 | Iso[_A1] | Val[_A1],
    arg2: _A2 | Iso[_A2] | Val[_A2],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Callable[[_A1, _A2], Receives[_M]],
    arg1: _A1 | Iso[_A1] | Val[_A1],
    arg2: _A2 | Iso[_A2] | Val[_A2],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Callable[[Mailbox[_M], _A1, _A2, _A3], Coroutine[Any, Any, Any]],
    arg1: _A1 | Iso[_A1] | Val[_A1],
    arg2: _A2 | Iso[_A2] | Val[_A2],
    arg3: _A3 | Iso[_A3] | Val[_A3],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Callable[[_A1, _A2, _A3], Receives[_M]],
    arg1: _A1 | Iso[_A1] | Val[_A1],
    arg2: _A2 | Iso[_A2] | Val[_A2],
    arg3: _A3 | Iso[_A3] | Val[_A3],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...
@overload
def spawn(
    behaviour: Receives[_M],
    /,
    *,
    mailbox: int = 1000,
    high: int | None = None,
    low: int | None = None,
    overflow: Overflow | None = None,
    name: str | None = None,
    priority: Priority | None = None,
    pinned: bool = False,
) -> AgentRef[_M]: ...

@final
class Iso(Generic[_T_co]):
    """The only reference to an object that its owner keeps, until it is given away.

    A send empties it, and so do `consume`, `take` and `share`. Whoever uses it afterwards is told by
    `MovedError` where that was. The receiver gets the bare object: it owns it.

    Args:
        value: The object. Nobody else must keep a reference to it.

    Raises:
        TypeError: It is a handle already.
    """

    def __new__(cls, value: _T_co, /) -> Self: ...
    @property
    def value(self) -> _T_co:
        """The object, for its owner to use.

        Raises:
            MovedError: It was given away.
        """

    @property
    def moved(self) -> bool:
        """Whether the object was given away."""

    def take(self) -> _T_co:
        """Takes the object out, and returns it bare.

        Raises:
            MovedError: It was given away before.
        """

    def share(self) -> Val[Any]:
        """Freezes the object and empties this handle: from now on all may read it.

        Raises:
            MovedError: It was given away before.
            NotSendable: Something in it can't be frozen; the handle keeps it.
        """

    def __copy__(self) -> None: ...
    def __deepcopy__(self, _memo: Any) -> None: ...
    def __reduce__(self) -> None: ...  # type: ignore[override]  # it always raises
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Val(Generic[_T_co]):
    """Shares an object that nobody can change. It may be sent as often as one likes; receivers get the bare object.

    Args:
        value: The object.

    Raises:
        NotSendable: It can be changed, or something in it: `freeze` makes an immutable copy.
        TypeError: It is a handle already.
    """

    def __new__(cls, value: _T_co, /) -> Self: ...
    @property
    def value(self) -> _T_co:
        """The object."""

    def share(self) -> Self:
        """Another handle of the same object: this one."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Tag(Generic[_T_co]):
    """Stands for an object without giving any way to it: equal to another tag of the same object, and hashable.

    Args:
        value: The object, which the tag keeps alive.
    """

    def __new__(cls, value: _T_co, /) -> Self: ...
    def is_of(self, value: object, /) -> bool:
        """Whether it stands for this very object."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Unchecked(Generic[_T_co]):
    """What `unchecked` returns.

    Args:
        value: The object.
    """

    def __new__(cls, value: _T_co, /) -> Self: ...
    @property
    def value(self) -> _T_co:
        """The object."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

def iso(value: _T, /, *, prove: bool | None = None) -> Iso[_T]:
    """Makes an iso of an object, to give it away.

    The caller gives up every other reference to it. The static checker, `remuda check`, finds those
    that are left, and so does `prove` at run time.

    Args:
        value: The object.
        prove: Whether to look at everything that the object refers to, and to show that nothing else
            refers into it: see `prove_isolated`. If it isn't said, no, but in tests that ask for it by
            `remuda.testing.prove_isos` or `pytest --remuda-prove`.

    Returns:
        The handle.

    Raises:
        NotIsolated: Something else refers into it, or that can't be told.
        TypeError: It is a handle already.

    Examples:
        >>> import asyncio, remuda
        >>> async def total(mailbox: remuda.Mailbox[list[int]]) -> int:
        ...     numbers = await mailbox.recv()
        ...     numbers.append(40)
        ...     return sum(numbers)
        >>> async def main() -> int:
        ...     async with remuda.Runtime() as runtime:
        ...         agent = runtime.spawn(total)
        ...         await agent.send(remuda.iso([1, 1]))
        ...         return await agent
        >>> asyncio.run(main())
        42
    """

@overload
def val(value: Val[_T], /) -> Val[_T]:
    """Makes a val of what nobody can change, to share it.

    Args:
        value: An immutable object; or an iso, whose object is frozen, and which is empty then.

    Returns:
        The handle; a val is its own.

    Raises:
        NotSendable: It can be changed, or something in it: `freeze` makes an immutable copy.
        MovedError: It is an iso that was given away.

    Examples:
        >>> import remuda
        >>> remuda.val((1, "two"))
        val((1, 'two'))
        >>> remuda.val(remuda.freeze([1, 2]))
        val((1, 2))
    """

@overload
def val(value: Iso[Any], /) -> Val[Any]: ...
@overload
def val(value: _T, /) -> Val[_T]: ...
@overload
def consume(handle: Iso[_T], /) -> Iso[_T]:
    """Moves what a handle holds into a new one, as Pony's `consume` does: the old one is empty.

    Args:
        handle: An iso or a trn. A val or a tag gives itself.

    Returns:
        The new handle.

    Raises:
        MovedError: It was given away before.
        TypeError: It is no handle that can be moved.

    Examples:
        >>> import remuda
        >>> old = remuda.iso([1])
        >>> new = remuda.consume(old)
        >>> old.moved, new.value
        (True, [1])
    """

@overload
def consume(handle: _T, /) -> _T: ...
def unchecked(value: object, /) -> Any:
    """Lets an object be sent that no rule allows: whoever sends it answers for it.

    It is for what the rules can't know, such as a client that is bound to an event loop and given to a
    pinned agent.

    Args:
        value: The object.

    Returns:
        What to send, an `Unchecked`; the receiver gets the bare object. To type checkers it is anything.
    """

def prove_isolated(value: object, /) -> None:
    """Shows that an object may be given away: nothing else refers to it, or into its mutable part.

    It counts the references that are met on a walk through everything that the object refers to, as the
    garbage collector would walk. What is immutable all the way down may be shared. Give it the object
    itself, and not a variable that keeps it: that is a reference, too.

    Args:
        value: The object.

    Raises:
        NotIsolated: Something else refers to a part of it: the error has the `path` to that part, and the
            `holder`, where it was found. Or it can't be told: an object of a type that the garbage
            collector can't look into, an array that is a part of another, a generator that runs, or a
            weak reference that leads out, or in from outside, which could bring a part back.

    Examples:
        >>> import remuda
        >>> remuda.prove_isolated({"orders": [1, 2]})
        >>> mine = [1, 2]
        >>> remuda.prove_isolated({"orders": mine})
        Traceback (most recent call last):
            ...
        remuda.errors.NotIsolated: expected an isolated object, but something else refers to obj['orders'], ...
    """

def is_sendable(value: object, /) -> bool:
    """Whether an object could be sent as it is; isos in it would be moved.

    Args:
        value: Anything.

    Examples:
        >>> import remuda
        >>> remuda.is_sendable((1, "two")), remuda.is_sendable((1, ["two"]))
        (True, False)
    """

@disjoint_base
class Holding:
    """What a lease in memory is to its table."""

    _expires: float
    _released: bool
    _resource: str
    _token: int
    _ttl: float

    def __new__(cls, table: LeaseTable[Any], resource: str, ttl: float) -> Self: ...
    @property
    def remaining(self) -> float:
        """The seconds until it expires; 0 if it has expired, or was released."""

    @property
    def expired(self) -> bool:
        """Whether it is no longer held: its time is over, or it was released."""

    def _give_back(self) -> bool:
        """Gives the resource back; false, and nothing is done, if somebody awaits it, or the time is over."""

@final
class LeaseTable(Generic[_Held]):
    """What is leased, of one manager in memory."""

    def __new__(cls, clock: Callable[[], float], kind: type[_Held]) -> Self: ...
    def lease(self, resource: str, ttl: float) -> _Held:
        """Makes a lease that holds nothing yet."""

    def take(self, resource: str, ttl: float) -> _Held | None:
        """Takes a resource; None if somebody has it, or the table is closed."""

    def holder(self, resource: str) -> _Held | None:
        """Who holds the resource."""

    def take_or_await(self, lease: _Held) -> _Held:
        """Marks the holder as awaited, and returns it; a free resource is taken by the lease, which is returned."""

    def hand_over(self, lease: _Held, now: float) -> None:
        """Gives the resource to a lease, whoever holds it. It counts as awaited."""

    def end(self, lease: _Held) -> bool:
        """Ends a holding; false if it had ended."""

    def held(self) -> list[_Held]:
        """What is held."""

    def close(self) -> list[_Held]:
        """Nothing can be taken any more; returns what was held."""

def _members(agents: Iterable[_AgentTakes[Any, Any]], /) -> tuple[AgentRef[Any], ...]: ...
def _shareable(message: Any, agent: AgentRef[Any], /) -> Any: ...
def _tell(
    agents: tuple[AgentRef[Any], ...], message: Any, /
) -> list[tuple[int, Exception | None]]: ...
def _forget_rules() -> None: ...
def _freeze_plain(obj: Any, /) -> Any: ...
def _set_attributes(obj: Any, names: tuple[str, ...], values: tuple[Any, ...], /) -> None: ...
def _prove_isos(on: bool, /) -> bool: ...
def _await_birth(waiting: Any, /) -> bool: ...

@final
class _Memo:
    """What a walk of `freeze` has frozen already, by identity."""

    def __new__(cls) -> Self: ...
    def get(self, obj: Any, /) -> Any:
        """What has become of an object, or the frame that the walk is in; None if it wasn't met."""

    def put(self, obj: Any, frozen: Any, /) -> None:
        """Note what has become of an object, which is kept."""

    def enter(self, obj: Any, frame: Any, /) -> None:
        """Note that the walk goes into an object."""

    def freeze_in(self, parts: tuple[Any, ...], /) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """Freeze what is immutable, or made of plain containers; also gives the places of all other parts."""

@final
class _FrozenMemory:
    def __new__(cls, array: Any, /) -> Self: ...

@final
class FrozenDict(Mapping[_K, _V_co]):
    """A mapping that can't be changed, so that it can be shared; `freeze` makes one of a dict.

    It is made as a dict is, keeps the order in which it was given its items, and equals every mapping
    that has the same ones. If its values can be hashed, so can it: the order plays no part in that.

    Example:
        >>> from remuda import FrozenDict
        >>> prices = FrozenDict(apple=3, pear=4)
        >>> prices | {"pear": 5}
        FrozenDict({'apple': 3, 'pear': 5})
        >>> {prices: "monday"}[FrozenDict(pear=4, apple=3)]
        'monday'
    """

    @overload
    def __new__(  # type: ignore[overload-overlap] # the last one agrees
        cls, items: Mapping[_K, _V_co], /
    ) -> Self: ...
    @overload
    def __new__(cls, items: Iterable[tuple[_K, _V_co]] = (), /) -> Self: ...
    @overload
    def __new__(
        cls: type[FrozenDict[str, _V2]],
        items: Mapping[str, _V2] | Iterable[tuple[str, _V2]] = (),
        /,
        **kwargs: _V2,
    ) -> FrozenDict[str, _V2]: ...
    @overload
    @classmethod
    def fromkeys(cls, keys: Iterable[_K2], value: None = None, /) -> FrozenDict[_K2, None]: ...
    @overload
    @classmethod
    def fromkeys(cls, keys: Iterable[_K2], value: _V2, /) -> FrozenDict[_K2, _V2]:
        """Make one that has the same value for each of the keys."""

    def __len__(self) -> int: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __getitem__(self, key: _K, /) -> _V_co: ...
    @overload
    def get(self, key: _K, default: None = None, /) -> _V_co | None: ...
    @overload
    def get(self, key: _K, default: _V_co | _D, /) -> _V_co | _D:
        """The value of a key, or the default if there is none."""

    def __iter__(self) -> Iterator[_K]: ...
    def __reversed__(self) -> Iterator[_K]: ...
    def keys(self) -> KeysView[_K]:
        """The keys, as a view that is a set too."""

    def values(self) -> ValuesView[_V_co]:
        """The values, as a view."""

    def items(self) -> ItemsView[_K, _V_co]:
        """The keys with their values, as a view that is a set too."""

    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __or__(self, other: Mapping[_K2, _V2], /) -> FrozenDict[_K | _K2, _V_co | _V2]: ...
    def __ror__(self, other: dict[_K2, _V2], /) -> dict[_K | _K2, _V_co | _V2]: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> FrozenDict[_K, _V_co]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Blocking:
    """What `blocking()` returns."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_raised: object) -> None: ...

def blocking() -> Blocking:
    """Around code that blocks: other agents run on another thread meanwhile.

    Use it as `with remuda.blocking():` in an agent, around what neither returns soon nor can be awaited, such as a
    database driver that isn't asynchronous. The agent goes on on its own thread; the other agents of its worker are
    run by a thread that stands in, but for those that are bound to the worker's event loop, and the loop itself, which
    wait. Outside of agents it does nothing.

    An agent must not await anything inside that makes it wait: it is told so by a `BehaviourError` at that place.

    Examples:
        >>> import asyncio, threading, remuda
        >>> async def opener(mailbox: remuda.Mailbox[None], gate: threading.Event) -> None:
        ...     gate.set()
        >>> async def waiter(mailbox: remuda.Mailbox[None], gate: threading.Event) -> bool:
        ...     with remuda.blocking():
        ...         return gate.wait(10)
        >>> async def main() -> bool:
        ...     async with remuda.Runtime(workers=1) as runtime:
        ...         gate = threading.Event()
        ...         first = runtime.spawn(waiter, remuda.unchecked(gate))
        ...         second = runtime.spawn(opener, remuda.unchecked(gate))
        ...         return await first
        >>> asyncio.run(main())
        True
    """

def current_runtime() -> Runtime:
    """The native half of `remuda.current_runtime`."""

def current_agent() -> AgentRef[Any] | None:
    """The agent that runs the calling code, or None."""

@overload
def signal(agent: AgentRef[_M], message: Iso[_M] | Val[_M] | Unchecked[_M], /) -> None:
    """Sends without ever waiting: `agent.send_nowait(message)` as a function.

    Args:
        agent: To whom.
        message: What to send.

    Raises:
        MailboxFull: There is no room. The message is in `.message`.
        MailboxClosed: The agent has ended, or was told to stop.
    """

@overload
def signal(agent: _AgentTakes[_H, _H], message: _H, /) -> None: ...
