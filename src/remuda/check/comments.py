"""Comments that ignore findings: `# remuda: ignore` and `# remuda: ignore[RMD101, RMD104]`.

A comment counts for the statement that its line belongs to. One that ignores nothing is itself a finding, so that none
outlives what it was written for.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from remuda.check.finding import Finding
from remuda.check.rules import RULES

__all__ = ["Ignore", "apply", "ignores"]

_COMMENT: Final = re.compile(r"#\s*remuda:\s*ignore(?:\[([^\]]*)\])?(?![\w-])")


@dataclass
class Ignore:
    """A comment that ignores findings.

    Attributes:
        line: Its line, counted from 1.
        column: Its column in characters, counted from 1.
        codes: What it ignores; everything, if None.
        used: The codes that it has ignored something of.
    """

    line: int
    column: int
    codes: tuple[str, ...] | None
    used: set[str] = field(default_factory=set)


def ignores(source: str) -> list[Ignore]:
    """The comments of a file that ignore findings."""
    if not _COMMENT.search(source):
        return []
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type != tokenize.COMMENT:
                continue
            for match in _COMMENT.finditer(token.string):
                codes = match[1]
                names = (
                    None
                    if codes is None
                    else tuple(code for code in re.split(r"[,\s]+", codes) if code)
                )
                found.append(Ignore(token.start[0], token.start[1] + match.start() + 1, names))
    except (tokenize.TokenError, SyntaxError):
        pass  # it could be parsed, so what was read until here is all that matters
    return found


def apply(
    findings: Iterable[Finding], comments: list[Ignore], file: str, codes: frozenset[str]
) -> list[Finding]:
    """Leaves out what is ignored, and adds what ignores nothing.

    Args:
        findings: What was found.
        comments: The comments of the file.
        file: Its path.
        codes: The rules that are on: a comment for one that is off may be of use elsewhere.

    Returns:
        What is to be reported.
    """
    if not comments:
        return list(findings)
    kept = []
    for finding in findings:
        first, last = finding.first_line or finding.line, finding.last_line or finding.line
        ignored = False
        for comment in comments:
            if first <= comment.line <= last and (
                comment.codes is None or finding.code in comment.codes
            ):
                comment.used.add(finding.code)
                ignored = True
        if not ignored:
            kept.append(finding)
    if "RMD110" in codes:
        kept.extend(_unused(comments, file, codes))
    return kept


def _unused(comments: list[Ignore], file: str, codes: frozenset[str]) -> Iterable[Finding]:
    for comment in comments:
        if comment.codes is None:
            if comment.used:
                continue
            text = "expected a finding to ignore, found none"
        else:
            unknown = [code for code in comment.codes if code not in RULES]
            idle = [code for code in comment.codes if code in codes and code not in comment.used]
            if unknown:
                text = f"expected the codes of rules, found {', '.join(unknown)}"
            elif idle:
                text = f"expected findings of {', '.join(idle)} to ignore, found none"
            elif not comment.codes:
                text = "expected the codes of rules in the brackets, found none"
            else:
                continue
        yield Finding(
            file,
            comment.line,
            comment.column,
            "RMD110",
            text,
            RULES["RMD110"].severity,
            None,
            comment.line,
            comment.line,
        )
