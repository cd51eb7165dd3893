"""The command `remuda check`."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from remuda.check.config import ConfigError, check_codes, find, read
from remuda.check.files import STDIN, check_file, python_files
from remuda.check.finding import Finding
from remuda.check.pages import page
from remuda.check.report import FORMATS
from remuda.check.rules import RULES

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tells a parser what the command takes."""
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="a file or a folder to check, or - for stdin"
    )
    parser.add_argument(
        "--format", choices=list(FORMATS), default="text", help="how findings are shown"
    )
    parser.add_argument("--select", metavar="CODES", help="only these codes, separated by commas")
    parser.add_argument(
        "--ignore", metavar="CODES", help="not these codes, beside those configured"
    )
    parser.add_argument(
        "--exclude", metavar="PATTERN", action="append", default=[], help="not these paths"
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a pyproject.toml; the nearest, if not given"
    )
    parser.add_argument(
        "--explain", metavar="CODE", help="tell what a code means, and check nothing"
    )
    parser.add_argument(
        "--statistics", action="store_true", help="count files and findings, and tell the time"
    )


def run(words: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        words: What `add_arguments` has parsed.

    Returns:
        The exit status: 0 if nothing was found (warnings aside), 1 if something was, 2 if the command or the
        configuration was not understood.
    """
    try:
        return _explain(words.explain) if words.explain else _check(words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _explain(code: str) -> int:
    if code.upper() not in RULES:
        raise ConfigError(f"expected one of {', '.join(RULES)}; got {code}")
    print(page(code.upper()), end="")
    return 0


def _check(words: argparse.Namespace) -> int:
    if not words.paths:
        raise ConfigError("expected files or folders to check, got none")
    paths = [Path(path) for path in words.paths]
    for path in paths:
        if path != STDIN and not path.exists():
            raise ConfigError(f"expected a file or a folder, found nothing at {path}")
    if words.config is not None and not words.config.is_file():
        raise ConfigError(f"expected a file, found none at {words.config}")
    settings = read(words.config or find(paths))
    if words.select:
        settings = replace(settings, select=_codes(words.select, "--select"))
    if words.ignore:
        settings = replace(settings, ignore=settings.ignore + _codes(words.ignore, "--ignore"))
    settings = replace(settings, exclude=(*settings.exclude, *words.exclude))
    begin = time.perf_counter()
    findings: list[Finding] = []
    files = 0
    # Syntax trees are large and hold no cycles: looking for some while they are made takes a quarter of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        for file in python_files(paths, settings):
            files += 1
            findings += check_file(file, settings.codes(file))
            if files % 100 == 0:
                gc.collect(1)
    finally:
        if collects:
            gc.enable()
    seconds = time.perf_counter() - begin
    print(FORMATS[words.format](findings), end="")
    if words.statistics:
        _count(findings, files, seconds)
    return int(any(found.severity == "error" for found in findings))


def _codes(words: str, where: str) -> tuple[str, ...]:
    return check_codes(tuple(code.strip() for code in words.split(",")), where)


def _count(findings: list[Finding], files: int, seconds: float) -> None:
    """To stderr, so that what is printed stays JSON."""
    counts = Counter(found.code for found in findings)
    for code, count in sorted(counts.items()):
        print(f"{count:6} {code} {RULES[code].name}", file=sys.stderr)
    print(f"{len(findings)} findings in {files} files, {seconds:.2f} s", file=sys.stderr)
