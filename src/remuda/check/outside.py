"""What a function meets that lies outside of it: other functions of the file, and what outer names lead to."""

from __future__ import annotations

import ast
from typing import Final

from remuda.check.effects import Effects, left_moved, moved_ones
from remuda.check.module import Module
from remuda.check.objects import Reports
from remuda.check.parts import of_type
from remuda.check.patterns import Patterns
from remuda.check.scopes import Function, Scope
from remuda.check.state import State, Thing
from remuda.check.types import ANY, parse

__all__ = ["Outside", "Shared"]

_DEEPEST: Final = 4
"""How deep functions that call functions are followed."""


class Shared:
    """What is worked out once for a file.

    Attributes:
        ours: The names that Remuda's things have in the file, and those of what is made by them at its top level.
        movers: The names of functions and methods that send, use these, or call one that does.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.effects: dict[Function, Effects] = {}
        self.free_names: dict[Function, frozenset[str]] = {}
        self.free: dict[tuple[Scope, str], Thing | None] = {}
        self.depth = 0
        self.ours = _ours(module)
        self.movers = self._all_movers()

    def uses(self, scope: Scope) -> bool:
        """Whether a scope has anything to do with Remuda's things, by the names in it."""
        names = self.ours | self.movers
        return not (names.isdisjoint(scope.loads) and self.movers.isdisjoint(scope.attributes))

    def _all_movers(self) -> frozenset[str]:
        words: dict[str, set[str]] = {}
        found: set[str] = set()
        for function, scope in self.module.functions():
            if not isinstance(function, ast.Lambda):
                words.setdefault(function.name, set()).update(scope.loads | scope.attributes)
                if scope.carries or scope.loads & self.ours:
                    found.add(function.name)
        size = -1
        while size != len(found):
            size = len(found)
            found |= {name for name, read in words.items() if read & found}
        return frozenset(found)


class Outside(Patterns):
    """An evaluator that knows the rest of the file.

    Attributes:
        thrown: What may be known where an exception leaves the function; None if none does.
    """

    def __init__(
        self, module: Module, scope: Scope, reports: Reports | None, shared: Shared
    ) -> None:
        super().__init__(module, scope, reports)
        self.shared = shared
        self.thrown: State | None = None

    def walk(self, scope: Scope) -> Outside:
        """Another one, which reports nothing."""
        raise NotImplementedError

    def run(self) -> State | None:
        """Goes through it all, and tells what is known at the end; None if it is never reached."""
        raise NotImplementedError

    def may_move(self, function: Function) -> bool:
        """Whether a function of the file is worth a look at its effects."""
        return getattr(function, "name", None) in self.shared.movers

    def effects_of(self, function: Function) -> Effects:
        """What a function of the file does to its parameters, and to what it reaches outside."""
        known = self.shared.effects.get(function)
        if known is not None:
            return known
        if self.shared.depth >= _DEEPEST:
            return Effects()
        self.shared.effects[function] = Effects()  # for a function that calls itself
        self.shared.depth += 1
        scope = self.module.scopes[function]
        walk = self.walk(scope)
        for name in self.free_names(function):
            walk.state.bind(name, walk.make(("free", name), Thing("any")))
        starts = walk.state.names.copy()
        end = walk.run()
        self.shared.depth -= 1
        for argument in scope.bound:
            number = walk._numbers.get(("parameter", argument))
            if number is not None:
                starts[argument] = frozenset((number,))
        found = self.shared.effects[function] = Effects(
            moved_ones(starts, end),
            moved_ones(starts, walk.thrown),
            left_moved(starts, scope.outside, set(scope.bound), end),
        )
        return found

    def free_names(self, function: Function) -> frozenset[str]:
        """The names of enclosing functions, and of the file, that a function reads."""
        known = self.shared.free_names.get(function)
        if known is None:
            scope = self.module.scopes[function]
            loads: set[str] = set()
            left = [scope]
            while left:
                inner = left.pop()
                loads |= inner.loads
                left += inner.children
            known = frozenset(
                name for name in loads if name not in scope.bound and name not in scope.imports
            )
            self.shared.free_names[function] = known
        return known

    def free(self, name: str) -> Thing | None:
        """An object that a name from outside of the function leads to, if it is only ever of that kind."""
        owner = self.scope.owner(name)
        if owner is None:
            return None
        key = (owner, name)
        if key not in self.shared.free:
            self.shared.free[key] = None  # for names that are given each other
            self.shared.free[key] = self._only_value(owner, name)
        return self.shared.free[key]

    def _only_value(self, owner: Scope, name: str) -> Thing | None:
        function = owner.functions.get(name)
        values = [*owner.bound.get(name, ()), *owner.rebound.get(name, ())]
        if function is not None:
            return Thing(function=function) if len(values) == 1 else None
        annotation = owner.annotations.get(name)
        if annotation is not None and (len(values) == 1 or name in owner.rebound):
            thing = of_type(parse(annotation, self.module, owner))
            if thing != Thing():
                return thing
        if len(values) != 1 and name not in owner.rebound:
            return None
        things = {self._value_thing(owner, value) for value in values}
        if len(things) > 1 and len({thing and thing.cap for thing in things}) == 1:
            things = {thing and Thing(thing.cap) for thing in things}
        return things.pop() if len(things) == 1 else None

    def _value_thing(self, owner: Scope, value: ast.expr | None) -> Thing | None:
        if not isinstance(
            value, ast.Call | ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp
        ):
            return None
        walk = self.walk(owner)
        things = walk.certain(walk.eval(value))
        if len(things) != 1 or (things[0].type == ANY and not things[0].cap):
            return None
        return Thing(things[0].cap, things[0].type)


def _ours(module: Module) -> frozenset[str]:
    ours = {
        name
        for scope in module.scopes.values()
        for name, full in scope.imports.items()
        if full.partition(".")[0] == "remuda"
    }
    for name, values in module.scope.bound.items():
        for value in values:
            if isinstance(value, ast.Call):
                full = module.qualified(value.func, module.scope)
                if full is not None and full.startswith("remuda."):
                    ours.add(name)
    return frozenset(ours)
