"""Making tasks and agents take turns."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Sequencer"]


class Sequencer:
    """Lets blocks of code in several agents and tasks run in a given order.

    `async with sequencer(n)` waits until the blocks 0 to n - 1 have been left. Each number is used once. The idea is
    that of `trio.testing.Sequencer`.

    Examples:
        >>> import asyncio
        >>> from remuda import testing
        >>> async def main() -> list[int]:
        ...     order: list[int] = []
        ...     turn = testing.Sequencer()
        ...
        ...     async def take(*places: int) -> None:
        ...         for place in places:
        ...             async with turn(place):
        ...                 order.append(place)
        ...
        ...     await asyncio.gather(take(1, 3), take(0, 2))
        ...     return order
        >>> testing.run(main)
        [0, 1, 2, 3]
    """

    def __init__(self) -> None:
        self._left: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._claimed: set[int] = set()
        self._broken = False

    @asynccontextmanager
    async def __call__(self, place: int) -> AsyncIterator[None]:
        """Waits for its turn; leaving the block ends it.

        Args:
            place: 0 for the block that runs first, and so on.

        Raises:
            ValueError: The place is negative, or is taken.
            RuntimeError: A block before this one was cancelled while it waited for its turn, which will never come.
        """
        if place < 0 or place in self._claimed:
            raise ValueError(f"expected a place >= 0 that is not taken, got {place}")
        self._claimed.add(place)
        if place and not self._broken:
            try:
                await self._left[place - 1].wait()
            except asyncio.CancelledError:
                self._broken = True
                for event in self._left.values():
                    event.set()
                raise
        if self._broken:
            raise RuntimeError(f"expected a turn at place {place}, but one before it was cancelled")
        try:
            yield
        finally:
            self._left[place].set()
