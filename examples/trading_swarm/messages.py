"""What the agents say to one another. Days are numbers on the calendar, money is in pips.

A `sent` is the `time.perf_counter_ns()` just before the message was sent if its latency is sampled,
and 0 if not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from examples.trading_swarm.market import Bar
from remuda import AgentRef

Kind = Literal["momentum", "mean_reversion", "volatility"]
Hop = Literal["open to execution", "bar to analyzer", "signal to risk"]


@dataclass(frozen=True, slots=True)
class Publish:
    """The clock to a feed: publish this day."""

    day: int


@dataclass(frozen=True, slots=True)
class Begin:
    """To the clock: the session begins, and these feeds are to publish its days."""

    feeds: tuple[AgentRef[Publish], ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """The risk manager to the clock: the day's orders are out, nothing more happens on it."""

    day: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A feed to the execution engine: the opening price, which is all that it gets to see."""

    day: int
    symbol: str
    price: int | None
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Closing:
    """A feed to everybody else: the day's bar; None if the symbol was not traded."""

    day: int
    symbol: str
    bar: Bar | None
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """Momentum's view: 1 up, -1 down, 0 neither; None if it is not ready, or there is no bar."""

    day: int
    symbol: str
    side: int | None
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Reversion:
    """Mean reversion's view, in the same terms."""

    day: int
    symbol: str
    side: int | None
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Volatility: the sum of the last true ranges, and whether that is far above the usual."""

    day: int
    symbol: str
    total: int | None
    stressed: bool
    sent: int = 0


Signal = Trend | Reversion | Range


@dataclass(frozen=True, slots=True)
class Orders:
    """To the execution engine: shares to buy at the next day's open, or to sell if negative."""

    day: int
    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade."""

    day: int
    symbol: str
    shares: int
    price: int
    fee: int


@dataclass(frozen=True, slots=True)
class Executed:
    """The execution engine to the portfolio: all of the day's trades."""

    day: int
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class GetAccount:
    """Asks the portfolio for the account at a close. It answers when the day is complete."""

    day: int


@dataclass(frozen=True, slots=True)
class Account:
    """The account at a day's close: shares and last closes are in the order of the symbols."""

    day: int
    cash: int
    equity: int
    positions: tuple[int, ...]
    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GetStatement:
    """Asks the portfolio for everything that has happened."""


@dataclass(frozen=True, slots=True)
class Statement:
    """All accounts, by day, and all trades, by day and symbol."""

    accounts: tuple[Account, ...]
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class Latency:
    """To the monitor: the time from just before a send to the start of the handling."""

    hop: Hop
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Depth:
    """To the monitor: a mailbox at one moment, told by the agent that it belongs to."""

    agent: str
    at: int
    depth: int
    waiting: int


@dataclass(frozen=True, slots=True)
class GetObservations:
    """Asks the monitor for what it has been told."""


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that the monitor was told, in the order in which it came."""

    latencies: tuple[Latency, ...]
    depths: tuple[Depth, ...]
