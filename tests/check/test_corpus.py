"""The checker on programs of which it is known what is wrong with them: nothing missed, nothing invented.

The programs of `corpus/` were written from the semantics. Their comments say what is true of a line, and where the
checker is known to fail:

    # expect: RMD101            this is wrong
    # missed: RMD101: reason    this is wrong, and not found
    # false: RMD101: reason     this is right, but reported

A case is a function, or a method, of a file's top level; the figures count lines, known failures included.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from remuda.check import check_file
from remuda.check.rules import RULES

CORPUS = Path(__file__).resolve().parent / "corpus"
FILES = sorted(CORPUS.glob("*.py"))
MARK = re.compile(r"# (expect|missed|false): ((?:RMD\d+,?)+)(: \S.*)?")

Findings = Counter[tuple[int, str]]


def marks(path: Path) -> dict[str, Findings]:
    """The lines and codes of each kind of comment."""
    found: dict[str, Findings] = {"expect": Counter(), "missed": Counter(), "false": Counter()}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for kind, codes, reason in MARK.findall(line):
            assert (kind == "expect") or reason, f"{path.name}:{number}: expected a reason"
            for code in codes.split(","):
                assert code in RULES
                found[kind][number, code] += 1
    return found


def findings(path: Path) -> Findings:
    return Counter((found.line, found.code) for found in check_file(path))


def cases(path: Path) -> list[range]:
    """The lines of each case: a function at top level that isn't a helper, or a method."""
    spans = []
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in inner:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name != "__init__":
                spans.append(range(one.lineno, (one.end_lineno or one.lineno) + 1))
    return spans


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_line_is_judged_as_it_says(path: Path) -> None:
    """What is found is what the comments expect, apart from what they say is known to fail."""
    said = marks(path)
    assert findings(path) == said["expect"] + said["false"]


def test_precision_and_recall(capsys: pytest.CaptureFixture[str]) -> None:
    """Over the whole corpus, known failures included, hardly anything is missed or invented."""
    true = wrong = missed = positive = negative = 0
    for path in FILES:
        said, found = marks(path), findings(path)
        real = said["expect"] + said["missed"]
        true += (found & real).total()
        wrong += (found - real).total()
        missed += (real - found).total()
        faulty = {line for line, _ in real}
        for span in cases(path):
            if faulty & set(span):
                positive += 1
            else:
                negative += 1
    precision, recall = true / (true + wrong), true / (true + missed)
    with capsys.disabled():
        print(
            f"\ncorpus: {positive + negative} cases, {negative} of them hard negatives; {true} findings, "
            f"{wrong} false, {missed} missed: precision {precision:.3f}, recall {recall:.3f}"
        )
    assert positive + negative >= 150
    assert negative >= positive
    assert precision >= 0.98
    assert recall >= 0.93
