"""The classes of a file: what they derive from, which methods they have, whether their objects can be changed."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Final

from remuda.check.scopes import Method, Scope
from remuda.check.state import Thing
from remuda.check.types import is_builtin

__all__ = ["Class", "Classes"]

_MAKERS: Final = frozenset({"__init__", "__new__", "__post_init__"})
"""Methods in which an object may make something else of what it is given."""


@dataclass(eq=False)
class Class:
    """A class of the file, at its top level.

    Attributes:
        given: What its attributes lead to, once that was asked for.
    """

    node: ast.ClassDef
    scope: Scope
    methods: dict[str, Method] = field(default_factory=dict)
    given: dict[str, Thing] | None = None


class Classes:
    """What a file tells of its classes.

    Attributes:
        scope: Its top level.
        classes: Its classes at top level, by name.
        registers: Whether it tells of classes, by `register_immutable`, that their objects never change.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.classes: dict[str, Class] = {}
        self.registers = False
        self._children: dict[str, list[Class]] | None = None

    def qualified(self, node: ast.expr, scope: Scope) -> str | None:
        """The full name of what is called or named."""
        raise NotImplementedError

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

    def method(self, class_name: str, name: str) -> Method | None:
        """What `self.name()` calls in a class of the file; None if it isn't certain: a class below may have another."""
        above = self.line(class_name)
        found = next((one.methods[name] for one in above if name in one.methods), None)
        plain = found is not None and all(
            (self.qualified(decorator, self.scope) or "").endswith(".override")
            for decorator in found.decorator_list
        )
        below = any(name in one.methods for one in self._below(class_name))
        return found if plain and not below else None

    def _below(self, name: str) -> list[Class]:
        """The classes of the file that derive from one."""
        if self._children is None:
            self._children = {}
            for one in self.classes.values():
                for base in one.node.bases:
                    if isinstance(base, ast.Name):
                        self._children.setdefault(base.id, []).append(one)
        found: dict[str, Class] = {}
        left = [name]
        for above in left:
            for one in self._children.get(above, ()):
                if one.node.name not in found:
                    found[one.node.name] = one
                    left.append(one.node.name)
        return list(found.values())

    def line(self, name: str) -> list[Class]:
        """A class and those of the file that it derives from, the nearest first."""
        line: dict[str, Class] = {}
        left = [name]
        for one in left:
            known = self.classes.get(one)
            if known is not None and one not in line:
                line[one] = known
                left += [base.id for base in known.node.bases if isinstance(base, ast.Name)]
        return list(line.values())

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
