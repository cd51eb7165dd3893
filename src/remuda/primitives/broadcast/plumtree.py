"""Who tells whom where links are given: along a tree at once, and over the other links only that there is something.

It is Leitao, Pereira and Rodrigues, "Epidemic broadcast trees" (Plumtree; SRDS 2007). A link is eager or lazy. Who
gets the message first sends it over its eager links, and announces it over its lazy ones (IHAVE). Who gets it twice
makes that link lazy (PRUNE), so that from links that are all eager a tree is left. Who hears of a message that does not
come, because one that should have sent it failed, asks for it, and makes that link eager (GRAFT): the tree has repaired
itself.

A round is one hop. The paper's timers, after which one asks for what was announced, are rounds too: one asks when
nothing is on its way any more, which is when the longest of those timers would have run out.

As in `gossip`, members are places, and a function tells some of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from remuda.primitives.broadcast.delivery import FAILED, TOLD, UNTOLD

__all__ = ["Plumtree"]

_SOURCE = -1
"""The broadcaster, who tells the root."""


class Plumtree:
    """The spread of one message.

    Attributes:
        rounds: How many hops there were.
        pushes: How often one told another.
        duplicates: How often it told one that had the message; each makes a link lazy.
        announcements: How often one told another only that it has the message.
        grafts: How often one asked for it.
        parents: Who told each, by place; -1 for the root.
    """

    def __init__(
        self,
        state: bytearray,
        tell: Callable[[Sequence[int]], None],
        links: Sequence[Sequence[int]],
        eager: Sequence[set[int]],
        roots: Iterable[int],
    ) -> None:
        self.rounds = self.pushes = self.duplicates = self.announcements = self.grafts = 0
        self.parents: dict[int, int] = {}
        self._state = state
        self._tell = tell
        self._links = links
        self._eager = eager
        self._roots = roots
        self._heard: dict[int, deque[int]] = {}

    def run(self) -> Iterator[None]:
        """Runs hop after hop until nothing is left to tell; yields where others may run."""
        fresh: list[int] = []
        for root in self._roots:
            fresh = self._push([(_SOURCE, root)])
            yield
            if fresh:
                break
        while pushes := self._forward(fresh) or self._graft():
            fresh = self._push(pushes)
            yield

    def _forward(self, fresh: list[int]) -> list[tuple[int, int]]:
        """What those do who have the message since the last round."""
        pushes: list[tuple[int, int]] = []
        for place in fresh:
            eager = self._eager[place]
            for other in self._links[place]:
                if other == self.parents[place]:
                    continue
                if other in eager:
                    pushes.append((place, other))
                    continue
                self.announcements += 1
                if self._state[other] == UNTOLD:
                    self._heard.setdefault(other, deque()).append(place)
        return pushes

    def _graft(self) -> list[tuple[int, int]]:
        """Nothing is on its way: who has heard of the message asks the first who said so, and next time another one."""
        pushes: list[tuple[int, int]] = []
        for place, sayers in list(self._heard.items()):
            if self._state[place] == UNTOLD and sayers:
                sayer = sayers.popleft()
                self.grafts += 1
                self._eager[place].add(sayer)
                self._eager[sayer].add(place)
                pushes.append((sayer, place))
            else:
                del self._heard[place]
        return pushes

    def _push(self, pushes: list[tuple[int, int]]) -> list[int]:
        """All that is told in one round, which is at the same time. Returns those who got it and will forward it."""
        state = self._state
        self.rounds += 1
        self.pushes += len(pushes)
        tellers: dict[int, deque[int]] = {}
        for teller, place in pushes:
            if state[place] == UNTOLD:
                tellers.setdefault(place, deque()).append(teller)
            else:
                self._again(teller, place)
        fresh: list[int] = []
        while tellers:
            self._tell(list(tellers))
            for place, left in list(tellers.items()):
                teller = left.popleft()
                if state[place] != UNTOLD:
                    if state[place] != FAILED:
                        self.parents[place] = teller
                    if state[place] == TOLD:
                        fresh.append(place)
                    for other in left:
                        self._again(other, place)
                if state[place] != UNTOLD or not left:
                    del tellers[place]
        return fresh

    def _again(self, teller: int, place: int) -> None:
        """One who has the message is told once more: PRUNE."""
        if self._state[place] == FAILED:
            return
        self.duplicates += 1
        self._eager[place].discard(teller)
        self._eager[teller].discard(place)
