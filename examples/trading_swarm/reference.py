"""The strategy of README.md once more, without agents: numpy over whole price series.

It is written from the specification alone and shares nothing with the agents but the parameters and
the prices, so that agreement between the two says something. What can be computed for all days at
once is; only what depends on the path of the account (positions, equity, the drawdown stop) goes
day by day, for all symbols at once.

Sums and squares that could leave 64 bits are held in arrays of Python's integers: nothing here is
rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from examples.trading_swarm.market import Flags, Market, Whole
from examples.trading_swarm.parameters import WHOLE, Parameters

Exact = npt.NDArray[np.object_]
"""Whole numbers of any size."""

_NEVER = -1


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """What came of it.

    Attributes:
        trades: Day number, symbol, shares (negative: sold), price and fee in pips; by day, then by
            symbol.
        equity: At each close, in pips.
        positions: Shares held at each close, days by symbols.
        stops: Numbers of the days at whose close the drawdown stop was hit.
    """

    trades: tuple[tuple[int, str, int, int, int], ...]
    equity: tuple[int, ...]
    positions: Exact
    stops: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """One symbol's indicators on its own bars; what is not ready is False in `ready`."""

    trend: Whole
    reversion: Whole
    true_range: Exact
    stressed: Flags
    ready: Flags


def compute(market: Market, parameters: Parameters) -> Book:
    """Runs the strategy over the market."""
    p = parameters
    days, symbols = market.close.shape
    sign = np.zeros((days, symbols), dtype=object)
    unit = np.zeros((days, symbols), dtype=object)
    true_range = np.ones((days, symbols), dtype=object)
    for column in range(symbols):
        traded = market.traded[:, column]
        of = indicators(market, column, p)
        conviction = p.trend_weight * of.trend + p.reversion_weight * of.reversion
        if not p.short:
            conviction = np.maximum(conviction, 0)
        usable = of.ready & (of.true_range > 0)
        sign[traded, column] = np.where(usable, np.sign(conviction), 0)
        unit[traded, column] = np.abs(conviction) * np.where(of.stressed, 1, 2)
        true_range[traded, column] = np.where(usable, of.true_range, 1)
    return _walk(market, p, sign, unit, true_range)


def indicators(market: Market, column: int, parameters: Parameters) -> Indicators:
    """Everything that sections 2 to 4 define, for one symbol, for all of its bars at once."""
    p = parameters
    own = market.traded[:, column]
    high, low, close = (field[own, column] for field in (market.high, market.low, market.close))
    count = np.arange(1, len(close) + 1)

    # 2: the averages are compared across their denominators.
    trend = np.sign(_last(close, p.fast) * p.slow - _last(close, p.slow) * p.fast).astype(np.int64)

    # 3: a side is held from its entry until the price is back at the mean, so it is held if the
    # last entry is younger than the last time that the price was there.
    total = _last(close, p.reversion)
    away = close.astype(object) * p.reversion - total
    spread = _last(close.astype(object) ** 2, p.reversion) * p.reversion - total**2
    far = (away**2 > spread * p.entry**2) & (count >= p.reversion)
    bought = _youngest(far & (away < 0)) > _youngest(away >= 0)
    sold = _youngest(far & (away > 0)) > _youngest(away <= 0)
    reversion = bought.astype(np.int64) - sold.astype(np.int64)

    # 4
    before = np.concatenate((close[:1], close[:-1]))
    ranges = np.maximum(high, before) - np.minimum(low, before)
    ranges[:1] = high[:1] - low[:1]
    recent, usual = _last(ranges, p.atr), _last(ranges, p.calm)
    stressed = recent * p.calm * WHOLE > usual * p.atr * p.stress
    ready = count >= max(p.slow, p.reversion, p.calm)
    return Indicators(trend, reversion, recent, stressed.astype(np.bool_), ready)


def _last(values: npt.NDArray[Any], length: int) -> Exact:
    """Sums of the last `length` values; of all there are, where there are fewer."""
    total = np.cumsum(values.astype(object))
    total[length:] -= total[:-length].copy()
    return total


def _youngest(events: npt.NDArray[Any]) -> Whole:
    """The index of the last event up to each place."""
    places = np.where(events.astype(np.bool_), np.arange(len(events)), _NEVER)
    return np.maximum.accumulate(places) if len(places) else places


def _walk(market: Market, p: Parameters, sign: Exact, unit: Exact, true_range: Exact) -> Book:
    days, symbols = market.close.shape
    open_, close, volume = (
        field.astype(object) for field in (market.open, market.close, market.volume)
    )
    nothing = np.zeros(symbols, dtype=object)
    cash: int = p.capital
    held, mark, orders = nothing.copy(), nothing.copy(), nothing.copy()
    peak, resume = p.capital, 0
    trades: list[tuple[int, str, int, int, int]] = []
    equity: list[int] = []
    positions = np.zeros((days, symbols), dtype=object)
    stops: list[int] = []
    for day in range(days):
        traded = market.traded[day]

        # 7: yesterday's orders at today's open.
        filled = np.where(traded, orders, 0)
        worse = np.where(
            filled > 0,
            -(-open_[day] * (WHOLE + p.slippage) // WHOLE),
            open_[day] * (WHOLE - p.slippage) // WHOLE,
        )
        fees = np.maximum(-(-abs(filled) * worse * p.fee // WHOLE), p.least_fee) * (filled != 0)
        cash -= (filled * worse + fees).sum()
        held = held + filled
        executed = zip(market.symbols, filled.tolist(), worse.tolist(), fees.tolist(), strict=True)
        trades += [(day, *trade) for trade in executed if trade[1]]

        # 8: the account at today's close.
        mark = np.where(traded, close[day], mark)
        worth: int = cash + (held * mark).sum()
        equity.append(int(worth))
        positions[day] = held

        # 6: the drawdown stop.
        if day >= resume:
            peak = worth if day == resume else max(peak, worth)
            if worth * WHOLE <= peak * (WHOLE - p.stop):
                stops.append(day)
                resume = day + p.pause
        if day < resume or worth <= 0:
            target = nothing
        else:
            # 5: what is wanted, within the limits.
            size = worth * p.risk * unit[day] * p.atr // (WHOLE * 2 * p.full * true_range[day])
            most = worth * p.position_limit // (WHOLE * np.where(traded, close[day], 1))
            size = np.where(traded & (sign[day] != 0), np.minimum(size, most), 0)
            gross, limit = (size * close[day]).sum(), worth * p.gross_limit // WHOLE
            if gross > limit:
                size = size * limit // gross
            target = sign[day] * size

        change = target - held
        small = abs(change) * WHOLE < abs(held) * p.band
        allowed = np.minimum(abs(change), volume[day] * p.participation // WHOLE)
        orders = np.where(traded & ~small, np.sign(change) * allowed, 0)
    return Book(tuple(trades), tuple(equity), positions, tuple(stops))
