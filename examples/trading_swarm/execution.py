"""The execution engine: orders become fills at the next day's open, with slippage and fees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from examples.trading_swarm.messages import Executed, Fill, Opening, Orders
from examples.trading_swarm.observe import MonitorRef, arrived
from examples.trading_swarm.parameters import WHOLE, Parameters
from remuda import Agent, AgentRef


class Execution(Agent[Opening | Orders]):
    """Waits each day for all openings and for the orders of the day before, then fills these.

    It never sees a bar: what it knows of a day is where it opened.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        parameters: Parameters,
        portfolio: AgentRef[Executed],
        monitor: MonitorRef,
    ) -> None:
        self._symbols = symbols
        self._parameters = parameters
        self._portfolio = portfolio
        self._monitor = monitor
        self._day = 0
        self._openings: defaultdict[int, dict[str, int | None]] = defaultdict(dict)
        self._orders: dict[int, Mapping[str, int]] = {-1: {}}

    def receive(self, message: Opening | Orders) -> None:
        """Takes an opening, or a day's orders."""
        match message:
            case Opening(day, symbol, price, sent):
                arrived(self._monitor, "open to execution", sent)
                self._openings[day][symbol] = price
            case Orders(day, shares):
                self._orders[day] = dict(shares)
        if len(self._openings[self._day]) == len(self._symbols) and self._day - 1 in self._orders:
            self._fill()

    def _fill(self) -> None:
        opened, orders = self._openings.pop(self._day), self._orders.pop(self._day - 1)
        fills = tuple(
            fill(self._day, symbol, orders[symbol], price, self._parameters)
            for symbol in self._symbols
            if orders.get(symbol) and (price := opened[symbol]) is not None
        )
        self._portfolio.send_nowait(Executed(self._day, fills))
        self._day += 1


def fill(day: int, symbol: str, shares: int, opened: int, parameters: Parameters) -> Fill:
    """Section 7: an order at the open, worse by slippage and fee, and rounded against us."""
    if shares > 0:
        price = _rounded_up(opened * (WHOLE + parameters.slippage), WHOLE)
    else:
        price = opened * (WHOLE - parameters.slippage) // WHOLE
    fee = _rounded_up(abs(shares) * price * parameters.fee, WHOLE)
    return Fill(day, symbol, shares, price, max(fee, parameters.least_fee))


def _rounded_up(value: int, by: int) -> int:
    return (value + by - 1) // by
