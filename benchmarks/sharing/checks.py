"""What the check of a message costs.

A check has no call of its own. It is measured as the difference between sends of a message and sends of an int, of
which the type alone is looked at; the two take turns within one measurement.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median
from time import perf_counter_ns as clock
from typing import Any, NamedTuple

from benchmarks.agents import BURST, drained, expect, idle
from benchmarks.harness import Bar, Case, Contender, Figures, Measure, Metric
from remuda import AgentRef, Mailbox, Runtime, freeze, iso, unchecked, val

__all__ = ["CASES", "send_all"]


class Side(enum.Enum):
    BUY = 1


class Level(NamedTuple):
    price: float
    size: int


@dataclass(frozen=True)
class Order:
    symbol: str
    size: int


@dataclass(frozen=True, slots=True)
class Slotted:
    symbol: str
    size: int


@dataclass(frozen=True)
class Nested:
    order: Order
    side: Side


@dataclass(slots=True)
class Record:
    symbol: str
    parts: list[int]


def send_all(target: AgentRef[Any], messages: Sequence[Any]) -> int:
    send = target.send_nowait
    start = clock()
    for message in messages:
        send(message)
    return clock() - start


def _send_each_from_a_call(target: AgentRef[Any], messages: Sequence[Any]) -> int:
    """As an agent does that is a plain `def receive`: each send is the only one of a call."""

    def send(message: Any) -> None:
        target.send_nowait(message)

    start = clock()
    for message in messages:
        send(message)
    return clock() - start


async def _difference(
    size: int,
    make: Callable[[int], Any],
    send_all: Callable[[AgentRef[Any], Sequence[Any]], int] = send_all,
) -> Figures:
    """What sends of messages take longer than sends of ints: the median of the differences between bursts."""
    burst = min(BURST, size)

    async def sender(_mailbox: Mailbox[Any], target: AgentRef[Any]) -> float:
        differences = []
        for turn in range(size // burst):
            plain, messages = list(range(burst)), [make(number) for number in range(burst)]
            took = {}
            for each in (plain, messages) if turn % 2 else (messages, plain):
                took[each is messages] = send_all(target, each)
                await drained(target)
            differences.append(took[True] - took[False])
        return median(differences) / burst

    async with Runtime(workers=1) as runtime:
        target = runtime.spawn(idle)
        taken: float = await runtime.spawn(sender, unchecked(target))
        expect(size // burst * burst * 2, target.statistics().received, "messages")
    return {"check": taken}


_NOW = datetime.now(UTC)
_ORDER = Order("AAPL", 100)


async def check_str(size: int) -> Figures:
    return await _difference(size, lambda _: "text")


async def check_float(size: int) -> Figures:
    return await _difference(size, lambda _: 1.5)


async def check_enum(size: int) -> Figures:
    return await _difference(size, lambda _: Side.BUY)


async def check_class(size: int) -> Figures:
    return await _difference(size, lambda _: Order)


async def check_function(size: int) -> Figures:
    return await _difference(size, lambda _: check_str)


async def check_decimal(size: int) -> Figures:
    return await _difference(size, lambda _: Decimal(1))


async def check_datetime(size: int) -> Figures:
    return await _difference(size, lambda _: _NOW)


async def check_tuple(size: int) -> Figures:
    return await _difference(size, lambda number: ("AAPL", number))


async def check_named_tuple(size: int) -> Figures:
    return await _difference(size, lambda number: Level(1.5, number))


async def check_dataclass(size: int) -> Figures:
    """Each message is another object: what is known is the class."""
    return await _difference(size, lambda number: Order("AAPL", number))


async def check_slots(size: int) -> Figures:
    return await _difference(size, lambda number: Slotted("AAPL", number))


async def check_nested(size: int) -> Figures:
    return await _difference(size, lambda _: Nested(_ORDER, Side.BUY))


async def check_frozen(size: int) -> Figures:
    """What `freeze` made of an instance is known by its class."""
    return await _difference(size, lambda number: freeze(Record("AAPL", [number])))


async def check_val(size: int) -> Figures:
    return await _difference(size, lambda number: val(("AAPL", number)))


async def check_iso(size: int) -> Figures:
    return await _difference(size, lambda number: iso([number]))


async def check_iso_each(size: int) -> Figures:
    return await _difference(size, lambda number: iso([number]), _send_each_from_a_call)


def look_up(size: int) -> Figures:
    """The least that Python takes to tell a type: a look into a dict."""
    known = {Side: True}
    message = Side.BUY
    start = clock()
    for _ in range(size):
        known[type(message)]
    return {"check": (clock() - start) / size}


def copy_dataclass(size: int) -> Figures:
    """A copy of each message, so that nothing is shared."""
    message = Record("AAPL", [1])
    start = clock()
    for _ in range(size):
        copy.deepcopy(message)
    return {"check": (clock() - start) / size}


def _case(
    name: str,
    detail: str,
    bar: float,
    subject: tuple[str, Measure],
    *variants: tuple[str, Measure],
) -> Case:
    return Case(
        name,
        name.replace("_", ", "),
        detail,
        100_000,
        (
            Contender(subject[0], "remuda", subject[1]),
            *(Contender(label, "variant", measure) for label, measure in variants),
            Contender("dict[type(x)]", "floor", look_up),
            Contender("copy.deepcopy", "asyncio", copy_dataclass, 20, "of an object with a list"),
        ),
        metrics=(Metric("check"),),
        bars=(Bar(bar, "check"),),
        quick=20_000,
    )


CASES = (
    _case(
        "check_value",
        "what a send of a common immutable value takes longer than one of an int",
        10,
        ("enum member", check_enum),
        ("str", check_str),
        ("float", check_float),
        ("class", check_class),
        ("function", check_function),
        ("Decimal", check_decimal),
        ("datetime", check_datetime),
    ),
    _case(
        "check_record",
        "the same for objects of a class that was seen before, each with two parts",
        30,
        ("frozen dataclass", check_dataclass),
        ("with slots", check_slots),
        ("frozen copy", check_frozen),
        ("tuple", check_tuple),
        ("NamedTuple", check_named_tuple),
    ),
    _case(
        "check_handle",
        "the same for handles; the place of each move is noted",
        20,
        ("Val", check_val),
        ("Iso", check_iso),
        ("Iso, each sent by another call", check_iso_each),
    ),
)
