"""What agents, mailboxes and the runtime tell about themselves: frozen values, taken at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from remuda._kernel import AgentRef

__all__ = [
    "ChannelStatistics",
    "DeadLetter",
    "MailboxStatistics",
    "Overflow",
    "RuntimeStatistics",
    "StopReport",
    "WatermarkEvent",
    "WorkerStatistics",
]

Overflow = Literal["wait", "fail", "drop_newest", "drop_oldest"]


@dataclass(frozen=True, slots=True)
class MailboxStatistics:
    """A mailbox at one moment.

    Attributes:
        depth: Messages in it.
        capacity: How many it holds before senders wait or are refused.
        high: The depth at which it counts as above its high watermark.
        low: The depth at which it no longer does, and waiting senders go on.
        overflow: What happens to a message that finds it full.
        received: Messages that it has taken, ever.
        delivered: Messages that the agent has taken out, ever.
        dropped: Messages that its overflow policy has dropped, ever.
        waiting: Senders that wait for room.
        above_high: Whether it reached `high` and has not been down to `low` since.
        closed: Whether it takes no more messages.
    """

    depth: int
    capacity: int
    high: int
    low: int
    overflow: Overflow
    received: int
    delivered: int
    dropped: int
    waiting: int
    above_high: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """A worker's share of the scheduler at one moment; all but `depth` are counts since the start.

    What is run is counted when a slice is over: an agent that runs for long is not counted before.

    Attributes:
        runs: How often it has run an agent.
        slices: How often its event loop has let it run agents.
        busy: Seconds in them.
        idle: Seconds that were left for its event loop, or to sleep.
        depth: About how many agents are in its queue.
        searches: How often it had nothing to do, and looked for agents to steal.
        steals: How often it found some.
        stolen: The agents that it has stolen.
        parks: How often it went to sleep.
        wakes: How often another worker, or another thread, has woken it.
        batches: How often it has taken agents from the queue that all workers share.
        batched: The agents that it took from there.
        overflows: How often its own queue was full, and half of it went to the shared one.
        lifo_hits: Agents that it ran next because they were woken last.
    """

    runs: int
    slices: int
    busy: float
    idle: float
    depth: int
    searches: int
    steals: int
    stolen: int
    parks: int
    wakes: int
    batches: int
    batched: int
    overflows: int
    lifo_hits: int


@dataclass(frozen=True, slots=True)
class RuntimeStatistics:
    """A runtime at one moment.

    Attributes:
        agents: Agents that live.
        spawned: Agents that were ever started.
        ended: Agents that have ended, in whatever way.
        failed: Agents that have ended by an exception.
        messages: Messages that mailboxes have taken.
        runs: How often the scheduler has run an agent.
        slices: How often the event loop has let the scheduler run.
        dead_letters: Messages that nobody will receive.
        workers: What each worker has done, the first being the one on whose loop the runtime was started.
    """

    agents: int
    spawned: int
    ended: int
    failed: int
    messages: int
    runs: int
    slices: int
    dead_letters: int
    workers: tuple[WorkerStatistics, ...]


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """A channel at one moment.

    Attributes:
        depth: Items in it.
        capacity: How many it holds.
        senders: Ends that send, and are open.
        receivers: Ends that receive, and are open.
        senders_waiting: How many wait for room.
        receivers_waiting: How many wait for an item.
        sent: Items that it has taken.
        received: Items that were taken out of it.
        closed: Whether nothing can be sent any more.
    """

    depth: int
    capacity: int
    senders: int
    receivers: int
    senders_waiting: int
    receivers_waiting: int
    sent: int
    received: int
    closed: bool


@dataclass(frozen=True, slots=True)
class WatermarkEvent:
    """A mailbox reached its high watermark, or came down to its low one.

    Attributes:
        agent: Whose mailbox it is.
        kind: "high" or "low".
        depth: Messages in it then.
    """

    agent: AgentRef[Any]
    kind: Literal["high", "low"]
    depth: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody will receive.

    Attributes:
        agent: The name of the agent it was sent to: a letter that is kept doesn't keep the agent.
        message: The message.
        reason: Why nobody will receive it.
    """

    agent: str
    message: Any
    reason: str


@dataclass(frozen=True, slots=True)
class StopReport:
    """What `Runtime.stop` found.

    Attributes:
        drained: Agents that ended by themselves, before the deadline.
        cancelled: Names of the agents that did not, and were cancelled.
        killed: Names of those of them that did not even end then, and were killed.
        dead_letters: Messages that were left, and that nobody has received.
    """

    drained: int
    cancelled: tuple[str, ...]
    killed: tuple[str, ...]
    dead_letters: int
