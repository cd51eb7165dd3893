"""What a message consists of: the part that can't be sent, and copies in which parts are replaced."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from typing import Any

from remuda import _kernel
from remuda.capabilities.records import attributes_of
from remuda.capabilities.rules import BY_ATTRIBUTES, find_rule, is_handle
from remuda.errors import NotSendable

__all__ = ["holds_iso", "rebuilt", "refusal"]


def _parts(value: Any, path: str) -> Iterator[tuple[Any, str]] | None:
    """What a sendable object is made of, with the path to each; None, if it is not sendable for itself."""
    rule = find_rule(type(value))
    if rule is True or type(value) in (_kernel.Iso, _kernel.Val):
        return iter(())
    if rule is False:
        return None
    if rule is None:
        fields = getattr(value, "_fields", None)
        if isinstance(fields, tuple) and len(fields) == len(_items(value)):
            return (
                (item, f"{path}.{name}") for name, item in zip(fields, _items(value), strict=True)
            )
        return ((item, f"{path}[{index}]") for index, item in enumerate(_items(value)))
    if isinstance(rule, tuple):
        return ((getattr(value, name), f"{path}.{name}") for name in rule if hasattr(value, name))
    if rule is BY_ATTRIBUTES:
        return ((part, f"{path}.{name}") for name, part in attributes_of(value).items())
    answer = rule(value)
    if isinstance(answer, tuple):
        return ((part, f"part of {path}") for part in answer)
    return iter(()) if answer else None


def _items(value: tuple[Any, ...] | frozenset[Any]) -> list[Any]:
    """The items of a tuple or frozenset, whatever its class's own `__iter__` shows."""
    if isinstance(value, tuple):
        return list(tuple.__iter__(value))
    return list(frozenset.__iter__(value))


def holds_iso(value: Any) -> bool:
    """Whether a message is an iso or has one in it, so that only one receiver could have it.

    Args:
        value: The message. Of what can't be sent at all, the parts that can be looked into are.

    Returns:
        Whether there is one.
    """
    left = [value]
    while left:
        part = left.pop()
        if type(part) is _kernel.Iso:
            return True
        left.extend(inner for inner, _ in _parts(part, "") or ())
    return False


def refusal(value: Any, what: str) -> NotSendable:
    """The error of a message that may not be sent, or of what can't be a val.

    Args:
        value: The message.
        what: What it is: "message", "argument", "answer", "result" or "val".

    Returns:
        The error, which names the part that is to blame, and says what to write instead.
    """
    left = [(value, what)]
    culprit, path = left[0]
    while left:
        culprit, path = left.pop()
        if what == "val" and type(culprit) is _kernel.Iso:
            break
        parts = _parts(culprit, path)
        if parts is None:
            break
        left.extend(parts)
    kind = type(culprit).__qualname__
    if type(culprit).__module__ != "builtins":
        kind = f"{type(culprit).__module__}.{kind}"
    safe = "that nobody can change" if what == "val" else "that is safe to share"
    text = f"expected {_article(what)} {what} {safe}, got {path} of type {kind}, {_advice(culprit, what)}"
    return NotSendable(text, value=culprit, path=path, message=value)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _advice(culprit: Any, what: str) -> str:
    if type(culprit) is _kernel.Iso:
        return "which one owner alone may have: send the iso itself, or share() it first"
    if type(culprit) is _kernel.Unchecked:
        return f"which is for a whole {what}: write unchecked(...) around all of it"
    if is_handle(culprit):
        return "which stays with the agent that made it"
    if isinstance(culprit, types.FunctionType):
        return (
            "which keeps variables of the function around it: send a function of a module instead"
        )
    give = "freeze(x)" if what == "val" else "iso(x) gives it away, freeze(x)"
    ways = f"which can be changed: {give} makes an immutable copy to share"
    if not isinstance(culprit, list | dict | set | bytearray):
        ways += f", register_immutable({type(culprit).__name__}) says that it never changes"
    return ways if what == "val" else f"{ways}, unchecked(x) leaves it to you"


def rebuilt(message: Any, olds: tuple[Any, ...], news: tuple[Any, ...]) -> Any:
    """A copy of a message in which other isos are in the place of those that were moved.

    Args:
        message: The message: tuples, frozensets, frozen instances, and isos within them.
        olds: The isos of the sender.
        news: Those of the receiver, in the same order.

    Returns:
        The copy, which shares what holds no iso.
    """
    return _rebuild(message, {id(old): new for old, new in zip(olds, news, strict=True)})


def _rebuild(value: Any, fresh: dict[int, Any]) -> Any:
    if type(value) is _kernel.Iso:
        return fresh[id(value)]
    rule = find_rule(type(value))
    if rule is None:
        olds = _items(value)
        items = [_rebuild(item, fresh) for item in olds]
        if all(new is old for new, old in zip(items, olds, strict=True)):
            return value
        return tuple.__new__(type(value), items) if isinstance(value, tuple) else type(value)(items)
    if isinstance(rule, tuple) or rule is BY_ATTRIBUTES:
        fields = (
            {name: getattr(value, name) for name in rule if hasattr(value, name)}
            if isinstance(rule, tuple)
            else attributes_of(value)
        )
        changed = {
            name: new for name, old in fields.items() if (new := _rebuild(old, fresh)) is not old
        }
        if not changed:
            return value
        twin = copy.copy(value)
        for name, new in changed.items():
            object.__setattr__(twin, name, new)
        return twin
    held = rule(value) if callable(rule) else ()
    if isinstance(held, tuple) and any(_rebuild(part, fresh) is not part for part in held):
        raise NotSendable(
            f"expected isos in tuples, frozensets and frozen classes, found one in a {type(value).__name__}",
            value=value,
            path="message",
            message=value,
        )
    return value
