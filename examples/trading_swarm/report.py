"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from examples.trading_swarm.market import Market
from examples.trading_swarm.messages import Depth, Hop
from examples.trading_swarm.metrics import Performance, curves, drawdowns, performance, sharpe
from examples.trading_swarm.parameters import PIPS
from examples.trading_swarm.reference import Book
from examples.trading_swarm.swarm import Run
from examples.trading_swarm.verify import Verdict

_BLOCKS = "▁▂▃▄▅▆▇█"
_TIMELINE = 64


@dataclass(frozen=True, slots=True)
class Pressure:
    """Backpressure at one mailbox over a run.

    Attributes:
        highs: How often it reached its high watermark.
        lows: How often it came down to its low one after that.
        depth: The greatest depth seen.
        waiting: The most senders seen to wait for room at once.
        time_waiting: At which part of the bars any sender waited.
        above_high: For which part of the run it was above: since a high mark, until the low one.
    """

    highs: int
    lows: int
    depth: int
    waiting: int
    time_waiting: float
    above_high: float


def results(console: Console, market: Market, run: Run) -> None:
    """Prints what was earned. All books are the same, so it is the first one's."""
    statement = run.statements[0]
    rows = performance(market, statement)
    first, last = market.days[0], market.days[-1]
    title = f"{first} to {last}, {len(market.days):,} trading days"
    table = _table(
        title, "", "profit $", "return", "Sharpe", "max\ndrawdown", "in\nmarket", "trades", "fees $"
    )
    table.add_column("buy and\nhold", justify="right", style="dim")
    for name, row in rows.items():
        if name == "total":
            table.add_section()
        table.add_row(name, *_cells(row), style="bold" if name == "total" else "")
    console.print(table)
    of = curves(market, statement)
    hold = of.hold
    console.print(
        f"buy and hold: Sharpe {sharpe(hold[1:] / hold[:-1] - 1):.2f}, "
        f"max drawdown {drawdowns(hold).min():.1%}",
        highlight=False,
    )
    console.print(f"drawdown stop: {_days(market, run.stops[0])}\n", highlight=False)


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(row: Performance) -> tuple[str, ...]:
    return (
        f"{row.profit:+,.0f}",
        f"{row.gain:+,.1%}",
        f"{row.sharpe:.2f}",
        f"{row.drawdown:.1%}",
        f"{row.invested:.0%}",
        f"{row.trades:,}",
        f"{row.fees:,.0f}",
        f"{row.hold:+,.0%}",
    )


def _days(market: Market, stops: Sequence[int]) -> str:
    return ", ".join(str(market.days[day]) for day in stops) or "never hit"


def speed(console: Console, market: Market, run: Run, sample: int) -> None:
    """Prints how fast messages were."""
    days = len(market.days) * len(run.statements)
    console.print(
        f"{run.messages:,} messages between {run.agents} agents in {run.seconds:.3f} s:\n"
        f"[bold]{run.messages / run.seconds:,.0f} messages/s[/], {days / run.seconds:,.0f} days/s",
        highlight=False,
    )
    table = _table("\nlatency of a message, µs", "", "p50", "p99", "max", "sampled")
    for hop in get_args(Hop):
        took = [seen.nanoseconds for seen in run.observations.latencies if seen.hop == hop]
        if took:
            half, most = np.percentile(took, (50, 99)) / 1000
            table.add_row(
                hop, f"{half:,.1f}", f"{most:,.1f}", f"{max(took) / 1000:,.1f}", f"{len(took):,}"
            )
    console.print(table)
    console.print(
        "from just before the send to the start of the handler, queueing included;\n"
        f"one day in {sample} of each symbol"
        + (f"; {run.unobserved:,} observations were dropped" if run.unobserved else "")
        + "\n",
        style="dim",
        highlight=False,
    )


def backpressure(console: Console, run: Run) -> None:
    """Prints how full the slow analyzers' mailboxes were, and how that looked over time."""
    if not run.slow:
        if run.marks:
            console.print(f"{len(run.marks):,} watermark events.", highlight=False)
        return
    table = _table(
        "backpressure",
        "slow analyzer",
        "bars",
        "marks\nhigh/low",
        "events\nhigh/low",
        "max\ndepth",
        "max\nwaiting",
        "bars\nwaiting",
        "above\nhigh",
    )
    for name, mailbox in run.slow.items():
        found = pressure(run, name)
        table.add_row(
            name,
            f"{mailbox.delivered:,}",
            f"{mailbox.high:,}/{mailbox.low:,}",
            f"{found.highs:,}/{found.lows:,}",
            f"{found.depth:,}",
            f"{found.waiting:,}",
            f"{found.time_waiting:.0%}",
            f"{found.above_high:.0%}",
        )
    console.print(table)
    for name, mailbox in run.slow.items():
        depths = [seen for seen in run.observations.depths if seen.agent == name]
        if depths:
            console.print(f"{name}: depth at the first bars; over the whole run")
            console.print(Text(timeline(depths[:_TIMELINE], mailbox.capacity), style="cyan"))
            console.print(Text(timeline(depths, mailbox.capacity) + "\n", style="cyan"))


def pressure(run: Run, agent: str) -> Pressure:
    """Sums up what was seen of a slow analyzer's mailbox."""
    depths = [seen for seen in run.observations.depths if seen.agent == agent]
    marks = [mark for mark in run.marks if mark.agent == agent]
    above = 0
    since: int | None = None
    for mark in marks:
        if mark.kind == "high":
            since = mark.at
        elif since is not None:
            above, since = above + mark.at - since, None
    highs = sum(1 for mark in marks if mark.kind == "high")
    return Pressure(
        highs=highs,
        lows=len(marks) - highs,
        depth=max([seen.depth for seen in depths] + [mark.depth for mark in marks], default=0),
        waiting=max([seen.waiting for seen in depths], default=0),
        time_waiting=sum(1 for seen in depths if seen.waiting) / max(len(depths), 1),
        above_high=above / 1e9 / run.seconds,
    )


def timeline(depths: Sequence[Depth], capacity: int) -> str:
    """Depths as one line of at most 64 blocks, each the mean of its stretch."""
    parts = np.array_split([seen.depth for seen in depths], min(_TIMELINE, len(depths)))
    return "".join(
        _BLOCKS[min(int(part.mean() / capacity * len(_BLOCKS)), len(_BLOCKS) - 1)] for part in parts
    )


def verdict(console: Console, found: Verdict, reference: Book) -> None:
    """Prints whether swarm and reference agree, and what is different if not."""
    books = "the swarm" if found.books == 1 else f"each of {found.books} books"
    if found.agreed:
        console.print(
            f"[bold green]VERIFIED[/]: {books} and the numpy reference agree exactly on "
            f"{found.trades:,} trades\nand {found.days:,} closes; "
            f"final equity [bold]${reference.equity[-1] / PIPS:,.2f}[/]",
            highlight=False,
        )
        return
    console.print(
        f"[bold red]DIFFERENT[/]: {books} and the numpy reference do not agree:", highlight=False
    )
    for difference in found.differences:
        console.print(f"  {difference}", highlight=False, markup=False)
