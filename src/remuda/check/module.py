"""What is known about a file before any of its functions is looked into: scopes, imports, classes.

One pass over the tree collects it. Names are resolved through imports and aliases: `remuda.iso`, `r.iso` after `import
remuda as r`, and `i` after `from remuda import iso as i` are all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from remuda.check.classes import Class, Classes
from remuda.check.scopes import Function, Scope
from remuda.check.types import Type, is_builtin

__all__ = ["CARRIERS", "Module"]

CARRIERS: Final = frozenset({"send", "send_nowait", "ask", "reply", "set_result"})
"""Methods that take one message."""

_WORDS: Final = CARRIERS | {"spawn"}
"""Methods that carry messages: a function without them, and without a name of Remuda's, has nothing to be found."""

_STAR: Final = [
    "iso",
    "val",
    "ref",
    "tag",
    "trn",
    "box",
    "consume",
    "recover",
    "swap",
    "freeze",
    "is_sendable",
    "unchecked",
    "register_immutable",
    "Message",
    "Tracked",
    "Iso",
    "Val",
    "Ref",
    "Tag",
    "Trn",
    "Box",
    "Agent",
    "AgentRef",
    "Mailbox",
    "Request",
    "Runtime",
    "spawn",
    "signal",
    "await_future",
    "channel",
    "quorum",
    "shard",
    "broadcast",
    "current_agent",
    "run",
]
"""What `from remuda import *` brings, as far as it matters here."""


class Module(Classes):
    """A file.

    Attributes:
        tree: Its syntax tree.
        types: The types that its annotations name, by the annotation's identity, as far as they were asked for.
        scopes: The scope of each function, class and of the file, by node.
        uses_remuda: Whether it imports anything of Remuda's.
        assumed: Whether everything that sends is to be taken for an agent.
        trusts: Whether it makes a runtime that checks no capabilities.
        rebinds: Whether a function of it binds names of outer ones, or globals.
    """

    def __init__(self, tree: ast.Module, *, assume: bool = False) -> None:
        super().__init__(Scope(tree, None))
        self.tree = tree
        self.scopes: dict[ast.AST, Scope] = {tree: self.scope}
        self.packages: set[str] = set()
        self.types: dict[int, Type] = {}
        self._called: dict[tuple[int, int], str | None] = {}
        self.trusts = False
        self.rebinds = False
        self._scan()
        self.assumed = assume
        self.uses_remuda = assume or "remuda" in self.packages
        for statement in tree.body:
            if (
                isinstance(statement, ast.ClassDef)
                and len(self.scope.bound.get(statement.name, ())) == 1
            ):
                scope = self.scopes[statement]
                self.classes[statement.name] = Class(statement, scope, dict(scope.functions))

    def functions(self) -> Iterator[tuple[Function, Scope]]:
        """All functions and lambdas of the file, outer ones first."""
        for node, scope in self.scopes.items():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield node, scope

    def qualified(self, node: ast.expr, scope: Scope) -> str | None:
        """The full name of what is called or named: `remuda.iso`, `asyncio.wait_for`, `list` for a builtin.

        Returns:
            None for what the file itself defines, and for what isn't a name.
        """
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        owner = scope.owner(node.id)
        if owner is None:
            if attributes or not is_builtin(node.id):
                return None
            return node.id
        base = owner.imports.get(node.id)
        if base is None:
            return None
        name = ".".join([base, *reversed(attributes)]) if attributes else base
        if name.startswith("remuda."):
            return f"remuda.{name.rpartition('.')[2]}"
        return name

    def called(self, node: ast.expr, scope: Scope) -> str | None:
        """The full name of a function that the file calls: `qualified`, worked out once for each place."""
        key = (id(node), id(scope))
        try:
            return self._called[key]
        except KeyError:
            name = self._called[key] = self.qualified(node, scope)
            return name

    def alias(self, name: str) -> ast.expr | None:
        """The only value that a name of the top level is ever given: of `Message = int | str`, the union."""
        values = self.scope.bound.get(name, [])
        return values[0] if len(values) == 1 else None

    def _scan(self) -> None:
        """Fills the scopes, in one pass without recursion: expressions may be nested deeply."""
        stack: list[tuple[ast.AST, Scope]] = [
            (node, self.scope) for node in reversed(self.tree.body)
        ]
        while stack:
            node, scope = stack.pop()
            kind = type(node)
            if kind is ast.Name:
                assert isinstance(node, ast.Name)
                if type(node.ctx) is ast.Load:
                    scope.loads.add(node.id)
                else:
                    scope.bound.setdefault(node.id, []).append(None)
                continue
            if kind is ast.Constant:
                continue
            visit = _VISITS.get(kind)
            if visit is not None:
                children = visit(self, node, scope)
                if children is not None:
                    stack.extend(reversed(children))
                    continue
            for child_name in node._fields:
                value = getattr(node, child_name, None)
                if isinstance(value, list):
                    stack += [
                        (child, scope) for child in reversed(value) if isinstance(child, ast.AST)
                    ]
                elif isinstance(value, ast.AST) and value._fields:
                    stack.append((value, scope))
        for scope in self.scopes.values():
            for name in scope.outside:
                outer = scope.parent.owner(name) if scope.parent else None
                if outer is not None:
                    self.rebinds = True
                    outer.rebound.setdefault(name, []).extend(scope.bound.get(name, ()))

    def _function(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inner = Scope(node, scope)
        scope.children.append(inner)
        self.scopes[node] = inner
        children: list[tuple[ast.AST, Scope]] = []
        for one in getattr(node, "type_params", ()):  # from Python 3.12 on
            inner.bound.setdefault(one.name, []).append(None)
        arguments = node.args
        for argument in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            *filter(None, (arguments.vararg, arguments.kwarg)),
        ):
            inner.bound.setdefault(argument.arg, []).append(None)
            if argument.annotation is not None:
                inner.annotations[argument.arg] = argument.annotation
                children.append((argument.annotation, inner))
        children += [(value, scope) for value in arguments.defaults]
        children += [(value, scope) for value in arguments.kw_defaults if value is not None]
        if isinstance(node, ast.Lambda):
            return [*children, (node.body, inner)]
        scope.bound.setdefault(node.name, []).append(None)
        scope.functions[node.name] = node
        children += [(value, scope) for value in node.decorator_list]
        if node.returns is not None:
            children.append((node.returns, inner))
        return [*children, *((statement, inner) for statement in node.body)]

    def _class(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.ClassDef)
        inner = Scope(node, scope)
        scope.children.append(inner)
        self.scopes[node] = inner
        scope.bound.setdefault(node.name, []).append(None)
        outer = [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
        return [
            *((value, scope) for value in outer),
            *((statement, inner) for statement in node.body),
        ]

    def _import(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.Import)
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self.packages.add(top)
            scope.imports[alias.asname or top] = alias.name if alias.asname else top
        return []

    def _import_from(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.ImportFrom)
        package = "." * node.level + (node.module or "")
        self.packages.add(package.partition(".")[0])
        for alias in node.names:
            if alias.name == "register_immutable":
                self.registers = True
            if alias.name != "*":
                scope.imports[alias.asname or alias.name] = f"{package}.{alias.name}"
            elif package == "remuda":
                scope.imports.update({name: f"remuda.{name}" for name in _STAR})
        return []

    def _assign(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]] | None:
        assert isinstance(node, ast.Assign)
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            scope.bound.setdefault(node.targets[0].id, []).append(node.value)
            return [(node.value, scope)]
        return None

    def _annotated(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]] | None:
        assert isinstance(node, ast.AnnAssign)
        if isinstance(node.target, ast.Name):
            scope.annotations[node.target.id] = node.annotation
            scope.bound.setdefault(node.target.id, []).append(node.value)
            parts = [node.annotation] if node.value is None else [node.annotation, node.value]
            return [(part, scope) for part in parts]
        return None

    def _type_alias(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        """`type Name = ...`, which there is from Python 3.12 on."""
        name, value = node.name.id, node.value  # type: ignore[attr-defined]  # a TypeAlias
        scope.bound.setdefault(name, []).append(value)
        return [(value, scope)]

    def _outside(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.Global | ast.Nonlocal)
        scope.outside.update(node.names)
        return []

    def _attribute(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.Attribute)
        scope.attributes.add(node.attr)
        if node.attr in _WORDS:
            scope.carries = True
        elif node.attr == "register_immutable":
            self.registers = True
        return [(node.value, scope)]

    def _keyword(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        assert isinstance(node, ast.keyword)
        if (
            node.arg == "capabilities"
            and isinstance(node.value, ast.Constant)
            and node.value.value == "trust"
        ):
            self.trusts = True
        return [(node.value, scope)]

    def _yield(self, node: ast.AST, scope: Scope) -> None:
        scope.yields = True

    def _bound_name(self, node: ast.AST, scope: Scope) -> None:
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name:
            scope.bound.setdefault(name, []).append(None)


_VISITS: Final = {
    getattr(ast, "TypeAlias", None): Module._type_alias,
    ast.FunctionDef: Module._function,
    ast.AsyncFunctionDef: Module._function,
    ast.Lambda: Module._function,
    ast.ClassDef: Module._class,
    ast.Import: Module._import,
    ast.ImportFrom: Module._import_from,
    ast.Assign: Module._assign,
    ast.AnnAssign: Module._annotated,
    ast.Global: Module._outside,
    ast.Nonlocal: Module._outside,
    ast.Attribute: Module._attribute,
    ast.keyword: Module._keyword,
    ast.Yield: Module._yield,
    ast.YieldFrom: Module._yield,
    ast.ExceptHandler: Module._bound_name,
    ast.MatchAs: Module._bound_name,
    ast.MatchStar: Module._bound_name,
    ast.MatchMapping: Module._bound_name,
}
