"""A runtime that checks no capabilities lets bare objects through; an iso is still moved."""

from remuda import AgentRef, Runtime, iso, val


async def a_list() -> None:
    async with Runtime(capabilities="trust") as runtime:
        agent = runtime.spawn(behaviour)
        await agent.send([1])
        agent.send_nowait({"one": 1})


async def behaviour(mailbox) -> None:
    async for message in mailbox:
        print(message)


async def an_iso(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def a_val(agent: AgentRef[object]) -> None:
    await agent.send(val([1]))  # expect: RMD109
