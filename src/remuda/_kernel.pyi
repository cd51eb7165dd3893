"""The compiled part of Remuda. Use it through `remuda`."""

from asyncio import AbstractEventLoop, CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType, FrameType, GenericAlias, TracebackType
from typing import (
    Any,
    Generic,
    Protocol,
    Self,
    TypeVar,
    TypeVarTuple,
    final,
    overload,
    type_check_only,
)

from typing_extensions import disjoint_base

from remuda.scheduling import Priority
from remuda.statistics import MailboxStatistics, Overflow

__all__ = [
    "AgentRef",
    "Ask",
    "Blocking",
    "Completion",
    "Mailbox",
    "Receive",
    "Request",
    "Runtime",
    "Send",
    "__version__",
    "blocking",
    "current_agent",
    "current_runtime",
    "signal",
    "spawn",
]

__version__: str

_M = TypeVar("_M")
_M_contra = TypeVar("_M_contra", contravariant=True)
_M_co = TypeVar("_M_co", covariant=True)
_Q = TypeVar("_Q")
_R = TypeVar("_R")
_R_contra = TypeVar("_R_contra", contravariant=True)
_Ts = TypeVarTuple("_Ts")

@type_check_only
class Receives(Protocol[_M_contra]):
    """An object that can be an agent: its `receive` is called for each message."""

    def receive(self, message: _M_contra, /) -> Any: ...

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

@final
class Ask(_Awaited):
    """What `agent.ask(message)` returns: await it to send the message and get the answer."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
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
class AgentRef(Generic[_M_contra]):
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

    def send(self, message: _M_contra, /) -> Awaitable[None]:
        """Returns an awaitable that sends a message, waiting while the mailbox is full.

        Nothing is sent before it is awaited; if it never is, a `RuntimeWarning` says so. A sender
        that waits goes on when the depth has fallen to the low watermark, in the order in which the
        senders came. What an agent sends to itself never waits.

        Args:
            message: What to send: the receiver gets the object itself.

        Raises:
            MailboxFull: The mailbox is full, and its policy is "fail".
            MailboxClosed: The agent has ended, or ends while this waits. The message is in `.message`.
            DeadlockDetected: The agent, or one that it waits for, waits for the sender.
            AlreadyAwaited: The same awaitable was awaited before.
        """

    def send_nowait(self, message: _M_contra, /) -> None:
        """Sends a message without waiting. Any thread may call it.

        Args:
            message: What to send.

        Raises:
            MailboxFull: There is no room, or others wait for it. The message is in `.message`.
            MailboxClosed: The agent has ended, or was told to stop.
        """

    @overload
    def ask(
        self: AgentRef[Request[_Q, _R]], message: _Q, /, *, timeout: float | None = None
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
            ValueError: The timeout is negative.
        """

    @overload
    def ask(self, message: _M_contra, /, *, timeout: float | None = None) -> Awaitable[Any]: ...
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
class Request(Generic[_M_co, _R_contra]):
    """A message that came by `ask`, and that waits for its answer."""

    @property
    def message(self) -> _M_co:
        """What was asked."""

    @property
    def answered(self) -> bool:
        """Whether it has its answer, or nobody waits for one any more."""

    def reply(self, value: _R_contra, /) -> bool:
        """Answers.

        Returns:
            Whether the asker still waited.

        Raises:
            AlreadyReplied: It has its answer.
        """

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
            priority: "low", "normal" or "high": the higher runs first, but never keeps the lower waiting
                for ever. "normal", if not given.
            pinned: It stays on the worker, and in the event loop, in which it is started. Others move
                between workers, until they await something of asyncio's.

        Returns:
            The reference to the agent. When the last one goes, the agent ends.

        Raises:
            BehaviourError: The behaviour can't be an agent, or does not take these arguments.
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
    def _intercept(self, interceptor: Callable[[AgentRef[Any], Any], bool] | None) -> None: ...
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
        ...         first = runtime.spawn(waiter, gate)
        ...         second = runtime.spawn(opener, gate)
        ...         return await first
        >>> asyncio.run(main())
        True
    """

def current_runtime() -> Runtime:
    """The native half of `remuda.current_runtime`."""

def current_agent() -> AgentRef[Any] | None:
    """The agent that runs the calling code, or None."""

def signal(agent: AgentRef[_M], message: _M, /) -> None:
    """Sends without ever waiting: `agent.send_nowait(message)` as a function.

    Args:
        agent: To whom.
        message: What to send.

    Raises:
        MailboxFull: There is no room. The message is in `.message`.
        MailboxClosed: The agent has ended, or was told to stop.
    """
