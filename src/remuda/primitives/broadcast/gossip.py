"""Who tells whom by chance: in each round, everybody who knows tells some others, whether they know or not.

It is the push of Demers et al., "Epidemic algorithms for replicated database maintenance" (PODC 1987), with a fanout,
as in Eugster et al., "Lightweight probabilistic broadcast" (lpbcast; ACM TOCS 21:4, 2003): who knows goes on telling
until the last round ("infect forever").

Nothing is known here of agents: members are places in a group, and a function tells some of them.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from remuda.primitives.broadcast.delivery import FAILED, TOLD, UNTOLD, WAITING

__all__ = ["Gossip", "gossip_rounds", "integer"]

_KNOWS: Final = {UNTOLD: False, TOLD: True, WAITING: True, FAILED: False}
_SLACK: Final = 2
"""Rounds that the middle of the spread takes beyond the two terms: when half know, many are told twice."""


def integer(name: str, value: object) -> int:
    """An argument that must be an int, and no bool."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected {name} as an int, got {type(value).__name__}")
    return value


def gossip_rounds(members: int, fanout: int, *, miss: float = 1e-6, forwarding: float = 1.0) -> int:
    """How many rounds of gossip reach all members, but for a small probability.

    It is `ln(n + 1) / ln(1 + f) + (ln n + ln(1 / miss)) / f`, rounded up, and 2. The first term is the growth: while
    few know, each of them makes 1 + f. The second is the rest: when nearly all know, a member is left out of one more
    round with a probability of `(1 - f / (n - 1)) ** (n - 1) <= exp(-f)`, so that after `k` such rounds the expected
    number of those left out, which bounds the probability that there are any, is at most `n * exp(-f * k)`. The 2 are
    for the middle, when many are told twice. The terms are those of Pittel, "On spreading a rumor" (SIAM J. Appl. Math.
    47:1, 1987) for a fanout of 1, and of Eugster et al., "From epidemics to distributed computing" (IEEE Computer 37:5,
    2004) for any.

    Args:
        members: How many are to be told, by one who is none of them.
        fanout: How many each tells in a round.
        miss: The probability that anybody is left out, at most.
        forwarding: The share of the members that tell others; those that are dead, or whose mailbox is full, don't.

    Returns:
        The number of rounds. It grows with the logarithm of `members`.

    Raises:
        ValueError: `members` or `fanout` is less than 1, or one of the shares not from 0 to 1.
        TypeError: `members` or `fanout` is no int.

    Examples:
        >>> import remuda
        >>> [remuda.gossip_rounds(n, 3) for n in (10, 100, 1_000, 10_000)]
        [10, 12, 14, 17]
    """
    if integer("members", members) < 1:
        raise ValueError(f"expected members >= 1, got {members!r}")
    if integer("fanout", fanout) < 1:
        raise ValueError(f"expected fanout >= 1, got {fanout!r}")
    if not 0 < miss < 1:
        raise ValueError(f"expected miss as a probability between 0 and 1, got {miss!r}")
    if not 0 < forwarding <= 1:
        raise ValueError(f"expected forwarding as a share from 0 to 1, got {forwarding!r}")
    reach = fanout * forwarding
    growth = math.log(members + 1) / math.log1p(reach)
    rest = (math.log(members) - math.log(miss)) / reach
    return math.ceil(growth + rest) + _SLACK


class Gossip:
    """The spread of one message.

    Attributes:
        rounds: How many there were.
        pushes: How often one told another.
        duplicates: How often it told one that had the message.
    """

    def __init__(
        self,
        state: bytearray,
        tell: Callable[[Sequence[int]], None],
        chance: random.Random,
        *,
        fanout: int,
        rounds: int | None,
        miss: float,
    ) -> None:
        self.rounds = self.pushes = self.duplicates = 0
        self._state = state
        self._tell = tell
        self._chance = chance
        self._fanout = fanout
        self._limit = rounds
        self._miss = miss
        self._marked = list(range(len(state)))

    def run(self) -> Iterator[None]:
        """Runs round after round until all were told, or the rounds are over; yields where others may run."""
        state = self._state
        size = len(state)
        while UNTOLD in state and self.rounds < self._most():
            self.rounds += 1
            pushers = state.count(TOLD)
            self.pushes += min(self._fanout, size) + pushers * self._fanout
            picks = self._chance.sample(range(size), self._fanout)  # the broadcaster's own
            picks += self._picks_of(pushers)
            self._push(picks)
            if UNTOLD in state:
                yield

    def _most(self) -> int:
        """The last round: more are needed, the more of the members don't forward."""
        if self._limit is not None:
            return self._limit
        size = len(self._state)
        quiet = self._state.count(FAILED) + self._state.count(WAITING)
        share = max(1, size - quiet) / size
        return gossip_rounds(size, self._fanout, miss=self._miss, forwarding=share)

    def _picks_of(self, pushers: int) -> list[int]:
        """Whom those members tell who know: of their picks, the ones that don't know, or are dead.

        Each picks `fanout` of all others, all as likely. Which of those who know are picked makes no difference, but
        for their number. So it is drawn how many pushers pass until one picks anybody else, and then how many of its
        picks are such, which has the same probabilities as picking one by one, and takes as long as there are such
        picks: in the late rounds, which have the most pushers, next to none.
        """
        if not pushers:
            return []
        marked = self._marked = [place for place in self._marked if not _KNOWS[self._state[place]]]
        none, *some = _chances(len(self._state) - 1, len(marked), self._fanout)
        reach = list(itertools.accumulate(some))
        most = len(reach) - 1
        pass_by = 1 / math.log(none) if 0 < none < 1 else 0.0
        number = self._chance.random
        picks: list[int] = []
        pusher = int(math.log(1 - number()) * pass_by)
        while pusher < pushers:
            count = min(bisect.bisect(reach, number() * reach[-1]), most) + 1
            if count == 1:
                picks.append(marked[int(number() * len(marked))])
            elif count * 4 > len(marked):
                picks += self._chance.sample(marked, count)
            else:
                chosen: set[int] = set()
                while len(chosen) < count:
                    chosen.add(marked[int(number() * len(marked))])
                picks += chosen
            pusher += 1 + int(math.log(1 - number()) * pass_by)
        self.duplicates += pushers * self._fanout - len(picks)
        return picks

    def _push(self, picks: list[int]) -> None:
        """All that is told in one round, which is at the same time."""
        state = self._state
        tries: dict[int, int] = {}
        for place in picks:
            if state[place] == UNTOLD:
                tries[place] = tries.get(place, 0) + 1
            elif state[place] != FAILED:
                self.duplicates += 1
        # What is lost on its way may come from another of those who tell the same member.
        while tries:
            self._tell(list(tries))
            for place in list(tries):
                tries[place] -= 1
                if state[place] != UNTOLD:
                    again = tries.pop(place)
                    self.duplicates += again if state[place] != FAILED else 0
                elif not tries[place]:
                    del tries[place]


def _chances(others: int, marked: int, picked: int) -> list[float]:
    """How likely it is that none, one, two ... of those that are picked are marked: hypergeometric."""
    every = _log_ways(others, picked)
    return [
        math.exp(_log_ways(marked, count) + _log_ways(others - marked, picked - count) - every)
        if picked - count <= others - marked
        else 0.0
        for count in range(min(marked, picked) + 1)
    ]


def _log_ways(size: int, picked: int) -> float:
    """The logarithm of the number of ways to pick so many."""
    return math.lgamma(size + 1) - math.lgamma(picked + 1) - math.lgamma(size - picked + 1)
