"""The agents: members that remember, and leaders that have them decide.

It is Paxos for each slot of a log (Lamport 2001, *Paxos made simple*), on quorums that depend on what members may do. A
ballot is an epoch of `remuda.quorum`: a member that has promised more answers with that ballot, so its vote is stale.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import remuda
from examples.quorum_consensus.history import Chosen, Phase, Proposal, Round
from remuda import AgentRef, Mailbox, QuorumNotReached, QuorumResult, Request, Vote

if TYPE_CHECKING:
    from examples.quorum_consensus.world import World

_PATIENCE = 0.3
"""Seconds that a leader waits for a quorum."""
_PAUSE = 2.0
"""Seconds that a leader waits at most before it turns to the next slot."""
_SHARE_OF_LIES = 0.7
_SHARE_OF_REFUSALS = 0.1


@dataclass(frozen=True, slots=True)
class Prepare:
    """Phase 1: to promise to take nothing of an older ballot, and to tell what was accepted."""

    leader: int
    slot: int
    ballot: int


@dataclass(frozen=True, slots=True)
class Accept:
    """Phase 2: to accept a proposal."""

    leader: int
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Promise:
    """The answer in phase 1."""

    accepted: Proposal | None


@dataclass(slots=True)
class Page:
    """What a member has written to its disk about a slot; a crash doesn't touch it."""

    promised: int = -1
    accepted: Proposal | None = None


Question: TypeAlias = Prepare | Accept
Answer: TypeAlias = Vote[Promise | str]


async def member(mailbox: Mailbox[Request[Question, Answer]], index: int, world: World) -> None:
    """Answers leaders by the rules, or if it is a liar, by none."""
    answer = lie if index in world.liars else follow
    async for request in mailbox:
        question = request.message
        if not world.reaches(question.leader, index):
            world.lost.append(request)
            continue
        world.answer(index, request, answer(index, question, world))


def follow(index: int, question: Question, world: World) -> Answer:
    """A member that keeps to the rules."""
    if isinstance(question, Prepare):
        page = world.disks[index].setdefault(question.slot, Page())
        if question.ballot <= page.promised:
            return Vote("refused", page.promised)
        page.promised = question.ballot
        return Vote(Promise(page.accepted), question.ballot)
    proposal = question.proposal
    page = world.disks[index].setdefault(proposal.slot, Page())
    if proposal.ballot < page.promised:
        return Vote("refused", page.promised)
    page.promised, page.accepted = proposal.ballot, proposal
    world.history.accepts.append((index, proposal))
    return Vote("accepted", proposal.ballot)


def lie(index: int, question: Question, world: World) -> Answer:
    """A member that promises and accepts everything, keeps nothing, and tells what was never proposed."""
    chance = world.chance
    if isinstance(question, Accept):
        world.overheard.append(question.proposal)
        return Vote("accepted", question.proposal.ballot)
    told: Proposal | None = None
    if chance.random() < _SHARE_OF_REFUSALS:
        return Vote("refused", question.ballot + chance.randrange(10**6))
    if chance.random() < _SHARE_OF_LIES:
        seal = chance.randbytes(32)
        told = Proposal(question.slot, question.ballot - 1, f"lie {chance.randrange(100)}", seal)
    elif world.overheard:
        told = chance.choice(world.overheard)  # it was sealed, maybe for another slot or long ago
    return Vote(Promise(told), question.ballot)


@dataclass(slots=True)
class Progress:
    """What a leader has written to its disk."""

    slot: int = 0
    round: int = 0
    proposed: int = 0


async def leader(mailbox: Mailbox[Any], index: int, world: World) -> None:
    """Fills the log: in each slot its own next command, unless the members know of another value."""
    progress = world.progress[index]
    while progress.slot < world.settings.slots:
        ballot = progress.round * world.settings.leaders + index
        progress.round += 1
        slot = progress.slot
        try:
            value = await _decide(index, slot, ballot, world)
        except QuorumNotReached as error:
            # As many may lie about a newer ballot as are believed to lie: one more, and it is true.
            newer = sorted((vote.epoch for vote in error.result.stale.values()), reverse=True)
            if len(newer) > world.settings.tolerated_liars:
                newest = newer[world.settings.tolerated_liars]
                progress.round = max(progress.round, newest // world.settings.leaders + 1)
            await asyncio.sleep(world.chance.uniform(0.01, 0.4))
            continue
        if value == world.command(index):
            progress.proposed += 1
        progress.slot += 1
        await asyncio.sleep(world.chance.uniform(0.0, _PAUSE))


async def _decide(index: int, slot: int, ballot: int, world: World) -> str:
    """Both phases of one ballot. Whoever gets through them knows what the slot has for ever."""
    settings = world.settings
    prepared = await _ask(index, slot, ballot, "prepare", Prepare(index, slot, ballot), world)
    known = [promise.accepted for promise in prepared.votes.values() if promise.accepted]
    if settings.mode == "byzantine":
        known = [
            told
            for told in known
            if told.slot == slot and told.ballot < ballot and world.is_sealed(told)
        ]
    if settings.broken == "forgetful-leader":
        known = []
    value = max(known, key=lambda told: told.ballot).value if known else world.command(index)
    proposal = world.sealed(Proposal(slot, ballot, value))
    await _ask(index, slot, ballot, "accept", Accept(index, proposal), world)
    world.history.chosen.append(Chosen(world.now(), index, slot, ballot, value))
    return value


async def _ask(
    index: int, slot: int, ballot: int, phase: Phase, question: Question, world: World
) -> QuorumResult[Any]:
    """Asks all members, and puts down what became of it."""
    began = world.now()
    group = tuple(world.members)
    threshold = world.settings.threshold

    def put_down(result: QuorumResult[Any], *, reached: bool) -> None:
        marks = _marks(group, result)
        told = Round(began, world.now(), index, slot, ballot, phase, reached, marks)
        world.history.rounds.append(told)

    try:
        result = await remuda.quorum(
            group, threshold, question, timeout=_PATIENCE, key=kind_of, epoch=ballot
        )
    except QuorumNotReached as error:
        put_down(error.result, reached=False)
        raise
    put_down(result, reached=True)
    return result


def kind_of(answer: Promise | str) -> str:
    """What has to be equal for votes to agree: promises do, though they tell different things."""
    return "promise" if isinstance(answer, Promise) else answer


def _marks(group: tuple[AgentRef[Any], ...], result: QuorumResult[Any]) -> str:
    """A sign for each member: agreed, refused, failed, timed out, not waited for."""
    signs = dict.fromkeys(group, "·")
    signs |= dict.fromkeys(result.votes, "●")
    signs |= dict.fromkeys((*result.dissent, *result.stale), "○")
    signs |= dict.fromkeys(result.failed, "x")
    signs |= dict.fromkeys(result.timed_out, "-")
    return "".join(signs.values())
