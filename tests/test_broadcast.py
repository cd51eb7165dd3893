"""Broadcasts: to all at once, by gossip and along a tree; who is slow, dead or lied about; and what the report says."""

import asyncio
import functools
import gc
import itertools
import math
import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import remuda
from remuda import testing, unchecked
from remuda.primitives.broadcast.call import _TURNS
from remuda.primitives.broadcast.delivery import FAILED, TOLD, UNTOLD, Delivery
from remuda.primitives.broadcast.gossip import Gossip
from tests.support import Log, collect, hold, in_an_agent, in_runtime, settle

WAYS: list[dict[str, Any]] = [{}, {"fanout": 3}, {"ordered": True}, {"fanout": 2, "ordered": True}]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test no broadcaster has a turn, or waits for one."""
    yield
    assert len(_TURNS) == 0


class Hears:
    """An agent that counts what it gets."""

    def __init__(self, heard: Log) -> None:
        self.heard = heard

    def receive(self, message: Any) -> None:
        self.heard.append(message)


def group(runtime: remuda.Runtime, size: int) -> tuple[list[remuda.AgentRef[Any]], list[Log]]:
    """Agents, and what each of them has heard."""
    logs: list[Log] = [[] for _ in range(size)]
    return [runtime.spawn(Hears, unchecked(log)) for log in logs], logs


def ring(agents: Sequence[remuda.AgentRef[Any]]) -> dict[Any, list[Any]]:
    """Edges from each to the next."""
    return {agent: [agents[(place + 1) % len(agents)]] for place, agent in enumerate(agents)}


def web(agents: Sequence[remuda.AgentRef[Any]], seed: int, links: int = 3) -> dict[Any, list[Any]]:
    """A connected graph: a ring, and links by chance."""
    chance = random.Random(seed)
    edges = ring(agents)
    for agent in agents:
        edges[agent] += chance.sample([other for other in agents if other is not agent], links)
    return edges


# Reaching all


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("size", [5, 100])
def test_all_get_the_message_once(options: dict[str, Any], size: int) -> None:
    """Each mailbox of the group gets the very object, once, whichever way it is spread."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, logs = group(runtime, size)
        message = ("news", 1)
        report = await remuda.broadcast(agents, message, **options)
        await settle(runtime)
        assert report.complete
        assert report.members == report.reached == size
        assert report.failed == {}
        assert report.missed == report.backpressured == ()
        assert report.pushes == report.reached + report.duplicates
        assert all(len(log) == 1 and log[0] is message for log in logs)

    check()


@in_runtime
async def test_at_once_is_one_round(runtime: remuda.Runtime) -> None:
    """Without a fanout there is one round, and nobody is told twice."""
    agents, _ = group(runtime, 10)
    report = await remuda.broadcast(iter(agents), "x")
    assert (report.rounds, report.duplicates, report.pushes) == (1, 0, 10)
    assert report.tree == {}


@in_runtime
async def test_a_group_of_one(runtime: remuda.Runtime) -> None:
    """Whoever is alone is told by the caller, in each of the ways."""
    agents, logs = group(runtime, 1)
    ways: list[dict[str, Any]] = [{}, {"fanout": 1}, {"edges": {}}]
    for options in ways:
        assert (await remuda.broadcast(agents, "x", **options)).complete
    await settle(runtime)
    assert logs == [["x"] * 3]


async def nothing() -> None:
    """What agents that run what they get are told."""


@in_an_agent
async def test_agents_broadcast() -> None:
    """Agents of both forms broadcast, also to groups that they are in, on each kind of loop."""
    runtime = remuda.current_runtime()
    me = remuda.current_agent()
    assert me is not None
    agents = [*group(runtime, 20)[0], me]
    ways: list[dict[str, Any]] = [*WAYS, {"edges": ring(agents)}]
    for options in ways:
        report = await remuda.broadcast(agents, nothing, **options)
        assert report.complete
        if "edges" in options:
            assert next(iter(report.tree)) is me
    busy = runtime.spawn(collect, unchecked([]), mailbox=1, pinned=True)
    report = await remuda.broadcast([busy], "fills it")
    assert report.complete


@in_runtime
async def test_unpinned_agents_wait_in_a_broadcast(runtime: remuda.Runtime) -> None:
    """An agent that any worker may run waits for full mailboxes, and is told of a time-out."""
    gate = asyncio.Event()
    log: Log = []
    slow = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
    slow.send_nowait("fills it")
    agents, _ = group(runtime, 5)
    over: Log = []

    async def caller(mailbox: remuda.Mailbox[Any]) -> tuple[int, int]:
        first = await remuda.broadcast([*agents, slow], "first", timeout=0.001)
        over.append(first)
        second = await remuda.broadcast([*agents, slow], "second", timeout=None)
        return first.reached, second.reached

    calling = runtime.spawn(caller)
    while not (over and slow.statistics().waiting):
        await asyncio.sleep(0)
    gate.set()
    assert await calling == (5, 6)
    await settle(runtime)
    assert log == ["fills it", "second"]


# What may be sent


@in_runtime
async def test_what_can_be_shared_is_sent(runtime: remuda.Runtime) -> None:
    """Vals and tags, what is immutable and what the sender answers for arrive as by `send`."""
    agents, logs = group(runtime, 3)
    thing = object()
    mine = [1]
    tag = remuda.tag(thing)
    for message in (
        remuda.val((1, 2)),
        tag,
        unchecked(mine),
        (1, remuda.val("x")),
        None,
        agents[0],
    ):
        assert (await remuda.broadcast(agents, message)).complete
        assert (await remuda.broadcast(agents, message, fanout=2)).complete
    await settle(runtime)
    for log in logs:
        assert log[0] == log[1] == (1, 2)
        assert log[2] is tag
        assert log[4] is mine
        assert log[-1] is agents[0]


@pytest.mark.parametrize("options", [*WAYS, {"edges": {}}])
def test_what_one_must_own_is_refused(options: dict[str, Any]) -> None:
    """An iso, one inside of a message, and what can be changed are refused, and stay with their owner."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, logs = group(runtime, 5)
        mine: Any = remuda.iso([1])
        message: Any
        for message, text in ((mine, "got an iso"), ((1, mine), "holds an iso"), ([1], "list")):
            with pytest.raises(remuda.NotSendable, match=text) as caught:
                await remuda.broadcast(agents, message, **options)
            assert caught.value.message is message or caught.value.value is message
        assert mine.value == [1]
        await settle(runtime)
        assert logs == [[]] * 5

    check()


@in_runtime(capabilities="trust")
async def test_a_runtime_that_trusts_shares_anything(runtime: remuda.Runtime) -> None:
    """Where nothing is checked a list is sent, but still no iso: it would be empty for all but one."""
    agents, logs = group(runtime, 3)
    message: Any = [1]
    assert (await remuda.broadcast(agents, message)).complete
    iso: Any = remuda.iso([1])
    with pytest.raises(remuda.NotSendable):
        await remuda.broadcast(agents, iso)
    await settle(runtime)
    assert all(log[0] is message for log in logs)


# Who can't be told


@pytest.mark.parametrize("options", [*WAYS, "edges"])
def test_the_dead_are_reported(options: Any) -> None:
    """Dead members are in the report, each with its error, and the others are reached."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, logs = group(runtime, 40)
        given: dict[str, Any] = {"edges": web(agents, 1)} if options == "edges" else options
        dead = agents[::5]
        for agent in dead:
            await agent.stop()
        report = await remuda.broadcast(agents, "x", **given)
        assert report.reached == 32
        assert set(report.failed) == set(dead)
        assert all(type(error) is remuda.MailboxClosed for error in report.failed.values())
        assert report.missed == report.backpressured == ()
        assert not report.complete
        await settle(runtime)
        assert [len(log) for log in logs] == [0 if place % 5 == 0 else 1 for place in range(40)]

    check()


@pytest.mark.parametrize("options", [*WAYS, "edges"])
def test_slow_receivers_hold_nobody(options: Any) -> None:
    """While mailboxes are full the others have the message; then the slow ones get it, and the report names them."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, logs = group(runtime, 20)
        gate = asyncio.Event()
        slow_logs: list[Log] = [[], []]
        slow = [
            runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
            for log in slow_logs
        ]
        for agent in slow:
            agent.send_nowait("fills it")
        everybody = [slow[0], *agents, slow[1]]
        given: dict[str, Any] = {"edges": web(everybody, 1)} if options == "edges" else options
        sending = asyncio.create_task(remuda.broadcast(everybody, "x", **given))
        while any(agent.statistics().waiting == 0 for agent in slow):
            await asyncio.sleep(0)
        await settle(runtime)
        assert logs == [["x"]] * 20
        assert not sending.done()
        gate.set()
        report = await sending
        assert report.complete
        assert set(report.backpressured) == set(slow)
        await settle(runtime)
        assert slow_logs == [["fills it", "x"]] * 2

    check()


@pytest.mark.parametrize("timeout", [0, 0.001])
@pytest.mark.parametrize("options", [*WAYS, "edges"])
def test_who_never_has_room_is_reported(options: Any, timeout: float) -> None:
    """After the time-out those that have not taken the message are failed, and nothing waits for them any more."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, _ = group(runtime, 20)
        gate = asyncio.Event()
        log: Log = []
        slow = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
        slow.send_nowait("fills it")
        everybody = [*agents, slow]
        given: dict[str, Any] = {"edges": web(everybody, 1)} if options == "edges" else options
        report = await remuda.broadcast(everybody, "x", timeout=timeout, **given)
        assert report.reached == 20
        assert report.backpressured == (slow,)
        assert type(report.failed[slow]) is remuda.MailboxFull
        assert slow.statistics().waiting == 0
        gate.set()
        await settle(runtime)
        assert log == ["fills it"]

    check()


@in_runtime
async def test_who_dies_while_waited_for_is_reported(runtime: remuda.Runtime) -> None:
    """A member that ends while it is waited for has failed as closed, and was backpressured."""
    gate = asyncio.Event()
    slow = runtime.spawn(hold, unchecked(gate), unchecked([]), mailbox=1, pinned=True)
    slow.send_nowait("fills it")
    sending = asyncio.create_task(remuda.broadcast([slow], "x"))
    while slow.statistics().waiting == 0:
        await asyncio.sleep(0)
    slow.kill()
    report = await sending
    assert report.backpressured == (slow,)
    assert type(report.failed[slow]) is remuda.MailboxClosed


@in_runtime
async def test_policies_of_mailboxes_hold(runtime: remuda.Runtime) -> None:
    """A mailbox that fails instead of letting others wait is not waited for; one that drops has taken the message."""
    gate = asyncio.Event()
    fails, drops = [
        runtime.spawn(hold, unchecked(gate), unchecked([]), mailbox=1, overflow=policy, pinned=True)
        for policy in ("fail", "drop_oldest")
    ]
    for agent in (fails, drops):
        agent.send_nowait("fills it")
    report = await remuda.broadcast([fails, drops], "x", timeout=None)
    assert type(report.failed[fails]) is remuda.MailboxFull
    assert report.backpressured == ()
    assert report.reached == 1
    assert [letter.message for letter in runtime.dead_letters] == ["fills it"]
    gate.set()


@pytest.mark.parametrize("options", [{}, {"ordered": True}, {"fanout": 1}])
def test_a_cancelled_broadcast_leaves_nothing(options: dict[str, Any]) -> None:
    """Cancelling the caller takes back what waits, and no task is left."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        gate = asyncio.Event()
        log: Log = []
        slow = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
        slow.send_nowait("fills it")
        agents, logs = group(runtime, 3)
        tasks = asyncio.all_tasks()
        sending = asyncio.create_task(remuda.broadcast([*agents, slow], "x", **options))
        while slow.statistics().waiting == 0:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert slow.statistics().waiting == 0
        assert asyncio.all_tasks() <= tasks
        gate.set()
        await settle(runtime)
        assert log == ["fills it"]
        assert logs == [["x"]] * 3

    check()


@in_runtime
async def test_a_killed_broadcaster_leaves_nothing(runtime: remuda.Runtime) -> None:
    """What an agent's broadcast waits for is taken back when the agent is killed."""
    gate = asyncio.Event()
    slow = runtime.spawn(hold, unchecked(gate), unchecked([]), mailbox=1, pinned=True)
    slow.send_nowait("fills it")

    async def caller(mailbox: remuda.Mailbox[Any]) -> None:
        await remuda.broadcast([slow], "x", ordered=True, timeout=None)

    calling = runtime.spawn(caller)
    while slow.statistics().waiting == 0:
        await asyncio.sleep(0)
    calling.kill()
    with pytest.raises(remuda.AgentKilled):
        await calling
    while slow.statistics().waiting:
        await asyncio.sleep(0)
    assert len(_TURNS) == 0
    gate.set()


@in_runtime
async def test_cancelling_ends_when_nothing_waits(runtime: remuda.Runtime) -> None:
    """Whoever catches the cancellation of its broadcast finds that nothing waits any more."""
    gate = asyncio.Event()
    slow = runtime.spawn(hold, unchecked(gate), unchecked([]), mailbox=1, pinned=True)
    slow.send_nowait("fills it")
    left: Log = []

    async def caller() -> None:
        try:
            await remuda.broadcast([slow], "x", timeout=None)
        except asyncio.CancelledError:
            left.append(slow.statistics().waiting)
            raise

    calling = asyncio.create_task(caller())
    while slow.statistics().waiting == 0:
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    assert left == [0]
    gate.set()


@in_runtime
async def test_waits_begin_before_the_turn_is_over(runtime: remuda.Runtime) -> None:
    """When `park` returns, each waiting send has its place in the lobby of its mailbox."""
    gate = asyncio.Event()
    slow = [
        runtime.spawn(hold, unchecked(gate), unchecked([]), mailbox=1, pinned=True)
        for _ in range(3)
    ]
    for agent in slow:
        agent.send_nowait("fills it")
    delivery = Delivery(tuple(slow), "x")
    delivery.tell_all()
    await delivery.park()
    assert [agent.statistics().waiting for agent in slow] == [1, 1, 1]
    gate.set()
    await delivery.collect(None)
    assert bytes(delivery.state) == bytes([TOLD] * 3)


@in_runtime(workers=1)
async def test_taken_at_the_last_moment_counts(runtime: remuda.Runtime) -> None:
    """What a mailbox has taken when the time runs out is reached, also if its sender doesn't know yet."""
    gate = asyncio.Event()
    log: Log = []
    slow = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1, pinned=True)
    slow.send_nowait("fills it")
    delivery = Delivery((slow,), "x")
    delivery.tell_all()
    await delivery.park()
    gate.set()
    while slow.statistics().waiting:
        await asyncio.sleep(0)
    (task,) = delivery._tasks
    assert not task.done()
    task.cancel()
    await delivery.collect(None)
    assert delivery.state[0] == TOLD
    await settle(runtime)
    assert log == ["fills it", "x"]


# The order


@pytest.mark.parametrize("options", [{}, {"fanout": 2}, "edges"])
def test_broadcasts_are_in_order(options: Any) -> None:
    """Of one broadcaster's ordered broadcasts each member gets the first first, also when it has to wait."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, logs = group(runtime, 10)
        gate = asyncio.Event()
        slow_log: Log = []
        slow = runtime.spawn(hold, unchecked(gate), unchecked(slow_log), mailbox=2, pinned=True)
        slow.send_nowait(-2)
        slow.send_nowait(-1)
        everybody = [*agents, slow]
        given: dict[str, Any] = {"edges": web(everybody, 1)} if options == "edges" else options

        async def caller(mailbox: remuda.Mailbox[Any]) -> None:
            sending = [
                remuda.broadcast(everybody, number, ordered=True, **given) for number in range(20)
            ]
            for report in await asyncio.gather(*sending):
                assert report.complete

        calling = runtime.spawn(caller, pinned=True)
        while slow.statistics().waiting < 20:
            await asyncio.sleep(0)
        await settle(runtime)
        assert logs == [list(range(20))] * 10  # the slow one holds nobody
        gate.set()
        await calling
        await settle(runtime)
        assert slow_log == list(range(-2, 20))

    check()


@in_runtime
async def test_another_broadcaster_need_not_wait(runtime: remuda.Runtime) -> None:
    """A cancelled broadcast passes its turn on, and the ones behind it keep their order."""
    agents, logs = group(runtime, 5)
    tasks = [
        asyncio.create_task(remuda.broadcast(agents, number, ordered=True, fanout=2))
        for number in range(6)
    ]
    await asyncio.sleep(0)
    tasks[2].cancel()
    tasks[3].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result).__name__ for result in done].count("CancelledError") == 2
    await settle(runtime)
    assert logs == [[0, 1, 4, 5]] * 5


# Gossip


def spread(size: int, fanout: int, seed: int, rounds: int | None = None) -> Gossip:
    """Gossip among places, all of which take what they are told."""
    state = bytearray(size)

    def tell(places: Sequence[int]) -> None:
        for place in places:
            assert state[place] == UNTOLD
            state[place] = TOLD

    gossip = Gossip(state, tell, random.Random(seed), fanout=fanout, rounds=rounds, miss=1e-6)
    for _ in gossip.run():
        pass
    gossip.told = state.count(TOLD)  # type: ignore[attr-defined]
    return gossip


@functools.cache
def transitions(size: int, fanout: int) -> list[list[float]]:
    """For each number of those who know: how likely it is that so many more do after a round. No approximation."""
    rows = []
    for told in range(size + 1):
        left = size - told
        fresh = [1.0] + [0.0] * left  # how many of those who didn't know have been picked so far
        for pusher in range(told + 1):
            others = size if pusher == 0 else size - 1  # the broadcaster is none of them
            picked = min(fanout, others)
            after = [0.0] * (left + 1)
            for count, weight in enumerate(fresh):
                if weight == 0:
                    continue
                new = left - count
                for more in range(min(picked, new) + 1):
                    ways = math.comb(new, more) * math.comb(others - new, picked - more)
                    after[count + more] += weight * ways / math.comb(others, picked)
            fresh = after
        rows.append(fresh)
    return rows


def left_out(size: int, fanout: int, rounds: int) -> float:
    """How likely it is that anybody is left out after so many rounds: a Markov chain, as in Eugster et al. (2003)."""
    likely = [1.0] + [0.0] * size
    for _ in range(rounds):
        after = [0.0] * (size + 1)
        for told, weight in enumerate(likely):
            if weight:
                for more, share in enumerate(transitions(size, fanout)[told]):
                    after[told + more] += weight * share
        likely = after
    return sum(likely[:size])


@pytest.mark.parametrize(("size", "fanout", "rounds"), [(30, 1, 8), (30, 2, 5), (60, 3, 5)])
def test_gossip_reaches_all_as_often_as_computed(size: int, fanout: int, rounds: int) -> None:
    """The share of spreads that reach all in so many rounds is the computed one, within four standard deviations."""
    wanted = 1 - left_out(size, fanout, rounds)
    assert 0.05 < wanted < 0.95
    runs = 2000
    hits = sum(
        spread(size, fanout, seed, rounds).told == size  # type: ignore[attr-defined]
        for seed in range(runs)
    )
    assert abs(hits / runs - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / runs)


@pytest.mark.parametrize("fanout", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("size", [10, 30, 60])
def test_the_stated_probability_is_kept(size: int, fanout: int) -> None:
    """In `gossip_rounds` rounds the computed probability that anybody is left out is at most `miss`."""
    for miss in (1e-2, 1e-4, 1e-6):
        rounds = remuda.gossip_rounds(size, fanout, miss=miss)
        assert left_out(size, fanout, rounds) <= miss


@pytest.mark.parametrize("fanout", [1, 3, 6])
def test_rounds_grow_with_the_logarithm(fanout: int) -> None:
    """Ten times as many members take a few rounds more, and never more than were computed."""
    means = []
    for size in (10, 100, 1000):
        taken = [spread(size, fanout, seed).rounds for seed in range(20)]
        assert max(taken) <= remuda.gossip_rounds(size, fanout)
        means.append(sum(taken) / len(taken))
    decade = math.log(10) / math.log(1 + fanout) + math.log(10) / fanout
    for smaller, larger in itertools.pairwise(means):
        assert 0 < larger - smaller < 1.5 * decade + 1


def picked_one_by_one(size: int, fanout: int, dead: int, rounds: int, seed: int) -> list[int]:
    """How many are told, how many dead are found, and how many pushes were duplicates: each pick made as it is told."""
    chance = random.Random(seed)
    told: set[int] = set()
    found: set[int] = set()
    duplicates = 0
    for _ in range(rounds):
        if len(told) + len(found) == size:
            break
        picks = chance.sample(range(size), fanout)
        for pusher in sorted(told):
            others = [place for place in range(size) if place != pusher]
            picks += chance.sample(others, fanout)
        for place in picks:
            if place < dead:
                found.add(place)
            elif place in told:
                duplicates += 1
            else:
                told.add(place)
    return [len(told), len(found), duplicates]


@pytest.mark.parametrize(("size", "fanout", "dead"), [(20, 1, 5), (20, 3, 0), (20, 7, 8)])
def test_picks_are_drawn_as_if_made_one_by_one(size: int, fanout: int, dead: int) -> None:
    """What comes of gossip is on average what comes of making each pick, within five standard deviations."""
    runs, rounds = 1500, 4

    def drawn(seed: int) -> list[int]:
        state = bytearray(size)

        def tell(places: Sequence[int]) -> None:
            for place in places:
                state[place] = FAILED if place < dead else TOLD

        gossip = Gossip(state, tell, random.Random(seed), fanout=fanout, rounds=rounds, miss=0.5)
        for _ in gossip.run():
            pass
        return [state.count(TOLD), state.count(FAILED), gossip.duplicates]

    one = [drawn(seed) for seed in range(runs)]
    other = [picked_one_by_one(size, fanout, dead, rounds, seed + runs) for seed in range(runs)]
    for index in range(3):
        mine, theirs = ([row[index] for row in rows] for rows in (one, other))
        spread_of = statistics.pvariance(mine) + statistics.pvariance(theirs)
        difference = abs(statistics.fmean(mine) - statistics.fmean(theirs))
        assert difference <= 5 * math.sqrt(spread_of / runs)


def test_everybody_is_as_likely_to_be_told() -> None:
    """Each member is among those that are told first as often as any other."""
    counts: Counter[int] = Counter()
    for seed in range(3000):
        state = bytearray(10)

        def tell(places: Sequence[int], state: bytearray = state) -> None:
            counts.update(places)
            for place in places:
                state[place] = TOLD

        for _ in Gossip(state, tell, random.Random(seed), fanout=2, rounds=1, miss=0.5).run():
            pass
    assert all(abs(count - 600) < 120 for count in counts.values())
    assert sum(counts.values()) == 6000


@in_runtime
async def test_a_seed_decides(runtime: remuda.Runtime) -> None:
    """The same seed tells the same members in the same rounds."""
    agents, _ = group(runtime, 200)
    reports = [
        await remuda.broadcast(agents, "x", fanout=2, seed=seed, rounds=6) for seed in (1, 1, 2)
    ]
    assert reports[0] == reports[1]
    assert reports[0] != reports[2]
    assert reports[0].missed


def test_a_run_of_testing_decides() -> None:
    """In a run of `remuda.testing` the run's seed is that of gossip, too."""

    async def main() -> remuda.BroadcastReport:
        async with remuda.Runtime() as runtime:
            agents, _ = group(runtime, 200)
            return await remuda.broadcast(agents, "x", fanout=2, rounds=6)

    def counts(seed: int) -> tuple[int, int]:
        report = testing.run(main, seed=seed)
        return report.reached, report.duplicates

    assert counts(1) == counts(1)
    assert len({counts(seed) for seed in range(5)}) > 1


@in_runtime
async def test_too_few_rounds_miss_some(runtime: remuda.Runtime) -> None:
    """Who was not told within the rounds is in `missed`, and got nothing."""
    agents, logs = group(runtime, 100)
    report = await remuda.broadcast(agents, "x", fanout=2, rounds=3, seed=0)
    await settle(runtime)
    assert report.rounds == 3
    assert report.reached + len(report.missed) == 100
    assert report.reached <= 26  # (1 + 2)**3 less the caller
    assert {agent for agent, log in zip(agents, logs, strict=True) if not log} == set(report.missed)


@in_runtime
async def test_gossip_reaches_the_few_that_live(runtime: remuda.Runtime) -> None:
    """With most of the group dead it goes on for longer, and reaches those that live."""
    agents, logs = group(runtime, 60)
    for agent in agents[6:]:
        await agent.stop()
    report = await remuda.broadcast(agents, "x", fanout=2)
    await settle(runtime)
    assert logs[:6] == [["x"]] * 6
    assert report.reached == 6


# Faults


def test_gossip_overcomes_losses() -> None:
    """Messages that are lost are pushed again by others; who was not reached is known, and nobody gets it twice."""

    @testing.deterministic(runs=10)
    async def check() -> None:
        async with remuda.Runtime() as runtime:
            agents, logs = group(runtime, 100)
            with testing.inject(runtime, drop=0.3) as faults:
                report = await remuda.broadcast(agents, "x", fanout=3)
            await testing.wait_idle()
            assert faults.statistics().dropped > 0
            assert report.complete
            assert report.pushes == report.reached + report.duplicates + faults.statistics().dropped
            assert logs == [["x"]] * 100

    check()


def test_what_is_lost_is_missed() -> None:
    """Without gossip each loss is one member in `missed`; what comes late is reached."""

    @testing.deterministic(runs=10)
    async def check() -> None:
        async with remuda.Runtime() as runtime:
            agents, logs = group(runtime, 100)
            with testing.inject(runtime, drop=0.2, delay=0.2) as faults:
                report = await remuda.broadcast(agents, "x")
            statistics = faults.statistics()
            assert statistics.seen == 100
            assert len(report.missed) == statistics.dropped > 0
            assert report.reached == 100 - statistics.dropped
            await asyncio.sleep(1)
            missed = {agents.index(agent) for agent in report.missed}
            assert [len(log) for log in logs] == [0 if n in missed else 1 for n in range(100)]

    check()


def test_a_full_mailbox_meets_a_fault_once() -> None:
    """A message that has to wait is shown to what injects faults once, as any other; duplicates come through."""

    @testing.deterministic
    async def check() -> None:
        async with remuda.Runtime() as runtime:
            gate = asyncio.Event()
            log: Log = []
            slow = runtime.spawn(hold, unchecked(gate), unchecked(log), mailbox=1)
            slow.send_nowait("fills it")
            with testing.inject(runtime, duplicate=1.0) as faults:
                sending = asyncio.create_task(remuda.broadcast([slow], "x"))
                await testing.wait_idle()
                gate.set()
                report = await sending
            await testing.wait_idle()
            assert faults.statistics().seen == faults.statistics().duplicated == 1
            assert report.complete
            assert log == ["fills it", "x", "x"]

    check()


# Trees


@in_runtime
async def test_a_flood_leaves_a_tree(runtime: remuda.Runtime) -> None:
    """The first broadcast over links goes over all of them, and what is left is a tree that spans the group."""
    agents, logs = group(runtime, 50)
    edges = web(agents, 2)
    report = await remuda.broadcast(agents, "x", edges=edges)
    assert report.complete
    assert report.duplicates > 0
    assert report.pushes == 50 + report.duplicates
    children = [child for below in report.tree.values() for child in below]
    assert len(children) == len(set(children)) == 49
    assert next(iter(report.tree)) is agents[0]
    assert set(children) == set(agents[1:])
    known = {frozenset((one, other)) for one, others in edges.items() for other in others}
    for parent, below in report.tree.items():
        assert all(frozenset((parent, child)) in known for child in below)
    await settle(runtime)
    assert logs == [["x"]] * 50


@in_runtime
async def test_who_is_told_twice_prunes_the_link(runtime: remuda.Runtime) -> None:
    """In a square the last one gets it twice, and only says over the second link that it has it."""
    a, b, c, d = group(runtime, 4)[0]
    report = await remuda.broadcast([a, b, c, d], "x", edges={a: [b, c], d: [b, c]})
    assert (report.rounds, report.pushes, report.duplicates) == (3, 5, 1)
    assert (report.announcements, report.grafts) == (1, 0)
    assert report.tree == {a: (b, c), b: (d,)}


@in_runtime
async def test_a_tree_is_used_again(runtime: remuda.Runtime) -> None:
    """With the tree of a report nobody is told twice; the other links carry only word of it."""
    agents, logs = group(runtime, 50)
    edges = web(agents, 2)
    first = await remuda.broadcast(agents, "x", edges=edges)
    second = await remuda.broadcast(agents, "x", edges=edges, tree=first.tree)
    assert second.complete
    assert (second.duplicates, second.grafts, second.pushes) == (0, 0, 50)
    assert second.announcements > 0
    assert second.tree == first.tree
    await settle(runtime)
    assert logs == [["x", "x"]] * 50


@in_runtime
async def test_a_tree_repairs_itself(runtime: remuda.Runtime) -> None:
    """Where a member of the tree has died, those below it ask those that they have heard of the message from."""
    agents, logs = group(runtime, 50)
    edges = web(agents, 2)
    first = await remuda.broadcast(agents, "x", edges=edges)
    inner = max(agents[1:], key=lambda agent: len(first.tree.get(agent, ())))
    await inner.stop()
    second = await remuda.broadcast(agents, "y", edges=edges, tree=first.tree)
    assert list(second.failed) == [inner]
    assert second.reached == 49
    assert second.grafts > 0
    third = await remuda.broadcast(agents, "z", edges=edges, tree=second.tree)
    assert (third.reached, third.duplicates) == (49, 0)
    assert third.grafts <= 1  # of the dead one, which is found out by this
    await settle(runtime)
    for agent, log in zip(agents, logs, strict=True):
        assert log == (["x"] if agent is inner else ["x", "y", "z"])


@in_runtime
async def test_what_no_link_leads_to_is_missed(runtime: remuda.Runtime) -> None:
    """Members that the links don't connect to the root are in `missed`; the first that lives is the root."""
    agents, _ = group(runtime, 6)
    await agents[0].stop()
    edges = {agents[2]: [agents[1]], agents[4]: [agents[5]]}
    report = await remuda.broadcast(agents, "x", edges=edges)
    assert report.reached == 2
    assert report.missed == tuple(agents[3:])
    assert report.tree == {agents[1]: (agents[2],)}


def test_a_tree_overcomes_losses() -> None:
    """A message that is lost on a link comes over another, if there is one, and nobody gets it twice."""

    @testing.deterministic(runs=20)
    async def check() -> None:
        async with remuda.Runtime() as runtime:
            agents, logs = group(runtime, 40)
            edges = web(agents, 3, links=4)
            first = await remuda.broadcast(agents, "x", edges=edges)
            with testing.inject(runtime, drop=0.1) as faults:
                second = await remuda.broadcast(agents, "y", edges=edges, tree=first.tree)
            await testing.wait_idle()
            dropped = faults.statistics().dropped
            assert second.pushes == second.reached + second.duplicates + dropped
            assert second.reached + len(second.missed) == 40
            assert len(second.missed) <= 2
            assert sum(log.count("y") for log in logs) == second.reached

    check()


# Bad input


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"fanout": 0}, ValueError, "fanout from 1 to 4 for 5 agents, got 0"),
        ({"fanout": 5}, ValueError, "fanout from 1 to 4 for 5 agents, got 5"),
        ({"fanout": 1.5}, TypeError, "fanout as an int, got float"),
        ({"fanout": True}, TypeError, "fanout as an int, got bool"),
        ({"fanout": 2, "rounds": 0}, ValueError, "rounds >= 1, got 0"),
        ({"fanout": 2, "seed": "x"}, TypeError, "seed as an int, got str"),
        ({"fanout": 2, "miss": 0}, ValueError, "miss as a probability"),
        ({"rounds": 3}, ValueError, "fanout= beside rounds=3"),
        ({"seed": 3}, ValueError, "fanout= beside seed=3"),
        ({"timeout": -1}, ValueError, "timeout >= 0 .* got -1"),
        ({"timeout": math.nan}, ValueError, "timeout >= 0"),
        ({"timeout": 10**400}, ValueError, "timeout >= 0 .* bits"),
        ({"timeout": "1"}, TypeError, "timeout as a number of seconds or None, got str"),
        ({"edges": {}, "fanout": 2}, ValueError, "fanout= or edges=, got both"),
        ({"tree": {}}, ValueError, "edges= beside tree="),
        ({"edges": {}, "tree": 5}, TypeError, "tree as a mapping .* got int"),
        ({"edges": {}, "tree": {"x": []}}, TypeError, "agents in tree, got str"),
        ({"edges": []}, TypeError, "edges as a mapping .* got list"),
        ({"edges": {"x": []}}, TypeError, "agents in edges, got str"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    """Each option that makes no sense has its own error, and nobody is told."""

    @in_runtime
    async def check(runtime: remuda.Runtime) -> None:
        agents, logs = group(runtime, 5)
        with pytest.raises(kind, match=text):
            await remuda.broadcast(agents, "x", **options)
        await settle(runtime)
        assert logs == [[]] * 5

    check()


@in_runtime
async def test_bad_groups_are_refused(runtime: remuda.Runtime) -> None:
    """An empty group, one with an agent twice, with something else, or of two runtimes has its own error."""
    agents, logs = group(runtime, 3)
    bad: Any
    for bad, kind, text in (
        ([], ValueError, "at least one agent, got none"),
        ([*agents, agents[1]], ValueError, "each agent once, got .* at places 1 and 3"),
        ([agents[0], "x"], TypeError, "expected agents, got str at place 1"),
        (agents[0], TypeError, "iterable of agents, got AgentRef"),
        (None, TypeError, "iterable of agents, got NoneType"),
    ):
        with pytest.raises(kind, match=text):
            await remuda.broadcast(bad, "x")
    async with remuda.Runtime() as other:
        stranger = other.spawn(Hears, unchecked([]))
        with pytest.raises(ValueError, match=r"one runtime, got .* at place 3"):
            await remuda.broadcast([*agents, stranger], "x")
        assert (await remuda.broadcast(agents, "x")).complete  # of another runtime than the current
    await settle(runtime)
    assert logs == [["x"]] * 3


@in_runtime
async def test_bad_edges_are_refused(runtime: remuda.Runtime) -> None:
    """Links of strangers, with oneself, or to nothing that can be iterated over have their own errors."""
    agents, _ = group(runtime, 3)
    stranger = runtime.spawn(Hears, unchecked([]))
    edges: Any
    for edges, kind, text in (
        ({stranger: []}, ValueError, "members of the group in edges, got Hears"),
        ({agents[0]: [stranger]}, ValueError, "which is none"),
        ({agents[0]: [agents[0]]}, ValueError, "with itself"),
        ({agents[0]: 3}, TypeError, "as an iterable of agents, got int"),
        ({agents[0]: [[]]}, TypeError, "expected agents in edges, got list"),
    ):
        with pytest.raises(kind, match=text):
            await remuda.broadcast(agents, "x", edges=edges)
    tree: Any
    for tree, text in (
        ({agents[0]: 3}, "iterable of agents, got int"),
        ({agents[0]: [[]]}, "got list"),
    ):
        with pytest.raises(TypeError, match=text):
            await remuda.broadcast(agents, "x", edges={agents[0]: agents[1:]}, tree=tree)
    # Whoever is in a tree and has left the group since does no harm.
    report = await remuda.broadcast(
        agents, "x", edges={agents[0]: agents[1:]}, tree={stranger: [agents[0]]}
    )
    assert report.complete


def test_bad_rounds_are_refused() -> None:
    """The number of rounds is computed of counts and shares, and of nothing else."""
    wrong: Any
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="expected members >= 1"):
            remuda.gossip_rounds(wrong, 1)
        with pytest.raises(ValueError, match="expected fanout >= 1"):
            remuda.gossip_rounds(1, wrong)
    for wrong in (1.5, True, "1", None):
        with pytest.raises(TypeError, match="expected members as an int"):
            remuda.gossip_rounds(wrong, 1)
        with pytest.raises(TypeError, match="expected fanout as an int"):
            remuda.gossip_rounds(1, wrong)
    for share in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError, match="expected miss"):
            remuda.gossip_rounds(5, 2, miss=share)
        with pytest.raises(ValueError, match="expected forwarding"):
            remuda.gossip_rounds(5, 2, forwarding=share)


def test_a_broadcast_needs_a_runtime() -> None:
    """Outside of a runtime, and after its end, there is an error that says so."""
    kept: list[Any] = []

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            kept.extend(group(runtime, 2)[0])
        with pytest.raises(RuntimeError, match="expected a current runtime") as caught:
            await remuda.broadcast(kept, "x")
        assert isinstance(caught.value, remuda.RemudaError)

    remuda.run(main())

    async def outside() -> None:
        with pytest.raises(remuda.NoRuntime, match="found none"):
            await remuda.broadcast(kept, "x")

    remuda.run(outside())


@in_runtime
async def test_several_threads_broadcast(runtime: remuda.Runtime) -> None:
    """Agents on all workers broadcast to the same group at once, and each message arrives once."""
    agents, logs = group(runtime, 50)

    async def caller(mailbox: remuda.Mailbox[Any], number: int) -> None:
        for turn in range(20):
            report = await remuda.broadcast(
                agents, (number, turn), ordered=True, fanout=3 if turn % 2 else None
            )
            assert report.complete

    await asyncio.gather(*[runtime.spawn(caller, number) for number in range(4)])
    await settle(runtime)
    for log in logs:
        assert len(log) == len(set(log)) == 80
        for number in range(4):
            assert [turn for who, turn in log if who == number] == list(range(20))


@in_runtime
async def test_a_report_keeps_no_waits(runtime: remuda.Runtime) -> None:
    """Reports are frozen values; a broadcast that is never awaited does nothing but warn."""
    agents, logs = group(runtime, 2)
    report = await remuda.broadcast(agents, "x")
    with pytest.raises(AttributeError):
        report.reached = 0  # type: ignore[misc]
    with pytest.warns(RuntimeWarning, match="never awaited"):
        forgotten = remuda.broadcast(agents, "y", ordered=True)
        del forgotten
        gc.collect()
    await settle(runtime)
    assert logs == [["x"]] * 2
