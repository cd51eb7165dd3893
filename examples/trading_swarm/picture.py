"""The picture: equity against buy and hold, drawdown, all prices and positions; as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from examples.trading_swarm.market import Market
from examples.trading_swarm.metrics import Curves, curves, drawdowns, performance
from examples.trading_swarm.parameters import PIPS
from examples.trading_swarm.swarm import Run

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b")
_INK, _GREY, _LIGHT, _RED = "#1b2733", "#8a97a3", "#e3e8ec", "#c0392b"
_STYLE: Any = {
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _LIGHT,
    "grid.linewidth": 0.7,
    "font.size": 9,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "trading swarm",
}
_ZOOM = 0.15
"""Seconds of a slow analyzer's mailbox that are drawn."""

Days = npt.NDArray[np.datetime64]


def draw(market: Market, run: Run, path: Path) -> None:
    """Draws the first book of a run. The same run gives the same file.

    Args:
        market: The prices.
        run: The run.
        path: Where the SVG goes.

    Raises:
        OSError: It can't be written there.
    """
    symbols = len(market.symbols)
    of = curves(market, run.statements[0])
    days = np.array(market.days, dtype="datetime64[D]")
    heights = [3.4, 1.4] + [1.0] * symbols + [1.8] * bool(run.slow)
    with mpl.rc_context(_STYLE):
        figure = Figure(
            figsize=(11, 1.2 + 1.15 * sum(heights)),
            layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.08),
        )
        FigureCanvasSVG(figure)
        axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        _equity(axes[0], market, run, of, days)
        _drawdown(axes[1], of, days)
        for column in range(symbols):
            _symbol(axes[2 + column], market, of, days, column)
        for ax in axes[: 2 + symbols]:
            ax.set_xlim(days[0], days[-1])
            dates = AutoDateLocator(minticks=4, maxticks=15)  # type: ignore[no-untyped-call]  # matplotlib has no types for it
            ax.xaxis.set_major_locator(dates)
            ax.xaxis.set_major_formatter(ConciseDateFormatter(dates))  # type: ignore[no-untyped-call]  # the same
            ax.tick_params(labelbottom=ax is axes[1 + symbols])
        if run.slow:
            _mailbox(axes[-1], run)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _equity(ax: Axes, market: Market, run: Run, of: Curves, days: Days) -> None:
    rows = performance(market, run.statements[0])["total"]
    ax.plot(days, of.hold, color=_GREY, linewidth=1.0, label=f"buy and hold {rows.hold:+,.1%}")
    ax.plot(days, of.equity, color=_INK, linewidth=1.4, label=f"swarm {rows.gain:+,.1%}")
    for number, day in enumerate(run.stops[0]):
        label = "drawdown stop" if number == 0 else None
        ax.plot(days[day], of.equity[day], "v", color=_RED, markersize=7, label=label)
    _dollars(ax, 1e6, "M")
    ax.set_ylabel("equity (log)")
    ax.legend(frameon=False, loc="upper left")
    ax.set_title(
        f"Trading swarm: {', '.join(market.symbols)}, {market.days[0]} to {market.days[-1]}, "
        f"{rows.trades:,} trades, Sharpe {rows.sharpe:.2f}",
        loc="left",
        fontweight="bold",
    )


def _drawdown(ax: Axes, of: Curves, days: Days) -> None:
    ours, theirs = drawdowns(of.equity), drawdowns(of.hold)
    ax.fill_between(days, ours, 0, color=_RED, alpha=0.35, linewidth=0)
    ax.plot(days, ours, color=_RED, linewidth=0.8)
    ax.plot(days, theirs, color=_GREY, linewidth=0.8)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_ylim(top=0)
    ax.set_ylabel("drawdown")
    ax.set_title("drawdown of the swarm (red) and of buy and hold (grey)", loc="left", fontsize=9)


def _symbol(ax: Axes, market: Market, of: Curves, days: Days, column: int) -> None:
    """The position as an area, the price as a line over it."""
    colour = _COLOURS[column % len(_COLOURS)]
    weights = of.weights[:, column]
    held = weights != 0
    near = held | np.roll(held, 1) | np.roll(held, -1)
    ax.fill_between(days, weights, 0, where=near.tolist(), color=colour, alpha=0.45, linewidth=0)
    if column == 0:
        ax.set_title(
            "position, % of the equity (area), and price (line, log)", loc="left", fontsize=9
        )
    reach = float(np.abs(of.weights).max()) * 1.08 or 0.1
    ax.set_ylim(-reach if weights.min() < 0 else 0, reach)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_ylabel(
        market.symbols[column], rotation=0, ha="right", va="center", color=colour, fontweight="bold"
    )
    price = ax.twinx()
    traded = market.traded[:, column]
    price.plot(days[traded], market.close[traded, column] / PIPS, color=_INK, linewidth=0.8)
    _dollars(price, 1.0, "")
    price.grid(visible=False)
    price.spines["right"].set_visible(False)


def _dollars(ax: Axes, unit: float, suffix: str) -> None:
    """A logarithmic axis with a few round amounts on it, however long or short it is."""
    ax.set_yscale("log")
    low, high = (bound / unit for bound in ax.get_ylim())
    steps = (1, 1.5, 2, 3, 4, 6) if high / low < 5 else (1, 2, 5) if high / low < 30 else (1,)
    amounts = [step * 10.0**power for power in range(-3, 8) for step in steps]
    ax.set_yticks([amount * unit for amount in amounts if low <= amount <= high])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value / unit:g}{suffix}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _mailbox(ax: Axes, run: Run) -> None:
    """The beginning of the run, as the slow analyzers' mailboxes saw it."""
    for number, (name, mailbox) in enumerate(run.slow.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = sorted(
            [(seen.at, seen.depth) for seen in run.observations.depths if seen.agent == name]
            + [(mark.at, mark.depth) for mark in run.marks if mark.agent == name]
        )
        at = np.array([(at - run.started) / 1e6 for at, _ in points])
        ax.step(
            at,
            [depth for _, depth in points],
            where="post",
            color=colour,
            label=name,
            linewidth=1.0,
        )
        ax.axhline(mailbox.high, color=_RED, linewidth=0.7, linestyle="--")
        ax.axhline(mailbox.low, color=_GREY, linewidth=0.7, linestyle="--")
    ax.set_xlim(0, min(_ZOOM, run.seconds) * 1e3)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("ms since the start")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("messages")
    ax.legend(frameon=False, loc="lower right", ncols=3)
    ax.set_title(
        "backpressure: depth of slow analyzers' mailboxes; high and low watermark dashed",
        loc="left",
        fontsize=9,
    )
