"""Who waits in a primitive and goes, whatever way, leaves nothing there, and what it would have moved is back."""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import remuda
from remuda import Runtime, broadcast, iso, quorum, select, unchecked
from remuda.primitives.broadcast.call import _TURNS
from tests.support import answer_after, settle
from tests.test_channel import ends
from tests.test_future import promise


class World:
    """Something of each kind to wait for in vain."""

    def __init__(self, runtime: Runtime) -> None:
        self.sender, self.receiver = ends(0)
        self.resolver, self.future = promise()
        self.leases: Any = remuda.LeaseManager()
        self.full = runtime.spawn(answer_after, unchecked(asyncio.Event()), mailbox=1, pinned=True)
        self.full.send_nowait("full")
        self.handle = iso(["moved"])

    def left(self) -> dict[str, Any]:
        """What is left of those who waited."""
        statistics = self.receiver.statistics()
        return {
            "senders": statistics.senders_waiting,
            "receivers": statistics.receivers_waiting,
            "waiters of the future": len(gc.get_referents(self.future)),
            "queues of leases": len(self.leases._queues),
            "lobby": self.full.statistics().waiting,
            "turns": len(_TURNS),
        }


Wait = Callable[[World], Awaitable[Any]]


async def selects(world: World) -> Any:
    return await select(world.receiver, world.future, timeout=60, fair=True)


async def sends(world: World) -> None:
    await world.full.send(world.handle)


async def asks(world: World) -> Any:
    return await world.full.ask(world.handle, timeout=60)


async def sends_an_item(world: World) -> None:
    await world.sender.send((1, world.handle))


async def broadcasts(world: World) -> Any:
    return await broadcast([world.full], "x", ordered=True, timeout=60)


async def waits_its_turn(world: World) -> Any:
    first = asyncio.ensure_future(broadcasts(world))
    try:
        return await broadcasts(world)
    finally:
        first.cancel()


WAITS: list[Wait] = [
    selects,
    sends,
    asks,
    sends_an_item,
    lambda world: world.receiver.recv(),
    lambda world: world.future,
    lambda world: world.leases.acquire("r", ttl=60, timeout=60),
    lambda world: quorum([world.full], "all", "x", timeout=60, member_timeout={world.full: 30}),
    broadcasts,
    waits_its_turn,
]
NAMES = [
    "select",
    "send",
    "ask",
    "item",
    "recv",
    "future",
    "lease",
    "quorum",
    "broadcast",
    "turn",
]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("end", ["kill", "cancel", "task", "timeout"])
@pytest.mark.parametrize("wait", WAITS, ids=NAMES)
def test_nothing_is_left(wait: Wait, end: str, workers: int) -> None:
    """Agents that are killed or cancelled, and tasks that are cancelled or time out, leave nothing behind."""

    async def agent(_: remuda.Mailbox[Any], world: World) -> None:
        await wait(world)

    async def task(world: World) -> None:
        await wait(world)

    async def main() -> None:
        async with Runtime(workers=workers) as runtime:
            world = World(runtime)
            held = await world.leases.acquire("r", ttl=60)
            await settle(runtime)
            before = world.left()
            tasks = asyncio.all_tasks()
            if end in ("kill", "cancel"):
                # Pinned: on a loop that `settle` turns.
                one: Any = runtime.spawn(agent, unchecked(world), pinned=True)
                while one.state not in ("idle", "blocked"):
                    await settle(runtime)
                await settle(runtime)
                assert world.left() != before, "it waits"
                getattr(one, end)()
                with contextlib.suppress(asyncio.CancelledError, remuda.AgentKilled):
                    await one
            else:
                one = asyncio.ensure_future(task(world))
                await settle(runtime)
                assert world.left() != before, "it waits"
                if end == "task":
                    one.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await one
                else:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(one, 0)
            del one
            while world.left() != before or asyncio.all_tasks() - tasks:
                await settle(runtime)
            assert world.handle.take() == ["moved"]
            await held.release()
            world.full.kill()

    asyncio.run(asyncio.wait_for(main(), 30))
    gc.collect()  # the circle of a runtime and an async generator, as in ordered broadcasts, may take two
