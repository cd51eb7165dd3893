"""Globals, and variables of enclosing functions, that functions bind anew."""

from __future__ import annotations

import asyncio

from remuda import AgentRef, Iso, Runtime, iso

BATCH = iso([1])
SPARE: Iso[list[int]] = iso([1])
PLAIN = [1]
COUNT = 0


async def moved_and_used(agent: AgentRef[object]) -> None:
    global BATCH
    await agent.send(BATCH)
    BATCH.append(1)  # expect: RMD101
    BATCH = iso([])


async def moved_and_made_anew(agent: AgentRef[object]) -> None:
    global BATCH
    await agent.send(BATCH)
    BATCH = iso([])
    BATCH.append(1)


async def moved_on_one_path(agent: AgentRef[object], ready: bool) -> None:
    global BATCH
    if ready:
        await agent.send(BATCH)
    print(BATCH)  # expect: RMD101
    BATCH = iso([])


async def moved_where_it_is_made_anew(agent: AgentRef[object], ready: bool) -> None:
    global BATCH
    if ready:
        await agent.send(BATCH)
        BATCH = iso([])
    print(BATCH)


async def without_binding_it(agent: AgentRef[object]) -> None:
    await agent.send(SPARE)
    print(SPARE)  # expect: RMD101


def renew() -> None:
    global BATCH, SPARE
    BATCH = iso([])
    SPARE = iso([])


async def made_anew_by_a_function(agent: AgentRef[object]) -> None:
    await agent.send(BATCH)
    renew()
    print(BATCH)


async def made_anew_by_whoever_is_called(agent: AgentRef[object], callback) -> None:
    await agent.send(BATCH)
    callback()
    print(BATCH)


async def made_anew_while_it_waited(agent: AgentRef[object], ready: asyncio.Event, task) -> None:
    await agent.send(BATCH)
    await ready.wait()
    print(BATCH)
    await agent.send(BATCH)
    await task
    print(BATCH)


async def flush(agent: AgentRef[object]) -> None:
    global BATCH
    await agent.send(BATCH)
    print("sent")
    if COUNT:
        BATCH = iso([])


async def flush_and_renew(agent: AgentRef[object]) -> None:
    global BATCH
    await agent.send(BATCH)
    BATCH = iso([])


async def moved_by_a_function(agent: AgentRef[object]) -> None:
    await flush(agent)
    print(BATCH)  # expect: RMD101


async def moved_and_renewed_by_a_function(agent: AgentRef[object]) -> None:
    await flush_and_renew(agent)
    print(BATCH)


async def another_of_that_name(agent: AgentRef[object]) -> None:
    BATCH = iso([1])
    await flush(agent)
    print(BATCH)


async def send_spare(agent: AgentRef[object]) -> None:
    await agent.send(SPARE)


async def a_local_of_that_name(agent: AgentRef[object]) -> None:
    SPARE = iso([1])
    await send_spare(agent)
    print(SPARE)


def count() -> None:
    global COUNT, PLAIN
    COUNT += 1
    PLAIN = []


async def its_content(agent: AgentRef[object]) -> None:
    await agent.send(iso(PLAIN))
    PLAIN.append(1)  # expect: RMD103


async def its_content_made_anew(agent: AgentRef[object]) -> None:
    await agent.send(iso(PLAIN))
    count()
    PLAIN.append(COUNT)


async def of_the_function_around(agent: AgentRef[object]) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        nonlocal numbers
        await agent.send(numbers)
        numbers.append(1)  # expect: RMD101
        numbers = iso([])

    await deliver()
    print(numbers)


async def of_the_function_around_not_made_anew(agent: AgentRef[object], ready: bool) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        nonlocal numbers
        await agent.send(numbers)
        if ready:
            numbers = iso([])

    await deliver()
    print(numbers)  # expect: RMD101


async def moved_by_the_function_around(agent: AgentRef[object]) -> None:
    numbers = iso([1])

    def renew() -> None:
        nonlocal numbers
        numbers = iso([])

    await agent.send(numbers)
    print(numbers)  # expect: RMD101
    renew()
    print(numbers)


async def made_anew_by_a_callback(agent: AgentRef[object], loop) -> None:
    numbers = iso([1])

    def renew() -> None:
        nonlocal numbers
        numbers = iso([])

    loop.call_soon(renew)
    await agent.send(numbers)
    await asyncio.sleep(0)
    print(numbers)


def in_a_generator(agent: AgentRef[object]):
    numbers = iso([1])

    def renew() -> None:
        nonlocal numbers
        numbers = iso([])

    agent.send_nowait(numbers)
    yield renew
    print(numbers)


async def in_a_loop(agent: AgentRef[object], loop) -> None:
    numbers = iso([1])

    def renew() -> None:
        nonlocal numbers
        numbers = iso([])

    for _ in range(2):
        await agent.send(numbers)
        renew()


async def by_an_agent(runtime: Runtime, sink: AgentRef[object]) -> None:
    numbers = [1]

    async def collect(mailbox) -> None:
        nonlocal numbers
        async for number in mailbox:
            numbers.append(number)
            await sink.send(iso(numbers))
            numbers = []

    runtime.spawn(collect)
