"""What is immutable: made by `val` or `freeze`, or annotated so; and what only looks so."""

import heapq
import random

import remuda
from remuda import AgentRef, Mailbox, Val, box, freeze, iso, trn, val


def append_to_a_val(numbers: list[int]) -> None:
    shared = freeze(numbers)
    shared.append(1)  # expect: RMD104


def set_an_item(table: dict[str, int]) -> None:
    shared = freeze(table)
    shared["one"] = 1  # expect: RMD104


def set_an_attribute(order) -> None:
    shared = val(order)
    shared.name = "changed"  # expect: RMD104


def delete_an_item(table: dict[str, int]) -> None:
    shared = freeze(table)
    del shared["one"]  # expect: RMD104


def augment_an_attribute(order) -> None:
    shared = val(order)
    order_count = 1
    shared.count += order_count  # expect: RMD104


def augment_an_item(table: dict[str, int]) -> None:
    shared = freeze(table)
    shared["one"] += 1  # expect: RMD104


def augment_in_place(shared: Val[list[int]]) -> None:
    shared += [1]  # expect: RMD104


def change_by_another_name(numbers) -> None:
    shared = val(numbers)
    numbers.append(1)  # expect: RMD104
    print(shared)


def change_what_is_within(order) -> None:
    shared = val(order)
    shared.lines.append("more")  # expect: RMD104


def change_an_element(rows) -> None:
    for row in val(rows):
        row.append(1)  # expect: RMD104


def change_a_frozen_copy(numbers: list[int]) -> None:
    shared = freeze(numbers)
    shared.append(1)  # expect: RMD104


def change_a_parameter(shared: Val[list[int]]) -> None:
    shared.sort()  # expect: RMD104


async def change_a_message(mailbox: Mailbox[Val[dict[str, int]]]) -> None:
    async for table in mailbox:
        table["seen"] = 1  # expect: RMD104


def change_on_one_path(numbers: list[int], share: bool) -> None:
    chosen = freeze(numbers) if share else [1]
    chosen.append(1)  # expect: RMD104


def change_by_a_function(numbers) -> None:
    shared = val(numbers)
    random.shuffle(shared)  # expect: RMD104


def push_on_a_heap(numbers) -> None:
    shared = val(numbers)
    heapq.heappush(shared, 1)  # expect: RMD104


def take_out(numbers) -> int:
    shared = val(numbers)
    return shared.pop()  # expect: RMD104


def write_through_a_box(order) -> None:
    seen = box(order)
    seen.name = "changed"  # expect: RMD104


def unpack_into_it(order) -> None:
    shared = val(order)
    shared.first, shared.second = 1, 2  # expect: RMD104,RMD104


def loop_over_its_attribute(order, names) -> None:
    shared = val(order)
    for shared.name in names:  # expect: RMD104
        print(shared)


def set_by_name(order) -> None:
    shared = val(order)
    setattr(shared, "name", "changed")  # expect: RMD104  # noqa: B010


class Book(remuda.Agent[str]):
    def __init__(self, prices: Val[dict[str, float]]) -> None:
        self.prices = prices

    def receive(self, message: str) -> None:
        self.prices[message] = 0.0  # expect: RMD104


def change_through_iteration_of_items(table) -> None:
    shared = val(table)
    for _, row in shared.items():
        row.append(1)  # expect: RMD104


def read_it(numbers: list[int]) -> int:
    shared = freeze(numbers)
    return shared[0] + len(shared) + shared.count(1)


def change_before(numbers) -> None:
    numbers.append(1)
    shared = val(numbers)
    print(shared)


def change_what_was_frozen(numbers: list[int]) -> None:
    shared = freeze(numbers)
    numbers.append(1)  # a copy was frozen
    print(shared)


def change_a_copy(numbers: list[int]) -> None:
    shared = freeze(numbers)
    own = list(shared)
    own.append(1)


def change_a_sorted_copy(numbers: list[int]) -> None:
    shared = freeze(numbers)
    own = sorted(shared)
    own.append(1)


def share_a_tuple_of_it(numbers: list[int]) -> None:
    shared = val(tuple(numbers))
    numbers.append(1)
    print(shared)


def count_with_it() -> int:
    number = val(1)
    number += 1
    return number


def extend_a_text() -> str:
    text = val("a")
    text += "b"
    return text


def name_used_again(numbers: list[int]) -> None:
    shared = val(tuple(numbers))
    print(shared)
    shared = []
    shared.append(1)


def add_that_returns_a_new_one(amount) -> object:
    fixed = val(amount)
    return fixed.add(1)


async def send_it_often(agents: list[AgentRef[tuple[int, ...]]]) -> None:
    shared = val((1, 2))
    for agent in agents:
        await agent.send(shared)
    print(shared)


async def use_an_agent_within(shared: Val[dict[str, AgentRef[int]]]) -> None:
    await shared["first"].send(1)
    shared["first"].send_nowait(2)


def write_through_a_trn(order) -> None:
    draft = trn(order)
    draft.name = "changed"


def change_an_iso(numbers: list[int]) -> None:
    own = iso(numbers)
    own.append(1)
    own[0] = 2


def new_one_by_update(table: dict[str, int]) -> dict[str, int]:
    shared = freeze(table)
    return {**shared, "more": 1}


def value_of_an_enum_like(settings) -> None:
    shared = val(settings)
    copy = shared.replace(limit=1)
    print(copy)


async def share_while_reading(agent: AgentRef[object], numbers: tuple[int, ...]) -> None:
    shared = val(numbers)
    await agent.send(shared)
    for number in shared:
        print(number + sum(numbers))


def shadowed(numbers: list[int]) -> None:
    def val(value: list[int]) -> list[int]:
        return list(value)

    own = val(numbers)
    own.append(1)


def captured_from_a_val(order) -> None:
    match val(order):
        case {"lines": lines}:
            lines.append(1)  # expect: RMD104


def unpacked_from_a_val(pair) -> None:
    first, second = val(pair)
    first.append(second)  # expect: RMD104


def unpacked_and_renewed(pair) -> None:
    first, second = val(pair)
    first = [*first]
    first.append(second)
