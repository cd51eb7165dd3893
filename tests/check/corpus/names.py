"""How Remuda's functions may be called by a program."""

import remuda as r
from remuda import iso as isolated
from remuda.capabilities import val as make_val


async def by_the_module(agent: r.AgentRef[list[int]]) -> None:
    numbers = r.iso([1])
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def by_an_alias(agent: r.AgentRef[list[int]]) -> None:
    numbers = isolated([1])
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


def from_a_module_of_the_package(numbers) -> None:
    shared = make_val(numbers)
    shared.append(1)  # expect: RMD104


async def imported_within(agent: r.AgentRef[list[int]]) -> None:
    from remuda import iso

    numbers = iso([1])
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def a_parameter_of_that_name(agent: r.AgentRef[list[int]], isolated) -> None:
    numbers = isolated([1])
    await agent.send(numbers)
    print(numbers)


async def a_local_of_that_name(agent: r.AgentRef[list[int]]) -> None:
    isolated = tuple
    numbers = isolated([1])
    await agent.send(numbers)
    print(numbers)


async def a_method_of_that_name(agent: r.AgentRef[list[int]], factory) -> None:
    numbers = factory.iso([1])
    await agent.send(numbers)
    print(numbers)


async def another_module_of_that_name(agent: r.AgentRef[list[int]], remuda) -> None:
    numbers = remuda.iso([1])
    await agent.send(numbers)
    print(numbers)


async def not_imported(agent: r.AgentRef[list[int]]) -> None:
    numbers = iso([1])  # noqa: F821
    await agent.send(numbers)
    print(numbers)


def imported_name_only_elsewhere() -> None:
    def inner() -> None:
        from remuda import freeze

        print(freeze([1]))

    freeze = list
    copy = freeze([1])
    copy.append(2)
    inner()


async def a_local_of_that_name_within(agent: r.AgentRef[list[int]]) -> None:
    try:
        class Thread:
            def run(self) -> None:
                isolated = isolated([1])  # of itself: an UnboundLocalError, and none of Remuda's
                print(isolated)

        sort = lambda isolated: isolated([1])  # noqa: E731
        await agent.send(sort(Thread))
    finally:
        print("done")
