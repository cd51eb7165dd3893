"""Never run: what type checkers infer of the primitives, and refuse. See `agents.py` for the comments."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any, Literal, assert_type

import remuda
from remuda import (
    AgentRef,
    FrozenDict,
    Future,
    Iso,
    Mailbox,
    Receiver,
    Request,
    Resolver,
    Sender,
    Val,
    Vote,
    iso,
)


class Teller(remuda.Agent[str | int]):
    def __init__(self, name: str, words: Sender[str]) -> None:
        self.words = words

    def receive(self, message: str | int) -> int:
        return len(self.words)


class Halved(remuda.Agent[int]):
    def receive(self, message: str) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # it must take int


async def listen(mailbox: Mailbox[int], words: Receiver[str], done: Resolver[int]) -> None:
    async for word in words:
        assert_type(word, str)
    done.set_result(len(mailbox))


async def futures(mailbox: Mailbox[Resolver[int]]) -> None:
    resolver: Resolver[int]
    future: Future[int]
    resolver, future = remuda.await_future()
    assert_type(future, Future[int])
    assert_type(await future, int)
    assert_type(future.result(), int)
    assert_type(future.exception(), BaseException | None)
    assert_type(future.done(), bool)
    assert_type(await asyncio.wait_for(future, 1), int)
    assert_type(await asyncio.gather(future, future), tuple[int, int])
    wider: Future[int | str] = future
    narrower: Resolver[bool] = resolver
    resolver.set_result(1)
    narrower.set_result(True)
    resolver.set_exception(ValueError("no"))
    resolver.set_exception(ValueError)
    mailbox.me.send_nowait(resolver)
    await wider

    resolver.set_result("one")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it promises an int
    resolver.set_exception("no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is no exception
    strings: Future[str] = future  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it has an int
    anything: Resolver[object] = resolver  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it takes ints only
    future.set_result(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # that side awaits
    await resolver  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # that side resolves
    mailbox.me.send_nowait(future)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the agent wants to resolve
    print(strings, anything)


async def channels(runtime: remuda.Runtime) -> None:
    sender: Sender[str]
    receiver: Receiver[str]
    sender, receiver = remuda.channel(10, high=8, low=2, on_watermark=marked)
    assert_type(receiver, Receiver[str])
    assert_type(await receiver.recv(), str)
    assert_type(receiver.recv_nowait(), str)
    assert_type([item async for item in receiver], list[str])
    assert_type(sender.clone(), Sender[str])
    assert_type(receiver.clone(), Receiver[str])
    assert_type(sender.statistics(), remuda.ChannelStatistics)
    assert_type(sender.capacity, int)
    assert_type(await sender.send("word"), None)
    sender.send_nowait("word")
    with sender as entered:
        assert_type(entered, Sender[str])
    resolver: Resolver[int]
    resolver, _ = remuda.await_future()
    assert_type(runtime.spawn(listen, receiver, resolver), AgentRef[int])
    assert_type(remuda.spawn(Teller, "Ada", sender), AgentRef[str | int])
    objects: Receiver[object] = receiver
    await objects.recv()

    await sender.send(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes str
    sender.send_nowait(iso(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes str
    sender.recv()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # that end sends
    receiver.send_nowait("word")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # that end receives
    of_object: Sender[object] = sender  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it takes str only
    remuda.channel(10, on_watermark=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is called with the mark and the depth
    remuda.channel("10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a number of items
    remuda.spawn(Teller, "Ada", receiver)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it wants to send
    remuda.spawn(listen, receiver)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # an argument is missing
    remuda.signal(sender, "word")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it is no agent
    print(of_object)


def marked(mark: Literal["high", "low"], depth: int) -> None: ...


async def selects(
    words: Receiver[str],
    numbers: Future[int],
    task: asyncio.Task[bytes],
    mailbox: Mailbox[float],
    agent: AgentRef[int],
) -> None:
    source, value = await remuda.select(words, numbers, timeout=1.0)
    assert_type(value, str | int)
    if source is words:
        print("a word")
    assert_type((await remuda.select(words))[1], str)
    assert_type((await remuda.select(words, task, mailbox))[1], str | bytes | float)
    assert_type((await remuda.select(words, agent))[1], Any)
    assert_type((await remuda.select(words, numbers, task, mailbox, agent))[1], Any)

    await remuda.select([words, numbers])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # they are not in a list
    await remuda.select("word")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # nothing comes from there
    await remuda.select(words, 1.0)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a time-out is given by name


async def asks(
    of_word: AgentRef[Request[str, int]],
    mixed: AgentRef[int | Request[str, bool]],
    of_int: AgentRef[int],
    request: Request[str, int],
) -> None:
    assert_type(of_word.ask("word"), Awaitable[int])
    assert_type(await of_word.ask(iso("word"), timeout=1), int)
    assert_type(await mixed.ask("word"), bool)
    assert_type(await of_int.ask(1), Any)
    assert_type(await remuda.spawn(Teller, "Ada", remuda.unchecked(None)).ask("word"), Any)
    assert_type(request.message, str)
    assert_type(request.reply(1), bool)
    assert_type(request.reply(iso(1)), bool)
    assert_type(request.fail(ValueError), bool)

    await of_word.ask(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it is asked with str
    await of_word.ask("word", 1.0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # a time-out is given by name
    await of_word.send("word")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes requests only
    request.reply("one")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the answer is an int
    request.reply(iso("one"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the same
    request.fail("no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is no exception


async def quorums(
    voters: list[AgentRef[Request[str, Vote[bool]]]],
    plain: tuple[AgentRef[Request[str, float]], ...],
    ints: list[AgentRef[int]],
) -> None:
    result = await remuda.quorum(voters, "majority", "commit?", timeout=1.0, epoch=3)
    assert_type(result, remuda.QuorumResult[bool])
    assert_type(result.value, bool)
    assert_type(result.votes, Mapping[AgentRef[Any], bool])
    assert_type(result.stale, Mapping[AgentRef[Any], Vote[bool]])
    assert_type(result.failed, Mapping[AgentRef[Any], BaseException])
    assert_type(result.missing, tuple[AgentRef[Any], ...])
    assert_type(await remuda.quorum(plain, 2, "how warm?", key=round), remuda.QuorumResult[float])
    assert_type(await remuda.quorum(plain, "all", remuda.val("how")), remuda.QuorumResult[float])
    assert_type(
        await remuda.quorum(ints, 1, 1, member_timeout={ints[0]: 1.0}), remuda.QuorumResult[Any]
    )
    assert_type(Vote("commit", epoch=3), Vote[str])

    await remuda.quorum(voters, "most", "commit?")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # there is no such rule
    await remuda.quorum(voters, 0.5, "commit?")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it is a number of members
    await remuda.quorum(voters, 1, 1)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # they are asked with str
    await remuda.quorum(voters, 1, iso("commit?"))  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # only one could own it
    await remuda.quorum(voters[0], 1, "commit?")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a group is asked
    await remuda.quorum(plain, 1, "how warm?", key=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a float has no length
    await remuda.quorum(ints, 1, "one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # they take int
    result.value = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # it is frozen


async def broadcasts(agents: list[AgentRef[str]]) -> None:
    report = await remuda.broadcast(agents, "hello", fanout=3, timeout=None)
    assert_type(report, remuda.BroadcastReport)
    assert_type(report.failed, Mapping[AgentRef[Any], Exception])
    assert_type(report.complete, bool)
    assert_type(remuda.gossip_rounds(100, 3), int)
    edges = {agents[0]: agents[1:]}
    await remuda.broadcast(agents, remuda.val("hello"), edges=edges, tree=report.tree)

    await remuda.broadcast(agents, 1)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # they take str
    await remuda.broadcast(agents, iso("hello"))  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # only one could own it
    await remuda.broadcast(agents[0], "hello")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it is one
    await remuda.broadcast(agents, "hello", 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # the fanout is given by name
    await remuda.broadcast(["agent"], "hello")  # type: ignore[list-item]  # pyright: ignore[reportArgumentType, reportCallIssue]  # these are no agents


def shards(agents: list[AgentRef[int]]) -> None:
    assert_type(remuda.shard("key", ["a", "b"]), str)
    assert_type(remuda.shard(b"key", agents), AgentRef[int])
    cities = remuda.ShardMap(["a", "b"], weights={"a": 2.0}, replicas=2)
    assert_type(cities, remuda.ShardMap[str])
    assert_type(remuda.shard(1, cities), str)
    assert_type(cities["key"], str)
    assert_type(cities.owners(1), tuple[str, ...])
    assert_type(cities.add("c", weight=2), float)
    assert_type(cities.loads(), dict[str, int])
    assert_type(list(cities), list[str])
    assert_type(remuda.ShardMap(agents, weights=[1, 2]).owner("key"), AgentRef[int])

    remuda.shard(1.5, ["a"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what is no key
    remuda.shard("key", [1.5])  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # what is no shard
    remuda.ShardMap([1.5])  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # the same
    remuda.ShardMap(["a"], weights={1: 2.0})  # weights of other shards
    cities.add(b"c")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the others are str
    cities[1.5]  # type: ignore[index]  # pyright: ignore[reportArgumentType]  # what is no key


async def leases(lines: list[str]) -> None:
    async with remuda.LeaseManager() as manager:
        assert_type(manager, remuda.LeaseManager)
        async with await manager.acquire("log", ttl=5, renew=True, on_expire=print) as lease:
            assert_type(lease, remuda.Lease)
            assert_type(lease.token, int)
            assert_type(lease.remaining, float)
            assert_type(await lease.renew(1.0), None)
            assert_type(await lease.release(), None)
            write = remuda.Fenced(lines.append, resource="log")
            assert_type(write(lease, "line"), None)
            assert_type(write.check(lease), int)
            guard = remuda.Fenced(lines)
            assert_type(guard, remuda.Fenced[list[str]])
            with guard.use(lease.token) as used:
                assert_type(used, list[str])

            write(lease, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a line is a str
            write("line")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]  # the lease comes first
            guard(lease)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]  # a list can't be called
            guard.check("token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a token is an int
            async with manager.acquire("log", ttl=5):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]  # it is to be awaited
                pass
            await manager.acquire("log")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # for how long?
            await manager.acquire(1, ttl=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a name is a str


def messages(of_message: AgentRef[remuda.Message[str]]) -> None:
    message = remuda.Message("hello", priority="high", deadline=1.0, headers={"from": "Ada"})
    assert_type(message, remuda.Message[str])
    assert_type(message.payload, str)
    assert_type(message.remaining, float)
    assert_type(message.headers, remuda.FrozenDict[str, Any])
    assert_type(remuda.Message(iso([1])), remuda.Message[remuda.Iso[list[int]]])
    objects: remuda.Message[object] = message
    of_message.send_nowait(message)

    of_message.send_nowait(remuda.Message(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it takes str
    of_message.send_nowait("hello")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the envelope is missing
    remuda.Message("hello", priority="urgent")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # there is no such priority
    remuda.Message("hello", 1.0)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]  # a deadline is given by name
    message.payload = "bye"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # it is frozen
    print(objects)


async def threads() -> None:
    assert_type(await remuda.to_thread(sum, [1, 2]), int)
    assert_type(await remuda.to_thread(sorted, ["a"], reverse=True), list[str])
    with remuda.blocking() as nothing:
        assert_type(nothing, None)

    await remuda.to_thread(len, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # an int has no length
    await remuda.to_thread(len)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # of what?


def frozen(
    numbers: list[int],
    nested: dict[str, list[int]],
    view: memoryview,
    queue: deque[int],
    pair: tuple[int, str],
    teller: Teller,
) -> None:
    assert_type(remuda.prove_isolated(numbers), None)
    assert_type(remuda.is_sendable(numbers), bool)
    assert_type(remuda.swap(teller, "words", None), Any)
    assert_type(remuda.freeze(numbers), tuple[int, ...])
    assert_type(remuda.freeze([(1, "two")]), tuple[tuple[int, str], ...])
    assert_type(remuda.freeze(queue), tuple[int, ...])
    assert_type(remuda.freeze({"one": 1}), FrozenDict[str, int])
    assert_type(remuda.freeze({1}), frozenset[int])
    assert_type(remuda.freeze(bytearray()), bytes)
    assert_type(remuda.freeze(view), bytes)
    assert_type(remuda.freeze(teller), Teller)
    assert_type(remuda.freeze(pair), tuple[int, str])
    # What is within is frozen, too: it isn't what it was.
    assert_type(remuda.freeze([numbers]), tuple[Any, ...])
    assert_type(remuda.freeze(nested), FrozenDict[str, Any])
    assert_type(remuda.recover(lambda: [1]), Iso[list[int]])
    assert_type(remuda.recover(lambda: "one", to="val"), Val[str])
    assert_type(remuda.recover(lambda: [1], to="val"), Val[Any])
    assert_type(iso(numbers).share(), Val[Any])
    assert_type(Registered(), Registered)
    assert_type(table, Iso[dict[str, int]])
    assert_type(shared, Val[Any])

    remuda.freeze(numbers).append(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # it is a tuple
    remuda.freeze({"one": 1})["one"] = 2  # type: ignore[index]  # pyright: ignore[reportIndexIssue]  # it can't be changed
    remuda.recover([1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # it builds it itself
    remuda.recover(lambda: [1], to="ref")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it becomes an iso or a val
    remuda.register_immutable(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is no class
    remuda.prove_isolated(numbers, numbers)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # one at a time


@remuda.register_immutable
class Registered: ...


@remuda.recover
def table() -> dict[str, int]:
    return {"one": 1}


shared = remuda.recover(lambda: {"one": 1}, to="val")
