"""Paths that part and meet: `if`, conditional expressions, `and` and `or`, `match`, early returns, walrus."""

import sys
from typing import assert_never

from remuda import AgentRef, consume, iso


async def moved_on_one_branch(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def moved_on_both(agent: AgentRef[list[int]], other: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
    else:
        await other.send(numbers)
    print(numbers)  # expect: RMD101


async def moved_in_an_elif(agent: AgentRef[list[int]], kind: int) -> None:
    numbers = iso([1])
    if kind == 1:
        numbers.append(1)
    elif kind == 2:
        await agent.send(numbers)
    else:
        numbers.append(2)
    numbers.append(3)  # expect: RMD101


async def moved_in_a_condition(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    if await agent.ask(numbers):
        print(numbers)  # expect: RMD101


async def moved_by_the_right_side_of_and(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    ready and agent.send_nowait(numbers)
    print(numbers)  # expect: RMD101


async def moved_in_a_conditional_expression(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    agent.send_nowait(numbers) if ready else None
    print(numbers)  # expect: RMD101


async def moved_in_a_case(agent: AgentRef[list[int]], command: object) -> None:
    numbers = iso([1])
    match command:
        case "send":
            await agent.send(numbers)
        case _:
            pass
    print(numbers)  # expect: RMD101


async def moved_before_the_match(agent: AgentRef[list[int]], command: object) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    match command:
        case "show":
            print(numbers)  # expect: RMD101
        case _:
            pass


async def matched_after_the_move(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    match numbers:  # expect: RMD101
        case _:
            pass


async def moved_by_a_walrus_condition(agent: AgentRef[list[int]], numbers_in: list[int]) -> None:
    numbers = iso(numbers_in)
    if (answer := await agent.ask(numbers)) is None:
        return
    print(answer, numbers)  # expect: RMD101


async def either_object_may_be_moved(agent: AgentRef[list[int]], ready: bool) -> None:
    first, second = iso([1]), iso([2])
    chosen = first if ready else second
    await agent.send(chosen)
    print(first)  # expect: RMD101


async def early_return_only_when_idle(agent: AgentRef[list[int]], idle: bool) -> None:
    numbers = iso([1])
    if not idle:
        await agent.send(numbers)
    if idle:
        return
    print(numbers)  # expect: RMD101


async def consumed_under_assert(ready: bool) -> None:
    numbers = iso([1])
    if ready:
        consume(numbers)
    assert numbers  # expect: RMD101


async def returns_after_the_move(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
        return
    print(numbers)


async def raises_after_the_move(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
        raise RuntimeError("sent")
    print(numbers)


async def used_on_the_other_branch(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
    else:
        print(numbers)


async def a_different_branch_each(agent: AgentRef[list[int]], kind: str) -> None:
    numbers = iso([1])
    if kind == "send":
        await agent.send(numbers)
    elif kind == "ask":
        await agent.ask(numbers)
    elif kind == "show":
        print(numbers)
    else:
        consume(numbers)


async def a_different_case_each(agent: AgentRef[list[int]], command: object) -> None:
    numbers = iso([1])
    match command:
        case "send":
            await agent.send(numbers)
        case ["show", *_]:
            print(numbers)
        case _ if command:
            await agent.send(numbers)
        case _:
            numbers.clear()


async def a_conditional_expression_each(
    agent: AgentRef[list[int]], other: AgentRef[list[int]], ready: bool
) -> None:
    numbers = iso([1])
    await (agent.send(numbers) if ready else other.send(numbers))


async def remade_where_moved(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
        numbers = iso([])
    print(numbers)


async def exits_after_the_move(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        agent.send_nowait(numbers)
        sys.exit(0)
    print(numbers)


async def never_comes_to_the_use(agent: AgentRef[list[int]], kind: int) -> None:
    numbers = iso([1])
    if kind == 1:
        await agent.send(numbers)
    elif kind == 2:
        print(numbers)
    else:
        assert_never(kind)


async def every_case_returns(agent: AgentRef[list[int]], command: object) -> None:
    numbers = iso([1])
    match command:
        case str():
            await agent.send(numbers)
            return
        case int() | float():
            await agent.ask(numbers)
            return
        case _:
            numbers.append(1)
    numbers.append(2)


async def either_name_is_free_again(agent: AgentRef[list[int]], ready: bool) -> None:
    first, second = iso([1]), iso([2])
    chosen = first if ready else second
    await agent.send(chosen)
    first = second = iso([3])
    print(first, second)


async def sends_the_default(agent: AgentRef[list[int]], given=None) -> None:
    numbers = given or iso([1])
    await agent.send(numbers)


async def nothing_to_send_yet(agent: AgentRef[list[int]], ready: bool) -> None:
    pending = None
    if ready:
        pending = iso([1])
    if pending is not None:
        await agent.send(pending)
        pending = None
    print(pending)


async def disabled_by_a_constant(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    if False:
        await agent.send(numbers)
    print(numbers)


async def the_flag_tells(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
    if not ready:
        print(numbers)  # false: RMD101: tests of the same flag are not connected; Pony refuses this as well


async def the_result_tells(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    sent = False
    if ready:
        await agent.send(numbers)
        sent = True
    if not sent:
        print(numbers)  # false: RMD101: values of flags are not followed; Pony refuses this as well


async def captured_on_the_other_path(agent: AgentRef[object], message) -> None:
    own = iso([1])
    match message:
        case ("send", target):
            await target.send(own)
        case {"own": own}:
            print(own)
        case [own, *_] | own:
            print(own)


async def in_one_case_for_good(agent: AgentRef[object], message) -> None:
    own = iso([1])
    match message:
        case 1:
            await agent.send(own)
            return
        case int() | str():
            print(own)
        case _:
            own.append(2)
    print(own)


async def renewed_whatever_it_answers(agent: AgentRef[object]) -> None:
    own = iso([1])
    own = iso([2]) if await agent.send(own) is None else iso([3])
    own.append(4)
