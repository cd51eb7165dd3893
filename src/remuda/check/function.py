"""Goes through one function: its steps along the graph, until nothing new is learnt.

What is known where a block begins is joined from all that lead there. Blocks are gone through again, in order, as
long as anything at their beginnings changes; it only ever grows, so that comes to an end.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from remuda.check.blocks import Block, Step
from remuda.check.flow import Flow
from remuda.check.module import Module
from remuda.check.objects import Message, Report, Reports, path_of
from remuda.check.outside import Outside, Shared
from remuda.check.parts import of_type
from remuda.check.scopes import Function, Scope
from remuda.check.state import UNKNOWN, Ids, State, Thing
from remuda.check.types import MUTABLE, Type, parse

__all__ = ["Walk", "check_module"]

_MOST_VISITS: Final = 40
"""How often a block is gone through at most: real programs take two or three."""


class Walk(Outside):
    """Goes through one function, or through the top level of a file."""

    def __init__(
        self, module: Module, scope: Scope, reports: Reports | None, shared: Shared
    ) -> None:
        super().__init__(module, scope, reports, shared)
        self._agent = False

    def walk(self, scope: Scope) -> Walk:
        """Another one, which reports nothing."""
        return Walk(self.module, scope, None, self.shared)

    def run(self) -> State | None:
        """Goes through it all.

        Returns:
            What is known at the end; None if it is never reached.
        """
        node = self.scope.node
        if isinstance(node, ast.Lambda):
            result = ast.Return(node.body)
            ast.copy_location(result, node.body)
            body: list[ast.stmt] = [result]
        else:
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module)
            body = node.body
        # Only of a function that is looked at for its effects is it asked what has happened when it fails.
        flow = Flow(body, self._name_of, fails=self.reports is None)
        if not isinstance(node, ast.Module):
            self._parameters(node)
        ends = _ends(flow.blocks)
        begins: dict[Block, State] = {flow.entry: self.state}
        visits = [0] * len(ends)
        waiting = [0]
        while waiting:
            # The first one; but the rest of a loop before its beginning is come back to.
            index = 0
            while index + 1 < len(waiting) and waiting[index + 1] <= ends[waiting[index]]:
                index += 1
            position = waiting.pop(index)
            visits[position] += 1
            if visits[position] > _MOST_VISITS:
                continue
            block = flow.blocks[position]
            self.state = begins[block].copy()
            for target, state in self._block(block):
                known = begins.get(target)
                if known is None:
                    last = state is self.state and target is block.next[-1]
                    begins[target] = state if last else state.copy()
                elif not known.join(state):
                    continue
                place = bisect_left(waiting, target.position)
                if place == len(waiting) or waiting[place] != target.position:
                    waiting.insert(place, target.position)
        self.thrown = begins.get(flow.failure)
        return begins.get(flow.exit)

    def _name_of(self, node: ast.expr) -> str | None:
        name = self.module.called(node, self.scope)
        if name is None and path_of(node) == "self.assertRaises":
            return "self.assertRaises"
        return name

    def _parameters(self, node: Function) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        method = isinstance(self.scope.parent and self.scope.parent.node, ast.ClassDef)
        for position, argument in enumerate(arguments):
            if argument.annotation is not None:
                thing = of_type(parse(argument.annotation, self.module, self.scope))
            elif position == 0 and method:
                thing = self._self_type()
            elif self.reports is None:
                thing = Thing("any")
            else:
                continue
            if self.reports is None and thing == Thing():
                thing = Thing("any")
            if thing != Thing():
                self.state.bind(argument.arg, self.make(("parameter", argument.arg), thing))
        for more, name in ((node.args.vararg, "tuple"), (node.args.kwarg, "dict")):
            if more is not None and more.annotation is not None:
                kind = parse(more.annotation, self.module, self.scope)
                args = (kind, Type("ellipsis")) if name == "tuple" else (Type("str"), kind)
                self.state.bind(more.arg, self.make(id(more), Thing(type=Type(name, args))))
        if arguments and not isinstance(node, ast.Lambda):
            first = parse(arguments[0].annotation, self.module, self.scope)
            self._agent = first.name == "remuda.Mailbox" or (
                method and node.name == "receive" and len(arguments) == 2
            )

    def _self_type(self) -> Thing:
        parent = self.scope.parent
        if parent is not None and isinstance(parent.node, ast.ClassDef):
            name = parent.node.name
            known = self.module.classes.get(name)
            if known is not None and known.node is parent.node:
                return Thing(type=Type(f"class {name}"))
        return Thing()

    # Steps

    def _block(self, block: Block) -> list[tuple[Block, State]]:
        """Does the steps of a block.

        Returns:
            The blocks that may come next, each with what is then known.
        """
        self.expected = block.expected
        escapes = block.escapes
        raised = [self.state.copy()] if block.enters and escapes else []
        refused: list[State] = []
        within: list[State] = []
        before = self.state
        seen = -1
        for step in block.steps:
            if step.raises and self.state.changes != seen:
                # A state is changed in place: what was known before a step has to be kept.
                seen = self.state.changes
                before = self.state.copy()
                before.collect()
                raised.append(before)
            self.late, self.late_within = [], []
            self.moving = False
            self.lines = step.lines
            self.discarded = None
            _STEPS[step.operation](self, step)
            if step.raises:
                if self.moving or step.sends:
                    refused.append(before)
                raised += self.late
                within += self.late_within
        self.state.collect()
        found: list[tuple[Block, State]] = []
        for state in (*raised, *within) if escapes else ():
            state.collect()
        for escape in escapes:
            thrown = refused if escape.sends_only else raised
            found += [(escape.target, state) for state in thrown]
            if not escape.refusal:
                found += [(escape.target, state) for state in within]
        found += [(target, self.state) for target in block.next]
        return found

    def _do(self, step: Step) -> None:
        visit = _STATEMENTS.get(type(step.node))
        if visit is not None:
            visit(self, step.node)
            return
        for child in ast.iter_child_nodes(step.node):
            if isinstance(child, ast.expr):
                self.eval(child)

    def _test(self, step: Step) -> None:
        assert isinstance(step.node, ast.expr)
        self.eval(step.node)

    def _iterate(self, step: Step) -> None:
        assert isinstance(step.node, ast.For | ast.AsyncFor)
        self.state.bind(f"<{id(step.node)}>", self.eval(step.node.iter))

    def _next(self, step: Step) -> None:
        assert isinstance(step.node, ast.For | ast.AsyncFor)
        source = self.state.names.get(f"<{id(step.node)}>", UNKNOWN)
        self.turned(step.node, step.node.target, source)
        self.bind(step.node.target, self.part(step.node, source, self.element(source)))

    def _enter(self, step: Step) -> None:
        assert isinstance(step.node, ast.withitem)
        ids = self.eval(step.node.context_expr)
        if step.node.optional_vars is not None:
            things = self.certain(ids)
            same = bool(things) and all(thing.type.name == "remuda.Runtime" for thing in things)
            self.bind(step.node.optional_vars, ids if same else UNKNOWN)

    def _catch(self, step: Step) -> None:
        assert isinstance(step.node, ast.ExceptHandler)
        if step.node.name:
            self.state.bind(step.node.name, UNKNOWN)

    # Statements

    def _expression(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Expr)
        self.discarded = node.value
        self.eval(node.value)

    def _assign(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Assign)
        self.assign(node.targets, node.value)

    def _annotated(self, node: ast.AST) -> None:
        assert isinstance(node, ast.AnnAssign)
        if node.value is None:
            return
        ids = self._value(node.value)
        kind = parse(node.annotation, self.module, self.scope)
        thing = of_type(kind)
        if ids == UNKNOWN and thing != Thing():
            ids = self.make(("annotated", id(node)), thing)
        elif kind.args:
            # `agents: list[AgentRef[int]] = []` says more than the list does.
            for number, known in self.things(ids):
                if known.type.name == kind.name and not known.type.args:
                    self.state.update(number, known._replace(type=kind))
        self.bind(node.target, ids)

    def _augmented(self, node: ast.AST) -> None:
        assert isinstance(node, ast.AugAssign)
        self.eval(node.value)
        if not isinstance(node.target, ast.Name):
            assert isinstance(node.target, ast.Attribute | ast.Subscript)
            base = self.eval(node.target.value)
            if isinstance(node.target, ast.Subscript):
                self.eval(node.target.slice)
            self.mutate(node.target, node.target.value, base)
            _, known = self.known_path(node.target)
            ids = UNKNOWN if known is None else known
        else:
            # Load and store in one.
            read = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            ids = self.eval(read)
        in_place = any(
            thing.type.name in MUTABLE or thing.cap in ("iso", "ref", "trn")
            for _, thing in self.things(ids)
        )
        path = path_of(node.target)
        if in_place:
            self.mutate(node, node.target, ids)
        elif path is not None and path in self.state.names:
            self.state.bind(path, UNKNOWN)

    def _return(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Return)
        if node.value is None:
            return
        ids = self.eval(node.value)
        if self._agent:
            self.move(Message(node.value, ids), node, "returned", "who awaits the agent")

    def _delete(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Delete)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.state.bind(target.id, UNKNOWN)
            elif isinstance(target, ast.Attribute | ast.Subscript):
                base = self.eval(target.value)
                self.mutate(target, target.value, base)
                self._drop_parts(base)
                self.touched(target.value, base)

    def _function(self, node: ast.AST) -> None:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.eval(part)
        self.state.bind(node.name, self.make(id(node), Thing(function=node)))

    def _class(self, node: ast.AST) -> None:
        assert isinstance(node, ast.ClassDef)
        for part in (*node.decorator_list, *node.bases):
            self.eval(part)
        own = self.module.scopes[node].bound
        found: list[tuple[ast.stmt, Ids]] = []
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr) and statement.value:
                names = {one.id for one in ast.walk(statement.value) if isinstance(one, ast.Name)}
                if not names & own.keys():
                    found.append((statement, self.eval(statement.value)))
        self.state.bind(node.name, UNKNOWN)
        for statement, ids in found:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Name) and ids is not UNKNOWN:
                    self.state.bind(f"{node.name}.{target.id}", ids)

    def _import(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name in self.state.names:
                self.state.bind(name, UNKNOWN)

    def _nothing(self, node: ast.AST) -> None:
        pass


def _ends(blocks: list[Block]) -> list[int]:
    """Of each block, the position of the last one that leads back to it; else its own."""
    ends = list(range(len(blocks)))
    for block in blocks:
        for target in block.next:
            if target.position < block.position:
                ends[target.position] = block.position
    return ends


def check_module(module: Module) -> Reports:
    """Goes through every function of a file that may have anything to be found."""
    reports = Reports()
    if not module.uses_remuda:
        return reports
    shared = Shared(module)
    for scope in _worth_while(module, shared):
        try:
            Walk(module, scope, reports, shared).run()
        except RecursionError:
            line = getattr(scope.node, "lineno", 1)
            reports.found[line, 0, "RMD100"] = Report(
                "RMD100", line, 0, "expected less nesting: this was not checked", None, (line, line)
            )
    return reports


def _worth_while(module: Module, shared: Shared) -> list[Scope]:
    """The scopes in which anything can be found.

    Those are the functions that use Remuda's names, send, or call one that does, and all that lie with them in one
    class or function, since these may share attributes and variables.
    """
    outermost: dict[Scope, Scope] = {}
    chosen: set[Scope] = set()
    for scope in module.scopes.values():  # outer ones first
        parent = scope.parent
        top = scope if parent is None or parent is module.scope else outermost[parent]
        outermost[scope] = top
        if module.assumed or scope.carries or shared.uses(scope):
            chosen.add(top)
    return [
        scope
        for scope, top in outermost.items()
        if top in chosen and not isinstance(scope.node, ast.ClassDef)
    ]


_STEPS: Final[dict[str, Callable[[Walk, Step], None]]] = {
    "do": Walk._do,
    "test": Walk._test,
    "iterate": Walk._iterate,
    "next": Walk._next,
    "enter": Walk._enter,
    "catch": Walk._catch,
    "subject": Walk.subject,
    "case": Walk.case,
}
_STATEMENTS: Final[dict[type[ast.AST], Callable[[Walk, ast.AST], None]]] = {
    ast.Expr: Walk._expression,
    ast.Assign: Walk._assign,
    ast.AnnAssign: Walk._annotated,
    ast.AugAssign: Walk._augmented,
    ast.Return: Walk._return,
    ast.Delete: Walk._delete,
    ast.FunctionDef: Walk._function,
    ast.AsyncFunctionDef: Walk._function,
    ast.ClassDef: Walk._class,
    ast.Import: Walk._import,
    ast.ImportFrom: Walk._import,
    ast.Global: Walk._nothing,
    ast.Nonlocal: Walk._nothing,
    ast.Pass: Walk._nothing,
}
