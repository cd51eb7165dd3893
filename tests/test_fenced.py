"""The guard in front of a resource: it refuses those who come with an older token."""

import asyncio
import threading
from typing import Any

import pytest

from remuda import Fenced, LeaseManager, StaleToken


def test_stale_tokens_are_refused() -> None:
    """The same token or a larger one is accepted, a smaller one refused, and then nothing is done."""
    written: list[str] = []
    write = Fenced(written.append)
    assert write.highest == 0
    write(3, "a")
    write(3, "b")
    write(7, "c")
    with pytest.raises(StaleToken, match="of at least 7, got 6: a newer holder") as error:
        write(6, "d")
    assert isinstance(error.value, ValueError)
    assert written == ["a", "b", "c"]
    assert write.highest == 7


def test_a_function_is_called() -> None:
    """The guard of a function takes its arguments, and returns or raises what it does."""

    def quotient(a: int, *, by: int) -> int:
        return a // by

    divide = Fenced(quotient)
    assert divide(1, 7, by=2) == 3
    with pytest.raises(ZeroDivisionError):
        divide(2, 1, by=0)
    assert divide.highest == 2


def test_an_object_is_lent() -> None:
    """`use` gives the object for a block; `check` only looks at the token."""
    guard = Fenced({"a": 1})
    with guard.use(5) as target:
        target["a"] = 2
        assert guard.check(5) == 5
    with pytest.raises(StaleToken), guard.use(4):
        raise AssertionError("not reached")
    with guard.use(5) as target:
        assert target == {"a": 2}
    untyped: Any = guard
    with pytest.raises(TypeError, match="guard of a function, this is one of dict"):
        untyped(5)


def test_leases_are_tokens() -> None:
    """A lease stands for its token; that of another resource is refused, if the guard knows its own."""

    async def main() -> None:
        manager = LeaseManager()
        lease = await manager.acquire("r", ttl=30)
        guard = Fenced(print, resource="r")
        assert guard.check(lease) == lease.token
        foreign = await manager.acquire("s", ttl=30)
        with pytest.raises(ValueError, match="expected a lease of 'r', got one of 's'"):
            guard.check(foreign)
        assert guard.highest == lease.token

    asyncio.run(main())


@pytest.mark.parametrize(
    ("token", "error", "text"),
    [
        (0, ValueError, "at least 1, got 0"),
        (-5, ValueError, "at least 1, got -5"),
        (True, TypeError, "an int, got bool"),
        ("5", TypeError, "an int, got str"),
        (5.0, TypeError, "an int, got float"),
        (None, TypeError, "an int, got NoneType"),
    ],
)
def test_bad_tokens(token: Any, error: type[Exception], text: str) -> None:
    """What can't be a token is refused, and changes nothing."""
    guard = Fenced(print)
    with pytest.raises(error, match=text):
        guard.check(token)
    assert guard.highest == 0


async def _write() -> None: ...


class _Writer:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("target", "options", "error"),
    [
        (_write, {}, TypeError),
        (_Writer(), {}, TypeError),
        (print, {"highest": -1}, ValueError),
        (print, {"highest": True}, TypeError),
        (print, {"highest": "5"}, TypeError),
    ],
)
def test_bad_guards(target: Any, options: Any, error: type[Exception]) -> None:
    """A coroutine function can't be guarded as a whole, and a highest token is a count."""
    with pytest.raises(error, match="expected"):
        Fenced(target, **options)


def test_a_guard_may_begin_high() -> None:
    """A guard that is made anew goes on where the last one was."""
    guard = Fenced(print, highest=5)
    with pytest.raises(StaleToken):
        guard.check(4)
    assert repr(guard) == "<Fenced <built-in function print>, highest token 5>"


def test_one_thread_at_a_time() -> None:
    """What threads write through a guard comes in the order of tokens, though they come in any order."""
    written: list[int] = []
    refused = [0] * 4
    guard = Fenced(written.append)

    def write(number: int) -> None:
        for token in range(1, 2000):
            try:
                guard(token, token)
            except StaleToken:
                refused[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == sorted(written)
    assert len(written) + sum(refused) == 4 * 1999
    assert guard.highest == 1999
