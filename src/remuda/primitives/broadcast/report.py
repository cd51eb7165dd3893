"""What came of a broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remuda._kernel import AgentRef, FrozenDict

__all__ = ["BroadcastReport"]

_NOBODY: Final[FrozenDict[AgentRef[Any], Any]] = FrozenDict()


@dataclass(frozen=True, slots=True)
class BroadcastReport:
    """What came of a broadcast, at the moment when it returned.

    Each member is in one of three places: among those that were reached, in `failed`, or in `missed`.

    Attributes:
        members: How many agents were to be told.
        reached: How many mailboxes took the message, each of them once.
        rounds: How many rounds of telling it took; 1 if all were told at once.
        duplicates: How often a member was told that had the message already. It was not delivered again.
        failed: Those that can't be reached or had no room in time, each with the error that `send` would have raised:
            `MailboxClosed` or `MailboxFull`.
        missed: Those that live, and that nobody told: by chance, because no link leads to them, or because the message
            was lost on its way.
        backpressured: Those whose mailbox was full, so that they had to be waited for. Those that never took the
            message are in `failed` as well.
        pushes: How often one told another, all in all.
        announcements: How often one only told another that it has the message (`edges=`).
        grafts: How often one asked for the message because of that (`edges=`).
        tree: With `edges=`, who told whom first: for each that told any, those that had it from there, the root first.
            It is what a later `tree=` takes. Without `edges=` it is empty.
    """

    members: int
    reached: int
    rounds: int = 1
    duplicates: int = 0
    failed: Mapping[AgentRef[Any], Exception] = field(default=_NOBODY)
    missed: tuple[AgentRef[Any], ...] = ()
    backpressured: tuple[AgentRef[Any], ...] = ()
    pushes: int = 0
    announcements: int = 0
    grafts: int = 0
    tree: Mapping[AgentRef[Any], tuple[AgentRef[Any], ...]] = field(default=_NOBODY)

    @property
    def complete(self) -> bool:
        """Whether all were reached."""
        return self.reached == self.members
