"""`ref` and its owner: who may touch it, and who is somebody else."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import threading
from typing import Any, ClassVar

import pytest

import remuda
from remuda import _kernel, ref, unchecked
from tests.support import Log, in_runtime


class Early:
    """Uses its ref while it is constructed, and shows it around."""

    shown: ClassVar[list[Any]] = []

    def __init__(self, inner: type[Any] | None = None) -> None:
        self.state = ref([0])
        if inner is not None:
            remuda.spawn(inner)
        self.later = ref([0])
        self.state.value.append(1)
        self.shown.extend((self.state, self.later))

    def receive(self, message: Any) -> int:
        return len(self.state.value) + len(self.later.value)


@in_runtime
async def test_what_a_constructor_makes_is_the_agents(runtime: remuda.Runtime) -> None:
    """A ref that an agent's `__init__` makes, and uses at once, is the new agent's and nobody else's."""
    Early.shown.clear()
    agent = runtime.spawn(Early, Early)
    inner = Early.shown[:2]
    assert len(Early.shown) == 4
    for handle in Early.shown:
        with pytest.raises(remuda.WrongOwner, match="expected agent Early-"):
            _ = handle.value
    for handle in inner:

        async def touches(mailbox: remuda.Mailbox[Any], handle: Any = handle) -> None:
            _ = handle.value

        with pytest.raises(remuda.WrongOwner):
            await runtime.spawn(touches)
    assert await agent.ask(None) == 3


@in_runtime
async def test_what_a_constructor_that_fails_has_made(runtime: remuda.Runtime) -> None:
    """A ref of an agent that never came to be isn't given to the next one."""
    made: Log = []

    class Fails:
        def __init__(self) -> None:
            made.append(ref([1]))
            raise RuntimeError("not today")

        def receive(self, message: Any) -> None: ...

    with pytest.raises(RuntimeError, match="not today"):
        runtime.spawn(Fails)
    agent = runtime.spawn(Early)
    with pytest.raises(remuda.WrongOwner, match="expected an agent that never came to be"):
        _ = made[0].value
    assert await agent.ask(None) == 3


@in_runtime
async def test_a_birth_that_fails(runtime: remuda.Runtime) -> None:
    """If what waits for an agent fails, there is no agent: the rest is told, and an iso keeps its object."""
    told: Log = []

    class Waiting:
        def _born(self, agent: Any) -> None:
            told.append(agent)
            if agent is not None:
                raise RuntimeError("not today")

    class Made:
        def __init__(self, given: list[int]) -> None:
            self.given = given
            for _ in range(2):
                _kernel._await_birth(Waiting())

        def receive(self, message: Any) -> None: ...

    given = remuda.iso([1])
    with pytest.raises(RuntimeError, match="not today"):
        runtime.spawn(Made, given)
    assert given.value == [1]
    assert told[1:] == [None, None]


@pytest.mark.parametrize("workers", [1, 2])
def test_only_the_agent_itself_touches_its_ref(workers: int) -> None:
    """Tasks that an agent starts, its callbacks, threads and executors are not the agent; what it awaits itself is."""

    async def owner(mailbox: remuda.Mailbox[Any], out: Log) -> None:
        mine = ref([1])
        out.append(mine)
        loop = asyncio.get_running_loop()

        async def touch() -> Any:
            return mine.value

        def touch_for(future: asyncio.Future[Any], *_: Any) -> None:
            try:
                future.set_result(mine.value)
            except remuda.WrongOwner as error:
                future.set_exception(error)

        assert await touch() == [1]
        assert contextvars.copy_context().run(lambda: mine.value) == [1]
        soon, called, first = (loop.create_future() for _ in range(3))
        loop.call_soon(touch_for, soon)
        first.add_done_callback(functools.partial(touch_for, called))
        first.set_result(None)
        for other in (
            asyncio.create_task(touch()),
            asyncio.gather(touch()),
            asyncio.to_thread(lambda: mine.value),
            remuda.to_thread(lambda: mine.value),
            loop.run_in_executor(None, lambda: mine.value),
            soon,
            called,
        ):
            with pytest.raises(remuda.WrongOwner, match="expected agent owner-"):
                await other
        with pytest.raises(ExceptionGroup) as failed:
            async with asyncio.TaskGroup() as group:
                group.create_task(touch())
        assert failed.value.subgroup(remuda.WrongOwner) is not None

    async def main() -> None:
        async with remuda.Runtime(workers=workers) as runtime:
            out: Log = []
            await runtime.spawn(owner, unchecked(out))
            gc.collect()
            with pytest.raises(remuda.WrongOwner):
                _ = out[0].value
            assert repr(out[0]) == "<ref of another>"

    remuda.run(main())


def test_a_thread_with_the_same_number_is_another() -> None:
    """A ref whose thread has ended belongs to nobody, even if the number of the thread is used again."""
    made: Log = []
    seen: Log = []

    def make() -> None:
        made.append((threading.get_ident(), ref([1])))

    def touch() -> None:
        for number, handle in made:
            with pytest.raises(remuda.WrongOwner):
                _ = handle.value
            seen.append(number == threading.get_ident())

    for target in (make, touch):
        for _ in range(20):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join(20)
    assert len(seen) == 400
