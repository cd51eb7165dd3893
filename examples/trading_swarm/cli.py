"""The command line of the trading swarm."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

import remuda
from examples.trading_swarm import picture, randomly, reference, report
from examples.trading_swarm.market import SYMBOLS, Market, NoMarketData, load
from examples.trading_swarm.messages import Kind
from examples.trading_swarm.parameters import PIPS, Parameters
from examples.trading_swarm.swarm import KINDS, Run, Settings, trade
from examples.trading_swarm.verify import compare

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_REDRAW = 0.1
"""Seconds between two looks of the progress bar."""


@dataclass(frozen=True, slots=True)
class SlowAnalyzer:
    """What `--slow-analyzer` says; the symbol may be `*`."""

    kind: Kind
    symbol: str
    seconds: float


def slow_analyzer(text: str) -> SlowAnalyzer:
    """Reads `KIND:SYMBOL=TIME`.

    Raises:
        argparse.ArgumentTypeError: It is something else.
    """
    form = re.fullmatch(r"(\w+):([A-Za-z]+|\*)=(\d+(?:\.\d+)?)(us|µs|ms|s)", text)
    if form is not None:
        for kind in KINDS:
            if kind == form[1]:
                return SlowAnalyzer(kind, form[2].upper(), float(form[3]) * _SECONDS[form[4]])
    raise argparse.ArgumentTypeError(
        "expected KIND:SYMBOL=TIME like mean_reversion:MSFT=0.5ms, with KIND one of "
        f"{', '.join(KINDS)}, SYMBOL a symbol or *, TIME in us, ms or s; got {text!r}"
    )


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(sorted({part.strip().upper() for part in text.split(",")}))
    if unknown := [symbol for symbol in symbols if symbol not in SYMBOLS]:
        raise argparse.ArgumentTypeError(
            f"expected some of {','.join(SYMBOLS)}, got {', '.join(map(repr, unknown))}"
        )
    return symbols


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.trading_swarm",
        description="A swarm of agents trades five stocks on real daily prices.",
    )
    parser.add_argument(
        "--symbols",
        type=_symbols,
        metavar="A,B",
        help=f"some of {','.join(SYMBOLS)}",
    )
    parser.add_argument("--days", type=_positive, metavar="N", help="only the first N days")
    parser.add_argument("--capital", type=_positive, metavar="$", help="default: 1000000")
    parser.add_argument("--short", action="store_true", help="positions may be short")
    parser.add_argument(
        "--random", type=int, metavar="SEED", help="a random market and random parameters instead"
    )
    parser.add_argument(
        "--repeat",
        type=_positive,
        default=1,
        metavar="N",
        help="N independent books at once, each with agents of its own, for load",
    )
    parser.add_argument(
        "--slow-analyzer",
        type=slow_analyzer,
        action="append",
        default=[],
        metavar="KIND:SYMBOL=TIME",
        help="let an analyzer wait before each bar: mean_reversion:MSFT=0.5ms; may be repeated",
    )
    parser.add_argument(
        "--mailbox",
        type=_positive,
        default=16,
        metavar="N",
        help="bound of a slow analyzer's mailbox; default: 16",
    )
    parser.add_argument(
        "--window",
        type=_positive,
        metavar="N",
        help="days that may be under way at once; default: 1, or 64 with a slow analyzer, "
        "whose mailbox could never fill otherwise",
    )
    parser.add_argument(
        "--sample",
        type=_positive,
        default=17,
        metavar="N",
        help="sample latencies of one day in N; default: 17",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path("trading_swarm.svg"),
        metavar="FILE",
        help="default: trading_swarm.svg",
    )
    parser.add_argument("--no-picture", action="store_true")
    parser.add_argument("--no-progress", action="store_true")
    parser.add_argument("--uvloop", action="store_true", help="use uvloop, which must be installed")
    return parser


def _settings(arguments: argparse.Namespace, market: Market) -> Settings:
    slow: dict[tuple[Kind, str], float] = {}
    for analyzer in arguments.slow_analyzer:
        for symbol in market.symbols if analyzer.symbol == "*" else (analyzer.symbol,):
            slow[analyzer.kind, symbol] = analyzer.seconds
    if unknown := sorted({symbol for _, symbol in slow} - set(market.symbols)):
        raise ValueError(
            f"expected --slow-analyzer to name some of {', '.join(market.symbols)}, "
            f"got {', '.join(unknown)}"
        )
    return Settings(
        books=arguments.repeat,
        window=arguments.window or (64 if slow else 1),
        mailbox=arguments.mailbox,
        slow=slow,
        sample=arguments.sample,
    )


def _task(arguments: argparse.Namespace) -> tuple[Market, Parameters]:
    if arguments.random is not None:
        return randomly.a_market(arguments.random), randomly.some_parameters(arguments.random)
    capital = (arguments.capital or 1_000_000) * PIPS
    return load(arguments.symbols or SYMBOLS), Parameters(capital=capital, short=arguments.short)


def _trade(
    console: Console,
    market: Market,
    parameters: Parameters,
    settings: Settings,
    arguments: argparse.Namespace,
) -> Run:
    total = len(market.days) * settings.books
    bar = Progress(
        TextColumn("trading"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} days"),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
        disable=arguments.no_progress or not console.is_terminal,
    )
    task = bar.add_task("", total=total)
    drawn = time.perf_counter()

    def show(settled: int) -> None:
        nonlocal drawn
        now = time.perf_counter()
        if now - drawn >= _REDRAW or settled == total:
            drawn = now
            bar.update(task, completed=settled, refresh=True)

    with bar:
        progress = None if bar.disable else show
        return remuda.run(trade(market, parameters, settings, progress), uvloop=arguments.uvloop)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example.

    Args:
        argv: The command line's arguments; those of the process, if not given.

    Returns:
        0 if the swarm and the reference agree, 1 if they don't, 2 if it could not be run.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.random is not None and (arguments.symbols or arguments.capital or arguments.short):
        parser.error("expected none of --symbols, --capital and --short with --random")
    console, errors = Console(), Console(stderr=True)
    try:
        market, parameters = _task(arguments)
        if arguments.days is not None:
            market = market.first(arguments.days)
        settings = _settings(arguments, market)
    except (NoMarketData, ValueError) as error:
        errors.print(f"{parser.prog}: {error}", highlight=False, markup=False, soft_wrap=True)
        return 2
    run = _trade(console, market, parameters, settings, arguments)
    book = reference.compute(market, parameters)
    found = compare(market, run, book)
    report.results(console, market, run)
    report.speed(console, market, run, settings.sample)
    report.backpressure(console, run)
    if not arguments.no_picture:
        try:
            picture.draw(market, run, arguments.picture)
        except OSError as error:
            errors.print(
                f"{parser.prog}: the picture could not be written: {error}",
                highlight=False,
                markup=False,
            )
            return 2
        console.print(
            f"picture: {arguments.picture}\n", highlight=False, markup=False, soft_wrap=True
        )
    report.verdict(console, found, book)
    return 0 if found.agreed else 1
