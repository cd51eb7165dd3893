"""Functions within functions."""

import asyncio

from remuda import AgentRef, Mailbox, Runtime, iso


async def read_by_a_function_after_the_move(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    def show() -> None:
        print(numbers)

    await agent.send(numbers)
    show()  # expect: RMD101


async def read_by_a_lambda_after_the_move(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    size = lambda: len(numbers)  # noqa: E731
    await agent.send(numbers)
    print(size())  # expect: RMD101


async def moved_by_a_function(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        await agent.send(numbers)

    await deliver()
    print(numbers)  # expect: RMD101


async def moved_within(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        await agent.send(numbers)
        numbers.append(2)  # expect: RMD101

    await deliver()


async def of_its_own(agent: AgentRef[list[int]]) -> None:
    async def deliver() -> None:
        numbers = iso([1])
        await agent.send(numbers)
        print(numbers)  # expect: RMD101

    await deliver()


async def by_a_parameter(agent: AgentRef[list[int]]) -> None:
    async def deliver(item) -> None:
        await agent.send(item)

    numbers = iso([1])
    await deliver(numbers)
    print(numbers)  # expect: RMD101


async def moved_by_a_task(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        await agent.send(numbers)

    task = asyncio.create_task(deliver())
    numbers.append(2)  # expect: RMD101
    await task


async def called_before_the_move(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    def show() -> None:
        print(numbers)

    show()
    await agent.send(numbers)


async def a_function_that_is_not_called(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        await agent.send(numbers)

    print(numbers, deliver)


async def a_name_of_its_own(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    def show(numbers: list[int]) -> None:
        print(numbers)

    await agent.send(numbers)
    show([1])


async def its_own_local(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    def other() -> int:
        numbers = [1]
        numbers.append(2)
        return len(numbers)

    await agent.send(numbers)
    print(other())


async def moved_on_one_path_within(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        if ready:
            await agent.send(numbers)

    await deliver()
    print(numbers)  # expect: RMD101


async def made_anew_by_a_function(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    def renew() -> None:
        nonlocal numbers
        numbers = iso([2])

    await agent.send(numbers)
    renew()
    print(numbers)


async def a_function_that_only_reads_its_parameter(agent: AgentRef[list[int]]) -> None:
    def size(item) -> int:
        return len(item)

    numbers = iso([1])
    print(size(numbers))
    await agent.send(numbers)


async def the_behaviours_own(runtime: Runtime) -> None:
    async def worker(mailbox: Mailbox[list[int]], sink: AgentRef[list[int]]) -> None:
        async for numbers in mailbox:
            result = iso([number * 2 for number in numbers])
            await sink.send(result)

    runtime.spawn(worker, None)


async def a_default_value(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    def show(item=numbers) -> None:
        print(item)

    show()
    await agent.send(numbers)


async def a_callback_that_moves(agent: AgentRef[list[int]], loop) -> None:
    numbers = iso([1])
    loop.call_soon(lambda: agent.send_nowait(numbers))
    await asyncio.sleep(1)
    print(numbers)  # missed: RMD101: when a callback runs is not known


async def a_function_of_two_levels(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])

    async def deliver() -> None:
        async def inner() -> None:
            await agent.send(numbers)

        await inner()

    await deliver()
    print(numbers)  # expect: RMD101
