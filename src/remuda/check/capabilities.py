"""What Remuda's own functions make of objects: an iso, a val, a ref and so on."""

from __future__ import annotations

import ast
from typing import Final

from remuda.check.evaluate import Evaluator
from remuda.check.objects import Message, path_of
from remuda.check.state import NOWHERE, UNKNOWN, Ids, Thing
from remuda.check.types import ANY, Type

__all__ = ["Capabilities"]

HANDLES: Final = {"ref": "ref", "Tracked": "ref", "tag": "tag", "trn": "trn", "box": "box"}


class Capabilities(Evaluator):
    """An evaluator that knows the functions that make handles."""

    def _arguments(self, node: ast.Call) -> list[tuple[ast.expr, Ids]]:
        found = [(argument, self.eval(argument)) for argument in node.args]
        return found + [(keyword.value, self.eval(keyword.value)) for keyword in node.keywords]

    def _may_raise(self) -> None:
        """A call that comes after a move, in the same step: if it raises, the move has happened."""
        if self.moving:
            self.late.append(self.state.copy())

    def _iso(self, node: ast.Call) -> Ids:
        found = self._arguments(node)
        if not node.args:
            return UNKNOWN
        argument = node.args[0]
        kind = self.type_of(argument, found[0][1])
        ids = self.named(argument, found[0][1])
        holds = frozenset(
            number
            for number, thing in self.things(ids)
            if not thing.immutable and thing.cap != "box"
        )
        twice = next((thing.twice for _, thing in self.things(ids) if thing.twice), None)
        return self.make(id(node), Thing("iso", kind, holds, twice=twice))

    def _val(self, node: ast.Call) -> Ids:
        found = self._arguments(node)
        if not node.args:
            return UNKNOWN
        kind = self.type_of(node.args[0], found[0][1])
        ids = self.named(node.args[0], found[0][1])
        name = self.bare(node.args[0], ids)
        if name is not None:
            self.report(
                "RMD109",
                node.args[0],
                f"expected a val to be made of what nobody can change, found a {name}: "
                "write freeze(...) to share an immutable copy",
            )
        made = self.freeze(node, Message(node.args[0], ids))
        for number, thing in self.things(made):
            self.state.update(number, thing._replace(type=kind))
        return made

    def _freeze(self, node: ast.Call) -> Ids:
        self._arguments(node)
        return self.make(id(node), Thing("val"))

    def _handle(self, node: ast.Call) -> Ids:
        found = self._arguments(node)
        name = (self.module.qualified(node.func, self.scope) or "").removeprefix("remuda.")
        cap = HANDLES[name]
        holds = NOWHERE
        if found and cap != "tag":
            holds = frozenset(
                number for number, thing in self.things(found[0][1]) if not thing.immutable
            )
        return self.make(id(node), Thing(cap, holds=holds))

    def _consume(self, node: ast.Call) -> Ids:
        found = self._arguments(node)
        if not found:
            return UNKNOWN
        ids = found[0][1]
        caps = {thing.cap for _, thing in self.things(ids)}
        made = "trn" if caps == {"trn"} else "iso" if caps & {"iso", "trn", "any"} else ""
        return self.consume(node, ids, "consumed", made)

    def _unchecked(self, node: ast.Call) -> Ids:
        self._arguments(node)
        return UNKNOWN

    def _swap(self, node: ast.Call) -> Ids:
        self._arguments(node)
        path = path_of(node.args[0]) if node.args else None
        if path is not None:
            self.state.forget_parts(path)
        return UNKNOWN

    def _channel(self, node: ast.Call) -> Ids:
        self._arguments(node)
        sides = (Type("remuda.Sender"), Type("remuda.Receiver"))
        return self.make(id(node), Thing(type=Type("tuple", sides)))

    def _await_future(self, node: ast.Call) -> Ids:
        self._arguments(node)
        return self.make(id(node), Thing(type=Type("tuple", (Type("remuda.Resolver"), ANY))))

    def _runtime(self, node: ast.Call) -> Ids:
        self._arguments(node)
        return self.make(id(node), Thing(type=Type("remuda.Runtime")))

    def _message(self, node: ast.Call) -> Ids:
        """An envelope. Of what else is given than the payload, it keeps frozen copies; no iso has one."""
        others = [keyword.value for keyword in node.keywords if keyword.arg != "payload"]
        payload = [keyword.value for keyword in node.keywords if keyword.value not in others]
        made = self.compound(node, Type("envelope"), [*node.args, *payload])
        inside = frozenset[int]().union(*(thing.holds for _, thing in self.things(made)))
        found = [(other, self.eval(other)) for other in others]
        twice = self.second_way([(node, inside), *found]) if self._isolated(inside) else None
        for number, thing in self.things(made):
            self.state.update(number, thing._replace(twice=thing.twice or twice))
        return made
