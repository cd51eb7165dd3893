"""What is known at one point of a function: which objects exist, in what state, and which names lead to them.

An object stands for what one place of the source makes. Where such a place is come to again, in a loop, the new
object takes its number and what it made before gets the number next to it: so the object of this turn is not mixed up
with that of the turn before. If even that is taken, its names lose it: nothing is claimed about what isn't certain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from remuda.check.finding import Site
from remuda.check.types import ANY, IMMUTABLE, MUTABLE, Type

__all__ = ["Ids", "State", "Thing"]

Ids: TypeAlias = frozenset[int]

UNKNOWN: Final[Ids] = frozenset({0})
"""An object that nothing is known about."""

NOWHERE: Final[Ids] = frozenset()


class Thing(NamedTuple):
    """An object.

    Attributes:
        cap: Its capability: iso, val, ref, trn, box, tag; `any` for a parameter that may be one; empty for none.
        type: Its type; of a handle, that of what is in it.
        holds: What can be reached from it, as far as that is known.
        part_of: What it was taken out of.
        open: Whether it surely holds what can be changed, though it can't be changed itself: a tuple with a list in it.
        moved: Where it was moved, on some path.
        itself: Whether it was moved itself, on some path, and not only what it is part of.
        surely: Whether it was moved on every path.
        frozen: Where it was made immutable, by `val`.
        twice: Where a second way to the same iso came into it.
        function: The function that it is.
        method: The name of the method that it is, of the object that it holds: `send` of `agent.send`.
        emptied: Where a loop over it moved each of its elements.
    """

    cap: str = ""
    type: Type = ANY
    holds: Ids = NOWHERE
    part_of: Ids = NOWHERE
    open: bool = False
    moved: frozenset[Site] = frozenset()
    itself: bool = False
    surely: bool = False
    frozen: Site | None = None
    twice: Site | None = None
    function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None = None
    method: str = ""
    emptied: Site | None = None

    @property
    def gone(self) -> bool:
        """Whether it was moved, on some path, and not only what it is part of."""
        return self.itself or (bool(self.moved) and not self.part_of)

    @property
    def mutable(self) -> bool:
        """Whether it surely can be changed."""
        return self.type.name in MUTABLE

    @property
    def immutable(self) -> bool:
        """Whether it surely can't, or is made to be shared."""
        return (
            self.type.name in IMMUTABLE
            or self.type.name.startswith("remuda.")
            or self.cap in ("val", "tag")
            or self.function is not None
        )

    def merged(self, other: Thing) -> Thing:
        """What is known of it if it is either."""
        return Thing(
            self.cap if self.cap == other.cap else "",
            self.type if self.type == other.type else ANY,
            self.holds | other.holds,
            self.part_of | other.part_of,
            self.open and other.open,
            self.moved | other.moved,
            self.itself or other.itself,
            self.surely and other.surely,
            self.frozen or other.frozen,
            self.twice or other.twice,
            self.function if self.function is other.function else None,
            self.method if self.method == other.method else "",
            self.emptied or other.emptied,
        )


@dataclass(slots=True)
class State:
    """The names and the objects.

    Attributes:
        names: What each name, or path such as `self.buffer` and `table['rows']`, may lead to; what isn't here is
            unknown.
        things: The objects, by number.
        changes: Counts what was done to it.
        paths: Those of the names that are paths.
        marked: Whether anything has happened to an object that must not be forgotten, or mixed up.
        loose: Whether a name has let go of an object since it was last collected.
    """

    names: dict[str, Ids]
    things: dict[int, Thing]
    changes: int = 0
    paths: frozenset[str] = frozenset()
    marked: bool = False
    loose: bool = False

    def copy(self) -> State:
        """Another one with the same content."""
        return State(
            self.names.copy(),
            self.things.copy(),
            self.changes,
            self.paths,
            self.marked,
            self.loose,
        )

    def join(self, other: State) -> bool:
        """Adds what is known on another path.

        Returns:
            Whether anything has changed.
        """
        # Most often there is nothing new, and to compare them is cheap.
        changed = self.names != other.names and self._join_names(other.names)
        if self.things != other.things and self._join_things(other.things):
            changed = True
        self.paths |= other.paths
        self.marked = self.marked or other.marked
        self.loose = self.loose or other.loose
        if changed:
            self.changes += 1
        return changed

    def _join_names(self, others: dict[str, Ids]) -> bool:
        changed = False
        names = self.names
        for name, more in others.items():
            ids = names.get(name)
            if ids is more:
                continue
            if ids is None:
                names[name] = more | UNKNOWN
                changed = True
            elif not more <= ids:
                names[name] = ids | more
                changed = True
        if len(names) > len(others):
            for name, ids in names.items():
                if name not in others and not ids >= UNKNOWN:
                    names[name] = ids | UNKNOWN
                    changed = True
        return changed

    def _join_things(self, others: dict[int, Thing]) -> bool:
        changed = False
        things = self.things
        for number, thing in others.items():
            mine = things.get(number)
            if mine is None:
                things[number] = thing
                changed = True
            elif mine is not thing:
                both = mine.merged(thing)
                if both != mine:
                    things[number] = both
                    changed = True
        return changed

    def lasts_in(self, later: State) -> bool:
        """Whether all that is known here is still so there."""
        return (
            self.names.items() <= later.names.items()
            and self.things.items() <= later.things.items()
        )

    def collect(self) -> None:
        """Forgets the objects that no name leads to any more.

        On a path on which a name was given a new object, what happened to the old one must not be taken for something
        that happened to what the name leads to on another path.
        """
        if not self.marked or not self.loose:
            return
        reached: set[int] = set()
        left: list[int] = []
        for ids in self.names.values():
            left += ids
        things = self.things
        while left:
            number = left.pop()
            if number in things and number not in reached:
                reached.add(number)
                left += things[number].holds
        if len(reached) != len(things):
            self.things = {number: thing for number, thing in things.items() if number in reached}
            self.changes += 1
        self.loose = False

    def bind(self, path: str, ids: Ids) -> None:
        """A name now leads to these objects; what was reached through it is forgotten."""
        self.changes += 1
        if self.paths:
            self.forget_parts(path)
        if "." in path or "[" in path:
            self.paths |= {path}
        self.loose = self.loose or path in self.names
        self.names[path] = ids

    def forget(self, paths: Iterable[str]) -> None:
        """What these lead to is no longer known."""
        for path in paths:
            if self.names.pop(path, None) is not None:
                self.changes += 1
                self.loose = True

    def forget_parts(self, path: str) -> None:
        """Forgets what `path.x` and `path[x]` lead to, for every x."""
        prefixes = (path + ".", path + "[")
        stale = {one for one in self.paths if one.startswith(prefixes)} if self.paths else None
        if stale:
            self.forget(stale)
            self.paths -= stale

    def forget_parts_of(self, ids: Ids, but: str | None = None) -> None:
        """Forgets what is reached through any name of these objects, but one: they may have been given other parts."""
        known = ids - UNKNOWN
        if self.paths and known:
            for name in [name for name, others in self.names.items() if others & known]:
                if name != but:
                    self.forget_parts(name)

    def forget_all_parts(self) -> None:
        """Forgets what is reached through any name."""
        self.forget(self.paths)
        self.paths = frozenset()

    def update(self, number: int, thing: Thing) -> None:
        """Something has happened to an object."""
        self.changes += 1
        self.marked = self.marked or bool(thing.moved) or thing.frozen is not None
        self.things[number] = thing

    def add(self, number: int, thing: Thing) -> Ids:
        """A new object, made where object `number` is always made; `number` is even."""
        if number in self.things:
            if thing.immutable and self.things[number] == thing:
                return frozenset((number,))  # which of them it is doesn't matter
            self._age(number)
        self.changes += 1
        self.things[number] = thing
        return frozenset((number,))

    def _age(self, number: int) -> None:
        old = number + 1
        had_old = old in self.things
        named = False
        for name, ids in self.names.items():
            if had_old and old in ids:
                ids = (ids - {old}) | UNKNOWN
                self.names[name] = ids
            if number in ids:
                self.names[name] = (ids - {number}) | {old}
                named = True
        for other, thing in self.things.items():
            if number in thing.holds or number in thing.part_of:
                named = True
                self.things[other] = thing._replace(
                    holds=frozenset(old if one == number else one for one in thing.holds),
                    part_of=frozenset(old if one == number else one for one in thing.part_of),
                )
        if named:
            self.things[old] = self.things[number]
        elif had_old:
            del self.things[old]
