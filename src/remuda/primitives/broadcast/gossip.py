"""Who tells whom by chance: in each round, everybody who knows tells some others, whether they know or not.

It is the push of Demers et al., "Epidemic algorithms for replicated database maintenance" (PODC 1987), with a fanout, as
in Eugster et al., "Lightweight probabilistic broadcast" (lpbcast; ACM TOCS 21:4, 2003): who knows goes on telling until
the last round ("infect forever").

Nothing is known here of agents: members are places in a group, and a function tells some of them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

from remuda.primitives.broadcast.delivery import FAILED, TOLD, UNTOLD, WAITING

__all__ = ["Gossip", "gossip_rounds"]

_SLACK = 2
"""Rounds that the middle of the spread takes beyond the two terms: when half know, many are told twice."""
_STRETCH = 2048
"""So many tell before others may run."""


def gossip_rounds(members: int, fanout: int, *, miss: float = 1e-6, forwarding: float = 1.0) -> int:
    """How many rounds of gossip reach all members, but for a small probability.

    It is `log(n + 1) / log(1 + f) + (ln n + ln(1 / miss)) / f`, and 2. The first term is the growth: each who knows makes
    1 + f of them, while few know. The second is the rest: when nearly all know, a member is left out of one more round
    with a probability of `(1 - f / (n - 1)) ** (n - 1) <= exp(-f)`, so that after `k` such rounds the expected number
    of those left out, which bounds the probability that there are any, is at most `n * exp(-f * k)`. The terms are
    those of Pittel, "On spreading a rumor" (SIAM J. Appl. Math. 47:1, 1987) for a fanout of 1, and of Eugster et al.,
    "From epidemics to distributed computing" (IEEE Computer 37:5, 2004) for any.

    Args:
        members: How many are to be told, by one who is none of them.
        fanout: How many each tells in a round.
        miss: The probability that anybody is left out, at most.
        forwarding: The share of the members that tell others; those that are dead, or whose mailbox is full, don't.

    Returns:
        The number of rounds. It grows with the logarithm of `members`.

    Raises:
        ValueError: `members` or `fanout` is less than 1, or one of the shares not from 0 to 1.

    Examples:
        >>> import remuda
        >>> [remuda.gossip_rounds(n, 3) for n in (10, 100, 1_000, 10_000)]
        [10, 12, 14, 17]
    """
    if members < 1:
        raise ValueError(f"expected members >= 1, got {members!r}")
    if fanout < 1:
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

    def run(self) -> Iterator[None]:
        """Runs round after round until all were told, or the rounds are over; yields where others may run."""
        state = self._state
        while UNTOLD in state and self.rounds < self._most():
            self.rounds += 1
            pushers = [place for place, what in enumerate(state) if what == TOLD]
            picks: list[int] = []
            self._pick(-1, picks)  # the broadcaster, who is none of the members
            for number, pusher in enumerate(pushers, 1):
                self._pick(pusher, picks)
                if number % _STRETCH == 0:
                    yield
            self._push(picks)
            yield

    def _most(self) -> int:
        """The last round: more are needed, the more of the members don't forward."""
        if self._limit is not None:
            return self._limit
        size = len(self._state)
        quiet = self._state.count(FAILED) + self._state.count(WAITING)
        share = max(1, size - quiet) / size
        return gossip_rounds(size, self._fanout, miss=self._miss, forwarding=share)

    def _pick(self, pusher: int, picks: list[int]) -> None:
        """Adds as many others as are told by one: all different, each as likely as any."""
        others = len(self._state) - (pusher >= 0)
        fanout = self._fanout
        if fanout * 2 > others:
            chosen = set(self._chance.sample(range(others), min(fanout, others)))
        else:
            number = self._chance.random
            chosen = {int(number() * others) for _ in range(fanout)}
            while len(chosen) < fanout:
                chosen.add(int(number() * others))
        if pusher < 0:
            picks.extend(chosen)
        else:
            picks.extend([place + (place >= pusher) for place in chosen])

    def _push(self, picks: list[int]) -> None:
        """All that is told in one round, which is at the same time."""
        state = self._state
        self.pushes += len(picks)
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
