"""The numbers of the strategy. README.md says what is done with each of them.

This, and the market data, is all that the swarm and the reference computation share.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

PIPS = 10_000
"""Pips in a dollar. All prices and all money are whole numbers of pips, so that sums are exact."""

WHOLE = 10_000
"""Basis points in one."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The strategy's parameters.

    Attributes:
        capital: Cash at the start, in pips.
        fast: Bars of the fast moving average.
        slow: Bars of the slow moving average.
        reversion: Bars of the mean reversion's mean and deviation.
        entry: Standard deviations from the mean at which mean reversion takes a side.
        atr: Bars of the average true range.
        calm: Bars of the average true range that counts as usual.
        stress: How far above the usual one the average true range is stressed, in basis points.
        trend_weight: Weight of momentum in the conviction.
        reversion_weight: Weight of mean reversion in it.
        short: Whether positions may be short.
        risk: What one average true range may move a position of full conviction, in basis points of
            the equity.
        position_limit: The most that one position may be worth, in basis points of the equity.
        gross_limit: The most that all positions may be worth, in basis points of the equity.
        participation: The most of a day's volume that one order may be, in basis points.
        band: The least change of a position that is worth an order, in basis points of the
            position.
        stop: The drawdown at which everything is sold, in basis points of the peak.
        pause: Days for which nothing is held after that.
        slippage: By how much a fill is worse than the open, in basis points of the price.
        fee: The broker's fee, in basis points of the value of the fill.
        least_fee: The least fee of a fill, in pips.
    """

    capital: int = 1_000_000 * PIPS
    fast: int = 20
    slow: int = 100
    reversion: int = 20
    entry: int = 2
    atr: int = 14
    calm: int = 100
    stress: int = 15_000
    trend_weight: int = 2
    reversion_weight: int = 1
    short: bool = False
    risk: int = 100
    position_limit: int = 3_000
    gross_limit: int = 10_000
    participation: int = 100
    band: int = 2_000
    stop: int = 1_500
    pause: int = 20
    slippage: int = 5
    fee: int = 2
    least_fee: int = 1 * PIPS

    def __post_init__(self) -> None:
        """Refuses what has no meaning.

        Raises:
            ValueError: A parameter is outside of its range; the message names it.
        """
        least = dict.fromkeys(
            ("capital", "fast", "entry", "atr", "stress", "risk", "position_limit"), 1
        )
        least |= {"gross_limit": 1, "participation": 1, "stop": 1, "pause": 1, "reversion": 2}
        for field in fields(self):
            value, bound = getattr(self, field.name), least.get(field.name, 0)
            if value < bound:
                raise ValueError(f"expected {field.name} >= {bound}, got {value}")
        if not self.fast < self.slow:
            raise ValueError(f"expected fast < slow, got {self.fast} and {self.slow}")
        if not self.atr <= self.calm:
            raise ValueError(f"expected atr <= calm, got {self.atr} and {self.calm}")
        if self.full == 0:
            raise ValueError("expected trend_weight + reversion_weight > 0, got 0")
        for name in ("band", "stop", "slippage"):
            if getattr(self, name) > WHOLE:
                raise ValueError(f"expected {name} <= {WHOLE}, got {getattr(self, name)}")

    @property
    def full(self) -> int:
        """The greatest conviction."""
        return self.trend_weight + self.reversion_weight
