"""Agents written as classes, and the agent that runs the calling code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from remuda._kernel import AgentRef, current_agent, signal
from remuda.errors import NoRuntime

__all__ = ["Agent", "AgentRef", "current_agent", "signal"]

M = TypeVar("M")


class Agent(ABC, Generic[M]):
    """The base of agents that are classes: `receive` is called for each message, one at a time.

    It is a convenience for type checkers; `spawn` takes any class, or object, with a `receive`.

    Examples:
        >>> import asyncio, remuda
        >>> class Counter(remuda.Agent[int]):
        ...     def __init__(self) -> None:
        ...         self.total = 0
        ...
        ...     def receive(self, message: int) -> int:
        ...         self.total += message
        ...         return self.total
        >>> async def main() -> int:
        ...     async with remuda.Runtime() as runtime:
        ...         counter = runtime.spawn(Counter)
        ...         await counter.send(40)
        ...         return await counter.ask(2)
        >>> asyncio.run(main())
        42
    """

    @abstractmethod
    def receive(self, message: M, /) -> Any:
        """Handles one message.

        A plain `def` is the cheapest kind of agent: no coroutine is kept. As `async def` it may await anything; the
        next message is handed over when it has returned.

        Args:
            message: The message; of a request only what was asked, not the request around it.

        Returns:
            The answer, if the message came by `ask`; otherwise it is ignored.

        Raises:
            Exception: Whatever it raises ends the agent as failed; one who asked gets `AgentFailed` from it.
        """

    @property
    def me(self) -> AgentRef[M]:
        """The agent's own reference.

        Raises:
            NoRuntime: It was looked at from outside of `receive`.
        """
        agent = current_agent()
        if agent is None:
            raise NoRuntime("expected `me` to be used inside receive, found no agent running")
        return agent
