"""What a book was worth: return, Sharpe ratio, drawdown and trades, per symbol and in total.

Here exactness is over: amounts become dollars in floating point. Nothing of this is part of the
comparison with the reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from examples.trading_swarm.market import Market
from examples.trading_swarm.messages import Statement
from examples.trading_swarm.parameters import PIPS

Numbers = npt.NDArray[np.float64]

DAYS_A_YEAR = 252


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """A book over time, in dollars.

    Attributes:
        equity: At each close.
        hold: The same for buy and hold: equal parts of the capital, each invested at its symbol's
            first open.
        weights: What each position is worth, as a part of the equity; days by symbols.
        gains: What each symbol has earned each day, as a part of the equity of the day before; days
            by symbols.
        hold_each: Buy and hold of one dollar in each symbol; days by symbols.
    """

    equity: Numbers
    hold: Numbers
    weights: Numbers
    gains: Numbers
    hold_each: Numbers


@dataclass(frozen=True, slots=True)
class Performance:
    """One row of the table.

    Attributes:
        profit: In dollars.
        gain: The profit as a part of the capital, so that those of the symbols add up to the total.
        sharpe: Mean daily return over its standard deviation, for a year; no risk-free rate. 0 if
            nothing moved.
        drawdown: The greatest loss from a peak, as a part of the peak; of a symbol, that of its
            daily gains, compounded.
        invested: Part of the days at whose close something was held.
        trades: Number of trades.
        fees: What the broker took, in dollars.
        hold: Return of buy and hold.
    """

    profit: float
    gain: float
    sharpe: float
    drawdown: float
    invested: float
    trades: int
    fees: float
    hold: float


def curves(market: Market, statement: Statement) -> Curves:
    """Brings a statement into curves."""
    accounts = statement.accounts
    equity = np.array([account.equity for account in accounts], dtype=np.float64) / PIPS
    positions = np.array([account.positions for account in accounts], dtype=np.float64)
    marks = np.array([account.marks for account in accounts], dtype=np.float64) / PIPS
    values = positions * marks
    flows = np.zeros_like(values)
    for fill in statement.fills:
        flow = fill.shares * fill.price + fill.fee
        flows[fill.day, market.symbols.index(fill.symbol)] -= flow / PIPS
    profits = np.diff(values + flows.cumsum(axis=0), axis=0, prepend=0.0)
    before = np.concatenate((equity[:1], equity[:-1]))[:, np.newaxis]
    each = np.ones_like(values)
    for column in range(len(market.symbols)):
        first = int(np.argmax(market.traded[:, column]))
        each[first:, column] = marks[first:, column] * PIPS / market.open[first, column]
    return Curves(
        equity,
        equity[0] * each.mean(axis=1),
        values / equity[:, np.newaxis],
        profits / before,
        each,
    )


def drawdowns(worth: Numbers) -> Numbers:
    """How far each value is below the greatest one up to it: 0 or negative, as a part of that."""
    below: Numbers = worth / np.maximum.accumulate(worth) - 1.0
    return below


def sharpe(returns: Numbers) -> float:
    """The yearly Sharpe ratio of daily returns."""
    if len(returns) < 2 or (deviation := float(returns.std(ddof=1))) == 0.0:
        return 0.0
    return float(returns.mean()) / deviation * math.sqrt(DAYS_A_YEAR)


def performance(market: Market, statement: Statement) -> dict[str, Performance]:
    """The table's rows: one for each symbol, and "total"."""
    of = curves(market, statement)
    rows = {}
    for column, symbol in enumerate(market.symbols):
        fills = [fill for fill in statement.fills if fill.symbol == symbol]
        gains = of.gains[:, column]
        before = np.concatenate((of.equity[:1], of.equity[:-1]))
        profit = float((gains * before).sum())
        worth = np.concatenate(([1.0], (1.0 + gains).cumprod()))
        rows[symbol] = Performance(
            profit=profit,
            gain=profit / float(of.equity[0]),
            sharpe=sharpe(gains[1:]),
            drawdown=float(drawdowns(worth).min()),
            invested=float((of.weights[:, column] != 0).mean()),
            trades=len(fills),
            fees=sum(fill.fee for fill in fills) / PIPS,
            hold=float(of.hold_each[-1, column] - 1.0),
        )
    rows["total"] = Performance(
        profit=float(of.equity[-1] - of.equity[0]),
        gain=float(of.equity[-1] / of.equity[0] - 1.0),
        sharpe=sharpe(of.equity[1:] / of.equity[:-1] - 1.0),
        drawdown=float(drawdowns(of.equity).min()),
        invested=float((of.weights != 0).any(axis=1).mean()),
        trades=len(statement.fills),
        fees=sum(fill.fee for fill in statement.fills) / PIPS,
        hold=float(of.hold[-1] / of.hold[0] - 1.0),
    )
    return rows
