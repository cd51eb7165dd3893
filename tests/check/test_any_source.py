"""Whatever a file holds, the checker comes to an end and has nothing to say about what isn't an agent's.

The files are those of the standard library, and of packages for asyncio that other tests need. Since hardly anything in
them looks like a capability, those of the library are also turned into programs that are full of them: what is assigned
becomes an iso or a val, and methods become sends.
"""

from __future__ import annotations

import ast
import importlib.util
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remuda.check import check_source

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
FILES = sorted(
    path
    for pattern in (
        "asyncio/*.py",
        "concurrent/**/*.py",
        "email/*.py",
        "json/*.py",
        "unittest/*.py",
        "[ab]*.py",
    )
    for path in LIBRARY.glob(pattern)
)


def text_of(path: Path) -> str:
    with tokenize.open(path) as file:
        return file.read()


PACKAGES = ("aiohttp", "anyio", "httpx")


class Capabilities(ast.NodeTransformer):
    """Fills a program with capabilities."""

    MAKES = ("iso", "val", "ref", "iso", "tag", "consume", "freeze")
    SENDS = ("send", "send_nowait", "ask", "spawn", "reply")

    def __init__(self) -> None:
        self.count = 0

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        self.count += 1
        made = ast.Name(self.MAKES[self.count % len(self.MAKES)], ast.Load())
        node.value = ast.Call(made, [node.value], [])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        self.count += 1
        if isinstance(node.func, ast.Attribute) and self.count % 2:
            node.func.attr = self.SENDS[self.count % len(self.SENDS)]
        return node


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in FILES}))
def test_nothing_is_found_where_there_are_no_agents(folder: str) -> None:
    """A file that doesn't use Remuda has no finding, not even if each `send` is taken for one of an agent's."""
    for path in FILES:
        if path.parent.name == folder:
            source = text_of(path)
            assert check_source(source, str(path)) == []
            assert check_source(source, str(path), assume=True) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_found_in_well_known_packages(package: str) -> None:
    """Programs for asyncio that know nothing of Remuda have no finding either, whatever they send."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    files = sorted(Path(spec.origin).parent.rglob("*.py"))
    assert len(files) > 10
    for path in files:
        source = text_of(path)
        assert check_source(source, str(path)) == []
        assert check_source(source, str(path), assume=True) == []


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in FILES}))
def test_programs_full_of_capabilities(folder: str) -> None:
    """Every finding lies in the file, and points at a line of it; nothing goes wrong, nothing hangs."""
    for path in FILES:
        if path.parent.name != folder:
            continue
        tree = Capabilities().visit(ast.parse(text_of(path)))
        names = ", ".join(dict.fromkeys(Capabilities.MAKES))
        source = f"from remuda import {names}\n{ast.unparse(ast.fix_missing_locations(tree))}"
        try:
            compile(source, str(path), "exec", dont_inherit=True)
        except SyntaxError:
            continue  # `from __future__` comes too late now
        last = source.count("\n") + 1
        for found in check_source(source, str(path)):
            assert 1 <= found.line <= last
            assert found.column >= 1
            assert found.related is None or 1 <= found.related.line <= last


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """What is no program is a finding, and no error."""
    assert all(found.code in ("RMD100", "RMD110") for found in check_source(text))


@pytest.mark.parametrize(
    "source",
    [
        "x = " + " + ".join(["1"] * 5000),
        "x = " + "(" * 90 + ")" * 90,
        "x = " + "[" * 80 + "]" * 80,
        "if a:\n    pass\n" + "elif a:\n    pass\n" * 500,
        "".join("    " * depth + f"if a{depth}:\n" for depth in range(90)) + "    " * 90 + "pass\n",
        "x = " + "a." * 500 + "b",
        "x = " + "f(" * 90 + ")" * 90,
        "x = " + "not " * 500 + "a",
        "x = " + "lambda: " * 150 + "a",
        "".join("    " * depth + "try:\n" for depth in range(15))
        + "    " * 15
        + "agent.send(x)\n"
        + "".join(
            "    " * depth + "finally:\n" + "    " * depth + "    f()\n"
            for depth in range(14, -1, -1)
        ),
        "".join(
            f"{'    ' * depth}try:\n{'    ' * depth}    f()\n{'    ' * depth}finally:\n"
            for depth in range(16)
        )
        + "    " * 16
        + "f()\n",
    ],
    ids=lambda source: source[:20],
)
def test_deep_programs(source: str) -> None:
    """Long sums, long chains of elif and deep nesting are no problem, or one that is told."""
    program = f"from remuda import iso\n\n{source}\niso(x)\n"
    assert {found.code for found in check_source(program)} <= {"RMD100"}
