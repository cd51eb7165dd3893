"""What is known about a file before any of its functions is looked into: scopes, imports, classes.

One pass over the tree collects it. Names are resolved through imports and aliases: `remuda.iso`, `r.iso` after `import
remuda as r`, and `i` after `from remuda import iso as i` are all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from remuda.check.types import Type, is_builtin

__all__ = ["Class", "Function", "Module", "Scope", "statements"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_WORDS: Final = frozenset({"send", "send_nowait", "ask", "reply", "spawn", "set_result"})
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

_MAKERS: Final = frozenset({"__init__", "__new__", "__post_init__"})
"""Methods in which an object may make something else of what it is given."""


@dataclass(eq=False)
class Scope:
    """A function, a class or the file itself.

    Attributes:
        node: What opens it.
        parent: What it lies in.
        bound: Each name that it binds, with the values; None for a value that isn't an expression of its own.
        imports: What the names that it imports stand for.
        loads: The names that it reads.
        outside: Its names that are `global` or `nonlocal`.
        rebound: Its names that a function inside binds with `nonlocal` or `global`.
        children: The scopes in it.
        carries: Whether it calls one of the methods that carry messages.
        yields: Whether it is a generator.
    """

    node: ast.AST
    parent: Scope | None
    bound: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    annotations: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    loads: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    rebound: set[str] = field(default_factory=set)
    functions: dict[str, Function] = field(default_factory=dict)
    children: list[Scope] = field(default_factory=list)
    carries: bool = False
    yields: bool = False

    def owner(self, name: str) -> Scope | None:
        """The scope that a name read here belongs to; None for builtins and unknown ones."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            visible = first or not isinstance(scope.node, ast.ClassDef)
            if (
                visible
                and name not in scope.outside
                and (name in scope.bound or name in scope.imports)
            ):
                return scope
            scope, first = scope.parent, False
        return None


@dataclass(eq=False)
class Class:
    """A class of the file, at its top level.

    Attributes:
        given: What its methods give to the attributes of `self`, once that is known.
    """

    node: ast.ClassDef
    scope: Scope
    methods: dict[str, Function] = field(default_factory=dict)
    given: list[tuple[str, ast.expr | None]] | None = None


class Module:
    """A file.

    Attributes:
        tree: Its syntax tree.
        scope: Its top level.
        types: The types that its annotations name, by the annotation's identity, as far as they were asked for.
        scopes: The scope of each function, class and of the file, by node.
        classes: Its classes at top level, by name.
        uses_remuda: Whether it imports anything of Remuda's.
        assumed: Whether everything that sends is to be taken for an agent.
        trusts: Whether it makes a runtime that checks no capabilities.
        registers: Whether it tells of classes, by `register_immutable`, that their objects never change.
    """

    def __init__(self, tree: ast.Module, *, assume: bool = False) -> None:
        self.tree = tree
        self.scope = Scope(tree, None)
        self.scopes: dict[ast.AST, Scope] = {tree: self.scope}
        self.classes: dict[str, Class] = {}
        self.packages: set[str] = set()
        self.types: dict[int, Type] = {}
        self._called: dict[tuple[int, int], str | None] = {}
        self.trusts = False
        self.registers = False
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

    def ancestors(self, name: str) -> frozenset[str] | None:
        """The names of a class of the file and of all that it derives from; None if not all are known."""
        found: set[str] = set()
        left = [name]
        while left:
            name = left.pop()
            if name in found:
                continue
            found.add(name)
            known = self.classes.get(name)
            if known is None:
                if name in ("object", "Exception", "BaseException", "ValueError", "RuntimeError"):
                    continue
                return None
            if known.node.keywords:
                return None  # a metaclass may do anything
            for base in known.node.bases:
                bare = base.value if isinstance(base, ast.Subscript) else base
                full = self.qualified(bare, self.scope)
                if full in ("typing.Generic", "remuda.Agent", "enum.Enum", "abc.ABC", "object"):
                    continue
                if full == "typing.NamedTuple":
                    found.add("tuple")
                elif full in ("enum.StrEnum", "str"):
                    found.add("str")
                elif full in ("enum.IntEnum", "int"):
                    found.update(("int", "float", "complex"))
                elif full in ("list", "dict", "set", "tuple", "bytes", "float"):
                    found.add(full)
                elif isinstance(bare, ast.Name) and bare.id in self.classes:
                    left.append(bare.id)
                elif full is not None and is_builtin(full) and full.endswith("Error"):
                    continue
                else:
                    return None
        return frozenset(found)

    def frozen(self, name: str) -> bool | None:
        """Whether a class is a frozen dataclass, or a NamedTuple, that keeps what it is given.

        False for a dataclass that isn't frozen; None if neither is certain, as in a file that calls
        `register_immutable`.
        """
        known = self.classes.get(name)
        if known is None or self.registers:
            return None
        frozen = self._dataclass(known.node)
        if frozen is False:
            return False
        above = self.ancestors(name) or frozenset()
        if frozen is None and ("tuple" not in above or known.node.decorator_list):
            return None
        methods = {
            method for one in above if one in self.classes for method in self.classes[one].methods
        }
        return True if above and not methods & _MAKERS else None

    def _dataclass(self, node: ast.ClassDef) -> bool | None:
        """Whether a dataclass is frozen; None if it isn't one, or can't be told."""
        if len(node.decorator_list) != 1:
            return None
        decorator = node.decorator_list[0]
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if self.qualified(called, self.scope) != "dataclasses.dataclass":
            return None
        options = decorator.keywords if isinstance(decorator, ast.Call) else []
        values = [option.value for option in options if option.arg in ("frozen", None)]
        if not values:
            return False
        return bool(values[0].value) if isinstance(values[0], ast.Constant) else None

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
                    stack.extend(
                        (child, scope) for child in reversed(value) if isinstance(child, ast.AST)
                    )
                elif isinstance(value, ast.AST) and value._fields:
                    stack.append((value, scope))
        for scope in self.scopes.values():
            for name in scope.outside:
                outer = scope.parent.owner(name) if scope.parent else None
                if outer is not None:
                    outer.rebound.add(name)

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


def statements(function: Function) -> Iterator[ast.stmt]:
    """All statements of a function, without those of functions and classes within."""
    left: list[ast.AST] = [] if isinstance(function, ast.Lambda) else list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for field_name in ("body", "orelse", "handlers", "finalbody", "cases"):
            left.extend(getattr(node, field_name, ()))


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
