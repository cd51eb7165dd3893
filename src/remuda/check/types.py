"""What annotations and literals tell about types, as far as it is certain: everything else is `ANY`.

Only enough of Python's types is known here to say that a message is surely not what an agent takes. A type checker
knows more; this one speaks where none is run, and for what comes out of `iso` and `val`.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from remuda.check.module import Module
    from remuda.check.scopes import Scope

__all__ = [
    "ANY",
    "IMMUTABLE",
    "MAKERS",
    "MUTABLE",
    "NEVER_SENT",
    "NONE",
    "Type",
    "accepts",
    "is_builtin",
    "item",
    "of_constant",
    "parse",
    "result",
    "show",
    "unwrap",
]


class Type(NamedTuple):
    """A type.

    Attributes:
        name: Of a builtin, its name; of a class of the same file, `class NAME`; of Remuda's, `remuda.NAME`; `|` for a
            union; `?` if unknown.
        args: What stands in its brackets, or the members of the union.
    """

    name: str
    args: tuple[Type, ...] = ()


ANY: Final = Type("?")
NONE: Final = Type("None")

MUTABLE: Final = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter"}
)
"""Builtin and standard containers that can be changed."""

NEVER_SENT: Final = frozenset(
    {"generator", "iterator", "file", "dict_keys", "dict_values", "dict_items"}
)
"""Builtin types whose objects can't be shared either, though there is no method to change them by."""

FACTORIES: Final = {
    "collections.deque": "deque",
    "collections.defaultdict": "defaultdict",
    "collections.OrderedDict": "OrderedDict",
    "collections.Counter": "Counter",
    **{name: name for name in ("list", "dict", "set", "bytearray")},
}
"""Containers that can be changed, by the full name of their class."""

MAKERS: Final = {
    **FACTORIES,
    **dict.fromkeys(("sorted", "dir", "os.listdir", "re.findall", "re.split"), "list"),
    **dict.fromkeys(("shlex.split", "random.sample", "random.choices"), "list"),
    **dict.fromkeys(("vars", "dataclasses.asdict"), "dict"),
    **dict.fromkeys(("map", "filter", "zip", "enumerate", "reversed", "iter"), "iterator"),
    "open": "file",
}
"""What makes such an object, and always a new one, by its full name."""

_SPLITS: Final = dict.fromkeys(("split", "rsplit", "splitlines"), "list")
_TEXTS: Final = (
    "lower",
    "upper",
    "strip",
    "lstrip",
    "rstrip",
    "title",
    "replace",
    "format",
    "join",
)
_SETS: Final = ("union", "intersection", "difference", "symmetric_difference", "copy")
_RESULTS: Final = {
    "str": {**_SPLITS, **dict.fromkeys(_TEXTS, "str"), "encode": "bytes"},
    "bytes": {**_SPLITS, "decode": "str", "hex": "str"},
    "set": dict.fromkeys(_SETS, "set"),
    "dict": {"keys": "dict_keys", "values": "dict_values", "items": "dict_items"},
}


def result(kind: Type, method: str) -> Type:
    """What a method of a builtin type gives back."""
    name = _RESULTS.get(kind.name, {}).get(method)
    if name is None:
        return ANY
    if name == "dict_values" and len(kind.args) == 2:
        return Type(name, kind.args[1:])
    if name == "dict_items" and len(kind.args) == 2:
        return Type(name, (Type("tuple", kind.args),))
    return Type(name)


IMMUTABLE: Final = frozenset(
    {"int", "float", "complex", "bool", "str", "bytes", "None", "range", "ellipsis"}
)
"""Types whose objects may be shared freely, whatever is in them."""

_ALIASES: Final = {
    "typing.List": "list",
    "typing.Dict": "dict",
    "typing.Set": "set",
    "typing.FrozenSet": "frozenset",
    "typing.Tuple": "tuple",
    "typing.Type": "type",
    "typing.Deque": "deque",
    "typing.DefaultDict": "defaultdict",
    "typing.OrderedDict": "OrderedDict",
    "typing.Counter": "Counter",
    **FACTORIES,
}
_CONCRETE: Final = MUTABLE | IMMUTABLE | {"tuple", "frozenset"}
_PROMOTED: Final = {
    "bool": ("int", "float", "complex"),
    "int": ("float", "complex"),
    "float": ("complex",),
    "defaultdict": ("dict",),
    "OrderedDict": ("dict",),
    "Counter": ("dict",),
}
_WRAPPERS: Final = frozenset({"remuda.Iso", "remuda.Val", "remuda.Ref", "remuda.Trn", "remuda.Box"})
_DEEPEST: Final = 12


def of_constant(value: object) -> Type:
    """The type of a literal's value."""
    return NONE if value is None else Type(type(value).__name__)


def parse(
    node: ast.expr | None, module: Module, scope: Scope | None = None, depth: int = 0
) -> Type:
    """The type that an annotation names.

    Args:
        node: The annotation.
        module: The file that it stands in.
        scope: Where in the file; its top level, if not given.
        depth: How deep in names of types this is: they may name one another.

    Returns:
        The type, or `ANY`.
    """
    if node is None or depth > _DEEPEST:
        return ANY
    if depth == 0:
        known = module.types.get(id(node))
        if known is None:
            known = module.types[id(node)] = _parse(node, module, scope, 0)
        return known
    return _parse(node, module, scope, depth)


def _parse(node: ast.expr, module: Module, scope: Scope | None, depth: int) -> Type:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            try:
                inner = ast.parse(node.value.strip(), mode="eval").body
            except (SyntaxError, ValueError):
                return ANY
            return parse(inner, module, scope, depth + 1)
        return of_constant(node.value) if node.value in (None, ...) else ANY
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(
            [
                parse(node.left, module, scope, depth + 1),
                parse(node.right, module, scope, depth + 1),
            ]
        )
    if isinstance(node, ast.Subscript):
        return _subscript(node, module, scope, depth)
    if isinstance(node, ast.Name | ast.Attribute):
        return _named(node, module, scope, depth)
    return ANY


def _subscript(node: ast.Subscript, module: Module, scope: Scope | None, depth: int) -> Type:
    name = module.qualified(node.value, scope or module.scope) or ""
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in ("typing.Optional", "typing.Union"):
        members = [parse(part, module, scope, depth + 1) for part in inner]
        return _union([*members, NONE] if name == "typing.Optional" else members)
    if name in (
        "typing.Annotated",
        "typing.Final",
        "typing.ClassVar",
        "typing_extensions.Annotated",
    ):
        return parse(inner[0], module, scope, depth + 1)
    if name in ("typing.Literal", "typing_extensions.Literal"):
        return _union(
            [of_constant(part.value) if isinstance(part, ast.Constant) else ANY for part in inner]
        )
    base = parse(node.value, module, scope, depth + 1)
    if base is ANY:
        # A protocol such as Sequence: what it holds is of use, what it is isn't.
        base = Type("?")
    return Type(base.name, tuple(parse(part, module, scope, depth + 1) for part in inner))


def _named(node: ast.Name | ast.Attribute, module: Module, scope: Scope | None, depth: int) -> Type:
    name = module.qualified(node, scope or module.scope)
    if name is None:
        if not isinstance(node, ast.Name):
            return ANY
        if node.id in module.classes and (scope or module.scope).owner(node.id) is module.scope:
            return Type(f"class {node.id}")
        alias = module.alias(node.id)
        return parse(alias, module, scope, depth + 1) if alias is not None else ANY
    if name.startswith("remuda."):
        return Type(name)
    name = _ALIASES.get(name, name)
    return Type(name) if name in _CONCRETE else ANY


def _union(members: list[Type]) -> Type:
    flat: list[Type] = []
    for member in members:
        flat.extend(member.args if member.name == "|" else [member])
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Type("|", unique)


def unwrap(kind: Type) -> Type:
    """What is in the handle: `list[int]` of `Iso[list[int]]`."""
    while kind.name in _WRAPPERS:
        kind = kind.args[0] if kind.args else ANY
    return kind


def item(kind: Type, position: int | None = None) -> Type:
    """What is in a container: at a position, if it is a tuple; else what iterating over it gives.

    Args:
        kind: The container's type, with its arguments.
        position: Of a tuple; None if unknown.
    """
    if kind.name != "tuple":
        return kind.args[0]
    if kind.args[1:] == (Type("ellipsis"),):
        return kind.args[0]
    if position is None:
        return kind.args[0] if len(set(kind.args)) == 1 else ANY
    return kind.args[position] if -len(kind.args) <= position < len(kind.args) else ANY


def accepts(wanted: Type, given: Type, module: Module) -> bool:
    """Whether a place of one type may take a value of another; False only if it surely may not."""
    wanted, given = unwrap(wanted), unwrap(given)
    if "?" in (wanted.name, given.name):
        return True
    if wanted.name == "|":
        return any(accepts(member, given, module) for member in wanted.args)
    if given.name == "|":
        return any(accepts(wanted, member, module) for member in given.args)
    if wanted.name == given.name:
        return True
    if wanted.name in _PROMOTED.get(given.name, ()):
        return True
    if wanted.name.startswith("remuda."):
        # A Request is made by `ask` and a reference by `spawn`: no literal is one.
        return not (given.name in _CONCRETE or given.name.startswith("class "))
    if given.name.startswith("class "):
        ancestors = module.ancestors(given.name.removeprefix("class "))
        if ancestors is None:
            return True
        if wanted.name.startswith("class "):
            return (
                wanted.name.removeprefix("class ") in ancestors
                or module.ancestors(wanted.name.removeprefix("class ")) is None
            )
        return wanted.name in ancestors
    if wanted.name.startswith("class "):
        ancestors = module.ancestors(wanted.name.removeprefix("class "))
        return ancestors is None
    return False


def show(kind: Type) -> str:
    """A type as it is written in an annotation."""
    if kind.name in ("?", "ellipsis"):
        return "..."
    if kind.name == "|":
        return " | ".join(show(member) for member in kind.args)
    if kind.name == "envelope":
        return "Message"
    name = kind.name.removeprefix("class ").removeprefix("remuda.")
    if not kind.args:
        return name
    return f"{name}[{', '.join(show(member) for member in kind.args)}]"


def is_builtin(name: str) -> bool:
    """Whether a name is one of Python's own."""
    return hasattr(builtins, name)
