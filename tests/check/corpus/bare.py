"""Mutable objects that are sent as they are."""

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import NamedTuple

import remuda
from remuda import AgentRef, Mailbox, Message, Request, Runtime, channel, freeze, iso, unchecked, val


async def behaviour(mailbox: Mailbox[object], *args: object) -> None:
    async for message in mailbox:
        print(message, args)


async def a_list(agent: AgentRef[list[int]]) -> None:
    await agent.send([1, 2])  # expect: RMD106


async def a_dict(agent: AgentRef[dict[str, int]]) -> None:
    agent.send_nowait({"one": 1})  # expect: RMD106


async def a_set(agent: AgentRef[set[int]]) -> None:
    remuda.signal(agent, {1, 2})  # expect: RMD106


async def a_comprehension(agent: AgentRef[list[int]]) -> None:
    await agent.send([number * 2 for number in range(3)])  # expect: RMD106


async def a_dict_comprehension(agent: AgentRef[dict[int, int]]) -> None:
    await agent.ask({number: number for number in range(3)})  # expect: RMD106


async def an_empty_one(agent: AgentRef[list[int]]) -> None:
    await agent.send(list())  # expect: RMD106  # noqa: C408


async def a_deque(agent: AgentRef[object]) -> None:
    await agent.send(deque([1]))  # expect: RMD106


async def a_defaultdict(agent: AgentRef[object]) -> None:
    table = defaultdict(int)
    table["one"] += 1
    await agent.send(table)  # expect: RMD106


async def a_bytearray(agent: AgentRef[object]) -> None:
    await agent.send(bytearray(10))  # expect: RMD106


async def a_name(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    numbers.append(2)
    await agent.send(numbers)  # expect: RMD106


async def either_way(agent: AgentRef[object], short: bool) -> None:
    if short:
        found = [1]
    else:
        found = {"one": 1}
    await agent.send(found)  # expect: RMD106


async def in_a_conditional_expression(agent: AgentRef[object], short: bool) -> None:
    await agent.send([] if short else [1, 2])  # expect: RMD106


async def an_annotated_parameter(agent: AgentRef[list[int]], numbers: list[int]) -> None:
    await agent.send(numbers)  # expect: RMD106


async def in_a_tuple(agent: AgentRef[object]) -> None:
    await agent.send(("numbers", [1, 2]))  # expect: RMD106


async def in_an_envelope(agent: AgentRef[object]) -> None:
    await agent.send(Message([1], priority=2))  # expect: RMD106


async def an_answer(mailbox: Mailbox[Request[str, list[int]]]) -> None:
    async for request in mailbox:
        request.reply([1])  # expect: RMD106


async def into_a_channel() -> None:
    tx, rx = channel(10)
    await tx.send([1])  # expect: RMD106
    print(await rx.recv())


async def to_many(agents: list[AgentRef[list[int]]]) -> None:
    await remuda.broadcast(agents, [1])  # expect: RMD106


async def to_a_new_agent(runtime: Runtime) -> None:
    log = []
    runtime.spawn(behaviour, log)  # expect: RMD106
    print(log)


async def to_an_agent_without_annotation(agent) -> None:
    await agent.send([1])  # expect: RMD106


async def to_a_spawned_one() -> None:
    async with Runtime() as runtime:
        agent = runtime.spawn(behaviour)
        await agent.send({})  # expect: RMD106


async def to_one_of_many(agents: list[AgentRef[list[int]]]) -> None:
    for agent in agents:
        await agent.send([1])  # expect: RMD106


async def to_one_by_name(agents: dict[str, AgentRef[list[int]]]) -> None:
    await agents["first"].send([1])  # expect: RMD106
    for agent in agents.values():
        agent.send_nowait([2])  # expect: RMD106


async def a_sorted_list(agent: AgentRef[list[int]], numbers) -> None:
    await agent.send(sorted(numbers))  # expect: RMD106


async def a_split_text(agent: AgentRef[list[str]]) -> None:
    await agent.send("a b".split())  # expect: RMD106


async def joined_lists(agent: AgentRef[list[int]]) -> None:
    await agent.send([1] + [2])  # expect: RMD106
    await agent.send([0] * 10)  # expect: RMD106


async def merged_dicts(agent: AgentRef[dict[str, int]], defaults: dict[str, int]) -> None:
    await agent.send(defaults | {"one": 1})  # expect: RMD106


async def a_copy(agent: AgentRef[list[int]], numbers: list[int]) -> None:
    await agent.send(numbers.copy())  # expect: RMD106
    await agent.send(numbers[1:])  # expect: RMD106


@dataclass(frozen=True)
class Report:
    rows: object
    title: str = ""


class Pair(NamedTuple):
    left: object
    right: object


@dataclass(frozen=True)
class Checked:
    rows: object

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))


async def in_a_frozen_dataclass(agent: AgentRef[Report]) -> None:
    await agent.send(Report([1]))  # expect: RMD106
    await agent.send(Report((1, Report({}))))  # expect: RMD106


async def in_a_named_tuple(agent: AgentRef[Pair]) -> None:
    rows = []
    pair = Pair(1, rows)
    await agent.send(pair)  # expect: RMD106


async def an_element(agent: AgentRef[list[int]], rows: list[list[int]]) -> None:
    for row in rows:
        await agent.send(row)  # expect: RMD106


def many_arguments(runtime: Runtime) -> None:
    first = ([1],)
    runtime.spawn(behaviour, *first)  # expect: RMD106


ROWS = [1, 2]


async def a_constant_of_the_file(agent: AgentRef[list[int]]) -> None:
    await agent.send(ROWS)  # expect: RMD106


async def in_an_iso(agent: AgentRef[list[int]]) -> None:
    await agent.send(iso([1, 2]))
    numbers = [1]
    await agent.send(iso(numbers))


async def frozen(agent: AgentRef[object]) -> None:
    await agent.send(freeze([1, 2]))
    await agent.send(val((1, 2)))


async def immutable(agent: AgentRef[object]) -> None:
    await agent.send((1, "two", 3.0, None))
    await agent.send(frozenset({1}))
    await agent.send("text")
    await agent.send(b"bytes")
    await agent.send(range(3))


async def answered_for(agent: AgentRef[object]) -> None:
    await agent.send(unchecked([1]))


async def a_list_of_its_own(agent: AgentRef[tuple[int, ...]]) -> None:
    numbers = [1]
    numbers.append(2)
    await agent.send(tuple(numbers))


async def something_from_it(agent: AgentRef[int]) -> None:
    numbers = [1]
    await agent.send(numbers[0])
    await agent.send(len(numbers))
    await agent.send(numbers.pop())


async def maybe_something_else(agent: AgentRef[object], load) -> None:
    found = load()
    if found is None:
        found = []
    await agent.send(found)


async def a_name_used_again(agent: AgentRef[object]) -> None:
    numbers = [1]
    numbers = tuple(numbers)
    await agent.send(numbers)


async def to_a_generator() -> None:
    def rows():
        while True:
            print((yield))

    generator = rows()
    next(generator)
    generator.send([1])


async def to_a_class_of_the_file() -> None:
    client = Client()
    await client.send([1])


class Client:
    async def send(self, rows: list[int]) -> None:
        print(rows)


async def a_string_of_a_list(agent: AgentRef[str]) -> None:
    await agent.send(str([1]))
    await agent.send(",".join(["a", "b"]))


async def options_of_spawn(runtime: Runtime) -> None:
    runtime.spawn(behaviour, 1, name="one", mailbox=10)


async def the_message_itself(mailbox: Mailbox[object], other: AgentRef[object]) -> None:
    async for message in mailbox:
        await other.send(message)


async def put_into_a_queue(queue, rows) -> None:
    queue.put_nowait([1])
    await queue.put({})
    rows.append([2])


def a_test(agent: AgentRef[object]) -> None:
    import pytest

    with pytest.raises(remuda.NotSendable):
        agent.send_nowait([1])


async def a_tuple_that_may_hold_one(agent: AgentRef[object], load, short: bool) -> None:
    found = load()
    if found is None:
        found = []
    await agent.send((1, found))
    await agent.send((2, [] if short else 1))


async def headers_of_an_envelope(agent: AgentRef[Message[int]]) -> None:
    await agent.send(Message(1, headers={"trace": "one"}))


async def a_frozen_dataclass_of_what_may_be_sent(
    agent: AgentRef[Report], rows: list[int], report: Report
) -> None:
    await agent.send(Report(tuple(rows)))
    await agent.send(Report(iso(rows), title="one"))
    await agent.send(Report(freeze({"one": 1})))
    await agent.send(report)


async def a_dataclass_that_makes_a_tuple_of_it(agent: AgentRef[Checked]) -> None:
    await agent.send(Checked([1]))


async def what_operators_may_return(agent: AgentRef[object], array) -> None:
    await agent.send([1] * array)
    await agent.send([1] + array)
    await agent.send(array[1:])


async def some_arguments(runtime: Runtime, numbers: list[int]) -> None:
    runtime.spawn(behaviour, *numbers)
    numbers.append(1)
