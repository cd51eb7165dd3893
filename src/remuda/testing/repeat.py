"""Running an async function so that the same seed does the same again."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import shlex
import sys
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

from remuda.testing.loop import DeterministicLoop

__all__ = ["deterministic", "run"]

P = ParamSpec("P")
T = TypeVar("T")


def run(
    main: Callable[..., Coroutine[Any, Any, T]],
    /,
    *args: Any,
    seed: int | None = None,
    patience: float = 5.0,
) -> T:
    """Runs an async function in a `DeterministicLoop` of its own.

    Args:
        main: The function.
        args: What it is called with.
        seed: What decides wherever there is a choice; the variable REMUDA_SEED of the environment, or else 0, if not
            given.
        patience: Seconds of real time to wait for sockets or threads when nothing else is left to do.

    Returns:
        What the function returns.

    Raises:
        Stuck: The program would wait for ever.
        ValueError: REMUDA_SEED is not a number.
        Exception: What the function raises, with a note that tells how to run it again with this seed.
    """
    if seed is None:
        seed = _seed_of_environment() or 0
    number = seed
    with asyncio.Runner(
        loop_factory=lambda: DeterministicLoop(number, patience=patience)
    ) as runner:
        try:
            return runner.run(main(*args))
        except Exception as error:
            error.add_note(f"replay: {_replay(number)}")
            raise


@overload
def deterministic(test: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, T]: ...
@overload
def deterministic(
    *, seed: int | None = None, runs: int = 1, patience: float = 5.0
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, T]]: ...
def deterministic(
    test: Callable[P, Coroutine[Any, Any, T]] | None = None,
    /,
    *,
    seed: int | None = None,
    runs: int = 1,
    patience: float = 5.0,
) -> Any:
    """Makes an ordinary function out of an async one, such as a test: it runs with one seed after the other.

    The variable REMUDA_SEED of the environment, or pytest's option `--remuda-seed`, replaces the seeds by one; so does
    the line that a failing run prints. REMUDA_RUNS, or `--remuda-runs`, replaces the number of runs.

    Args:
        test: The function, if the decorator is used without parentheses.
        seed: The first seed; 0, if not given.
        runs: How many seeds are tried.
        patience: As for `run`.

    Returns:
        The function. It returns what the last run has returned.

    Raises:
        ValueError: `runs` is not positive.

    Examples:
        >>> import asyncio, remuda
        >>> from remuda import testing
        >>> async def racer(mailbox: remuda.Mailbox[None], name: str, order: list[str]) -> None:
        ...     order.append(name)
        >>> @testing.deterministic(seed=7)
        ... async def race() -> list[str]:
        ...     order: list[str] = []
        ...     async with remuda.Runtime() as runtime:
        ...         for name in "abc":
        ...             runtime.spawn(racer, name, remuda.unchecked(order))
        ...     return order
        >>> race() == race()
        True
    """
    if runs < 1:
        raise ValueError(f"expected runs >= 1, got {runs}")
    if test is None:
        return functools.partial(_repeated, seed=seed, runs=runs, patience=patience)
    return _repeated(test, seed=seed, runs=runs, patience=patience)


def _repeated(
    test: Callable[P, Coroutine[Any, Any, T]], *, seed: int | None, runs: int, patience: float
) -> Callable[P, T]:
    if not inspect.iscoroutinefunction(test):
        raise TypeError(f"expected an async function, got {test!r}")

    @functools.wraps(test)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        only = _seed_of_environment()
        first, count = (seed or 0, _runs_of_environment() or runs) if only is None else (only, 1)
        bound = functools.partial(test, *args, **kwargs)
        for number in range(first, first + count - 1):
            run(bound, seed=number, patience=patience)
        return run(bound, seed=first + count - 1, patience=patience)

    return repeated


def _seed_of_environment() -> int | None:
    return _number("REMUDA_SEED")


def _runs_of_environment() -> int | None:
    return _number("REMUDA_RUNS")


def _number(variable: str) -> int | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected {variable} to be a whole number, got {text!r}") from None


def _replay(seed: int) -> str:
    """The command that runs this again."""
    test = os.environ.get("PYTEST_CURRENT_TEST")
    command = ["python", "-m", "pytest", test.rpartition(" ")[0]] if test else ["python", *sys.argv]
    return f"REMUDA_SEED={seed} {shlex.join(command)}"
