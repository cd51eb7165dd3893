"""Vals made of what can be changed, which the run time refuses; and what `val` takes."""

import dataclasses
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

import remuda
from remuda import AgentRef, Message, NotSendable, Runtime, consume, freeze, iso, val


@dataclass
class Order:
    lines: tuple[str, ...]


@dataclasses.dataclass(slots=True, frozen=False)
class Place:
    row: int


@dataclass(frozen=True)
class Price:
    amount: int


@dataclass(frozen=bool(__debug__))
class Maybe:
    amount: int


class Table:
    pass


def a_list() -> object:
    return val([1, 2])  # expect: RMD109


def an_empty_dict() -> object:
    return val({})  # expect: RMD109


def a_set_of_a_name() -> object:
    seen = {1, 2}
    seen.add(3)
    return remuda.val(seen)  # expect: RMD109


def a_comprehension(rows) -> object:
    return val([len(row) for row in rows])  # expect: RMD109


def a_constructor(rows) -> object:
    return val(list(rows))  # expect: RMD109


def a_bytearray() -> object:
    buffer = bytearray(10)
    return val(buffer)  # expect: RMD109


def of_collections() -> tuple[object, object]:
    table = defaultdict(int)
    table["one"] += 1
    return val(table), val(deque())  # expect: RMD109,RMD109


def a_parameter(limits: dict[str, int]) -> object:
    return val(limits)  # expect: RMD109


def a_list_if_there_is_one(rows: list[int] | None) -> object:
    return val(rows)  # expect: RMD109


def on_every_path(short: bool) -> object:
    found = [1] if short else {"one": 1}
    return val(found)  # expect: RMD109


def in_a_tuple() -> object:
    return val(("numbers", [1, 2]))  # expect: RMD109


def in_an_envelope() -> object:
    return val(Message([1]))  # expect: RMD109


def a_dataclass() -> object:
    order = Order(("bread",))
    return val(order)  # expect: RMD109


def a_dataclass_with_options() -> object:
    return val(Place(1))  # expect: RMD109


def a_dataclass_of_a_parameter(order: Order) -> object:
    return val(order)  # expect: RMD109


async def a_message(agent: AgentRef[object], sizes) -> None:
    table = {}
    for name, size in sizes:
        table[name] = size
    await agent.send(val(table))  # expect: RMD109


async def an_argument(runtime: Runtime, behaviour) -> None:
    runtime.spawn(behaviour, val({"limit": 1}))  # expect: RMD109


async def a_dataclass_sent_bare(agent: AgentRef[Order]) -> None:
    await agent.send(Order(("bread",)))  # expect: RMD106


def with_another_error_expected() -> None:
    with pytest.raises(ValueError, match="one"):
        print(val([1]))  # expect: RMD109


def immutable() -> tuple[object, ...]:
    return val(1), val("text"), val(b"bytes"), val((1, "two")), val(frozenset({1})), val(range(3))


def a_frozen_copy(limits: dict[str, int]) -> tuple[object, object]:
    shared = freeze([1, 2])
    return val(freeze(limits)), val(shared)


def an_iso() -> tuple[object, object]:
    numbers = iso([1])
    return val(numbers), val(iso({}))


def a_consumed_iso() -> object:
    numbers = iso([1])
    return val(consume(numbers))


def a_tuple_of_a_list(numbers: list[int]) -> object:
    return val(tuple(numbers))


def an_element(rows: list[str]) -> object:
    return val(rows[0])


def what_a_method_returns(rows: list[str]) -> object:
    return val(rows.copy), val(rows.index("one"))


def on_one_path(load) -> object:
    found = load()
    if found is None:
        found = []
    return val(found)


def a_name_used_again() -> object:
    numbers = [1]
    numbers = tuple(numbers)
    return val(numbers)


def a_protocol(rows: Sequence[int]) -> object:
    return val(rows)


def a_frozen_dataclass() -> object:
    return val(Price(1))


def a_dataclass_that_may_be_frozen() -> object:
    return val(Maybe(1))


def a_class_itself() -> tuple[object, object]:
    return val(Order), val(list)


def a_class_that_may_be_registered_elsewhere(table: Table) -> object:
    return val(table)


def what_is_refused_on_purpose() -> None:
    with pytest.raises(NotSendable):
        val([1])


def another_val(rows: list[int]) -> object:
    def val(value: list[int]) -> list[int]:
        return value

    return val(rows)
