"""The guard in front of a resource: it refuses those whose lease somebody else has had since."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, ParamSpec, TypeVar

from remuda.errors import StaleToken
from remuda.primitives.lease.lease import Lease

__all__ = ["Fenced"]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Fenced(Generic[T]):
    """Guards a resource: it remembers the highest fencing token that it has seen, and refuses lower ones.

    Only this makes leases safe. A holder can be stopped between any two instructions, longer than its lease lives, and
    then go on to write; no lease service can know. The resource can: whoever came later brought a larger token.

    The guard belongs where the resource is, such as in the one process that writes the file: guards in several
    processes know nothing of each other. A database does the same by a condition on the column that holds the token.

    Any thread may use it; one at a time has the resource.

    Args:
        target: The resource: any object for `use`, and a function to call the guard itself. A coroutine function is
            refused: others could come between its steps. Use `check` before each of its writes instead.
        resource: The name of the resource. If it is given, a lease of another one is refused.
        highest: The highest token that was seen before, if the guard is made anew for a resource that was kept.

    Raises:
        TypeError: The target is a coroutine function, or the highest token no int.
        ValueError: The highest token is negative.

    Examples:
        >>> import asyncio, remuda
        >>> async def main() -> list[str]:
        ...     manager = remuda.LeaseManager()
        ...     lines: list[str] = []
        ...     write = remuda.Fenced(lines.append)
        ...     old = await manager.acquire("log", ttl=0.01)
        ...     await asyncio.sleep(0.02)  # held up
        ...     new = await manager.acquire("log", ttl=5)
        ...     write(new, "from the new holder")
        ...     try:
        ...         write(old, "from the old one")
        ...     except remuda.StaleToken as error:
        ...         print(error)
        ...     return lines
        >>> asyncio.run(main())
        expected a fencing token of at least 2, got 1: a newer holder has used the resource
        ['from the new holder']

    Source:
        M. Kleppmann, "How to do distributed locking", 2016.
    """

    __slots__ = ("_callable", "_highest", "_lock", "_resource", "_target")

    def __init__(self, target: T, *, resource: str | None = None, highest: int = 0) -> None:
        if _is_coroutine_function(target):
            raise TypeError(
                "expected an object or a plain function, got a coroutine function: "
                "use `check` before each of its writes"
            )
        if isinstance(highest, bool) or not isinstance(highest, int):
            raise TypeError(f"expected the highest token as an int, got {type(highest).__name__}")
        if highest < 0:
            raise ValueError(f"expected the highest token to be at least 0, got {highest}")
        self._target = target
        self._callable = callable(target)
        self._resource = resource
        self._highest = highest
        # Reentrant: the resource may call what is guarded by the same guard.
        self._lock = threading.RLock()

    @property
    def highest(self) -> int:
        """The highest token that was accepted; 0 if there was none."""
        return self._highest

    def check(self, token: Lease | int) -> int:
        """Accepts a token, or refuses it.

        What is done after that isn't guarded against a newer holder: `use` is.

        Args:
            token: The lease, or its token.

        Returns:
            The token.

        Raises:
            StaleToken: A larger one was accepted before.
            ValueError: It is the lease of another resource, or below 1.
            TypeError: It is neither a lease nor an int.
        """
        number = self._number(token)
        with self._lock:
            if number < self._highest:
                raise StaleToken(
                    f"expected a fencing token of at least {self._highest}, got {number}: "
                    "a newer holder has used the resource"
                )
            self._highest = number
        return number

    @contextmanager
    def use(self, token: Lease | int) -> Iterator[T]:
        """Gives the resource for a block, in which nobody else has it.

        The block must not await: it holds up the threads that want the resource, too.

        Args:
            token: The lease, or its token.

        Returns:
            A context manager that gives the resource.

        Raises:
            StaleToken: A larger token was accepted before.
            ValueError: As for `check`.
            TypeError: As for `check`.
        """
        with self._lock:
            self.check(token)
            yield self._target

    def __call__(
        self: Fenced[Callable[P, R]], token: Lease | int, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Calls the function with the arguments, if the token is accepted; nobody else calls it meanwhile.

        Raises:
            StaleToken: A larger token was accepted before; the function was not called.
            ValueError: As for `check`.
            TypeError: As for `check`, or the target can't be called.
        """
        if not self._callable:
            raise TypeError(
                f"expected the guard of a function, this is one of {type(self._target).__name__}: use `use`"
            )
        lock = self._lock
        lock.acquire()  # `with` takes twice as long
        try:
            if type(token) is int and token >= self._highest and token > 0:
                self._highest = token
            else:
                self.check(token)
            return self._target(*args, **kwargs)
        finally:
            lock.release()

    def _number(self, token: Lease | int) -> int:
        if isinstance(token, Lease):
            if self._resource is not None and token.resource != self._resource:
                raise ValueError(
                    f"expected a lease of {self._resource!r}, got one of {token.resource!r}"
                )
            return token.token
        if isinstance(token, bool) or not isinstance(token, int):
            raise TypeError(f"expected a lease or its token, an int, got {type(token).__name__}")
        if token < 1:
            raise ValueError(f"expected a fencing token of at least 1, got {token}")
        return token

    def __repr__(self) -> str:
        return f"<Fenced {self._target!r}, highest token {self._highest}>"


def _is_coroutine_function(target: object) -> bool:
    """Whether a call would only begin something that goes on after the guard."""
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)  # noqa: B004  # an object may be called by an async method
    )
