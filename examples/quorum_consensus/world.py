"""The world that the agents live in: disks, links, crashes, and the run of it all."""

from __future__ import annotations

import asyncio
import functools
import hmac
import random
from dataclasses import replace
from typing import Any

from examples.quorum_consensus.history import Fault, History, Proposal, Settings
from examples.quorum_consensus.protocol import Answer, Page, Progress, Question, leader, member
from remuda import AgentRef, Mailbox, Request, Runtime, testing, unchecked

_LIMIT = 600.0
"""Seconds after which a run has failed; on the jumping clock they take no time."""


class World:
    """What the agents of a run have in common."""

    def __init__(self, runtime: Runtime, settings: Settings, chance: random.Random) -> None:
        self.runtime = runtime
        self.settings = settings
        self.chance = chance
        self.disks: list[dict[int, Page]] = [{} for _ in range(settings.members)]
        self.progress = [Progress() for _ in range(settings.leaders)]
        self.liars = frozenset(chance.sample(range(settings.members), settings.liars))
        self.cuts: set[tuple[int, int]] = set()
        self.lost: list[Request[Question, Answer]] = []
        self.overheard: list[Proposal] = []
        self.history = History(settings, self.liars)
        self._key = chance.randbytes(16)  # members never see it
        self.members = [self._member(index) for index in range(settings.members)]
        self.leaders = [self._leader(index) for index in range(settings.leaders)]

    def _member(self, index: int) -> AgentRef[Any]:
        return self.runtime.spawn(member, index, unchecked(self), name=f"member {index}")

    def _leader(self, index: int) -> AgentRef[Any]:
        return self.runtime.spawn(leader, index, unchecked(self), name=f"leader {index}")

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return asyncio.get_running_loop().time()

    def command(self, index: int) -> str:
        """What a leader wants to have in the log next."""
        command = f"{chr(65 + index)}{self.progress[index].proposed}"
        self.history.commands.add(command)
        return command

    def sealed(self, proposal: Proposal) -> Proposal:
        """The same, with the leaders' seal."""
        return replace(proposal, seal=self._seal(proposal))

    def is_sealed(self, proposal: Proposal) -> bool:
        """Whether a leader has made it."""
        return hmac.compare_digest(proposal.seal, self._seal(proposal))

    def _seal(self, proposal: Proposal) -> bytes:
        text = f"{proposal.slot} {proposal.ballot} {proposal.value}"
        return hmac.digest(self._key, text.encode(), "sha256")

    def reaches(self, who: int, index: int) -> bool:
        """Whether the link between a leader and a member is in order."""
        return (who, index) not in self.cuts

    def answer(self, index: int, request: Request[Question, Answer], answer: Answer) -> None:
        """Sends an answer on its way, which may take a while, and end at a link that is cut by then."""
        seconds = (
            self.chance.uniform(0.05, 0.6)
            if self.chance.random() < 0.15
            else self.chance.uniform(0.001, 0.02)
        )

        def arrive() -> None:
            if self.reaches(request.message.leader, index):
                request.reply(answer)
            else:
                self.lost.append(request)  # kept, as a request that goes is answered with NoReply

        asyncio.get_running_loop().call_later(seconds, arrive)

    async def crash(self, kind: Any, index: int, seconds: float) -> None:
        """A member or a leader is dead for a while, and begins again with what is on its disk."""
        agents = self.members if kind == "member" else self.leaders
        agents[index].kill()
        if kind == "member" and self.settings.broken == "forgetful-member":
            self.disks[index].clear()
        began = self.now()
        await asyncio.sleep(seconds)
        agents[index] = self._member(index) if kind == "member" else self._leader(index)
        self.history.faults.append(Fault(kind, index, began, self.now()))

    async def cut(self, index: int, seconds: float) -> None:
        """Some members don't hear a leader, nor it them."""
        some = self.chance.sample(range(self.settings.members), self.settings.members // 2 + 1)
        links = {(index, other) for other in some} - self.cuts
        self.cuts |= links
        began = self.now()
        await asyncio.sleep(seconds)
        self.cuts -= links
        self.history.faults.append(Fault("cut", index, began, self.now()))


async def chaos(mailbox: Mailbox[None], world: World) -> None:
    """Makes things go wrong until it is time to heal."""
    settings, chance = world.settings, world.chance
    busy: set[tuple[str, int]] = set()
    honest = [index for index in range(settings.members) if index not in world.liars]
    async with asyncio.TaskGroup() as group:
        while world.now() < settings.faults:
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            kind = chance.choice(("member", "member", "leader", "cut"))
            index = (
                chance.choice(honest) if kind == "member" else chance.randrange(settings.leaders)
            )
            if (kind, index) in busy:
                continue
            busy.add((kind, index))
            seconds = chance.uniform(0.1, 1.5)
            fault = (
                world.cut(index, seconds) if kind == "cut" else world.crash(kind, index, seconds)
            )
            task = group.create_task(fault)
            task.add_done_callback(functools.partial(_forget, busy, (kind, index)))


def _forget(busy: set[tuple[str, int]], fault: tuple[str, int], _: object) -> None:
    busy.discard(fault)


async def simulate(settings: Settings) -> History:
    """One run, in a loop of `remuda.testing`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, testing.DeterministicLoop)
    async with Runtime() as runtime:
        world = World(runtime, settings, random.Random(loop.random.getrandbits(64)))
        with testing.inject(runtime, drop=0.05, delay=0.3, latency=(0.001, 0.3)):
            try:
                async with asyncio.timeout(_LIMIT):
                    await runtime.spawn(chaos, unchecked(world))
                    for who in world.leaders:
                        await who
            except TimeoutError:
                pass  # the checker will say what is missing
        for who in (*world.leaders, *world.members):
            who.kill()
    return world.history


def run(seed: int, settings: Settings) -> History:
    """The run that belongs to a seed: always the same."""
    return testing.run(simulate, settings, seed=seed)
