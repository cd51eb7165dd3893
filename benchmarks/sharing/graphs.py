"""What it costs to prove that a graph is isolated, and to freeze one."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.agents import expect
from benchmarks.harness import Bar, Case, Contender, Figures
from remuda import freeze, prove_isolated

__all__ = ["CASES"]


@dataclass(slots=True)
class Record:
    symbol: str
    parts: list[int]


@dataclass
class Plain:
    symbol: str
    number: int


class Instance:
    def __init__(self, symbol: str, number: int) -> None:
        self.symbol = symbol
        self.number = number


def _lists(count: int) -> Any:
    return [[number] for number in range(count - 1)]


def _dicts(count: int) -> Any:
    return [{"number": number} for number in range(count - 1)]


def _instances(count: int) -> Any:
    return [Instance("AAPL", number) for number in range(count - 1)]


def _slots(count: int) -> Any:
    return [Record("AAPL", [number]) for number in range((count - 1) // 2)]


def _proof(size: int, make: Callable[[int], Any]) -> Figures:
    graphs = [make(size)]
    start = clock()
    prove_isolated(graphs.pop())
    return {"time": (clock() - start) / size}


def prove_lists(size: int) -> Figures:
    return _proof(size, _lists)


def prove_dicts(size: int) -> Figures:
    return _proof(size, _dicts)


def prove_instances(size: int) -> Figures:
    return _proof(size, _instances)


def prove_slots(size: int) -> Figures:
    return _proof(size, _slots)


def collect(size: int) -> Figures:
    """The collector's own walk, which counts the references of everything that lives."""
    graph = _lists(size)
    start = clock()
    gc.collect()
    taken = clock() - start
    expect(size - 1, len(graph), "objects")
    return {"time": taken / size}


def freeze_lists(size: int) -> Figures:
    graph = _lists(size)
    start = clock()
    frozen = freeze(graph)
    taken = clock() - start
    expect(size - 1, len(frozen), "objects")
    return {"time": taken / size}


def freeze_dicts(size: int) -> Figures:
    graph = _dicts(size)
    start = clock()
    freeze(graph)
    return {"time": (clock() - start) / size}


def freeze_slots(size: int) -> Figures:
    graph = _slots(size)
    start = clock()
    freeze(graph)
    return {"time": (clock() - start) / size}


def freeze_instances(size: int) -> Figures:
    graph = [Plain("AAPL", number) for number in range(size - 1)]
    start = clock()
    freeze(graph)
    return {"time": (clock() - start) / size}


def freeze_frozen(size: int) -> Figures:
    graph = freeze(_dicts(size))
    start = clock()
    again = freeze(graph)
    taken = clock() - start
    expect(id(graph), id(again), "the same object")
    return {"time": taken / size}


def tuples(size: int) -> Figures:
    """The same objects built by hand, by one who knows what they are."""
    graph = _lists(size)
    start = clock()
    tuple([tuple(part) for part in graph])
    return {"time": (clock() - start) / size}


def copy_lists(size: int) -> Figures:
    graph = _lists(size)
    start = clock()
    copy.deepcopy(graph)
    return {"time": (clock() - start) / size}


_COPY = Contender("copy.deepcopy", "asyncio", copy_lists, 10)

CASES = (
    Case(
        "isolation",
        "prove_isolated",
        "a proof, for each object that is not a number or a string",
        100_000,
        (
            Contender("lists", "remuda", prove_lists),
            Contender("dicts", "variant", prove_dicts),
            Contender("instances", "variant", prove_instances),
            Contender("slots and lists", "variant", prove_slots),
            Contender("gc.collect", "floor", collect),
            _COPY,
        ),
        bars=(Bar(100),),
        gc=False,
        quick=20_000,
    ),
    Case(
        "freeze",
        "freeze",
        "a frozen copy, for each object that is not a number or a string",
        100_000,
        (
            Contender("lists", "remuda", freeze_lists),
            Contender("dicts", "variant", freeze_dicts),
            Contender("dataclasses", "variant", freeze_instances),
            Contender("slots and lists", "variant", freeze_slots),
            Contender("frozen dicts", "variant", freeze_frozen),
            Contender("tuples by hand", "floor", tuples),
            _COPY,
        ),
        gc=False,
        quick=20_000,
    ),
)
