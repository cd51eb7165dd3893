"""Every exception of Remuda. Each says what was expected, what came, and where.

    RemudaError
    ├── BehaviourError (TypeError)       spawn was given something that can't be an agent
    ├── LimitsError (ValueError)         a mailbox's bound or marks make no sense
    ├── SendError                        a message was not taken; it is in `.message`
    │   ├── MailboxFull (asyncio.QueueFull)
    │   └── MailboxClosed
    ├── ReceiveError                     a mailbox was used in a way that it can't be
    │   ├── MailboxEmpty (asyncio.QueueEmpty)
    │   └── NotTheOwner
    ├── CapabilityError                  an object would be shared that may not be
    │   ├── NotSendable (TypeError)      it can be changed, and others refer to it
    │   ├── MovedError (ValueError)      it was given away before
    │   ├── NotIsolated (ValueError)     something else refers to it, too
    │   └── WrongOwner (RuntimeError)    it belongs to another agent
    ├── ChannelError                     an end of a channel can't do this now
    │   ├── ChannelFull (asyncio.QueueFull)
    │   ├── ChannelEmpty (asyncio.QueueEmpty)
    │   └── ChannelClosed
    ├── BrokenPromise                    nobody is left who could resolve the future
    ├── QuorumNotReached                 too few members agreed
    ├── LeaseError                       a lease can't be had, or kept
    │   ├── LeaseHeld (TimeoutError)     somebody else has it
    │   ├── LeaseLost                    it expired, or somebody else has it by now
    │   ├── StaleToken (ValueError)      a newer holder has used the resource already
    │   └── StoreUnavailable (ConnectionError)  the store of the leases can't be reached
    ├── AgentFailed                      the agent that was asked failed; its error is the `__cause__`
    ├── AgentKilled                      the agent that is awaited was killed
    ├── AskTimeout (TimeoutError)        no answer came in time
    ├── SelectTimeout (TimeoutError)     nothing came from any source in time
    ├── NoReply                          the request was dropped without an answer
    ├── AlreadyAwaited                   a send or an ask was awaited twice
    ├── AlreadyReplied                   a request was answered twice
    ├── AlreadyResolved (asyncio.InvalidStateError)  a future was resolved twice
    ├── DeadlockDetected                 to wait here would be to wait for oneself
    ├── NoRuntime                        there is no runtime to do this on
    ├── RuntimeStopped                   the runtime is stopping, or has stopped
    └── WorkerFailed                     a worker could not be started, or can't go on

`SendError`, `ReceiveError`, `CapabilityError`, `ChannelError` and `LeaseError` are there to be caught; what is raised
is one of their children.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = [
    "AgentFailed",
    "AgentKilled",
    "AlreadyAwaited",
    "AlreadyReplied",
    "AlreadyResolved",
    "AskTimeout",
    "BehaviourError",
    "BrokenPromise",
    "CapabilityError",
    "ChannelClosed",
    "ChannelEmpty",
    "ChannelError",
    "ChannelFull",
    "DeadlockDetected",
    "LeaseError",
    "LeaseHeld",
    "LeaseLost",
    "LimitsError",
    "MailboxClosed",
    "MailboxEmpty",
    "MailboxFull",
    "MovedError",
    "NoReply",
    "NoRuntime",
    "NotIsolated",
    "NotSendable",
    "NotTheOwner",
    "QuorumNotReached",
    "ReceiveError",
    "RemudaError",
    "RuntimeStopped",
    "SelectTimeout",
    "SendError",
    "StaleToken",
    "StoreUnavailable",
    "WorkerFailed",
    "WrongOwner",
]


class RemudaError(Exception):
    """The base of every error that Remuda raises on its own account."""


class BehaviourError(RemudaError, TypeError):
    """`spawn` got something that can't be an agent, or arguments that its behaviour doesn't take.

    An error *inside* a behaviour is never this one: `await agent` raises it as it is.
    """


class LimitsError(RemudaError, ValueError):
    """The bound of a mailbox is not positive, or its marks are not `0 <= low < high <= mailbox`."""


class SendError(RemudaError):
    """A message was not taken.

    Attributes:
        message: The message, handed back.
        agent: The agent that did not take it.
    """

    def __init__(self, text: str, message: Any = None, agent: Any = None) -> None:
        super().__init__(text)
        self.message = message
        self.agent = agent


class MailboxFull(SendError, asyncio.QueueFull):
    """`send_nowait` (or `send`, with the policy "fail") found no room.

    `MailboxClosed` is the sibling for an agent that will never again have room.
    """

    def __init__(
        self, text: str, message: Any = None, agent: Any = None, capacity: int = 0
    ) -> None:
        super().__init__(text, message, agent)
        self.capacity = capacity


class MailboxClosed(SendError):
    """The agent has ended or was told to stop; in `recv`, that nothing is left and nothing will come."""


class ReceiveError(RemudaError):
    """A mailbox was used in a way that it can't be used."""


class MailboxEmpty(ReceiveError, asyncio.QueueEmpty):
    """`recv_nowait` found no message; `MailboxClosed` says that there will never be one."""


class NotTheOwner(ReceiveError):
    """A mailbox was read by another agent, from another event loop, or by two readers at once."""


class CapabilityError(RemudaError):
    """An object would be shared, or used, in a way that its capability forbids."""


class NotSendable(CapabilityError, TypeError):
    """A message, or a part of it, can be changed by whoever else refers to it.

    Attributes:
        message: The whole message, handed back.
        value: The part that is to blame.
        path: The way to that part, such as `message.orders[3]`.
    """

    def __init__(self, text: str, value: Any = None, path: str = "", message: Any = None) -> None:
        super().__init__(text)
        self.value = value
        self.path = path
        self.message = message


class MovedError(CapabilityError, ValueError):
    """A handle was used whose object was given away; the text says where."""


class NotIsolated(CapabilityError, ValueError):
    """What was to be given away is referred to from elsewhere, or it can't be told whether it is.

    Attributes:
        path: The way to the object that others refer to, such as `obj['orders'][3]`.
        holder: Who refers to it, where it was found.
    """

    def __init__(self, text: str, *, path: str = "", holder: Any = None) -> None:
        super().__init__(text)
        self.path = path
        self.holder = holder


class WrongOwner(CapabilityError, RuntimeError):
    """What one agent keeps for itself was touched by another agent, task or thread."""


class ChannelError(RemudaError):
    """An end of a channel can't do what it was asked to do now."""


class ChannelFull(ChannelError, asyncio.QueueFull):
    """`send_nowait` found no room in the channel, or with capacity 0 nobody who waits.

    Attributes:
        item: What was to be sent, handed back.
        capacity: How many items the channel holds.
    """

    def __init__(self, text: str, item: Any = None, capacity: int = 0) -> None:
        super().__init__(text)
        self.item = item
        self.capacity = capacity


class ChannelEmpty(ChannelError, asyncio.QueueEmpty):
    """`recv_nowait` found no item; `ChannelClosed` says that there will never be one."""


class ChannelClosed(ChannelError):
    """The other side of the channel is closed; in `recv`, nothing is left in it either.

    Attributes:
        item: What was to be sent, handed back; None in `recv`.
        source: The receiver that will have nothing any more, in `select` the one to go on without; None in `send`.
    """

    def __init__(self, text: str, item: Any = None, source: Any = None) -> None:
        super().__init__(text)
        self.item = item
        self.source = source


class BrokenPromise(RemudaError):
    """The future's resolver has gone without a result: whoever waits would wait for ever."""


class QuorumNotReached(RemudaError):
    """Too few members agreed, in time or at all.

    Attributes:
        result: What came of it: the votes, dissenters, failures and those who are missing.
    """

    def __init__(self, text: str, result: Any = None) -> None:
        super().__init__(text)
        self.result = result


class LeaseError(RemudaError):
    """A lease can't be had, or can't be kept."""


class LeaseHeld(LeaseError, TimeoutError):
    """Somebody else holds the lease, and the time to wait for it has passed."""


class LeaseLost(LeaseError):
    """The lease has expired or was released: what it guarded may be somebody else's by now."""


class StaleToken(LeaseError, ValueError):
    """The resource has been used with a newer token: whoever comes with an older one has lost its lease."""


class StoreUnavailable(LeaseError, ConnectionError):
    """The store that keeps the leases can't be reached; whether it did what it was asked is unknown."""


class AgentFailed(RemudaError):
    """The agent that was asked ended before it answered; its own error, if any, is the `__cause__`.

    `await agent` raises the agent's error itself; `NoReply` is raised if the agent lives on.
    """

    def __init__(self, text: str, agent: Any = None) -> None:
        super().__init__(text)
        self.agent = agent


class AgentKilled(RemudaError):
    """The agent that is awaited was ended by `kill`. One that was cancelled raises `CancelledError`."""

    def __init__(self, text: str, agent: Any = None) -> None:
        super().__init__(text)
        self.agent = agent


class AskTimeout(RemudaError, TimeoutError):
    """The time given to `ask` passed without an answer. What the agent answers later is ignored."""


class SelectTimeout(RemudaError, TimeoutError):
    """The time given to `select` passed, and no source had anything. Nothing was taken from any of them."""


class NoReply(RemudaError):
    """The request was dropped without `reply` or `fail`, by an agent that has not failed."""


class AlreadyAwaited(RemudaError, RuntimeError):
    """The same send or ask was awaited twice: make a new one for each message."""


class AlreadyReplied(RemudaError, RuntimeError):
    """`reply` or `fail` was called on a request that has its answer."""


class AlreadyResolved(RemudaError, asyncio.InvalidStateError):
    """`set_result` or `set_exception` was called on the resolver of a future that is done."""


class DeadlockDetected(RemudaError):
    """To wait here would close a circle of agents that wait for one another.

    Attributes:
        agents: The agents of the circle, the one that was about to wait first.
        message: The message that was to be sent, handed back; None if it was not about one.
    """

    def __init__(self, text: str, agents: tuple[Any, ...] = ()) -> None:
        super().__init__(text)
        self.agents = agents
        self.message: Any = None


class NoRuntime(RemudaError, RuntimeError):
    """There is no current runtime, or it has not been started: use `async with Runtime()`."""


class RuntimeStopped(RemudaError, RuntimeError):
    """The runtime is stopping or has stopped, and starts no agents any more."""


class WorkerFailed(RemudaError, RuntimeError):
    """A worker's thread could not be started, or its event loop failed; what has happened is the `__cause__`.

    `Runtime.start` raises it; an agent that was bound to the loop of a worker that failed later ends with it.
    """
