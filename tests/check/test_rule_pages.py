"""The page of each rule is true: its bad example is found, its good one isn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from remuda.check import check_source
from remuda.check.pages import PAGES, page
from remuda.check.rules import RULES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "check"


def test_every_rule_has_a_page() -> None:
    """There is a page for each rule, and no other."""
    assert list(PAGES) == list(RULES)
    assert {path.stem for path in DOCS.glob("RMD*.md")} == set(RULES)


@pytest.mark.parametrize("code", RULES)
def test_bad_example(code: str) -> None:
    """The bad example has exactly one finding, with this code."""
    assert [found.code for found in check_source(PAGES[code].bad)] == [code]


@pytest.mark.parametrize("code", RULES)
def test_good_example(code: str) -> None:
    """The good example has no finding."""
    assert check_source(PAGES[code].good) == []


@pytest.mark.parametrize("code", RULES)
def test_the_documentation_has_it(code: str) -> None:
    """The page in the documentation is what `--explain` prints: `remuda check --explain CODE > PAGE` makes it."""
    assert (DOCS / f"{code}.md").read_text() == page(code)


@pytest.mark.parametrize("code", RULES)
def test_the_overview_has_it(code: str) -> None:
    """The table of codes in the documentation says what the rule's summary says."""
    row = f"| [{code}]({code}.md) | {RULES[code].name} | {RULES[code].summary}"
    assert row in (DOCS / "index.md").read_text()
