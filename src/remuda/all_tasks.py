"""Makes agents show up in `asyncio.all_tasks()`.

asyncio keeps tasks that are not its own in a `WeakSet`, which `all_tasks()` iterates over. To add each agent to it
would cost more than everything else that a spawn does. Instead the set's class is replaced by one whose iteration goes
on with the agents of all running runtimes, so that the cost falls on whoever calls `all_tasks()`.
"""

from __future__ import annotations

import asyncio.tasks
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
    # Up to 3.11 the set is called _all_tasks, from 3.12 on _scheduled_tasks.
    tasks = getattr(asyncio.tasks, "_scheduled_tasks", None)
    if tasks is None:
        tasks = getattr(asyncio.tasks, "_all_tasks", None)
    if type(tasks) is WeakSet:
        tasks.__class__ = _TasksAndAgents
    _runtimes.add(runtime)
