"""What happened in a run, written down for the checker and the pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["crash", "byzantine"]
Broken: TypeAlias = Literal["no", "forgetful-leader", "forgetful-member", "small-quorum"]
Phase: TypeAlias = Literal["prepare", "accept"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is like.

    Attributes:
        mode: What members may do: crash, be slow and be cut off, or also lie.
        members: How many there are.
        liars: How many of them lie.
        leaders: How many agents fill the log, in competition.
        slots: How long the log becomes.
        faults: Seconds (of the jumping clock) until no more faults begin, and all heal.
        broken: What is done wrong on purpose.
    """

    mode: Mode = "crash"
    members: int = 5
    liars: int = 0
    leaders: int = 2
    slots: int = 4
    faults: float = 5.0
    broken: Broken = "no"

    @property
    def tolerated_liars(self) -> int:
        """How many liars the protocol stands."""
        return (self.members - 1) // 3 if self.mode == "byzantine" else 0

    @property
    def threshold(self) -> int:
        """How many make a quorum: (n + f) // 2 + 1, with no liars to stand a majority."""
        return (self.members + self.tolerated_liars) // 2 + (self.broken != "small-quorum")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a leader wants to have in a slot. Only leaders can make the seal, so members can't invent one."""

    slot: int
    ballot: int
    value: str
    seal: bytes = b""


@dataclass(frozen=True, slots=True)
class Round:
    """A leader has asked all members; `marks` has a sign for each of them."""

    began: float
    ended: float
    leader: int
    slot: int
    ballot: int
    phase: Phase
    reached: bool
    marks: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A leader knows that a slot has this value for ever."""

    at: float
    leader: int
    slot: int
    ballot: int
    value: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something was out of order for a while: a member or a leader was dead, or links were cut."""

    kind: Literal["member", "leader", "cut"]
    who: int
    began: float
    ended: float


@dataclass(slots=True)
class History:
    """All of it."""

    settings: Settings
    liars: frozenset[int] = frozenset()
    rounds: list[Round] = field(default_factory=list)
    accepts: list[tuple[int, Proposal]] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    commands: set[str] = field(default_factory=set)


def check(history: History) -> list[str]:
    """What is wrong with a run; nothing, if it is as it should be.

    It looks at what leaders have decided, and at what honest members have accepted: a proposal that a quorum has
    accepted is decided, whether any leader has heard of it or not.
    """
    settings = history.settings
    wrong: list[str] = []
    decided: dict[int, set[str]] = {slot: set() for slot in range(settings.slots)}
    for chosen in history.chosen:
        decided[chosen.slot].add(chosen.value)
    accepted: dict[Proposal, set[int]] = {}
    for who, proposal in history.accepts:
        accepted.setdefault(proposal, set()).add(who)
    correct = (settings.members + settings.tolerated_liars) // 2 + 1
    for proposal, members in accepted.items():
        if len(members) >= correct - settings.tolerated_liars:
            decided[proposal.slot].add(proposal.value)
    places: dict[str, int] = {}
    for slot, values in decided.items():
        if not values:
            wrong.append(f"progress: slot {slot} was never decided")
        if len(values) > 1:
            wrong.append(
                f"agreement: slot {slot} was decided as each of {', '.join(sorted(values))}"
            )
        for value in sorted(values):
            if value not in history.commands:
                wrong.append(f"validity: nobody has proposed {value!r}, which is in slot {slot}")
            if places.setdefault(value, slot) != slot:
                wrong.append(f"once: {value!r} is in slots {places[value]} and {slot}")
    return wrong
