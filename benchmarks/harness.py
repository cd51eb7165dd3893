"""Runs the contenders of a benchmark in turns, and keeps what each of them took.

A repeat runs every contender once, and the next repeat starts with another one, so that whatever else the machine does
meets them all alike: ratios within a run mean something even where its absolute times don't. The first repeat is a
warm-up and forgotten. Before each measurement garbage is collected and what lives is frozen; during it the collector is
on, unless the benchmark says that it is off.

Each contender has a process of its own, which waits while the others have their turns: a heap that one has left in
pieces makes the others slower (it costs half as much again to spawn agents after tasks in the same process).

A contender measures itself: it is called with the number of operations and returns its figures. It reads the clock
around what is to be measured, and prepares, checks and cleans up outside.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

__all__ = ["Bar", "Case", "Contender", "Figures", "Metric", "Role", "Samples", "execute", "measure"]

Figures: TypeAlias = dict[str, float]
Measure: TypeAlias = Callable[[int], Figures] | Callable[[int], Coroutine[Any, Any, Figures]]
Role: TypeAlias = Literal["remuda", "variant", "floor", "loop", "peer", "asyncio", "uvloop"]
Samples: TypeAlias = dict[str, dict[str, list[float]]]
"""Label of the contender, name of the metric, one figure for each repeat."""

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Contender:
    """One of those that do the same thing in their own way.

    Attributes:
        label: Its name in tables.
        role: "remuda" is the subject; "variant" another way to write it; "peer" another library; "loop" the empty loop,
            which `net` figures are without.
        measure: Measures this many operations. A function of a module, so that another process can find it.
        share: It does the size of the benchmark divided by this: what is slow needs fewer operations to be measured.
        note: What is different about it, if anything is.
    """

    label: str
    role: Role
    measure: Measure
    share: int = 1
    note: str = ""


@dataclass(frozen=True)
class Metric:
    """One of the figures that the contenders of a benchmark return; less is better in all of them."""

    name: str = "time"
    unit: Literal["ns", "B", "s", "GB", "ms"] = "ns"
    title: str = ""


@dataclass(frozen=True)
class Bar:
    """What a figure of the subject is held against.

    Attributes:
        limit: The most that is allowed, in the metric's unit; with `against`, how many times the floor.
        text: The limit as it was set, if that is not in the metric's unit.
        against: The label of a floor. Both are compared without the empty loop, which is the stricter way.
    """

    limit: float
    metric: str = "time"
    text: str = ""
    against: str | None = None


@dataclass(frozen=True)
class Case:
    """A benchmark.

    Attributes:
        name: What it is called on the command line.
        title: What is measured, for tables; `detail` says it exactly.
        size: The number of operations.
        gc: Whether the garbage collector is on.
        fresh: Whether each measurement gets a new process.
        whole: Whether the bars are about the whole of `size` operations, and say nothing about fewer.
        rate: Whether it is read as messages a second.
        quick: The number of operations for those who are in a hurry; a twentieth of `size`, if not given.
    """

    name: str
    title: str
    detail: str
    size: int
    contenders: tuple[Contender, ...]
    metrics: tuple[Metric, ...] = (Metric(),)
    bars: tuple[Bar, ...] = ()
    gc: bool = True
    fresh: bool = False
    whole: bool = False
    rate: bool = False
    quick: int = 0

    def quick_size(self) -> int:
        """`quick`, or what it stands for."""
        return self.quick or max(1, self.size // 20)


@contextmanager
def _collector(on: bool) -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    (gc.enable if on else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if was_on else gc.disable)()
        gc.unfreeze()


def execute(function: Measure, size: int, *, uvloop: bool, collect: bool) -> Figures:
    """One measurement, here and now.

    Args:
        function: The contender's; a coroutine function gets a new event loop.
        size: The number of operations.
        uvloop: Whether that loop is uvloop's.
        collect: Whether the garbage collector is on.

    Returns:
        The figures.
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        import uvloop as uvloop_module

        factory = uvloop_module.new_event_loop
    with _collector(collect):
        if not inspect.iscoroutinefunction(function):
            return dict(function(size))  # type: ignore[arg-type]  # not a coroutine here
        with asyncio.Runner(loop_factory=factory) as runner:
            return dict(runner.run(function(size)))


class _Worker:
    """Another process of the same interpreter, which measures what it is told to."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def execute(self, function: Measure, size: int, *, uvloop: bool, collect: bool) -> Figures:
        """What `execute` does, there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = {
            "module": function.__module__,
            "function": function.__qualname__,
            "size": size,
            "uvloop": uvloop,
            "collect": collect,
        }
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"expected {function.__module__}.{function.__qualname__} to be measured in a process of its own, "
                f"which ended with {self._process.wait()}"
            )
        figures: Figures = json.loads(answer)
        return figures

    def close(self) -> None:
        """Ends the process and waits for its end."""
        with self._process:
            pass


def measure(
    case: Case,
    *,
    size: int,
    repeats: int,
    here: bool = False,
    tell: Callable[[Contender], object] = lambda _: None,
) -> Samples:
    """All measurements of a benchmark.

    Args:
        case: The benchmark.
        size: The number of operations.
        repeats: How often each contender is measured, after the warm-up.
        here: Measure in this process, to look into it; the figures are worse.
        tell: Called before each measurement.

    Returns:
        What was measured, in the order of the contenders.
    """
    samples: Samples = {
        contender.label: {metric.name: [] for metric in case.metrics}
        for contender in case.contenders
    }
    workers: dict[str, _Worker] = {}
    try:
        for repeat in range(repeats + 1):
            first = repeat % len(case.contenders)
            for contender in case.contenders[first:] + case.contenders[:first]:
                tell(contender)
                run = execute
                if not here:
                    if contender.label not in workers:
                        workers[contender.label] = _Worker()
                    run = workers[contender.label].execute
                figures: Mapping[str, float] = run(
                    contender.measure,
                    max(1, size // contender.share),
                    uvloop=contender.role == "uvloop",
                    collect=case.gc,
                )
                if case.fresh and not here:
                    workers.pop(contender.label).close()
                if repeat:
                    for name, kept in samples[contender.label].items():
                        kept.append(figures[name])
    finally:
        for worker in workers.values():
            worker.close()
    return samples
