"""Puts one message into many mailboxes, waits for those that are full, and keeps the order if it is wanted.

A delivery is told whom to tell, by place in the group. None of that waits: a mailbox that is full is noted, and in the
end `park` has all that are noted waited for at the same time, each by a task of its own, and `collect` sees what came
of it. Whatever happens in between, `abandon` leaves none of those tasks behind.

The order of two broadcasts is kept by two things together. The turns of their broadcaster let the second begin when the
first has told all that it will tell, *and* its waiting sends are in the lobbies of the mailboxes. From there on the
mailboxes keep it: lobbies are served in order, and `send_nowait` overtakes nobody who waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from remuda._kernel import AgentRef, Resolver, Send, _tell, await_future
from remuda.errors import MailboxFull

__all__ = ["Delivery", "FAILED", "TOLD", "Turns", "UNTOLD", "WAITING"]  # noqa: RUF022 - plainly sorted

UNTOLD: Final = 0
TOLD: Final = 1
WAITING: Final = 2
"""The mailbox was full: the message waits for room, or is about to."""
FAILED: Final = 3


class Delivery:
    """The way of one message to the members of a group.

    Attributes:
        members: The group.
        state: What has become of it for each of them.
        errors: Why it was not taken, by place.
        waited: The places of those whose mailbox was full.
    """

    def __init__(self, members: tuple[AgentRef[Any], ...], message: Any) -> None:
        self.members = members
        self.message = message
        self.state = bytearray(len(members))
        self.errors: dict[int, Exception] = {}
        self.waited: list[int] = []
        self._tasks: dict[asyncio.Task[Exception | None], int] = {}

    def tell_all(self) -> None:
        """Gives the message to all."""
        self.note(range(len(self.members)), _tell(self.members, self.message))

    def tell(self, places: Sequence[int]) -> None:
        """Gives the message to some, none of whom has it."""
        members = self.members
        self.note(places, _tell(tuple([members[place] for place in places]), self.message))

    def note(self, places: Sequence[int], failures: list[tuple[int, Exception | None]]) -> None:
        """Sees what has become of those that were told, by what `_tell` has returned."""
        state = self.state
        if len(places) == len(state):
            state[:] = bytes((TOLD,)) * len(state)
        else:
            for place in places:
                state[place] = TOLD
        for index, error in failures:
            place = places[index]
            if error is None:
                state[place] = UNTOLD
                continue
            self.errors[place] = error
            if (
                isinstance(error, MailboxFull)
                and self.members[place].statistics().overflow == "wait"
            ):
                state[place] = WAITING
                self.waited.append(place)
            else:
                state[place] = FAILED

    async def park(self) -> None:
        """Begins to wait for room in the mailboxes that were full; returns when each of these waits has begun."""
        loop = asyncio.get_running_loop()
        for place in self.waited:
            task = loop.create_task(self._send(self.members[place]))
            self._tasks[task] = place
        # What is to be called soon is called in order: the tasks have made their first step when this is.
        begun = loop.create_future()
        loop.call_soon(_resolve, begun)
        await begun

    async def _send(self, agent: AgentRef[Any]) -> Exception | None:
        sending = cast("Send", agent.send(self.message))
        try:
            await sending
        except asyncio.CancelledError:
            if not sending._sent:
                raise
        except Exception as error:
            return error
        return None

    async def collect(self, patience: float | None) -> None:
        """Waits until those that were full have taken the message, or the time is over.

        Args:
            patience: Seconds; None for as long as it takes.
        """
        if not self._tasks:
            for place in self.waited:
                self.state[place] = FAILED
            return
        _, late = await asyncio.wait(self._tasks, timeout=patience)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        for task, place in self._tasks.items():
            if task.cancelled():
                self.state[place] = FAILED  # of the mailbox that was full
            elif (error := task.result()) is not None:
                self.state[place] = FAILED
                self.errors[place] = error
            else:
                self.state[place] = TOLD
                del self.errors[place]
        self._tasks.clear()

    async def abandon(self, reason: BaseException) -> None:
        """Takes back what still waits.

        Args:
            reason: Who is killed can't await any more; the tasks end by themselves then.
        """
        late = [task for task in self._tasks if not task.done()]
        for task in late:
            task.cancel()
        if late and isinstance(reason, asyncio.CancelledError):
            await asyncio.wait(late)

    def agents(self, places: Iterable[int]) -> tuple[AgentRef[Any], ...]:
        """The members at these places."""
        return tuple([self.members[place] for place in places])


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Turns:
    """Lets one broadcast of each broadcaster tell at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A broadcaster is in here while one of its broadcasts has the turn; the others wait in its line.
        self._lines: dict[object, deque[Resolver[None]]] = {}

    @asynccontextmanager
    async def of(self, broadcaster: object) -> AsyncIterator[None]:
        """Waits for the turn, and has it inside of the block. The broadcasts may run in different threads."""
        await self._enter(broadcaster)
        try:
            yield
        finally:
            self._leave(broadcaster)

    async def _enter(self, broadcaster: object) -> None:
        resolver: Resolver[None]
        resolver, turn = await_future()
        with self._lock:
            line = self._lines.get(broadcaster)
            if line is None:
                self._lines[broadcaster] = deque()
                return
            line.append(resolver)
        try:
            await turn
        except BaseException:
            with self._lock:
                waits = resolver in line
                if waits:
                    line.remove(resolver)
            if not waits:
                self._leave(broadcaster)  # the turn was given just before
            raise

    def _leave(self, broadcaster: object) -> None:
        with self._lock:
            line = self._lines[broadcaster]
            if not line:
                del self._lines[broadcaster]
                return
            successor = line.popleft()
        successor.set_result(None)

    def __len__(self) -> int:
        return len(self._lines)
