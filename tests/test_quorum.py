"""Quorums: who must agree, what becomes of the others, and everything that can be wrong with a question to many."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import remuda
from remuda import AgentRef, QuorumNotReached, Runtime, Vote, iso, quorum, testing, unchecked, val
from remuda.primitives.quorum.votes import Tally
from tests.support import LOOPS, in_an_agent, in_runtime, settle

Group = list[AgentRef[Any]]


class Voter(remuda.Agent[Any]):
    """Answers every request with the same."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def receive(self, message: Any) -> Any:
        return unchecked(self.answer)


class LateVoter(remuda.Agent[Any]):
    """The same with a coroutine."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def receive(self, message: Any) -> Any:
        await asyncio.sleep(0)
        return unchecked(self.answer)


async def hang(mailbox: remuda.Mailbox[Any], requests: list[Any] | None = None) -> None:
    """Takes requests and never answers them."""
    kept = [] if requests is None else requests
    async for request in mailbox:
        kept.append(request)


async def broken(mailbox: remuda.Mailbox[Any]) -> None:
    """Dies of its first request."""
    request = await mailbox.recv()
    assert request is not None
    raise ZeroDivisionError("on purpose")


def voters(runtime: Runtime, *answers: Any, kind: Any = Voter) -> Group:
    return [
        runtime.spawn(kind, unchecked(answer), name=f"voter {number}")
        for number, answer in enumerate(answers)
    ]


@pytest.mark.parametrize("kind", [Voter, LateVoter])
@in_runtime
async def test_members_that_agree_make_a_quorum(runtime: Runtime, kind: Any) -> None:
    """The value is what enough members answered; every member is in exactly one place of the result."""
    group = voters(runtime, "a", "a", "b", "a", "a", kind=kind)
    result = await quorum(group, 4, "what?", epoch=7)
    assert (result.value, result.threshold, result.epoch, result.reached) == ("a", 4, 7, True)
    assert set(result.votes) == {group[0], group[1], group[3], group[4]}
    assert {*result.votes, *result.dissent, *result.missing} == set(group)
    assert dict(result.dissent) in ({group[2]: "b"}, {})


@in_an_agent
async def test_who_asks_may_be_an_agent() -> None:
    """An agent of either form, and a task inside of one, can ask; slow members are waited for if they are needed."""
    group = voters(remuda.current_runtime(), 1, 2, 1, 1, 1, kind=LateVoter)
    for _ in range(3):
        result = await quorum(group, 4, "what?", timeout=30)
        assert result.value == 1
        assert len(result.votes) == 4
    task = asyncio.ensure_future(quorum(group, "majority", "what?"))
    assert (await task).value == 1


@in_runtime
async def test_the_rest_is_not_waited_for(runtime: Runtime) -> None:
    """As soon as there are enough votes the requests of the others are withdrawn, and an answer harms nobody."""
    requests: list[remuda.Request[Any, Any]] = []
    stuck = runtime.spawn(hang, unchecked(requests))
    group = [stuck, *voters(runtime, 1, 1, 1)]
    result = await quorum(group, 3, "what?")
    assert result.missing == (stuck,)
    await settle(runtime)
    assert [request.answered for request in requests] == [True]
    assert requests[0].reply(1) is False


@in_runtime
async def test_a_request_that_waits_for_room_is_taken_back(runtime: Runtime) -> None:
    """A member whose mailbox is full holds nobody up, and never gets what it had no room for."""
    gate = asyncio.Event()

    async def later(mailbox: remuda.Mailbox[Any]) -> tuple[Any, ...]:
        await gate.wait()
        return tuple([message async for message in mailbox])

    full = runtime.spawn(later, mailbox=1, pinned=True)
    full.send_nowait("fills it")
    result = await quorum([full, *voters(runtime, 1, 1)], 2, "what?")
    assert result.missing == (full,)
    assert full.statistics().waiting == 0
    gate.set()
    await full.stop()
    assert await full == ("fills it",)


@in_runtime
async def test_room_is_waited_for_if_the_vote_is_needed(runtime: Runtime) -> None:
    """A member whose mailbox was full votes when it has room."""
    gate = asyncio.Event()

    async def later(mailbox: remuda.Mailbox[Any]) -> None:
        await gate.wait()
        async for message in mailbox:
            if isinstance(message, remuda.Request):
                message.reply(1)

    full = runtime.spawn(later, mailbox=1, pinned=True)
    full.send_nowait("fills it")
    asking = asyncio.ensure_future(quorum([full, *voters(runtime, 1, 1)], "all", "what?"))
    await settle(runtime)
    assert not asking.done()
    gate.set()
    assert len((await asking).votes) == 3


@pytest.mark.parametrize(
    ("threshold", "size", "needed"),
    [
        ("majority", 1, 1),
        ("majority", 2, 2),
        ("majority", 4, 3),
        ("majority", 5, 3),
        ("all", 3, 3),
        ("byzantine", 4, 3),
        ("byzantine", 5, 4),
        ("byzantine", 6, 4),
        ("byzantine", 7, 5),
        ("byzantine", 10, 7),
        (1, 5, 1),
    ],
)
@in_runtime
async def test_thresholds(runtime: Runtime, threshold: Any, size: int, needed: int) -> None:
    """The words stand for more than half, for 2f + 1 of 3f + 1, and for everybody."""
    result = await quorum(voters(runtime, *[1] * size), threshold, None)
    assert result.threshold == len(result.votes) == needed


@given(st.integers(min_value=4, max_value=400))
def test_two_byzantine_quorums_share_an_honest_member(size: int) -> None:
    """Two of them have f + 1 members in common, and the honest ones alone are enough for one."""
    from remuda.primitives.quorum.call import _needed

    faulty = (size - 1) // 3
    needed = _needed("byzantine", size)
    assert 2 * needed - size >= faulty + 1
    assert size - faulty >= needed


@in_runtime
async def test_it_ends_as_soon_as_agreement_is_impossible(runtime: Runtime) -> None:
    """Nobody waits for members whose votes can't make a quorum any more; the error has the same result."""
    stuck = runtime.spawn(hang, name="stuck")
    group = [*voters(runtime, 1, 2, 1, 2), stuck]
    with pytest.raises(
        QuorumNotReached, match=r"expected 4 of 5 members to agree, got \d equal vote"
    ) as caught:
        await quorum(group, 4, "what?")
    result = caught.value.result
    assert not result.reached
    assert stuck in result.missing
    assert len(result.votes) + len(result.dissent) + len(result.missing) == 5


@in_runtime
async def test_the_dead_are_counted_as_failed(runtime: Runtime) -> None:
    """A member that is dead, dies of the request, or drops or fails it, casts no vote; the error of each is kept."""

    async def forgetful(mailbox: remuda.Mailbox[Any]) -> None:
        while True:
            await mailbox.recv()

    async def refuses(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            request.fail(asyncio.CancelledError("no"))

    dead = runtime.spawn(hang)
    dead.kill()
    with pytest.raises(remuda.AgentKilled):
        await dead
    group: Group = [
        dead,
        runtime.spawn(broken),
        runtime.spawn(forgetful),
        runtime.spawn(refuses),
        *voters(runtime, 1, 1, 1),
    ]
    with pytest.raises(QuorumNotReached, match="4 failed") as caught:
        await quorum(group, 4, "what?")
    kinds = [type(caught.value.result.failed[member]) for member in group[:4]]
    expected = [remuda.MailboxClosed, remuda.AgentFailed, remuda.NoReply, asyncio.CancelledError]
    assert kinds == expected
    assert isinstance(caught.value.result.failed[group[1]].__cause__, ZeroDivisionError)


@in_runtime
async def test_all_are_dead(runtime: Runtime) -> None:
    """A group of the dead fails at once, and says why."""
    group = voters(runtime, 1, 1, 1)
    for member in group:
        await member.stop()
    with pytest.raises(QuorumNotReached, match=r"0 equal votes.*voter 0: MailboxClosed") as caught:
        await quorum(group, "majority", "what?")
    assert caught.value.result.value is None
    assert caught.value.result.votes == {}


def test_time_outs() -> None:
    """The time for all ends it; a member's own time makes room for agreement to be found impossible sooner."""

    @testing.deterministic(runs=5)
    async def check() -> None:
        loop = asyncio.get_running_loop()
        async with Runtime() as runtime:
            slow, slower = runtime.spawn(hang), runtime.spawn(hang)
            group = [slow, slower, *voters(runtime, 1, 1)]

            async def asker(mailbox: remuda.Mailbox[Any], options: dict[str, Any]) -> Any:
                return await quorum(group, 3, "what?", **options)

            async def both(**options: Any) -> list[Any]:
                """From a task, and from an agent."""
                found = []
                for ask in (
                    lambda: quorum(group, 3, "?", **options),
                    lambda: runtime.spawn(asker, remuda.unchecked(options)),
                ):
                    began = loop.time()
                    with pytest.raises(QuorumNotReached) as caught:
                        await ask()
                    found.append((round(loop.time() - began, 6), caught.value.result.timed_out))
                assert found[0] == found[1]
                return list(found[0])

            assert await both(timeout=2.0) == [2.0, (slow, slower)]
            assert await both(timeout=2.0, member_timeout=1.0) == [1.0, (slow, slower)]
            limits = remuda.FrozenDict({slow: 0.5, slower: 9.0})
            assert await both(timeout=2.0, member_timeout=limits) == [2.0, (slow, slower)]
            limits = remuda.FrozenDict({slow: 0.5, slower: 0.25})
            assert await both(timeout=2.0, member_timeout=limits) == [0.5, (slower, slow)]

    check()


@in_runtime
async def test_a_time_out_of_zero_asks_and_waits_for_nobody(runtime: Runtime) -> None:
    """With 0 only answers count that are there at once; the dead are known at once, too."""
    dead = runtime.spawn(hang)
    await dead.stop()
    with pytest.raises(QuorumNotReached, match="within 0 s") as caught:
        await quorum([dead, runtime.spawn(hang), runtime.spawn(hang)], 2, "what?", timeout=0)
    assert len(caught.value.result.timed_out) == 2
    assert list(caught.value.result.failed) == [dead]


@pytest.mark.parametrize("loop_factory", LOOPS)
@pytest.mark.parametrize("limit", [0, 0.0004, 0.0024])
def test_a_members_time_is_over_by_any_clock(loop_factory: Any, limit: float) -> None:
    """A member that hasn't answered in its time is timed out, however roughly the event loop tells the time."""

    async def asks(_: remuda.Mailbox[Any], group: Group, limits: Any) -> int:
        with pytest.raises(QuorumNotReached) as caught:
            await quorum(group, 2, "what?", member_timeout=limits)
        assert caught.value.result.timed_out == (group[0],)
        return len(caught.value.result.failed)

    async def main() -> None:
        async with Runtime(workers=1) as runtime:
            group: Group = [runtime.spawn(hang), *voters(runtime, 1)]
            limits = remuda.FrozenDict({group[0]: limit})
            for _ in range(5):
                agent = runtime.spawn(asks, unchecked(group), unchecked(limits))
                assert await agent == 0
                mailbox: Any = None
                assert await asks(mailbox, group, limits) == 0

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.wait_for(main(), 30))


@in_runtime
async def test_a_members_own_time_out_is_a_failure(runtime: Runtime) -> None:
    """A member that failed because *it* waited in vain did answer: it has failed, and was not timed out."""

    async def impatient(mailbox: remuda.Mailbox[Any]) -> None:
        async for request in mailbox:
            request.fail(remuda.AskTimeout("its own"))

    member = runtime.spawn(impatient)
    with pytest.raises(QuorumNotReached) as caught:
        await quorum([member], 1, "what?", timeout=60, member_timeout={member: 30.0})
    assert list(caught.value.result.failed) == [member]


@in_runtime
async def test_votes_of_another_epoch_do_not_count(runtime: Runtime) -> None:
    """An answer about an older epoch, or a newer one, is reported as stale; a bare value counts for any."""
    group = voters(runtime, Vote("a", 3), Vote("a", 2), Vote("a", 4), "a", Vote("b", 3))
    with pytest.raises(QuorumNotReached, match="2 voted in another epoch") as caught:
        await quorum(group, 3, "what?", epoch=3)
    result = caught.value.result
    assert dict(result.stale) == {group[1]: Vote("a", 2), group[2]: Vote("a", 4)}
    assert (await quorum(group[:4], "all", "what?")).value == "a"


@in_runtime
async def test_an_answer_to_an_older_question_is_not_counted(runtime: Runtime) -> None:
    """What a member answers after the quorum of an older epoch is over changes nothing in the next one."""
    requests: list[remuda.Request[Any, Any]] = []
    slow = runtime.spawn(hang, unchecked(requests))
    group = [slow, *voters(runtime, "new", "new")]
    assert (await quorum(group, 2, "first", epoch=1)).missing == (slow,)
    asking = asyncio.ensure_future(quorum(group, 3, "second", epoch=2))
    await settle(runtime)
    assert len(requests) == 2
    assert requests[0].reply("new") is False
    await settle(runtime)
    assert not asking.done()
    assert requests[1].reply("new") is True
    assert len((await asking).votes) == 3


@in_runtime
async def test_unhashable_votes(runtime: Runtime) -> None:
    """Votes are compared by ==, so they need no hash; 1 and 1.0 and True are equal, as anywhere."""
    group = voters(runtime, [1, {}], [1, {}], [2, {}], [1, {}])
    assert (await quorum(group, 3, "what?")).value == [1, {}]
    assert (await quorum(voters(runtime, 1, 1.0, True), "all", "what?")).threshold == 3
    assert len((await quorum(voters(runtime, {1}, frozenset({1})), "all", "what?")).votes) == 2


class Unequal:
    """Can't be compared."""

    __hash__ = None  # type: ignore[assignment]  # what compares by value and can change has none

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")


@in_runtime
async def test_votes_that_cannot_be_compared_fail(runtime: Runtime) -> None:
    """A vote whose == or key raises is a failure of its member, and doesn't spoil the votes of others."""
    group = voters(runtime, Unequal(), numpy.zeros(3), 1, [1], 1)
    with pytest.raises(QuorumNotReached) as caught:
        await quorum(group, 3, "what?")
    result = caught.value.result
    assert set(result.failed) == {group[0], group[1]}
    assert isinstance(result.failed[group[0]], RuntimeError)
    assert isinstance(result.failed[group[1]], ValueError)
    group = voters(runtime, "1", "x", "01", "1.0")
    assert len((await quorum(group, 2, "what?", key=int)).votes) == 2
    with pytest.raises(QuorumNotReached) as caught:
        await quorum(group, 3, "what?", key=int)
    assert {group[1], group[3]} == set(caught.value.result.failed)


@in_runtime
async def test_agreement_by_key(runtime: Runtime) -> None:
    """With a key, what it makes of the votes must be equal, and the value is a vote as it came."""
    group = voters(runtime, "Yes", "YES", "no", "yes")
    result = await quorum(group, 3, "what?", key=str.lower)
    assert result.value in ("Yes", "YES", "yes")
    assert set(result.votes.values()) == {"Yes", "YES", "yes"}
    arrays = voters(runtime, numpy.ones(2), numpy.ones(2))
    ones: Any = await quorum(arrays, "all", None, key=bytes)
    assert ones.value.sum() == 2


wrongly: Any = quorum
BAD: list[Any] = [
    pytest.param(lambda g: wrongly([], 1, ""), ValueError, "at least one agent", id="empty"),
    pytest.param(lambda g: wrongly([*g, g[1]], 1, ""), ValueError, "voter 1 twice", id="duplicate"),
    pytest.param(
        lambda g: wrongly([*g, "me"], 1, ""), TypeError, "got str at place 4", id="no agent"
    ),
    pytest.param(lambda g: wrongly(g[0], 1, ""), TypeError, "iterable of agents", id="alone"),
    pytest.param(lambda g: wrongly(g, 0, ""), ValueError, "from 1 to 4.*got 0", id="0"),
    pytest.param(lambda g: wrongly(g, 5, ""), ValueError, "from 1 to 4.*got 5", id="above"),
    pytest.param(lambda g: wrongly(g, True, ""), TypeError, "got bool", id="bool"),
    pytest.param(lambda g: wrongly(g, 2.0, ""), TypeError, "got float", id="float"),
    pytest.param(lambda g: wrongly(g, "most", ""), ValueError, "got 'most'", id="word"),
    pytest.param(
        lambda g: wrongly(g[:3], "byzantine", ""), ValueError, "at least 4", id="byzantine"
    ),
    pytest.param(
        lambda g: wrongly(g, 1, "", timeout=-1), ValueError, "timeout >= 0", id="negative"
    ),
    pytest.param(lambda g: wrongly(g, 1, "", timeout=float("nan")), ValueError, "nan", id="nan"),
    pytest.param(lambda g: wrongly(g, 1, "", timeout=10**400), ValueError, "1329 bits", id="large"),
    pytest.param(lambda g: wrongly(g, 1, "", timeout="1"), TypeError, "got str", id="text"),
    pytest.param(
        lambda g: wrongly(g, 1, "", member_timeout=-1), ValueError, "member_timeout >= 0", id="each"
    ),
    pytest.param(
        lambda g: wrongly(g[:2], 1, "", member_timeout={g[2]: 1}),
        ValueError,
        "voter 2",
        id="stranger",
    ),
    pytest.param(
        lambda g: wrongly(g, 1, "", member_timeout={g[2]: -1}), ValueError, "got -1", id="own"
    ),
    pytest.param(lambda g: wrongly(g, 1, "", key=3), TypeError, "got int", id="key"),
    pytest.param(lambda g: wrongly(g, 1, "", epoch="3"), TypeError, "got str", id="epoch"),
    pytest.param(lambda g: wrongly(g, 1, iso([1])), remuda.NotSendable, "4 members.*iso", id="iso"),
    pytest.param(
        lambda g: wrongly(g, 1, ("x", iso([1]))),
        remuda.NotSendable,
        "holds an iso",
        id="iso inside",
    ),
    pytest.param(
        lambda g: wrongly(g, 1, remuda.Message(iso([1]))), remuda.NotSendable, "iso", id="envelope"
    ),
]


@pytest.mark.parametrize(("ask", "error", "text"), BAD)
@in_runtime
async def test_bad_input(
    runtime: Runtime, ask: Callable[[Group], Any], error: type[Exception], text: str
) -> None:
    """What makes no sense is refused when the quorum is made, before anybody is asked."""
    group = voters(runtime, 1, 1, 1, 1)
    with pytest.raises(error, match=text):
        ask(group)
    await settle(runtime)
    assert [member.statistics().received for member in group] == [0] * 4


@in_runtime
async def test_a_request_must_be_shareable(runtime: Runtime) -> None:
    """What others could change is refused as by `ask`, and nobody is asked; a val is fine."""
    group = voters(runtime, 1, 1, 1)
    with pytest.raises(remuda.NotSendable):
        await quorum(group, 1, [1, 2])  # type: ignore[call-overload]
    await settle(runtime)
    assert [member.statistics().received for member in group] == [0] * 3
    assert (await quorum(group, "all", val((1, 2)))).value == 1


@in_an_agent
async def test_a_cancelled_caller_leaves_nothing(  # the asks, and what waits, go with it
) -> None:
    """If the caller is cancelled all requests are withdrawn, and nothing keeps a reference to anything."""
    requests: list[remuda.Request[Any, Any]] = []
    runtime = remuda.current_runtime()
    group = [runtime.spawn(hang, unchecked(requests), pinned=True) for _ in range(3)]

    class Question:
        pass

    question = Question()
    watched = weakref.ref(question)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await quorum(group, 2, unchecked(question), timeout=1000)
    assert len(requests) == 3
    assert all(request.answered for request in requests)
    requests.clear()
    for member in group:
        member.kill()
    del question
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert watched() is None


@in_runtime
async def test_nothing_is_left_behind(runtime: Runtime) -> None:
    """After it is over there are no more tasks than before, and no cycles that only the collector would find."""
    group = [*voters(runtime, 1, 1), runtime.spawn(hang), runtime.spawn(broken)]
    before = asyncio.all_tasks()
    for threshold in (2, 4):
        with contextlib.suppress(QuorumNotReached):
            await quorum(group, threshold, "what?", timeout=0.01)
    await settle(runtime)
    assert asyncio.all_tasks() <= before


@in_runtime(workers=2)
async def test_members_and_callers_on_several_threads(runtime: Runtime) -> None:
    """Members and callers may run on any worker, and move between them while they wait."""
    group = voters(runtime, *[1] * 7, kind=LateVoter)

    async def asker(mailbox: remuda.Mailbox[Any], members: tuple[AgentRef[Any], ...]) -> int:
        count = 0
        for number in range(30):
            result = await quorum(members, "byzantine", number, timeout=30)
            count += len(result.votes)
        return count

    askers = [runtime.spawn(asker, tuple(group)) for _ in range(8)]
    mine = [await quorum(group, 5, number) for number in range(30)]
    assert [await one for one in askers] == [30 * 5] * 8
    assert all(len(result.votes) == 5 for result in mine)


@in_runtime
async def test_a_member_that_asks_itself_fails(runtime: Runtime) -> None:
    """An agent can't wait for its own vote: it counts as failed, and the others decide."""
    others = voters(runtime, 1, 1)

    async def asker(mailbox: remuda.Mailbox[Any], group: tuple[AgentRef[Any], ...]) -> Any:
        me = mailbox.me
        result = await quorum([me, *group], "majority", "what?")
        return result.value, isinstance(result.failed[me], remuda.DeadlockDetected)

    assert await runtime.spawn(asker, tuple(others)) == (1, True)


@given(
    votes=st.lists(
        st.one_of(st.integers(0, 2), st.lists(st.integers(0, 1), max_size=1)), min_size=1
    ),
    data=st.data(),
)
def test_the_tally_is_that_of_the_plain_definition(votes: list[Any], data: Any) -> None:
    """It is decided exactly when a value has enough votes, or none can get them from those who are left."""
    threshold = data.draw(st.integers(1, len(votes)))
    tally = Tally(len(votes), threshold, None, None)
    for number, vote in enumerate(votes):
        tally.vote(number, vote)  # type: ignore[arg-type]  # any name will do for a member
        most = max(votes[: number + 1].count(other) for other in votes[: number + 1])
        left = len(votes) - number - 1
        assert tally.decided == (most >= threshold or most + left < threshold)
        result = tally.result(tuple(range(len(votes))))  # type: ignore[arg-type]  # the same
        assert len(result.votes) == most == votes[: number + 1].count(result.value)
        if tally.decided:
            break
