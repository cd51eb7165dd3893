"""The package's shape: imports go downwards only, and what is public is said in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import remuda

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "remuda"
NAME = "remuda"


def module_name(path: Path) -> str:
    """`observe.live` for src/remuda/observe/live.py; the package's own `__init__` is the empty name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {
    module_name(path): path
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")])
    if path.stem != "__main__"
}
FACADE = SOURCES[""]


@cache
def tree(path: Path) -> ast.Module:
    """A source file, parsed."""
    return ast.parse(path.read_text(), str(path))


@cache
def layers() -> dict[str, int]:
    """The rank of each layer in the comment at the top of the package, 0 for the lowest."""
    comment = FACADE.read_text().partition("# The layers, lowest first")[2].partition("\n\n")[0]
    names = re.findall(r"^#   (\w+)  ", comment, re.MULTILINE)
    return {name: rank for rank, name in enumerate(names)}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the module, without the package's name, of every import from the package itself.

    Those under `if TYPE_CHECKING:` are left out: they name types, and nothing is loaded.
    """
    body: list[ast.AST] = [tree(path)]
    while body:
        node = body.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            body.extend(node.orelse)
            continue
        body.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: expected an absolute import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == NAME:
                yield node.lineno, longest_module(rest)


def longest_module(name: str) -> str:
    """The module that `observe.live.View` comes from: the longest beginning that is one."""
    while name and name not in SOURCES:
        name = name.rpartition(".")[0]
    return name


def exported(path: Path) -> list[str] | None:
    """What `__all__` says, or None if there is none."""
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def test_every_module_has_a_layer() -> None:
    """The list of layers names every module and package of the source tree, and no other."""
    assert set(layers()) == {name.partition(".")[0] for name in SOURCES if name}


@pytest.mark.parametrize("module", [name for name in SOURCES if name])
def test_imports_go_downwards(module: str) -> None:
    """A module imports from its own package and from layers below it; only what the facade doesn't load, from it."""
    layer = module.partition(".")[0]
    wrong = []
    for line, target in imports(SOURCES[module]):
        below = target.partition(".")[0]
        if target == "":
            if layer in loaded_by_the_facade():
                wrong.append(f"{module}:{line} imports the facade, which imports it")
        elif below != layer and layers()[below] >= layers()[layer]:
            wrong.append(f"{module}:{line} imports {target}, which is above it")
    assert wrong == []


@cache
def loaded_by_the_facade() -> set[str]:
    """The layers that `import remuda` loads."""
    found: set[str] = set()
    left = [""]
    while left:
        for _, target in imports(SOURCES[left.pop()]):
            if target and target not in found:
                found.add(target)
                left.append(target)
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("module", SOURCES)
def test_all_is_sorted_and_defined(module: str) -> None:
    """Every module has an `__all__`, sorted, of names that it defines or imports."""
    path = SOURCES[module]
    names = exported(path)
    assert names is not None, f"expected {path.name} to have an __all__"
    assert names == sorted(names)
    defined: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    assert set(names) <= defined


def test_facade_is_what_is_public() -> None:
    """`remuda.__all__` is exactly what the package re-exports, and the package does nothing else."""
    documentation, *statements = tree(FACADE).body
    assert isinstance(documentation, ast.Expr)
    reexported = []
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.name == alias.asname, f"expected `{alias.name} as {alias.name}`"
                reexported.append(alias.name)
        else:
            assert ast.unparse(node).startswith("__all__ = "), f"line {node.lineno} is logic"
    assert sorted(reexported) == remuda.__all__
    assert all(hasattr(remuda, name) for name in remuda.__all__)
