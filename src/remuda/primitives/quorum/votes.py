"""Votes and what comes of them: pure bookkeeping, which knows nothing of how they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from remuda._kernel import AgentRef, FrozenDict

__all__ = ["QuorumResult", "Tally", "Vote"]

V_co = TypeVar("V_co", covariant=True)

_NOBODY: Final[FrozenDict[Any, Any]] = FrozenDict()
PLAIN: Final = frozenset({bool, bytes, complex, float, int, str, type(None)})
"""Types whose hash and == are known to do no harm."""


@dataclass(frozen=True, slots=True)
class Vote(Generic[V_co]):
    """An answer that says what it is about: a member returns it in place of a bare value.

    Attributes:
        value: What the member votes for.
        epoch: The epoch (term, ballot, view) in which it does.

    Examples:
        >>> import remuda
        >>> remuda.Vote("commit", epoch=3)
        Vote(value='commit', epoch=3)
    """

    value: V_co
    epoch: int


@dataclass(frozen=True, slots=True)
class QuorumResult(Generic[V_co]):
    """What came of a quorum. Each member is in exactly one of the places `votes` to `missing`.

    Attributes:
        value: What was agreed on, as the first of `votes` gave it; in `QuorumNotReached`, what most have voted for, or
            None.
        votes: Who agreed, in the order of the answers, with what each gave: with a key these need not be equal.
        dissent: Who voted for something else, and for what.
        failed: Who gave no vote that counts, and why: the agent is dead or died meanwhile (`MailboxClosed`,
            `AgentFailed`), had no room (`MailboxFull`), let go of the request (`NoReply`), failed it, or its vote
            can't be compared.
        stale: Who voted in another epoch, and that vote. One of a later epoch says that the caller is late.
        timed_out: Whose time was over.
        missing: Who had not answered yet when it was decided. Nobody waits for them any more.
        threshold: How many had to agree.
        epoch: The epoch that was asked about, or None.
    """

    value: V_co
    votes: Mapping[AgentRef[Any], V_co]
    dissent: Mapping[AgentRef[Any], V_co] = field(default=_NOBODY)
    failed: Mapping[AgentRef[Any], BaseException] = field(default=_NOBODY)
    stale: Mapping[AgentRef[Any], Vote[V_co]] = field(default=_NOBODY)
    timed_out: tuple[AgentRef[Any], ...] = ()
    missing: tuple[AgentRef[Any], ...] = ()
    threshold: int = 1
    epoch: int | None = None

    @property
    def reached(self) -> bool:
        """Whether enough agreed."""
        return len(self.votes) >= self.threshold


class _Group:
    """Votes that are equal."""

    __slots__ = ("mark", "value", "voters")

    def __init__(self, mark: Any, value: Any, voter: AgentRef[Any]) -> None:
        self.mark = mark
        self.value = value
        self.voters = {voter: value}


class Tally:
    """Counts votes, and says when it is decided."""

    __slots__ = (
        "best",
        "decided",
        "epoch",
        "failed",
        "groups",
        "key",
        "left",
        "others",
        "plain",
        "stale",
        "threshold",
        "timed_out",
    )

    def __init__(
        self, size: int, threshold: int, key: Callable[[Any], Any] | None, epoch: int | None
    ) -> None:
        self.threshold = threshold
        self.key = key
        self.epoch = epoch
        self.left = size
        self.best: _Group | None = None
        self.decided = False
        self.groups: list[_Group] = []
        self.plain: dict[Any, _Group] = {}
        self.others: list[_Group] = []
        self.failed: dict[AgentRef[Any], BaseException] = {}
        self.stale: dict[AgentRef[Any], Vote[Any]] = {}
        self.timed_out: list[AgentRef[Any]] = []

    def vote(self, voter: AgentRef[Any], value: Any) -> None:
        """Counts an answer."""
        if isinstance(value, Vote):
            if self.epoch is not None and value.epoch != self.epoch:
                self.stale[voter] = value
                self._lost()
                return
            value = value.value
        try:
            mark = value if self.key is None else self.key(value)
            group = self._group(mark)
        except Exception as error:  # what the key, the hash or the == of a vote has raised
            self.failed[voter] = error
            self._lost()
            return
        self.left -= 1
        if group is None:
            group = self._found(mark, value, voter)
        else:
            group.voters[voter] = value
        best = self.best
        if best is None or len(group.voters) > len(best.voters):
            self.best = best = group
        size = len(best.voters)
        self.decided = size >= self.threshold or size + self.left < self.threshold

    def fail(self, voter: AgentRef[Any], error: BaseException) -> None:
        """Notes a member that gives no vote."""
        self.failed[voter] = error
        self._lost()

    def time_out(self, voter: AgentRef[Any]) -> None:
        """Notes a member whose time is over."""
        self.timed_out.append(voter)
        self._lost()

    def _lost(self) -> None:
        self.left -= 1
        size = len(self.best.voters) if self.best is not None else 0
        self.decided = size + self.left < self.threshold

    def _group(self, mark: Any) -> _Group | None:
        """The group of those that voted the same. A vote that can't be compared with itself raises here."""
        if type(mark) in PLAIN:
            group = self.plain.get(mark)
            if group is not None:
                return group
            others = self.others
        else:
            bool(mark == mark)  # raises for what can't be compared
            others = self.groups
        for other in others:
            if _equal(mark, other.mark):
                return other
        return None

    def _found(self, mark: Any, value: Any, voter: AgentRef[Any]) -> _Group:
        group = _Group(mark, value, voter)
        self.groups.append(group)
        if type(mark) in PLAIN:
            self.plain[mark] = group
        else:
            self.others.append(group)
        return group

    def result(self, members: tuple[AgentRef[Any], ...]) -> QuorumResult[Any]:
        """What came of it."""
        best = self.best
        dissent: dict[AgentRef[Any], Any] = {}
        if len(self.groups) > 1:
            for group in self.groups:
                if group is not best:
                    dissent.update(group.voters)
        missing: tuple[AgentRef[Any], ...] = ()
        voters = FrozenDict(best.voters) if best is not None else _NOBODY
        if self.left:
            heard = {*voters, *dissent, *self.failed, *self.stale, *self.timed_out}
            missing = tuple([member for member in members if member not in heard])
        return QuorumResult(
            best.value if best is not None else None,
            voters,
            FrozenDict(dissent) if dissent else _NOBODY,
            FrozenDict(self.failed) if self.failed else _NOBODY,
            FrozenDict(self.stale) if self.stale else _NOBODY,
            tuple(self.timed_out),
            missing,
            self.threshold,
            self.epoch,
        )


def _equal(one: Any, other: Any) -> bool:
    """Whether two votes are the same. Two that can't be compared are not: each of them may be in order by itself."""
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:
        return False
