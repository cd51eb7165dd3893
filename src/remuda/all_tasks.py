"""Makes agents show up in `asyncio.all_tasks()`.

asyncio keeps tasks that are not its own in a `WeakSet`, which `all_tasks()` iterates over. To add each agent to it
would cost more than everything else that a spawn does. Instead the set's class is replaced by one whose iteration goes
on with the agents of all running runtimes, so that the cost falls on whoever calls `all_tasks()`.
"""

from __future__ import annotations

import asyncio.tasks
import functools
import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from remuda._kernel import Runtime

__all__ = ["show_agents_of"]

_runtimes: WeakSet[Runtime] = WeakSet()


class _TasksAndAgents(WeakSet[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        for runtime in list(_runtimes):
            yield from runtime.agents()


def show_agents_of(runtime: Runtime) -> None:
    """Includes a runtime's agents in `asyncio.all_tasks()` for as long as it lives."""
    tasks = _tasks_of_others()
    if type(tasks) is WeakSet:
        tasks.__class__ = _TasksAndAgents
    _runtimes.add(runtime)


@functools.cache
def _tasks_of_others() -> WeakSet[Any] | None:
    """The set in which asyncio keeps tasks that are not its own.

    It has had several names, and from 3.14 on it has none, but the module still leads to it. Only there is the module
    asked: until 3.12.5 it also leads to objects that are free to be used again, and whoever holds one frees it twice
    (https://github.com/python/cpython/issues/122695).
    """
    probe: Any = _Probe()
    asyncio.tasks._register_task(probe)
    places = list(vars(asyncio.tasks).values())
    if sys.version_info >= (3, 14):
        places += gc.get_referents(sys.modules.get("_asyncio"))
    try:
        for place in places:
            if isinstance(place, WeakSet) and probe in place:
                return place
    finally:
        asyncio.tasks._unregister_task(probe)
    return None


class _Probe:
    """Stands in for a task that is asked whether to list it."""

    def get_loop(self) -> None:
        return None

    def done(self) -> bool:
        return True
