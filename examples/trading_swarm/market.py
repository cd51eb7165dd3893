"""Daily prices of five stocks, from the package `bokeh_sampledata` (public domain).

They are Quandl WIKI Prices, as they were quoted. A split would look like a crash in them, so open,
high, low and close are multiplied by `adjusted close / close` of their day, and the volume is
divided by it; prices are rounded to whole pips.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
import numpy.typing as npt

from examples.trading_swarm.parameters import PIPS

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class NoMarketData(Exception):
    """The prices can't be read: their package is missing, or has no such file or symbol."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of one symbol: prices in pips, volume in shares."""

    open: int
    high: int
    low: int
    close: int
    volume: int

    def __post_init__(self) -> None:
        """Refuses prices that no day can have.

        Raises:
            ValueError: Not `0 < low <= open, close <= high`, or the volume is negative.
        """
        if (
            not 0
            < self.low
            <= min(self.open, self.close)
            <= max(self.open, self.close)
            <= self.high
        ):
            raise ValueError(f"expected 0 < low <= open, close <= high, got {self}")
        if self.volume < 0:
            raise ValueError(f"expected volume >= 0, got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """The bars of all symbols on one calendar.

    Attributes:
        symbols: The symbols, sorted.
        days: The days on which any of them was traded, ascending.
        open: Opening prices in pips, days by symbols; 0 where a symbol was not traded. So are
            `high`, `low`, `close`.
        volume: Shares traded.
        traded: Whether the symbol was traded on the day.
    """

    symbols: tuple[str, ...]
    days: tuple[date, ...]
    open: Whole
    high: Whole
    low: Whole
    close: Whole
    volume: Whole
    traded: Flags

    @classmethod
    def of(cls, bars: Mapping[str, Mapping[date, Bar]]) -> Market:
        """Lays bars out on one calendar.

        Args:
            bars: For each symbol, its bars by day.

        Returns:
            The market; its arrays can't be written to.

        Raises:
            ValueError: There are no symbols, or no bars.
        """
        symbols = tuple(sorted(bars))
        days = tuple(sorted({day for of_symbol in bars.values() for day in of_symbol}))
        if not days:
            raise ValueError(f"expected at least one bar, got none for {symbols}")
        row = {day: number for number, day in enumerate(days)}
        table = np.zeros((5, len(days), len(symbols)), dtype=np.int64)
        traded = np.zeros((len(days), len(symbols)), dtype=np.bool_)
        for column, symbol in enumerate(symbols):
            for day, bar in bars[symbol].items():
                at = row[day], column
                table[:, *at] = bar.open, bar.high, bar.low, bar.close, bar.volume
                traded[at] = True
        table.setflags(write=False)
        traded.setflags(write=False)
        opened, high, low, close, volume = table
        return cls(symbols, days, opened, high, low, close, volume, traded)

    def bars(self, symbol: str) -> tuple[Bar | None, ...]:
        """A symbol's bars, day by day; None on days on which it was not traded."""
        column = self.symbols.index(symbol)
        fields = (self.open, self.high, self.low, self.close, self.volume)
        rows = zip(*(field[:, column].tolist() for field in fields), strict=True)
        return tuple(
            Bar(*row) if traded else None
            for row, traded in zip(rows, self.traded[:, column].tolist(), strict=True)
        )

    def first(self, days: int) -> Market:
        """The same market up to a number of days, without the symbols that were not traded yet."""
        return Market.of(
            {
                symbol: of_symbol
                for symbol in self.symbols
                if (
                    of_symbol := {
                        day: bar
                        for day, bar in zip(self.days[:days], self.bars(symbol), strict=False)
                        if bar is not None
                    }
                )
            }
        )


def load(symbols: Sequence[str] = SYMBOLS, *, directory: Traversable | None = None) -> Market:
    """Reads the prices of some of the five stocks.

    Args:
        symbols: Which ones.
        directory: Where `stocks.csv.gz` is, if not in `bokeh_sampledata`.

    Returns:
        The market, on the calendar of the days of these symbols.

    Raises:
        NoMarketData: The file is not there, or a symbol is not in it.
        ValueError: A bar in it is impossible.
    """
    if directory is None:
        try:
            directory = resources.files("bokeh_sampledata") / "_data"
        except ModuleNotFoundError as error:
            raise NoMarketData(
                "expected bokeh_sampledata to be installed, found it missing: "
                "pip install 'remuda[examples]'"
            ) from error
    try:
        packed = (directory / "stocks.csv.gz").read_bytes()
    except FileNotFoundError as error:
        raise NoMarketData(
            f"expected stocks.csv.gz in {directory}, found none: "
            "pip install 'bokeh_sampledata>=2026.1'"
        ) from error
    bars: dict[str, dict[date, Bar]] = {symbol: {} for symbol in symbols}
    for row in csv.DictReader(gzip.decompress(packed).decode().splitlines()):
        if row["Ticker"] in bars:
            bars[row["Ticker"]][date.fromisoformat(row["Date"])] = _adjusted(row)
    if missing := [symbol for symbol, of_symbol in bars.items() if not of_symbol]:
        raise NoMarketData(f"expected bars of {', '.join(missing)} in {directory}, found none")
    return Market.of(bars)


def _adjusted(row: Mapping[str, str]) -> Bar:
    factor = float(row["Adj Close"]) / float(row["Close"])
    return Bar(
        open=round(float(row["Open"]) * factor * PIPS),
        high=round(float(row["High"]) * factor * PIPS),
        low=round(float(row["Low"]) * factor * PIPS),
        close=round(float(row["Close"]) * factor * PIPS),
        volume=round(int(row["Volume"]) / factor),
    )
