"""How many workers a runtime has, and what its scheduler does beyond the bare minimum."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Literal

__all__ = ["Priority", "Scheduling", "check_count", "default_workers"]

Priority = Literal["low", "normal", "high"]

_MOST = 1024
"""The most workers that a runtime may have, and the most threads that stand in for workers that block."""


@dataclass(frozen=True, slots=True)
class Scheduling:
    """The scheduler's heuristics, each with its switch. The defaults are what the benchmarks found best.

    All but `interval` matter only to a runtime of several workers.

    Attributes:
        lifo: An agent that was woken last is run next, before what has waited longer, at most three times in a row.
        steal: A worker that has nothing to do takes half of what another one has.
        throttle: At most half of the workers look for something to steal at the same time.
        interval: After how many runs a worker looks at what came from other threads; tuned from how long runs take, if
            None.
        batch: From there, a worker takes its share of what there is, rather than one agent.

    Raises:
        ValueError: `interval` is not positive.
    """

    lifo: bool = True
    steal: bool = True
    throttle: bool = True
    interval: int | None = None
    batch: bool = True

    def __post_init__(self) -> None:
        if self.interval is not None and not 1 <= self.interval < 2**32:
            raise ValueError(f"expected 1 <= interval < 2**32 (runs) or None, got {self.interval}")


def default_workers() -> int:
    """The variable REMUDA_WORKERS of the environment; or 1 under a GIL, and the number of cores without one.

    Raises:
        ValueError: REMUDA_WORKERS is not a number from 1 to 1024.
    """
    text = os.environ.get("REMUDA_WORKERS")
    if text:
        workers = int(text) if text.isdecimal() else 0
        if not 1 <= workers <= _MOST:
            raise ValueError(f"expected REMUDA_WORKERS to be from 1 to {_MOST}, got {text!r}")
        return workers
    is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    if is_gil_enabled():
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_count(name: str, count: object, *, least: int) -> None:
    """Refuses a number of threads that makes no sense.

    Raises:
        TypeError: It is no int.
        ValueError: It is below the least, or absurd.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"expected {name} to be an int, got {count!r}")
    if not least <= count <= _MOST:
        raise ValueError(f"expected {least} <= {name} <= {_MOST}, got {count}")
