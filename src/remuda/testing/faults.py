"""Faults on purpose: messages that are lost, come twice or come late, and agents that crash."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from remuda.agent import AgentRef, current_agent
from remuda.mailbox import Request
from remuda.runtime import Runtime
from remuda.testing.loop import DeterministicLoop

__all__ = ["FaultStatistics", "Faults", "InjectedCrash", "crash", "inject"]


class InjectedCrash(Exception):
    """What `crash` raises in an agent."""


@dataclass(frozen=True, slots=True)
class FaultStatistics:
    """What was done to messages so far.

    Attributes:
        seen: Messages that were on their way.
        dropped: Those that were lost.
        duplicated: Those that were delivered twice.
        delayed: Those that were delivered later.
        crashes: Agents that were crashed.
    """

    seen: int
    dropped: int
    duplicated: int
    delayed: int
    crashes: int


class Faults:
    """What `inject` returns: counts, and an end to it all. As a context manager it ends with its block."""

    def __init__(
        self,
        runtime: Runtime,
        chance: random.Random,
        rates: tuple[float, float, float, float],
        latency: tuple[float, float],
        when: Callable[[AgentRef[Any], Any], bool] | None,
    ) -> None:
        self._runtime = runtime
        self._chance = chance
        self._drop, self._duplicate, self._delay, self._crash = rates
        self._latency = latency
        self._when = when
        self._lost: list[Any] = []
        self._seen = self._dropped = self._duplicated = self._delayed = self._crashes = 0
        runtime._intercept(self._on_message)

    def statistics(self) -> FaultStatistics:
        """What was done so far."""
        return FaultStatistics(
            self._seen, self._dropped, self._duplicated, self._delayed, self._crashes
        )

    def remove(self) -> None:
        """Messages go undisturbed from now on; those that are late still come."""
        self._runtime._intercept(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def _on_message(self, agent: AgentRef[Any], message: Any) -> bool | Literal["lost"]:
        """Called for each message. Returns whether it was taken, and "lost" if it was for good."""
        what = message.message if isinstance(message, Request) else message
        if current_agent() is agent or (self._when is not None and not self._when(agent, what)):
            return False
        self._seen += 1
        # One number decides one thing: whether there is a crash changes nothing about what happens to the message.
        crashes = self._chance.random() < self._crash
        fate = self._chance.random()
        loop = agent.get_loop()
        here = asyncio._get_running_loop() is loop
        if crashes and here and crash(agent):
            self._crashes += 1
        if fate < self._drop:
            self._dropped += 1
            # Kept, because a request that goes is answered with NoReply, and the asker would know.
            self._lost.append(message)
            return "lost"
        fate -= self._drop
        if fate < self._delay:
            self._delayed += 1
            seconds = self._chance.uniform(*self._latency)
            if here:
                loop.call_later(seconds, agent._deliver, message)
            else:
                loop.call_soon_threadsafe(loop.call_later, seconds, agent._deliver, message)
            return True
        fate -= self._delay
        if fate < self._duplicate and not isinstance(message, Request):
            self._duplicated += 1
            agent._deliver(message)
        return False


def inject(
    runtime: Runtime,
    *,
    drop: float = 0.0,
    duplicate: float = 0.0,
    delay: float = 0.0,
    crash: float = 0.0,
    latency: tuple[float, float] = (0.001, 0.1),
    when: Callable[[AgentRef[Any], Any], bool] | None = None,
    seed: int | None = None,
) -> Faults:
    """Makes the messages between a runtime's agents as unreliable as a network.

    What an agent sends to itself, and answers, are left alone. A lost request is never answered: ask with a timeout. A
    request is not duplicated. A late message passes the mailbox's bound, and may overtake others.

    Args:
        runtime: Whose messages.
        drop: The share of messages that are lost, from 0 to 1.
        duplicate: The share that is delivered twice.
        delay: The share that comes late.
        crash: The share of messages whose receiver crashes with `InjectedCrash`, before or while it handles them; those
            from other threads crash nobody.
        latency: How late a late message is at least, and at most, in seconds.
        when: Called with the receiver and the message (of a request, what was asked); only where it returns true is
            anything done.
        seed: What decides; the loop's own choices, if not given and the loop is a `DeterministicLoop`.

    Returns:
        What counts the faults and ends them. A runtime has one at a time: the last one.

    Raises:
        ValueError: A share is not from 0 to 1, `drop`, `delay` and `duplicate` are more than 1 together, or the
            latency is not `0 <= least <= most`.

    Examples:
        >>> import remuda
        >>> from remuda import testing
        >>> async def count(mailbox: remuda.Mailbox[int]) -> int:
        ...     return len([message async for message in mailbox])
        >>> async def main() -> bool:
        ...     async with remuda.Runtime() as runtime:
        ...         agent = runtime.spawn(count)
        ...         with testing.inject(runtime, drop=0.5) as faults:
        ...             for number in range(100):
        ...                 await agent.send(number)
        ...         await agent.stop()
        ...         return await agent + faults.statistics().dropped == 100
        >>> testing.run(main)
        True
    """
    for name, share in (
        ("drop", drop),
        ("duplicate", duplicate),
        ("delay", delay),
        ("crash", crash),
    ):
        if not 0 <= share <= 1:
            raise ValueError(f"expected {name} to be a share from 0 to 1, got {share!r}")
    if drop + delay + duplicate > 1:
        raise ValueError(
            f"expected drop + delay + duplicate <= 1, got {drop} + {delay} + {duplicate}"
        )
    least, most = latency
    if not 0 <= least <= most:
        raise ValueError(f"expected latency as 0 <= least <= most (seconds), got {latency!r}")
    chance = random.Random(seed)
    if seed is None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, DeterministicLoop):
            chance = random.Random(loop.random.getrandbits(64))
    return Faults(runtime, chance, (drop, duplicate, delay, crash), latency, when)


def crash(agent: AgentRef[Any], error: BaseException | None = None) -> bool:
    """Raises an error in an agent, at the point where it waits, or before its next step.

    Called in the runtime's own thread. What an agent waits for is forgotten; it may catch the error, like any other.

    Args:
        agent: Which agent.
        error: What is raised; an `InjectedCrash`, if not given.

    Returns:
        Whether the agent still lived.
    """
    if error is None:
        error = InjectedCrash(f"{agent.name} was crashed on purpose")
    return agent._crash(error)
