"""The threads of a runtime beside the one that it was started on, each with an event loop of its own.

The kernel decides what runs where; here threads are started, end, and fail. A thread joins the runtime from inside of
its loop, and leaves it when it is told to. What goes wrong meanwhile:

- `SystemExit` and `KeyboardInterrupt` of an agent leave the home loop, as they do with one worker;
- a loop that was stopped is run again;
- a loop that can't be run any more is lost: the runtime ends what was bound to it, and says so.

Threads are daemons, so that a program that never stops its runtime can end; those that live then are told to leave
before the interpreter goes.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from remuda._kernel import current_agent
from remuda.errors import WorkerFailed

if TYPE_CHECKING:
    from remuda._kernel import Runtime

__all__ = ["Workers", "watch_forks_of"]

log = logging.getLogger("remuda")

_PATIENCE = 2.0
"""Seconds that threads get to leave when the interpreter exits, and that a thread which dies waits to be heard."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Workers:
    """The threads of one runtime.

    Args:
        runtime: The kernel's half of it.
        home: The loop that it was started on.
        loop_factory: Makes the threads' loops.
        lost: Called in the home loop with the number of a worker that has died, and the reason.
    """

    def __init__(
        self,
        runtime: Runtime,
        home: asyncio.AbstractEventLoop,
        loop_factory: LoopFactory,
        lost: Callable[[int, BaseException], object],
    ) -> None:
        self._runtime = runtime
        self._home = home
        self._loop_factory = loop_factory
        self._lost = lost
        self._factory: _TaskFactory | None = None
        self._threads: list[_Worker] = []
        self._lock = threading.Lock()
        self._leaving = False

    async def start(self, count: int) -> None:
        """Starts the threads of the workers beside the first, and waits until all have joined.

        Raises:
            WorkerFailed: A thread could not be started, or has no event loop. No thread is left then.
        """
        self._factory = _stay_with_tasks(self._home)
        try:
            started = [self._start(index) for index in range(1, count)]
            for worker in started:
                await asyncio.wrap_future(worker.joined)
        except BaseException:
            await self.stop()
            raise

    def stand_in(self, index: int) -> None:
        """Starts a thread that stands in for a worker that blocks. Called by the kernel, on any thread."""
        try:
            self._start(index).joined.add_done_callback(
                lambda joined: self._stands_in(index, joined)
            )
        except WorkerFailed:
            self._runtime._will_not_come(index)
            raise

    def _stands_in(self, index: int, joined: Future[None]) -> None:
        error = joined.exception()
        if error is not None:
            self._runtime._will_not_come(index)
            log.error("no thread stands in for a worker that blocks", exc_info=error)

    def _start(self, index: int) -> _Worker:
        worker = _Worker(self, index)
        with self._lock:
            if self._leaving:
                raise WorkerFailed(
                    "expected a runtime that runs, got one whose threads are leaving"
                )
            self._threads.append(worker)
        try:
            worker.start()
        except RuntimeError as error:
            with self._lock:
                self._threads.remove(worker)
            raise WorkerFailed(f"expected a thread for worker {index}, but {error}") from error
        _all.add(self)
        return worker

    async def stop(self) -> None:
        """Has all threads leave, and waits until they have."""
        for worker in self._leave():
            await asyncio.wrap_future(worker.ended)
            worker.join()
        factory, self._factory = self._factory, None
        still_ours = factory is not None and self._home.get_task_factory() is factory
        if factory is not None and still_ours:  # another that was set since may call ours
            self._home.set_task_factory(factory.before)
        _all.discard(self)

    def stop_at_exit(self) -> None:
        """The same where no loop runs any more; a thread that is stuck is left behind."""
        for worker in self._leave():
            worker.join(_PATIENCE)

    def _leave(self) -> list[_Worker]:
        with self._lock:
            self._leaving = True
            threads, self._threads = self._threads, []
        for worker in threads:
            worker.leave()
        return threads

    def tell_home(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Calls something in the home loop, unless that is closed."""
        try:
            self._home.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            log.error("the loop of a runtime was closed before the runtime was stopped")


class _Worker(threading.Thread):
    """A thread that runs an event loop for a runtime."""

    def __init__(self, workers: Workers, index: int) -> None:
        super().__init__(name=f"remuda-worker-{index}", daemon=True)
        self._workers = workers
        self._index = index
        self._told = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left: asyncio.Event | None = None
        self.joined: Future[None] = Future()
        self.ended: Future[None] = Future()

    def leave(self) -> None:
        """Has the thread leave. From any thread."""
        self._told.set()
        loop, left = self._loop, self._left
        if loop is not None and left is not None and not loop.is_closed():
            loop.call_soon_threadsafe(left.set)

    def run(self) -> None:
        try:
            self._run()
        finally:
            self.ended.set_result(None)

    def _run(self) -> None:
        runner = asyncio.Runner(loop_factory=self._workers._loop_factory)
        try:
            loop = runner.get_loop()
            if not isinstance(loop, asyncio.AbstractEventLoop):
                raise TypeError(f"expected an event loop, got {loop!r}")
            _stay_with_tasks(loop)
            self._loop = loop
        except BaseException as error:
            failed = WorkerFailed(
                f"expected loop_factory to make an event loop for worker {self._index}, but it raised {error!r}"
            )
            failed.__cause__ = error
            self.joined.set_exception(failed)
            return
        try:
            self._run_loop(runner)
        except BaseException as error:
            # First what is bound to the loop goes elsewhere: to close the loop is to cancel what is left.
            self._workers._runtime._part(self._index)
            self._fail(error)
            with contextlib.suppress(BaseException):
                runner.close()
        else:
            runner.close()
            self._workers._runtime._part(self._index)

    def _run_loop(self, runner: asyncio.Runner) -> None:
        while not self._told.is_set():
            try:
                runner.run(self._serve())
            except (SystemExit, KeyboardInterrupt) as error:
                self._workers.tell_home(_raise, error)
            except RuntimeError:
                if self._told.is_set() or runner.get_loop().is_closed():
                    raise
                log.warning("somebody has stopped the loop of worker %d: it goes on", self._index)

    def _fail(self, error: BaseException) -> None:
        if not self.joined.done():
            self.joined.set_exception(error)
        elif not self._told.is_set():
            told = threading.Event()
            self._workers.tell_home(self._tell_lost, error, told)
            told.wait(_PATIENCE)

    def _tell_lost(self, error: BaseException, told: threading.Event) -> None:
        try:
            self._workers._lost(self._index, error)
        finally:
            told.set()

    async def _serve(self) -> None:
        self._left = asyncio.Event()
        self._workers._runtime._join(self._index)
        if not self.joined.done():
            self.joined.set_result(None)
        if not self._told.is_set():
            await self._left.wait()


class _TaskFactory:
    """Makes tasks as a loop did before, and has the agent that asks for one stay with that loop.

    The agent may wait for messages first: it would be found in another loop when it comes to await its task.
    """

    def __init__(self, before: Callable[..., Any] | None) -> None:
        self.before = before

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any
    ) -> asyncio.Future[Any]:
        agent = current_agent()
        if agent is not None:
            agent._stay()
        make = self.before or _make_task
        return cast("asyncio.Future[Any]", make(loop, coroutine, **arguments))


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **arguments)


def _stay_with_tasks(loop: asyncio.AbstractEventLoop) -> _TaskFactory | None:
    """Has agents that make tasks in a loop stay with it. Needed where they could be run by another."""
    try:
        factory = _TaskFactory(loop.get_task_factory())
        loop.set_task_factory(factory)
    except NotImplementedError:
        return None  # it makes its tasks as it likes
    return factory


def _raise(error: BaseException) -> None:
    raise error


_all: WeakSet[Workers] = WeakSet()
_runtimes: WeakSet[Runtime] = WeakSet()


def watch_forks_of(runtime: Runtime) -> None:
    """Tells a runtime when the process has been forked: in the child nobody runs its agents."""
    _runtimes.add(runtime)


def _after_fork() -> None:
    for runtime in list(_runtimes):
        runtime._forked()
    _all.clear()


@atexit.register
def _stop_all() -> None:
    for workers in list(_all):
        workers.stop_at_exit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
