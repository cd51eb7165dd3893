"""An envelope: a message with what is to be known beside it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, cast, get_args

from remuda._kernel import FrozenDict, Iso, Val
from remuda.capabilities import freeze
from remuda.durations import check_seconds
from remuda.scheduling import Priority

__all__ = ["Message"]

T_co = TypeVar("T_co", covariant=True)

_PRIORITIES: Final = get_args(Priority)
_NO_HEADERS: Final[FrozenDict[str, Any]] = FrozenDict()


@dataclass(frozen=True, slots=True, init=False)
class Message(Generic[T_co]):
    """A payload, how urgent it is, how long it is worth handling, and headers.

    Any sendable object is a message; this one is for those who want to tell more. Remuda carries what is in it, and
    leaves the order of a mailbox alone: the receiver decides what to do with a message that is late, or urgent. An iso
    as the payload is moved, as in any frozen instance: the receiver's message has a fresh one.

    Attributes:
        payload: The object.
        priority: "low", "normal" or "high".
        expires: When it is worthless, on the clock of the event loop (`time.monotonic()` where none runs); `inf` if
            never.
        headers: What else there is to say, by name.

    Examples:
        >>> import asyncio, remuda
        >>> async def clerk(mailbox: remuda.Mailbox[remuda.Message[str]]) -> None:
        ...     async for message in mailbox:
        ...         if not message.expired:
        ...             print(message.headers["from"], "says", message.payload)
        >>> async def main() -> None:
        ...     async with remuda.Runtime() as runtime:
        ...         agent = runtime.spawn(clerk)
        ...         await agent.send(
        ...             remuda.Message("hello", deadline=60.0, headers={"from": "Ada"})
        ...         )
        ...         await agent.send(remuda.Message("too late", deadline=0.0))
        ...         await agent.stop()
        >>> asyncio.run(main())
        Ada says hello
    """

    payload: T_co
    priority: Priority = "normal"
    expires: float = math.inf
    headers: FrozenDict[str, Any] = field(default=_NO_HEADERS)

    def __init__(
        self,
        payload: T_co,
        *,
        priority: Priority = "normal",
        deadline: float | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes an envelope.

        Args:
            payload: What it is about.
            priority: How urgent it is.
            deadline: Seconds from now after which nobody needs it any more; None for never.
            headers: What else there is to say; it is frozen.

        Raises:
            ValueError: The priority is unknown, or the deadline negative.
            NotSendable: A header can't be frozen.
        """
        if priority not in _PRIORITIES:
            known = ", ".join(map(repr, _PRIORITIES))
            raise ValueError(f"expected priority to be one of {known}, got {priority!r}")
        check_seconds("deadline", deadline, or_none=" or None")
        set_field = object.__setattr__
        set_field(self, "payload", payload)
        set_field(self, "priority", priority)
        set_field(self, "expires", math.inf if deadline is None else _now() + deadline)
        set_field(self, "headers", freeze(dict(headers)) if headers else _NO_HEADERS)

    @property
    def remaining(self) -> float:
        """Seconds until it expires; 0 if it has, `inf` if it never does."""
        return max(0.0, self.expires - _now())

    @property
    def expired(self) -> bool:
        """Whether its deadline has passed."""
        return self.expires <= _now()

    def share(self) -> Message[Any]:
        """The same message with its payload frozen, which may be sent to many. An iso in it is given away.

        Returns:
            The message; itself, if nobody can change its payload.

        Raises:
            NotSendable: The payload can't be frozen.
            MovedError: The iso in it is empty.
        """
        payload = self.payload
        if isinstance(payload, Iso):
            shared = payload.share().value
        elif isinstance(payload, Val):
            shared = payload.value
        else:
            shared = freeze(payload)
        return self if shared is payload else self.with_payload(shared)

    def with_payload(self, payload: Any) -> Message[Any]:
        """The same envelope around something else, as for an answer or the next step.

        Args:
            payload: What it is about.

        Returns:
            Another message that expires at the same time.
        """
        other = cast("Message[Any]", object.__new__(type(self)))
        set_field = object.__setattr__
        set_field(other, "payload", payload)
        set_field(other, "priority", self.priority)
        set_field(other, "expires", self.expires)
        set_field(other, "headers", self.headers)
        return other


def _now() -> float:
    loop = asyncio._get_running_loop()
    return time.monotonic() if loop is None else loop.time()
