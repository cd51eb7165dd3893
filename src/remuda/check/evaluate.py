"""What expressions do to the objects, and which objects they are.

An expression has one way in and one way out, so what branches within it (`and`, `or`, conditional expressions,
comprehensions) is joined again here, not in the graph.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Final

from remuda.check.effects import Effects
from remuda.check.module import CARRIERS, Module
from remuda.check.objects import Reports, key_of, path_of
from remuda.check.parts import Parts, of_type
from remuda.check.scopes import Function, Scope
from remuda.check.state import NOWHERE, UNKNOWN, Ids, Thing
from remuda.check.types import ANY, Type, of_constant, parse

__all__ = ["Evaluator"]

_MOST_TURNS: Final = 4


class Evaluator(Parts):
    """Goes through expressions. What calls do is told by a subclass."""

    def __init__(self, module: Module, scope: Scope, reports: Reports | None) -> None:
        super().__init__(module, scope, reports)
        self.discarded: ast.expr | None = None
        self._peeking = False

    def call(self, node: ast.Call) -> Ids:
        """What a call does and returns."""
        raise NotImplementedError

    def free(self, name: str) -> Thing | None:
        """An object that a name from outside of the function leads to."""
        raise NotImplementedError

    def attribute(self, class_name: str, attribute: str) -> Thing:
        """What an attribute of a class of the file leads to, by its annotation or all that it is given."""
        raise NotImplementedError

    def effects_of(self, function: Function) -> Effects:
        """What a function of the file does to its parameters, and to what it reaches outside."""
        raise NotImplementedError

    def may_move(self, function: Function) -> bool:
        """Whether a function of the file is worth a look at its effects."""
        raise NotImplementedError

    def free_names(self, function: Function) -> frozenset[str]:
        """The names of enclosing functions that a function reads."""
        raise NotImplementedError

    def eval(self, node: ast.expr) -> Ids:
        """The objects that an expression may be; does to the state what the expression does."""
        visit = _EXPRESSIONS.get(type(node))
        if visit is not None:
            return visit(self, node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.eval(child)
        return UNKNOWN

    def peek(self, node: ast.expr) -> Ids:
        """The same where only the identity is looked at: that is no use."""
        if not isinstance(node, ast.Name | ast.Attribute):
            return self.eval(node)
        kept, self._peeking = self._peeking, True
        ids = self.eval(node)
        self._peeking = kept
        return ids

    def type_of(self, node: ast.expr, ids: Ids) -> Type:
        """The type of a value, if that is certain."""
        if isinstance(node, ast.Constant):
            return of_constant(node.value)
        if isinstance(node, ast.JoinedStr):
            return Type("str")
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return Type("bool")
            if isinstance(node.operand, ast.Constant):
                return of_constant(node.operand.value)
        things = self.certain(ids)
        kinds = {thing.type for thing in things}
        return kinds.pop() if len(kinds) == 1 else ANY

    # Names and what is reached through them

    def _name(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Name)
        ids = self.state.names.get(node.id)
        if ids is None:
            owner = self.scope.owner(node.id)
            if owner is None or (owner is self.scope and self.scope is not self.module.scope):
                return UNKNOWN
            thing = self.free(node.id)
            ids = UNKNOWN if thing is None else self.make(("free", node.id), thing)
            self.state.names[node.id] = ids
        if ids is not UNKNOWN and not self._peeking:
            self.use(node, ids)
        return ids

    def _whole(self, node: ast.expr) -> Ids:
        """What something is taken out of: that is a use of it, even if only the part's identity is looked at."""
        kept, self._peeking = self._peeking, False
        ids = self.eval(node)
        self._peeking = kept
        return ids

    def known_path(self, node: ast.expr) -> tuple[str | None, Ids | None]:
        """The path that an attribute or an element is reached by, and what it leads to, if that is known."""
        path = path_of(node)
        ids = None if path is None else self.state.names.get(path)
        if ids is not None and not self._peeking:
            self.use(node, ids)
        return path, ids

    def _attribute(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Attribute)
        if node.attr == "moved" and any(
            thing.cap == "iso" for _, thing in self.things(self.peek(node.value))
        ):
            return UNKNOWN  # to ask whether it was moved is no use of it
        base = self._whole(node.value)
        path, ids = self.known_path(node)
        if ids is not None:
            return ids
        if node.attr in CARRIERS and isinstance(node.ctx, ast.Load):
            known = frozenset(one for one in base if one in self.state.things)
            return self.make(id(node), Thing(holds=known, method=node.attr))
        if base is UNKNOWN:
            return UNKNOWN
        for _, thing in self.things(base):
            kind = thing.type
            if kind.name in ("remuda.Mailbox", "remuda.Agent") and node.attr == "me":
                return self.make(id(node), Thing(type=Type("remuda.AgentRef", kind.args)))
            if kind.name == "remuda.Request" and node.attr == "message":
                return self.make(id(node), of_type(kind.args[0]) if kind.args else Thing())
            if kind.name.startswith("class ") and len(base) == 1:
                thing = self.attribute(kind.name.removeprefix("class "), node.attr)
                if thing != Thing():
                    break
        else:
            return self.part(node, base)
        made = self.make(id(node), thing)
        if path is not None and not thing.immutable:
            self.state.bind(path, made)
        return made

    def _subscript(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Subscript)
        base = self._whole(node.value)
        self.eval(node.slice)
        path, ids = self.known_path(node)
        if ids is not None:
            return ids
        if base is UNKNOWN:
            return UNKNOWN
        if isinstance(node.slice, ast.Slice):
            copy = self.copy(node, base)
            return copy if copy is not UNKNOWN else self.part(node, base)
        key = key_of(node.slice)
        position = key if isinstance(key, int) else None
        element = self.element(base, subscript=True, position=position)
        known = element.cap or element.type.name.startswith("remuda.")
        made = self.part(node, base, element if known else None)
        self.use(node, made)
        if path is not None and element.cap == "iso":
            self.state.bind(path, made)
        return made

    # Binding

    def bind(self, target: ast.expr, ids: Ids, value: ast.expr | None = None) -> None:
        """Assigns to a name, an attribute, a place in a container, or several."""
        if isinstance(target, ast.Name):
            self.state.bind(target.id, ids)
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target.elts, ids)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, UNKNOWN)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            base = self.eval(target.value)
            if isinstance(target, ast.Subscript):
                self.eval(target.slice)
            self.mutate(target, target.value, base)
            if isinstance(target, ast.Subscript):
                self.touched(target.value, base)
            if base == UNKNOWN and any(thing.cap for _, thing in self.things(ids)):
                base = self.named(target.value, base)
            self.hold(base, ids)
            kept = path_of(target.value) if isinstance(target, ast.Attribute) else None
            self.state.forget_parts_of(base, but=kept)
            path = path_of(target)
            if path is not None:
                self.state.bind(path, ids)

    def _unpack(self, targets: list[ast.expr], ids: Ids) -> None:
        counted = not any(isinstance(target, ast.Starred) for target in targets)
        for position, target in enumerate(targets):
            element = self.element(ids, position=position if counted else None)
            self.bind(target, self.part(target, ids, element))

    def assign(self, targets: Iterable[ast.expr], value: ast.expr) -> None:
        """`target = value`, also for as many of each."""
        targets = list(targets)
        if isinstance(value, ast.Tuple | ast.List):
            for target in targets:
                if (
                    isinstance(target, ast.Tuple | ast.List)
                    and len(target.elts) == len(value.elts)
                    and not any(isinstance(one, ast.Starred) for one in (*target.elts, *value.elts))
                    and len(targets) == 1
                ):
                    found = [self._value(part) for part in value.elts]
                    for one, ids in zip(target.elts, found, strict=True):
                        self.bind(one, ids)
                    return
        ids = self._value(value)
        for target in targets:
            self.bind(target, ids)
            if isinstance(value, ast.Dict) and isinstance(target, ast.Name | ast.Attribute):
                self._bind_items(target, value)

    def _bind_items(self, target: ast.expr, value: ast.Dict) -> None:
        """Of `table = {"rows": rows}`, `table["rows"]` leads to what `rows` does."""
        path = path_of(target)
        found: dict[str, Ids] = {}
        for key, part in zip(value.keys, value.values, strict=True):
            word = None if key is None else key_of(key)
            if path is not None and word is not None:
                ids = self.state.names.get(path_of(part) or "", UNKNOWN)
                number = self._numbers.get(id(part), 0)
                if number in self.state.things:
                    ids = frozenset((number,))
                if ids is not UNKNOWN:
                    found[f"{path}[{word!r}]"] = ids
        self.state.names.update(found)
        self.state.paths |= found.keys()

    def _value(self, value: ast.expr) -> Ids:
        ids = self.eval(value)
        if ids is UNKNOWN:
            kind = self.type_of(value, ids)
            if kind != ANY:
                return self.make(("literal", id(value)), Thing(type=kind))
        return ids

    # Expressions that hold others

    def _display(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.List | ast.Tuple | ast.Set)
        name = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}[type(node)]
        return self.compound(node, Type(name), node.elts)

    def _dict(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Dict)
        parts = [part for part in (*node.keys, *node.values) if part is not None]
        return self.compound(node, Type("dict"), parts)

    def compound(self, node: ast.expr, kind: Type, parts: list[ast.expr]) -> Ids:
        """A new object that is made of others."""
        found: list[tuple[ast.expr, Ids]] = []
        for part in parts:
            ids = UNKNOWN if isinstance(part, ast.Constant) else self.eval(part)
            if ids is not UNKNOWN:
                found.append((part, ids))
        if not found:
            return self.make(id(node), Thing(type=kind))
        known = self.state.things
        holds = frozenset(one for _, ids in found for one in ids if one in known)
        twice, opens = self.second_way(found), self.opens(kind, found)
        return self.make(id(node), Thing(type=kind, holds=holds, open=opens, twice=twice))

    def _starred(self, node: ast.expr) -> Ids:
        """What is in it, which is put where the star is."""
        assert isinstance(node, ast.Starred)
        things = self.certain(self.eval(node.value))
        holds = NOWHERE.union(*(thing.holds for thing in things))
        return holds & self.state.things.keys() or UNKNOWN

    def _await(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Await)
        ids = self.eval(node.value)
        if not isinstance(node.value, ast.Call):
            self.others_ran()
        return ids

    def _yield(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Yield | ast.YieldFrom)
        if node.value is not None:
            self.eval(node.value)
        self.others_ran()
        return UNKNOWN

    def _walrus(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.NamedExpr)
        ids = self._value(node.value)
        self.bind(node.target, ids)
        return ids

    def _compare(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Compare)
        identity = all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
        for part in (node.left, *node.comparators):
            if identity:
                self.peek(part)
            else:
                self.eval(part)
        return UNKNOWN

    def _binary(self, node: ast.expr) -> Ids:
        # A long sum is nested to the left.
        terms: list[ast.BinOp] = []
        while isinstance(node, ast.BinOp):
            terms.append(node)
            node = node.left
        ids = self.eval(node)
        for term in reversed(terms):
            ids = self._combined(term, ids, self.eval(term.right))
        return ids

    def _combined(self, node: ast.BinOp, left: Ids, right: Ids) -> Ids:
        """A new list of two, or of some turns of one; a new dict or set of two."""
        kinds = {thing.type.name for thing in (*self.certain(left), *self.certain(right))}
        if isinstance(node.op, ast.Mult):
            sides = (node.left, left), (node.right, right)
            numbers = [self.type_of(*side) == Type("int") for side in sides]
            if sum(numbers) != 1:
                return UNKNOWN
            same = left if numbers[1] else right
            return self.copy(node, same)
        if len(kinds) != 1 or not self.certain(left) or not self.certain(right):
            return UNKNOWN
        return self.copy(node, left | right)

    # Expressions that branch

    def _bool(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.BoolOp)
        ids = self.eval(node.values[0])
        outcomes = ids
        for value in node.values[1:]:
            before = self.state.copy()
            outcomes |= self.eval(value)
            if self.state.changes != before.changes:
                self.state.join(before)
        return outcomes

    def _conditional(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.IfExp)
        if isinstance(node.test, ast.Constant):
            return self.eval(node.body if node.test.value else node.orelse)
        self.eval(node.test)
        before = self.state.copy()
        ids = self.eval(node.body)
        after, self.state = self.state, before
        ids |= self.eval(node.orelse)
        self.state.join(after)
        return ids

    def _comprehension(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        name = {ast.ListComp: "list", ast.SetComp: "set", ast.DictComp: "dict"}.get(
            type(node), "generator"
        )
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        names = {
            inner.id
            for generator in node.generators
            for inner in ast.walk(generator.target)
            if isinstance(inner, ast.Name)
        }
        kept = {name: self.state.names.get(name) for name in names}
        found = self._turns(node.generators, results)
        for target, ids in kept.items():
            if ids is None:
                self.state.names.pop(target, None)
            else:
                self.state.names[target] = ids
        known = self.state.things
        holds = frozenset(one for one in found if one in known)
        return self.make(id(node), Thing(type=Type(name), holds=holds))

    def _turns(self, generators: list[ast.comprehension], results: list[ast.expr]) -> Ids:
        """Goes round the loops of a comprehension, until nothing new is learnt.

        Returns:
            What the results may be.
        """
        if not generators:
            return NOWHERE.union(*[self.eval(result) for result in results])
        generator, *inner = generators
        source = self.eval(generator.iter)
        found: Ids = NOWHERE
        for _ in range(_MOST_TURNS):
            before = self.state.copy()
            self.bind(generator.target, self.part(generator, source, self.element(source)))
            for test in generator.ifs:
                self.eval(test)
            found |= self._turns(inner, results)
            same = not self.moving and before.lasts_in(self.state)
            changed = before.join(self.state)
            self.state = before
            if same or not changed:
                break
        return found

    # Functions, and what leaves them

    def _lambda(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Lambda)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.eval(default)
        return self.make(id(node), Thing(function=node))

    def _call(self, node: ast.expr) -> Ids:
        assert isinstance(node, ast.Call)
        return self.call(node)

    def _constant(self, _: ast.expr) -> Ids:
        return UNKNOWN

    def annotated(self, node: ast.expr | None) -> Type:
        """The type that an annotation of this function names."""
        return parse(node, self.module, self.scope)


_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[Evaluator, ast.expr], Ids]]] = {
    ast.Name: Evaluator._name,
    ast.Constant: Evaluator._constant,
    ast.Attribute: Evaluator._attribute,
    ast.Subscript: Evaluator._subscript,
    ast.Call: Evaluator._call,
    ast.List: Evaluator._display,
    ast.Tuple: Evaluator._display,
    ast.Set: Evaluator._display,
    ast.Dict: Evaluator._dict,
    ast.Starred: Evaluator._starred,
    ast.Await: Evaluator._await,
    ast.Yield: Evaluator._yield,
    ast.YieldFrom: Evaluator._yield,
    ast.NamedExpr: Evaluator._walrus,
    ast.Compare: Evaluator._compare,
    ast.BinOp: Evaluator._binary,
    ast.BoolOp: Evaluator._bool,
    ast.IfExp: Evaluator._conditional,
    ast.ListComp: Evaluator._comprehension,
    ast.SetComp: Evaluator._comprehension,
    ast.DictComp: Evaluator._comprehension,
    ast.GeneratorExp: Evaluator._comprehension,
    ast.Lambda: Evaluator._lambda,
}
