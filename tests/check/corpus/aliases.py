"""Other ways to the content of an iso."""

from copy import deepcopy
from dataclasses import dataclass, field

from remuda import Agent, AgentRef, iso, ref


@dataclass
class Order:
    name: str
    lines: list[str] = field(default_factory=list)


async def the_list_itself(agent: AgentRef[list[int]]) -> None:
    numbers = []
    await agent.send(iso(numbers))
    numbers.append(1)  # expect: RMD103


async def the_list_by_a_handle(agent: AgentRef[list[int]]) -> None:
    numbers = []
    handle = iso(numbers)
    await agent.send(handle)
    numbers.append(1)  # expect: RMD103


async def reading_races_too(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers))
    print(numbers)  # expect: RMD103


async def another_name_of_it(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    same = numbers
    await agent.send(iso(numbers))
    same.append(2)  # expect: RMD103


async def something_loaded(agent: AgentRef[dict[str, int]], load) -> None:
    table = load()
    await agent.send(iso(table))
    table["more"] = 1  # expect: RMD103


async def a_parameter(agent: AgentRef[list[int]], numbers: list[int]) -> None:
    await agent.send(iso(numbers))
    numbers.sort()  # expect: RMD103


async def a_list_within(agent: AgentRef[list[list[int]]]) -> None:
    row = [1]
    await agent.send(iso([row, [2]]))
    row.append(3)  # expect: RMD103


async def a_list_put_in(agent: AgentRef[list[list[int]]]) -> None:
    rows = []
    row = [1]
    rows.append(row)
    await agent.send(iso(rows))
    row.append(3)  # expect: RMD103


async def a_list_put_in_by_key(agent: AgentRef[dict[str, list[int]]]) -> None:
    table = {}
    row = [1]
    table["row"] = row
    await agent.send(iso(table))
    row.append(3)  # expect: RMD103


async def an_attribute_of_an_object(agent: AgentRef[Order]) -> None:
    lines = ["one"]
    await agent.send(iso(Order("order", lines)))
    lines.append("two")  # expect: RMD103


async def an_element_taken_out(agent: AgentRef[list[list[int]]], load) -> None:
    rows = iso(load())
    first = rows[0]
    await agent.send(rows)
    first.append(1)  # expect: RMD103


async def an_attribute_taken_out(agent: AgentRef[Order], load) -> None:
    order = iso(load())
    lines = order.lines
    await agent.send(order)
    lines.append("more")  # expect: RMD103


async def an_item_of_what_was_taken_out(agent: AgentRef[Order], load) -> None:
    order = iso(load())
    lines = order.lines
    await agent.send(order)
    lines[0] = "changed"  # expect: RMD103


async def an_attribute_of_self(agent: AgentRef[list[int]]) -> None:
    class Keeper:
        def flush(self, agent: AgentRef[list[int]]) -> None:
            agent.send_nowait(iso(self.buffer))
            self.buffer.append(1)  # expect: RMD103


async def on_one_path(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = []
    if ready:
        await agent.send(iso(numbers))
    numbers.append(1)  # expect: RMD103


async def sent_again_in_another_iso(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers))
    await agent.send(iso(numbers))  # expect: RMD103


async def given_to_a_new_agent(runtime, behaviour) -> None:
    numbers = [1]
    runtime.spawn(behaviour, iso(numbers))
    numbers.append(2)  # expect: RMD103


async def returned_after_the_move(agent: AgentRef[list[int]]) -> list[int]:
    numbers = [1]
    await agent.send(iso(numbers))
    return numbers  # expect: RMD103


async def in_a_slice_assignment(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers))
    numbers[:] = [2]  # expect: RMD103


async def augmented(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers))
    numbers += [2]  # expect: RMD103


async def taken_by_iteration(agent: AgentRef[list[list[int]]], load) -> None:
    rows = load()
    kept = [row for row in rows]
    await agent.send(iso(rows))
    kept[0].append(1)  # missed: RMD103: what comes out of an iteration is not followed


async def taken_by_get(agent: AgentRef[dict[str, list[int]]], load) -> None:
    table = load()
    row = table.get("row")
    await agent.send(iso(table))
    row.append(1)  # missed: RMD103: a method's result may be new or not


async def through_a_function(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    handle = wrap(numbers)
    await agent.send(handle)
    numbers.append(1)  # missed: RMD103: that a function returns a handle of its argument is not followed


def wrap(numbers):
    return iso(numbers)


async def a_copy(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(list(numbers)))
    numbers.append(2)


async def a_copy_by_method(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers.copy()))
    numbers.append(2)


async def a_slice_is_a_copy(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers[:]))
    numbers.append(2)


async def a_deep_copy(agent: AgentRef[Order], order: Order) -> None:
    await agent.send(iso(deepcopy(order)))
    order.lines.append("more")


async def changed_before(agent: AgentRef[list[int]]) -> None:
    numbers = []
    handle = iso(numbers)
    numbers.append(1)
    await agent.send(handle)


async def the_name_has_a_new_list(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    await agent.send(iso(numbers))
    numbers = [2]
    numbers.append(3)


async def batches_of_a_loop(agent: AgentRef[list[int]], source) -> None:
    batch = []
    for number in source:
        batch.append(number)
        if len(batch) == 10:
            await agent.send(iso(batch))
            batch = []


async def a_string_taken_out(agent: AgentRef[Order], load) -> None:
    order = iso(load())
    name = order.name
    await agent.send(order)
    print(name)


async def a_number_taken_out(agent: AgentRef[list[int]], load) -> int:
    numbers = iso(load())
    first = numbers[0]
    await agent.send(numbers)
    first += 1
    return first


async def an_element_removed(agent: AgentRef[list[list[int]]]) -> None:
    rows = iso([[1], [2]])
    last = rows.pop()
    await agent.send(rows)
    last.append(3)


async def an_immutable_within(agent: AgentRef[list[object]], name: str, limit: int) -> None:
    await agent.send(iso([name, limit]))
    print(name, limit)


async def a_reference_to_an_agent_within(
    agent: AgentRef[list[object]], other: AgentRef[int]
) -> None:
    await agent.send(iso([other, 1]))
    await other.send(1)


async def something_unknown_within(agent: AgentRef[Order], name) -> None:
    await agent.send(iso(Order(name)))
    print(name)


async def rebound_by_its_own_handle(agent: AgentRef[list[int]]) -> None:
    numbers = [1]
    numbers = iso(numbers)
    numbers.append(2)
    await agent.send(numbers)


async def the_size_of_it(agent: AgentRef[list[int]]) -> int:
    numbers = [1]
    size = len(numbers)
    await agent.send(iso(numbers))
    return size


async def never_sent(agent: AgentRef[int]) -> None:
    numbers = [1]
    handle = iso(numbers)
    numbers.append(2)
    await agent.send(len(handle))


async def a_sorted_copy(agent: AgentRef[list[int]]) -> None:
    numbers = [3, 1]
    await agent.send(iso(sorted(numbers)))
    numbers.reverse()


class Collector(Agent[int]):
    def __init__(self, sink: AgentRef[list[int]]) -> None:
        self.sink = sink
        self.buffer: list[int] = []
        self.seen = ref(set())

    def receive(self, message: int) -> None:
        self.buffer.append(message)
        self.seen.add(message)
        if len(self.buffer) == 10:
            self.sink.send_nowait(iso(self.buffer))
            self.buffer = []
        self.buffer.append(0)

    def swap_by_names(self) -> None:
        full, self.buffer = self.buffer, []
        self.sink.send_nowait(iso(full))
        self.buffer.append(1)


async def an_element_of_an_iteration(agent: AgentRef[object]) -> None:
    rows = [[1], [2]]
    kept = None
    for row in rows:
        kept = row
    await agent.send(iso(rows))
    kept.append(1)  # expect: RMD103


async def unpacked_from_an_iso(agent: AgentRef[object], load) -> None:
    rows = iso(load())
    first, *_ = rows
    await agent.send(rows)
    first.append(1)  # expect: RMD103


async def captured_from_an_iso(agent: AgentRef[object], load) -> None:
    order = iso(load())
    match order:
        case {"lines": lines}:
            await agent.send(order)
            lines.append(1)  # expect: RMD103


async def captured_whole(agent: AgentRef[object], load) -> None:
    order = iso(load())
    match (order, 1):
        case (handle, int()):
            await agent.send(handle)
    print(order)  # expect: RMD101


async def each_element_in_an_iso(agent: AgentRef[object], rows: list[list[int]]) -> None:
    for row in rows:
        await agent.send(iso(row))
        print(row)  # expect: RMD103


async def in_a_list_with_a_star(agent: AgentRef[object]) -> None:
    row = [1]
    rows = [row]
    await agent.send(iso([*rows]))
    row.append(1)  # expect: RMD103


async def out_of_a_dict(agent: AgentRef[object]) -> None:
    rows = [1]
    table = {"rows": rows}
    await agent.send(iso(rows))
    table["rows"].append(1)  # expect: RMD103


async def a_slice_is_a_copy(agent: AgentRef[object], numbers: list[int]) -> None:
    own = iso(numbers)
    tail = own[1:]
    await agent.send(own)
    tail.append(1)


async def numbers_out_of_an_iso(agent: AgentRef[object], load) -> None:
    rows = iso(load())
    first, second = rows
    total = 0
    for number in rows:
        total += number
    await agent.send(rows)
    first += 1
    print(first, second, number, total)


async def the_rest_is_new(agent: AgentRef[object], load) -> None:
    rows = iso(load())
    match rows:
        case {"kind": kind, **rest}:
            await agent.send(rows)
            rest["seen"] = True
            print(kind)
        case [_, *others]:
            await agent.send(rows)
            others.append(1)


async def an_element_of_something_else(agent: AgentRef[object], rows, load) -> None:
    own = iso(rows)
    for row in own:
        print(row)
    await agent.send(own)
    for row in load():
        row.append(1)


async def elements_one_by_one(agent: AgentRef[object], rows: list[list[int]]) -> None:
    first, second = rows
    await agent.send(iso(first))
    second.append(1)
    rows[2].append(1)


async def taken_out_and_renewed(agent: AgentRef[object], rows: list[list[int]]) -> None:
    while rows:
        await agent.send(iso(rows.pop()))
        rows.append([])
        rows[0].append(1)
