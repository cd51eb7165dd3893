"""Never run: what type checkers accept of capabilities, and refuse. See `agents.py`."""

from dataclasses import dataclass
from typing import Any, assert_type

import remuda
from remuda import AgentRef, FrozenDict, Iso, Mailbox, Ref, Tag, Trn, Val, iso, ref, tag, trn, val


@dataclass(frozen=True)
class Point:
    x: int


class Animal: ...


class Dog(Animal): ...


def handles(numbers: list[int]) -> None:
    assert_type(iso(numbers), Iso[list[int]])
    assert_type(iso(numbers).value, list[int])
    assert_type(iso(numbers).take(), list[int])
    assert_type(val(tuple(numbers)), Val[tuple[int, ...]])
    assert_type(val(val(1)), Val[int])
    assert_type(ref(numbers), Ref[list[int]])
    assert_type(ref(numbers).value, list[int])
    assert_type(trn(numbers).box(), remuda.Box[list[int]])
    assert_type(tag(numbers), Tag[list[int]])
    assert_type(remuda.consume(iso(numbers)), Iso[list[int]])
    assert_type(remuda.consume(trn(numbers)), Trn[list[int]])
    assert_type(remuda.recover(lambda: [1]), Iso[list[int]])
    assert_type(remuda.freeze(numbers), tuple[int, ...])
    assert_type(remuda.freeze({"a": 1}), FrozenDict[str, int])
    assert_type(remuda.freeze({1}), frozenset[int])
    assert_type(remuda.freeze(1), int)


async def sends(
    of_int: AgentRef[int],
    of_list: AgentRef[list[int]],
    of_either: AgentRef[int | list[int]],
    of_any: AgentRef[Any],
    of_animal: AgentRef[Animal],
    of_pair: AgentRef[tuple[Iso[list[int]], str]],
    of_tag: AgentRef[Tag[list[int]]],
    numbers: list[int],
) -> None:
    await of_int.send(1)
    await of_int.send(True)
    await of_int.send(val(1))
    await of_list.send(iso(numbers))
    await of_list.send(remuda.unchecked(numbers))
    await of_either.send(1)
    await of_either.send(iso(numbers))
    await of_any.send("anything")
    await of_any.send(iso(numbers))
    await of_animal.send(iso(Dog()))
    await of_pair.send((iso(numbers), "two"))
    await of_tag.send(tag(numbers))
    of_list.send_nowait(iso(numbers))
    remuda.signal(of_list, iso(numbers))
    await of_list.ask(iso(numbers))

    await of_list.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a bare list
    of_list.send_nowait([1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # the same
    await of_int.send(ref(1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a ref stays
    await of_int.send(iso("one"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # of another type
    await of_list.send(iso(["one"]))  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # of another type within
    await of_list.send(tag(numbers))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a tag is not what it stands for


async def total(mailbox: Mailbox[Point], numbers: list[int], name: str) -> int:
    return sum(numbers)


class Summer(remuda.Agent[Point]):
    def __init__(self, numbers: list[int]) -> None:
        self.numbers = ref(numbers)

    def receive(self, message: Point) -> None:
        self.numbers.value.append(message.x)


def spawns(runtime: remuda.Runtime, numbers: list[int]) -> None:
    assert_type(runtime.spawn(total, iso(numbers), "name"), AgentRef[Point])
    assert_type(runtime.spawn(total, iso(numbers), val("name")), AgentRef[Point])
    assert_type(runtime.spawn(Summer, iso(numbers)), AgentRef[Point])
    assert_type(remuda.spawn(total, remuda.unchecked(numbers), "name"), AgentRef[Point])

    runtime.spawn(Summer, iso(["one"]))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # of another type within
