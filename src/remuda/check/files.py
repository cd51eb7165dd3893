"""Checks files: finds them, reads them, and makes findings of what is reported about them."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from remuda.check.comments import apply, ignores
from remuda.check.config import Settings
from remuda.check.finding import Finding, Related
from remuda.check.function import check_module
from remuda.check.module import Module
from remuda.check.objects import Report
from remuda.check.rules import RULES

__all__ = ["STDIN", "check_file", "check_source", "check_tree", "python_files"]

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
"""Folders that hold nobody's own sources. So do those whose names begin with a dot."""


STDIN: Final = Path("-")
"""Stands for the program that comes through stdin."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
"""Where Python begins a new line: `str.splitlines` does so in more places."""


def python_files(paths: Iterable[Path], settings: Settings) -> Iterator[Path]:
    """The files to check: those that are named, and those in folders that are named, in order.

    Args:
        paths: Files and folders.
        settings: What is excluded, also if it is named.

    Yields:
        Paths of files, each once.
    """
    seen: set[Path] = set()
    for path in paths:
        for file in _below(path, settings) if path.is_dir() else [path]:
            if file not in seen and not settings.excludes(file):
                seen.add(file)
                yield file


def _below(folder: Path, settings: Settings) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not settings.excludes(Path(root, name))
        )
        for name in sorted(files):
            file = Path(root, name)
            # No pipe, which would be waited for, and no link to nowhere, as some editors leave.
            if name.endswith((".py", ".pyi")) and file.is_file():
                yield file


def check_file(path: Path, codes: frozenset[str] = frozenset(RULES)) -> list[Finding]:
    """Checks a file.

    Args:
        path: Its path; `-` for what comes through stdin.
        codes: The rules that are on.

    Returns:
        What was found, in the order of its lines.
    """
    try:
        content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        source = io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        return _unreadable(str(path), 1, 1, str(error), codes)
    return check_source(source, str(path), codes)


def check_source(
    source: str,
    file: str = "<source>",
    codes: frozenset[str] = frozenset(RULES),
    *,
    assume: bool = False,
) -> list[Finding]:
    """Checks a program.

    Args:
        source: Its text.
        file: What to call it in findings.
        codes: The rules that are on.
        assume: Take every `send` for one of an agent's, also in a program that doesn't import Remuda: finds nonsense,
            and is there to test the checker with programs of all kinds.

    Returns:
        What was found, in the order of its lines.

    Examples:
        >>> from remuda.check import check_source
        >>> program = '''
        ... from remuda import AgentRef, iso
        ...
        ... async def hand_over(agent: AgentRef[list[int]]) -> None:
        ...     numbers = iso([1, 2, 3])
        ...     await agent.send(numbers)
        ...     print(numbers)
        ... '''
        >>> for finding in check_source(program):
        ...     print(finding.line, finding.code, finding.message)
        7 RMD101 numbers is used after it was sent on line 6
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the program's own, such as invalid escapes
            tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        return _unreadable(file, line, column, getattr(error, "msg", None) or str(error), codes)
    except (RecursionError, MemoryError):
        return _unreadable(file, 1, 1, "it is nested too deeply", codes)
    return check_tree(tree, source, file, codes, assume=assume)


def check_tree(
    tree: ast.Module,
    source: str,
    file: str = "<source>",
    codes: frozenset[str] = frozenset(RULES),
    *,
    assume: bool = False,
) -> list[Finding]:
    """Checks a program that is parsed already.

    Args:
        tree: Its syntax tree.
        source: Its text, which the tree was made of.
        file: What to call it in findings.
        codes: The rules that are on.
        assume: As for `check_source`.

    Returns:
        What was found, in the order of its lines.
    """
    reports = [
        report
        for report in check_module(Module(tree, assume=assume)).found.values()
        if report.code in codes
    ]
    comments = ignores(source)
    if not reports and not comments:
        return []
    lines = _LINE_END.split(source) if reports else []
    findings = [_finding(report, file, lines) for report in reports]
    kept = apply(findings, comments, file, codes)
    return sorted(kept, key=lambda found: (found.line, found.column, found.code))


def _finding(report: Report, file: str, lines: list[str]) -> Finding:
    related = None
    if report.related is not None:
        site = report.related
        related = Related(site.line, _column(lines, site.line, site.column), f"{site.verb} here")
    return Finding(
        file,
        report.line,
        _column(lines, report.line, report.column),
        report.code,
        report.message,
        RULES[report.code].severity,
        related,
        min(report.line, report.lines[0]) if report.lines[0] else report.line,
        max(report.line, report.lines[1]),
    )


def _column(lines: list[str], line: int, offset: int) -> int:
    """The column in characters, counted from 1, of an offset in UTF-8 bytes."""
    if line > len(lines) or lines[line - 1].isascii():
        return offset + 1
    return len(lines[line - 1].encode()[:offset].decode(errors="replace")) + 1


def _unreadable(
    file: str, line: int, column: int, problem: str, codes: frozenset[str]
) -> list[Finding]:
    if "RMD100" not in codes:
        return []
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = f"expected a program for Python {version}: {problem}"
    return [Finding(file, line, max(column, 1), "RMD100", text)]
