"""Tags, and taking something out of a place that must not be empty."""

from __future__ import annotations

from typing import Any, TypeVar

from remuda._kernel import Tag

__all__ = ["swap", "tag"]

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
