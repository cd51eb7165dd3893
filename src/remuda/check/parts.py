"""What is in an object: its elements, its attributes, and what is put into it."""

from __future__ import annotations

import ast
from typing import Final

from remuda.check.finding import Site
from remuda.check.objects import Objects
from remuda.check.state import NOWHERE, UNKNOWN, Ids, Thing
from remuda.check.types import ANY, IMMUTABLE, Type, item

__all__ = ["Parts", "of_type"]

_CAPS: Final = {
    "remuda.Iso": "iso",
    "remuda.Val": "val",
    "remuda.Ref": "ref",
    "remuda.Tracked": "ref",
    "remuda.Tag": "tag",
    "remuda.Trn": "trn",
    "remuda.Box": "box",
}


_CONTAINERS: Final = frozenset({"list", "tuple", "set", "frozenset", "deque"})
"""What gives the same elements each time that it is gone over."""


def of_type(kind: Type) -> Thing:
    """An object of an annotated type."""
    if kind.name == "|":
        members = [member for member in kind.args if member.name != "None"]
        things = {of_type(member) for member in members}
        caps = {thing.cap for thing in things}
        if len(things) == 1:
            return things.pop()
        return Thing(caps.pop() if len(caps) == 1 else "", ANY)
    cap = _CAPS.get(kind.name)
    if cap is not None:
        return Thing(cap, kind.args[0] if kind.args else ANY)
    return Thing(type=kind)


def _within(site: Site, node: ast.AST) -> bool:
    """Whether a place is in a loop: what its earlier turns have moved is not what this one takes out."""
    return isinstance(node, ast.For) and node.lineno <= site.line <= (node.end_lineno or 0)


class Parts(Objects):
    """Knows how objects lie in one another."""

    def part(self, node: ast.AST, base: Ids, element: Thing | None = None) -> Ids:
        """Something that was taken out of an object, and is still in it.

        Args:
            node: Where it is taken out.
            base: The object.
            element: What is known of it.
        """
        whole: set[int] = set()
        cap = ""
        made = element or Thing()
        emptied = [
            thing.emptied
            for _, thing in self.things(base)
            if thing.emptied is not None and not _within(thing.emptied, node)
        ]
        if emptied and not made.immutable:
            made = made._replace(moved=frozenset(emptied), itself=True)
            self.state.marked = True
        if made.cap or made.immutable:
            return self.make(("part", id(node)), made)
        for number, thing in self.things(base):
            if thing.cap in ("val", "box"):
                cap = thing.cap
            elif thing.frozen is not None:
                cap = "val"
            elif thing.cap in ("iso", "any", "") and not thing.immutable:
                whole |= {number, *thing.part_of}
                if thing.moved and thing.part_of:
                    made = made._replace(moved=thing.moved, surely=thing.surely)
        if cap:
            return self.make(("part", id(node)), Thing(cap))
        if not whole and made == Thing():
            return UNKNOWN
        return self.make(("part", id(node)), made._replace(part_of=frozenset(whole)))

    def turned(self, node: ast.AST, target: ast.expr, source: Ids) -> None:
        """A turn of a loop has ended: if it has moved the element that it took out, all of them go that way.

        Args:
            node: The loop.
            target: What the elements are assigned to.
            source: What the loop goes over.
        """
        number = self._numbers.get(("part", id(node)))
        thing = self.state.things.get(number or 0)
        if thing is None or not (thing.itself and thing.surely and isinstance(target, ast.Name)):
            return
        for one, container in self.things(source):
            if container.type.name in _CONTAINERS and not container.emptied:
                site = min(thing.moved)
                self.state.update(one, container._replace(emptied=site))
                for inner in container.holds:
                    known = self.state.things.get(inner)
                    if known is not None and not known.immutable and not known.gone:
                        self._mark_moved(inner, site, surely=False)

    def element(self, ids: Ids, *, subscript: bool = False, position: int | None = None) -> Thing:
        """What an object holds, if that is all of one kind, or of a tuple what is at a position."""
        things = self.certain(ids)
        kinds: set[Thing] = set()
        for thing in things:
            if thing.cap in ("val", "box"):
                kinds.add(Thing(thing.cap))
                continue
            inner = [self.state.things.get(one) for one in thing.holds]
            if thing.type.args:
                values = subscript and thing.type.name in ("dict", "defaultdict")
                if not values:
                    kinds.add(of_type(item(thing.type, position)))
                elif len(thing.type.args) == 2:
                    kinds.add(of_type(thing.type.args[1]))
            elif inner and all(one is not None for one in inner) and not subscript:
                kinds |= {Thing(one.cap, one.type) for one in inner if one is not None}
            elif inner and all(one and one.type.name.startswith("remuda.") for one in inner):
                kinds |= {Thing(type=one.type) for one in inner if one is not None}
            else:
                return Thing()
        return kinds.pop() if len(kinds) == 1 else Thing()

    def copy(self, node: ast.AST, ids: Ids) -> Ids:
        """A new container of the same kind with the same in it; unknown, if it isn't certain that it is new."""
        things = self.certain(ids)
        kinds = {thing.type for thing in things}
        names = {kind.name for kind in kinds}
        if len(names) != 1 or any(not one.mutable or one.cap not in ("", "iso") for one in things):
            return UNKNOWN
        kind = kinds.pop() if len(kinds) == 1 else Type(names.pop())
        holds = NOWHERE.union(*(thing.holds for thing in things if not thing.cap))
        return self.make(("copy", id(node)), Thing(type=kind, holds=holds))

    def hold(self, base: Ids, ids: Ids) -> None:
        """The one object now leads to the other."""
        # Numbers and texts don't matter, and to follow them would be one turn more of each loop.
        known = frozenset(
            [number for number, thing in self.things(ids) if thing.type.name not in IMMUTABLE]
        )
        if known:
            for number, thing in self.things(base):
                if not known <= thing.holds and not thing.immutable:
                    self.state.update(number, thing._replace(holds=thing.holds | known))
