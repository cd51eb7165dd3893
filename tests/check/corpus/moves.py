"""Each way of moving an iso, and what may be done with it before and instead."""

from dataclasses import dataclass

import remuda
from remuda import AgentRef, Iso, Mailbox, Message, Request, Runtime, channel, consume, iso, tag


@dataclass(frozen=True)
class Parcel:
    label: str
    content: object


async def printer(mailbox: Mailbox[list[int]]) -> None:
    async for message in mailbox:
        print(message)


async def send_then_read(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2])
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def send_then_call_method(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2])
    await agent.send(numbers)
    numbers.append(3)  # expect: RMD101


async def send_nowait_then_read(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2])
    agent.send_nowait(numbers)
    return numbers[0]  # expect: RMD101


async def signal_then_read(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2])
    remuda.signal(agent, numbers)
    len(numbers)  # expect: RMD101


async def ask_then_read(agent: AgentRef[list[int]]) -> int:
    numbers = iso([1, 2])
    total = await agent.ask(numbers, timeout=1.0)
    return total + len(numbers)  # expect: RMD101


async def reply_then_read(mailbox: Mailbox[Request[str, list[int]]]) -> None:
    async for request in mailbox:
        answer = iso([1])
        request.reply(answer)
        print(answer)  # expect: RMD101


async def channel_send_then_read() -> None:
    tx, rx = channel(10)
    numbers = iso([1])
    await tx.send(numbers)
    numbers.clear()  # expect: RMD101
    print(await rx.recv())


async def channel_send_nowait_then_send() -> None:
    tx, _ = channel(10)
    numbers = iso([1])
    tx.send_nowait(numbers)
    tx.send_nowait(numbers)  # expect: RMD101


async def broadcast_then_read(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    await remuda.broadcast(agents, numbers, fanout=3)
    print(numbers)  # expect: RMD101


async def quorum_then_read(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    await remuda.quorum(agents, 2, numbers, timeout=1.0)
    print(numbers)  # expect: RMD101


async def spawn_argument_then_read(runtime: Runtime, behaviour) -> None:
    numbers = iso([1])
    runtime.spawn(behaviour, numbers)
    print(numbers)  # expect: RMD101


async def module_spawn_argument_then_read() -> None:
    numbers = iso([1])
    remuda.spawn(printer, numbers)
    print(numbers)  # expect: RMD101


def consume_then_read() -> None:
    numbers = iso([1])
    taken = consume(numbers)
    print(taken)
    print(numbers)  # expect: RMD101


async def consumed_is_an_iso_again(agent: AgentRef[list[int]]) -> None:
    first = iso([1])
    second = consume(first)
    await agent.send(second)
    print(second)  # expect: RMD101


async def agent_returns_it(mailbox: Mailbox[int]) -> list[int]:
    numbers = iso([0])
    try:
        return numbers
    finally:
        numbers.append(1)  # expect: RMD101


async def sent_twice(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    await other.send(numbers)  # expect: RMD101


async def in_a_tuple(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(("numbers", numbers))
    print(numbers)  # expect: RMD101


async def in_an_object(agent: AgentRef[Parcel]) -> None:
    numbers = iso([1])
    await agent.send(Parcel("numbers", numbers))
    print(numbers)  # expect: RMD101


async def in_an_envelope(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(Message(numbers, priority=1))
    print(numbers)  # expect: RMD101


async def in_an_object_made_before(agent: AgentRef[Parcel]) -> None:
    numbers = iso([1])
    parcel = Parcel(label="numbers", content=numbers)
    await agent.send(parcel)
    print(numbers)  # expect: RMD101


async def under_another_name(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    same = numbers
    await agent.send(same)
    print(numbers)  # expect: RMD101


async def a_parameter(agent: AgentRef[list[int]], numbers: Iso[list[int]]) -> None:
    await agent.send(numbers)
    numbers.append(1)  # expect: RMD101


async def an_attribute(agent: AgentRef[list[int]], holder) -> None:
    holder.numbers = iso([1])
    await agent.send(holder.numbers)
    print(holder.numbers)  # expect: RMD101


async def send_as_a_task(agent: AgentRef[list[int]], group) -> None:
    numbers = iso([1])
    group.create_task(agent.send(numbers))
    numbers.append(2)  # expect: RMD101


async def each_use_counts(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    first = numbers[0]  # expect: RMD101
    print(first)
    del numbers[0]  # expect: RMD101


async def used_in_a_format(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    print(f"sent {numbers}")  # expect: RMD101


async def truth_is_a_use(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    if numbers:  # expect: RMD101
        print("there")


async def moved_by_a_helper(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await deliver(agent, numbers)
    print(numbers)  # expect: RMD101


async def deliver(agent: AgentRef[list[int]], item: Iso[list[int]]) -> None:
    await agent.send(item)


class Keeper(remuda.Agent[str]):
    def __init__(self, sink: AgentRef[list[str]]) -> None:
        self.sink = sink
        self.lines = iso([])

    def flush_wrongly(self) -> None:
        self.sink.send_nowait(self.lines)
        self.lines.clear()  # expect: RMD101

    def flush(self) -> None:
        self.lines = iso([])
        self.sink.send_nowait(self.lines)
        self.lines = iso([])
        self.lines.append("new")

    def receive(self, message: str) -> None:
        self.lines.append(message)
        if len(self.lines) > 10:
            self.flush()
            self.lines.append("after")


async def used_before(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    numbers.append(2)
    print(len(numbers))
    await agent.send(numbers)


async def made_anew(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    numbers = iso([2])
    await agent.send(numbers)


async def rebound_to_something_else(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    numbers = None
    print(numbers)


async def deleted(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    del numbers


async def compared_by_identity(agent: AgentRef[list[int]], other: object) -> bool:
    numbers = iso([1])
    await agent.send(numbers)
    return numbers is other


async def a_tag_stays(agent: AgentRef[list[int]]) -> object:
    numbers = iso([1])
    who = tag(numbers)
    await agent.send(numbers)
    return who


async def length_taken_before(agent: AgentRef[list[int]]) -> int:
    numbers = iso([1])
    count = len(numbers)
    await agent.send(numbers)
    return count


async def two_of_them(agent: AgentRef[list[int]]) -> None:
    first, second = iso([1]), iso([2])
    await agent.send(first)
    print(second)
    await agent.send(second)


async def swapped_names(agent: AgentRef[list[int]]) -> None:
    first, second = iso([1]), iso([2])
    first, second = second, first
    await agent.send(first)
    print(second)


async def the_other_of_swapped_names(agent: AgentRef[list[int]]) -> None:
    first, second = iso([1]), iso([2])
    first, second = second, first
    await agent.send(first)
    print(first)  # expect: RMD101


async def helper_only_reads(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    describe(numbers)
    await agent.send(numbers)


def describe(item: Iso[list[int]]) -> str:
    item.append(0)
    return repr(item)


async def passed_on_as_received(mailbox: Mailbox[list[int]], other: AgentRef[list[int]]) -> None:
    async for numbers in mailbox:
        await other.send(iso(numbers))


async def unchecked_is_no_move(agent: AgentRef[object], client) -> None:
    await agent.send(remuda.unchecked(client))
    await client.close()


async def in_a_return_of_a_plain_function(agent: AgentRef[list[int]]):
    numbers = iso([1])
    try:
        return numbers
    finally:
        print(len(numbers))


async def sent_in_place(agent: AgentRef[list[int]]) -> None:
    await agent.send(iso([1]))
    await agent.send(iso([1]))


async def consumed_into_its_own_name(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    numbers = consume(numbers)
    numbers.append(2)
    await agent.send(numbers)


async def walrus_makes_it_anew(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    if (numbers := iso([2])) is not None:
        numbers.append(3)


async def shared_name_of_another_object(agent: AgentRef[list[int]], holder, other) -> None:
    holder.numbers = iso([1])
    other.numbers = iso([2])
    await agent.send(holder.numbers)
    print(other.numbers)


async def attribute_set_again_by_a_method(agent: AgentRef[list[int]], holder) -> None:
    holder.numbers = iso([1])
    await agent.send(holder.numbers)
    holder.reset()
    print(holder.numbers)


async def a_call_result(agent: AgentRef[list[int]], make) -> None:
    await agent.send(iso(make()))
    await agent.send(iso(make()))


async def asked_whether_it_was_moved(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    assert numbers.moved
    print(numbers.value)  # expect: RMD101


def taken_then_read() -> None:
    numbers = iso([1])
    bare = numbers.take()
    bare.append(2)
    print(numbers.value)  # expect: RMD101


async def taken_then_sent_bare(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers.take())  # expect: RMD106


async def with_a_star(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    arguments = (numbers,)
    await agent.send(*arguments)
    print(numbers)  # expect: RMD101


async def while_its_method_waits(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    numbers.append(await agent.send(numbers))  # expect: RMD101


async def used_by_an_operator_after(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    print(agent.send_nowait(numbers) or 0 + len(numbers))  # expect: RMD101


async def in_the_body_of_a_class(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(numbers)

    class Table:
        rows = numbers  # expect: RMD101

    print(Table)


async def a_name_of_the_class(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(numbers)

    class Table:
        numbers = ()
        rows = numbers

    print(Table)


STALE = iso([1])


async def a_global_that_is_given_another(agent: AgentRef[object]) -> None:
    global STALE
    await agent.send(STALE)
    print(STALE)  # expect: RMD101
    STALE = iso([])
