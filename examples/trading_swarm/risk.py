"""The risk manager: signals become orders within limits, and a drawdown ends it all for a while."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from examples.trading_swarm.market import Bar
from examples.trading_swarm.messages import (
    Account,
    Closing,
    GetAccount,
    Orders,
    Range,
    Reversion,
    Settled,
    Signal,
    Trend,
)
from examples.trading_swarm.observe import MonitorRef, arrived
from examples.trading_swarm.parameters import WHOLE, Parameters
from remuda import AgentRef, Mailbox, Request

PortfolioRef = AgentRef[Closing | Request[GetAccount, Account]]


@dataclass(slots=True)
class Views:
    """What is known of one day: every symbol's bar and the three signals."""

    bars: dict[str, Bar | None] = field(default_factory=dict)
    trends: dict[str, int | None] = field(default_factory=dict)
    reversions: dict[str, int | None] = field(default_factory=dict)
    ranges: dict[str, tuple[int | None, bool]] = field(default_factory=dict)
    known: int = 0

    def add(self, message: Closing | Signal) -> None:
        """Takes a message about this day."""
        self.known += 1
        match message:
            case Closing():
                self.bars[message.symbol] = message.bar
            case Trend():
                self.trends[message.symbol] = message.side
            case Reversion():
                self.reversions[message.symbol] = message.side
            case Range():
                self.ranges[message.symbol] = message.total, message.stressed


async def risk_manager(
    mailbox: Mailbox[Closing | Signal],
    symbols: tuple[str, ...],
    parameters: Parameters,
    portfolio: PortfolioRef,
    execution: AgentRef[Orders],
    clock: AgentRef[Settled],
    monitor: MonitorRef,
) -> tuple[int, ...]:
    """Collects a day, asks the portfolio for the account at its close, and sends the day's orders.

    Returns:
        The days on which the drawdown stop was hit.
    """
    limits = Limits(symbols, parameters)
    everything = 4 * len(symbols)
    views: defaultdict[int, Views] = defaultdict(Views)
    today = 0
    async for message in mailbox:
        if not isinstance(message, Closing):
            arrived(monitor, "signal to risk", message.sent)
        views[message.day].add(message)
        while views[today].known == everything:
            account: Account = await portfolio.ask(GetAccount(today))
            orders = limits.orders(views.pop(today), account)
            await execution.send(Orders(today, orders))
            await clock.send(Settled(today))
            today += 1
    return tuple(limits.stops)


class Limits:
    """Sections 5 and 6: how much to hold of what, and whether to hold anything."""

    def __init__(self, symbols: tuple[str, ...], parameters: Parameters) -> None:
        self._symbols = symbols
        self._parameters = parameters
        self._peak = 0
        self._resume = 0
        self.stops: list[int] = []

    def orders(self, views: Views, account: Account) -> tuple[tuple[str, int], ...]:
        """The orders of a day: shares to buy, negative to sell; only symbols with an order."""
        sizes: dict[str, int] = {}
        if not self._stopped(account) and account.equity > 0:
            sizes = self._within_gross(
                {symbol: self._wanted(symbol, views, account.equity) for symbol in self._symbols},
                views,
                account.equity,
            )
        orders = []
        for symbol, held in zip(self._symbols, account.positions, strict=True):
            bar = views.bars[symbol]
            if bar is not None and (shares := self._order(sizes.get(symbol, 0), held, bar)):
                orders.append((symbol, shares))
        return tuple(orders)

    def _stopped(self, account: Account) -> bool:
        p = self._parameters
        if account.day < self._resume:
            return True
        if account.day == self._resume:
            self._peak = account.equity
        self._peak = max(self._peak, account.equity)
        lost = self._peak - account.equity
        if lost * WHOLE < self._peak * p.stop:
            return False
        self.stops.append(account.day)
        self._resume = account.day + p.pause
        return True

    def _wanted(self, symbol: str, views: Views, equity: int) -> int:
        """Shares by conviction and volatility, up to the position's own limit."""
        p = self._parameters
        bar, trend, reversion = views.bars[symbol], views.trends[symbol], views.reversions[symbol]
        total, stressed = views.ranges[symbol]
        if bar is None or trend is None or reversion is None or not total:
            return 0
        conviction = p.trend_weight * trend + p.reversion_weight * reversion
        if conviction < 0 and not p.short:
            return 0
        halves = abs(conviction) * (1 if stressed else 2)
        shares = equity * p.risk * halves * p.atr // (WHOLE * 2 * p.full * total)
        shares = min(shares, equity * p.position_limit // (WHOLE * bar.close))
        return shares if conviction > 0 else -shares

    def _within_gross(self, sizes: dict[str, int], views: Views, equity: int) -> dict[str, int]:
        """All sizes, made smaller by the same share if together they are worth too much."""
        limit = equity * self._parameters.gross_limit // WHOLE
        gross = sum(
            abs(sizes[symbol]) * bar.close for symbol, bar in views.bars.items() if bar is not None
        )
        if gross <= limit:
            return sizes
        return {
            symbol: (abs(size) * limit // gross) * (1 if size > 0 else -1)
            for symbol, size in sizes.items()
        }

    def _order(self, target: int, held: int, bar: Bar) -> int:
        """From what is held to the target, if that is worth it, as far as the volume lets it."""
        p = self._parameters
        change = target - held
        if abs(change) * WHOLE < abs(held) * p.band:
            return 0
        most = bar.volume * p.participation // WHOLE
        return max(-most, min(change, most))
