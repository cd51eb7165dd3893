"""What the documentation shows is true: its programs run and print what it says, its docstrings' examples too.

The python blocks of a page are one program, run from top to bottom. A text block says what the python block before it
prints, to the letter.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from remuda.check import check_source

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCK = re.compile(r"^```(python|text)\b[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MODULES = sorted(
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for path in (ROOT / "src" / "remuda").rglob("*.py")
    if not path.stem.startswith("__")
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the content of each block; a program's is padded so that line numbers are the page's."""
    text = page.read_text()
    return [
        (match[1], "\n" * text.count("\n", 0, match.start(2)) + match[2])
        for match in BLOCK.finditer(text)
    ]


def with_programs() -> list[Any]:
    """The pages that have any, each named by its path."""
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if any(language == "python" for language, _ in blocks(page))
    ]


@pytest.mark.parametrize("page", with_programs())
def test_page_does_what_it_says(page: Path) -> None:
    """The programs of a page run, and print what the page says."""
    world: dict[str, Any] = {"__name__": page.stem}
    printed = ""
    for language, content in blocks(page):
        if language == "text":
            assert printed == content.lstrip("\n"), f"printed something else than {page} says"
            continue
        code = compile(content, str(page), "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(code, world)
        printed = output.getvalue()


def test_the_pages_are_found() -> None:
    """The pages that users begin with are among those that are tested."""
    found = [param.id for param in with_programs()]
    assert {"README.md", "docs/tutorial/first-swarm.md"} <= set(found)


def test_the_tutorial_ends_with_what_the_checker_accepts() -> None:
    """Of the programs about sharing only the first has a finding, the one that the page tells of."""
    page = ROOT / "docs" / "tutorial" / "sharing.md"
    programs = [content.strip("\n") for language, content in blocks(page) if language == "python"]
    found = check_source("\n\n\n".join(programs))
    assert [(finding.code, finding.line, finding.column) for finding in found] == [
        ("RMD106", 18, 36)
    ]
    told = page.read_text()
    assert f"bank.py:18:36: RMD106 {found[0].message}" in told
    imports = programs[0].partition("\n\n\n")[0]
    assert check_source("\n\n\n".join([imports, *programs[1:]])) == []


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings(module: str) -> None:
    """The examples in a module's docstrings give what they say."""
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
