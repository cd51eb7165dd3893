"""Proofs of isolation wherever a test makes an iso."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from remuda import _kernel

__all__ = ["prove_isos"]


@contextmanager
def prove_isos() -> Iterator[None]:
    """While the block runs, `iso(x)` proves that nothing else refers into `x`, as with `prove=True`, on all threads.

    A variable is a reference: `numbers = [1]; iso(numbers)` is refused, `iso([1])` isn't. `iso(x, prove=False)` is left
    as it is.

    Yields:
        Nothing.

    Examples:
        >>> import remuda
        >>> from remuda import testing
        >>> numbers = [1, 2]
        >>> with testing.prove_isos():
        ...     remuda.iso(numbers)
        Traceback (most recent call last):
            ...
        remuda.errors.NotIsolated: expected an isolated object, but something else refers to obj, of type list: ...
    """
    before = _kernel._prove_isos(True)
    try:
        yield
    finally:
        _kernel._prove_isos(before)
