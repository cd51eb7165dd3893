"""What the checker reports, and where in a file something is."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["Finding", "Related", "Severity", "Site"]

Severity = Literal["error", "warning"]


class Site(NamedTuple):
    """A piece of the source that did something to an object: moved it, froze it, made it.

    Columns count UTF-8 bytes from 0, as `ast` does.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    verb: str

    @classmethod
    def of(cls, node: ast.expr | ast.stmt, verb: str) -> Site:
        """The place of a node."""
        return cls(
            node.lineno,
            node.col_offset,
            node.end_lineno or node.lineno,
            node.end_col_offset or node.col_offset,
            verb,
        )

    def contains(self, node: ast.expr | ast.stmt) -> bool:
        """Whether the node lies within this place."""
        start = (node.lineno, node.col_offset)
        return (self.line, self.column) <= start < (self.end_line, self.end_column)


@dataclass(frozen=True)
class Related:
    """The other place that a finding is about: of a use after a move, the move.

    Attributes:
        line: Counted from 1.
        column: In characters, counted from 1.
        message: What happened there.
    """

    line: int
    column: int
    message: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong at one place.

    Attributes:
        file: The path as it was given.
        line: Counted from 1.
        column: In characters, counted from 1.
        code: Which rule, such as RMD101.
        message: What is wrong and, where there is one, what to write instead.
        severity: Whether it makes the check fail.
        related: The other place that it is about.
        first_line: The line that its statement begins on.
        last_line: The line that its statement ends on; a comment on any of them may ignore the finding.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "error"
    related: Related | None = None
    first_line: int = 0
    last_line: int = 0
