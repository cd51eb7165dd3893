"""The runtime: where agents live, from its start in an event loop to its stop.

The mechanism (queues, mailboxes, stepping) is in the kernel; here is what is policy: what happens when an agent fails,
when a message is lost, and in which order things are stopped. The file is long because all of it is one class, whose
parts need one another.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from remuda import _kernel
from remuda._kernel import AgentRef, current_agent
from remuda.all_tasks import show_agents_of
from remuda.durations import check_seconds
from remuda.errors import DeadlockDetected, RuntimeStopped, WorkerFailed
from remuda.scheduling import Scheduling, check_count, default_workers
from remuda.statistics import (
    DeadLetter,
    RuntimeStatistics,
    StopReport,
    WatermarkEvent,
    WorkerStatistics,
)
from remuda.workers import LoopFactory, Workers, watch_forks_of

__all__ = ["Runtime", "current_runtime", "run"]

T = TypeVar("T")

log = logging.getLogger("remuda")

_CLOSING = 0.1
"""Seconds that agents get after the deadline to find their mailboxes closed, and end."""

_CANCEL_GRACE = 1.0
"""Seconds that a cancelled agent gets to clean up before it is killed."""

_RECENT = 100
"""How many dead letters are kept to be looked at."""


class Runtime(_kernel.Runtime):
    """Where agents live.

    Use it as an async context manager. Leaving the block stops the runtime: mailboxes are drained up to the deadline,
    agents that have not ended then are cancelled. If the block raises, agents are cancelled at once.

    Args:
        workers: How many threads run agents, each in an event loop of its own; the first is the one that the runtime is
            started on. If not given, the variable REMUDA_WORKERS of the environment, or else 1 under a GIL, and the
            number of cores without one. In a loop of `remuda.testing` it is always 1.
        loop_factory: Makes the event loops of the other workers; as asyncio does, if not given.
        blocking_threads: How many more threads may stand in for workers whose agents are in `remuda.blocking()`.
        on_failure: What happens when an agent fails. "log" logs the error with its traceback. "raise" also cancels
            the block, which then raises all agents' errors as an `ExceptionGroup`.
        capabilities: "strict" refuses to send what others could change at the same time. "trust" looks at nothing but
            the handles, and leaves it to `remuda check` and to you.
        deadline: Seconds that leaving the block lets mailboxes drain.
        scheduling: The scheduler's heuristics, which can be switched off.

    Raises:
        ValueError: `on_failure` or `capabilities` is none of the two, or a number is out of range.
        TypeError: A number of threads is no int.

    Examples:
        >>> import asyncio, remuda
        >>> async def adder(mailbox: remuda.Mailbox[int]) -> int:
        ...     return sum([number async for number in mailbox])
        >>> async def main() -> int:
        ...     async with remuda.Runtime() as runtime:
        ...         agent = runtime.spawn(adder)
        ...         for number in range(10):
        ...             await agent.send(number)
        ...         await agent.stop()
        ...         return await agent
        >>> asyncio.run(main())
        45
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        loop_factory: LoopFactory | None = None,
        blocking_threads: int = 32,
        on_failure: Literal["log", "raise"] = "log",
        capabilities: Literal["strict", "trust"] = "strict",
        deadline: float = 5.0,
        scheduling: Scheduling | None = None,
    ) -> None:
        if workers is None:
            workers = default_workers()
        check_count("workers", workers, least=1)
        check_count("blocking_threads", blocking_threads, least=0)
        if on_failure not in ("log", "raise"):
            raise ValueError(f"expected on_failure to be 'log' or 'raise', got {on_failure!r}")
        if capabilities not in ("strict", "trust"):
            raise ValueError(
                f"expected capabilities to be 'strict' or 'trust', got {capabilities!r}"
            )
        check_seconds("deadline", deadline)
        self._worker_count = workers
        self._loop_factory = loop_factory or asyncio.new_event_loop
        self._blocking_threads = blocking_threads
        self._scheduling = scheduling or Scheduling()
        self._home: asyncio.AbstractEventLoop | None = None
        self._workers: Workers | None = None
        self._starting: asyncio.Future[None] | None = None
        self._started_at = time.monotonic()
        self._stopped_at: float | None = None
        self._policy = on_failure
        self._strict = capabilities == "strict"
        self._deadline = deadline
        self._failures: list[BaseException] = []
        self._block: asyncio.Task[Any] | None = None
        self._block_cancelled = False
        self._watermark_listeners: list[Callable[[WatermarkEvent], object]] = []
        self._dead_letter_listeners: list[Callable[[DeadLetter], object]] = []
        self._recent: deque[DeadLetter] = deque(maxlen=_RECENT)
        self._quiet: asyncio.Future[None] | None = None
        self._stopping: asyncio.Task[StopReport] | None = None
        self._hurry = asyncio.Event()

    async def start(self) -> Runtime:
        """Binds the runtime to the running event loop; it becomes the current runtime of this context.

        If the loop is in asyncio's debug mode, a step of an agent that takes longer than the loop's
        `slow_callback_duration` is logged with the agent's name and stack.

        Returns:
            The runtime itself, when all of its workers are there.

        Raises:
            RuntimeStopped: It was started before: a runtime is started once.
            WorkerFailed: A worker has no thread, or no event loop.
        """
        if self._home is not None or self.phase != "new":
            raise RuntimeStopped(
                "expected a runtime that was not started before, got one that was: make a new one"
            )
        # None is refused by the kernel.
        loop = cast("asyncio.AbstractEventLoop", asyncio._get_running_loop())
        # A loop that has a source of chance wants to be repeatable: that of `remuda.testing` does.
        chance = getattr(loop, "random", None)
        repeatable = isinstance(chance, random.Random)
        if repeatable:
            self._worker_count = 1
        scheduling = self._scheduling
        self._start(
            self._worker_count,
            self._blocking_threads,
            strict=self._strict,
            lifo=scheduling.lifo,
            steal=scheduling.steal,
            throttle=scheduling.throttle,
            interval=scheduling.interval,
            batch=scheduling.batch,
        )
        self._home = loop
        if loop.get_debug():
            self._report_slow_steps(max(1, round(loop.slow_callback_duration * 1e9)))
        if isinstance(chance, random.Random):
            self._choose_by(chance.getrandbits(64))
        self._workers = Workers(self, loop, self._loop_factory, self._on_lost_worker)
        if self._worker_count > 1:
            self._starting = loop.create_future()
            try:
                await self._workers.start(self._worker_count)
            except BaseException:
                self._end_stop()
                raise
            finally:
                self._starting.set_result(None)
        self._started_at = time.monotonic()
        self._started()
        watch_forks_of(self)
        show_agents_of(self)
        return self

    async def stop(self, deadline: float | None = None) -> StopReport:
        """Stops the runtime: no new agents, mailboxes drain, agents end.

        Agents go on until nothing is left to do: no messages, and nobody who waits for something of asyncio's, such as
        a timer or a socket, except for messages. Then, or at the deadline, all mailboxes close, and agents end after
        what is in them. Those that are still at something are cancelled at the deadline, and killed if they have not
        ended a second later.

        Stopping twice is harmless. If whoever waits for the stop is cancelled, the deadline is over at once, and the
        stop goes on by itself.

        Args:
            deadline: Seconds until agents are cancelled; what the runtime was made with, if not given. 0 cancels at
                once.

        Returns:
            How many agents ended by themselves, and the names of those that did not.

        Raises:
            DeadlockDetected: It was called by one of the runtime's own agents, which would wait for itself.
            ValueError: The deadline is negative.
        """
        check_seconds("deadline", deadline, or_none=" or None")
        if self.phase == "stopped" and self._stopping is None:
            return StopReport(0, (), (), 0)
        if self._home is not None and asyncio.get_running_loop() is not self._home:
            return await self._stop_from_elsewhere(deadline)
        if self._starting is not None and not self._starting.done():
            await asyncio.shield(self._starting)
        if self.phase == "new":
            self._begin_stop()
            self._end_stop()
            return StopReport(0, (), (), 0)
        agent = current_agent()
        if agent is not None and agent.runtime is self:
            raise self._stopped_by(agent)
        if self._stopping is None:
            self._begin_stop()
            seconds = self._deadline if deadline is None else deadline
            self._stopping = asyncio.get_running_loop().create_task(
                self._stop(seconds), name=f"stop of {self!r}"
            )
            # Whatever ends the stop from within, such as Ctrl-C, also comes out of the loop: nobody has to ask for it.
            self._stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif deadline == 0:
            self._hurry.set()
        try:
            return await asyncio.shield(self._stopping)
        except asyncio.CancelledError:
            self._hurry.set()
            raise

    async def _stop_from_elsewhere(self, deadline: float | None) -> StopReport:
        assert self._home is not None
        agent = current_agent()
        if agent is not None and agent.runtime is self:
            raise self._stopped_by(agent)
        stop = self.stop(deadline)
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(stop, self._home))
        except RuntimeError as error:
            stop.close()
            raise RuntimeStopped(
                "expected to stop a runtime in its event loop, but that is closed"
            ) from error

    def _stopped_by(self, agent: AgentRef[Any]) -> DeadlockDetected:
        return DeadlockDetected(
            f"expected stop to be called from outside of the runtime's agents, but {agent.name} called it",
            (agent,),
        )

    async def _stop(self, deadline: float) -> StopReport:
        began = time.monotonic()
        living = self._living
        letters = self.statistics().dead_letters
        left: list[AgentRef[Any]] = []
        took = 0.0
        try:
            if deadline > 0:
                await self._within(deadline, self._drain())
                if self._living:
                    # Those that only wait for messages end by themselves.
                    await self._within(_CLOSING, self._close_mailboxes())
            took = time.monotonic() - began
            left = [agent for agent in self.agents() if not agent.done()]
            for agent in left:
                agent.cancel(f"the runtime stops, and {agent.name} has not ended by itself")
            async with asyncio.timeout(_CANCEL_GRACE):
                await self._all_ended()
        except TimeoutError:
            pass
        finally:
            # Also if the stop itself was cancelled, as by a loop that shuts down.
            killed = [agent.name for agent in self._kill_all()]
        await self._all_ended()
        self._end_stop()
        self._stopped_at = time.monotonic()
        if self._workers is not None:
            await self._workers.stop()
        cancelled = tuple(agent.name for agent in left)
        if cancelled and deadline > 0:
            log.warning(
                "after %.3g s of stopping, %d of %d agents had not ended and were cancelled: %s",
                took,
                len(cancelled),
                living,
                ", ".join(cancelled[:10]) + (", ..." if len(cancelled) > 10 else ""),
            )
        left_over = self.statistics().dead_letters - letters
        return StopReport(living - len(cancelled), cancelled, tuple(killed), left_over)

    async def _within(self, deadline: float, what: Coroutine[Any, Any, None]) -> None:
        """Gives it its time, or less if there is a hurry."""
        work = asyncio.ensure_future(what)
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait((work, hurry), timeout=deadline, return_when="FIRST_COMPLETED")
        finally:
            hurry.cancel()
            work.cancel()
        if work.done() and not work.cancelled():
            work.result()

    async def _drain(self) -> None:
        await self._next_quiet(now=True)
        while True:
            # Watched for before it is looked: what happens between the two is told.
            quiet = self._watch_for_quiet()
            if not self._is_busy():
                break
            await asyncio.shield(quiet)
        await self._close_mailboxes()
        await self._all_ended()

    async def _close_mailboxes(self) -> None:
        for agent in self.agents():
            agent.stop()
        await self._next_quiet(now=True)

    async def _all_ended(self) -> None:
        while True:
            quiet = self._watch_for_quiet()
            if not self._living:
                break
            await asyncio.shield(quiet)

    async def _next_quiet(self, *, now: bool = False) -> None:
        """Waits until the scheduler has run something and has nothing more to run; with `now`, without the first."""
        await asyncio.shield(self._watch_for_quiet(now=now))

    def _watch_for_quiet(self, *, now: bool = False) -> asyncio.Future[None]:
        if self._quiet is None or self._quiet.done():
            self._quiet = asyncio.get_running_loop().create_future()
        self._watch_quiet(now)
        return self._quiet

    async def __aenter__(self) -> Self:
        await self.start()
        self._block = asyncio.current_task()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        block, self._block = self._block, None
        if (
            self._block_cancelled
            and block is not None
            and block.uncancel() == 0
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            error = None
        await self._leave(deadline=0 if kind is not None else None)
        if self._failures:
            failures, self._failures = self._failures, []
            if error is not None and not isinstance(error, asyncio.CancelledError):
                failures.append(error)
            raise BaseExceptionGroup("agents have failed", failures)

    async def _leave(self, deadline: float | None) -> None:
        """Stops, and does not return before that is done, even when it is cancelled."""
        cancelled: asyncio.CancelledError | None = None
        try:
            while True:
                try:
                    await self.stop(deadline)
                    break
                except asyncio.CancelledError as error:
                    if self._stopping is None or self._stopping.done():
                        raise
                    cancelled = error
        finally:
            # None is left, unless Ctrl-C has ended the stop.
            self._kill_all()
        if cancelled is not None:
            raise cancelled

    def statistics(self) -> RuntimeStatistics:
        """The runtime's counts at this moment."""
        agents, spawned, failed, messages, runs, slices, dead_letters = self._statistics()
        lived = (self._stopped_at or time.monotonic()) - self._started_at
        return RuntimeStatistics(
            agents=agents,
            spawned=spawned,
            ended=spawned - agents,
            failed=failed,
            messages=messages,
            runs=runs,
            slices=slices,
            dead_letters=dead_letters,
            workers=tuple(
                WorkerStatistics(**each, idle=max(0.0, lived - each["busy"]))
                for each in self._worker_statistics()
            ),
        )

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The last hundred messages that nobody will receive; they live as long as they are in here."""
        return tuple(self._recent)

    def on_watermark(self, callback: Callable[[WatermarkEvent], object]) -> Callable[[], None]:
        """Calls `callback` whenever a mailbox reaches its high watermark, or comes down to its low one.

        Args:
            callback: Called at once where it happens, so it should be quick. If it raises, the event loop's exception
                handler is told.

        Returns:
            A function that ends the subscription.
        """
        self._watermark_listeners.append(callback)
        self._watch_watermarks(True)

        def unsubscribe() -> None:
            if callback in self._watermark_listeners:
                self._watermark_listeners.remove(callback)
            self._watch_watermarks(bool(self._watermark_listeners))

        return unsubscribe

    def on_dead_letter(self, callback: Callable[[DeadLetter], object]) -> Callable[[], None]:
        """Calls `callback` with each message that nobody will receive.

        Args:
            callback: Called at once where it happens. If it raises, the event loop's exception handler is told.

        Returns:
            A function that ends the subscription.
        """
        self._dead_letter_listeners.append(callback)

        def unsubscribe() -> None:
            if callback in self._dead_letter_listeners:
                self._dead_letter_listeners.remove(callback)

        return unsubscribe

    def _on_quiet(self) -> None:
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def _on_slow_step(self, agent: AgentRef[Any], seconds: float) -> None:
        frames = ((frame, frame.f_lineno) for frame in agent.get_stack())
        stack = "".join(traceback.StackSummary.extract(frames).format())
        log.warning(
            "agent %s ran for %.3f s without letting others run%s",
            agent.name,
            seconds,
            f", and is now at:\n{stack}" if stack else "",
        )

    def _on_watermark(self, agent: AgentRef[Any], high: bool, depth: int) -> None:
        event = WatermarkEvent(agent, "high" if high else "low", depth)
        for listener in list(self._watermark_listeners):
            self._call(listener, event)

    def _on_dead_letter(self, agent: AgentRef[Any], message: Any, reason: str) -> None:
        letter = DeadLetter(agent.name, message, reason)
        self._recent.append(letter)
        for listener in list(self._dead_letter_listeners):
            self._call(listener, letter)

    def _call(self, listener: Callable[[T], object], value: T) -> None:
        try:
            listener(value)
        except Exception as error:
            context = {
                "message": f"a listener of the runtime raised, told of {value!r}",
                "exception": error,
            }
            self._at_home(lambda loop: loop.call_exception_handler(context))

    def _at_home(self, callback: Callable[[asyncio.AbstractEventLoop], object]) -> None:
        """Calls something in the home loop: at once, if that runs here."""
        home = self._home
        if home is None or asyncio._get_running_loop() is home:
            callback(home or asyncio.get_running_loop())
        elif not home.is_closed():
            home.call_soon_threadsafe(callback, home)

    def _stand_in(self, machine: int) -> None:
        assert self._workers is not None
        self._workers.stand_in(machine)

    def _on_lost_worker(self, worker: int, reason: BaseException) -> None:
        """A worker's event loop can't be run any more: what was bound to it fails, the rest goes on elsewhere."""
        log.critical("worker %d was lost", worker, exc_info=reason)
        error = WorkerFailed(
            f"expected worker {worker} to run, but its event loop has failed: {reason!r}"
        )
        error.__cause__ = reason
        self._lose(worker, error)

    def _on_failure(self, agent: AgentRef[Any], error: BaseException) -> None:
        log.error("agent %s failed", agent.name, exc_info=error)
        if self._policy == "raise":
            self._failures.append(error)
            self._at_home(lambda _: self._cancel_block())

    def _cancel_block(self) -> None:
        if self._block is not None and not self._block_cancelled:
            self._block_cancelled = True
            self._block.cancel()

    def __del__(self) -> None:
        if self.phase in ("running", "stopping"):
            warnings.warn(
                f"{self!r} was never stopped: use `async with`, or `await runtime.stop()`",
                ResourceWarning,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"<Runtime {self.phase}, {self._living} agents>"


def current_runtime() -> Runtime:
    """The runtime whose block, or agent, the calling code runs in.

    Raises:
        NoRuntime: There is none.
        RuntimeStopped: It has stopped.
    """
    return cast("Runtime", _kernel.current_runtime())


def run(main: Coroutine[Any, Any, T], *, uvloop: bool = False, debug: bool | None = None) -> T:
    """Runs a coroutine in a new event loop, as `asyncio.run` does.

    Args:
        main: The coroutine.
        uvloop: Use uvloop's event loop, which must be installed.
        debug: asyncio's debug mode, on or off; as asyncio decides, if not given.

    Returns:
        What the coroutine returned.

    Raises:
        ImportError: uvloop was asked for and is not installed.

    Examples:
        >>> import remuda
        >>> async def main() -> str:
        ...     return "done"
        >>> remuda.run(main())
        'done'
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        try:
            import uvloop as uvloop_module
        except ImportError as error:
            main.close()
            raise ImportError(
                "expected uvloop to be installed, found it missing: pip install 'remuda[uvloop]'"
            ) from error
        factory = uvloop_module.new_event_loop
    with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        return runner.run(main)
