"""Loops and comprehensions: what is left over from the turn before."""

import asyncio
from itertools import count

from remuda import AgentRef, Mailbox, MailboxFull, Runtime, consume, iso


async def the_same_to_all(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    for agent in agents:
        await agent.send(numbers)  # expect: RMD102


async def the_same_while_true(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    while True:
        await agent.send(numbers)  # expect: RMD102
        await asyncio.sleep(1)


async def the_same_for_each_message(mailbox: Mailbox[int], agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    async for _ in mailbox:
        agent.send_nowait(numbers)  # expect: RMD102


async def the_same_to_each_in_a_comprehension(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    await asyncio.gather(*[agent.send(numbers) for agent in agents])  # expect: RMD102


async def the_same_in_a_generator(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    await asyncio.gather(*(agent.send(numbers) for agent in agents))  # expect: RMD102


async def the_same_to_each_new_agent(runtime: Runtime, behaviour) -> None:
    numbers = iso([1])
    return [runtime.spawn(behaviour, numbers) for _ in range(3)]  # expect: RMD102


async def the_same_content_in_each_turn(agents: list[AgentRef[list[int]]]) -> None:
    numbers = [1]
    for agent in agents:
        await agent.send(iso(numbers))  # expect: RMD102


async def used_at_the_start_of_the_next_turn(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([])
    for agent in agents:
        numbers.append(1)  # expect: RMD101
        if len(numbers) > 10:  # expect: RMD101
            await agent.send(numbers)  # expect: RMD102


async def forgets_to_make_anew_on_one_path(mailbox: Mailbox[int], agent: AgentRef[list[int]]) -> None:
    batch = iso([])
    async for number in mailbox:
        batch.append(number)  # expect: RMD101
        if number % 10 == 0:
            await agent.send(batch)  # expect: RMD102
            if number % 100 == 0:
                batch = iso([])


async def used_after_the_loop(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    for agent in agents:
        await agent.send(numbers)
        break
    print(numbers)  # expect: RMD101


async def used_in_the_else(agents: list[AgentRef[list[int]]], agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    for other in agents:
        if other is agent:
            break
    else:
        print(numbers)  # expect: RMD101


async def moved_in_the_else(agents: list[AgentRef[list[int]]], agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    while not agents:
        await asyncio.sleep(1)
    else:
        await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def consumed_in_the_inner_loop(rows: list[list[int]]) -> None:
    numbers = iso([1])
    for row in rows:
        for _ in row:
            consume(numbers)  # expect: RMD102


async def made_in_the_outer_loop_only(agents: list[AgentRef[list[int]]]) -> None:
    while True:
        numbers = iso([1])
        for agent in agents:
            await agent.send(numbers)  # expect: RMD102


async def the_one_of_the_turn_before(agent: AgentRef[list[int]]) -> None:
    previous = iso([0])
    for number in range(10):
        current = iso([number])
        await agent.send(current)
        print(previous)  # expect: RMD101
        previous = current  # expect: RMD101


async def each_of_a_list_then_used(agent: AgentRef[list[int]]) -> None:
    batches = [iso([number]) for number in range(3)]
    for batch in batches:
        await agent.send(batch)
        print(batch)  # expect: RMD101


async def retried_whatever_happened(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    for _ in range(3):
        try:
            await agent.ask(numbers, timeout=1.0)  # expect: RMD102
        except TimeoutError:
            continue
        return


async def made_in_each_turn(agents: list[AgentRef[list[int]]]) -> None:
    for agent in agents:
        numbers = iso([1])
        numbers.append(2)
        await agent.send(numbers)


async def remade_at_the_end(mailbox: Mailbox[int], agent: AgentRef[list[int]]) -> None:
    batch = iso([])
    async for number in mailbox:
        batch.append(number)
        if len(batch) == 10:
            await agent.send(batch)
            batch = iso([])
    await agent.send(batch)


async def sent_and_left(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    for agent in agents:
        if agent.depth == 0:
            await agent.send(numbers)
            break
    else:
        print("nobody is free for", numbers)


async def sent_and_returned(agents: list[AgentRef[list[int]]]) -> bool:
    numbers = iso([1])
    for agent in agents:
        if agent.depth == 0:
            await agent.send(numbers)
            return True
    print(numbers)
    return False


async def first_that_has_room(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    for agent in agents:
        try:
            agent.send_nowait(numbers)
        except MailboxFull:
            continue
        break
    else:
        raise RuntimeError(f"nobody took {numbers}")


async def until_it_has_room(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    while True:
        try:
            agent.send_nowait(numbers)
            break
        except MailboxFull:
            await asyncio.sleep(0.1)
            print("retrying", numbers)


async def until_it_has_room_with_else(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    for _ in count():
        try:
            agent.send_nowait(numbers)
        except MailboxFull:
            await asyncio.sleep(0.1)
        else:
            return


async def a_batch_that_may_not_be_there(mailbox: Mailbox[int], agent: AgentRef[list[int]]) -> None:
    batch = None
    async for number in mailbox:
        if batch is None:
            batch = iso([])
        batch.append(number)
        if number == 0:
            await agent.send(batch)
            batch = None


async def fresh_in_a_comprehension(agents: list[AgentRef[list[int]]]) -> None:
    await asyncio.gather(*(agent.send(iso([1])) for agent in agents))


async def its_own_name_in_a_comprehension(agent: AgentRef[list[int]], batches: list[list[int]]) -> None:
    batch = iso([1])
    sizes = [len(batch) for batch in batches]
    await agent.send(batch)
    print(sizes, [len(batch) for batch in batches])


async def each_of_a_list(agent: AgentRef[list[int]]) -> None:
    batches = [iso([number]) for number in range(3)]
    for batch in batches:
        batch.append(0)
        await agent.send(batch)


async def the_one_of_the_turn_before_is_kept(agent: AgentRef[list[int]]) -> None:
    previous = iso([0])
    for number in range(10):
        current = iso([number])
        await agent.send(previous)
        previous = current
    print(previous)


async def taken_from_a_list(agent: AgentRef[list[int]]) -> None:
    batches = [iso([1]), iso([2])]
    while batches:
        await agent.send(batches.pop())


async def two_places_of_a_list(agent: AgentRef[list[int]]) -> None:
    batches = [iso([1]), iso([2])]
    await agent.send(batches[0])
    await agent.send(batches[1])


async def a_loop_that_runs_once(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    while True:
        await agent.send(numbers)
        break


async def new_content_each_turn(agents: list[AgentRef[list[int]]], load) -> None:
    for agent in agents:
        content = load()
        content.append(1)
        await agent.send(iso(content))


async def by_walrus(agent: AgentRef[list[int]], load) -> None:
    while (numbers := iso(load())) is not None:
        await agent.send(numbers)


async def copies_in_a_loop(agents: list[AgentRef[list[int]]]) -> None:
    numbers = [1]
    for agent in agents:
        await agent.send(iso(numbers.copy()))
    numbers.append(2)


async def nested_loops_with_flag(agents: list[AgentRef[list[int]]], rows) -> None:
    for row in rows:
        numbers = iso([row])
        for agent in agents:
            if agent.depth < 10:
                agent.send_nowait(numbers)
                break


def in_the_inner_loop(agents: list[AgentRef[object]], rows) -> object:
    return [agent.send_nowait(own) for own in [iso(row) for row in rows] for agent in agents]  # expect: RMD102


def in_the_outer_loop(agents: list[AgentRef[object]], rows) -> object:
    return [agent.send_nowait(own) for agent in agents for own in [iso(row) for row in rows]]


async def to_the_first_that_has_room(agents: list[AgentRef[object]]) -> None:
    own = iso([1])
    for agent in agents:
        try:
            agent.send_nowait(own)
            break
        except MailboxFull:
            continue
    else:
        print(own)


async def out_of_both_loops(agent: AgentRef[object], test) -> None:
    own = iso([1])
    for row in range(3):
        for column in range(3):
            if test(row, column):
                await agent.send(own)
                break
        else:
            continue
        break
    else:
        print(own)


async def left_in_a_finally(agent: AgentRef[object], rows, use) -> None:
    own = iso([1])
    for row in rows:
        try:
            use(row)
        finally:
            await agent.send(own)
            break


async def renewed_by_a_walrus(agent: AgentRef[object], load) -> None:
    while own := iso(load()):
        await agent.send(own)


async def each_out_of_a_list(agent: AgentRef[object]) -> None:
    own = [iso([number]) for number in range(3)]
    while own:
        await agent.send(own.pop())
