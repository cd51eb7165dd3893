"""`broadcast`: one message to each agent of a group."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Hashable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from remuda._kernel import (
    AgentRef,
    FrozenDict,
    Unchecked,
    Val,
    _members,
    _shareable,
    _tell,
    current_agent,
    current_runtime,
)
from remuda.durations import check_seconds
from remuda.primitives.broadcast.delivery import FAILED, TOLD, UNTOLD, Delivery, Turns
from remuda.primitives.broadcast.gossip import Gossip, integer
from remuda.primitives.broadcast.plumtree import Plumtree
from remuda.primitives.broadcast.report import BroadcastReport

if TYPE_CHECKING:
    from remuda._kernel import _AgentTakes

__all__ = ["broadcast"]

M = TypeVar("M")
H = TypeVar("H", bound=Hashable)

_TURNS: Final = Turns()

Edges = Mapping[AgentRef[Any], Iterable[AgentRef[Any]]]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for every way to spread a message."""

    broadcaster: object
    ordered: bool
    patience: float | None


@overload
def broadcast(
    agents: Iterable[AgentRef[M]],
    message: Val[M] | Unchecked[M],
    *,
    fanout: int | None = None,
    rounds: int | None = None,
    miss: float = 1e-6,
    seed: int | None = None,
    edges: Edges | None = None,
    tree: Edges | None = None,
    ordered: bool = False,
    timeout: float | None = 5.0,
) -> Coroutine[Any, Any, BroadcastReport]: ...
@overload
def broadcast(
    agents: Iterable[_AgentTakes[H, H]],
    message: H,
    *,
    fanout: int | None = None,
    rounds: int | None = None,
    miss: float = 1e-6,
    seed: int | None = None,
    edges: Edges | None = None,
    tree: Edges | None = None,
    ordered: bool = False,
    timeout: float | None = 5.0,
) -> Coroutine[Any, Any, BroadcastReport]: ...
def broadcast(
    agents: Iterable[_AgentTakes[Any, Any]],
    message: Any,
    *,
    fanout: int | None = None,
    rounds: int | None = None,
    miss: float = 1e-6,
    seed: int | None = None,
    edges: Edges | None = None,
    tree: Edges | None = None,
    ordered: bool = False,
    timeout: float | None = 5.0,
) -> Coroutine[Any, Any, BroadcastReport]:
    """Sends one message to each agent of a group; each mailbox gets it once.

    There are three ways to spread it:

    - Neither `fanout` nor `edges`: all are told at once. It is the fastest way.
    - `fanout`: gossip. In each round everybody who has the message, and the caller, tells `fanout` others, chosen by
      chance (Demers et al., "Epidemic algorithms for replicated database maintenance", 1987). All who live are reached
      with a probability of at least `1 - miss`, if no message is lost on its way: see `gossip_rounds`.
    - `edges`: along the links of a graph, as a tree that repairs itself (Leitao et al., "Epidemic broadcast trees",
      2007). The `tree` of a report saves the next broadcast the duplicates.

    The runtime plays the part of the network: agents only receive, and who is told twice gets the message once. Those
    that can't be told (they are dead, their mailbox is full, the message was lost) tell nobody.

    Nobody waits for a mailbox that is full before all others were told. Then all of those are waited for at the same
    time, for as long as `timeout`. A broadcast that is cancelled takes back what still waits; who has the message by
    then keeps it. If agents that broadcast would wait for one another in a circle, only the time-out ends that.

    Args:
        agents: The group: agents of one runtime.
        message: What nobody can change (a val, a tag, something immutable): everybody gets the same object.
        fanout: How many others each member tells in a round, from 1 to the size of the group less 1.
        rounds: With `fanout`, the most rounds of gossip; `gossip_rounds(len(agents), fanout, miss=miss)`, and more if
            members turn out to be dead or full, if not given. It ends before when nobody is left to tell.
        miss: With `fanout`, the probability that anybody is left out, at most.
        seed: With `fanout`, what decides who tells whom. In a run of `remuda.testing`, if not given, the run's seed
            does.
        edges: The neighbours of members; a link goes both ways, whichever of the two names it. The root, which is
            told first, is the caller if it is a member, otherwise the first of `agents` that takes the message.
        tree: With `edges`, the `tree` of an earlier report: over these links the message itself is sent, over the
            others only word of it. Links that are not in `edges` any more are left out.
        ordered: Whether the broadcasts of one agent, or one task, reach each member in the order in which they were
            begun to be awaited, also if the first has to wait. Only those that say so are ordered.
        timeout: Seconds to wait for room in mailboxes that are full; 0 not to wait at all, None for as long as it
            takes.

    Returns:
        An awaitable for the report: who was reached, who was not and why, and what it took.

    Raises:
        ValueError: The group is empty, has an agent twice, or agents of several runtimes; `fanout`, `rounds`, `miss` or
            `timeout` is out of its range; `edges` names one that is no member, or links one with itself; or options are
            together that don't go together.
        TypeError: A member is no agent; an option is of another type than it must be.
        NotSendable: The message can be changed, or only one can own it, such as an iso.
        NoRuntime: It is used outside of a runtime.
        RuntimeStopped: The runtime has stopped.

    Examples:
        >>> import asyncio, remuda
        >>> async def hear(mailbox: remuda.Mailbox[str]) -> str:
        ...     return await mailbox.recv()
        >>> async def main() -> None:
        ...     async with remuda.Runtime() as runtime:
        ...         agents = [runtime.spawn(hear) for _ in range(100)]
        ...         report = await remuda.broadcast(agents, "hello", fanout=3)
        ...         print(report.reached, {await agent for agent in agents})
        >>> asyncio.run(main())
        100 {'hello'}
    """
    members = _members(agents)
    payload = _shareable(message, members[0])
    check_seconds("timeout", timeout, or_none=" or None")
    _check_gossip(len(members), fanout, rounds, miss, seed)
    links = eager = None
    if edges is not None:
        if fanout is not None:
            raise ValueError("expected fanout= or edges=, got both")
        links = _linked(members, edges)
        eager = _eager(members, links, tree)
    elif tree is not None:
        raise ValueError("expected edges= beside tree=, got none")
    current_runtime()  # or it says that there is none
    terms = _Terms(_broadcaster(), ordered, timeout)
    if links is not None and eager is not None:
        return _by_tree(members, payload, links, eager, terms)
    if fanout is not None:
        return _by_gossip(members, payload, fanout, rounds, miss, seed, terms)
    return _at_once(members, payload, terms)


def _check_gossip(
    size: int, fanout: int | None, rounds: int | None, miss: float, seed: int | None
) -> None:
    if fanout is None:
        for name, value in (("rounds", rounds), ("seed", seed)):
            if value is not None:
                raise ValueError(f"expected fanout= beside {name}={value!r}, got none")
        return
    # Who is alone in its group has nobody to tell; the caller has one.
    most = max(1, size - 1)
    if not 1 <= integer("fanout", fanout) <= most:
        raise ValueError(f"expected fanout from 1 to {most} for {size} agents, got {fanout!r}")
    if rounds is not None and integer("rounds", rounds) < 1:
        raise ValueError(f"expected rounds >= 1, got {rounds!r}")
    if not 0 < _number("miss", miss) < 1:
        raise ValueError(f"expected miss as a probability between 0 and 1, got {miss!r}")
    if seed is not None:
        integer("seed", seed)


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"expected {name} as a number, got {type(value).__name__}")
    return value


def _rows(edges: Edges, name: str) -> Iterator[tuple[AgentRef[Any], list[AgentRef[Any]]]]:
    """Each agent with its neighbours."""
    if not isinstance(edges, Mapping):
        raise TypeError(
            f"expected {name} as a mapping of agents to neighbours, got {type(edges).__name__}"
        )
    for agent, neighbours in edges.items():
        _check_agent(agent, name)
        try:
            iterated = iter(neighbours)
        except TypeError:
            kind = type(neighbours).__name__
            raise TypeError(
                f"expected {name}[{agent.name}] as an iterable of agents, got {kind}"
            ) from None
        others = list(iterated)
        for other in others:
            _check_agent(other, name)
        yield agent, others


def _check_agent(agent: object, name: str) -> None:
    if not isinstance(agent, AgentRef):
        raise TypeError(f"expected agents in {name}, got {type(agent).__name__}")


def _linked(members: tuple[AgentRef[Any], ...], edges: Edges) -> list[list[int]]:
    """The neighbours of each member, by place, each once, in the order in which they were given."""
    places = {agent: place for place, agent in enumerate(members)}
    links: list[dict[int, None]] = [{} for _ in members]
    for agent, neighbours in _rows(edges, "edges"):
        one = _place(places, agent)
        for neighbour in neighbours:
            other = _place(places, neighbour)
            if one == other:
                raise ValueError(
                    f"expected edges between different agents, got {agent.name} with itself"
                )
            links[one][other] = None
            links[other][one] = None
    return [list(others) for others in links]


def _place(places: dict[AgentRef[Any], int], agent: AgentRef[Any]) -> int:
    place = places.get(agent)
    if place is None:
        raise ValueError(f"expected members of the group in edges, got {agent.name}, which is none")
    return place


def _broadcaster() -> object:
    """Whose broadcasts are ordered: the agent's or the task's that runs here, or the thread's."""
    agent = current_agent()
    if agent is not None:
        return agent
    loop = asyncio._get_running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    return threading.get_ident() if task is None else task


def _chance(seed: int | None) -> random.Random:
    if seed is None:
        # What `remuda.testing` runs has its choices there.
        chosen = getattr(asyncio.get_running_loop(), "random", None)
        if isinstance(chosen, random.Random):
            return random.Random(chosen.getrandbits(64))
    return random.Random(seed)


async def _at_once(
    members: tuple[AgentRef[Any], ...],
    payload: Any,
    terms: _Terms,
) -> BroadcastReport:
    size = len(members)
    if not terms.ordered:
        failures = _tell(members, payload)
        if not failures:
            return BroadcastReport(members=size, reached=size, pushes=size)
        delivery = Delivery(members, payload)
        delivery.note(range(size), failures)
        spread: Iterator[None] = iter(())
    else:
        delivery = Delivery(members, payload)
        spread = _all(delivery)
    await _finish(delivery, spread, terms)
    return _report(delivery, rounds=1, pushes=size)


def _all(delivery: Delivery) -> Iterator[None]:
    delivery.tell_all()
    yield from ()


async def _by_gossip(
    members: tuple[AgentRef[Any], ...],
    payload: Any,
    fanout: int,
    rounds: int | None,
    miss: float,
    seed: int | None,
    terms: _Terms,
) -> BroadcastReport:
    delivery = Delivery(members, payload)
    gossip = Gossip(
        delivery.state,
        delivery.tell,
        _chance(seed),
        fanout=fanout,
        rounds=rounds,
        miss=miss,
    )
    await _finish(delivery, gossip.run(), terms)
    return _report(
        delivery, rounds=gossip.rounds, duplicates=gossip.duplicates, pushes=gossip.pushes
    )


async def _by_tree(
    members: tuple[AgentRef[Any], ...],
    payload: Any,
    links: list[list[int]],
    eager: list[set[int]],
    terms: _Terms,
) -> BroadcastReport:
    delivery = Delivery(members, payload)
    plumtree = Plumtree(
        delivery.state,
        delivery.tell,
        links,
        eager,
        sorted(range(len(members)), key=lambda place: members[place] is not terms.broadcaster),
    )
    await _finish(delivery, plumtree.run(), terms)
    children: dict[int, list[int]] = {}
    for place, parent in plumtree.parents.items():
        if delivery.state[place] == TOLD:
            if parent < 0:
                children.setdefault(place, [])
            else:
                children.setdefault(parent, []).append(place)
    return _report(
        delivery,
        rounds=plumtree.rounds,
        duplicates=plumtree.duplicates,
        pushes=plumtree.pushes,
        announcements=plumtree.announcements,
        grafts=plumtree.grafts,
        tree=FrozenDict(
            {members[place]: delivery.agents(below) for place, below in children.items()}
        ),
    )


def _eager(
    members: tuple[AgentRef[Any], ...], links: list[list[int]], tree: Edges | None
) -> list[set[int]]:
    """All of the links, or those that are in an earlier tree, whatever has become of the others in it."""
    if tree is None:
        return [set(others) for others in links]
    places = {agent: place for place, agent in enumerate(members)}
    eager: list[set[int]] = [set() for _ in links]
    for parent, below in _rows(tree, "tree"):
        one = places.get(parent)
        for child in below:
            other = places.get(child)
            if one is not None and other is not None and other in links[one]:
                eager[one].add(other)
                eager[other].add(one)
    return eager


async def _finish(delivery: Delivery, spread: Iterator[None], terms: _Terms) -> None:
    """Tells all that are to be told, and waits for those whose mailbox was full."""
    try:
        async with _TURNS.of(terms.broadcaster) if terms.ordered else nullcontext():
            for _ in spread:
                await asyncio.sleep(0)
            if delivery.waited and terms.patience != 0:
                await delivery.park()
        if delivery.waited:
            await delivery.collect(terms.patience)
    except BaseException as reason:
        await delivery.abandon(reason)
        raise


def _report(delivery: Delivery, **counts: Any) -> BroadcastReport:
    state = delivery.state
    reached = state.count(TOLD)
    if reached == len(state) and not delivery.waited:
        return BroadcastReport(members=reached, reached=reached, **counts)
    failed = [place for place, what in enumerate(state) if what == FAILED]
    return BroadcastReport(
        members=len(state),
        reached=reached,
        failed=FrozenDict({delivery.members[place]: delivery.errors[place] for place in failed}),
        missed=delivery.agents([place for place, what in enumerate(state) if what == UNTOLD]),
        backpressured=delivery.agents(delivery.waited),
        **counts,
    )
