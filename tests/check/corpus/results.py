"""What builtin functions, and methods of builtin types, give back."""

import collections
import dataclasses
import re

from remuda import AgentRef, Val, freeze, iso, val


async def words(agent: AgentRef[object], text: str) -> None:
    await agent.send(text.split())  # expect: RMD106
    await agent.send(f"{text} {text}".splitlines())  # expect: RMD106
    await agent.send(text.strip().rsplit(","))  # expect: RMD106
    await agent.send(text.encode().split())  # expect: RMD106


async def words_under_a_name(agent: AgentRef[object], text: str) -> None:
    parts = text.split()
    await agent.send(parts)  # expect: RMD106


async def views(agent: AgentRef[object], table: dict[str, int]) -> None:
    await agent.send(table.keys())  # expect: RMD106
    await agent.send(table.values())  # expect: RMD106
    await agent.send(table.items())  # expect: RMD106


async def made_by_classes(agent: AgentRef[object], pairs, numbers: list[int]) -> None:
    await agent.send(dict(pairs))  # expect: RMD106
    await agent.send(numbers.copy())  # expect: RMD106
    await agent.send(collections.deque(numbers))  # expect: RMD106


async def sets(agent: AgentRef[object], names: set[str], more: set[str]) -> None:
    await agent.send(names.union(more))  # expect: RMD106


async def iterators(agent: AgentRef[object], rows: list[int]) -> None:
    await agent.send(row for row in rows)  # expect: RMD106
    await agent.send((row, row) for row in rows)  # expect: RMD106
    await agent.send(map(str, rows))  # expect: RMD106
    await agent.send(zip(rows, rows, strict=True))  # expect: RMD106
    await agent.send(("rows", iter(rows)))  # expect: RMD106


async def by_a_generator(agent: AgentRef[object]) -> None:
    def numbers():
        yield 1

    await agent.send(numbers())  # expect: RMD106


async def from_the_library(agent: AgentRef[object], text: str, job) -> None:
    await agent.send(re.findall("a", text))  # expect: RMD106
    await agent.send(dataclasses.asdict(job))  # expect: RMD106


async def a_file(agent: AgentRef[object], path: str) -> None:
    await agent.send(open(path))  # expect: RMD106  # noqa: SIM115


async def a_text_to_one_who_takes_numbers(agent: AgentRef[int], text: str) -> None:
    await agent.send(text.strip())  # expect: RMD107


def vals(text: str, table: dict[str, int]) -> object:
    first = val(text.split())  # expect: RMD109
    second = val(table.keys())  # expect: RMD109
    third = val(number for number in table.values())  # expect: RMD109
    return first, second, third


def change_what_a_val_gives(shared: Val[dict[str, list[int]]], key: str) -> None:
    for row in shared.values():
        row.append(1)  # expect: RMD104
    row = shared.get(key)
    row.append(1)  # expect: RMD104


async def a_view_of_what_was_sent(agent: AgentRef[object], table: dict[str, list[int]]) -> None:
    rows = table.values()
    await agent.send(iso(table))
    for row in rows:
        row.append(1)  # expect: RMD103


async def texts(agent: AgentRef[str], text: str) -> None:
    await agent.send(text.strip())
    await agent.send("-".join(text.split()))
    await agent.send(text.split()[0])
    await agent.send(f"{text}".upper())


async def handed_over(agent: AgentRef[object], text: str, table: dict[str, int]) -> None:
    await agent.send(iso(text.split()))
    await agent.send(tuple(text.split()))
    await agent.send(tuple(table.keys()))
    await agent.send(freeze(table.copy()))
    await agent.send(len(table.items()))
    await agent.send(text.partition(","))
    await agent.send(sum(number for number in table.values()))


async def of_unknown_types(agent: AgentRef[object], text, table) -> None:
    await agent.send(text.split())
    await agent.send(table.keys())
    await agent.send(table.values())
    await agent.send(text.copy())


async def of_a_class_of_ones_own(agent: AgentRef[object]) -> None:
    class Names:
        def keys(self) -> tuple[str, ...]:
            return ()

        def split(self) -> tuple[str, ...]:
            return ()

    names = Names()
    await agent.send(names.keys())
    await agent.send(names.split())


async def a_function_of_that_name(agent: AgentRef[object], rows) -> None:
    def map(rows):
        return tuple(rows)

    await agent.send(map(rows))


async def frozen_sets(agent: AgentRef[object], names: frozenset[str], more: set[str]) -> None:
    await agent.send(names.union(more))
    await agent.send(names | more)


def read_what_a_val_gives(shared: Val[dict[str, int]]) -> int:
    total = shared.get("one")
    total += 1
    for _, number in shared.items():
        number += 1
        total += number
    return total


async def numbers_of_what_was_sent(agent: AgentRef[object], table: dict[str, int]) -> None:
    total = 0
    for number in table.values():
        total += number
    await agent.send(iso(table))
    print(total, number)
