"""What a call of one of the file's own functions does to what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from remuda.check.objects import root_of
from remuda.check.state import Ids, State, Thing

__all__ = ["Effects", "left_moved", "moved_ones"]


@dataclass(frozen=True)
class Effects:
    """What a function does, seen from outside.

    Attributes:
        moves: The parameters, and names of enclosing functions, that it moves if they are isos; whether on every path.
        thrown: Those that it may have moved where it ends with an exception.
        leaves: The paths from its parameters, such as `self.buffer`, and the outer names that it binds, that lead to
            something moved when it returns; of the things, only `cap`, `type` and `surely` are told.
    """

    moves: dict[str, bool] = field(default_factory=dict)
    thrown: dict[str, bool] = field(default_factory=dict)
    leaves: dict[str, Thing] = field(default_factory=dict)


def moved_ones(starts: dict[str, Ids], end: State | None) -> dict[str, bool]:
    """The names whose first objects are moved at the end, and whether they are on every path."""
    if end is None:
        return {}
    found = {}
    for name, ids in starts.items():
        for number in ids:
            thing = end.things.get(number)
            if thing is not None and thing.moved:
                found[name] = thing.surely
    return found


def left_moved(
    starts: dict[str, Ids], outside: set[str], local: set[str], end: State | None
) -> dict[str, Thing]:
    """The names and paths that the caller can see, and that lead to something moved at the end.

    Args:
        starts: What the parameters led to: the path from one that was bound anew is not the caller's.
        outside: The names of enclosing scopes that the function binds.
        local: All names that it binds.
        end: What is known at its end.
    """
    if end is None:
        return {}
    found = {}
    for path, ids in end.names.items():
        root = root_of(path)
        anew = root in local and end.names.get(root) != starts.get(root)
        if root not in outside and (anew or path == root):
            continue
        things = [end.things.get(number) for number in sorted(ids)]
        moved = [thing for thing in things if thing is not None and thing.gone]
        if moved:
            surely = len(moved) == len(ids) and all(thing.surely for thing in moved)
            found[path] = Thing(moved[0].cap, moved[0].type, surely=surely)
    return found
