"""One way to an iso in each message."""

from dataclasses import dataclass

from remuda import AgentRef, Message, Runtime, consume, iso, val


@dataclass(frozen=True)
class Pair:
    left: object
    right: object


async def twice_in_a_tuple(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send((numbers, numbers))  # expect: RMD108


async def twice_in_an_object(agent: AgentRef[Pair]) -> None:
    numbers = iso([1])
    await agent.send(Pair(numbers, right=numbers))  # expect: RMD108


async def twice_in_an_iso(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(iso([numbers, numbers]))  # expect: RMD108


async def twice_to_a_new_agent(runtime: Runtime, behaviour) -> None:
    numbers = iso([1])
    runtime.spawn(behaviour, numbers, numbers)  # expect: RMD108


async def under_two_names(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    same = numbers
    await agent.send((numbers, same))  # expect: RMD108


async def its_content_beside_it(agent: AgentRef[object]) -> None:
    numbers = [1]
    await agent.send(Message((iso(numbers), iso(numbers))))  # expect: RMD108


async def its_content_before_it(agent: AgentRef[object], load) -> None:
    numbers = load()
    handle = iso(numbers)
    await agent.send(Pair(numbers, handle))  # expect: RMD108


async def nested(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send((1, (numbers, 2), numbers))  # expect: RMD108


async def in_a_val(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(val((numbers, 1)))  # expect: RMD108


async def made_before(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    pair = (numbers, numbers)  # expect: RMD108
    await agent.send(pair)


async def two_isos(agent: AgentRef[object]) -> None:
    first, second = iso([1]), iso([2])
    await agent.send((first, second))


async def two_isos_in_place(agent: AgentRef[object]) -> None:
    await agent.send((iso([1]), iso([1])))


async def a_copy_beside_it(agent: AgentRef[object]) -> None:
    numbers = [1]
    await agent.send((iso(numbers), iso(list(numbers))))


async def a_number_of_it(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send((numbers, len(numbers)))


async def a_tuple_that_stays(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    pair = (numbers, numbers)
    print(pair[0] is pair[1])
    await agent.send(1)


async def one_or_the_other(agent: AgentRef[object], ready: bool) -> None:
    first, second = iso([1]), iso([2])
    await agent.send((first, 1) if ready else (second, 1))


async def the_same_immutable_twice(agent: AgentRef[object]) -> None:
    shared = val((1, 2))
    await agent.send((shared, shared))


async def a_val_of_a_consumed_one(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    shared = val(consume(numbers))
    await agent.send((shared, shared))


async def the_same_name_in_two_messages(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send((numbers, 1))
    numbers = iso([2])
    await agent.send((numbers, 2))
