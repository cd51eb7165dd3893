"""Building what is to be given away, tags, and taking something out of a place that must not be empty."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeVar, overload

from remuda import _kernel
from remuda._kernel import Iso, Tag, Val

__all__ = ["recover", "swap", "tag"]

H = TypeVar("H", bound=Hashable)
T = TypeVar("T")


def tag(value: T, /) -> Tag[T]:
    """Makes a tag: it can be sent, compared, and used as a key, but gives no way to the object.

    Args:
        value: The object.

    Returns:
        The tag; two of one object are equal.

    Examples:
        >>> import remuda
        >>> numbers = [1, 2]
        >>> remuda.tag(numbers) == remuda.tag(numbers), remuda.tag(numbers) == remuda.tag([1, 2])
        (True, False)
    """
    return Tag(value)


def swap(obj: Any, name: str, new: object, /) -> Any:
    """Puts something new into an attribute, and hands out what was there: a destructive read, as in Pony.

    It is how an iso is taken out of a field that must not be empty.

    Args:
        obj: The object.
        name: The attribute.
        new: What goes in.

    Returns:
        What was there.

    Raises:
        AttributeError: There is no such attribute, or it can't be assigned.

    Examples:
        >>> import remuda, types
        >>> desk = types.SimpleNamespace(papers=["a", "b"])
        >>> remuda.swap(desk, "papers", [])
        ['a', 'b']
        >>> desk.papers
        []
    """
    old = getattr(obj, name)
    setattr(obj, name, new)
    return old


@overload
def recover(build: Callable[[], T], /, *, to: Literal["iso"] = "iso") -> Iso[T]: ...
@overload
def recover(build: Callable[[], H], /, *, to: Literal["val"]) -> Val[H]: ...
@overload
def recover(build: Callable[[], Any], /, *, to: Literal["val"]) -> Val[Any]: ...
def recover(build: Callable[[], T], /, *, to: Literal["iso", "val"] = "iso") -> Iso[T] | Val[Any]:
    """Builds something mutable in a function of its own, and lifts it to an iso or a val, as Pony's `recover` does.

    Within the function everything may be changed. What it returns is proved to be isolated: nothing that lives on after
    the function refers into it.

    Args:
        build: Called without arguments. Used as a decorator, the function's name becomes the handle's.
        to: "iso", or "val", which freezes what was built.

    Returns:
        The handle.

    Raises:
        NotIsolated: Something outside refers into what was built.
        NotSendable: It is to be a val, and something in it can't be frozen.
        ValueError: `to` is none of the two.

    Examples:
        >>> import remuda
        >>> @remuda.recover
        ... def table() -> dict[str, list[int]]:
        ...     built: dict[str, list[int]] = {}
        ...     built["odd"] = [1, 3]
        ...     return built
        >>> table
        iso({'odd': [1, 3]})
    """
    if to not in ("iso", "val"):
        raise ValueError(f"expected to be 'iso' or 'val', got {to!r}")
    handle = _kernel.iso(build(), prove=True)
    return handle if to == "iso" else handle.share()
