"""Functions, classes and the file itself as scopes: which names they bind, read and import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Function", "Method", "Scope", "statements"]

Method: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Function: TypeAlias = Method | ast.Lambda


@dataclass(eq=False)
class Scope:
    """A function, a class or the file itself.

    Attributes:
        node: What opens it.
        parent: What it lies in.
        bound: Each name that it binds, with the values; None for a value that isn't an expression of its own.
        imports: What the names that it imports stand for.
        loads: The names that it reads.
        attributes: The attributes of anything that it reads or gives a value to.
        outside: Its names that are `global` or `nonlocal`.
        rebound: Its names that a function inside binds with `nonlocal` or `global`, with the values that it gives them.
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
    attributes: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    rebound: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    functions: dict[str, Method] = field(default_factory=dict)
    children: list[Scope] = field(default_factory=list)
    carries: bool = False
    yields: bool = False

    def shared(self) -> frozenset[str]:
        """The names that it uses and that more than one function binds: any call may give them another value."""
        names = {*self.rebound, *self.outside}
        for name in self.loads - self.bound.keys():
            owner = self.owner(name)
            if owner is not None and name in owner.rebound:
                names.add(name)
        return frozenset(names)

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
