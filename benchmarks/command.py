"""The command line that all benchmarks share: which cases, how often, and where the figures go."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import table
from benchmarks.figures import Report, environment, evaluate
from benchmarks.harness import Case, Contender, measure

__all__ = ["command", "run"]


def command(
    name: str, description: str, cases: Sequence[Case], argv: Sequence[str] | None = None
) -> int:
    """Runs the command line of a benchmark.

    Args:
        name: The module's name.
        description: What is measured.
        cases: The benchmarks.
        argv: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0, whether bars are met or missed; 2 for words that were not understood.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument(
        "--quick", action="store_true", help="fewer operations, 3 repeats: rough figures"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", action="extend", help="only these benchmarks"
    )
    parser.add_argument("--repeats", type=int, help="how often all is measured after a warm-up (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples and figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them, as SVG or PNG")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, take this JSON")
    parser.add_argument(
        "--all", action="store_true", help="print every contender, not only a summary"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the benchmarks")
    words = parser.parse_args(argv)
    if words.list:
        width = max(len(case.name) for case in cases)
        print("\n".join(f"{case.name:{width}}  {case.detail}" for case in cases))
        return 0
    if words.repeats is not None and words.repeats < 1:
        return _refuse(f"expected --repeats to be at least 1, got {words.repeats}")
    names = {case.name for case in cases}
    if unknown := set(words.only or ()) - names:
        wanted = ", ".join(case.name for case in cases)
        return _refuse(f"expected names of {wanted}; got {', '.join(sorted(unknown))}")
    if words.plot:
        if words.plot.suffix not in (".svg", ".png"):
            return _refuse(f"expected --plot to end in .svg or .png, got {words.plot.name}")
        if find_spec("matplotlib") is None:  # told before minutes of measuring, not after
            return _refuse(
                "expected matplotlib for --plot, found none: pip install 'remuda[bench]'"
            )
    chosen = [case for case in cases if not words.only or case.name in words.only]
    if words.read:
        try:
            report = Report.from_json(json.loads(words.read.read_text()))
        except (OSError, ValueError) as error:
            return _refuse(f"{words.read}: {error}")
    else:
        repeats = words.repeats or (3 if words.quick else 5)
        report = run(name, chosen, repeats=repeats, quick=words.quick)
    print(table.summary(report))
    if words.all:
        print("\n" + table.details(report))
    if words.json:
        words.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    if words.plot:
        from benchmarks import plot

        plot.draw(report, words.plot)
    return 0


def run(name: str, cases: Sequence[Case], *, repeats: int, quick: bool) -> Report:
    """Measures benchmarks.

    Args:
        name: What they are called together.
        cases: Which.
        repeats: How often, after a warm-up.
        quick: Whether with fewer operations.

    Returns:
        The figures.
    """
    place = environment()
    results = []
    for case in cases:
        size = case.quick_size() if quick else case.size
        samples = measure(case, size=size, repeats=repeats, tell=_Progress(case))
        results.append(evaluate(case, samples, size=size))
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return Report(place, repeats, quick, results, name)


class _Progress:
    """Says on a terminal what is being measured."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def __call__(self, contender: Contender) -> None:
        if sys.stderr.isatty():
            words = f"{self.case.name}: {contender.label}"
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 2
