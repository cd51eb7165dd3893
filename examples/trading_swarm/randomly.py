"""Random markets and random parameters: they go where real prices never do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta

from examples.trading_swarm.market import Bar, Market
from examples.trading_swarm.parameters import PIPS, Parameters

_FIRST = date(2020, 1, 1)


def market_of(**symbols: Sequence[Bar | None]) -> Market:
    """A market of bars day by day, from the first of January 2020 on; None where there is none."""
    return Market.of(
        {
            symbol: {
                _FIRST + timedelta(days=number): bar
                for number, bar in enumerate(bars)
                if bar is not None
            }
            for symbol, bars in symbols.items()
        }
    )


def a_bar(dice: random.Random, near: int) -> Bar:
    """A random day that begins near a price."""
    opened = max(2, round(near * dice.uniform(0.95, 1.05)))
    closed = max(2, round(opened * dice.choice((1.0, dice.uniform(0.9, 1.1), dice.gauss(1, 0.2)))))
    low, high = sorted((opened, closed))
    return Bar(
        opened,
        high + dice.randrange(high // 20 + 2),
        max(1, low - dice.randrange(low // 20 + 2)),
        closed,
        dice.choice((0, dice.randrange(1_000), dice.randrange(10_000_000))),
    )


def a_market(seed: int) -> Market:
    """Random symbols that come late, leave early, and are missing on some days."""
    dice = random.Random(seed)
    symbols: dict[str, list[Bar | None]] = {}
    days = dice.randrange(1, 150)
    for name in ("A", "B", "C", "D")[: dice.randrange(1, 5)]:
        near = dice.randrange(100, 100 * PIPS)
        bars: list[Bar | None] = [None] * dice.choice((0, 0, dice.randrange(days)))
        gaps = dice.choice((0.0, 0.0, 0.2))
        while len(bars) < days:
            bar = None if dice.random() < gaps else a_bar(dice, near)
            bars.append(bar)
            near = near if bar is None else bar.close
        if any(bars):
            symbols[name] = bars
    return market_of(**symbols) if symbols else market_of(A=[a_bar(dice, PIPS)])


def some_parameters(seed: int) -> Parameters:
    """Random parameters, most of them extreme."""
    dice = random.Random(seed)
    fast, atr = dice.randrange(1, 5), dice.randrange(1, 5)
    return Parameters(
        capital=dice.choice((PIPS, 10_000 * PIPS, 1_000_000 * PIPS)),
        fast=fast,
        slow=fast + dice.randrange(1, 8),
        reversion=dice.randrange(2, 8),
        entry=dice.randrange(1, 3),
        atr=atr,
        calm=atr + dice.randrange(8),
        stress=dice.choice((5_000, 11_000, 15_000)),
        trend_weight=dice.randrange(1, 4),
        reversion_weight=dice.randrange(4),
        short=dice.random() < 0.6,
        risk=dice.choice((10, 100, 1_000)),
        position_limit=dice.choice((1_000, 5_000, 20_000)),
        gross_limit=dice.choice((2_000, 10_000, 30_000)),
        participation=dice.choice((1, 1_000, 10_000)),
        band=dice.choice((0, 2_000, 9_000)),
        stop=dice.choice((300, 1_500, 10_000)),
        pause=dice.randrange(1, 9),
        slippage=dice.choice((0, 5, 500)),
        fee=dice.choice((0, 2, 300)),
        least_fee=dice.choice((0, PIPS)),
    )
