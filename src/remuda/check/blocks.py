"""The pieces of a control-flow graph: blocks of steps, and where they lead."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

__all__ = [
    "Block",
    "Escape",
    "Operation",
    "Step",
    "has_send",
    "header",
    "irrefutable",
    "is_quiet",
    "lines",
    "sends",
]

Operation = Literal["do", "test", "iterate", "next", "enter", "catch", "subject", "case"]

HANDED_BACK: Final = frozenset(
    {"MailboxFull", "MailboxClosed", "SendError", "ChannelFull", "ChannelClosed"}
)
"""Errors that only a failed send raises: where one is caught, the message is back with its sender."""

_SENDS: Final = frozenset({"send", "send_nowait", "ask", "signal", "broadcast", "quorum"})

_QUIET: Final = frozenset(
    {"list", "dict", "set", "len", "print", "bool", "id", "isinstance"}
    | {f"remuda.{name}" for name in ("iso", "ref", "tag", "trn", "box", "consume", "unchecked")}
)
_LOUD: Final = (
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.Raise,
    ast.Subscript,
    ast.Import,
    ast.ImportFrom,
)


class Step(NamedTuple):
    """One thing that is done: a statement, or a part of one.

    Attributes:
        lines: The first and the last line of the statement.
        raises: Whether it may raise, and somebody in the function would notice.
        sends: Whether it may raise because a send failed.
    """

    operation: Operation
    node: ast.AST
    lines: tuple[int, int]
    raises: bool = False
    sends: bool = False


class Escape(NamedTuple):
    """Where an exception leads.

    Attributes:
        target: The block that handles it.
        sends_only: Whether only a send that failed leads there.
        catches_all: Whether nothing gets past it.
        names: The errors of failed sends that it takes.
        refusal: Whether it takes nothing else: what raises such an error has not moved its message.
    """

    target: Block
    sends_only: bool = False
    catches_all: bool = False
    names: frozenset[str] = frozenset()
    refusal: bool = False


@dataclass(eq=False)
class Block:
    """A run of steps.

    Attributes:
        escapes: Where exceptions lead that are raised in it.
        expected: The codes of what the program does on purpose here.
        enters: Whether it is the first of a `try`: there, an exception is always possible.
        position: Its place among the blocks of the graph.
    """

    escapes: tuple[Escape, ...]
    expected: frozenset[str]
    steps: list[Step] = field(default_factory=list)
    next: list[Block] = field(default_factory=list)
    enters: bool = False
    position: int = 0


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes in one, and itself: faster than `ast.walk`."""
    left = [node]
    while left:
        node = left.pop()
        yield node
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                left += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and value._fields:
                left.append(value)


def is_quiet(node: ast.AST, name_of: Callable[[ast.expr], str | None]) -> bool:
    """Whether a statement, for all that is sensible, raises nothing: `x = iso([])`, `count += 1`, `return`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return not node.decorator_list
    for part in _walk(node):
        if isinstance(part, ast.Call):
            name = name_of(part.func) or ""
            if name not in _QUIET:
                return False
        elif isinstance(part, _LOUD):
            return False
    return True


def lines(node: ast.stmt | ast.expr) -> tuple[int, int]:
    """The lines of a statement; of a definition, only that of its name."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.lineno, node.lineno)
    return (node.lineno, node.end_lineno or node.lineno)


def header(statement: ast.stmt, last: ast.expr) -> tuple[int, int]:
    """The lines of a compound statement up to its colon."""
    return (statement.lineno, last.end_lineno or last.lineno)


def sends(operation: Operation, node: ast.AST) -> bool:
    """Whether a step sends: of a compound statement only its header is looked at."""
    if operation == "iterate":
        return has_send([node.iter])  # type: ignore[attr-defined]  # a For
    if operation == "enter":
        return has_send([node.context_expr])  # type: ignore[attr-defined]  # a withitem
    if operation == "subject":
        return has_send([node.subject])  # type: ignore[attr-defined]  # a Match
    defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return operation in ("do", "test") and not defines and has_send([node])


def has_send(parts: Sequence[ast.AST]) -> bool:
    """Whether anything in these sends."""
    for part in parts:
        for node in _walk(part):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
                if name in _SENDS:
                    return True
    return False


def irrefutable(pattern: ast.pattern) -> bool:
    """Whether a pattern matches everything."""
    if isinstance(pattern, ast.MatchAs):
        return pattern.pattern is None or irrefutable(pattern.pattern)
    return isinstance(pattern, ast.MatchOr) and any(irrefutable(part) for part in pattern.patterns)
