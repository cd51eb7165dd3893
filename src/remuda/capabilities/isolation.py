"""Why an object is not isolated: the way to what others refer to, and who they are."""

from __future__ import annotations

import gc
import itertools
import sys
import types
from collections.abc import Iterator
from typing import Any

from remuda.errors import NotIsolated

__all__ = ["failure", "refuse_if_held_by_a_frame"]

_LONG = 60
"""A key of a dict is cut at this length."""


def failure(chain: list[Any], inside: set[int], why: str | None) -> NotIsolated:
    """The error that tells of an object that is referred to from outside, or of which that can't be told.

    Args:
        chain: The objects from the root of the graph to that one.
        inside: The addresses of the objects of the graph.
        why: What can't be told; None, if there is a reference from outside.

    Returns:
        The error.
    """
    path = _path(chain)
    culprit = chain[-1]
    what = f"{path}, of type {type(culprit).__qualname__}"
    if why is not None:
        text = f"expected an isolated object, but of {what}, it can't be told whether it is: {why}"
        if why.startswith("a weak reference"):
            text = f"expected an isolated object, but {why.removesuffix('it')}{what}"
        return NotIsolated(text, path=path)
    holder, name = _holder(culprit, inside, chain)
    return NotIsolated(
        f"expected an isolated object, but something else refers to {what}: {name}",
        path=path,
        holder=holder,
    )


def _path(chain: list[Any]) -> str:
    """The way from the first to the last, as one would write it."""
    path = "obj"
    # A function leads to its variables by a tuple of cells, which nobody wants to see.
    named = [link for link in chain if not isinstance(link, types.CellType)]
    for above, holder, part in zip([None, *named], named, named[1:], strict=False):
        if isinstance(above, types.FunctionType) and holder is above.__closure__:
            continue
        path += _step(holder, part)
        if isinstance(holder, types.FunctionType) and part is holder.__closure__:
            last = [link for before, link in itertools.pairwise(named) if before is part]
            path += _variable_of(holder, last[0]) if last else " closure"
    return path


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= _LONG else text[: _LONG - 3] + "..."


def _step(holder: Any, part: Any) -> str:
    """How one object leads to the next."""
    if isinstance(holder, list | tuple):
        names = getattr(holder, "_fields", ())
        for index, item in enumerate(holder):
            if item is part:
                return f".{names[index]}" if index < len(names) else f"[{index}]"
    if isinstance(holder, dict):
        for key, value in holder.items():
            if value is part:
                return f"[{_short(key)}]"
            if key is part:
                return f" key {_short(key)}"
    if isinstance(holder, types.FunctionType) and part is holder.__closure__:
        return ""
    if isinstance(holder, types.MethodType):
        return ".__self__"
    if isinstance(holder, types.GeneratorType):
        for name, value in holder.gi_frame.f_locals.items() if holder.gi_frame else ():
            if value is part:
                return f" variable {name}"
    for name, value in _attributes(holder):
        if value is part:
            return f".{name}"
    return f" part of type {type(part).__qualname__}"


def _variable_of(function: types.FunctionType, value: Any) -> str:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        if cell.cell_contents is value:
            return f" variable {name}"
    return " closure"


def _attributes(holder: Any) -> Iterator[tuple[str, Any]]:
    if part := getattr(holder, "__dict__", None):
        yield from part.items()
        yield "__dict__", part
    for kind in type(holder).__mro__:
        for name, found in kind.__dict__.items():
            if isinstance(found, types.MemberDescriptorType):
                try:
                    yield name, found.__get__(holder)
                except AttributeError:
                    continue


def _frames() -> Iterator[types.FrameType]:
    """The frames that run, but for this module's."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            yield frame
        frame = frame.f_back


def _variable(value: Any) -> str | None:
    """The variable of a running function that has the object."""
    for frame in _frames():
        for name, found in frame.f_locals.items():
            if found is value and not (name.startswith(".") or frame.f_locals is frame.f_globals):
                code = frame.f_code
                return f"the variable {name} of {code.co_qualname}, {code.co_filename}:{frame.f_lineno}"
    return None


def _holder(culprit: Any, inside: set[int], chain: list[Any]) -> tuple[Any, str]:
    """Who refers to an object from outside, and what to call it."""
    if (variable := _variable(culprit)) is not None:
        return None, variable
    others = [
        referrer
        for referrer in gc.get_referrers(culprit)
        if id(referrer) not in inside
        and referrer is not chain
        and not isinstance(referrer, types.FrameType)
    ]
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if any(other is names for other in others):
            return module, f"the global {module.__name__}{_global(names, culprit)}"
    # Last the tuples: the arguments of calls that run are among them.
    for other in sorted(others, key=lambda other: type(other) is tuple):
        return other, f"a {type(other).__qualname__}, by {_step(other, culprit).strip()}"
    return None, "somebody that can't be found"


def _global(names: Any, value: Any) -> str:
    return next((f".{name}" for name, found in names.items() if found is value), "")


def refuse_if_held_by_a_frame(value: Any) -> None:
    """Raises `NotIsolated` if a variable of a running function has the object.

    Args:
        value: The object.

    Raises:
        NotIsolated: One has.
    """
    if (variable := _variable(value)) is not None:
        raise NotIsolated(
            "expected an isolated object, but something else refers to obj, "
            f"of type {type(value).__qualname__}: {variable}",
            path="obj",
        )
